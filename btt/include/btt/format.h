/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_FORMAT_H
#define BTT_FORMAT_H

/*
 * format -- the on-media format as the rest of the world sees it: constants,
 * the info block in host form, geometry, creating a BTT.  btt-format.md is
 * normative; sections are cited.  Bytes on media are layout.h's business.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <btt/error.h>
#include <btt/media.h>

#if defined(BTT_TEST_HOOKS) || defined(BTT_SMALL_ARENAS)
/* tests/crash, tests/fuzz: what is opened millions of times must be small. */
#define BTT_ARENA_MIN_BYTES (UINT64_C(1) << 14)
#define BTT_ARENA_MAX_BYTES (UINT64_C(320) << 10)
#else
#define BTT_ARENA_MIN_BYTES (UINT64_C(1) << 24) /* 1.1 */
#define BTT_ARENA_MAX_BYTES (UINT64_C(1) << 39) /* 1.1 */
#endif
#define BTT_INFO_BYTES 4096u   /* 1.2 */
#define BTT_ALIGN 4096u        /* each part starts on it */
#define BTT_NFREE_DEFAULT 256u /* 1.7; the kernel's */
#define BTT_NFREE_MAX 65536u   /* ours: bounds memory that media can ask for */
#define BTT_SECTOR_MAX 65536u  /* ours, DESIGN.md 5.2 */
#define BTT_UUID_BYTES 16u
#define BTT_FLAG_ERROR 1u     /* info block flags: writes must fail, 4.5 */
#define BTT_V11_OFFSET 4096u  /* of the first arena in a v1.1 namespace, 1.4 */
#define BTT_POOL_OFFSET 8192u /* in a PMDK pool, 8.2 */

/* Where a BTT starts and which version it says (1.4, 8.1). */
enum btt_layout {
	BTT_LAYOUT_V11,  /* 1.1, 4096 bytes into the namespace */
	BTT_LAYOUT_V20,  /* 2.0, at the start of the namespace */
	BTT_LAYOUT_POOL, /* 1.1, 8192 bytes into a PMDK pmemblk pool */
};

/* An info block in host form (1.2).  Offsets are relative to its arena. */
struct btt_info {
	uint8_t uuid[BTT_UUID_BYTES];
	uint8_t parent_uuid[BTT_UUID_BYTES];
	uint32_t flags;
	uint16_t major;
	uint16_t minor;
	uint32_t external_lbasize; /* bytes of a sector with its metadata */
	uint32_t external_nlba;
	uint32_t internal_lbasize; /* bytes from block to block */
	uint32_t internal_nlba;
	uint32_t nfree;
	uint32_t infosize;
	uint64_t nextoff; /* to the next arena, 0 in the last */
	uint64_t dataoff;
	uint64_t mapoff;
	uint64_t logoff;
	uint64_t info2off;
	uint64_t checksum; /* as stored; decode only */
};

/* What an info block on media amounts to. */
enum btt_info_state {
	BTT_INFO_VALID,        /* signature and checksum verify */
	BTT_INFO_NO_SIGNATURE, /* something else, or nothing, is here */
	BTT_INFO_BAD_CHECKSUM, /* a signature, but the sum differs */
	BTT_INFO_UNREADABLE,   /* beyond the medium, or the medium failed */
};

/*
 * Bytes of a sector that the user sees: 512 of 520, 4096 of 4160 (1.8); 0 of a
 * size that is not known.
 */
uint32_t btt_sector_data_bytes(uint32_t external_lbasize);
/* Is this an external sector size that we create and open (DESIGN.md 5.2)? */
bool btt_sector_size_known(uint32_t external_lbasize);

/* Fletcher-64 of 1.3 over an info block, its checksum field counted as zero. */
uint64_t btt_info_checksum(const uint8_t block[BTT_INFO_BYTES]);
/* Decode whatever is there; ret_info is filled unless NO_SIGNATURE. */
enum btt_info_state
btt_info_decode(const uint8_t block[BTT_INFO_BYTES], struct btt_info *ret_info);
/* Encode with the checksum computed. */
void
btt_info_encode(const struct btt_info *info, uint8_t block[BTT_INFO_BYTES]);
/*
 * Does every number make sense in itself, against each other and against an
 * arena that may not be longer than space bytes (12, item 4; reliability.md
 * 5.2)?  Returns 0, or -EUCLEAN / -ENOTSUP with the reason.
 */
int btt_info_validate(const struct btt_info *info, uint64_t space,
    struct btt_error *error) BTT_MUST_CHECK;

/*
 * Geometry of one arena of arena_bytes by the formula of 1.5, alignment of
 * internal blocks to align (64; 256 in pools).  Fills the numbers and offsets
 * of ret_info and leaves the identity fields alone; nextoff is set to 0.
 * Returns 0; -EINVAL for an unknown sector size or nfree; -ENOSPC if the arena
 * has no room for nfree + 1 blocks or is below BTT_ARENA_MIN_BYTES.
 */
int btt_geometry(uint64_t arena_bytes, uint32_t external_lbasize,
    uint32_t nfree, uint32_t align, struct btt_info *ret_info) BTT_MUST_CHECK;

/*
 * Bytes of arena number index of a BTT whose arenas share raw_bytes (1.6), or
 * 0 if there is no such arena.
 */
uint64_t btt_arena_bytes(uint64_t raw_bytes, uint32_t index);

struct btt_create_options {
	enum btt_layout layout;
	uint32_t sector_bytes; /* external_lbasize */
	uint32_t nfree; /* BTT_NFREE_DEFAULT or more; in a pool just it */
	uint8_t uuid[BTT_UUID_BYTES];
	/* May be all zero, but in a pool, whose uuid it is. */
	uint8_t parent_uuid[BTT_UUID_BYTES];
	uint8_t pool_part_uuid[BTT_UUID_BYTES]; /* of the pool's only file */
	uint64_t pool_created;                  /* seconds since 1970 */
	bool medium_is_zero; /* the caller knows that every byte reads 0 */
	/* Called now and then with bytes done of bytes in all; may be NULL. */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *progress_arg;
};

/*
 * Write a new, empty BTT.  Order of 1.9 (UEFI's): old info blocks are made
 * invalid, then maps and logs are written, then the info blocks from the last
 * arena to the first, backup before primary, with fences between, so that the
 * very last block written turns "no BTT" into "a whole BTT"; in a pool that is
 * the pool's header.  A crash before
 * that leaves the old BTT whole, or none, or, between the last two blocks, the
 * new one whole by its first backup, which btt_probe finds and others do not.
 *
 * Data areas are not touched: unless medium_is_zero, sectors never written
 * read what lies there (2.1).
 *
 * On return the BTT is durable.  Errors: -EINVAL, -ENOSPC (too small) with the
 * reason, -EROFS, -EIO.
 */
int btt_create(struct media *media, const struct btt_create_options *options,
    struct btt_error *error) BTT_MUST_CHECK;

/* Sectors the BTT would have; 0 with the reason where it is impossible. */
uint64_t btt_create_nsector(uint64_t media_bytes,
    const struct btt_create_options *options, struct btt_error *error);

/*
 * The info block that btt_create would write for arena number index, and where
 * its primary copy would lie on the medium.  Errors: -ERANGE if there would be
 * no such arena; else as btt_create.
 */
int btt_create_info(uint64_t media_bytes,
    const struct btt_create_options *options, uint32_t index, uint64_t *ret_off,
    struct btt_info *ret_info, struct btt_error *error) BTT_MUST_CHECK;

/*
 * Make the BTT of a namespace, found as btt_probe_namespace has it, one no more:
 * every info block of it is erased, both copies, and those of older ones that
 * would be found then.  A damaged one can be destroyed, too.  Sectors, maps and
 * logs are left as they are, and nothing beyond the namespace is touched.
 * uuid, if it is not NULL, says which BTT is meant.
 *
 * On return that is durable.  A crash before leaves the BTT whole, or none.
 * Errors: -ESTALE for another uuid; -EROFS; -EIO; as btt_probe_namespace.
 */
int btt_destroy(struct media *media, const char *namespace,
    const uint8_t uuid[BTT_UUID_BYTES], struct btt_error *error) BTT_MUST_CHECK;

/*
 * Text form of a UUID, bytes in text order (1.10).  parse accepts 32 hex
 * digits with or without the four dashes; -EINVAL otherwise.
 */
#define BTT_UUID_TEXT_BYTES 37u
void btt_uuid_format(
    const uint8_t uuid[BTT_UUID_BYTES], char ret_text[BTT_UUID_TEXT_BYTES]);
int btt_uuid_parse(const char *text, uint8_t ret_uuid[BTT_UUID_BYTES])
    BTT_MUST_CHECK;

/* Where the arenas of a BTT lie on a medium, as probe found them. */
struct btt_arena_place {
	uint64_t off;         /* of the primary info block, on the medium */
	struct btt_info info; /* the copy that will be used */
	enum btt_info_state primary;
	enum btt_info_state backup;
	bool copies_differ; /* both are valid and not the same bytes */
	bool are_kin; /* both are valid and the same bytes but for the flags */
	bool has_error_flag; /* in a valid copy */
	bool from_backup;    /* the primary is unusable, info is the backup's */
};

/* One for 512 GiB; an image with more than this many is refused. */
#define BTT_ARENA_MAX 4096u

struct btt_namespace; /* label.h */

struct btt_probe {
	enum btt_layout layout;
	uint64_t off; /* of the namespace around the BTT, on the medium */
	uint64_t
	    bytes; /* of it: all of the medium where nothing else is said */
	struct btt_namespace *label; /* that says so, or NULL; owned */
	uint32_t narena;
	struct btt_arena_place *arena; /* owned; btt_probe_fini frees */
};

/*
 * Find the BTT on a medium without being told where (1.4, DESIGN.md 5.2), and
 * validate all its info blocks against each other and the medium.  Reads only.
 * The backup is looked for only where a primary is unusable.
 *
 * Where labels tell of namespaces (label.h) the BTT is looked for in them, as
 * Linux does: of the version that the label claims, else of v1.1, and with a
 * parent uuid that is the label's or null.  All of it lies in its namespace.
 * namespace says which one (btt_labels_select); NULL is the only one that has
 * a BTT.
 *
 * Returns 0; -EMEDIUMTYPE if there is none; -ENOTUNIQ if namespace is NULL and
 * several have one; -ENOENT if there is no such namespace; -ENOTSUP for a
 * version, a sector size or a kind of namespace that we do not serve; -EUCLEAN
 * if the numbers contradict themselves; -EIO; -ENOMEM; with the reason.
 * ret_probe is untouched on failure.
 */
int btt_probe_namespace(const struct media *media, const char *namespace,
    struct btt_probe *ret_probe, struct btt_error *error) BTT_MUST_CHECK;
/* The same with NULL for namespace. */
int btt_probe(const struct media *media, struct btt_probe *ret_probe,
    struct btt_error *error) BTT_MUST_CHECK;
void btt_probe_fini(struct btt_probe *probe);

#endif

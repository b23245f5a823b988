/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_PROBE_H
#define BTT_PROBE_H

/*
 * probe -- finding the arenas of a BTT, for those who want a verdict
 * (btt_probe) and for those who want to know what is there all the same
 * (btt_check).
 */
#include <stdint.h>

#include <btt/format.h>

/* How far the walk over the arenas came. */
enum probe_end {
	PROBE_END_LAST,       /* to the end of the last arena */
	PROBE_END_SHORT,      /* the medium ends within the last one found */
	PROBE_END_CONTRADICT, /* numbers of the last one make no sense */
	PROBE_END_LOST,       /* no info block where the next one should be */
	PROBE_END_MANY,       /* BTT_ARENA_MAX */
};

struct probe_walk {
	/* Each arena has a place; that of a LOST one is not among them. */
	struct btt_probe probe;
	enum probe_end end;
	uint64_t end_off; /* the arena at which it ended, on the medium */
	bool is_foreign;  /* what is there belongs to another parent */
	int r;            /* the verdict: what btt_probe returns, and why */
	struct btt_error error;
};

/*
 * Walk over the arenas of the BTT that is on the medium, in the namespace of
 * that name, uuid or number, or wherever it is if that is NULL.  Returns 0
 * whatever the verdict, or -ENOMEM.
 */
int probe_walk_find(const struct media *media, const char *namespace,
    struct probe_walk *ret_walk) BTT_MUST_CHECK;
void probe_walk_fini(struct probe_walk *walk);

/* The end of the namespace around the BTT, on the medium. */
static inline uint64_t
probe_end_off(const struct btt_probe *probe)
{
	return probe->off + probe->bytes;
}

struct pool;

/* Where a BTT is looked for, and what it must be. */
struct probe_scope {
	const struct media *media;
	uint64_t off; /* of the namespace, on the medium */
	uint64_t bytes;
	enum btt_layout layout;
	const struct pool *pool; /* of a pool, else NULL */
	const uint8_t *parent;   /* uuid of the label; NULL: whoever's */
};

/* One such walk.  Returns 0 whatever is found, or -ENOMEM. */
int probe_walk_scope(const struct probe_scope *scope,
    struct probe_walk *ret_walk) BTT_MUST_CHECK;

/*
 * What all arenas must have in common: the name of the first field that
 * differs, or NULL.
 */
const char *
probe_mismatch(const struct btt_info *first, const struct btt_info *other);

/* Copy bytes off the medium.  Returns 0; -ERANGE beyond it; -EIO. */
int probe_read(const struct media *media, uint64_t off, void *ret_bytes,
    size_t len) BTT_MUST_CHECK;
/* The same of an info block. */
int probe_read_block(const struct media *media, uint64_t off,
    uint8_t ret_block[BTT_INFO_BYTES]) BTT_MUST_CHECK;

/*
 * Where the backup of an arena at off may be if nobody tells: at the end of
 * the largest arena that fits (1.6, the rule of UEFI), or of the largest one
 * before a label area of the size that virtual NVDIMMs have.
 */
enum probe_backup {
	PROBE_BACKUP_END,
	PROBE_BACKUP_LABEL,
	PROBE_NBACKUP,
};
#define PROBE_LABEL_BYTES (UINT64_C(128) << 10)
#define PROBE_NOWHERE UINT64_MAX
void probe_backup_places(
    uint64_t end, uint64_t off, uint64_t ret_place[PROBE_NBACKUP]);
/* Does a label area of that size end the medium, damaged or not? */
bool probe_has_label_area(const struct media *media);
extern const uint8_t label_signature[16]; /* of an index block */

/* What is at the start of a medium: a PMDK pool, a broken one, or not. */
enum pool_state {
	POOL_NONE,
	POOL_VALID,
	POOL_BROKEN,  /* signature without checksum */
	POOL_UNKNOWN, /* another version, feature or machine */
	POOL_PART,    /* other files belong to it */
};

#define POOL_UUID_OFFSET 24u /* of the set, in the header */
#define POOL_DESCRIPTOR_OFFSET 4096u

struct pool {
	enum pool_state state;
	uint8_t uuid[BTT_UUID_BYTES]; /* of the set: parent of the BTT */
	uint32_t block_bytes;         /* of the descriptor */
};

/* Reads errors as POOL_NONE. */
void pool_find(const struct media *media, struct pool *ret_pool);

/*
 * The two pages of a new pool, the header at 0 and the descriptor behind it.
 * Returns 0, or -ENOTSUP on machines whose pools are not known.
 */
int pool_encode(const struct btt_create_options *options, uint64_t media_bytes,
    uint8_t ret_header[BTT_INFO_BYTES], uint8_t ret_descriptor[BTT_INFO_BYTES])
    BTT_MUST_CHECK;

#endif

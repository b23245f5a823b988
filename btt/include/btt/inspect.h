/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_INSPECT_H
#define BTT_INSPECT_H

/*
 * inspect -- the metadata of a BTT at rest, entry by entry: for tools that
 * show it, and for whoever looks for what a crash or a fault has left.
 *
 * Reads only, and works on damaged media as far as it can: what can be found
 * is given, with what is wrong about it, and nothing is refused because
 * something else is damaged.  Numbers are given as they lie on the medium;
 * each one is compared with its bounds before it leads anywhere, and an offset
 * that leads nowhere is BTT_NOWHERE.
 *
 * The medium must not be in use by an engine: what an engine has pending is
 * not on it.  Functions may be called from any number of threads at once.
 * Offsets are bytes from the start of the medium unless they say otherwise.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <btt/error.h>
#include <btt/format.h>
#include <btt/label.h>
#include <btt/media.h>

#define BTT_NOWHERE UINT64_MAX

/* One copy of an info block. */
struct btt_info_copy {
	uint64_t off;
	enum btt_info_state state;
	struct btt_info info; /* if btt_info_copy_has_fields */
	uint8_t block[BTT_INFO_BYTES];
};

/* Whatever is at off; BTT_INFO_UNREADABLE if that is beyond the medium. */
void btt_inspect_info(
    const struct media *media, uint64_t off, struct btt_info_copy *ret_copy);

/* Is there a signature, so that the fields mean something, perhaps damaged? */
static inline bool
btt_info_copy_has_fields(const struct btt_info_copy *copy)
{
	return copy->state == BTT_INFO_VALID ||
	    copy->state == BTT_INFO_BAD_CHECKSUM;
}

/* A problem of an info block; text lives as long as the call. */
typedef void btt_inspect_problem_fn(void *arg, const char *text);

/*
 * Call fn for everything that is wrong with the numbers of an info block in
 * themselves and against each other, whatever the medium is.  Returns how
 * many there are.
 */
unsigned btt_inspect_info_problems(
    const struct btt_info *info, btt_inspect_problem_fn *fn, void *arg);

/* An arena that was found, or that must have been here. */
struct btt_inspect_arena {
	enum btt_layout layout;
	uint32_t index; /* in its BTT, by its place */
	uint64_t off;   /* of the primary info block */
	/* Of the backup, or where it should be; may be beyond the medium. */
	uint64_t backup_off;
	struct btt_info info; /* of the better copy */
	/*
	 * info is the backup's, since the primary has no valid checksum and
	 * the backup has.
	 */
	bool from_backup;
	bool is_valid; /* info has a valid checksum */
};

/* What was found on a medium. */
struct btt_inspect {
	/* What btt_probe says of the medium: 0, or why not. */
	int verdict;
	struct btt_error reason;
	/*
	 * The first nsequence arenas follow each other and begin with the
	 * first one of the BTT: their sectors are those of the device, in this
	 * order.  If verdict is 0 these are all.
	 */
	uint32_t nsequence;
	uint32_t narena;
	struct btt_inspect_arena *arena; /* owned; btt_inspect_fini frees */
	/* Label of the namespace that was looked at, if it is one; owned. */
	struct btt_namespace *label;
};

/*
 * Find all arenas that can be found.  If btt_probe_namespace finds a BTT these
 * are its arenas; else they are as far as its walk came, and all whose primary
 * or backup info block lies where one of any layout belongs: in the namespace,
 * or in all of them if there are several to choose from.
 *
 * Returns: 0, also if there is none (narena is 0 then, and verdict says why);
 * -ENOMEM.
 */
int btt_inspect_find(const struct media *media, const char *namespace,
    struct btt_inspect *ret_inspect) BTT_MUST_CHECK;
void btt_inspect_fini(struct btt_inspect *inspect);

/* Sectors of the arenas in sequence. */
uint64_t btt_inspect_nsector(const struct btt_inspect *inspect);
/*
 * In which of them is sector lba, and which sector is it there?  False if it
 * is beyond them.
 */
bool btt_inspect_locate(const struct btt_inspect *inspect, uint64_t lba,
    uint32_t *ret_arena, uint32_t *ret_premap);

/* A log entry as stored: block numbers with their flags. */
struct btt_log_entry {
	uint32_t lba; /* sector of the arena */
	uint32_t old_map;
	uint32_t new_map;
	uint32_t seq;
};

enum btt_pair_state {
	BTT_PAIR_FRESH,   /* never used since the BTT was made */
	BTT_PAIR_DONE,    /* its last write is complete */
	BTT_PAIR_PENDING, /* its last write lacks the map entry */
	BTT_PAIR_DAMAGED, /* see problem */
};

/* A pair of the log: one free block, and the last write that used it. */
struct btt_log_pair {
	uint64_t off; /* of its four slots */
	struct btt_log_entry
	    slot[4];    /* the log's layout says which two count */
	uint8_t used;   /* those that are not all zero, a bit each */
	uint8_t newest; /* slot, if has_newest */
	bool has_newest;
	enum btt_pair_state state;
	const char *problem; /* if damaged; lives as long as the program */
	/* Without flags, if has_newest; may be out of range if damaged. */
	uint32_t free_block;
};

/* A map entry that recovery will store. */
struct btt_log_pending {
	uint32_t premap;
	uint32_t block;
	uint32_t pair;
};

/* The log of an arena. */
struct btt_inspect_log {
	uint8_t slot[2];    /* in use: 0 and 1, or 0 and 2 (3.1) */
	bool is_consistent; /* else slot is what most pairs use */
	uint32_t npair;
	struct btt_log_pair *pair; /* owned */
	uint32_t npending;
	struct btt_log_pending *pending; /* owned; by premap, each once */
};

/*
 * Read the log of an arena, and see what recovery will make of it (4.1).
 * Returns: 0, damaged or not; -ERANGE if the info block puts it beyond the
 * medium; -ENOTSUP if it has more than BTT_NFREE_MAX pairs or none; -EIO;
 * -ENOMEM; with the reason.
 */
int btt_inspect_log(const struct media *media,
    const struct btt_inspect_arena *arena, struct btt_inspect_log *ret_log,
    struct btt_error *error) BTT_MUST_CHECK;
void btt_inspect_log_fini(struct btt_inspect_log *log);

/* State of a map entry (2.1); each has a block of its own. */
enum btt_map_state {
	BTT_MAP_INITIAL, /* never written: has the block of its own number */
	BTT_MAP_ERROR,
	BTT_MAP_ZERO,
	BTT_MAP_NORMAL,
};

/* Where a sector is. */
struct btt_translation {
	uint32_t premap;
	uint32_t entry; /* as stored */
	enum btt_map_state state;
	uint32_t block;
	uint64_t off; /* of the block; BTT_NOWHERE if it is out of range */
	/* Recovery will give it another block (state is normal then). */
	bool is_pending;
	uint32_t pending_block;
	uint64_t pending_off;
};

/*
 * Translate sectors premap .. premap + n - 1 of an arena.  log is that of the
 * arena, for what is pending, or NULL.
 * Returns: 0; -EINVAL if the arena has fewer sectors; -ERANGE if their map
 * entries are beyond the medium; -EIO; with the reason.
 */
int btt_inspect_map(const struct media *media,
    const struct btt_inspect_arena *arena, const struct btt_inspect_log *log,
    uint32_t premap, uint32_t n, struct btt_translation *ret_translation,
    struct btt_error *error) BTT_MUST_CHECK;

#endif

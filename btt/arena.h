/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_ARENA_H
#define BTT_ARENA_H

/*
 * arena -- one arena of an open BTT: where its parts are, its flog pairs, its
 * map locks, its health.
 *
 * A flog pair is the unit of writing: a free block and the two log entries
 * that say which write used it last.  Pairs are divided among the lanes in
 * runs of equal length; who holds lane k owns its run in every arena.  With
 * groups a pair is its taker's, of whatever lane: free_bits (I2).
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <btt/btt.h>
#include <lanes/lane.h>
#include <lanes/stripe.h>
#include <lanes/sync.h>

#include "flog.h"
#include "layout.h"

struct kept_record;
struct overlay_pair;

/*
 * Keys: a atomic, L holder of the pair's lane or with groups who took the pair,
 * G its group (group.h).
 */
struct flog_pair {
	uint32_t free_block; /* [L] nobody's block: the next write goes there */
	bool is_sound;       /* [I] there is one, as there is in all to write */
	uint8_t older;       /* [L] half to overwrite, 0 or 1 */
	uint8_t next_seq;    /* [L] number that the next entry gets */
	uint32_t premap;     /* [G] sector whose pending write uses the pair */
	_Atomic uint64_t group; /* [a, G] that write's group, 0: none */
};

/* A map store that a crash prevented. */
struct pending_entry {
	uint32_t premap;
	uint32_t entry; /* what the map should say */
	uint32_t pair;  /* whose newest entry says so */
};

/* What becomes of damage that only who writes need fear. */
struct arena_damage {
	bool is_tolerated;     /* it is told, and what is in doubt left out */
	btt_report_fn *report; /* may be NULL */
	void *report_arg;
};

/*
 * Keys: I immutable after open, a atomic, N error_lock, others as written.
 * Order: lane, map lock, error_lock; one range of map locks at a time (I6).
 * Offsets are bytes from the start of the medium.
 */
struct arena {
	struct media *media;    /* [I] */
	uint32_t index;         /* [I] in the device */
	uint32_t number;        /* [I] in the read tracking table, not 0 */
	enum btt_layout layout; /* [I] */

	uint64_t first_sector;     /* [I] of the device */
	uint32_t external_nlba;    /* [I] */
	uint32_t internal_nlba;    /* [I] */
	uint32_t internal_lbasize; /* [I] bytes from block to block */
	uint32_t sector_bytes;     /* [I] data bytes of a sector */
	uint32_t meta_bytes;       /* [I] kept beside each sector, 0 mostly */
	uint32_t nfree;            /* [I] pairs */

	uint64_t info_off;  /* [I] */
	uint64_t data_off;  /* [I] */
	uint64_t map_off;   /* [I] */
	uint64_t log_off;   /* [I] */
	uint64_t info2_off; /* [I] */

	struct flog_slots slots; /* [I] log entries in use */
	struct flog_pair *pair;  /* nfree of them, keys above */
	/* [a] groups only: a bit a pair, set while nobody has it */
	_Atomic uint64_t *free_bits;

	struct stripe_table *map_locks; /* [I] */
	struct overlay_pair *overlays;  /* [I] NULL where nothing is ahead */
	struct kept_record *kept; /* [I] nfree of them, or NULL (kept.h) */

	/*
	 * [a] sticky: 0, or why writes are refused (I7).  -EIO where the info
	 * block carries the error flag or a map store failed after its log
	 * entry was committed.
	 */
	_Atomic int failed;
	struct mutex error_lock; /* taken last: writing of the info blocks */

	/*
	 * [I] what arena_open found to be completed.  Kept until arena_recover,
	 * so that nothing is written before every arena has been validated.
	 */
	struct pending_entry *pending;
	uint32_t npending;
};

/* Ranks of A.9 in control-plane.md; lanes/ knows nothing of them. */
extern const struct lock_class btt_lane_class;
extern const struct lock_class btt_map_class;
extern const struct lock_class btt_error_class;
extern const struct lock_class btt_group_class;

/*
 * Load and validate an arena's log.  Nothing is written.  damage is NULL if
 * none is tolerated; an arena that has some is for reading only.
 * Errors: -EUCLEAN with the reason, -EIO, -ENOMEM.
 */
int arena_open(struct media *media, const struct btt_arena_place *place,
    enum btt_layout layout, uint32_t index, const struct arena_damage *damage,
    struct arena *ret_arena, struct btt_error *error) BTT_MUST_CHECK;
/* The greater part of it (arena_load.c). */
int arena_load_log(struct arena *arena, const struct arena_damage *damage,
    struct btt_error *error) BTT_MUST_CHECK;
/*
 * Before the first write: does every block have exactly one owner, once what
 * is pending is completed?  Maps that are too large to be read at every open
 * are taken as they are.
 * Errors: -EUCLEAN with the reason, -EIO, -ENOMEM.
 */
int arena_verify_owners(const struct arena *arena, struct btt_error *error)
    BTT_MUST_CHECK;
/* A half-opened arena (all zero but for what was set) is fine. */
void arena_close(struct arena *arena);

/*
 * Complete interrupted writes (4.1): store the missing map entries and fence.
 * Idempotent; a crash in here leaves a state that a rerun completes the same
 * way.  With read_only the entries go to an overlay in memory instead.
 */
int arena_recover(struct arena *arena, bool read_only, struct btt_error *error)
    BTT_MUST_CHECK;

/* Does an info block, of a device with that uuid, say what the arena is? */
bool arena_fits(const struct arena *arena, const uint8_t uuid[BTT_UUID_BYTES],
    const struct btt_info *info);

/* Where block lies. */
static inline uint64_t
arena_block_off(const struct arena *arena, uint32_t block)
{
	return arena->data_off + (uint64_t)block * arena->internal_lbasize;
}

/* Where a half of a pair's log lies. */
static inline uint64_t
arena_flog_off(const struct arena *arena, uint32_t pair, unsigned half)
{
	return arena->log_off + (uint64_t)pair * FLOG_GROUP_BYTES +
	    arena->slots.slot[half] * sizeof(struct flog_media);
}

/* The run of pairs of a lane: pairs first .. ret - 1. */
static inline uint32_t
arena_lane_first(const struct arena *arena, unsigned lane, unsigned nlane)
{
	return (uint32_t)((uint64_t)lane * arena->nfree / nlane);
}

/* The lane whose run a pair is in. */
static inline unsigned
arena_lane_of(const struct arena *arena, uint32_t pair, unsigned nlane)
{
	unsigned lane = (unsigned)((uint64_t)pair * nlane / arena->nfree);

	/* Rounding puts the beginnings of runs one too low at most. */
	while (arena_lane_first(arena, lane + 1, nlane) <= pair)
		lane++;
	return lane;
}

/*
 * Take the pair; false if somebody else or a group has it.  With groups it is
 * the caller's, who holds some lane, until it is given back by any thread;
 * without them whoever holds the lane has its pairs, and both do nothing.
 */
bool arena_take_pair(struct arena *arena, uint32_t pair);
void arena_give_pair(struct arena *arena, uint32_t pair);
/* Only with groups; true or false a moment later. */
bool arena_has_free_pair(const struct arena *arena);

/*
 * Refuse writes from now on.  flag_media: also set the error flag in both
 * info blocks, backup first (5.6), which a later open will see; not for
 * failures of a fence, whose path is not to be trusted with it (P4).
 */
void arena_fail(struct arena *arena, int error, bool flag_media);

/*
 * Set or take back the error flag in both info blocks, durable on return, around
 * a change of what cannot be told from sound if it is cut short.  Writes go on.
 * With map locks held or without.  Errors: that of an arena that has failed,
 * whose flag stays; of the medium.
 */
int arena_doubt(struct arena *arena, bool is_doubted) BTT_MUST_CHECK;

#endif

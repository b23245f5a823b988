/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_BATCH_H
#define BTT_BATCH_H

/*
 * batch -- what one request changes, as an object: which sectors of an arena
 * move from which blocks to which, through which flog pairs.
 *
 * However many sectors it has, a batch is made durable with three fences (I4):
 *
 *	data and flog bodies | fence | flog commits | fence | map | fence
 *
 * A crash before a sector's commit is durable leaves its old content; after
 * it, recovery completes the map and the new content is there.  Commit and
 * body of one entry are apart since a commit that is durable before its data
 * would show a torn sector; map and commit are apart since a map entry that is
 * durable before its commit would leave a block with two owners.
 *
 * Body and commit lie in one cache line, and processors keep the order of the
 * stores to one, so they could share a round and a write-back.  They do not:
 * the format asks media for 8 bytes at once and no more (5.6), and a line that
 * is torn in another order would give a block to a foreign sector.  (Measured
 * it gains a tenth where 32 sectors of 512 bytes are written at once, and
 * nothing that stands out of the noise for one, or on a disk.)
 */
#include <stdint.h>

#include <btt/btt.h>
#include <lanes/lane.h>
#include <lanes/stripe.h>

#include "arena.h"

/*
 * Most sectors of a batch: 1 MiB of 4 KiB sectors, and 17 map locks at most
 * (STRIPE_RANGE_MAX).
 */
#define BATCH_MAX 256u

/* One sector's move. */
struct change {
	uint32_t premap;
	uint32_t pair;      /* flog pair whose free block takes the data */
	uint32_t new_block; /* that block */
	uint32_t old_entry; /* raw map entry before; set by batch_read_old */
};

/* Owned by a worker; changes are for neighbouring sectors, ascending. */
struct batch {
	struct arena *arena;
	unsigned nchange;
	struct change change[BATCH_MAX];
};

/*
 * Take pairs for at most want sectors from premap on.  Without groups they are
 * those of the lanes of span, with more lanes taken into it while they are free
 * and wanted; with groups the first free ones of the arena.  Sets nchange; it
 * is 0 only where all pairs are others' or wait for a group's commit.
 */
void batch_claim(struct batch *batch, struct arena *arena,
    struct lane_span *span, uint32_t premap, unsigned want) REQUIRES(*span);

/* Groups only: the pairs were not used after all. */
void batch_unclaim(struct batch *batch);

/*
 * Look up what the sectors have now.  Under their map locks.
 * Errors: -EIO for an entry out of range or an unreadable map.
 */
int batch_read_old(struct batch *batch, const struct stripe_range *range)
    REQUIRES(*range) BTT_MUST_CHECK;
/* The same inside media_try(), by who holds the locks. */
int batch_look_up(struct batch *batch) BTT_MUST_CHECK;

/* Whatever is to do first, inside media_try(): what it returns is returned. */
typedef int batch_prepare_fn(void *arg);

/*
 * Make the batch durable and visible.
 * prepare, which may be NULL, looks up what the sectors have and places data,
 * if that is not done already; an error of it changes nothing.
 * On success the pairs' free blocks are the old ones.  On failure before the
 * commits nothing has changed; after them the arena is frozen, since the pairs
 * may not be used again before a recovery has looked at them (L5, F3).
 */
int batch_commit(struct batch *batch, batch_prepare_fn *prepare, void *arg,
    const struct lane_span *span, const struct stripe_range *range)
    REQUIRES(*span) REQUIRES(*range) BTT_MUST_CHECK;

/*
 * The steps of a commit on any changes of an arena: stores and the start of
 * their write-back, no fence.  Inside media_try().
 */
int changes_store_bodies(struct arena *arena, const struct change *change,
    unsigned n) BTT_MUST_CHECK;
int changes_store_commits(struct arena *arena, const struct change *change,
    unsigned n) BTT_MUST_CHECK;
int changes_store_map(struct arena *arena, const struct change *change,
    unsigned n) BTT_MUST_CHECK;
/* After the last fence: what was old is free, the other half is older. */
void changes_advance_pairs(
    struct arena *arena, const struct change *change, unsigned n);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_GROUP_H
#define BTT_GROUP_H

/*
 * group -- committing many requests with one set of three fences, where a
 * fence is a sync of a disk.
 *
 * A write places its data in free blocks and adds its map changes to the
 * active group: readers see them through the overlays, the medium says nothing
 * of them yet.  A commit closes the active group, opens the next (so writers go
 * on) and makes the closed one durable in three rounds:
 *
 *	data + flog bodies | sync | flog commits | sync | map | sync
 *
 * Until its commit is durable a crash shows the old sector, wholly; a group is
 * no transaction: each sector of it is old or new by itself.
 *
 *	number	 state		 pairs of its writes
 *	g + 1	 active		 taken: free bit clear, pair.group = g + 1
 *	g	 committing	 pair.group = g; then their old blocks are
 *				 their free blocks and the bits are set
 *	< g	 durable	 -
 *
 * A second write of a sector in one group takes a block of its own, and the
 * first write's pair goes back: what a reader reads is never written over, and
 * a group has one change a sector (I8).
 *
 * Group g's overlay is table g & 1 of each arena; it is empty when g becomes
 * active since g - 2 was cleared before g - 1 could be closed.
 *
 * Who commits: any thread that needs it: a write that must be durable, a
 * flush, a write that finds no free block.  The first becomes the leader, the
 * others sleep, holding no lock.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine.h"

struct kept_header;

/* Allocate and make the device's arenas ready for groups.  0 or -ENOMEM. */
int group_open(struct btt *btt) BTT_MUST_CHECK;
/* Nothing may be pending that anyone still wants durable.  NULL group ok. */
void group_close(struct btt *btt);

/*
 * Add a batch whose data is placed to the active group; returns its number.
 * The sectors are visible on return.  Under their map locks.
 */
uint64_t group_add(struct btt *btt, struct btt_worker *worker,
    struct batch *batch, const struct stripe_range *range) REQUIRES(*range);

/* Add the device's commits and syncs. */
void group_add_stats(const struct btt *btt, struct btt_stats *stats);

/*
 * Before any worker: what kept.h has found is put into the active group, a
 * pair at a time; what happens from now on is recorded there.
 */
void group_restore(
    struct btt *btt, struct arena *arena, uint32_t pair, uint32_t premap);
void group_keep(struct btt *btt, struct kept_header *kept);

void
group_add_commit_stats(const struct btt *btt, struct btt_commit_stats *stats);

/* A change was made that only needs one sync (a Z entry). */
void group_note_dirty(struct btt *btt);

/*
 * Return when group number g and all before it are durable.  No lock held.
 * Errors: sticky, of the medium or of an arena.
 */
int group_wait(struct btt *btt, uint64_t g) BTT_MUST_CHECK;
/* Everything that was added before the call is durable.  No lock held. */
int group_flush(struct btt *btt) BTT_MUST_CHECK;
/*
 * No pair of the arena was free: wait for the running commit, or run one, or
 * wait for who took the pairs.  No lock held.  Errors: as of group_wait.
 */
int group_make_room(struct btt *btt, const struct arena *arena) BTT_MUST_CHECK;

#endif

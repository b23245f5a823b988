/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clear -- making bad sectors and bad free blocks good again while others read
 * and write (bad.h).  What is no data is in clear_meta.c.
 *
 * A sector is cleared by a write of zeroes that has a condition: under the map
 * lock, with the zeroes placed in a free block, it is looked whether the sector
 * still is bad.  Its old block is then free, bad still, and cleared like all
 * free ones.
 */
#include <errno.h>

#include "clear.h"
#include "group.h"
#include "hook.h"
#include "map.h"

/* Entries that are looked at before somebody may say that it is enough. */
#define STEP_ENTRIES 4096u

/* A block of ours that nobody may be reading any more (I3, LN-9). */
static int
clear_block(struct btt *btt, struct arena *arena, uint32_t block)
{
	uint64_t name = rtt_name(arena->number, block);

	if (!MUTANT(96))
		(void)rtt_wait(&btt->pool->rtt, &name, 1);
	return media_clear_bad(arena->media, arena_block_off(arena, block),
	    arena->sector_bytes + arena->meta_bytes);
}

static bool
block_is_bad(const struct arena *arena, uint32_t block)
{
	return media_wants_clear(arena->media, arena_block_off(arena, block),
	    arena->sector_bytes + arena->meta_bytes);
}

/* Does a sector with that entry want to be cleared, and is data lost by it? */
static bool
entry_is_bad(
    const struct arena *arena, uint32_t premap, uint32_t entry, bool *ret_lost)
{
	enum map_state state = map_entry_state(entry);

	*ret_lost = state == MAP_STATE_ERROR || state == MAP_STATE_NORMAL;
	if (state == MAP_STATE_ERROR)
		return true;
	return media_knows_bad(arena->media) &&
	    block_is_bad(arena, map_entry_block(entry, premap));
}

/* The batch's one sector, whose zeroes are placed: commit if it is bad. */
static int
commit_if_bad(struct clear *clear, const struct lane_span *span,
    const struct stripe_range *range, bool *ret_lost) REQUIRES(*span)
    REQUIRES(*range)
{
	struct btt *btt = clear->btt;
	struct batch *batch = &clear->worker->batch;
	struct media *media = btt->media;
	int r;

	/* Again, under the lock: see place_and_commit. */
	if ((r = atomic_load(&batch->arena->failed)) < 0)
		return r;
	if (map_is_bad(batch->arena, batch->change[0].premap, 1))
		return -EIO; /* lost meanwhile: with its unit, or not at all */
	if ((r = batch_read_old(batch, range)) < 0)
		return r;
	if (!entry_is_bad(batch->arena, batch->change[0].premap,
		batch->change[0].old_entry, ret_lost) &&
	    !MUTANT(94))
		return -EALREADY;
	if (btt->group == NULL)
		return batch_commit(batch, NULL, NULL, span, range);
	/* Its own sync makes a page's data durable, and no other's. */
	if (media->granularity != MEDIA_PAGE && (r = media_fence(media)) < 0)
		return r;
	(void)group_add(btt, clear->worker, batch, range); /* flushed later */
	return 0;
}

static int
replace_bad(struct clear *clear, const struct lane_span *span, bool *ret_lost)
    REQUIRES(*span)
{
	struct btt *btt = clear->btt;
	struct batch *batch = &clear->worker->batch;
	struct arena *arena = batch->arena;
	uint32_t block = batch->change[0].new_block;
	uint64_t name = rtt_name(arena->number, block);
	uint64_t line = map_line(batch->change[0].premap);
	struct stripe_range range;
	int r;

	if ((r = atomic_load(&arena->failed)) < 0)
		return r;
	(void)rtt_wait(&btt->pool->rtt, &name, 1);
	if (block_is_bad(arena, block) &&
	    (r = clear_block(btt, arena, block)) < 0)
		return r;
	r = media_try_zero(arena->media, arena_block_off(arena, block),
	    arena->sector_bytes + arena->meta_bytes);
	if (r < 0)
		return r;
	stripe_lock(arena->map_locks, line, line, &range);
	r = commit_if_bad(clear, span, &range, ret_lost);
	stripe_unlock(&range);
	return r;
}

/* A pair of its own for the sector; 0 with an empty batch if there is none. */
static int
try_sector(
    struct clear *clear, struct arena *arena, uint32_t premap, bool *ret_lost)
{
	struct btt_worker *worker = clear->worker;
	int r = 0;

	lane_span_enter(clear->btt->lanes, worker->index, &worker->span);
	batch_claim(&worker->batch, arena, &worker->span, premap, 1);
	if (worker->batch.nchange > 0) {
		r = replace_bad(clear, &worker->span, ret_lost);
		if (r < 0 && clear->btt->group != NULL)
			batch_unclaim(&worker->batch);
		else if (r == 0)
			r = 1;
	}
	lane_span_leave(&worker->span);
	return r;
}

static int
clear_sector(struct clear *clear, struct arena *arena, uint32_t premap)
{
	struct btt_clear_result *result = clear->result;
	bool lost = false;
	int r;

	if ((r = btt_may_write(clear->btt)) < 0)
		return r;
	while ((r = try_sector(clear, arena, premap, &lost)) == 0) {
		if ((r = group_make_room(clear->btt, arena)) < 0)
			return r;
	}
	if (r == -EALREADY)
		return 0; /* somebody has written it meanwhile */
	/* Unless the device has failed it is this sector that has to wait. */
	if (r == -EIO && btt_failed(clear->btt) == 0)
		return 0;
	if (r < 0)
		return r;
	if (lost && result->nlost++ == 0)
		result->first_lost = arena->first_sector + premap;
	result->nsector++;
	return 0;
}

struct find_job {
	struct arena *arena;
	uint32_t premap, end; /* where to look, and where that ended */
};

/* Up to the first sector that looks bad. */
static int
find_bad(void *arg)
{
	struct find_job *job = arg;
	bool lost;

	for (; job->premap < job->end; job->premap++) {
		uint32_t entry = map_read(job->arena, job->premap);

		if (map_entry_in_range(job->arena, entry, job->premap) &&
		    entry_is_bad(job->arena, job->premap, entry, &lost))
			return 1;
	}
	return 0;
}

/* Entries of one step.  Those of a bad unit of the map are passed over. */
static int
clear_step(struct clear *clear, struct find_job *job, uint32_t end)
{
	int r = 0;

	while (job->premap < end && r >= 0) {
		/* Units of the map, whose start is aligned to them. */
		job->end = map_unit_end(job->arena, job->premap);
		if (job->end > end)
			job->end = end;
		if (map_is_bad(job->arena, job->premap, 1)) {
			job->premap = job->end;
			continue;
		}
		if ((r = media_try(find_bad, job)) > 0)
			r = clear_sector(clear, job->arena, job->premap++);
		else if (r == -EIO) {
			/* A unit that is lost and nobody has met yet. */
			job->premap = job->end;
			r = 0;
		}
	}
	return r;
}

int
clear_may_go_on(const struct clear *clear, uint64_t done)
{
	const struct btt_clear_options *options = clear->options;

	if (options->is_unwanted != NULL && options->is_unwanted(options->arg))
		return -ECANCELED;
	if (options->progress != NULL)
		options->progress(options->arg, done, options->count);
	return 0;
}

static int
clear_sectors(struct clear *clear)
{
	const struct btt_clear_options *options = clear->options;
	uint64_t sector = options->first;
	uint64_t end = options->first + options->count;
	int r = 0;

	while (sector < end && r == 0) {
		struct arena *arena = btt_arena_of(clear->btt, sector);
		struct find_job job = { .arena = arena };
		uint64_t n = end - sector;

		job.premap = (uint32_t)(sector - arena->first_sector);
		if (n > arena->external_nlba - job.premap)
			n = arena->external_nlba - job.premap;
		if (n > STEP_ENTRIES)
			n = STEP_ENTRIES;
		if ((r = clear_may_go_on(clear, sector - options->first)) == 0)
			r = clear_step(clear, &job, job.premap + (uint32_t)n);
		sector += n;
	}
	return r;
}

/* The lane is held, the pair in no group. */
static int
clear_pair(struct clear *clear, struct arena *arena, uint32_t pair)
{
	uint32_t block = arena->pair[pair].free_block;
	int r;

	if (!arena->pair[pair].is_sound || !block_is_bad(arena, block))
		return 0;
	r = clear_block(clear->btt, arena, block);
	if (r == 0)
		clear->result->nblock++;
	/* A unit that a neighbour shares stays, with what nleft says. */
	return r == -EIO && media_failed(arena->media) == 0 ? 0 : r;
}

static int
clear_lane(struct clear *clear, struct arena *arena, unsigned lane)
{
	unsigned nlane = lane_set_count(clear->btt->lanes);
	uint32_t end = arena_lane_first(arena, lane + 1, nlane);
	int r = 0;

	for (uint32_t i = arena_lane_first(arena, lane, nlane);
	     i < end && r == 0; i++) {
		if (!arena_take_pair(arena, i))
			continue; /* its block will be cleared before use */
		r = clear_pair(clear, arena, i);
		arena_give_pair(arena, i);
	}
	return r;
}

/* One lane after the other: writers pass by on the others. */
static int
clear_free_blocks(struct clear *clear)
{
	struct btt *btt = clear->btt;
	struct lane_span *span = &clear->worker->span;
	int r = 0;

	for (unsigned lane = 0; lane < btt->geometry.nlane && r == 0; lane++) {
		lane_span_enter_only(btt->lanes, lane, span);
		for (uint32_t i = 0; i < btt->narena && r == 0; i++) {
			if (atomic_load(&btt->arena[i].failed) == 0)
				r = clear_lane(clear, &btt->arena[i], lane);
		}
		lane_span_leave(span);
	}
	return r;
}

static uint64_t
count_left(const struct media *media)
{
	struct media_range ranges[MEDIA_BAD_MAX];
	uint64_t n = 0;
	size_t i, nrange;

	nrange = media_list_bad(media, ranges, MEDIA_BAD_MAX);
	for (i = 0; i < nrange; i++)
		n += ranges[i].len / BAD_UNIT;
	return n;
}

int
btt_begin_clearing(struct btt *btt)
{
	return atomic_exchange(&btt->clearing, true) && !MUTANT(100) ? -EBUSY
								     : 0;
}

void
btt_end_clearing(struct btt *btt)
{
	atomic_store(&btt->clearing, false);
}

static int
clear_all(struct clear *clear)
{
	struct btt *btt = clear->btt;
	int r;

	if ((r = btt_may_write(btt)) < 0 || (r = clear_maps(clear)) < 0 ||
	    (r = clear_sectors(clear)) < 0)
		return r;
	/* The blocks that sectors have left are nobody's after that. */
	if ((r = btt_flush(btt, clear->worker)) < 0)
		return r;
	if (!media_knows_bad(btt->media))
		return 0;
	if ((r = clear_free_blocks(clear)) < 0)
		return r;
	return clear_metadata(clear);
}

int
btt_clear_bad(struct btt *btt, struct btt_worker *worker,
    const struct btt_clear_options *options,
    struct btt_clear_result *ret_result)
{
	struct clear clear = {
		.btt = btt,
		.worker = worker,
		.options = options,
		.result = ret_result,
	};
	int r;

	*ret_result = (struct btt_clear_result){ 0 };
	if (options->first > btt->geometry.nsector ||
	    options->count > btt->geometry.nsector - options->first)
		return -ERANGE;
	if ((r = btt_begin_clearing(btt)) < 0)
		return r;
	r = clear_all(&clear);
	btt_end_clearing(btt);
	ret_result->nleft = count_left(btt->media);
	return r;
}

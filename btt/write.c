/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * write -- the write path.
 *
 * For a run of neighbouring sectors of one arena: take lanes and their free
 * blocks, wait for readers of those blocks, place the data, lock the map lines
 * (or the other way round: places_early), look up what the sectors have, commit
 * (batch.c, group.c), let go.
 *
 * A sector that is written in part, or that carries metadata to be kept, is
 * composed from its old content; then the map lines are locked before the data
 * is placed, so that no other writer changes that content meanwhile.
 *
 * Lanes and map locks are held while the medium is written to and, without
 * groups, fenced: both are locks that sleep (LN-3).
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "engine.h"
#include "group.h"
#include "hook.h"
#include "map.h"

/* Longer copies are done before the map locks are taken: see places_early. */
#ifdef BTT_TEST_HOOKS
#define LOCKED_COPY_MAX 512u /* the explorer's requests are short */
#else
#define LOCKED_COPY_MAX 16384u
#endif

/* What is written where: len bytes from src, skip bytes into premap. */
struct write_job {
	struct btt *btt;
	struct btt_worker *worker;
	uint32_t skip;
	size_t len;
	const uint8_t *src; /* NULL: zeroes */
	bool compose;       /* parts of sectors, or sectors with metadata */
	bool is_placed;     /* the data is where it belongs */
};

/* The part of sector i of the batch that the request covers. */
static void
sector_part(const struct write_job *job, unsigned i, size_t *ret_start,
    size_t *ret_len, const uint8_t **ret_src)
{
	size_t sector_bytes = job->btt->geometry.sector_bytes;
	size_t before = i * sector_bytes; /* from the first sector's start */
	size_t start = before < job->skip ? job->skip - before : 0;
	size_t done = before + start - job->skip;
	size_t part = sector_bytes - start;

	if (part > job->len - done)
		part = job->len - done;
	*ret_start = start;
	*ret_len = part;
	*ret_src = job->src == NULL ? NULL : job->src + done;
}

static int
place_bytes(struct media *media, uint64_t off, const uint8_t *src, size_t len)
{
	return src == NULL ? media_zero(media, off, len)
			   : media_copy(media, off, src, len);
}

/* Whole sectors: adjacent free blocks take one copy. */
static int
place_whole(void *arg)
{
	const struct write_job *job = arg;
	struct batch *batch = &job->worker->batch;
	struct arena *arena = batch->arena;
	size_t sector_bytes = arena->sector_bytes;
	unsigned i = 0;
	unsigned n;
	int r;

	for (; i < batch->nchange; i += n) {
		n = 1;
		while (arena->internal_lbasize == sector_bytes &&
		    i + n < batch->nchange &&
		    batch->change[i + n].new_block ==
			batch->change[i].new_block + n)
			n++;
		r = place_bytes(arena->media,
		    arena_block_off(arena, batch->change[i].new_block),
		    job->src == NULL ? NULL : job->src + i * sector_bytes,
		    n * sector_bytes - MUTATE(16, 0, 64));
		if (r < 0)
			return r;
	}
	return 0;
}

/* Old content of the sector into the worker's buffer, metadata included. */
static int
load_old(
    const struct write_job *job, const struct change *change, bool data_wanted)
{
	struct arena *arena = job->worker->batch.arena;
	enum map_state state = map_entry_state(change->old_entry);
	uint32_t block = map_entry_block(change->old_entry, change->premap);
	size_t bytes = arena->sector_bytes + arena->meta_bytes;
	bool zero = state == MAP_STATE_ZERO ||
	    (state == MAP_STATE_INITIAL && job->btt->initial_is_zero);

	/* A sector marked bad can be written whole, not in part. */
	if (state == MAP_STATE_ERROR) {
		if (data_wanted && !MUTANT(73))
			return -EIO;
		zero = true;
	}
	if (!zero &&
	    media_is_bad(arena->media, arena_block_off(arena, block), bytes))
		return -EIO;
	if (zero) {
		memset(job->worker->sector, 0, bytes);
	} else {
		const void *old =
		    media_at(arena->media, arena_block_off(arena, block));

		HOOK_LOAD(old, bytes);
		memcpy(job->worker->sector, old, bytes);
	}
	return 0;
}

/* Parts of sectors, and sectors with metadata: compose each. */
static int
place_composed(void *arg)
{
	const struct write_job *job = arg;
	struct batch *batch = &job->worker->batch;
	struct arena *arena = batch->arena;
	uint8_t *sector = job->worker->sector;
	int r;

	for (unsigned i = 0; i < batch->nchange; i++) {
		const struct change *change = &batch->change[i];
		const uint8_t *src;
		size_t start, len;

		sector_part(job, i, &start, &len, &src);
		r = load_old(job, change, len < arena->sector_bytes);
		if (r < 0)
			return r;
		if (src == NULL)
			memset(sector + start, 0, len);
		else
			memcpy(sector + start, src, len);
		r = media_copy(arena->media,
		    arena_block_off(arena, change->new_block), sector,
		    arena->sector_bytes + arena->meta_bytes);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Only the lane's holder writes: no locked instruction is needed. */
static void
add_to(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter,
	    atomic_load_explicit(counter, memory_order_relaxed) + n,
	    memory_order_relaxed);
}

/* One that has joined a group needs no fences, and is committed with that. */
static void
count_batch(struct btt *btt, struct btt_worker *worker)
{
	struct lane_stats *stats = &btt->lane_stats[worker->span.lane[0]];

	if (btt->group == NULL) {
		add_to(&stats->nfence, 3);
		add_to(&stats->nbatch, 1);
	}
	add_to(&stats->nsector_written, worker->batch.nchange);
}

/*
 * Under the map locks: what the sectors have, and the data if it is not placed.
 * It is counted here, where the data is on its way and nobody waits for us.
 */
static int
look_up_and_place(void *arg)
{
	struct write_job *job = arg;
	int r;

	if ((r = batch_look_up(&job->worker->batch)) < 0)
		return r;
	if (!job->is_placed && !(MUTANT(25) && !job->compose))
		r = job->compose ? place_composed(job) : place_whole(job);
	if (r == 0)
		count_batch(job->btt, job->worker);
	return r;
}

/*
 * Before the map locks are taken, or under them?  A lock is an instruction that
 * waits for copies on their way to the medium, as a fence does.  Where the
 * commit follows at once, it is better to have the first fence wait for copies
 * and log together, if the copy is short; a long one is worth a wait more, and
 * not worth keeping others from the lines.
 */
static bool
places_early(const struct write_job *job)
{
	return !job->compose &&
	    (job->btt->group != NULL || job->len > LOCKED_COPY_MAX);
}

/* Nobody may be reading the blocks that are written next (I3). */
static void
wait_for_readers(struct btt *btt, struct btt_worker *worker)
{
	struct batch *batch = &worker->batch;
	struct lane_stats *stats = &btt->lane_stats[worker->span.lane[0]];
	uint64_t ns;

	for (unsigned i = 0; i < batch->nchange; i++)
		worker->name[i] =
		    rtt_name(batch->arena->number, batch->change[i].new_block);
	ns = rtt_wait(&btt->pool->rtt, worker->name, batch->nchange);
	if (ns == 0)
		return;
	atomic_fetch_add_explicit(
	    &stats->nreader_wait, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(
	    &stats->reader_wait_ns, ns, memory_order_relaxed);
}

/*
 * Blocks that are known to be bad are made good before they are used, while
 * the lane is ours: nobody else can have put data there (LN-9).  Where it is
 * map entries that are bad nothing can be written, since what they say is lost.
 */
static int
clear_bad_blocks(const struct batch *batch, bool later)
{
	struct arena *arena = batch->arena;
	size_t bytes = arena->sector_bytes + arena->meta_bytes;
	int r = 0;

	if (!media_knows_bad(arena->media) || MUTANT(79))
		return 0;
	if (map_is_bad(arena, batch->change[0].premap, batch->nchange))
		return -EIO;
	for (unsigned i = 0; i < batch->nchange && r == 0; i++) {
		uint64_t off =
		    arena_block_off(arena, batch->change[i].new_block);

		if (media_wants_clear(arena->media, off, bytes))
			r = later ? -EAGAIN
				  : media_clear_bad(arena->media, off, bytes);
	}
	return r;
}

/* Data is durable before its group's first sync only if we see to it. */
static int
fence_own_data(struct media *media)
{
	return media->granularity == MEDIA_PAGE || MUTANT(65)
	    ? 0
	    : media_fence(media);
}

/*
 * Place the data and commit, or add to the group whose number is returned.
 * The batch has its pairs.
 */
static int
place_and_commit(struct write_job *job, const struct lane_span *span,
    uint64_t *ret_group) REQUIRES(*span)
{
	struct btt *btt = job->btt;
	struct batch *batch = &job->worker->batch;
	uint32_t first = batch->change[0].premap;
	struct stripe_range range;
	int r;

	/*
	 * Whoever had these lanes may have failed between the commit and the
	 * map: then our block is another sector's after recovery, and must not
	 * be written to (I7).
	 */
	if ((r = atomic_load(&batch->arena->failed)) < 0 && !MUTANT(68))
		return r;
	wait_for_readers(btt, job->worker);
	if ((r = clear_bad_blocks(batch, MUTANT(78))) < 0)
		return r;
	if (places_early(job) && !MUTANT(25)) {
		if ((r = media_try(place_whole, job)) < 0)
			return r;
		job->is_placed = true;
	}
	stripe_lock(batch->arena->map_locks, map_line(first),
	    map_line(first + batch->nchange - 1), &range);
	/*
	 * Again, now that nobody else can be between the commit and the map of
	 * these sectors, on whatever lane: where the map could not be stored,
	 * what it says is not what recovery will make of it, and must not be
	 * built upon.
	 */
	if ((r = atomic_load(&batch->arena->failed)) < 0 && !MUTANT(58))
		goto out;
	if (MUTANT(42)) { /* composed from what may be old by now */
		if ((r = media_try(look_up_and_place, job)) < 0)
			goto out;
		stripe_unlock(&range);
		HOOK_POINT("unlocked");
		stripe_lock(batch->arena->map_locks, map_line(first),
		    map_line(first + batch->nchange - 1), &range);
		job->is_placed = true;
	}
	if (btt->group == NULL) {
		r = batch_commit(batch, look_up_and_place, job, span, &range);
		if (MUTANT(25) && !job->compose && r == 0)
			r = media_try(place_whole, job);
	} else if ((r = media_try(look_up_and_place, job)) == 0 &&
	    (r = fence_own_data(btt->media)) == 0) {
		*ret_group = group_add(btt, job->worker, batch, &range);
	}
out:
	stripe_unlock(&range);
	return r;
}

int
write_some(struct btt *btt, struct btt_worker *worker, uint64_t off, size_t len,
    const uint8_t *src, size_t *ret_written, uint64_t *ret_group)
{
	uint64_t sector_bytes = btt->geometry.sector_bytes;
	struct write_job job = { .btt = btt, .worker = worker, .src = src };
	uint64_t sector = btt_sectors(btt, off, &job.skip);
	struct arena *arena = btt_arena_of(btt, sector);
	uint32_t premap = (uint32_t)(sector - arena->first_sector);
	struct batch *batch = &worker->batch;
	uint64_t want, room;
	uint32_t rest;
	int r;

	if ((r = btt_may_write(btt)) < 0)
		return r;
	if ((r = atomic_load(&arena->failed)) < 0)
		return r;
	want = btt_sectors(btt, job.skip + len, &rest);
	want += rest != 0;
	room = arena->external_nlba - premap;
	if (room > BATCH_MAX)
		room = BATCH_MAX;
	if (want > room)
		want = room;

	/* Fetched while the lane is waited for. */
	map_prefetch(arena, premap);
	stripe_prefetch(arena->map_locks, map_line(premap));
	lane_span_enter(btt->lanes, worker->index, &worker->span);
	batch_claim(batch, arena, &worker->span, premap, (unsigned)want);
	if (batch->nchange == 0) {
		lane_span_leave(&worker->span);
		*ret_written = 0;
		return group_make_room(btt, arena);
	}
	job.len = len;
	if (len > batch->nchange * sector_bytes - job.skip) {
		job.len = batch->nchange * sector_bytes - job.skip;
		rest = 0;
	}
	job.compose = job.skip != 0 || rest != 0 || arena->meta_bytes != 0;
	r = place_and_commit(&job, &worker->span, ret_group);
	if (r < 0 && btt->group != NULL)
		batch_unclaim(batch);
	if (MUTANT(30) && r < 0)
		worker->span.nlane = 0; /* forgotten, not left */
	lane_span_leave(&worker->span);
	if (MUTANT(78) && r == -EAGAIN) { /* whose are the blocks now? */
		*ret_written = 0;
		return clear_bad_blocks(batch, false);
	}
	if (r == 0)
		*ret_written = job.len;
	return r;
}

/* What was added to groups is durable, if writes promise that. */
int
write_settle(struct btt *btt, uint64_t group)
{
	if (group == 0 || btt->geometry.durability != BTT_DURABLE_WRITE)
		return 0;
	return group_wait(btt, group);
}

int
btt_write(struct btt *btt, struct btt_worker *worker, uint64_t off, size_t len,
    const void *src)
{
	const uint8_t *bytes = src;
	uint64_t group = 0;
	size_t written;
	int r;

	if (!btt_range_inside(btt, off, len))
		return -ERANGE;
	while (len > 0) {
		r = write_some(btt, worker, off, len, bytes, &written, &group);
		if (r < 0)
			return r;
		off += written;
		bytes += written;
		len -= written;
	}
	/* Groups end in order: the last one's end is the first one's too. */
	return write_settle(btt, group);
}

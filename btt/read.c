/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * read -- the read path: no lock, no allocation, no copy that the caller does
 * not ask for.
 *
 * One publication covers a window of sectors: look all map entries up, publish
 * the blocks they own, look them up again.  An entry that changed in between
 * is published anew and looked up again; one that did not names a block that
 * stays as it is until the window ends (I3).
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "engine.h"
#include "group.h"
#include "hook.h"
#include "map.h"

/* The same source is compiled for one sector and for many. */
#define INLINE inline __attribute__((always_inline))

#define PREFETCH_BYTES 512u /* no sector is shorter */

const uint8_t btt_zeroes[BTT_SECTOR_MAX] = { 0 };

/* Sectors that are published together, of one arena; see read_window. */
struct read_job {
	struct btt *btt;
	struct btt_worker *worker;
	struct arena *arena;
	uint32_t premap; /* of the first sector */
	unsigned begin;  /* its place in the worker's window */
	unsigned n;
	uint32_t skip; /* bytes of the first sector that are not wanted */
	size_t len;    /* bytes that are */
	bool is_published;
	uint8_t *dst; /* NULL: the caller reads through iov */
	struct iovec *iov;
	int niov;
};

/* Does the entry have content on the medium that a reader looks at? */
static inline bool
has_data(const struct btt *btt, uint32_t entry)
{
	enum map_state state = map_entry_state(entry);

	return state == MAP_STATE_NORMAL ||
	    (state == MAP_STATE_INITIAL && !btt->initial_is_zero);
}

/* Is the block known not to hold what was written? */
static bool
block_is_bad(const struct arena *arena, uint32_t block)
{
	return media_is_bad(arena->media, arena_block_off(arena, block),
	    arena->sector_bytes + arena->meta_bytes);
}

/*
 * Is something bad that a reader of the sector needs: its map entry, the block?
 *
 * A unit of the map may have been lost when the entry was loaded, and be
 * rebuilt just now (clear_map.c): nothing that is loaded in between is an
 * entry.  It is known to be bad for that long, so whoever asks here between two
 * loads of the same has loaded what holds, or hears of it.
 */
static __attribute__((noinline)) bool
sector_is_bad(const struct btt *btt, const struct arena *arena, uint32_t premap,
    uint32_t entry)
{
	return (map_is_bad(arena, premap, 1) && !MUTANT(97)) ||
	    (has_data(btt, entry) &&
		block_is_bad(arena, map_entry_block(entry, premap)));
}

/*
 * Data is wanted as soon as its block is published, which takes as long as to
 * fetch it.  Of larger sectors the beginning: the rest is asked for in time by
 * the copy, but not beyond what waits for the first line of all.
 */
static inline void
prefetch_data(const uint8_t *data)
{
#pragma GCC unroll 8
	for (unsigned i = 0; i < PREFETCH_BYTES; i += LANES_CACHE_LINE)
		__builtin_prefetch(data + i);
}

/* Enter what the map says of the i-th sector, just loaded, into the window. */
static INLINE int
enter(
    const struct read_job *job, unsigned i, uint32_t entry, uint64_t *ret_name)
{
	struct read_window *window = &job->worker->window;
	const struct arena *arena = job->arena;
	uint32_t premap = job->premap + i;
	uint32_t block = map_entry_block(entry, premap);

	window->entry[job->begin + i] = entry;
	/* Media may have changed since it was checked: look each time. */
	if (map_entry_state(entry) == MAP_STATE_ERROR ||
	    block >= arena->internal_nlba ||
	    (media_knows_bad(arena->media) &&
		sector_is_bad(job->btt, arena, premap, entry)))
		return -EIO;
	if (has_data(job->btt, entry)) {
		const uint8_t *data =
		    media_at(arena->media, arena_block_off(arena, block));

		prefetch_data(data);
		window->data[job->begin + i] = data;
		*ret_name = rtt_name(arena->number, MUTATE(32, block, entry));
	} else {
		window->data[job->begin + i] = btt_zeroes;
		*ret_name = RTT_NOTHING;
	}
	return 0;
}

/* Until what is published of the i-th sector, now entry, is in the map. */
static __attribute__((noinline)) int
publish_anew(const struct read_job *job, unsigned i, uint32_t entry)
{
	uint32_t published;
	uint64_t name;
	int r;

	/* A turn for each write of this sector by others: they progress. */
	do {
		if ((r = enter(job, i, entry, &name)) < 0)
			return r;
		if (!MUTANT(66))
			rtt_replace(job->worker->slot, job->begin + i, name);
		published = entry;
		entry = map_read(job->arena, job->premap + i);
	} while (entry != published);
	return 0;
}

static INLINE int
publish_window(const struct read_job *shared, unsigned n)
{
	/* A copy, or each name that is stored has all of it loaded again. */
	const struct read_job job = *shared;
	struct rtt_slot *slot = job.worker->slot;
	const uint32_t *published = &job.worker->window.entry[job.begin];
	uint32_t entry;
	uint64_t name;
	int r;

	for (unsigned i = 0; i < n; i++) {
		entry = map_read(job.arena, job.premap + i);
		if ((r = enter(&job, i, entry, &name)) < 0)
			return r;
		rtt_note(slot, job.begin + i, name);
	}
	rtt_publish(slot, job.begin + n);
	for (unsigned i = 0; i < n && !MUTANT(11); i++) {
		entry = map_read(job.arena, job.premap + i);
		if (entry != published[i] &&
		    (r = publish_anew(shared, i, entry)) < 0)
			return r;
	}
	return 0;
}

/*
 * Does a sector at next go on where len bytes at base end?  Zeroes are all in
 * one place, which lasts for a while.
 */
static inline bool
goes_on(const uint8_t *base, size_t len, const uint8_t *next, uint32_t bytes)
{
	return next == base + len ||
	    (next == btt_zeroes && base == btt_zeroes &&
		len + bytes <= sizeof(btt_zeroes));
}

static inline void
hand_out(struct read_job *job, const uint8_t *base, size_t len)
{
	if (job->dst == NULL) {
		/* An iovec cannot say const; readers of it do not write. */
		job->iov[job->niov].iov_base = (void *)(uintptr_t)base;
		job->iov[job->niov].iov_len = len;
		job->niov++;
		return;
	}
	HOOK_POINT("data load");
	HOOK_LOAD(base, len);
	memcpy(job->dst, base, len);
	job->dst += len;
}

/* Sectors that lie side by side are handed out as one. */
static INLINE void
hand_out_window(struct read_job *job, unsigned n)
{
	const uint8_t *const *data = &job->worker->window.data[job->begin];
	uint32_t bytes = job->btt->geometry.sector_bytes;
	uint32_t skip = job->skip;
	size_t left = job->len;

	for (unsigned i = 0; i < n;) {
		const uint8_t *base = data[i] + skip;
		size_t len = bytes - skip;

		while (++i < n && goes_on(base, len, data[i], bytes))
			len += bytes;
		if (len > left)
			len = left;
		hand_out(job, base, len);
		left -= len;
		skip = 0;
	}
	assert(left == 0);
}

/*
 * All that touches the medium, in one guard.  The signal fence keeps the
 * compiler from noting the publication after a fault of the copy.
 */
static INLINE int
read_window(struct read_job *job, unsigned n)
{
	int r;

	if ((r = publish_window(job, n)) < 0)
		return r;
	job->is_published = true;
	atomic_signal_fence(memory_order_seq_cst);
	if (MUTANT(67) && job->dst != NULL)
		rtt_clear(job->worker->slot);
	hand_out_window(job, n);
	return 0;
}

/* Most reads are of one sector: the same without loops. */
static int
read_one(void *arg)
{
	return read_window(arg, 1);
}

static int
read_many(void *arg)
{
	struct read_job *job = arg;

	return read_window(job, job->n);
}

static inline int
try_window(struct read_job *job)
{
	return media_try(job->n == 1 ? read_one : read_many, job);
}

struct mark_job {
	struct btt *btt;
	struct arena *arena;
	uint32_t premap;
	uint32_t seen; /* the entry before, which only mutants believe */
};

/*
 * Under the map lock, look again: a write may have put the sector elsewhere
 * since (LN-10).  One whose change is not on the medium yet is left alone.
 */
static int
mark_bad_sector(void *arg)
{
	const struct mark_job *job = arg;
	struct arena *arena = job->arena;
	uint32_t premap = job->premap;
	uint32_t entry =
	    MUTANT(26) || MUTANT(74) ? job->seen : map_read(arena, premap);
	uint32_t block = map_entry_block(entry, premap);
	int r;

	if ((entry != map_read_media(arena, premap) && !MUTANT(77) &&
		!MUTANT(26) && !MUTANT(74)) ||
	    block >= arena->internal_nlba ||
	    !(has_data(job->btt, entry) || MUTANT(82)) ||
	    map_is_bad(arena, premap, 1) || !block_is_bad(arena, block))
		return 0;
	r = map_store(arena, premap, MAP_ERROR | MUTATE(76, block, premap));
	return r < 0 ? r : map_flush(arena, premap, 1);
}

/*
 * Sectors of a window whose blocks are bad get E in the map, so that they fail
 * after the next open too (4.2 of btt-format.md: same block, E only).  Errors
 * in here change nothing: the read fails anyway.
 */
static void
mark_bad_sectors(struct read_job *job)
{
	struct mark_job mark = { .btt = job->btt, .arena = job->arena };
	struct arena *arena = job->arena;
	struct stripe_range range;

	if (btt_may_write(job->btt) < 0 || atomic_load(&arena->failed) < 0)
		return;
	for (unsigned i = 0; i < job->n; i++) {
		uint64_t line;
		int r;

		mark.premap = job->premap + i;
		mark.seen = job->worker->window.entry[job->begin + i];
		line = map_line(mark.premap);
		stripe_lock(arena->map_locks, line, line, &range);
		if (MUTANT(26) || MUTANT(75)) { /* as if it were not ours */
			stripe_unlock(&range);
			r = media_try(mark_bad_sector, &mark);
			stripe_lock(arena->map_locks, line, line, &range);
		} else {
			r = media_try(mark_bad_sector, &mark);
		}
		stripe_unlock(&range);
		if (r < 0)
			return;
	}
	if (job->btt->group != NULL)
		group_note_dirty(job->btt);
	else
		(void)media_fence(job->btt->media);
}

/*
 * A window from off on: as many of len bytes as it has room for and lie in one
 * arena.  It ends on a sector's end, or where len does.
 */
static inline void
job_init(struct read_job *job, uint64_t off, size_t len)
{
	const struct btt *btt = job->btt;
	uint32_t bytes = btt->geometry.sector_bytes;
	uint64_t sector = btt_sectors(btt, off, &job->skip);
	uint32_t rest;

	job->arena = btt_arena_of(btt, sector);
	job->premap = (uint32_t)(sector - job->arena->first_sector);
	map_prefetch(job->arena, job->premap);
	job->n = 1;
	if (len > bytes - job->skip) {
		job->n = BTT_READ_SECTORS - job->begin;
		if (job->n > job->arena->external_nlba - job->premap)
			job->n = job->arena->external_nlba - job->premap;
		if (len > (size_t)job->n * bytes - job->skip)
			len = (size_t)job->n * bytes - job->skip;
		job->n = (unsigned)btt_sectors(btt, job->skip + len, &rest);
		job->n += rest != 0;
	}
	job->len = len;
	job->is_published = false;
}

/* Nothing could be published. */
static void
fail_window(struct read_job *job)
{
	if (!MUTANT(81))
		rtt_clear(job->worker->slot);
	if (media_knows_bad(job->btt->media))
		mark_bad_sectors(job);
}

int
btt_read_begin(struct btt *btt, struct btt_worker *worker, uint64_t off,
    size_t len, struct iovec *iov, int *ret_niov)
{
	struct read_job job = { .btt = btt, .worker = worker, .iov = iov };
	uint32_t skip;
	int r;

	if (!btt_range_inside(btt, off, len))
		return -ERANGE;
	(void)btt_sectors(btt, off, &skip);
	if (skip + len >
	    (uint64_t)BTT_READ_SECTORS * btt->geometry.sector_bytes)
		return -EINVAL;
	/* What was published of one arena stays so with that of the next. */
	while (len > 0) {
		job_init(&job, off, len);
		if ((r = try_window(&job)) < 0) {
			fail_window(&job);
			return r;
		}
		job.begin += job.n;
		off += job.len;
		len -= job.len;
	}
	*ret_niov = job.niov;
	return 0;
}

static inline void
end_window(struct btt_worker *worker)
{
	if (!MUTANT(14))
		rtt_clear(worker->slot);
}

void
btt_read_end(struct btt *btt, struct btt_worker *worker)
{
	(void)btt;
	end_window(worker);
}

/*
 * A copy that met poison: remember where, while our slot still names the block.
 * After that it may be written, which makes it good again, and then hold a
 * sector that must not be taken for lost.
 */
static bool
note_poison(struct btt *btt)
{
	uint64_t at;

	return media_was_poison(btt->media, &at) &&
	    media_add_bad(btt->media, at, 1) == 0;
}

/* Mark what is known to be bad now, by asking for it. */
static void
mark_poison(
    struct btt *btt, struct btt_worker *worker, uint64_t off, size_t len)
{
	int niov;

	if (btt_read_begin(btt, worker, off, len, worker->iov, &niov) == 0)
		btt_read_end(btt, worker);
}

static int
copy_window(struct read_job *job, uint64_t off)
{
	struct btt_worker *worker = job->worker;
	struct btt *btt = job->btt;
	bool poison;
	int r;

	r = try_window(job);
	if (r < 0 && !job->is_published) {
		fail_window(job);
		return r;
	}
	if (MUTANT(80))
		rtt_clear(worker->slot);
	poison = r < 0 && note_poison(btt);
	end_window(worker);
	if (poison)
		mark_poison(btt, worker, off, job->len);
	return r;
}

int
btt_read(struct btt *btt, struct btt_worker *worker, uint64_t off, size_t len,
    void *dst)
{
	struct read_job job = { .btt = btt, .worker = worker, .dst = dst };
	int r;

	if (!btt_range_inside(btt, off, len))
		return -ERANGE;
	while (len > 0) {
		job_init(&job, off, len);
		if ((r = copy_window(&job, off)) < 0)
			return r;
		off += job.len;
		len -= job.len;
	}
	return 0;
}

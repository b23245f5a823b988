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

#define PREFETCH_BYTES 512u /* no sector is shorter */

const uint8_t btt_zeroes[BTT_SECTOR_MAX] = { 0 };

/* A window of sectors; see read_window for the states. */
struct read_job {
	struct btt *btt;
	struct btt_worker *worker;
	uint64_t first; /* sector of the device */
	unsigned n;
	uint32_t skip; /* bytes of the first sector that are not wanted */
	size_t len;    /* bytes that are */
	bool any_bad;  /* some range of the medium is known to be bad */
	bool is_published;
	struct iovec *iov;
	int niov;
	uint8_t *dst; /* NULL: the caller reads through iov */
};

/* Walks the sectors of a window over arena boundaries. */
struct cursor {
	const struct btt *btt;
	struct arena *arena;
	uint32_t premap;
};

static void
cursor_init(struct cursor *cursor, const struct btt *btt, uint64_t sector)
{
	cursor->btt = btt;
	cursor->arena = btt_arena_of(btt, sector);
	cursor->premap = (uint32_t)(sector - cursor->arena->first_sector);
}

static void
cursor_next(struct cursor *cursor)
{
	if (++cursor->premap < cursor->arena->external_nlba)
		return;
	if (cursor->arena->index + 1 < cursor->btt->narena)
		cursor->arena++;
	cursor->premap = 0;
}

/* Is the block of this entry known not to hold what was written? */
static bool
block_is_bad(const struct cursor *at, uint32_t entry)
{
	const struct arena *arena = at->arena;

	return media_is_bad(arena->media,
	    arena_block_off(arena, map_entry_block(entry, at->premap)),
	    arena->sector_bytes + arena->meta_bytes);
}

/* Does the entry have content on the medium that a reader looks at? */
static bool
has_data(const struct btt *btt, uint32_t entry)
{
	enum map_state state = map_entry_state(entry);

	return state == MAP_STATE_NORMAL ||
	    (state == MAP_STATE_INITIAL && !btt->initial_is_zero);
}

/*
 * Is something bad that a reader of the sector needs: its map entry, the block?
 */
static bool
sector_is_bad(const struct btt *btt, const struct cursor *at, uint32_t entry)
{
	return map_is_bad(at->arena, at->premap, 1) ||
	    (has_data(btt, entry) && block_is_bad(at, entry));
}

/* Where the data of the entry lies, of which there is some. */
static const uint8_t *
data_of(const struct cursor *at, uint32_t entry)
{
	return media_at(at->arena->media,
	    arena_block_off(at->arena, map_entry_block(entry, at->premap)));
}

/*
 * Data is wanted as soon as its block is published, which takes as long as to
 * fetch it.  Of larger sectors the beginning: the rest is asked for in time by
 * the copy, but not beyond what waits for the first line of all.
 */
static inline void
prefetch_data(const uint8_t *data)
{
	for (unsigned i = 0; i < PREFETCH_BYTES; i += LANES_CACHE_LINE)
		__builtin_prefetch(data + i);
}

static inline int
name_of(const struct read_job *job, const struct cursor *at, uint32_t entry,
    uint64_t *ret_name)
{
	*ret_name = RTT_NOTHING;
	if (map_entry_state(entry) == MAP_STATE_ERROR)
		return -EIO;
	/* Media may have changed since it was checked: look each time. */
	if (!map_entry_in_range(at->arena, entry, at->premap))
		return -EIO;
	if (job->any_bad && sector_is_bad(job->btt, at, entry))
		return -EIO;
	if (!has_data(job->btt, entry))
		return 0;
	*ret_name = rtt_name(at->arena->number,
	    MUTATE(32, map_entry_block(entry, at->premap), entry));
	prefetch_data(data_of(at, entry));
	return 0;
}

/* Until the published entry i is what the map says. */
static inline int
settle(struct read_job *job, const struct cursor *at, unsigned i)
{
	uint32_t *published = &job->worker->window.entry[i];
	uint64_t name;
	uint32_t entry;
	int r;

	if (MUTANT(11))
		return 0;
	/* A turn for each write of this sector by others: they progress. */
	while ((entry = map_read(at->arena, at->premap)) != *published) {
		job->any_bad = media_knows_bad(job->btt->media);
		if ((r = name_of(job, at, entry, &name)) < 0)
			return r;
		if (!MUTANT(66))
			rtt_replace(job->worker->slot, i, name);
		*published = entry;
	}
	return 0;
}

/* Is an entry of the window known to be lost?  See publish_window. */
static bool
has_lost_entry(struct read_job *job)
{
	struct cursor at;

	job->any_bad = true;
	cursor_init(&at, job->btt, job->first);
	for (unsigned i = 0; i < job->n; i++, cursor_next(&at)) {
		if (map_is_bad(at.arena, at.premap, 1))
			return true;
	}
	return false;
}

static inline int
publish_window(struct read_job *job)
{
	struct btt_worker *worker = job->worker;
	struct cursor at;
	uint64_t name;
	int r;

	cursor_init(&at, job->btt, job->first);
	for (unsigned i = 0; i < job->n; i++, cursor_next(&at)) {
		worker->window.entry[i] = map_read(at.arena, at.premap);
		r = name_of(job, &at, worker->window.entry[i], &name);
		if (r < 0)
			return r;
		rtt_note(worker->slot, i, name);
	}
	rtt_publish(worker->slot, job->n);
	/*
	 * A unit may have been lost since the window began, and be rebuilt just
	 * now (clear_map.c): nothing that is read in between is an entry.  It
	 * is known to be bad for that long, so whoever reads the same before
	 * and after this has read what holds, or hears of it here.
	 */
	if (!job->any_bad && media_knows_bad(job->btt->media) && !MUTANT(97) &&
	    has_lost_entry(job))
		return -EIO;
	cursor_init(&at, job->btt, job->first);
	for (unsigned i = 0; i < job->n; i++, cursor_next(&at)) {
		if ((r = settle(job, &at, i)) < 0)
			return r;
	}
	return 0;
}

static void
iov_add(struct iovec *iov, int *niov, const void *base, size_t len)
{
	if (*niov > 0) {
		struct iovec *last = &iov[*niov - 1];

		if ((const char *)last->iov_base + last->iov_len == base) {
			last->iov_len += len;
			return;
		}
	}
	/* An iovec cannot say const; readers of it do not write. */
	iov[*niov].iov_base = (void *)(uintptr_t)base;
	iov[*niov].iov_len = len;
	++*niov;
}

/* Zeroes go on where the last ones ended, while the constant page lasts. */
static void
iov_add_zeroes(struct iovec *iov, int *niov, size_t len)
{
	if (*niov > 0) {
		struct iovec *last = &iov[*niov - 1];

		if (last->iov_base == btt_zeroes &&
		    last->iov_len + len <= sizeof(btt_zeroes)) {
			last->iov_len += len;
			return;
		}
	}
	iov[*niov].iov_base = (void *)(uintptr_t)btt_zeroes;
	iov[*niov].iov_len = len;
	++*niov;
}

struct mark_job {
	struct btt *btt;
	struct cursor at;
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
	struct arena *arena = job->at.arena;
	uint32_t premap = job->at.premap;
	uint32_t entry =
	    MUTANT(26) || MUTANT(74) ? job->seen : map_read(arena, premap);
	int r;

	if ((entry != map_read_media(arena, premap) && !MUTANT(77) &&
		!MUTANT(26) && !MUTANT(74)) ||
	    !map_entry_in_range(arena, entry, premap) ||
	    !(has_data(job->btt, entry) || MUTANT(82)) ||
	    map_is_bad(arena, premap, 1) || !block_is_bad(&job->at, entry))
		return 0;
	r = map_store(arena, premap,
	    MAP_ERROR | MUTATE(76, map_entry_block(entry, premap), premap));
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
	struct mark_job mark = { .btt = job->btt };
	struct stripe_range range;

	if (btt_may_write(job->btt) < 0)
		return;
	cursor_init(&mark.at, job->btt, job->first);
	for (unsigned i = 0; i < job->n; i++, cursor_next(&mark.at)) {
		struct arena *arena = mark.at.arena;
		uint64_t line = map_line(mark.at.premap);
		int r;

		if (atomic_load(&arena->failed) < 0)
			continue;
		mark.seen = job->worker->window.entry[i];
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

static void
fill_iov(struct read_job *job)
{
	uint32_t sector_bytes = job->btt->geometry.sector_bytes;
	uint32_t skip = job->skip;
	size_t len = job->len;
	struct cursor at;

	cursor_init(&at, job->btt, job->first);
	for (unsigned i = 0; i < job->n; i++, cursor_next(&at)) {
		uint32_t entry = job->worker->window.entry[i];
		size_t part =
		    sector_bytes - skip < len ? sector_bytes - skip : len;

		if (has_data(job->btt, entry))
			iov_add(job->iov, &job->niov,
			    data_of(&at, entry) + skip, part);
		else
			iov_add_zeroes(job->iov, &job->niov, part);
		len -= part;
		skip = 0;
	}
	assert(len == 0);
}

static void
copy_out(const struct read_job *job)
{
	uint8_t *dst = job->dst;

	for (int i = 0; i < job->niov; i++) {
		HOOK_POINT("data load");
		HOOK_LOAD(job->iov[i].iov_base, job->iov[i].iov_len);
		memcpy(dst, job->iov[i].iov_base, job->iov[i].iov_len);
		dst += job->iov[i].iov_len;
	}
}

/*
 * All that touches the medium, in one guard.  The signal fence keeps the
 * compiler from noting the publication after a fault of the copy.
 */
static int
read_window(void *arg)
{
	struct read_job *job = arg;
	int r;

	if ((r = publish_window(job)) < 0)
		return r;
	job->is_published = true;
	atomic_signal_fence(memory_order_seq_cst);
	fill_iov(job);
	if (job->dst != NULL) {
		if (MUTANT(67))
			rtt_clear(job->worker->slot);
		copy_out(job);
	}
	return 0;
}

/* The bytes may reach from off to the end of a window of sectors at most. */
static void
job_init(struct read_job *job, struct btt *btt, struct btt_worker *worker,
    uint64_t off, size_t len)
{
	struct cursor at;
	uint32_t rest;

	job->btt = btt;
	job->worker = worker;
	job->first = btt_sectors(btt, off, &job->skip);
	job->n = (unsigned)btt_sectors(btt, job->skip + len, &rest);
	job->n += rest != 0;
	job->len = len;
	job->any_bad = media_knows_bad(btt->media);
	job->is_published = false;
	job->niov = 0;
	cursor_init(&at, btt, job->first);
	map_prefetch(at.arena, at.premap);
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

static size_t
window_bytes(const struct btt *btt, uint64_t off)
{
	uint32_t skip;

	(void)btt_sectors(btt, off, &skip);
	return (size_t)BTT_READ_SECTORS * btt->geometry.sector_bytes - skip;
}

int
btt_read_begin(struct btt *btt, struct btt_worker *worker, uint64_t off,
    size_t len, struct iovec *iov, int *ret_niov)
{
	struct read_job job = { .iov = iov };
	int r;

	if (!btt_range_inside(btt, off, len))
		return -ERANGE;
	if (len == 0) {
		*ret_niov = 0;
		return 0;
	}
	if (len > window_bytes(btt, off))
		return -EINVAL;
	job_init(&job, btt, worker, off, len);
	if ((r = media_try(read_window, &job)) < 0) {
		fail_window(&job);
		return r;
	}
	*ret_niov = job.niov;
	return 0;
}

void
btt_read_end(struct btt *btt, struct btt_worker *worker)
{
	(void)btt;
	if (!MUTANT(14))
		rtt_clear(worker->slot);
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

	r = media_try(read_window, job);
	if (r < 0 && !job->is_published) {
		fail_window(job);
		return r;
	}
	if (MUTANT(80))
		rtt_clear(worker->slot);
	poison = r < 0 && note_poison(btt);
	btt_read_end(btt, worker);
	if (poison)
		mark_poison(btt, worker, off, job->len);
	return r;
}

int
btt_read(struct btt *btt, struct btt_worker *worker, uint64_t off, size_t len,
    void *dst)
{
	struct read_job job = { .iov = worker->iov, .dst = dst };
	size_t part;
	int r;

	if (!btt_range_inside(btt, off, len))
		return -ERANGE;
	while (len > 0) {
		/* A window ends on a sector's end. */
		part = window_bytes(btt, off);
		if (part > len)
			part = len;
		job_init(&job, btt, worker, off, part);
		if ((r = copy_window(&job, off)) < 0)
			return r;
		off += part;
		len -= part;
		job.dst += part;
	}
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zero -- making ranges read as zeroes.
 *
 * Where the format allows it for every reader (btt-format.md 2.4) a whole
 * sector becomes a Z entry: one 4-byte store that changes no owner, so a crash
 * leaves either entry, and no log record is needed (2.3).  Else zeroes are
 * written like any data.
 */
#include <errno.h>

#include "engine.h"
#include "group.h"
#include "hook.h"
#include "map.h"
#include "overlay.h"

/* Sectors whose map locks are held at a time. */
#define ZERO_STEP 256u

struct zero_job {
	struct btt *btt;
	struct arena *arena;
	uint32_t premap;
	unsigned n;    /* wanted */
	unsigned done; /* leading sectors that read as zeroes now */
};

/* Does a group have a change of this sector that is not on the medium? */
static bool
is_pending(const struct zero_job *job, uint32_t premap)
{
	uint32_t entry;

	return job->btt->group != NULL && !MUTANT(54) &&
	    overlay_pair_find(job->arena->overlays, premap, &entry);
}

/* Under the map locks.  Stops before a sector that must be written. */
static int
set_zero_entries(void *arg)
{
	struct zero_job *job = arg;
	struct arena *arena = job->arena;
	int r;

	for (; job->done < job->n; job->done++) {
		uint32_t premap = job->premap + job->done;
		uint32_t entry;

		if (is_pending(job, premap))
			break;
		entry = map_read_media(arena, premap);
		if (!map_entry_in_range(arena, entry, premap))
			return -EIO;
		if (map_entry_state(entry) == MAP_STATE_ZERO)
			continue;
		r = map_store(arena, premap,
		    MAP_ZERO |
			MUTATE(55, map_entry_block(entry, premap), premap));
		if (r < 0)
			return r;
	}
	if (job->done == 0)
		return 0;
	return map_flush(arena, job->premap, job->done);
}

/* Whole sectors of one arena; *ret_n of them are done. */
static int
zero_entries(
    struct btt *btt, uint64_t sector, uint64_t nsector, uint64_t *ret_n)
{
	struct arena *arena = btt_arena_of(btt, sector);
	uint32_t premap = (uint32_t)(sector - arena->first_sector);
	uint64_t room = arena->external_nlba - premap;
	struct zero_job job = { .btt = btt, .arena = arena, .premap = premap };
	struct stripe_range range;
	int r;

	if ((r = btt_may_write(btt)) < 0)
		return r;
	if ((r = atomic_load(&arena->failed)) < 0)
		return r;
	if (room > nsector)
		room = nsector;
	job.n = room > ZERO_STEP ? ZERO_STEP : (unsigned)room;
	stripe_lock(arena->map_locks, map_line(premap),
	    map_line(premap + job.n - 1), &range);
	/* Again, under the locks: see place_and_commit. */
	if ((r = atomic_load(&arena->failed)) == 0 &&
	    map_is_bad(arena, premap, job.n))
		r = -EIO;
	if (r == 0)
		r = media_try(set_zero_entries, &job);
	stripe_unlock(&range);
	if (r < 0)
		return r;
	/* Where writes are durable on return btt_zero syncs by itself. */
	if (btt->group != NULL && job.done > 0 &&
	    btt->geometry.durability == BTT_DURABLE_FLUSH && !MUTANT(57))
		group_note_dirty(btt);
	*ret_n = job.done;
	return 0;
}

/* Bytes that can be zeroed by entries at off: whole sectors only. */
static uint64_t
whole_sectors(const struct btt *btt, uint64_t off, uint64_t len)
{
	uint32_t sector_bytes = btt->geometry.sector_bytes;

	if (!btt->may_set_zero || off % sector_bytes != 0)
		return 0;
	return len / sector_bytes;
}

int
btt_zero(struct btt *btt, struct btt_worker *worker, uint64_t off, size_t len)
{
	uint32_t sector_bytes = btt->geometry.sector_bytes;
	bool stored = false;
	uint64_t group = 0;
	int r;

	if (!btt_range_inside(btt, off, len))
		return -ERANGE;
	while (len > 0) {
		uint64_t n = whole_sectors(btt, off, len);
		size_t done = 0;

		if (n > 0) {
			r = zero_entries(btt, off / sector_bytes, n, &n);
			if (r < 0)
				return r;
			done = (size_t)(n * sector_bytes);
			stored = stored || n > 0;
		}
		if (done == 0) {
			/* One sector at most: entries may do for the next. */
			size_t part = sector_bytes - off % sector_bytes;

			if (!btt->may_set_zero || part > len)
				part = len;
			r = write_some(
			    btt, worker, off, part, NULL, &done, &group);
			if (r < 0)
				return r;
		}
		off += done;
		len -= done;
	}
	/*
	 * Entries that a flush will make durable need no fence here, but only
	 * a sync covers what other threads have stored.
	 */
	if (stored && !MUTANT(56) &&
	    (btt->geometry.durability == BTT_DURABLE_WRITE ||
		btt->media->granularity != MEDIA_PAGE) &&
	    (r = media_fence(btt->media)) < 0 && !MUTANT(29))
		return r;
	return write_settle(btt, group);
}

struct seek_job {
	struct btt *btt;
	uint64_t sector;
	bool want_hole;
};

/* From the sector on, the first whose kind is wanted; or the end. */
static int
seek_sectors(void *arg)
{
	struct seek_job *job = arg;
	struct btt *btt = job->btt;

	while (job->sector < btt->geometry.nsector) {
		struct arena *arena = btt_arena_of(btt, job->sector);
		uint32_t premap = (uint32_t)(job->sector - arena->first_sector);

		for (; premap < arena->external_nlba; premap++) {
			enum map_state state =
			    map_entry_state(map_read(arena, premap));
			bool hole = state == MAP_STATE_ZERO ||
			    (state == MAP_STATE_INITIAL &&
				btt->initial_is_zero);

			if (hole == job->want_hole)
				return 0;
			job->sector++;
		}
	}
	return 0;
}

static int
seek(struct btt *btt, uint64_t off, bool want_hole, uint64_t *ret_off)
{
	uint32_t sector_bytes = btt->geometry.sector_bytes;
	struct seek_job job = { btt, off / sector_bytes, want_hole };
	uint64_t found;
	int r;

	if (off >= btt->geometry.size_bytes)
		return -ENXIO;
	if ((r = media_try(seek_sectors, &job)) < 0)
		return r;
	if (job.sector >= btt->geometry.nsector && !want_hole)
		return -ENXIO;
	found = job.sector * sector_bytes;
	*ret_off = found > off ? found : off;
	return 0;
}

int
btt_seek_data(
    struct btt *btt, struct btt_worker *worker, uint64_t off, uint64_t *ret_off)
{
	(void)worker;
	return seek(btt, off, false, ret_off);
}

int
btt_seek_hole(
    struct btt *btt, struct btt_worker *worker, uint64_t off, uint64_t *ret_off)
{
	(void)worker;
	return seek(btt, off, true, ret_off);
}

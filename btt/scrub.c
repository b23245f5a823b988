/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "hook.h"
#include "map.h"
#include "scrub_impl.h"

/* Sectors that are read together: readers hold up who frees their blocks. */
#define WINDOW_BYTES 65536u
/* Media are touched in these; one load a cache line meets all poison. */
#define PAGE_BYTES 4096u
#define LINE_BYTES 64u

/* Keep it for when nothing is held (struct btt_scrub_options). */
static void
collect(void *arg, const struct btt_finding *finding)
{
	struct btt_scrub *scrub = arg;

	if (scrub->npending < SCRUB_PENDING_MAX)
		scrub->pending[scrub->npending++] = *finding;
}

void
scrub_deliver(struct btt_scrub *scrub)
{
	const struct btt_scrub_options *options = &scrub->options;

	for (unsigned i = 0; i < scrub->npending; i++) {
		if (options->report != NULL)
			options->report(
			    options->report_arg, &scrub->pending[i]);
	}
	scrub->npending = 0;
}

int
btt_scrub_new(struct btt *btt, const struct btt_scrub_options *options,
    struct btt_scrub **ret_scrub)
{
	struct btt_scrub *scrub;

	if (options->first > btt->geometry.nsector ||
	    options->count > btt->geometry.nsector - options->first)
		return -ERANGE;
	if ((scrub = calloc(1, sizeof(*scrub))) == NULL)
		return -ENOMEM;
	scrub->btt = btt;
	scrub->options = *options;
	scrub->check_options.report = collect;
	scrub->check_options.report_arg = scrub;
	scrub->check.media = btt->media;
	scrub->check.options = &scrub->check_options;
	scrub->check.result = &scrub->check_result;
	scrub->check.error = &scrub->error;
	scrub->check.layout = btt->geometry.layout;
	*ret_scrub = scrub;
	return 0;
}

void
btt_scrub_free(struct btt_scrub *scrub)
{
	if (scrub != NULL)
		free(scrub->seen);
	free(scrub);
}

struct touch_job {
	const struct media *media;
	uint64_t off, end;
};

static int
touch(void *arg)
{
	const struct touch_job *job = arg;

	HOOK_POINT("scrub");
	HOOK_LOAD(media_at(job->media, job->off), job->end - job->off);
	for (uint64_t off = job->off; off < job->end; off += LINE_BYTES)
		(void)media_load32(job->media, off);
	return 0;
}

static uint64_t
count_known(const struct media *media, uint64_t off, uint64_t end)
{
	uint64_t n = 0, len;

	for (; media_next_bad(media, off, end, &off, &len); off += len)
		n += len / BAD_UNIT;
	return n;
}

/*
 * True if the unit cannot be read, and it is not known that it is bad: a full
 * list is no reason not to tell.
 */
static bool
is_unreadable(struct media *media, struct touch_job *job, bool *lost)
{
	uint64_t at;

	if (media_is_bad(media, job->off, 1) || media_try(touch, job) == 0)
		return false;
	*lost = true;
	return !media_was_poison(media, &at) || media_add_bad(media, at, 1) < 0;
}

/* Unit by unit, since one of them is known not to be readable. */
static bool
touch_units(struct btt_scrub *scrub, uint64_t off, uint64_t end)
{
	struct touch_job job = { .media = scrub->btt->media };
	uint64_t first = end, last = off; /* what there is to tell */
	bool lost = false;

	for (; off < end; off = job.end) {
		job.off = off;
		job.end = off - off % BAD_UNIT + BAD_UNIT;
		if (job.end > end)
			job.end = end;
		if (!is_unreadable(scrub->btt->media, &job, &lost))
			continue;
		if (off < first)
			first = off;
		last = job.end;
	}
	if (first < last && !scrub->is_first_look)
		check_found(&scrub->check, CHECK_UNREADABLE, BTT_NO_ENTRY,
		    first, "%" PRIu64 " bytes cannot be read", last - first);
	return lost;
}

bool
scrub_touch(struct btt_scrub *scrub, uint64_t off, uint64_t len)
{
	struct media *media = scrub->btt->media;
	uint64_t first = off - off % BAD_UNIT;
	uint64_t end =
	    off + len + (BAD_UNIT - (off + len) % BAD_UNIT) % BAD_UNIT;
	uint64_t before = count_known(media, first, end), after;
	struct touch_job job = { .media = media };
	bool lost = false;

	(void)media_notice_bad(media, off, (size_t)len);
	/* Aligned loads: the first one lies in the same line, so unit. */
	for (job.off = off - off % LINE_BYTES; job.off < off + len;
	     job.off = job.end) {
		job.end = job.off - job.off % PAGE_BYTES + PAGE_BYTES;
		if (job.end > off + len)
			job.end = off + len;
		if (media_try(touch, &job) < 0 &&
		    touch_units(scrub, job.off, job.end))
			lost = true;
	}
	/* Others may clear some of it meanwhile. */
	after = count_known(media, first, end);
	if (after > before)
		scrub->result.nbad += after - before;
	return lost || media_is_bad(media, off, (size_t)len);
}

/*
 * The block behind zeroes that an entry makes: nobody reads it for them.  False
 * if the entry cannot be read any more.
 */
static bool
touch_zero_block(struct btt_scrub *scrub, uint64_t sector)
{
	struct arena *arena = btt_arena_of(scrub->btt, sector);
	uint32_t premap = (uint32_t)(sector - arena->first_sector);
	struct stripe_range range;
	uint32_t entry;
	int r;

	/* Under the lock it stays the sector's, so nobody writes to it. */
	stripe_lock(
	    arena->map_locks, map_line(premap), map_line(premap), &range);
	r = map_try_read(arena, premap, &entry);
	if (r == 0 && map_entry_state(entry) == MAP_STATE_ZERO &&
	    map_entry_in_range(arena, entry, premap))
		(void)scrub_touch(scrub,
		    arena_block_off(arena, map_entry_block(entry, premap)),
		    arena->sector_bytes + arena->meta_bytes);
	stripe_unlock(&range);
	return r == 0;
}

/* Whatever of the n sectors the medium has, while our slot names it (I3). */
static bool
touch_window(struct btt_scrub *scrub, struct btt_worker *worker, int niov)
{
	const struct media *media = scrub->btt->media;
	bool lost = false;

	for (int i = 0; i < niov; i++) {
		uintptr_t at = (uintptr_t)worker->iov[i].iov_base;

		/* Zeroes are named in a page of ours. */
		if (at - (uintptr_t)media->base >= media->size)
			continue;
		if (scrub_touch(scrub, at - (uintptr_t)media->base,
			worker->iov[i].iov_len))
			lost = true;
	}
	return lost;
}

static bool
is_zero(const struct btt_worker *worker, unsigned i)
{
	return map_entry_state(worker->window.entry[i]) == MAP_STATE_ZERO;
}

/* False if one of them at least cannot be read, which is known then. */
static bool
read_sectors(struct btt_scrub *scrub, struct btt_worker *worker,
    uint64_t sector, unsigned n)
{
	struct btt *btt = scrub->btt;
	size_t bytes = btt->geometry.sector_bytes;
	bool lost;
	int niov;

	if (btt_read_begin(
		btt, worker, sector * bytes, n * bytes, worker->iov, &niov) < 0)
		return false;
	if (MUTANT(95))
		btt_read_end(btt, worker);
	lost = touch_window(scrub, worker, niov);
	if (!MUTANT(95))
		btt_read_end(btt, worker);
	if (!lost)
		scrub->is_first_look = false; /* there is no other one */
	for (unsigned i = 0; i < n && !lost; i++)
		lost =
		    is_zero(worker, i) && !touch_zero_block(scrub, sector + i);
	return !lost;
}

static void
count_unreadable(struct btt_scrub *scrub, uint64_t sector)
{
	const struct arena *arena = btt_arena_of(scrub->btt, sector);
	uint32_t premap = (uint32_t)(sector - arena->first_sector), entry;

	scrub->result.nunreadable++;
	if (map_try_read(arena, premap, &entry) == 0 &&
	    map_entry_state(entry) == MAP_STATE_ERROR)
		scrub->result.nmarked++;
}

/* One of a window that could not be read as a whole. */
static void
read_sector(struct btt_scrub *scrub, struct btt_worker *worker, uint64_t sector)
{
	struct btt *btt = scrub->btt;
	size_t bytes = btt->geometry.sector_bytes;
	int niov;

	if (read_sectors(scrub, worker, sector, 1))
		return;
	/* What has just been listed gets its mark by being asked for. */
	if (btt_read_begin(
		btt, worker, sector * bytes, bytes, worker->iov, &niov) == 0)
		btt_read_end(btt, worker);
	count_unreadable(scrub, sector);
}

static uint64_t
scrub_data(
    struct btt_scrub *scrub, struct btt_worker *worker, uint64_t max_bytes)
{
	size_t bytes = scrub->btt->geometry.sector_bytes;
	uint64_t sector = scrub->options.first + scrub->sector;
	uint64_t n =
	    (max_bytes < WINDOW_BYTES ? max_bytes : WINDOW_BYTES) / bytes;
	bool lost;

	if (n == 0)
		n = 1;
	if (n > scrub->options.count - scrub->sector)
		n = scrub->options.count - scrub->sector;
	/* Of a window that has something each sector is looked at again. */
	scrub->is_first_look = true;
	lost = !read_sectors(scrub, worker, sector, (unsigned)n);
	scrub->is_first_look = false;
	if (lost) {
		for (uint64_t i = 0; i < n; i++)
			read_sector(scrub, worker, sector + i);
	}
	scrub->sector += n;
	scrub->result.nsector += n;
	return n * bytes;
}

/* Is there nothing left to do in this stage?  Then the next one begins. */
static void
advance(struct btt_scrub *scrub)
{
	bool is_over = false;

	switch (scrub->stage) {
	case SCRUB_INFO:
	case SCRUB_LOG:
		is_over = scrub->arena == scrub->btt->narena;
		break;
	case SCRUB_MAP:
	case SCRUB_OWNERS:
	case SCRUB_DATA:
		is_over = scrub->sector == scrub->options.count;
		break;
	case SCRUB_END:
		return;
	}
	if (!is_over)
		return;
	scrub->stage++;
	scrub->arena = 0;
	scrub->sector = scrub->stage == SCRUB_END ? scrub->sector : 0;
	if (scrub->stage == SCRUB_OWNERS)
		scrub_begin_owners(scrub);
}

bool
btt_scrub_step(struct btt_scrub *scrub, struct btt_worker *worker,
    uint64_t max_bytes, uint64_t *ret_bytes)
{
	uint64_t bytes = 0;

	/* A range of nothing has stages without a step. */
	advance(scrub);
	switch (scrub->stage) {
	case SCRUB_INFO:
		bytes = scrub_info(scrub);
		break;
	case SCRUB_LOG:
		bytes = scrub_log(scrub, worker);
		break;
	case SCRUB_MAP:
		bytes = scrub_map(scrub, max_bytes);
		break;
	case SCRUB_OWNERS:
		bytes = scrub_owners(scrub, worker);
		break;
	case SCRUB_DATA:
		bytes = scrub_data(scrub, worker, max_bytes);
		break;
	case SCRUB_END:
		break;
	}
	advance(scrub);
	scrub_deliver(scrub);
	scrub->result.bytes += bytes;
	scrub->result.nmetadata = scrub->check_result.ndamage;
	*ret_bytes = bytes;
	return scrub->stage != SCRUB_END;
}

const char *
btt_scrub_stage(const struct btt_scrub *scrub)
{
	static const char *const names[] = {
		[SCRUB_INFO] = "info",
		[SCRUB_LOG] = "log",
		[SCRUB_MAP] = "map",
		[SCRUB_OWNERS] = "map",
		[SCRUB_DATA] = "data",
		[SCRUB_END] = "data",
	};

	return names[scrub->stage];
}

uint64_t
btt_scrub_done(const struct btt_scrub *scrub)
{
	return scrub->stage < SCRUB_DATA ? 0 : scrub->sector;
}

void
btt_scrub_get_result(
    const struct btt_scrub *scrub, struct btt_scrub_result *ret_result)
{
	*ret_result = scrub->result;
}

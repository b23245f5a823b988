/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scrub_meta -- reading what is no data while others change it: each under the
 * lock of those who do, so that nothing half changed is ever taken for damage.
 */
#include <inttypes.h>
#include <string.h>

#include "flog.h"
#include "map.h"
#include "probe.h"
#include "scrub_impl.h"

/* Metadata that is known to be bad, met in passing; true if there is any. */
static bool
is_bad_metadata(struct btt_scrub *scrub, uint64_t off, uint64_t len)
{
	uint64_t bad_len;

	if (!scrub_touch(scrub, off, len))
		return false;
	/* What could not be read for another reason has been told. */
	if (media_next_bad(scrub->btt->media, off, off + len, &off, &bad_len))
		check_found(&scrub->check, CHECK_BAD_METADATA, BTT_NO_ENTRY,
		    off, "%" PRIu64 " bytes of metadata are known to be bad",
		    bad_len);
	return true;
}

/* --- info blocks --- */

static void
check_copy(struct btt_scrub *scrub, const struct arena *arena, uint64_t off)
{
	enum check_kind kind =
	    off == arena->info_off ? CHECK_INFO : CHECK_INFO2;
	const char *what = kind == CHECK_INFO ? "the info block"
					      : "the copy of the info block";
	uint8_t block[BTT_INFO_BYTES];
	struct btt_info info;

	if (is_bad_metadata(scrub, off, BTT_INFO_BYTES))
		return;
	if (probe_read_block(arena->media, off, block) < 0)
		return; /* gone since it was touched: the next one tells */
	if (btt_info_decode(block, &info) != BTT_INFO_VALID)
		check_found(&scrub->check, kind, BTT_NO_ENTRY, off,
		    "%s is damaged", what);
	else if (!arena_fits(arena, scrub->btt->geometry.uuid, &info))
		check_found(&scrub->check, kind, BTT_NO_ENTRY, off,
		    "%s does not say what the arena was opened with", what);
}

uint64_t
scrub_info(struct btt_scrub *scrub)
{
	struct arena *arena = &scrub->btt->arena[scrub->arena];

	scrub->check.arena = scrub->arena++;
	mutex_lock(&arena->error_lock);
	check_copy(scrub, arena, arena->info_off);
	check_copy(scrub, arena, arena->info2_off);
	mutex_unlock(&arena->error_lock);
	return (uint64_t)2 * BTT_INFO_BYTES;
}

/* --- the log, and the blocks that nobody owns --- */

static void
found_in_pair(struct btt_scrub *scrub, const struct arena *arena, uint32_t pair,
    enum check_kind kind, const char *what)
{
	check_found(&scrub->check, kind, pair,
	    arena->log_off + (uint64_t)pair * FLOG_GROUP_BYTES,
	    "log pair %u: %s", pair, what);
}

/* The lane is ours: the medium must say of the pair what memory does. */
static void
compare_pair(struct btt_scrub *scrub, const struct arena *arena, uint32_t index,
    const struct flog_media group[FLOG_GROUP_SLOTS])
{
	const struct flog_pair *pair = &arena->pair[index];
	struct flog_entry half[2];
	const char *field;
	int newer;

	for (unsigned i = 0; i < 2; i++)
		half[i] = flog_decode(&group[arena->slots.slot[i]]);
	newer = flog_pick(half[0].seq, half[1].seq);
	if (newer < 0)
		found_in_pair(scrub, arena, index, CHECK_LOG_SEQ,
		    "its sequence numbers are damaged");
	else if (flog_validate(&half[newer], arena->external_nlba,
		     arena->internal_nlba, &field) < 0)
		found_in_pair(scrub, arena, index, CHECK_LOG_RANGE,
		    "a number is out of range");
	else if (newer == pair->older ||
	    flog_next_seq(half[newer].seq) != pair->next_seq ||
	    (half[newer].old_map & MAP_BLOCK_MASK) != pair->free_block)
		found_in_pair(scrub, arena, index, CHECK_LOG_CHANGED,
		    "it does not say what was written last");
}

static void
check_pair(struct btt_scrub *scrub, struct arena *arena, uint32_t index)
{
	struct flog_media group[FLOG_GROUP_SLOTS];
	uint64_t off = arena->log_off + (uint64_t)index * FLOG_GROUP_BYTES;

	/* Of an arena that has failed only a recovery can tell what is so. */
	if (!arena->pair[index].is_sound || atomic_load(&arena->failed) < 0)
		return;
	if (!is_bad_metadata(scrub, off, sizeof(group)) &&
	    probe_read(arena->media, off, group, sizeof(group)) == 0)
		compare_pair(scrub, arena, index, group);
	(void)scrub_touch(scrub,
	    arena_block_off(arena, arena->pair[index].free_block),
	    arena->sector_bytes + arena->meta_bytes);
}

/* Pairs of the span's lane; how many of them a group has. */
static uint32_t
check_pairs(struct btt_scrub *scrub, struct arena *arena, uint32_t first,
    uint32_t end, const struct lane_span *span) REQUIRES(*span)
{
	uint32_t nbusy = 0;

	(void)span;
	for (uint32_t i = first; i < end; i++) {
		if (!arena_take_pair(arena, i)) {
			nbusy++;
			continue;
		}
		check_pair(scrub, arena, i);
		arena_give_pair(arena, i);
	}
	return nbusy;
}

uint64_t
scrub_log(struct btt_scrub *scrub, struct btt_worker *worker)
{
	struct btt *btt = scrub->btt;
	struct arena *arena = &btt->arena[scrub->arena];
	unsigned nlane = lane_set_count(btt->lanes);
	unsigned lane = arena_lane_of(arena, scrub->pair, nlane);
	uint32_t end = arena_lane_first(arena, lane + 1, nlane);
	uint32_t nbusy;

	scrub->check.arena = scrub->arena;
	if (end - scrub->pair > SCRUB_PAIRS)
		end = scrub->pair + SCRUB_PAIRS;
	lane_span_enter_only(btt->lanes, lane, &worker->span);
	nbusy = check_pairs(scrub, arena, scrub->pair, end, &worker->span);
	lane_span_leave(&worker->span);
	/* Those that wait for a commit may be had a little later. */
	if (nbusy > 0 && ++scrub->ntry < SCRUB_TRIES)
		return FLOG_GROUP_BYTES;
	scrub->result.nskipped += nbusy;
	scrub->ntry = 0;
	nbusy = end - scrub->pair;
	scrub->pair = end;
	if (end == arena->nfree) {
		scrub->pair = 0;
		scrub->arena++;
	}
	return nbusy * (FLOG_GROUP_BYTES + (uint64_t)arena->internal_lbasize);
}

/* --- the map --- */

struct entries_job {
	const struct arena *arena;
	uint32_t premap, end;
};

/* Up to the first entry that is out of range. */
static int
find_out_of_range(void *arg)
{
	struct entries_job *job = arg;

	for (; job->premap < job->end; job->premap++) {
		if (!map_entry_in_range(job->arena,
			map_read_media(job->arena, job->premap), job->premap))
			return 1;
	}
	return 0;
}

/* Looked at again under its lock: then it is damage and no accident. */
static void
confirm(struct btt_scrub *scrub, struct arena *arena, uint32_t premap)
{
	struct entries_job job = { arena, premap, premap + 1 };
	struct stripe_range range;
	int r;

	stripe_lock(
	    arena->map_locks, map_line(premap), map_line(premap), &range);
	r = media_try(find_out_of_range, &job);
	stripe_unlock(&range);
	if (r == 1)
		check_found(&scrub->check, CHECK_MAP_RANGE, premap,
		    arena->map_off + (uint64_t)premap * MAP_ENTRY_BYTES,
		    "the map entry of sector %" PRIu64 " is out of range",
		    arena->first_sector + premap);
}

static void
check_entries_of_unit(
    struct btt_scrub *scrub, struct arena *arena, uint32_t premap, uint32_t end)
{
	struct entries_job job = { arena, premap, end };

	if (is_bad_metadata(scrub,
		arena->map_off + (uint64_t)premap * MAP_ENTRY_BYTES,
		(uint64_t)(end - premap) * MAP_ENTRY_BYTES))
		return;
	while (media_try(find_out_of_range, &job) == 1)
		confirm(scrub, arena, job.premap++);
	scrub_see_owners(scrub, arena, premap, end);
}

uint64_t
scrub_map(struct btt_scrub *scrub, uint64_t max_bytes)
{
	uint64_t sector = scrub->options.first + scrub->sector;
	struct arena *arena = btt_arena_of(scrub->btt, sector);
	uint32_t premap = (uint32_t)(sector - arena->first_sector);
	uint64_t n = max_bytes / MAP_ENTRY_BYTES;
	uint32_t end, next;

	if (n > SCRUB_ENTRIES)
		n = SCRUB_ENTRIES;
	if (n == 0)
		n = 1;
	if (n > scrub->options.count - scrub->sector)
		n = scrub->options.count - scrub->sector;
	if (n > arena->external_nlba - premap)
		n = arena->external_nlba - premap;
	end = premap + (uint32_t)n;
	/* Whole units: what is wrong with one is told once. */
	if (map_unit_end(arena, end - 1) - premap <=
	    scrub->options.count - scrub->sector)
		end = map_unit_end(arena, end - 1);
	n = end - premap;
	scrub->check.arena = arena->index;
	for (; premap < end; premap = next) {
		next = map_unit_end(arena, premap);
		if (next > end)
			next = end;
		check_entries_of_unit(scrub, arena, premap, next);
		scrub_deliver(scrub); /* nothing is held */
	}
	scrub->sector += n;
	return n * MAP_ENTRY_BYTES;
}

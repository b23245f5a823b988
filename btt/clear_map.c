/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clear_map -- units of a map that are lost, and with them which sector had
 * which block.
 *
 * Their sectors can neither be read nor written, so their blocks stay theirs,
 * whatever others do; and every other block is somebody's: an entry's, or a
 * pair's.  Who looks at all owners while writers move blocks around may miss a
 * block that passes behind his back, but not again and again.  Looks are added
 * up until as many blocks as the lost units have entries were never seen: then
 * it is those.  Each gets one of the entries, marked bad, since it is not known
 * which; the sectors are cleared like all that are marked.
 *
 * A crash before a unit is durable leaves it as lost as it was.
 */
#include <errno.h>
#include <stdlib.h>

#include "clear.h"
#include "map.h"
#include "overlay.h"

#define UNIT_ENTRIES (BAD_UNIT / MAP_ENTRY_BYTES)
/* Looks at all owners.  At rest one is enough. */
#define LOOKS_MAX 32u

/* One arena's; the caller's own. */
struct rebuild {
	struct clear *clear;
	struct arena *arena;
	uint64_t *seen; /* a bit a block that ever had another owner */
	uint32_t nlost; /* entries of lost units */
	uint32_t next;  /* the first block that may not have been given away */
};

static void
see(struct rebuild *rebuild, uint32_t block)
{
	if (block < rebuild->arena->internal_nlba)
		rebuild->seen[block / 64] |= UINT64_C(1) << block % 64;
}

static bool
is_seen(const struct rebuild *rebuild, uint32_t block)
{
	return (rebuild->seen[block / 64] >> block % 64 & 1) != 0;
}

static uint32_t
unit_end(const struct arena *arena, uint32_t premap)
{
	return arena->external_nlba - premap < UNIT_ENTRIES
	    ? arena->external_nlba
	    : premap + UNIT_ENTRIES;
}

static uint32_t
count_lost(const struct arena *arena)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < arena->external_nlba; i += UNIT_ENTRIES) {
		if (map_is_bad(arena, i, 1))
			n += unit_end(arena, i) - i;
	}
	return n;
}

struct unit_job {
	struct rebuild *rebuild;
	uint32_t premap, end;
};

/* What an overlay has is ahead of the medium; until then both are owned. */
static int
see_unit(void *arg)
{
	const struct unit_job *job = arg;
	const struct arena *arena = job->rebuild->arena;

	for (uint32_t i = job->premap; i < job->end; i++) {
		see(job->rebuild, map_entry_block(map_read(arena, i), i));
		see(job->rebuild, map_entry_block(map_read_media(arena, i), i));
	}
	return 0;
}

/* Of all lanes, one after the other. */
static void
see_free_blocks(struct rebuild *rebuild)
{
	struct btt *btt = rebuild->clear->btt;
	struct arena *arena = rebuild->arena;
	struct lane_span *span = &rebuild->clear->worker->span;
	unsigned nlane = lane_set_count(btt->lanes);

	for (unsigned lane = 0; lane < nlane; lane++) {
		uint32_t end = arena_lane_first(arena, lane + 1, nlane);

		lane_span_enter_only(btt->lanes, lane, span);
		for (uint32_t i = arena_lane_first(arena, lane, nlane); i < end;
		     i++) {
			/* Of one that a group has the group changes it. */
			if (arena->free_bits != NULL &&
			    !arena_take_pair(arena, i))
				continue;
			see(rebuild, arena->pair[i].free_block);
			if (arena->free_bits != NULL)
				arena_give_pair(arena, i);
		}
		lane_span_leave(span);
	}
}

static int
see_all(struct rebuild *rebuild)
{
	const struct arena *arena = rebuild->arena;
	struct unit_job job = { .rebuild = rebuild };
	int r = 0;

	/*
	 * First the lanes: whoever began to write to a lost sector before it
	 * was known has ended when its lane has been ours.
	 */
	see_free_blocks(rebuild);
	for (; job.premap < arena->external_nlba && r == 0;
	     job.premap = job.end) {
		job.end = unit_end(arena, job.premap);
		if (!map_is_bad(arena, job.premap, 1))
			r = media_try(see_unit, &job);
	}
	return r;
}

static uint32_t
count_unseen(const struct rebuild *rebuild)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < rebuild->arena->internal_nlba; i++)
		n += !is_seen(rebuild, i);
	return n;
}

/* 0 when it is known; -EAGAIN where writers do not let it be. */
static int
find_blocks(struct rebuild *rebuild)
{
	uint32_t n;
	int r;

	for (unsigned i = 0; i < LOOKS_MAX; i++) {
		/* Changes that wait, and those accepted before the loss. */
		if ((r = clear_may_go_on(rebuild->clear, 0)) < 0 ||
		    (r = btt_flush(
			 rebuild->clear->btt, rebuild->clear->worker)) < 0 ||
		    (r = see_all(rebuild)) < 0)
			return r;
		n = count_unseen(rebuild);
		if (n <= rebuild->nlost)
			return n == rebuild->nlost ? 0 : -EUCLEAN;
	}
	return -EAGAIN;
}

static bool
has_pending(const struct arena *arena, uint32_t premap, uint32_t end)
{
	uint32_t entry;

	for (uint32_t i = premap; arena->overlays != NULL && i < end; i++) {
		if (overlay_pair_find(arena->overlays, i, &entry))
			return true;
	}
	return false;
}

static int
write_unit(struct rebuild *rebuild, uint32_t premap)
{
	struct arena *arena = rebuild->arena;
	struct le32 words[UNIT_ENTRIES] = { 0 };
	uint32_t end = unit_end(arena, premap);
	struct stripe_range range;
	int r;

	stripe_lock(
	    arena->map_locks, map_line(premap), map_line(end - 1), &range);
	if ((r = atomic_load(&arena->failed)) == 0 &&
	    has_pending(arena, premap, end))
		r = -EAGAIN;
	for (uint32_t i = premap; r == 0 && i < end; i++) {
		while (is_seen(rebuild, rebuild->next))
			rebuild->next++;
		words[i - premap] = le32_encode(MAP_ERROR | rebuild->next++);
	}
	if (r == 0)
		r = clear_replace(arena->media,
		    arena->map_off + (uint64_t)premap * MAP_ENTRY_BYTES, words,
		    sizeof(words));
	stripe_unlock(&range);
	return r;
}

static int
rebuild_units(struct rebuild *rebuild)
{
	struct arena *arena = rebuild->arena;
	int r;

	/* None may have been added meanwhile. */
	if ((r = find_blocks(rebuild)) < 0 ||
	    count_lost(arena) != rebuild->nlost)
		return r;
	for (uint32_t i = 0; i < arena->external_nlba && r == 0;
	     i += UNIT_ENTRIES) {
		if (!map_is_bad(arena, i, 1))
			continue;
		if ((r = write_unit(rebuild, i)) == 0)
			rebuild->clear->result->nmap++;
	}
	return r;
}

/* Is there a reason to take a look at all? */
static bool
is_wanted(const struct clear *clear, const struct arena *arena)
{
	uint64_t first = clear->options->first;
	uint64_t end = first + clear->options->count;

	for (uint32_t i = 0; i < arena->external_nlba; i += UNIT_ENTRIES) {
		if (map_is_bad(arena, i, 1) && arena->first_sector + i < end &&
		    arena->first_sector + unit_end(arena, i) > first)
			return true;
	}
	return false;
}

static int
clear_map(struct clear *clear, struct arena *arena)
{
	struct rebuild rebuild = { .clear = clear, .arena = arena };
	int r;

	if (atomic_load(&arena->failed) < 0 || !is_wanted(clear, arena))
		return 0;
	rebuild.nlost = count_lost(arena);
	rebuild.seen = calloc(
	    (size_t)arena->internal_nlba / 64 + 1, sizeof(*rebuild.seen));
	if (rebuild.seen == NULL)
		return -ENOMEM;
	r = rebuild_units(&rebuild);
	free(rebuild.seen);
	/* What cannot be sorted out is left to a repair, and counted so. */
	if (r == -EAGAIN || r == -EUCLEAN ||
	    (r == -EIO && btt_failed(clear->btt) == 0))
		return 0;
	return r;
}

int
clear_maps(struct clear *clear)
{
	struct btt *btt = clear->btt;
	int r = 0;

	if (!media_knows_bad(btt->media))
		return 0;
	for (uint32_t i = 0; i < btt->narena && r == 0; i++)
		r = clear_map(clear, &btt->arena[i]);
	return r;
}

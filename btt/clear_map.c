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
 * A crash before a unit is mended leaves it as lost as it was, and one before
 * it is durable an arena that says so: see replace_unit.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "clear.h"
#include "hook.h"
#include "map.h"
#include "overlay.h"

/* Looks at all owners.  At rest one is enough. */
#define LOOKS_MAX 32u
/* Units of a look after which somebody may say that it is enough. */
#define STEP_UNITS 1024u

/* One arena's; the caller's own. */
struct rebuild {
	struct clear *clear;
	struct arena *arena;
	uint64_t *lost; /* a bit a unit that was lost when this began */
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

static bool
is_lost(const struct rebuild *rebuild, uint32_t premap)
{
	uint32_t unit = premap / MAP_UNIT_ENTRIES;

	return (rebuild->lost[unit / 64] >> unit % 64 & 1) != 0;
}

/*
 * The units that are lost now.  Those that others meet later keep their entries
 * and are left to the next one who clears; none gets good meanwhile, since
 * there is one who clears (btt_begin_clearing).
 */
static void
note_lost(struct rebuild *rebuild)
{
	const struct arena *arena = rebuild->arena;
	uint64_t off = arena->map_off, len;
	uint64_t end = off + (uint64_t)arena->external_nlba * MAP_ENTRY_BYTES;

	for (; media_next_bad(arena->media, off, end, &off, &len); off += len) {
		uint32_t first =
		    (uint32_t)((off - arena->map_off) / MAP_ENTRY_BYTES);
		uint32_t last = first + (uint32_t)(len / MAP_ENTRY_BYTES);

		for (uint32_t i = first; i < last && i < arena->external_nlba;
		     i = map_unit_end(arena, i)) {
			uint32_t unit = i / MAP_UNIT_ENTRIES;

			if (is_lost(rebuild, i))
				continue;
			rebuild->lost[unit / 64] |= UINT64_C(1) << unit % 64;
			rebuild->nlost +=
			    map_unit_end(arena, i) - unit * MAP_UNIT_ENTRIES;
		}
	}
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
			if (!arena_take_pair(arena, i))
				continue;
			see(rebuild, arena->pair[i].free_block);
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
		job.end = map_unit_end(arena, job.premap);
		if (!is_lost(rebuild, job.premap))
			r = media_try(see_unit, &job);
		if (r == 0 && job.premap % (STEP_UNITS * MAP_UNIT_ENTRIES) == 0)
			r = clear_may_go_on(rebuild->clear, 0);
	}
	return r;
}

static uint32_t
count_unseen(const struct rebuild *rebuild)
{
	uint32_t n = rebuild->arena->internal_nlba;

	for (uint32_t i = 0; i <= rebuild->arena->internal_nlba / 64; i++)
		n -= (uint32_t)__builtin_popcountll(rebuild->seen[i]);
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

struct store_job {
	struct rebuild *rebuild;
	uint32_t premap, end;
};

/* Readers may look meanwhile, and see whole words: publish_window. */
static int
store_unit(void *arg)
{
	const struct store_job *job = arg;
	struct rebuild *rebuild = job->rebuild;
	struct arena *arena = rebuild->arena;
	int r = 0;

	for (uint32_t i = job->premap; r == 0 && i < job->end; i++) {
		while (is_seen(rebuild, rebuild->next))
			rebuild->next++;
		/* There are as many as entries: find_blocks. */
		assert(rebuild->next < arena->internal_nlba);
		r = map_store(arena, i, MAP_ERROR | rebuild->next++);
	}
	return r < 0 ? r
		     : map_flush(arena, job->premap, job->end - job->premap);
}

/*
 * From the mending on the unit reads as something, and as what only here and in
 * memory is known to be wrong.  So the arena says that it is not to be trusted
 * for that long, and for longer if this is cut short: the next open is one for
 * reading, and what a repair is for.
 */
static int
replace_unit(struct store_job *job, uint64_t off)
{
	struct arena *arena = job->rebuild->arena;
	struct media *media = arena->media;
	int r;

	if ((r = MUTATE(98, arena_doubt(arena, true), 0)) < 0 ||
	    (r = media_mend_bad(media, off, BAD_UNIT)) < 0 ||
	    (r = media_try(store_unit, job)) < 0 ||
	    (r = media_fence(media)) < 0 ||
	    (r = media_forget_bad(media, off, BAD_UNIT)) < 0)
		return r;
	return arena_doubt(arena, false);
}

static int
write_unit(struct rebuild *rebuild, uint32_t premap)
{
	struct arena *arena = rebuild->arena;
	struct store_job job = {
		.rebuild = rebuild,
		.premap = premap,
		.end = map_unit_end(arena, premap),
	};
	struct stripe_range range;
	int r;

	stripe_lock(
	    arena->map_locks, map_line(premap), map_line(job.end - 1), &range);
	if ((r = atomic_load(&arena->failed)) == 0 &&
	    has_pending(arena, premap, job.end))
		r = -EAGAIN;
	/* It cannot have been made good, see note_lost. */
	if (r == 0 && !map_is_bad(arena, premap, 1))
		r = -EAGAIN;
	if (r == 0)
		r = replace_unit(&job, map_entry_off(arena, premap));
	stripe_unlock(&range);
	return r;
}

static int
rebuild_units(struct rebuild *rebuild)
{
	struct arena *arena = rebuild->arena;
	int r;

	if ((r = find_blocks(rebuild)) < 0)
		return r;
	for (uint32_t i = 0; i < arena->external_nlba && r == 0;
	     i = map_unit_end(arena, i)) {
		if (!MUTATE(99, is_lost(rebuild, i), map_is_bad(arena, i, 1)))
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
	uint64_t first = clear->options->first, len, off;
	uint64_t end = first + clear->options->count;

	if (first < arena->first_sector)
		first = arena->first_sector;
	if (end > arena->first_sector + arena->external_nlba)
		end = arena->first_sector + arena->external_nlba;
	return first < end &&
	    media_next_bad(arena->media,
		arena->map_off +
		    (first - arena->first_sector) * MAP_ENTRY_BYTES,
		arena->map_off + (end - arena->first_sector) * MAP_ENTRY_BYTES,
		&off, &len);
}

static int
clear_map(struct clear *clear, struct arena *arena)
{
	struct rebuild rebuild = { .clear = clear, .arena = arena };
	int r;

	if (atomic_load(&arena->failed) < 0 || !is_wanted(clear, arena))
		return 0;
	rebuild.lost =
	    calloc((size_t)arena->external_nlba / MAP_UNIT_ENTRIES / 64 + 1,
		sizeof(*rebuild.lost));
	rebuild.seen = calloc(
	    (size_t)arena->internal_nlba / 64 + 1, sizeof(*rebuild.seen));
	r = -ENOMEM;
	if (rebuild.lost != NULL && rebuild.seen != NULL) {
		note_lost(&rebuild);
		r = rebuild_units(&rebuild);
	}
	free(rebuild.lost);
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

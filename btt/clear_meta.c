/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clear_meta -- bad units of an arena's log, of its info blocks and of the
 * space between its parts.
 *
 * All of it is written from what is known without the unit, so what is read
 * there does not matter.  A crash in between leaves a unit that is partly what
 * the medium put there and partly new: of the log the arena is flagged for that
 * long; an info block has another copy meanwhile.
 */
#include <errno.h>
#include <time.h>

#include <btt/format.h>

#include "clear.h"
#include "group.h"
#include "hook.h"
#include "probe.h"

/* Pairs of a unit. */
#define UNIT_PAIRS (BAD_UNIT / FLOG_GROUP_BYTES)
/* Lanes of a unit's pairs are tried for together; others hold one for a write. */
#define TRIES 2000u
#define PAUSE_NS 1000000

int
clear_replace(struct media *media, uint64_t off, const void *bytes, size_t len)
{
	int r;

	if ((r = media_mend_bad(media, off, len)) < 0 ||
	    (r = media_try_copy(media, off, bytes, len)) < 0 ||
	    (r = media_fence(media)) < 0)
		return r;
	return media_forget_bad(media, off, len);
}

/* --- info blocks --- */

/* Under the lock of those who set its flag. */
static int
restore_info_locked(struct clear *clear, struct arena *arena, uint64_t off,
    uint64_t other) REQUIRES(arena->error_lock)
{
	uint8_t block[BTT_INFO_BYTES];
	struct btt_info info;
	int r;

	if (!media_is_bad(arena->media, off, BTT_INFO_BYTES))
		return 0;
	if (media_is_bad(arena->media, other, BTT_INFO_BYTES) ||
	    probe_read_block(arena->media, other, block) < 0 ||
	    btt_info_decode(block, &info) != BTT_INFO_VALID ||
	    (!arena_fits(arena, clear->btt->geometry.uuid, &info) &&
		!MUTANT(103)))
		return 0; /* nothing to copy: it is left */
	if ((r = clear_replace(arena->media, off, block, sizeof(block))) == 0)
		clear->result->ninfo++;
	return r;
}

static int
restore_infos(struct clear *clear, struct arena *arena)
{
	int r;

	mutex_lock(&arena->error_lock);
	r = restore_info_locked(
	    clear, arena, arena->info_off, arena->info2_off);
	if (r == 0)
		r = restore_info_locked(
		    clear, arena, arena->info2_off, arena->info_off);
	mutex_unlock(&arena->error_lock);
	return r;
}

/* --- the log --- */

/* 1, 3, 2, 1 ... */
static uint32_t
seq_before(uint32_t seq)
{
	return flog_next_seq(flog_next_seq(seq));
}

/*
 * The entries of a pair as they are known in memory: the newer half moves
 * nothing, has the free block and the sequence number, and is where it was.
 */
static void
rebuild_pair(const struct arena *arena, uint32_t index,
    struct flog_media ret_group[FLOG_GROUP_SLOTS])
{
	const struct flog_pair *pair = &arena->pair[index];
	struct flog_entry entry =
	    flog_initial(index, arena->external_nlba, arena->layout);
	uint32_t flags = entry.new_map & ~MAP_BLOCK_MASK;

	entry.old_map = pair->free_block | flags;
	entry.new_map = pair->free_block | flags;
	entry.seq = seq_before(pair->next_seq);
	flog_encode(&entry, &ret_group[arena->slots.slot[pair->older ^ 1]]);
	entry.seq = seq_before(entry.seq);
	flog_encode(&entry, &ret_group[arena->slots.slot[pair->older]]);
}

/* Pairs of one unit that is bad. */
struct log_unit {
	struct arena *arena;
	uint32_t first, n;
	bool is_ours[UNIT_PAIRS];
};

/*
 * What a medium has where it was mended is zeroes, or anything: half an entry
 * with half of ours may look whole, and move a sector.  So the arena says that
 * it is not to be trusted for that long, as in clear_map.c.
 */
static int
rebuild_unit(const struct log_unit *unit)
{
	static const struct flog_media empty;
	struct flog_media groups[UNIT_PAIRS][FLOG_GROUP_SLOTS];
	struct arena *arena = unit->arena;
	int r;

	for (uint32_t i = 0; i < UNIT_PAIRS; i++) {
		for (unsigned k = 0; k < FLOG_GROUP_SLOTS; k++)
			groups[i][k] = empty;
		if (i < unit->n)
			rebuild_pair(arena, unit->first + i, groups[i]);
	}
	static_assert(sizeof(groups) == BAD_UNIT, "a unit");
	if ((r = MUTATE(104, arena_doubt(arena, true), 0)) < 0 ||
	    (r = clear_replace(arena->media,
		 arena->log_off + (uint64_t)unit->first * FLOG_GROUP_BYTES,
		 groups, sizeof(groups))) < 0)
		return r;
	return arena_doubt(arena, false);
}

static bool
is_sound(const struct log_unit *unit)
{
	for (uint32_t i = 0; i < unit->n; i++) {
		if (!unit->arena->pair[unit->first + i].is_sound)
			return false;
	}
	return true;
}

/* Those before end, whose lanes are held; have we all of the unit then? */
static bool
take_pairs(struct log_unit *unit, uint32_t end)
{
	uint32_t nours = 0;

	for (uint32_t i = 0; i < unit->n; i++) {
		uint32_t pair = unit->first + i;

		if (!unit->is_ours[i] && pair < end)
			unit->is_ours[i] = arena_take_pair(unit->arena, pair);
		nours += unit->is_ours[i];
	}
	return nours == unit->n;
}

static void
give_pairs(struct log_unit *unit)
{
	for (uint32_t i = 0; i < unit->n; i++) {
		if (unit->is_ours[i])
			arena_give_pair(unit->arena, unit->first + i);
		unit->is_ours[i] = false;
	}
}

/*
 * The first lane by waiting, the others by trylock, as everybody does it: so
 * nobody who holds a lane waits for one.  -EAGAIN where a lane is taken, or a
 * group has a pair.  Pairs that we have then we keep: else writers would take
 * them again before all of them are free at once.
 */
static int
try_unit(struct clear *clear, struct log_unit *unit)
{
	struct lane_span *span = &clear->worker->span;
	struct arena *arena = unit->arena;
	unsigned nlane = lane_set_count(clear->btt->lanes);
	unsigned lane = arena_lane_of(arena, unit->first, nlane);
	unsigned last = arena_lane_of(arena, unit->first + unit->n - 1, nlane);
	int r = -EAGAIN;

	lane_span_enter_only(clear->btt->lanes, lane, span);
	while (lane < last && lane_span_extend_to(span, lane + 1))
		lane++;
	/* A failure leaves pairs of which only a recovery can tell. */
	if (atomic_load(&arena->failed) < 0)
		r = -EALREADY;
	else if (take_pairs(unit, arena_lane_first(arena, lane + 1, nlane))) {
		if (MUTANT(101)) { /* as if they were not needed */
			give_pairs(unit);
			lane_span_leave(span);
			r = rebuild_unit(unit);
			lane_span_enter_only(clear->btt->lanes, last, span);
		} else {
			r = is_sound(unit) ? rebuild_unit(unit) : -EALREADY;
		}
	}
	/* Without groups they are ours as long as the lanes. */
	if (r != -EAGAIN || arena->free_bits == NULL)
		give_pairs(unit);
	lane_span_leave(span);
	return r;
}

static void
pause_shortly(void)
{
	const struct timespec time = { .tv_nsec = PAUSE_NS };

	(void)SYNC_SLEEPS(nanosleep(&time, NULL)); /* shorter is fine */
}

static int
clear_log_unit(struct clear *clear, struct arena *arena, uint32_t first)
{
	struct log_unit unit = { .arena = arena, .first = first };
	int r = -EAGAIN;

	unit.n = arena->nfree - first < UNIT_PAIRS ? arena->nfree - first
						   : UNIT_PAIRS;
	for (unsigned i = 0; i < TRIES && r == -EAGAIN; i++) {
		if ((r = try_unit(clear, &unit)) != -EAGAIN)
			break;
		/* What a group has is free again after a commit. */
		if ((r = clear_may_go_on(clear, clear->options->count)) < 0 ||
		    (r = btt_flush(clear->btt, clear->worker)) < 0)
			break;
		pause_shortly();
		r = -EAGAIN;
	}
	give_pairs(&unit);
	if (r == 0)
		clear->result->nlog++;
	return r == -EAGAIN || r == -EALREADY ? 0 : r;
}

/* --- all of it --- */

/* Whole units between two parts are nobody's. */
static int
clear_unused(struct clear *clear, uint64_t off, uint64_t len)
{
	uint64_t first = off + (BAD_UNIT - off % BAD_UNIT) % BAD_UNIT;
	uint64_t end = off + len - (off + len) % BAD_UNIT;
	int r;

	if (first >= end)
		return 0;
	r = media_clear_bad(clear->btt->media, first, (size_t)(end - first));
	if (r == 0)
		clear->result->nunused += (end - first) / BAD_UNIT;
	return r;
}

/* What is bad at off, as far as *ret_end, which is beyond off. */
static int
clear_place(
    struct clear *clear, uint64_t off, uint64_t bad_end, uint64_t *ret_end)
{
	struct btt_place place;
	uint64_t end;
	int r = 0;

	btt_find_place(clear->btt, off, &place);
	end = place.end < bad_end ? place.end : bad_end;
	if (place.area == BTT_AREA_LOG) {
		end = off - off % BAD_UNIT + BAD_UNIT;
		r = clear_log_unit(clear, &clear->btt->arena[place.arena],
		    (uint32_t)(place.item / UNIT_PAIRS * UNIT_PAIRS));
	} else if (place.area == BTT_AREA_UNUSED) {
		r = clear_unused(clear, off, end - off);
	} else if (place.area == BTT_AREA_INFO) {
		r = restore_infos(clear, &clear->btt->arena[place.arena]);
	}
	*ret_end = end;
	return r;
}

int
clear_metadata(struct clear *clear)
{
	struct media *media = clear->btt->media;
	uint64_t off = 0, len, end;
	int r = 0;

	while (r == 0 && media_next_bad(media, off, media->size, &off, &len)) {
		if ((r = clear_may_go_on(clear, clear->options->count)) < 0)
			break;
		r = clear_place(clear, off, off + len, &end);
		off = end;
	}
	return r;
}

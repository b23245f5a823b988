/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_log -- findings in an arena's log, and what recovery will make of it.
 *
 * Where opening stops at the first contradiction, this goes on with the best
 * guess, so that one bad pair is one finding: a group that uses other slots
 * than the rest is read by its own, and a pair that does not tell its free
 * block has none, not a wrong one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "check_impl.h"
#include "layout.h"

/* One arena's log being looked at. */
struct log_survey {
	struct check *check;
	uint32_t nfree;
	struct flog_media *media; /* nfree groups, a copy */
	struct check_pair *pair;  /* nfree, those of log */
	uint32_t *raw;            /* map entries of the sectors of newest */
	uint32_t *order;
	struct check_log *log;
};

static uint64_t
pair_off(const struct log_survey *survey, uint32_t pair)
{
	const struct btt_arena_place *place = survey->check->place;

	return place->off + place->info.logoff +
	    (uint64_t)pair * FLOG_GROUP_BYTES;
}

static unsigned
used_slots(const struct log_survey *survey, uint32_t pair)
{
	return flog_used_slots(&survey->media[(size_t)pair * FLOG_GROUP_SLOTS]);
}

/*
 * Was a repair about to give the pair a block, see CHECK_SEQ_REPAIR?  Then that
 * is in new_map of the entry.
 */
static bool
is_marked(const struct log_survey *survey, uint32_t pair,
    struct flog_entry *ret_entry)
{
	*ret_entry =
	    flog_decode(&survey->media[(size_t)pair * FLOG_GROUP_SLOTS]);
	return ret_entry->seq == CHECK_SEQ_REPAIR;
}

/*
 * Slots in use; where groups disagree, those of the majority.  Pairs that a
 * repair has marked have no vote: what is left in them must not decide how the
 * others are read.
 */
static void
find_slots(struct log_survey *survey)
{
	struct check *check = survey->check;
	struct flog_entry mark;
	uint32_t nnew = 0;
	uint32_t nold = 0;

	for (uint32_t i = 0; i < survey->nfree; i++) {
		unsigned used = used_slots(survey, i);

		if (is_marked(survey, i, &mark))
			continue;
		nnew += used == FLOG_USED_NEW;
		nold += used == FLOG_USED_OLD;
	}
	survey->log->slots = nold > nnew ? FLOG_SLOTS_OLD : FLOG_SLOTS_NEW;
	if (survey->log->slots.slot[1] == FLOG_SLOTS_OLD.slot[1])
		check_found(check, CHECK_LOG_PAD, BTT_NO_ENTRY,
		    pair_off(survey, 0),
		    "log entries are in slots 0 and 2, not 0 and 1");
}

/* Both entries of a pair, if it uses those slots. */
static void
load_halves(const struct log_survey *survey, uint32_t pair,
    struct flog_slots slots, struct flog_entry ret_half[2])
{
	const struct flog_media *group =
	    &survey->media[(size_t)pair * FLOG_GROUP_SLOTS];

	for (unsigned i = 0; i < 2; i++)
		ret_half[i] = flog_decode(&group[slots.slot[i]]);
}

/*
 * The entries of a pair that uses other slots than the log: its own ones if
 * they go together, else those of the log, as if the rest were rubbish.
 */
static void
load_stray(
    struct log_survey *survey, uint32_t pair, struct flog_entry ret_half[2])
{
	unsigned used = used_slots(survey, pair);

	check_found(survey->check, CHECK_LOG_LAYOUT, pair,
	    pair_off(survey, pair),
	    "pair uses slots%s%s%s%s, the log uses 0 and %u",
	    used & 1 ? " 0" : "", used & 2 ? " 1" : "", used & 4 ? " 2" : "",
	    used & 8 ? " 3" : "", survey->log->slots.slot[1]);
	if (used == FLOG_USED_NEW || used == FLOG_USED_OLD) {
		load_halves(survey, pair,
		    used == FLOG_USED_NEW ? FLOG_SLOTS_NEW : FLOG_SLOTS_OLD,
		    ret_half);
		if (flog_pick(ret_half[0].seq, ret_half[1].seq) >= 0)
			return;
	}
	load_halves(survey, pair, survey->log->slots, ret_half);
}

/* The first thing that is wrong with a pair is what it is known by. */
static void
set_damaged(struct log_survey *survey, uint32_t index, enum check_kind kind)
{
	struct check_pair *pair = &survey->pair[index];

	if (pair->is_damaged)
		return;
	pair->is_damaged = true;
	pair->kind = kind;
}

/* Both entries of a pair; false if it has none that is known to be first. */
static bool
load_pair(
    struct log_survey *survey, uint32_t pair, struct flog_entry ret_half[2])
{
	unsigned used = used_slots(survey, pair);

	load_halves(survey, pair, survey->log->slots, ret_half);
	if (used & FLOG_USED_FIRST &&
	    (used & ~(1u | 1u << survey->log->slots.slot[1])) == 0)
		return true;
	set_damaged(survey, pair, CHECK_LOG_LAYOUT);
	if (used != 0) {
		load_stray(survey, pair, ret_half);
		return (used & FLOG_USED_FIRST) != 0;
	}
	check_found(survey->check, CHECK_LOG_LAYOUT, pair,
	    pair_off(survey, pair), "pair is empty");
	return false;
}

/* ndctl compares log entries without taking the flags off. */
static bool
has_flags(const struct flog_entry *entry)
{
	return ((entry->old_map | entry->new_map) & ~MAP_BLOCK_MASK) != 0;
}

/* A fresh pair has equal blocks, and so have repaired ones: in slot 0 only. */
static void
check_same(struct log_survey *survey, uint32_t index, uint32_t other_seq)
{
	const struct check_pair *pair = &survey->pair[index];
	const struct flog_entry *entry = &pair->newest;

	if ((entry->old_map & MAP_BLOCK_MASK) !=
	    (entry->new_map & MAP_BLOCK_MASK))
		return;
	if (pair->newer == 0 && entry->seq == 1 && other_seq == 0)
		return;
	check_found(survey->check, CHECK_LOG_SAME, index,
	    pair_off(survey, index),
	    "old_map and new_map are both block %u, but the pair is not fresh",
	    entry->old_map & MAP_BLOCK_MASK);
}

/* libpmemblk looks at the older entry as well, and at all arenas' sectors. */
static void
check_older(
    struct log_survey *survey, uint32_t index, const struct flog_entry *older)
{
	struct check *check = survey->check;

	if (check->layout != BTT_LAYOUT_POOL || older->lba < check->nsector)
		return;
	check_found(check, CHECK_LOG_OLDER, index, pair_off(survey, index),
	    "lba of the older entry is out of range, %u of %" PRIu64,
	    older->lba, check->nsector);
}

static void
add_candidate(
    struct log_survey *survey, uint32_t index, const struct flog_entry *entry)
{
	struct check_pair *pair = &survey->pair[index];
	uint32_t block = entry->old_map & MAP_BLOCK_MASK;

	/* An empty entry names no block, though it looks like block 0. */
	if ((entry->lba | entry->old_map | entry->new_map | entry->seq) != 0 &&
	    block < survey->check->place->info.internal_nlba)
		pair->candidate[pair->ncandidate++] = block;
}

/* Which of the pair's entries is newer; -1 if that cannot be told. */
static int
pick_half(struct log_survey *survey, uint32_t index, struct flog_entry half[2])
{
	int newer;

	if (!load_pair(survey, index, half))
		return -1;
	if ((newer = flog_pick(half[0].seq, half[1].seq)) >= 0)
		return newer;
	check_found(survey->check, CHECK_LOG_SEQ, index,
	    pair_off(survey, index),
	    "sequence numbers %u and %u: neither is newer", half[0].seq,
	    half[1].seq);
	return -1;
}

/* It gets that block, whatever else is in it. */
static bool
check_mark(struct log_survey *survey, uint32_t index)
{
	struct flog_entry entry;

	if (!is_marked(survey, index, &entry))
		return false;
	check_found(survey->check, CHECK_LOG_SEQ, index,
	    pair_off(survey, index), "a repair of this pair was cut short");
	entry.old_map = entry.new_map;
	add_candidate(survey, index, &entry);
	return true;
}

static void
check_pair(struct log_survey *survey, uint32_t index)
{
	struct check *check = survey->check;
	const struct btt_info *info = &check->place->info;
	struct check_pair *pair = &survey->pair[index];
	struct flog_entry *newest = &pair->newest;
	struct flog_entry half[2];
	const char *field;
	int newer;

	pair->free_block = CHECK_NO_BLOCK;
	if (check_mark(survey, index)) {
		set_damaged(survey, index, CHECK_LOG_SEQ);
		return;
	}
	if ((newer = pick_half(survey, index, half)) < 0) {
		set_damaged(survey, index, CHECK_LOG_SEQ);
		add_candidate(survey, index, &half[0]);
		add_candidate(survey, index, &half[1]);
		return;
	}
	*newest = half[newer];
	pair->newer = (uint8_t)newer;
	add_candidate(survey, index, newest);
	/* An entry may be bad in other ways and still name its block. */
	if (pair->ncandidate > 0)
		pair->free_block = pair->candidate[0];
	if (flog_validate(
		newest, info->external_nlba, info->internal_nlba, &field) < 0) {
		set_damaged(survey, index, CHECK_LOG_RANGE);
		check_found(check, CHECK_LOG_RANGE, index,
		    pair_off(survey, index),
		    "%s is out of range: lba %u of %u, old_map %#x and new_map "
		    "%#x of %u blocks",
		    field, newest->lba, info->external_nlba, newest->old_map,
		    newest->new_map, info->internal_nlba);
		return;
	}
	pair->is_sound = true;
	check_same(survey, index, half[1 - newer].seq);
	check_older(survey, index, &half[1 - newer]);
}

static void
check_pairs(struct log_survey *survey)
{
	struct check *check = survey->check;
	uint32_t nflagged = 0;
	uint32_t first = 0;

	for (uint32_t i = 0; i < survey->nfree; i++) {
		check_pair(survey, i);
		if (!survey->pair[i].is_sound ||
		    !has_flags(&survey->pair[i].newest))
			continue;
		if (nflagged++ == 0)
			first = i;
	}
	/* In a pool they are as they should be. */
	if (nflagged > 0 && check->layout != BTT_LAYOUT_POOL)
		check_found(check, CHECK_LOG_FLAGS, first,
		    pair_off(survey, first),
		    "%u pairs have flags beside their block numbers, this one "
		    "first",
		    nflagged);
}

/* What the map says now about the sectors of the newest entries. */
static int
load_entries(void *arg)
{
	struct log_survey *survey = arg;
	const struct btt_arena_place *place = survey->check->place;
	uint64_t map_off = place->off + place->info.mapoff;

	for (uint32_t i = 0; i < survey->nfree; i++) {
		if (survey->pair[i].is_sound)
			survey->raw[i] = media_load32(survey->check->media,
			    map_off +
				(uint64_t)survey->pair[i].newest.lba *
				    MAP_ENTRY_BYTES);
	}
	return 0;
}

/* By sector, then by pair: the order in which recovery meets them. */
static int
compare_pairs(const void *a, const void *b, void *arg)
{
	const struct log_survey *survey = arg;
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;
	uint32_t x_lba = survey->pair[x].newest.lba;
	uint32_t y_lba = survey->pair[y].newest.lba;

	if (x_lba != y_lba)
		return x_lba < y_lba ? -1 : 1;
	return (x > y) - (x < y);
}

/*
 * libpmemblk compares whole words (4.3), where an initial entry is a normal one
 * of its own block: will it complete the write as well?  The two blocks differ.
 */
static bool
pool_would_recover(const struct flog_entry *entry, uint32_t raw)
{
	if (map_entry_state(raw) == MAP_STATE_INITIAL)
		raw = MAP_NORMAL | entry->lba;
	return entry->old_map == raw;
}

static void
report_pending(struct log_survey *survey, uint32_t index)
{
	const struct flog_entry *newest = &survey->pair[index].newest;
	struct check *check = survey->check;
	enum check_kind kind = CHECK_LOG_MAP;

	if (check->layout == BTT_LAYOUT_POOL &&
	    !pool_would_recover(newest, survey->raw[index]))
		kind = CHECK_LOG_MAP_POOL;
	check_found(check, kind, index, pair_off(survey, index),
	    "interrupted write of sector %u: the map says block %u, the log "
	    "%u",
	    newest->lba, newest->old_map & MAP_BLOCK_MASK,
	    newest->new_map & MAP_BLOCK_MASK);
	check->result->npending++;
}

/* Go over the n pairs of one sector, in order; returns the block it then has. */
static uint32_t
recover_once(
    struct log_survey *survey, const uint32_t *order, uint32_t n, uint32_t now)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct flog_entry *entry = &survey->pair[order[i]].newest;
		uint32_t old_block = entry->old_map & MAP_BLOCK_MASK;
		uint32_t new_block = entry->new_map & MAP_BLOCK_MASK;

		if (old_block == new_block || now != old_block)
			continue;
		report_pending(survey, order[i]);
		now = new_block;
	}
	return now;
}

/* Play recovery (4.1) through for a sector that n pairs are about. */
static void
find_pending(struct log_survey *survey, const uint32_t *order, uint32_t n)
{
	struct check_log *log = survey->log;
	const uint32_t lba = survey->pair[order[0]].newest.lba;
	const uint32_t raw = map_entry_block(survey->raw[order[0]], lba);
	uint32_t now = recover_once(survey, order, n, raw);
	uint32_t nround = 1;
	uint32_t before = raw;

	while (survey->check->recovers_fully && now != before) {
		/* They go round in a circle, and say nothing. */
		if (nround++ > n)
			return;
		before = now;
		now = recover_once(survey, order, n, now);
	}
	if (now != raw)
		log->pending[log->npending++] =
		    (struct check_pending){ .premap = lba,
			    .entry = MAP_NORMAL | now };
}

static void
find_all_pending(struct log_survey *survey, uint32_t npair)
{
	uint32_t n;

	for (uint32_t k = 0; k < npair; k += n) {
		uint32_t lba = survey->pair[survey->order[k]].newest.lba;

		for (n = 1; k + n < npair; n++) {
			if (survey->pair[survey->order[k + n]].newest.lba !=
			    lba)
				break;
		}
		find_pending(survey, &survey->order[k], n);
	}
}

static int
check_pending(struct log_survey *survey)
{
	uint32_t npair = 0;
	int r;

	/* The map ends before the log begins: it is on the medium, too. */
	if ((r = media_try(load_entries, survey)) < 0)
		return btt_error_set(survey->check->error, r,
		    "arena %u: the map cannot be read", survey->check->arena);
	for (uint32_t i = 0; i < survey->nfree; i++) {
		if (survey->pair[i].is_sound)
			survey->order[npair++] = i;
	}
	qsort_r(survey->order, npair, sizeof(*survey->order), compare_pairs,
	    survey);
	find_all_pending(survey, npair);
	return 0;
}

int
check_log(struct check *check, struct check_log *ret_log)
{
	const struct btt_info *info = &check->place->info;
	const size_t n = info->nfree;
	struct log_survey survey = {
		.check = check,
		.nfree = info->nfree,
		.media = calloc(n, FLOG_GROUP_BYTES),
		.raw = calloc(n, sizeof(*survey.raw)),
		.order = calloc(n, sizeof(*survey.order)),
		.log = ret_log,
	};
	int r = -ENOMEM;

	ret_log->pair = calloc(n, sizeof(*ret_log->pair));
	ret_log->pending = calloc(n, sizeof(*ret_log->pending));
	ret_log->npending = 0;
	survey.pair = ret_log->pair;
	if (survey.media == NULL || survey.raw == NULL ||
	    survey.order == NULL || survey.pair == NULL ||
	    ret_log->pending == NULL)
		goto out;
	r = check_read(
	    check, pair_off(&survey, 0), survey.media, n * FLOG_GROUP_BYTES);
	if (r < 0)
		goto out;
	find_slots(&survey);
	check_pairs(&survey);
	if ((r = check_pending(&survey)) < 0)
		goto out;
	check_progress(check, n * FLOG_GROUP_BYTES);
out:
	free(survey.order);
	free(survey.raw);
	free(survey.media);
	return r;
}

void
check_log_fini(struct check_log *log)
{
	free(log->pair);
	free(log->pending);
}

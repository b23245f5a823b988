/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inspect_log -- the log of an arena, pair by pair, and what recovery will
 * make of it.
 *
 * A pair that contradicts the rest is read by the slots that it uses itself,
 * so that one bad pair says nothing about the others.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "flog.h"
#include "inspect_impl.h"
#include "layout.h"
#include "probe.h"

static_assert(FLOG_GROUP_SLOTS == 4, "slots of struct btt_log_pair");

/* A log being looked at. */
struct survey {
	const struct media *media;
	const struct btt_inspect_arena *arena;
	struct btt_inspect_log *log;
	const struct flog_media *groups; /* a copy of what is on the medium */
	uint32_t *order;                 /* pairs with something to recover */
	uint32_t norder;
};

/* Slots in use; where groups disagree, those of the majority. */
static void
find_slots(struct survey *survey)
{
	struct btt_inspect_log *log = survey->log;
	struct flog_slots slots;
	uint32_t nnew = 0;
	uint32_t nold = 0;
	uint32_t bad_group;

	log->is_consistent =
	    flog_detect(survey->groups, log->npair, &slots, &bad_group) == 0;
	if (!log->is_consistent) {
		for (uint32_t i = 0; i < log->npair; i++) {
			nnew += log->pair[i].used == FLOG_USED_NEW;
			nold += log->pair[i].used == FLOG_USED_OLD;
		}
		slots = nold > nnew ? FLOG_SLOTS_OLD : FLOG_SLOTS_NEW;
	}
	memcpy(log->slot, slots.slot, sizeof(log->slot));
}

static struct btt_log_entry
decode_slot(const struct flog_media *media)
{
	struct flog_entry entry = flog_decode(media);

	return (struct btt_log_entry){
		.lba = entry.lba,
		.old_map = entry.old_map,
		.new_map = entry.new_map,
		.seq = entry.seq,
	};
}

static void
decode_pair(struct survey *survey, uint32_t index, uint64_t log_off)
{
	const struct flog_media *group =
	    &survey->groups[(size_t)index * FLOG_GROUP_SLOTS];
	struct btt_log_pair *pair = &survey->log->pair[index];

	pair->off = log_off + (uint64_t)index * FLOG_GROUP_BYTES;
	pair->used = (uint8_t)flog_used_slots(group);
	for (unsigned i = 0; i < FLOG_GROUP_SLOTS; i++)
		pair->slot[i] = decode_slot(&group[i]);
}

/* What is wrong with the numbers of the newest entry, or NULL. */
static const char *
out_of_range(const struct btt_log_entry *entry, const struct btt_info *info)
{
	const struct flog_entry checked = {
		.lba = entry->lba,
		.old_map = entry->old_map,
		.new_map = entry->new_map,
		.seq = entry->seq,
	};
	const char *field = NULL;

	return flog_validate(&checked, info->external_nlba, info->internal_nlba,
		   &field) < 0
	    ? field
	    : NULL;
}

/* Which entry counts, and what is wrong with the pair, or NULL. */
static const char *
judge_pair(const struct survey *survey, struct btt_log_pair *pair)
{
	const struct btt_inspect_log *log = survey->log;
	struct flog_slots slots = { { log->slot[0], log->slot[1] } };
	const char *problem = NULL;
	int newer;

	if (pair->used == 0)
		return "empty";
	if ((pair->used & FLOG_USED_FIRST) == 0 ||
	    (pair->used & ~(1u | 1u << slots.slot[1])) != 0)
		problem = "slots";
	if (problem != NULL && pair->used == FLOG_USED_NEW)
		slots = FLOG_SLOTS_NEW;
	else if (problem != NULL && pair->used == FLOG_USED_OLD)
		slots = FLOG_SLOTS_OLD;
	newer = flog_pick(
	    pair->slot[slots.slot[0]].seq, pair->slot[slots.slot[1]].seq);
	if (newer < 0)
		return problem == NULL ? "seq" : problem;
	pair->has_newest = true;
	pair->newest = slots.slot[newer];
	pair->free_block = pair->slot[pair->newest].old_map & MAP_BLOCK_MASK;
	if (problem != NULL)
		return problem;
	return out_of_range(&pair->slot[pair->newest], &survey->arena->info);
}

static void
look_at_pair(struct survey *survey, uint32_t index)
{
	struct btt_log_pair *pair = &survey->log->pair[index];
	const struct btt_log_entry *newest;

	pair->problem = judge_pair(survey, pair);
	if (pair->problem != NULL) {
		pair->state = BTT_PAIR_DAMAGED;
		return;
	}
	newest = &pair->slot[pair->newest];
	pair->state = BTT_PAIR_DONE;
	if (pair->free_block != (newest->new_map & MAP_BLOCK_MASK))
		survey->order[survey->norder++] = index;
	else if (pair->used == FLOG_USED_FIRST)
		pair->state = BTT_PAIR_FRESH;
}

/* By sector, then by pair: the order in which recovery meets them. */
static int
compare_pairs(const void *a, const void *b, void *arg)
{
	const struct btt_log_pair *pair = arg;
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;
	uint32_t x_lba = pair[x].slot[pair[x].newest].lba;
	uint32_t y_lba = pair[y].slot[pair[y].newest].lba;

	if (x_lba != y_lba)
		return x_lba < y_lba ? -1 : 1;
	return (x > y) - (x < y);
}

static void
add_pending(
    struct btt_inspect_log *log, uint32_t premap, uint32_t block, uint32_t pair)
{
	if (log->npending == 0 ||
	    log->pending[log->npending - 1].premap != premap)
		log->npending++;
	log->pending[log->npending - 1] =
	    (struct btt_log_pending){ premap, block, pair };
	log->pair[pair].state = BTT_PAIR_PENDING;
}

/*
 * Play recovery through: where the map still has the old block of the newest
 * entry, its store is missing.
 */
static int
find_pending(struct survey *survey, struct btt_error *error)
{
	struct btt_inspect_log *log = survey->log;
	uint32_t now = 0;
	uint32_t last = UINT32_MAX; /* no sector's number */

	qsort_r(survey->order, survey->norder, sizeof(*survey->order),
	    compare_pairs, log->pair);
	for (uint32_t i = 0; i < survey->norder; i++) {
		const struct btt_log_pair *pair = &log->pair[survey->order[i]];
		const struct btt_log_entry *newest = &pair->slot[pair->newest];
		struct btt_translation map;
		int r;

		if (newest->lba != last) {
			r = btt_inspect_map(survey->media, survey->arena, NULL,
			    newest->lba, 1, &map, error);
			/* A map that is not there has nothing pending. */
			if (r == -ERANGE)
				return 0;
			if (r < 0)
				return r;
			now = map.block;
			last = newest->lba;
		}
		if (now != pair->free_block)
			continue;
		now = newest->new_map & MAP_BLOCK_MASK;
		add_pending(log, last, now, survey->order[i]);
	}
	return 0;
}

static int
survey_log(struct survey *survey, struct flog_media *groups, uint64_t log_off,
    struct btt_error *error)
{
	struct btt_inspect_log *log = survey->log;
	int r;

	r = probe_read(survey->media, log_off, groups,
	    (size_t)log->npair * FLOG_GROUP_BYTES);
	if (r < 0)
		return btt_error_set(
		    error, r, "the log at %" PRIu64 " cannot be read", log_off);
	for (uint32_t i = 0; i < log->npair; i++)
		decode_pair(survey, i, log_off);
	find_slots(survey);
	for (uint32_t i = 0; i < log->npair; i++)
		look_at_pair(survey, i);
	return find_pending(survey, error);
}

int
btt_inspect_log(const struct media *media,
    const struct btt_inspect_arena *arena, struct btt_inspect_log *ret_log,
    struct btt_error *error)
{
	const uint32_t npair = arena->info.nfree;
	struct btt_inspect_log log = { .npair = npair };
	struct survey survey = { .media = media, .arena = arena, .log = &log };
	struct flog_media *groups;
	uint64_t log_off;
	int r;

	if (npair == 0 || npair > BTT_NFREE_MAX)
		return btt_error_set(error, -ENOTSUP,
		    "nfree is %u, not between 1 and %u", npair, BTT_NFREE_MAX);
	log_off = inspect_range(media, arena->off, arena->info.logoff,
	    (uint64_t)npair * FLOG_GROUP_BYTES);
	if (log_off == BTT_NOWHERE)
		return btt_error_set(error, -ERANGE,
		    "the log of the arena at %" PRIu64 " is beyond the medium",
		    arena->off);
	survey.groups = groups = calloc(npair, FLOG_GROUP_BYTES);
	survey.order = calloc(npair, sizeof(*survey.order));
	log.pair = calloc(npair, sizeof(*log.pair));
	log.pending = calloc(npair, sizeof(*log.pending));
	if (groups == NULL || survey.order == NULL || log.pair == NULL ||
	    log.pending == NULL)
		r = btt_error_set(error, -ENOMEM, "out of memory");
	else
		r = survey_log(&survey, groups, log_off, error);
	free(survey.order);
	free(groups);
	if (r < 0)
		btt_inspect_log_fini(&log);
	else
		*ret_log = log;
	return r;
}

void
btt_inspect_log_fini(struct btt_inspect_log *log)
{
	free(log->pending);
	free(log->pair);
	memset(log, 0, sizeof(*log));
}

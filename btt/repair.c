/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * repair -- making a plan: what there is to mend, in the order in which a check
 * looks at it.  Carrying it out is repair_apply.c's business.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "info.h"
#include "layout.h"
#include "repair_impl.h"

int
repair_reserve(
    void **array, uint32_t n, uint32_t *room, size_t bytes, uint32_t limit)
{
	uint32_t more = *room > 0 ? 2 * *room : 64;
	void *larger;

	if (n < *room)
		return 0;
	if (n >= limit)
		return -E2BIG;
	if ((larger = realloc(*array, more * bytes)) == NULL)
		return -ENOMEM;
	*array = larger;
	*room = more;
	return 0;
}

int
repair_add_change(struct btt_repair *plan, const struct repair_change *change)
{
	void *array = plan->change;
	int r;

	r = repair_reserve(&array, plan->nchange, &plan->change_room,
	    sizeof(*change), BTT_REPAIR_CHANGE_MAX);
	plan->change = array;
	if (r < 0)
		return r;
	plan->change[plan->nchange++] = *change;
	return 0;
}

/* More than a change each, for pairs that are rewritten many times over. */
#define WRITE_MAX (4 * BTT_REPAIR_CHANGE_MAX)

static int
add_write(struct btt_repair *plan, const struct repair_write *write)
{
	void *array = plan->write;
	int r;

	r = repair_reserve(
	    &array, plan->nwrite, &plan->write_room, sizeof(*write), WRITE_MAX);
	plan->write = array;
	if (r < 0)
		return r;
	plan->write[plan->nwrite++] = *write;
	return 0;
}

int
repair_add_word(struct btt_repair *plan, uint32_t round, uint64_t off,
    uint32_t bytes, uint64_t before, uint64_t after)
{
	assert((bytes == 4 || bytes == 8) && off % bytes == 0);
	return add_write(plan,
	    &(struct repair_write){ .off = off,
		.round = round,
		.bytes = bytes,
		.before = before,
		.after = after });
}

int
repair_add_block(struct btt_repair *plan, uint32_t round, uint64_t off,
    const uint8_t before[BTT_INFO_BYTES], const uint8_t after[BTT_INFO_BYTES])
{
	struct repair_write write = {
		.off = off, .round = round, .bytes = BTT_INFO_BYTES
	};
	int r;

	if ((write.block = malloc(sizeof(*write.block))) == NULL)
		return -ENOMEM;
	memcpy(write.block->before, before, BTT_INFO_BYTES);
	memcpy(write.block->after, after, BTT_INFO_BYTES);
	if ((r = add_write(plan, &write)) < 0)
		free(write.block);
	return r;
}

int
repair_add_refusal(
    struct btt_repair *plan, uint32_t arena, const char *fmt, ...)
{
	void *array = plan->refusal;
	struct btt_repair_refusal *refusal;
	va_list args;
	int r;

	r = repair_reserve(&array, plan->nrefusal, &plan->refusal_room,
	    sizeof(*refusal), BTT_REPAIR_CHANGE_MAX);
	plan->refusal = array;
	if (r < 0)
		return r;
	refusal = &plan->refusal[plan->nrefusal++];
	refusal->arena = arena;
	va_start(args, fmt);
	(void)vsnprintf(refusal->text, sizeof(refusal->text), fmt, args);
	va_end(args);
	return 0;
}

/* What a check calls damage and nothing here mends is refused by its words. */
struct listener {
	struct repairing *repairing;
	int r;
};

static void
hear_finding(void *arg, const struct btt_finding *finding)
{
	struct listener *listener = arg;

	if (finding->severity != BTT_DAMAGE || finding->repairable ||
	    listener->r < 0)
		return;
	listener->r = repair_add_refusal(listener->repairing->plan,
	    finding->arena, "%s: %s", finding->name, finding->text);
}

static int
plan_infos(struct repairing *repairing, const struct probe_walk *walk)
{
	struct listener listener = { .repairing = repairing };
	const struct btt_check_options options = { .report = hear_finding,
		.report_arg = &listener };
	const struct btt_check_options *before = repairing->check.options;
	int r;

	repairing->check.options = &options;
	if (walk->probe.narena == 0)
		r = check_nothing(
		    &repairing->check, walk, repairing->check.error);
	else
		r = check_infos(&repairing->check, walk);
	repairing->check.options = before;
	return r < 0 ? r : listener.r;
}

/* The word on the medium that a write which was cut short has not changed. */
static int
plan_pending(struct repairing *repairing, const struct check_pending *pending)
{
	struct check *check = &repairing->check;
	const uint64_t off = check->place->off + check->place->info.mapoff +
	    (uint64_t)pending->premap * MAP_ENTRY_BYTES;
	struct le32 word;
	uint32_t raw;
	int r;

	if ((r = check_read(check, off, &word, sizeof(word))) < 0)
		return r;
	raw = le32_decode(word);
	r = repair_add_change(repairing->plan,
	    &(struct repair_change){ .kind = REPAIR_PENDING,
		.arena = check->arena,
		.entry = pending->premap,
		.block = pending->entry & MAP_BLOCK_MASK,
		.other = map_entry_block(raw, pending->premap),
		.off = off });
	if (r < 0)
		return r;
	return repair_add_word(repairing->plan, REPAIR_ROUND_MAP, off,
	    MAP_ENTRY_BYTES, raw, pending->entry);
}

static int
compare_numbers(const void *key, const void *element)
{
	uint32_t number = *(const uint32_t *)key;
	const struct repair_owner *owner = element;

	return (number > owner->number) - (number < owner->number);
}

/* Interrupted writes, but for sectors that cannot have their block. */
static int
plan_all_pending(struct repairing *repairing, const struct check_log *log,
    const struct repair_owners *owners)
{
	const uint32_t nfree = repairing->check.place->info.nfree;
	int r = 0;

	for (uint32_t i = 0; i < log->npending && r == 0; i++) {
		uint32_t number = nfree + log->pending[i].premap;

		if (owners->n == 0 ||
		    bsearch(&number, owners->owner, owners->n,
			sizeof(*owners->owner), compare_numbers) == NULL)
			r = plan_pending(repairing, &log->pending[i]);
	}
	return r;
}

static int
plan_entry(struct repairing *repairing, const struct repair_owner *owner,
    bool is_withheld)
{
	const struct check *check = &repairing->check;
	const struct btt_info *info = &check->place->info;
	const uint32_t premap = owner->number - info->nfree;
	const uint64_t off = check->place->off + info->mapoff +
	    (uint64_t)premap * MAP_ENTRY_BYTES;
	int r;

	r = repair_add_change(repairing->plan,
	    &(struct repair_change){ .kind = owner->rank == REPAIR_RANK_NONE
		    ? REPAIR_MAP_RANGE
		    : REPAIR_MAP_TWICE,
		.state = owner->state,
		.loses_data = owner->loses_data,
		.is_withheld = is_withheld,
		.arena = check->arena,
		.entry = premap,
		.block = owner->block,
		.other = owner->other,
		.rank = owner->rank,
		.off = off });
	if (r < 0 || is_withheld)
		return r;
	return repair_add_word(repairing->plan, REPAIR_ROUND_MAP, off,
	    MAP_ENTRY_BYTES, owner->raw,
	    (uint32_t)owner->state << 30 | owner->block);
}

static int
plan_pair(struct repairing *repairing, const struct check_log *log,
    const struct repair_owner *owner, bool is_withheld)
{
	const struct check *check = &repairing->check;
	bool is_damaged = log->pair[owner->number].is_damaged;

	return repair_add_change(repairing->plan,
	    &(struct repair_change){
		.kind = is_damaged ? REPAIR_PAIR : REPAIR_PAIR_TWICE,
		.state =
		    is_damaged ? (uint8_t)log->pair[owner->number].kind : 0,
		.is_withheld = is_withheld,
		.arena = check->arena,
		.entry = owner->number,
		.block = owner->block,
		.other = owner->other,
		.rank = owner->rank,
		.off = check->place->off + check->place->info.logoff +
		    (uint64_t)owner->number * FLOG_GROUP_BYTES });
}

/* Who gets which block, for people; and the writes to the map. */
static int
plan_owners(struct repairing *repairing, const struct check_log *log,
    const struct repair_owners *owners, bool is_withheld)
{
	const uint32_t nfree = repairing->check.place->info.nfree;
	int r = 0;

	for (uint32_t i = 0; i < owners->n && r == 0; i++) {
		const struct repair_owner *owner = &owners->owner[i];

		r = owner->number < nfree
		    ? plan_pair(repairing, log, owner, is_withheld)
		    : plan_entry(repairing, owner, is_withheld);
	}
	return r;
}

/*
 * Map and log of the arena at hand.  They are mended together or not at all:
 * blocks that one owner gives up are what another one gets.
 */
static int
plan_map_and_log(struct repairing *repairing, struct check_log *log)
{
	struct check *check = &repairing->check;
	struct repair_owners owners = { 0 };
	bool is_withheld;
	int r;

	r = check_log(check, log);
	/* What damaged pairs seem to say is not worth more than other claims. */
	for (uint32_t i = 0; r == 0 && i < check->place->info.nfree; i++) {
		if (log->pair[i].is_damaged)
			log->pair[i].free_block = CHECK_NO_BLOCK;
	}
	if (r == 0)
		r = repair_find_owners(repairing, log, &owners);
	if (r < 0)
		goto out;
	is_withheld = owners.loses_data && !repairing->options->allow_data_loss;
	if (is_withheld)
		r = repair_add_refusal(repairing->plan, check->arena,
		    "map and log stay as they are: to mend them, sectors must "
		    "be given up that can be read now");
	else
		r = plan_all_pending(repairing, log, &owners);
	if (r == 0)
		r = plan_owners(repairing, log, &owners, is_withheld);
	if (r == 0 && !is_withheld)
		r = repair_log(repairing, log, &owners);
out:
	repair_owners_fini(&owners);
	return r;
}

static int
plan_arena(struct repairing *repairing)
{
	struct btt_repair *plan = repairing->plan;
	const uint32_t nchange = plan->nchange;
	const uint32_t nwrite = plan->nwrite;
	struct check_log log = { 0 };
	int r;

	r = plan_map_and_log(repairing, &log);
	check_log_fini(&log);
	if (r != -E2BIG)
		return r;
	/* Words only: nothing in them is owned. */
	plan->nchange = nchange;
	plan->nwrite = nwrite;
	return repair_add_refusal(plan, repairing->check.arena,
	    "map and log stay as they are: more than %u of their entries are "
	    "damaged",
	    BTT_REPAIR_CHANGE_MAX);
}

/* All arenas, which are sound as far as their numbers go. */
static int
plan_arenas(struct repairing *repairing, const struct btt_probe *probe)
{
	struct btt_repair *plan = repairing->plan;
	struct check *check = &repairing->check;
	int r;

	plan->log = calloc(probe->narena, sizeof(*plan->log));
	if (plan->log == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < probe->narena; i++) {
		const struct btt_info *info = &probe->arena[i].info;

		plan->log[plan->nlog++] = (struct repair_log_place){
			.off = probe->arena[i].off + info->logoff,
			.bytes = (uint64_t)info->nfree * FLOG_GROUP_BYTES
		};
		check->total +=
		    (uint64_t)info->external_nlba * MAP_ENTRY_BYTES +
		    (uint64_t)info->nfree * FLOG_GROUP_BYTES;
		check->nsector += info->external_nlba;
		check_enter(check, i, &probe->arena[i]);
		if ((r = repair_infos(repairing)) < 0)
			return r;
	}
	for (uint32_t i = 0; i < probe->narena; i++) {
		check_enter(check, i, &probe->arena[i]);
		if ((r = plan_arena(repairing)) < 0)
			return r;
	}
	return repair_flags(repairing, probe);
}

/* The copy of arena 0's info block that is not written to. */
static void
note_identity(struct btt_repair *plan, const struct btt_probe *probe)
{
	const struct btt_arena_place *place = &probe->arena[0];

	memcpy(plan->uuid, place->info.uuid, sizeof(plan->uuid));
	plan->uuid_off = place->off + offsetof(struct info_media, uuid);
	if (place->from_backup)
		plan->uuid_off += place->info.info2off;
}

static int
compare_writes(const void *a, const void *b)
{
	const struct repair_write *x = a;
	const struct repair_write *y = b;

	if (x->round != y->round)
		return x->round < y->round ? -1 : 1;
	return (x->off > y->off) - (x->off < y->off);
}

static int
make_plan(struct repairing *repairing, const struct probe_walk *walk)
{
	struct btt_repair *plan = repairing->plan;
	int r;

	if ((r = plan_infos(repairing, walk)) < 0)
		return r;
	/*
	 * Where it is not certain where things are, nothing is written.  Should
	 * nobody have said why, the walk does.
	 */
	if (walk->r < 0)
		return plan->nrefusal > 0
		    ? 0
		    : repair_add_refusal(plan, 0, "%s", walk->error.text);
	note_identity(plan, &walk->probe);
	if ((r = plan_arenas(repairing, &walk->probe)) < 0)
		return r;
	if (plan->nwrite > 0)
		qsort(plan->write, plan->nwrite, sizeof(*plan->write),
		    compare_writes);
	return 0;
}

int
btt_repair_plan(const struct media *media,
    const struct btt_repair_options *options, struct btt_repair **ret_plan,
    struct btt_error *error)
{
	const struct btt_check_options check_options = {
		.progress = options->progress,
		.progress_arg = options->progress_arg,
		.nthread = options->nthread,
	};
	struct btt_check_result result = { 0 };
	struct repairing repairing = {
		.check = { .media = media,
		    .options = &check_options,
		    .result = &result,
		    .error = error,
		    .recovers_fully = true },
		.options = options,
	};
	struct probe_walk walk;
	int r;

	if ((r = probe_walk_find(media, options->namespace, &walk)) < 0)
		return btt_error_set(error, r, "out of memory");
	repairing.check.layout = walk.probe.layout;
	repairing.check.end = probe_end_off(&walk.probe);
	if (walk.r < 0 && walk.r != -EUCLEAN) {
		r = btt_error_set(error, walk.r, "%s", walk.error.text);
	} else if ((repairing.plan = calloc(1, sizeof(*repairing.plan))) ==
	    NULL) {
		r = -ENOMEM;
	} else {
		repairing.plan->media_bytes = media->size;
		r = make_plan(&repairing, &walk);
	}
	probe_walk_fini(&walk);
	if (r == 0) {
		*ret_plan = repairing.plan;
		return 0;
	}
	btt_repair_free(repairing.plan);
	if (r == -ENOMEM)
		(void)btt_error_set(error, r, "out of memory");
	if (r == -EUCLEAN && walk.r == 0)
		(void)btt_error_set(
		    error, r, "the medium changes while it is looked at");
	return r;
}

void
btt_repair_free(struct btt_repair *plan)
{
	if (plan == NULL)
		return;
	for (uint32_t i = 0; i < plan->nwrite; i++) {
		if (plan->write[i].bytes == BTT_INFO_BYTES)
			free(plan->write[i].block);
	}
	free(plan->log);
	free(plan->refusal);
	free(plan->write);
	free(plan->change);
	free(plan);
}

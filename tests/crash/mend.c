/* SPDX-License-Identifier: BSD-3-Clause */
#include "mend.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <btt/check.h>
#include <btt/repair.h>

#include "layout.h"

#define META_MAX (ARENAS_MAX * 5 * 4096u)

/* What all of the repairs of a run share. */
static struct {
	struct btt_repair_options options;
	struct btt_repair_summary summary; /* of the last plan */
	/* Info blocks, map and log as the first repair leaves them. */
	size_t nend;
	uint8_t end[META_MAX];
	/* What sectors held before: a value, an error, or nothing sure. */
	bool had_value[SPEC_LBAS];
	struct spec_value value[SPEC_LBAS];
} mending;

bool
mend_is_program(const char *program)
{
	return strcmp(program, "mend") == 0;
}

/* ---- damage ---- */

static uint8_t *
map_at(struct world *world, unsigned a, uint32_t premap)
{
	const struct btt_arena_place *place = &world->place[a];

	return world->sim->view + place->off + place->info.mapoff +
	    4 * (uint64_t)premap;
}

static uint8_t *
pair_at(struct world *world, unsigned a, uint32_t pair)
{
	const struct btt_arena_place *place = &world->place[a];

	return world->sim->view + place->off + place->info.logoff +
	    FLOG_GROUP_BYTES * (uint64_t)pair;
}

static void
put32(uint8_t *at, uint32_t value)
{
	struct le32 word = le32_encode(value);

	memcpy(at, &word, sizeof(word));
}

/* An info block gets the error flag, or a wrong checksum. */
static void
damage_info(struct world *world, unsigned a, bool backup, bool flag)
{
	const struct btt_arena_place *place = &world->place[a];
	uint8_t *block =
	    world->sim->view + place->off + (backup ? place->info.info2off : 0);
	struct btt_info info = place->info;

	if (flag) {
		info.flags = BTT_FLAG_ERROR;
		btt_info_encode(&info, block);
	} else {
		block[100] ^= 0x55;
	}
}

static void
damage_map(struct world *world, unsigned a, struct rng *rng)
{
	static const uint32_t flags[] = { MAP_NORMAL, MAP_NORMAL, MAP_ERROR,
		MAP_ZERO };
	const struct btt_info *info = world_info(world);
	uint32_t premap = rng_below(rng, info->external_nlba);
	uint32_t block = rng_below(rng, info->internal_nlba);

	if (rng_below(rng, 4) == 0)
		block += info->internal_nlba;
	/* One that was never written. */
	if (rng_below(rng, 6) == 0)
		put32(map_at(world, a, premap), 0);
	else
		put32(
		    map_at(world, a, premap), flags[rng_below(rng, 4)] | block);
}

static void
damage_pair(struct world *world, unsigned a, struct rng *rng)
{
	const struct btt_info *info = world_info(world);
	uint32_t pair = rng_below(rng, info->nfree);
	uint8_t *group = pair_at(world, a, pair);

	switch (rng_below(rng, 4)) {
	case 0:
		memset(group, 0, FLOG_GROUP_BYTES);
		break;
	case 1:
		memcpy(group, pair_at(world, a, (pair + 1) % info->nfree),
		    FLOG_GROUP_BYTES);
		break;
	default:
		/* A word of one of the two entries. */
		put32(group + 4 * rng_below(rng, 8),
		    rng_below(rng, 2 * info->internal_nlba));
		break;
	}
}

static void
damage(struct world *world, struct rng *rng)
{
	unsigned n = 1 + rng_below(rng, 3);
	bool info = false;

	for (unsigned i = 0; i < n; i++) {
		unsigned a = rng_below(rng, world->narena);

		switch (rng_below(rng, 6)) {
		case 0:
			/*
			 * Once only: a copy with two things wrong could become
			 * valid, with one of them, half way.
			 */
			if (!info)
				damage_info(world, a, rng_below(rng, 2) == 0,
				    rng_below(rng, 2) == 0);
			info = true;
			break;
		case 1:
		case 2:
			damage_pair(world, a, rng);
			break;
		default:
			damage_map(world, a, rng);
			break;
		}
	}
}

/* ---- one repair ---- */

static void
print_plan(const struct btt_repair *plan)
{
	struct btt_repair_summary summary;
	struct btt_repair_change change;
	struct btt_repair_refusal refusal;

	btt_repair_get_summary(plan, &summary);
	printf("  a repair%s%s%s:\n",
	    mending.options.allow_data_loss ? " that may lose data" : "",
	    mending.options.rewrite_log ? " with a new log" : "",
	    mending.options.clear_error_flag ? " that clears flags" : "");
	for (uint32_t i = 0; i < summary.nchange; i++) {
		btt_repair_get_change(plan, i, &change);
		printf("    %s%s\n", change.text,
		    change.is_withheld ? " (withheld)" : "");
	}
	for (uint32_t i = 0; i < summary.nrefusal; i++) {
		btt_repair_get_refusal(plan, i, &refusal);
		printf("    refused: %s\n", refusal.text);
	}
}

/* False if there is nothing that it could begin with. */
static bool
mend(struct world *world, struct sim *sim)
{
	struct btt_error error = { "" };
	struct btt_repair *plan = NULL;
	int r;

	if (btt_repair_plan(&sim->media, &mending.options, &plan, &error) < 0)
		return false;
	if (report_verbose)
		print_plan(plan);
	btt_repair_get_summary(plan, &mending.summary);
	r = btt_repair_apply(plan, &sim->media, &error);
	btt_repair_free(plan);
	if (r < 0)
		violation(world, "repair", "fails: %s (%d)", error.text, r);
	return true;
}

/* All that repairs may change, one after the other. */
static size_t
copy_meta(const struct world *world, uint8_t *to)
{
	size_t at = 0;

	for (unsigned a = 0; a < world->narena; a++) {
		const struct btt_info *info = &world->place[a].info;
		const uint8_t *arena = world->sim->view + world->place[a].off;
		size_t behind =
		    (size_t)(info->info2off - info->mapoff) + BTT_INFO_BYTES;

		assert(at + BTT_INFO_BYTES + behind <= META_MAX);
		memcpy(to + at, arena, BTT_INFO_BYTES);
		memcpy(to + at + BTT_INFO_BYTES, arena + info->mapoff, behind);
		at += BTT_INFO_BYTES + behind;
	}
	return at;
}

static void
check_image(void *arg, const struct enum_choice *choice)
{
	static uint8_t now[META_MAX];
	struct world *world = arg;

	world->choice = choice;
	world->tally->nimage++;
	if (!mend(world, world->rec))
		violation(
		    world, "repair", "cut short, it cannot be begun again");
	if (copy_meta(world, now) != mending.nend ||
	    memcmp(now, mending.end, mending.nend) != 0)
		violation(world, "repair",
		    "cut short and begun again, it ends differently");
	sim_undo_all(world->rec);
	world->choice = NULL;
}

static void
at_fence(struct sim *sim, void *arg)
{
	struct world *world = arg;
	const struct run *run = &world->run;
	struct rng rng;

	world->point++;
	if (run->only_point != 0 && run->only_point != world->point)
		return;
	world->tally->npoint++;
	rng_seed(&rng, rng_mix(run->seed, world->point));
	if (run->only_choice == NULL)
		(void)enumerate(sim, &run->plan, &rng, check_image, world);
	else if (!enumerate_one(sim, run->only_choice, check_image, world))
		violation(world, "replay", "other units than were");
}

/* ---- what sectors read ---- */

/* May the log say that a write of this sector was interrupted? */
static bool
may_be_pending(struct world *world, unsigned a, uint32_t premap, uint32_t block)
{
	for (uint32_t i = 0; i < world->run.shape.nfree; i++) {
		struct flog_media entry;

		for (unsigned slot = 0; slot < FLOG_GROUP_SLOTS; slot++) {
			memcpy(&entry,
			    pair_at(world, a, i) + slot * sizeof(entry),
			    sizeof(entry));
			if (le32_decode(entry.lba) == premap &&
			    (le32_decode(entry.old_map) & MAP_BLOCK_MASK) ==
				block)
				return true;
		}
	}
	return false;
}

/* What the map says; nothing is sure of interrupted writes. */
static void
note_values(struct world *world)
{
	for (uint32_t i = 0; i < world->run.shape.nlba; i++) {
		uint32_t premap;
		unsigned a = world_arena_of(world, i, &premap);
		struct le32 word;
		uint32_t entry, block;

		memcpy(&word, map_at(world, a, premap), sizeof(word));
		entry = le32_decode(word);
		block = map_entry_block(entry, premap);
		mending.had_value[i] = false;
		if (map_entry_state(entry) == MAP_STATE_ERROR ||
		    may_be_pending(world, a, premap, block))
			continue;
		mending.had_value[i] = true;
		mending.value[i] = (struct spec_value){ { 0, 0 } };
		if (map_entry_state(entry) == MAP_STATE_ZERO)
			continue;
		/* Another sector's content is no value of this one. */
		mending.had_value[i] =
		    block < world_info(world)->internal_nlba &&
		    spec_decode(&world->spec, i,
			world->sim->view + world_block_off(world, a, block),
			&mending.value[i]);
	}
}

/* After all repairs: it opens, and reads what it read or an error. */
static void
check_end(struct world *world)
{
	struct btt_open_options options = { .read_only = true };
	struct btt_worker *worker = btt_worker_pool_get(world->check_pool, 0);
	uint32_t sector_bytes = world->run.shape.sector_bytes;
	struct btt_check_options check = { .nthread = 1 };
	struct btt_check_result result;
	struct btt_error error = { "" };
	uint8_t bytes[4096];
	struct btt *btt;
	int r;

	r = btt_check(&world->rec->media, &check, &result, &error);
	if (r < 0)
		violation(world, "repair", "btt_check: %s", error.text);
	/* What is withheld or refused stays as it is. */
	if (mending.summary.nwithheld > 0 || mending.summary.nrefusal > 0)
		return;
	if (result.ndamage > 0)
		violation(world, "repair", "mended, it is damaged still");
	r = btt_open(
	    &world->rec->media, world->check_pool, &options, &btt, &error);
	if (r < 0)
		violation(world, "repair", "mended, it does not open: %s (%d)",
		    error.text, r);
	for (uint32_t i = 0; i < world->run.shape.nlba; i++) {
		struct spec_value value;

		r = btt_read(btt, worker, (uint64_t)i * sector_bytes,
		    sector_bytes, bytes);
		if (r < 0 || !mending.had_value[i])
			continue;
		if (!spec_decode(&world->spec, i, bytes, &value) ||
		    !spec_same(value, mending.value[i]))
			violation(world, "repair",
			    "sector %u reads what it did not", i);
	}
	if (btt_close(btt) < 0)
		violation(world, "repair", "btt_close");
}

/* ---- a run ---- */

void
mend_explore(const struct run *run, struct tally *tally)
{
	struct run aged = *run;
	struct world *world;
	struct rng rng;

	/* The program is of no account: nobody runs it. */
	aged.program = "f";
	world = world_new(&aged, tally);
	world->run.program = run->program;
	report_world = world;
	rng_seed(&rng, rng_mix(run->seed, 1));
	mending.options = (struct btt_repair_options){
		.allow_data_loss = rng_below(&rng, 4) > 0,
		.rewrite_log = rng_below(&rng, 4) == 0,
		.clear_error_flag = rng_below(&rng, 2) == 0,
		.nthread = 1,
	};
	damage(world, &rng);
	sim_reset(world->sim);
	note_values(world);
	if (report_verbose)
		world_dump(world);
	world->rec->at_fence = NULL;

	if (mend(world, world->rec)) {
		mending.nend = copy_meta(world, mending.end);
		check_end(world);
		sim_undo_all(world->rec);
		world->point = 0;
		world->sim->at_fence = at_fence;
		(void)mend(world, world->sim);
		at_fence(world->sim, world);
		tally->nschedule++;
	}
	world_free(world);
}

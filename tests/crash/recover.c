/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recover -- what becomes of an image: opened and recovered by the engine, by
 * the engine again after a crash inside recovery, by the reference rule, and
 * held against the specification.
 *
 * All of it happens in the bytes of the run itself; what recovery writes is
 * taken back afterwards.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "engine.h"
#include "map.h"
#include "reference_recovery.h"
#include "sync_sim.h"
#include "world.h"

/* A crash inside recovery: this many of its images at most. */
#define NESTED_CAP 256u

/* What an opened image says. */
struct outcome {
	struct arena_outcome {
		uint32_t map[REFERENCE_LBAS]; /* raw entries */
		uint32_t free[REFERENCE_LANES];
	} arena[ARENAS_MAX];
	struct spec_value value[SPEC_LBAS]; /* of all arenas */
};

/*
 * What the recovery under way is to end in, for those that are cut short: it
 * has come so far that the arenas before narena have all their stores.
 */
static struct {
	unsigned narena;
	uint8_t map[ARENAS_MAX][4 * REFERENCE_LBAS];
	uint8_t log[ARENAS_MAX][64 * REFERENCE_LANES];
} nested;

/* ---- the specification, on a map and its free blocks ---- */

static struct spec_value
sector_value(struct world *world, uint32_t lba, const struct outcome *out,
    const char *who)
{
	uint32_t premap;
	unsigned a = world_arena_of(world, lba, &premap);
	uint32_t entry = out->arena[a].map[premap];
	uint32_t block = map_entry_block(entry, premap);
	uint64_t off = world_block_off(world, a, block);
	struct spec_value value = { { 0, 0 } };

	switch (map_entry_state(entry)) {
	case MAP_STATE_ERROR:
		value.half[0] = value.half[1] = SPEC_ERROR;
		return value;
	case MAP_STATE_ZERO:
		return value;
	case MAP_STATE_INITIAL:
	case MAP_STATE_NORMAL:
		break;
	}
	if (sim_poisoned(world->sim, off, world_info(world)->external_lbasize))
		value.half[0] = value.half[1] = SPEC_ERROR;
	else if (!spec_decode(
		     &world->spec, lba, world->sim->view + off, &value))
		violation(world, "I1",
		    "%s: sector %u (block %u) is torn, mixed or foreign", who,
		    lba, block);
	return value;
}

/* Every block once: in the map or free (I3, I4); every number in range. */
static void
check_arena_owners(
    struct world *world, const struct arena_outcome *out, const char *who)
{
	const struct btt_info *info = world_info(world);
	uint64_t seen[REFERENCE_LBAS / 64 + 1] = { 0 };

	for (uint32_t i = 0; i < info->external_nlba + info->nfree; i++) {
		bool mapped = i < info->external_nlba;
		uint32_t block = mapped ? map_entry_block(out->map[i], i)
					: out->free[i - info->external_nlba];

		if (block >= info->internal_nlba)
			violation(world, "I5", "%s: block %u is out of range",
			    who, block);
		if (seen[block / 64] >> block % 64 & 1)
			violation(world, mapped ? "I3" : "I4",
			    "%s: block %u has two owners, the second is %s %u",
			    who, block, mapped ? "sector" : "pair",
			    mapped ? i : i - info->external_nlba);
		seen[block / 64] |= UINT64_C(1) << block % 64;
	}
}

static void
check_owners(struct world *world, const struct outcome *out, const char *who)
{
	for (unsigned a = 0; a < world->narena; a++)
		check_arena_owners(world, &out->arena[a], who);
}

static void
check_values(struct world *world, struct outcome *out, const char *who)
{
	for (uint32_t i = 0; i < world->run.shape.nlba; i++) {
		out->value[i] = sector_value(world, i, out, who);
		if (!spec_is_legal(&world->legal[i], out->value[i]))
			violation(world, "I2",
			    "%s: sector %u holds %u/%u, which is too old or "
			    "was never written",
			    who, i, out->value[i].half[0],
			    out->value[i].half[1]);
	}
}

/* ---- opening and recovering ---- */

/* Nothing is recovered before all arenas were opened (I9 of ARCHITECTURE). */
static void
open_or_complain(struct world *world, struct sim *medium,
    struct arena arena[ARENAS_MAX], const char *who)
{
	struct btt_error error = { "" };
	int r;

	for (unsigned a = 0; a < world->narena; a++) {
		r = arena_open(&medium->media, &world->place[a], BTT_LAYOUT_V20,
		    a, NULL, &arena[a], &error);
		if (r < 0)
			violation(world, "I5",
			    "%s: arena does not open: %s (%d)", who, error.text,
			    r);
	}
}

static void
recover_or_complain(
    struct world *world, struct arena arena[ARENAS_MAX], const char *who)
{
	struct btt_error error = { "" };
	int r;

	for (unsigned a = 0; a < world->narena; a++) {
		nested.narena = a + 1;
		r = arena_recover(&arena[a], false, &error);
		if (r < 0)
			violation(world, "I6", "%s: recovery fails: %s (%d)",
			    who, error.text, r);
	}
}

static void
close_arenas(struct world *world, struct arena arena[ARENAS_MAX])
{
	for (unsigned a = 0; a < world->narena; a++)
		arena_close(&arena[a]);
}

/* ---- a crash inside recovery ---- */

static void
check_nested_image(void *arg, const struct enum_choice *choice)
{
	static const char who[] = "recovery cut short";
	struct world *world = arg;
	const struct btt_info *info = world_info(world);
	struct arena arena[ARENAS_MAX];
	unsigned narena = nested.narena;

	(void)choice;
	world->tally->nimage++;
	world->tally->nnested++;
	open_or_complain(world, world->rec2, arena, who);
	recover_or_complain(world, arena, who);
	for (unsigned a = 0; a < narena; a++) {
		if (memcmp(nested.map[a], world_map(world, a),
			4 * (size_t)info->external_nlba) != 0 ||
		    memcmp(nested.log[a], world_log(world, a),
			64 * (size_t)info->nfree) != 0)
			violation(world, "I6",
			    "recovery cut short and begun again ends "
			    "differently");
	}
	close_arenas(world, arena);
	sim_undo_all(world->rec2);
	nested.narena = narena;
}

/* Recovery is about to fence: what if it had not come so far? */
static void
crash_recovery(struct sim *sim, void *arg)
{
	struct world *world = arg;
	const struct btt_info *info = world_info(world);
	struct enum_plan plan = {
		.cap = NESTED_CAP, .nrandom = 16, .neach = 8
	};
	struct rng rng;

	rng_seed(&rng, world->run.seed);
	for (unsigned a = 0; a < nested.narena; a++) {
		memcpy(nested.map[a], world_map(world, a),
		    4 * (size_t)info->external_nlba);
		memcpy(nested.log[a], world_log(world, a),
		    64 * (size_t)info->nfree);
	}
	(void)enumerate(sim, &plan, &rng, check_nested_image, world);
}

/* ---- second opinions ---- */

/* The kernel's rule on the image as the crash left it (I7). */
static void
check_reference(struct world *world, const struct outcome *ours,
    const struct reference *reference)
{
	const struct btt_info *info = world_info(world);
	struct outcome theirs;
	bool same = true;

	for (unsigned a = 0; a < world->narena; a++, reference++) {
		struct arena_outcome *out = &theirs.arena[a];

		if (reference->error != NULL)
			violation(world, "I7", "reference recovery: %s",
			    reference->error);
		memcpy(out->map, reference->map, sizeof(out->map));
		memcpy(out->free, reference->free, sizeof(out->free));
		same = same &&
		    memcmp(out->map, ours->arena[a].map,
			4 * (size_t)info->external_nlba) == 0 &&
		    memcmp(out->free, ours->arena[a].free,
			4 * (size_t)info->nfree) == 0;
	}
	if (same)
		return;
	check_owners(world, &theirs, "reference recovery");
	check_values(world, &theirs, "reference recovery");
}

/* The way users come: probe, validate, recover, read. */
static void
check_whole(
    struct world *world, const struct outcome *ours, bool read_only, bool told)
{
	struct btt_open_options options = { .read_only = read_only,
		.nlane = 1 };
	static uint8_t bytes[BTT_SECTOR_MAX];
	struct btt_worker *worker = btt_worker_pool_get(world->check_pool, 0);
	uint32_t sector_bytes = world->run.shape.sector_bytes;
	struct btt_error error = { "" };
	struct spec_value value;
	struct btt *btt;
	int r;

	world->tally->nwhole++;
	world->rec->at_fence = NULL; /* done already, by arena_recover */
	if (world->has_poison)
		sim_poison_list(world->rec, told);
	r = btt_open(
	    &world->rec->media, world->check_pool, &options, &btt, &error);
	if (r < 0)
		violation(world, "I5", "btt_open%s: %s (%d)",
		    read_only ? " read-only" : "", error.text, r);
	for (uint32_t i = 0; i < world->run.shape.nlba; i++) {
		r = btt_read(btt, worker, (uint64_t)i * sector_bytes,
		    sector_bytes, bytes);
		value.half[0] = value.half[1] = SPEC_ERROR;
		if (r < 0 && r != -EIO)
			violation(world, "I1", "btt_read: %d", r);
		if (r == 0 && !spec_decode(&world->spec, i, bytes, &value))
			violation(
			    world, "I1", "btt_read: sector %u is torn", i);
		if (!spec_same(value, ours->value[i]))
			violation(world, "I6",
			    "btt_read%s: sector %u is not what arena_open "
			    "found",
			    read_only ? " read-only" : "", i);
	}
	if (read_only && world->rec->nundo > 0)
		violation(world, "P7", "a read-only open wrote");
	if ((r = btt_close(btt)) < 0)
		violation(world, "I6", "btt_close: %d", r);
	sim_undo_all(world->rec);
	world->rec->at_fence = crash_recovery;
}

/* ---- life after recovery ---- */

static struct world *
next_life(struct world *world)
{
	struct run run = world->run;

	if (world->life != NULL)
		return world->life;
	run.plan = (struct enum_plan){ .cap = 64, .nrandom = 8, .neach = 4 };
	run.life_every = 0;
	run.fault = FAULT_NONE;
	run.only_point = 0;
	run.only_choice = NULL;
	world->life = world_new(&run, world->tally);
	world->life->parent = world;
	return world->life;
}

/*
 * Go on with the image as a user would: open, then write until every pair has
 * been used again, crashing all the way.  What the first recovery showed must
 * stay (M22).
 */
static void
live_on(struct world *world, const struct outcome *out, uint64_t hash)
{
	struct world *life = next_life(world);
	unsigned nwrite = world->narena * world->run.shape.nfree + 2;
	uint64_t before = world->tally->nimage;

	life->run.seed = hash;
	life->choice = world->choice;
	memcpy(life->sim->view, world->sim->view, life->sim->view_bytes);
	sim_reset(life->sim);
	world_begin(life, out->value);
	report_world = life;
	sim_thread = SIM_THREAD_RECOVERY;
	world_open(life);
	crash_point(life, "second life opened");
	/* The crash may have come while the arena was marked as failed. */
	if (btt_failed(life->btt) < 0)
		nwrite = 0;
	for (unsigned i = 0; i < nwrite; i++) {
		struct step step = { STEP_WRITE, 3,
			(uint8_t)(((hash >> 8) + i) % world->run.shape.nlba),
			1 };

		sim_thread = 0;
		world_step(life, 0, &step);
	}
	sim_thread = 0;
	world_close(life);
	report_world = world;
	world->tally->nlife += world->tally->nimage - before;
}

/* ---- one image ---- */

static uint64_t
choice_hash(const struct world *world, const struct enum_choice *choice)
{
	uint64_t hash = rng_mix(world->run.seed, world->point);

	for (unsigned i = 0; i < choice->n; i++)
		hash =
		    (hash ^ choice->prefix[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 29;
}

static void
note_outcome(
    struct world *world, struct arena arena[ARENAS_MAX], struct outcome *out)
{
	const struct btt_info *info = world_info(world);

	for (unsigned a = 0; a < world->narena; a++) {
		for (uint32_t i = 0; i < info->external_nlba; i++)
			out->arena[a].map[i] = map_read(&arena[a], i);
		for (uint32_t i = 0; i < info->nfree; i++)
			out->arena[a].free[i] = arena[a].pair[i].free_block;
	}
}

/* Twice is once (I6). */
static void
check_again(struct world *world)
{
	struct arena arena[ARENAS_MAX];

	open_or_complain(world, world->rec2, arena, "second open");
	for (unsigned a = 0; a < world->narena; a++) {
		if (arena[a].npending > 0)
			violation(world, "I6",
			    "a recovered arena has %u writes to recover",
			    arena[a].npending);
	}
	close_arenas(world, arena);
}

static void
check_image(void *arg, const struct enum_choice *choice)
{
	struct world *world = arg;
	const struct btt_info *info = world_info(world);
	struct reference reference[ARENAS_MAX];
	struct arena arena[ARENAS_MAX];
	struct outcome out;
	uint64_t hash;

	world->choice = choice;
	world->tally->nimage++;
	hash = choice_hash(world, choice);
	if (world->may_lose && loss_check_image(world, hash)) {
		world->choice = NULL;
		return;
	}
	for (unsigned a = 0; a < world->narena; a++)
		reference_recover(world_map(world, a), info->external_nlba,
		    world_log(world, a), info->nfree, &reference[a]);

	open_or_complain(world, world->rec, arena, "open");
	recover_or_complain(world, arena, "open");
	note_outcome(world, arena, &out);
	close_arenas(world, arena);
	check_owners(world, &out, "recovered");
	check_values(world, &out, "recovered");
	if (world->rec->nundo > 0) {
		check_again(world);
		sim_undo_all(world->rec);
	}
	check_reference(world, &out, reference);
	if (one_in(hash, world->run.whole_every))
		check_whole(
		    world, &out, (hash >> 32 & 1) != 0, (hash >> 33 & 1) != 0);
	if (one_in(hash >> 16, world->run.life_every))
		live_on(world, &out, hash);
	world->choice = NULL;
}

void
crash_point(struct world *world, const char *what)
{
	/* Whoever crashes may hold locks; whoever lives on holds none. */
	struct held_stack *held_before = sim_held;
	struct held_stack held = { 0 };
	bool was_active = sched_set_active(false);
	unsigned thread = sim_thread;
	const struct run *run = &world->run;
	struct rng rng;

	sync_sim_catch(&held);
	sim_held = &held;
	world->point++;
	if (run->only_point != 0 && world->point != run->only_point)
		goto out;
	world->what = what;
	world->tally->npoint++;
	world->rec->at_fence = crash_recovery;
	world->rec->arg = world;
	for (uint32_t i = 0; i < run->shape.nlba; i++) {
		spec_crash_legal(&world->spec, i, &world->legal[i]);
		if (world->legal[i].n == 0)
			violation(world, "I8",
			    "what was read of sector %u fits no order", i);
	}
	sim_thread = SIM_THREAD_RECOVERY;
	rng_seed(&rng, rng_mix(run->seed, world->point));
	if (run->only_choice == NULL)
		(void)enumerate(
		    world->sim, &run->plan, &rng, check_image, world);
	else if (!enumerate_one(
		     world->sim, run->only_choice, check_image, world))
		violation(world, "replay",
		    "crash point %u has other units than the replay line",
		    world->point);
out:
	sim_thread = thread;
	(void)sched_set_active(was_active);
	sim_held = held_before;
}

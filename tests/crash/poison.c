/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * poison -- blocks of a run that lose what was written to them: before it
 * begins (shape), or in the middle of it (STEP_SPOIL).
 *
 * To the specification a poisoned sector holds SPEC_ERROR, whether its map
 * entry says E or nobody has noticed yet; losing a block is a write of that.
 */
#include <assert.h>
#include <string.h>

#include "engine.h"
#include "map.h"
#include "reference_recovery.h"
#include "sched.h"
#include "world.h"

/* The last byte of a block's data: of a large sector, its first spot is good. */
static uint64_t
spot_of(const struct world *world, unsigned a, uint32_t block)
{
	return world_block_off(world, a, block) +
	    world->run.shape.sector_bytes - 1;
}

static bool
has_step(const struct program *program, enum step_kind kind)
{
	for (unsigned t = 0; t < program->nthread; t++) {
		for (unsigned i = 0; i < program->thread[t].nstep; i++) {
			if (program->thread[t].step[i].kind == kind)
				return true;
		}
	}
	return false;
}

/* Blocks of one arena, by the masks of the shape. */
static void
poison_arena(struct world *world, unsigned a, const struct reference *now)
{
	const struct shape *shape = &world->run.shape;
	uint32_t nlba = world_nlba(world);

	for (uint32_t i = 0; i < nlba; i++) {
		if (shape->bad_sectors >> (a * nlba + i) & 1)
			sim_poison(world->sim,
			    spot_of(world, a, map_entry_block(now->map[i], i)));
	}
	for (uint32_t i = 0; i < shape->nfree; i++) {
		if (shape->bad_pairs >> (a * shape->nfree + i) & 1)
			sim_poison(world->sim, spot_of(world, a, now->free[i]));
	}
	/* A spot may be shared with neighbours. */
	for (uint32_t i = 0; i < nlba; i++) {
		struct spec_value *start = &world->start[a * nlba + i];
		uint32_t block = map_entry_block(now->map[i], i);

		if (sim_poisoned(world->sim, world_block_off(world, a, block),
			world_info(world)->external_lbasize))
			start->half[0] = start->half[1] = SPEC_ERROR;
	}
}

void
poison_setup(struct world *world)
{
	const struct shape *shape = &world->run.shape;
	struct reference now;

	world->has_poison = shape->bad_sectors != 0 || shape->bad_pairs != 0 ||
	    has_step(&world->program, STEP_SPOIL) ||
	    has_step(&world->program, STEP_LOSE);
	world->may_lose = has_step(&world->program, STEP_LOSE);
	if (!world->has_poison)
		return;
	sim_poison_watch(world->sim);
	for (unsigned a = 0; a < world->narena; a++) {
		reference_recover(world_map(world, a),
		    world_info(world)->external_nlba, world_log(world, a),
		    shape->nfree, &now);
		assert(now.error == NULL);
		poison_arena(world, a, &now);
	}
}

/*
 * At an open the system tells of what was poisoned before; after a crash it
 * may have forgotten.
 */
void
poison_open(struct world *world)
{
	bool told = !world->run.shape.bad_hidden;

	if (!world->has_poison)
		return;
	if (world->parent != NULL)
		told = (world->run.seed >> 40 & 1) != 0;
	sim_poison_unlist(world->sim);
	sim_poison_list(world->sim, told);
}

/* Is a write of the sector under way?  Of which parts? */
static bool
is_being_written(const struct world *world, uint32_t lba, bool in_part)
{
	for (unsigned i = 0; i < world->spec.nop; i++) {
		const struct spec_op *op = &world->spec.op[i];

		if (op->kind == SPEC_WRITE && op->returned == SPEC_NEVER &&
		    lba >= op->lba && lba - op->lba < op->n &&
		    (op->part != 3 || !in_part))
			return true;
	}
	return false;
}

void
poison_step(struct world *world, const struct step *step)
{
	bool was_active = sched_set_active(false);
	/* What it has now may soon be old, then. */
	bool busy = is_being_written(world, step->lba, false);
	uint32_t premap;
	unsigned a = world_arena_of(world, step->lba, &premap);
	uint32_t entry = map_read(&world->btt->arena[a], premap);
	enum map_state state = map_entry_state(entry);
	unsigned op;

	/*
	 * A write in part may have read what is lost now: it saves it, which
	 * no order of the two tells.
	 */
	if ((state != MAP_STATE_NORMAL && state != MAP_STATE_INITIAL) ||
	    is_being_written(world, step->lba, true)) {
		(void)sched_set_active(was_active);
		return;
	}
	op = spec_call(&world->spec, SPEC_WRITE, step->lba, 1, 3, true);
	world->spec.op[op].code = SPEC_ERROR;
	world->errors |= 1u << step->lba;
	sim_poison(
	    world->sim, spot_of(world, a, map_entry_block(entry, premap)));
	if (!busy)
		spec_return(&world->spec, op);
	(void)sched_set_active(was_active);
	crash_point(world, "spoiled");
}

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
block_off(const struct world *world, uint32_t block)
{
	const struct btt_info *info = &world->place.info;

	return info->dataoff + (uint64_t)block * info->internal_lbasize +
	    world->run.shape.sector_bytes - 1;
}

static bool
may_spoil(const struct program *program)
{
	for (unsigned t = 0; t < program->nthread; t++) {
		for (unsigned i = 0; i < program->thread[t].nstep; i++) {
			if (program->thread[t].step[i].kind == STEP_SPOIL)
				return true;
		}
	}
	return false;
}

void
poison_setup(struct world *world)
{
	const struct btt_info *info = &world->place.info;
	const struct shape *shape = &world->run.shape;
	const uint8_t *view = world->sim->view;
	struct reference now;

	world->has_poison = shape->bad_sectors != 0 || shape->bad_pairs != 0 ||
	    may_spoil(&world->program);
	if (!world->has_poison)
		return;
	sim_poison_watch(world->sim);
	reference_recover(view + info->mapoff, shape->nlba, view + info->logoff,
	    shape->nfree, &now);
	assert(now.error == NULL);
	for (uint32_t i = 0; i < shape->nlba; i++) {
		if (!(shape->bad_sectors >> i & 1))
			continue;
		sim_poison(world->sim,
		    block_off(world, map_entry_block(now.map[i], i)));
	}
	for (uint32_t i = 0; i < shape->nfree; i++) {
		if (shape->bad_pairs >> i & 1)
			sim_poison(world->sim, block_off(world, now.free[i]));
	}
	/* A spot may be shared with neighbours. */
	for (uint32_t i = 0; i < shape->nlba; i++) {
		uint32_t block = map_entry_block(now.map[i], i);

		if (sim_poisoned(world->sim,
			info->dataoff +
			    (uint64_t)block * info->internal_lbasize,
			info->external_lbasize))
			world->start[i].half[0] = world->start[i].half[1] =
			    SPEC_ERROR;
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

/* Is a write of the sector under way?  Then what it has now may soon be old. */
static bool
is_being_written(const struct world *world, uint32_t lba)
{
	for (unsigned i = 0; i < world->spec.nop; i++) {
		const struct spec_op *op = &world->spec.op[i];

		if (op->kind == SPEC_WRITE && op->returned == SPEC_NEVER &&
		    lba >= op->lba && lba - op->lba < op->n)
			return true;
	}
	return false;
}

void
poison_step(struct world *world, const struct step *step)
{
	struct arena *arena = &world->btt->arena[0];
	bool was_active = sched_set_active(false);
	bool busy = is_being_written(world, step->lba);
	uint32_t entry = map_read(arena, step->lba);
	enum map_state state = map_entry_state(entry);
	uint64_t off = block_off(world, map_entry_block(entry, step->lba));
	unsigned op;

	if (state != MAP_STATE_NORMAL && state != MAP_STATE_INITIAL) {
		(void)sched_set_active(was_active);
		return;
	}
	op = spec_call(&world->spec, SPEC_WRITE, step->lba, 1, 3, true);
	world->spec.op[op].code = SPEC_ERROR;
	world->errors |= 1u << step->lba;
	sim_poison(world->sim, off);
	if (!busy)
		spec_return(&world->spec, op);
	(void)sched_set_active(was_active);
	crash_point(world, "spoiled");
}

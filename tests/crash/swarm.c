/* SPDX-License-Identifier: BSD-3-Clause */
#include "swarm.h"

#include <stdio.h>

/* A step on few sectors, so that threads meet. */
static size_t
make_step(struct rng *rng, const struct shape *shape, bool spoils, char *text,
    size_t room)
{
	static const char letters[] = "wwwwpqzyrrrfb";
	size_t nletter = sizeof(letters) - (spoils ? 1 : 2);
	char letter = letters[rng_below(rng, (uint32_t)nletter)];
	uint32_t lba = rng_below(rng, shape->nlba);
	uint32_t most = shape->nlba - lba;
	uint32_t n = 1;

	if (letter == 'f')
		return (size_t)snprintf(text, room, "f ");
	/* Halves are of one sector. */
	if ((letter == 'w' || letter == 'z' || letter == 'r') &&
	    rng_below(rng, 3) == 0)
		n = 1 + rng_below(rng, most);
	return (size_t)snprintf(text, room, "%c%u+%u ", letter, lba, n);
}

static void
make_shape(struct rng *rng, struct shape *shape)
{
	*shape = (struct shape){
		.sector_bytes = 512,
		.narena = 1 + rng_below(rng, 3) / 2,
		.nfree = 1 + rng_below(rng, 6),
		.durability = rng_below(rng, 2) == 0 ? BTT_DURABLE_WRITE
						     : BTT_DURABLE_FLUSH,
		.nage = rng_below(rng, 12),
		.set_zero = rng_below(rng, 2) == 0,
		.error_entry = rng_below(rng, 8) == 0,
		.meta_bytes = rng_below(rng, 6) == 0 ? 8 : 0,
	};
	shape->nlane = 1 + rng_below(rng, shape->nfree);
	shape->nlba =
	    shape->narena * (1 + rng_below(rng, shape->narena > 1 ? 2 : 4));
}

/* Blocks that share a spot with others would lose more than is said. */
static bool
add_poison(struct rng *rng, struct shape *shape)
{
	if (shape->meta_bytes > 0 || rng_below(rng, 4) > 0)
		return false;
	shape->bad_sectors = rng_below(rng, 1u << shape->nlba);
	shape->bad_pairs = rng_below(rng, 1u << shape->narena * shape->nfree);
	shape->bad_hidden = rng_below(rng, 2) == 0;
	return true;
}

void
swarm_make(uint64_t seed, struct run *run, char program[SWARM_PROGRAM_BYTES])
{
	struct rng rng;
	unsigned nthread;
	size_t at = 0;
	bool spoils;

	rng_seed(&rng, seed);
	make_shape(&rng, &run->shape);
	spoils = add_poison(&rng, &run->shape);
	nthread = 1 + rng_below(&rng, SCHED_THREADS);
	for (unsigned i = 0; i < nthread; i++) {
		unsigned nstep = 1 + rng_below(&rng, nthread > 2 ? 3 : 4);

		for (unsigned k = 0; k < nstep; k++)
			at += make_step(&rng, &run->shape, spoils, program + at,
			    SWARM_PROGRAM_BYTES - at);
		program[at - 1] = i + 1 < nthread ? '|' : '\0';
	}
	run->program = program;
	run->fault = rng_below(&rng, 3) == 0 ? FAULT_FENCE + rng_below(&rng, 4)
					     : FAULT_NONE;
	if (run->fault == FAULT_LOST && !sim_kind_is_page(run->kind))
		run->fault = FAULT_FENCE;
	run->fault_n = 1 + rng_below(&rng, 24);
}

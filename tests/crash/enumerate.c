/* SPDX-License-Identifier: BSD-3-Clause */
#include "enumerate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct walk {
	struct sim *sim;
	enum_fn *fn;
	void *arg;
	uint64_t nimage;
	struct enum_choice choice; /* where the view is */
};

/* Move a unit to a prefix, delta by delta. */
static void
set_prefix(struct walk *walk, unsigned i, uint32_t prefix)
{
	uint32_t now = walk->choice.prefix[i];

	while (now < prefix)
		sim_delta_apply(walk->sim, i, now++);
	while (now > prefix)
		sim_delta_revert(walk->sim, i, --now);
	walk->choice.prefix[i] = (uint16_t)prefix;
}

static void
set_all(struct walk *walk, bool full)
{
	for (unsigned i = 0; i < walk->choice.n; i++)
		set_prefix(walk, i, full ? sim_ndelta(walk->sim, i) : 0);
}

static void
show(struct walk *walk)
{
	walk->nimage++;
	walk->fn(walk->arg, &walk->choice);
}

/* The view is complete: every unit stands at its last delta. */
static struct walk *
walk_new(struct sim *sim, enum_fn *fn, void *arg)
{
	struct walk *walk = malloc(sizeof(*walk));

	assert(walk != NULL && sim->ndirty <= ENUM_UNITS);
	walk->sim = sim;
	walk->fn = fn;
	walk->arg = arg;
	walk->nimage = 0;
	walk->choice.n = sim->ndirty;
	for (unsigned i = 0; i < sim->ndirty; i++)
		walk->choice.prefix[i] = (uint16_t)sim_ndelta(sim, i);
	return walk;
}

uint64_t
enumerate_count(const struct sim *sim)
{
	uint64_t n = 1;

	for (unsigned i = 0; i < sim->ndirty; i++) {
		if (__builtin_mul_overflow(
			n, (uint64_t)sim_ndelta(sim, i) + 1, &n))
			return UINT64_MAX;
	}
	return n;
}

/*
 * Reflected counting: digit i of image number k moves by one when the digits
 * below it have all come to an end, and they turn round instead of starting
 * over.  Digit i runs downwards where the number above it is odd.
 */
static void
go_to(struct walk *walk, uint64_t number, int8_t *direction)
{
	for (unsigned i = 0; i < walk->choice.n; i++) {
		uint64_t radix = (uint64_t)sim_ndelta(walk->sim, i) + 1;
		uint64_t digit = number % radix;

		number /= radix;
		direction[i] = number % 2 == 0 ? 1 : -1;
		set_prefix(walk, i,
		    (uint32_t)(direction[i] > 0 ? digit : radix - 1 - digit));
	}
}

static void
walk_all(struct walk *walk, uint64_t first, uint64_t end)
{
	int8_t *direction = malloc(walk->choice.n + 1);

	assert(direction != NULL);
	go_to(walk, first, direction);
	for (uint64_t number = first; number < end; number++) {
		unsigned i = 0;

		show(walk);
		for (; i < walk->choice.n; i++) {
			uint32_t last = sim_ndelta(walk->sim, i);
			uint32_t now = walk->choice.prefix[i];

			if (direction[i] > 0 ? now < last : now > 0) {
				set_prefix(walk, i,
				    direction[i] > 0 ? now + 1 : now - 1);
				break;
			}
			direction[i] = (int8_t)-direction[i];
		}
	}
	free(direction);
}

static void
walk_singles(struct walk *walk, const struct enum_plan *plan, struct rng *rng)
{
	unsigned n = walk->choice.n;
	unsigned each = n < plan->neach ? n : plan->neach;

	for (unsigned k = 0; k < each; k++) {
		unsigned i = n <= plan->neach ? k : rng_below(rng, n);
		uint32_t last = sim_ndelta(walk->sim, i);

		set_all(walk, true);
		set_prefix(walk, i, rng_below(rng, last));
		show(walk);
		set_all(walk, false);
		set_prefix(walk, i, 1 + rng_below(rng, last));
		show(walk);
	}
}

static void
walk_random(struct walk *walk, unsigned nimage, struct rng *rng)
{
	for (unsigned k = 0; k < nimage; k++) {
		/* From almost nothing to almost everything persisted. */
		uint32_t density = 1 + rng_below(rng, 15);

		for (unsigned i = 0; i < walk->choice.n; i++) {
			uint32_t last = sim_ndelta(walk->sim, i);
			uint32_t prefix = 0;

			if (rng_below(rng, 16) < density)
				prefix =
				    last == 1 ? 1 : rng_below(rng, last + 1);
			set_prefix(walk, i, prefix);
		}
		show(walk);
	}
}

uint64_t
enumerate(struct sim *sim, const struct enum_plan *plan, struct rng *rng,
    enum_fn *fn, void *arg)
{
	struct walk *walk = walk_new(sim, fn, arg);
	uint64_t total = enumerate_count(sim);
	uint64_t nparts = plan->nparts == 0 ? 1 : plan->nparts;
	uint64_t nimage;

	if (total <= plan->cap) {
		walk_all(walk,
		    total / nparts * plan->part +
			(plan->part < total % nparts ? plan->part
						     : total % nparts),
		    total / nparts * (plan->part + 1) +
			(plan->part + 1 < total % nparts ? plan->part + 1
							 : total % nparts));
	} else {
		set_all(walk, false);
		show(walk);
		set_all(walk, true);
		show(walk);
		walk_singles(walk, plan, rng);
		walk_random(walk, plan->nrandom, rng);
	}
	set_all(walk, true);
	nimage = walk->nimage;
	free(walk);
	return nimage;
}

bool
enumerate_one(
    struct sim *sim, const struct enum_choice *choice, enum_fn *fn, void *arg)
{
	struct walk *walk = walk_new(sim, fn, arg);
	bool ok = choice->n == sim->ndirty;

	for (unsigned i = 0; ok && i < choice->n; i++)
		ok = choice->prefix[i] <= sim_ndelta(sim, i);
	if (ok) {
		for (unsigned i = 0; i < choice->n; i++)
			set_prefix(walk, i, choice->prefix[i]);
		show(walk);
		set_all(walk, true);
	}
	free(walk);
	return ok;
}

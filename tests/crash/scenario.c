/* SPDX-License-Identifier: BSD-3-Clause */
#include "scenario.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "create.h"
#include "mend.h"
#include "swarm.h"

/* The alphabet of "sequences". */
static const char *const letters[] = { "w0", "w1", "w0+2", "p0", "z0", "z1+2",
	"r0+2", "f", "o" };
#define NLETTER (sizeof(letters) / sizeof(letters[0]))

static double
seconds_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double
now_seconds(void)
{
	return seconds_of(CLOCK_MONOTONIC);
}

double
cpu_seconds(void)
{
	return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

const struct scenario *
scenario_find(const char *name)
{
	for (unsigned i = 0; i < nscenario; i++) {
		if (strcmp(scenarios[i].name, name) == 0)
			return &scenarios[i];
	}
	return NULL;
}

static struct run
run_of(const struct scenario *scenario, enum sim_kind kind)
{
	struct run run = {
		.scenario = scenario->name,
		.program = scenario->program,
		.shape = scenario->shape,
		.kind = kind,
		.mode = SCHED_RANDOM,
		.plan = scenario->plan,
		.life_every = scenario->life_every,
		.whole_every = scenario->whole_every,
	};

	return run;
}

static double deadline; /* 0: none */

static bool
time_is_up(void)
{
	return deadline > 0 && cpu_seconds() > deadline;
}

/* ---- schedules of one program ---- */

static void
explore_modes(struct world *world, const struct scenario *scenario,
    unsigned scale, uint64_t seed)
{
	struct run *run = &world->run;

	run->mode = SCHED_RANDOM;
	for (unsigned i = 0; i < scenario->nrandom * scale; i++) {
		if (time_is_up())
			return;
		run->depth = i % 4;
		run->seed = seed + i;
		world_run(world);
	}
	run->mode = SCHED_PCT;
	for (unsigned i = 0; i < scenario->npct * scale; i++) {
		if (time_is_up())
			return;
		run->depth = 2 + i % 3;
		run->seed = seed + i;
		world_run(world);
	}
}

static void
explore_dfs(struct world *world, const struct scenario *scenario,
    unsigned scale, uint64_t seed)
{
	struct run *run = &world->run;

	run->mode = SCHED_DFS;
	run->depth = scenario->dfs_bound;
	run->seed = seed;
	sched_dfs_reset();
	for (unsigned i = 0; i < scenario->ndfs * scale; i++) {
		world_run(world);
		if (!sched_dfs_next() || time_is_up())
			return;
	}
}

/* Every n-th of a kind of fault, until a run ends before its turn. */
static void
explore_faults(struct world *world, const struct scenario *scenario,
    unsigned scale, uint64_t seed)
{
	struct run *run = &world->run;
	unsigned nschedule = scenario->nrandom + scenario->npct;

	for (unsigned kind = FAULT_FENCE; kind <= FAULT_SIGNAL; kind++) {
		if (!(scenario->faults >> kind & 1))
			continue;
		run->fault = kind;
		for (unsigned n = 1;; n++) {
			uint64_t before = world->tally->nfault;

			run->fault_n = n;
			for (unsigned i = 0; i < nschedule * scale; i++) {
				if (time_is_up())
					return;
				run->mode = i % 2 ? SCHED_PCT : SCHED_RANDOM;
				run->depth = 2 + i % 3;
				run->seed = seed + i;
				world_run(world);
			}
			if (world->tally->nfault == before)
				break;
		}
	}
}

static void
explore_program(const struct scenario *scenario, struct run run, unsigned scale,
    uint64_t seed, struct tally *tally)
{
	struct world *world;

	if (create_is_program(run.program)) {
		run.seed = seed;
		create_explore(&run, tally);
		return;
	}
	if (mend_is_program(run.program)) {
		for (unsigned i = 0; i < scenario->nseed * scale; i++) {
			if (time_is_up())
				return;
			run.seed = rng_mix(seed, i);
			mend_explore(&run, tally);
		}
		return;
	}
	world = world_new(&run, tally);
	if (scenario->faults != 0) {
		explore_faults(world, scenario, scale, seed);
	} else if (world->program.nthread == 1) {
		world->run.seed = seed;
		world_run(world);
	} else {
		explore_modes(world, scenario, scale, seed);
		if (scenario->ndfs > 0)
			explore_dfs(world, scenario, scale, seed);
	}
	world_free(world);
}

static void
explore_sequences(const struct scenario *scenario, struct run run,
    uint64_t seed, struct tally *tally)
{
	char program[64];
	unsigned total = 0;
	unsigned count = 1;

	for (unsigned length = 1; length <= scenario->length; length++) {
		count *= NLETTER;
		for (unsigned i = 0; i < count; i++) {
			unsigned k = i;
			size_t at = 0;

			if (time_is_up())
				return;
			for (unsigned j = 0; j < length; j++) {
				at += (size_t)snprintf(program + at,
				    sizeof(program) - at, "%s ",
				    letters[k % NLETTER]);
				k /= NLETTER;
			}
			program[at - 1] = '\0';
			run.program = program;
			explore_program(
			    scenario, run, 1, seed + total++, tally);
		}
	}
}

/* A few schedules each of many programs. */
static void
explore_swarm(const struct scenario *scenario, struct run run, unsigned scale,
    uint64_t seed, struct tally *tally)
{
	char program[SWARM_PROGRAM_BYTES];

	for (unsigned i = 0; i < scenario->nswarm * scale; i++) {
		struct world *world;

		if (time_is_up())
			return;
		swarm_make(rng_mix(seed, i), &run, program);
		world = world_new(&run, tally);
		explore_modes(world, scenario, 1, seed + i);
		world_free(world);
	}
}

void
scenario_explore(const struct scenario *scenario, enum sim_kind kind,
    unsigned part, unsigned scale, uint64_t seed, double seconds,
    struct tally *tally)
{
	struct run run = run_of(scenario, kind);

	assert(scenario->kinds >> kind & 1);
	deadline = seconds > 0 ? cpu_seconds() + seconds : 0;
	run.plan.part = part;
	run.plan.nparts = scenario->nparts;
	if (scenario->nswarm > 0)
		explore_swarm(scenario, run, scale, seed, tally);
	else if (scenario->program == NULL)
		explore_sequences(scenario, run, seed, tally);
	else
		explore_program(scenario, run, scale, seed, tally);
}

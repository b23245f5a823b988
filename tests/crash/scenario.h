/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_SCENARIO_H
#define CRASH_SCENARIO_H

/* scenario -- the table of what is explored, and exploring one of it. */
#include "world.h"

#define FAULTS(kind) (1u << (kind))

struct scenario {
	const char *name;
	/*
	 * Programs, or NULL: all sequences of at most length steps, or, where
	 * that is 0 too, nswarm programs made at random.
	 */
	const char *program;
	unsigned length;
	unsigned nswarm;
	struct shape shape;
	unsigned kinds; /* ON(...) | ... */
	/* Schedules of each mode in a quick run; 0: one, nothing to schedule. */
	unsigned nrandom, npct;
	unsigned dfs_bound, ndfs;
	unsigned nseed; /* of damage, in a quick run */
	struct enum_plan plan;
	unsigned life_every, whole_every;
	unsigned faults; /* FAULTS(...): every n-th one, until none is left */
	unsigned nparts; /* an exhaustive one is divided among processes */
};

extern const struct scenario scenarios[];
extern const unsigned nscenario;

const struct scenario *scenario_find(const char *name);

/*
 * Explore one scenario on one kind of medium, with `scale` times the schedules
 * of a quick run.  Ends early after `seconds` of processor time, 0: never.
 */
void scenario_explore(const struct scenario *scenario, enum sim_kind kind,
    unsigned part, unsigned scale, uint64_t seed, double seconds,
    struct tally *tally);

double now_seconds(void);
/* Of this process: limits mean the same on a machine that has more to do. */
double cpu_seconds(void);

#endif

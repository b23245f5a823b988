/* SPDX-License-Identifier: BSD-3-Clause */
#include "scenario.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "create.h"
#include "swarm.h"

#define SMALL                                         \
	{                                             \
		.cap = 64, .nrandom = 24, .neach = 12 \
	}
/* Nearly no images: many schedules instead, for what readers see. */
#define LIVE             \
	{                \
		.cap = 1 \
	}
#define MEDIUM                                          \
	{                                               \
		.cap = 1024, .nrandom = 64, .neach = 64 \
	}
#define ALL_ON (ON_CPU | ON_PAGE)

const struct scenario scenarios[] = {
	/* Every image there is of one write of one sector. */
	{ .name = "exhaustive-512",
	    .program = "w1",
	    .shape = { 512, 4, 2, 1, BTT_DURABLE_WRITE, .nage = 9 },
	    .kinds = ON(SIM_LINE_TEMPORAL),
	    .plan = { .cap = 1000000000 },
	    .nparts = 16 },
	{ .name = "one-write",
	    .program = "w0 w1 w0 w2 w0",
	    .shape = { 512, 4, 2, 1, BTT_DURABLE_WRITE, .nage = 9 },
	    .kinds = ALL_ON,
	    .plan = MEDIUM,
	    .life_every = 16,
	    .whole_every = 16 },
	{ .name = "4096-byte",
	    .program = "w0 z1 p0 w1+2",
	    .shape = { 4096, 4, 2, 1, BTT_DURABLE_WRITE, .nage = 9 },
	    .kinds = ALL_ON,
	    .plan = MEDIUM,
	    .life_every = 64,
	    .whole_every = 16 },
	/* All sequences of at most three operations. */
	{ .name = "sequences",
	    .length = 3,
	    .shape = { 512, 3, 2, 1, BTT_DURABLE_WRITE, .nage = 5 },
	    .kinds = ALL_ON,
	    .plan = SMALL,
	    .life_every = 256,
	    .whole_every = 64 },
	{ .name = "sequences-flush",
	    .length = 3,
	    .shape = { 512, 3, 3, 1, BTT_DURABLE_FLUSH, .nage = 5 },
	    .kinds = ALL_ON,
	    .plan = SMALL,
	    .life_every = 256,
	    .whole_every = 64 },
	{ .name = "sequences-z",
	    .length = 3,
	    .shape = { 512, 3, 3, 1, BTT_DURABLE_WRITE, .nage = 5,
		.set_zero = true },
	    .kinds = ALL_ON,
	    .plan = SMALL,
	    .life_every = 256,
	    .whole_every = 64 },

	/* Threads. */
	{ .name = "two-writers",
	    .program = "w0 w1|w0 w1",
	    .shape = { 512, 3, 2, 2, BTT_DURABLE_WRITE, .nage = 5 },
	    .kinds = ALL_ON,
	    .nrandom = 400,
	    .npct = 400,
	    .dfs_bound = 2,
	    .ndfs = 2000,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 512 },
	{ .name = "one-lane",
	    .program = "w0 w1|w1 w0|r0+2",
	    .shape = { 512, 3, 1, 1, BTT_DURABLE_WRITE, .nage = 5 },
	    .kinds = ALL_ON,
	    .nrandom = 300,
	    .npct = 300,
	    .dfs_bound = 2,
	    .ndfs = 1000,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 512 },
	{ .name = "reader",
	    .program = "w0 w0|r0 r0",
	    .shape = { 512, 2, 1, 1, BTT_DURABLE_WRITE, .nage = 3 },
	    .kinds = ALL_ON,
	    .nrandom = 600,
	    .npct = 600,
	    .dfs_bound = 2,
	    .ndfs = 4000,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 512 },
	{ .name = "reader-live",
	    .program = "w0 w0|r0 r0",
	    .shape = { 512, 2, 1, 1, BTT_DURABLE_WRITE, .nage = 3 },
	    .kinds = ON(SIM_LINE) | ON(SIM_PAGE512),
	    .nrandom = 3000,
	    .npct = 5000,
	    .dfs_bound = 3,
	    .ndfs = 10000,
	    .plan = LIVE },
	{ .name = "zero-live",
	    .program = "w0 w0 w1|z0 r0 r0",
	    .shape = { 512, 2, 1, 1, BTT_DURABLE_WRITE, .nage = 3,
		.set_zero = true },
	    .kinds = ON(SIM_LINE) | ON(SIM_PAGE512),
	    .nrandom = 3000,
	    .npct = 12000,
	    .plan = LIVE },
	{ .name = "group-live",
	    .program = "w0 f w0|w0 f w1|r0+2 r0+2",
	    .shape = { 512, 2, 4, 2, BTT_DURABLE_FLUSH, .nage = 3 },
	    .kinds = ON(SIM_LINE) | ON(SIM_PAGE512),
	    .nrandom = 3000,
	    .npct = 5000,
	    .plan = LIVE },
	{ .name = "readers",
	    .program = "w0 w1 w0|w1 w0|r0+2 r0|r1 r0+2",
	    .shape = { 512, 2, 2, 2, BTT_DURABLE_WRITE, .nage = 4 },
	    .kinds = ALL_ON,
	    .nrandom = 400,
	    .npct = 400,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 512 },
	{ .name = "batches",
	    .program = "w0+3 w1+3|w2+2 p1 w0|r0+4 r1+2",
	    .shape = { 512, 4, 4, 2, BTT_DURABLE_WRITE, .nage = 12 },
	    .kinds = ALL_ON,
	    .nrandom = 300,
	    .npct = 300,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 512 },
	{ .name = "parts",
	    .program = "p0 q0|q0 p0|r0 r0",
	    .shape = { 512, 2, 3, 3, BTT_DURABLE_WRITE, .nage = 4 },
	    .kinds = ALL_ON,
	    .nrandom = 300,
	    .npct = 300,
	    .dfs_bound = 1,
	    .ndfs = 1000,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 512 },
	/* 17 sectors need two lines of the map, and two of its locks. */
	{ .name = "lines",
	    .program = "w14+4 w15|w13+4 w16+2|r14+4 r15+2",
	    .shape = { 512, 20, 8, 2, BTT_DURABLE_WRITE, .nage = 40 },
	    .kinds = ALL_ON,
	    .nrandom = 150,
	    .npct = 150,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 512 },
	{ .name = "lines-flush",
	    .program = "w14+4 f w15|w13+4 f w16+2|z14+4 r15+2 f",
	    .shape = { 512, 20, 14, 2, BTT_DURABLE_FLUSH, .nage = 40,
		.set_zero = true },
	    .kinds = ALL_ON,
	    .nrandom = 150,
	    .npct = 150,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 512 },
	/* Sectors with metadata beside them: always composed. */
	{ .name = "520-byte",
	    .program = "w0 w1|p0 w1|r0+2 r0",
	    .shape = { 512, 2, 3, 2, BTT_DURABLE_WRITE, .nage = 5,
		.meta_bytes = 8 },
	    .kinds = ALL_ON,
	    .nrandom = 150,
	    .npct = 150,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 512 },
	{ .name = "zeroes",
	    .program = "z0 w0 z0+2|w0 z0 p1|r0+2 r0",
	    .shape = { 512, 2, 3, 3, BTT_DURABLE_WRITE, .nage = 4,
		.set_zero = true },
	    .kinds = ALL_ON,
	    .nrandom = 300,
	    .npct = 300,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 512 },
	{ .name = "bad-sector",
	    .program = "r0 p0 w0|r0 p0 z1",
	    .shape = { 512, 2, 2, 2, BTT_DURABLE_WRITE, .nage = 4,
		.error_entry = true, .set_zero = true },
	    .kinds = ALL_ON,
	    .nrandom = 200,
	    .npct = 200,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 512 },
	/* Blocks that are poisoned: known before, or found by touching them. */
	{ .name = "poison",
	    .program = "r0 w0 r0 w1|r0 w1 p0 r1",
	    .shape = { 512, 3, 2, 2, BTT_DURABLE_WRITE, .nage = 5,
		.bad_sectors = 1, .bad_pairs = 2 },
	    .kinds = ALL_ON,
	    .nrandom = 200,
	    .npct = 200,
	    .plan = SMALL,
	    .life_every = 256,
	    .whole_every = 64 },
	{ .name = "poison-found",
	    .program = "r0+2 w0 p0 r0|r0 p0 w1 r0+3",
	    .shape = { 512, 3, 2, 2, BTT_DURABLE_WRITE, .nage = 5,
		.bad_sectors = 3, .bad_pairs = 1, .bad_hidden = true },
	    .kinds = ALL_ON,
	    .nrandom = 200,
	    .npct = 200,
	    .plan = SMALL,
	    .life_every = 256,
	    .whole_every = 64 },
	{ .name = "poison-flush",
	    .program = "r0 w0 f r1 z1|w1 b1 r1 f p0|b0 r0+2 w0",
	    .shape = { 512, 3, 4, 2, BTT_DURABLE_FLUSH, .nage = 6,
		.set_zero = true, .bad_sectors = 1, .bad_pairs = 5 },
	    .kinds = ALL_ON,
	    .nrandom = 200,
	    .npct = 200,
	    .plan = SMALL,
	    .life_every = 256,
	    .whole_every = 64 },
	{ .name = "poison-4096",
	    .program = "r0 w0 r1 z0|w1+2 b1 r1 w1",
	    .shape = { 4096, 3, 2, 2, BTT_DURABLE_WRITE, .nage = 5,
		.bad_sectors = 1, .bad_pairs = 3 },
	    .kinds = ALL_ON,
	    .nrandom = 50,
	    .npct = 50,
	    .plan = SMALL,
	    .life_every = 256,
	    .whole_every = 64 },
	{ .name = "poison-zero",
	    .program = "z0 r0+2 r0|w1 r0+2 z1",
	    .shape = { 512, 2, 2, 2, BTT_DURABLE_WRITE, .nage = 4,
		.set_zero = true, .bad_sectors = 3 },
	    .kinds = ALL_ON,
	    .nrandom = 100,
	    .npct = 100,
	    .plan = SMALL,
	    .life_every = 256,
	    .whole_every = 64 },
	/* Blocks that share a unit of poison: what cannot be cleared is EIO. */
	{ .name = "poison-520",
	    .program = "r0 w0 r1 w1|w1 r2 p2 w2",
	    .shape = { 512, 3, 2, 2, BTT_DURABLE_WRITE, .nage = 5,
		.meta_bytes = 8, .bad_sectors = 1, .bad_pairs = 1 },
	    .kinds = ALL_ON,
	    .nrandom = 100,
	    .npct = 100,
	    .plan = SMALL,
	    .whole_every = 64 },
	/* Writers of one lane, whose free block is bad. */
	{ .name = "poison-lane",
	    .program = "w0|w1|w2",
	    .shape = { 512, 3, 1, 1, BTT_DURABLE_WRITE, .nage = 5,
		.bad_pairs = 1 },
	    .kinds = ON_CPU,
	    .nrandom = 400,
	    .npct = 400,
	    .plan = { .cap = 8, .nrandom = 2 } },
	/* One reader finds poison, another has just looked the block up. */
	{ .name = "poison-readers",
	    .program = "b0 r0|r0|r0",
	    .shape = { 512, 2, 1, 1, BTT_DURABLE_WRITE, .nage = 3 },
	    .kinds = ON(SIM_LINE),
	    .nrandom = 2000,
	    .npct = 2000,
	    .plan = LIVE },
	/* Readers who mark what writers are replacing. */
	{ .name = "poison-live",
	    .program = "b0 r0 r0|w0 w1|w1 w0",
	    .shape = { 512, 2, 1, 1, BTT_DURABLE_WRITE, .nage = 4 },
	    .kinds = ON(SIM_LINE) | ON(SIM_PAGE512),
	    .nrandom = 3000,
	    .npct = 5000,
	    .plan = LIVE },
	{ .name = "old-log",
	    .program = "w0 w1 w0 w0|w1 w0",
	    .shape = { 512, 2, 2, 2, BTT_DURABLE_WRITE, .nage = 0,
		.old_log = true },
	    .kinds = ALL_ON,
	    .nrandom = 100,
	    .npct = 100,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 256 },

	/* Groups that become durable at a flush. */
	{ .name = "flushes",
	    .program = "w0 w1 f w0|w1 w0 f r0",
	    .shape = { 512, 3, 4, 2, BTT_DURABLE_FLUSH, .nage = 6 },
	    .kinds = ALL_ON,
	    .nrandom = 400,
	    .npct = 400,
	    .dfs_bound = 1,
	    .ndfs = 1000,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 512 },
	{ .name = "overwrites",
	    .program = "w0 w0 p0 f|w0 q0 w1 f|r0+2 f r0",
	    .shape = { 512, 2, 6, 3, BTT_DURABLE_FLUSH, .nage = 6 },
	    .kinds = ALL_ON,
	    .nrandom = 300,
	    .npct = 300,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 512 },
	{ .name = "full-groups",
	    .program = "w0 w1 w0 w1|w1 w0 w1 f|r0+2 r0+2",
	    .shape = { 512, 3, 2, 2, BTT_DURABLE_FLUSH, .nage = 6 },
	    .kinds = ALL_ON,
	    .nrandom = 300,
	    .npct = 300,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 512 },
	{ .name = "pending-zeroes",
	    .program = "w0 z0 f w1|z0+2 w0 f|f r0+2",
	    .shape = { 512, 2, 6, 3, BTT_DURABLE_FLUSH, .nage = 6,
		.set_zero = true },
	    .kinds = ALL_ON,
	    .nrandom = 300,
	    .npct = 300,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 512 },
	{ .name = "four",
	    .program = "w0 w1 f|w1 w0 f|r0+2 w2|f r0+2 w0",
	    .shape = { 512, 3, 5, 3, BTT_DURABLE_FLUSH, .nage = 6 },
	    .kinds = ALL_ON,
	    .nrandom = 300,
	    .npct = 300,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 512 },

	{ .name = "swarm",
	    .nswarm = 300,
	    .kinds = ALL_ON,
	    .nrandom = 4,
	    .npct = 4,
	    .plan = SMALL,
	    .life_every = 1024,
	    .whole_every = 256 },

	/* Several arenas; some requests reach from one into the next. */
	{ .name = "arenas",
	    .program = "w1+2 w0 w2|w1+2 w3 z1+2|r1+2 r0+4",
	    .shape = { 512, 4, 2, 2, BTT_DURABLE_WRITE, .nage = 8,
		.narena = 2 },
	    .kinds = ALL_ON,
	    .nrandom = 150,
	    .npct = 150,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 256 },
	{ .name = "arenas-flush",
	    .program = "w0+4 f w1+2 f|w2 z1+2 f w1|r0+4 w3 f",
	    .shape = { 512, 4, 4, 2, BTT_DURABLE_FLUSH, .nage = 8,
		.set_zero = true, .narena = 2 },
	    .kinds = ALL_ON,
	    .nrandom = 150,
	    .npct = 150,
	    .plan = SMALL,
	    .life_every = 2048,
	    .whole_every = 256 },
	{ .name = "arenas-live",
	    .program = "w2 f w0 f|w2 r2 w2 r0+4",
	    .shape = { 512, 4, 4, 2, BTT_DURABLE_FLUSH, .nage = 8,
		.narena = 2 },
	    .kinds = ON(SIM_LINE) | ON(SIM_PAGE512),
	    .nrandom = 1500,
	    .npct = 2500,
	    .plan = LIVE },
	{ .name = "arenas-poison",
	    .program = "r1+2 w2 w1+2|b1 r0+4 w0+3",
	    .shape = { 512, 4, 2, 2, BTT_DURABLE_WRITE, .nage = 8, .narena = 2,
		.bad_sectors = 4, .bad_pairs = 5 },
	    .kinds = ALL_ON,
	    .nrandom = 100,
	    .npct = 100,
	    .plan = SMALL,
	    .life_every = 512,
	    .whole_every = 128 },
	{ .name = "sequences-arenas",
	    .length = 2,
	    .shape = { 512, 3, 2, 1, BTT_DURABLE_WRITE, .nage = 8,
		.narena = 3 },
	    .kinds = ALL_ON,
	    .plan = SMALL,
	    .life_every = 256,
	    .whole_every = 64 },

	/* Making a BTT, on nothing and on an old one. */
	{ .name = "create-blank",
	    .program = "create-blank",
	    .kinds = ALL_ON,
	    .plan = MEDIUM },
	{ .name = "create-over",
	    .program = "create-over",
	    .kinds = ALL_ON,
	    .plan = MEDIUM },

	{ .name = "create-blank-arenas",
	    .program = "create-blank-arenas",
	    .kinds = ALL_ON,
	    .plan = SMALL },
	{ .name = "create-over-arenas",
	    .program = "create-over-arenas",
	    .kinds = ALL_ON,
	    .plan = SMALL },

	/* The medium fails: every n-th fence, every n-th change. */
	{ .name = "faults",
	    .program = "w0 w1|w1 p0|r0 r1",
	    .shape = { 512, 2, 2, 2, BTT_DURABLE_WRITE, .nage = 4 },
	    .kinds = ALL_ON,
	    .nrandom = 6,
	    .npct = 6,
	    .plan = SMALL,
	    .whole_every = 256,
	    .faults = FAULTS(FAULT_FENCE) | FAULTS(FAULT_ERROR) |
		FAULTS(FAULT_SIGNAL) },
	{ .name = "faults-flush",
	    .program = "w0 w1 f w0|w1 z0 f|r0 r1 f",
	    .shape = { 512, 2, 4, 2, BTT_DURABLE_FLUSH, .nage = 4,
		.set_zero = true },
	    .kinds = ALL_ON,
	    .nrandom = 6,
	    .npct = 6,
	    .plan = SMALL,
	    .whole_every = 256,
	    .faults = FAULTS(FAULT_FENCE) | FAULTS(FAULT_ERROR) |
		FAULTS(FAULT_SIGNAL) },
	{ .name = "faults-full",
	    .program = "w0 w1 w0 w1|w1 w0 f",
	    .shape = { 512, 2, 2, 2, BTT_DURABLE_FLUSH, .nage = 4 },
	    .kinds = ALL_ON,
	    .nrandom = 4,
	    .npct = 4,
	    .plan = SMALL,
	    .whole_every = 256,
	    .faults = FAULTS(FAULT_FENCE) | FAULTS(FAULT_ERROR) |
		FAULTS(FAULT_SIGNAL) },
	/* Writers who share a lane with one that fails. */
	{ .name = "faults-lane",
	    .program = "w0 w1|w1 p0|w2",
	    .shape = { 512, 3, 2, 1, BTT_DURABLE_WRITE, .nage = 4 },
	    .kinds = ON(SIM_LINE) | ON(SIM_BYTE),
	    .nrandom = 30,
	    .npct = 30,
	    .plan = SMALL,
	    .whole_every = 256,
	    .faults = FAULTS(FAULT_ERROR) | FAULTS(FAULT_SIGNAL) },
	/* Two writers of one sector on two lanes, one of them fails. */
	{ .name = "faults-same",
	    .program = "w0|w0",
	    .shape = { 512, 2, 2, 2, BTT_DURABLE_WRITE, .nage = 4 },
	    .kinds = ON(SIM_LINE) | ON(SIM_BYTE),
	    .nrandom = 100,
	    .npct = 200,
	    .plan = { .cap = 8, .nrandom = 2 },
	    .faults = FAULTS(FAULT_ERROR) | FAULTS(FAULT_SIGNAL) },
	/* Writers under way while a group fails, and no free block is left. */
	{ .name = "faults-upon",
	    .program = "w0 f|w0|w1",
	    .shape = { 512, 2, 2, 2, BTT_DURABLE_FLUSH, .nage = 4 },
	    .kinds = ON(SIM_LINE) | ON(SIM_PAGE512),
	    .nrandom = 100,
	    .npct = 200,
	    .plan = { .cap = 8, .nrandom = 2 },
	    .faults = FAULTS(FAULT_ERROR) },
	{ .name = "faults-zero",
	    .program = "z0 w1|z1 w0",
	    .shape = { 512, 2, 2, 2, BTT_DURABLE_WRITE, .nage = 4,
		.set_zero = true },
	    .kinds = ALL_ON,
	    .nrandom = 6,
	    .npct = 6,
	    .plan = SMALL,
	    .whole_every = 256,
	    .faults = FAULTS(FAULT_FENCE) | FAULTS(FAULT_ERROR) |
		FAULTS(FAULT_SIGNAL) },
	{ .name = "lost-pages",
	    .program = "w0 w1 f w0|w1 w0 f|r0 r1 f",
	    .shape = { 512, 2, 4, 2, BTT_DURABLE_FLUSH, .nage = 4 },
	    .kinds = ON_PAGE,
	    .nrandom = 10,
	    .npct = 10,
	    .plan = SMALL,
	    .whole_every = 256,
	    .faults = FAULTS(FAULT_LOST) },
};
const unsigned nscenario = sizeof(scenarios) / sizeof(scenarios[0]);

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

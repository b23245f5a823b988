/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_ENUMERATE_H
#define CRASH_ENUMERATE_H

/*
 * enumerate -- the images that a crash at this instant could leave, made one
 * after the other in the view of the medium.
 *
 * All of them where they are at most `cap`: in an order where each differs
 * from the one before in a single delta.  Else a sample (2.4): nothing
 * persisted; everything; all but one unit and only one unit, for each; then
 * random prefixes of random units.
 */
#include <stdbool.h>
#include <stdint.h>

#include "random.h"
#include "sim_media.h"

#define ENUM_UNITS 4096

struct enum_plan {
	uint64_t cap;     /* exhaustive up to so many */
	unsigned nrandom; /* random images beyond it */
	unsigned neach;   /* "all but i" and "only i" for at most so many i */
	/* Exhaustive only: the part-th of nparts equal parts; 0 parts: all. */
	unsigned part, nparts;
};

/* Which image: the prefix of each dirty unit, in their order. */
struct enum_choice {
	unsigned n;
	uint16_t prefix[ENUM_UNITS];
};

typedef void enum_fn(void *arg, const struct enum_choice *choice);

/* Returns the number of images; the view is as before when it returns. */
uint64_t enumerate(struct sim *sim, const struct enum_plan *plan,
    struct rng *rng, enum_fn *fn, void *arg);
/* Just this one.  A choice for other units than there are is an error. */
bool enumerate_one(
    struct sim *sim, const struct enum_choice *choice, enum_fn *fn, void *arg);
/* How many there are, UINT64_MAX for more than can be counted. */
uint64_t enumerate_count(const struct sim *sim);

#endif

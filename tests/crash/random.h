/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_RANDOM_H
#define CRASH_RANDOM_H

/* random -- numbers that depend on the seed and nothing else. */
#include <stdint.h>

struct rng {
	uint64_t state;
};

static inline void
rng_seed(struct rng *rng, uint64_t seed)
{
	rng->state = seed;
}

/* A counter put through a mixer with full avalanche. */
static inline uint64_t
rng_next(struct rng *rng)
{
	uint64_t x = rng->state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* 0 .. n - 1; the bias of so small an n does not matter here. */
static inline uint32_t
rng_below(struct rng *rng, uint32_t n)
{
	return (uint32_t)((rng_next(rng) >> 32) * n >> 32);
}

static inline uint64_t
rng_mix(uint64_t a, uint64_t b)
{
	struct rng rng = { a ^ (b * UINT64_C(0xd6e8feb86659fd93)) };

	return rng_next(&rng);
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_BENCH_LOADS_H
#define TESTS_BENCH_LOADS_H

/*
 * loads -- the table of what is measured.
 *
 * On a bed the sequential loads come first, while blocks lie in order; then
 * every sector is written at random once, so that the rest sees a medium that
 * has aged.
 */
#include "bench.h"

struct bed_loads {
	struct bed bed;
	const struct load *load;
	unsigned nload;
};

extern const struct bed_loads bed_loads[];
extern const unsigned nbed_loads;

#endif

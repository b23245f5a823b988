/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LANES_CLOCK_H
#define LANES_CLOCK_H

/*
 * clock -- for how long something took, or may still take; of a clock that
 * goes on whatever becomes of the date.
 */
#include <stdint.h>
#include <time.h>

#define CLOCK_SECOND_NS UINT64_C(1000000000)

static inline uint64_t
clock_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
	return (uint64_t)now.tv_sec * CLOCK_SECOND_NS + (uint64_t)now.tv_nsec;
}

static inline uint64_t
clock_ms(void)
{
	return clock_ns() / 1000000;
}

#endif

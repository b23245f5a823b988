/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_CLOCK_H
#define BTT_CLOCK_H

/* clock -- for how long something took; only asked where something waits. */
#include <stdint.h>
#include <time.h>

static inline uint64_t
clock_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif

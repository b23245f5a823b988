/* SPDX-License-Identifier: BSD-3-Clause */
#include "backoff.h"

#include <sched.h>
#include <time.h>

#include <lanes/sync.h>

#include "hook.h"

#define SPIN_STEPS 64u
#define YIELD_STEPS 16u
#define SLEEP_MIN_NS 20000u
#define SLEEP_MAX_NS 1000000u

#ifndef BTT_TEST_HOOKS
static void
spin_hint(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}
#endif

void
backoff_wait(struct backoff *backoff)
{
	unsigned step = backoff->nwait++;

#ifdef BTT_TEST_HOOKS
	/* Time stands still in the explorer: let another thread run. */
	(void)step;
	HOOK_POINT("backoff");
#else
	if (step < SPIN_STEPS) {
		spin_hint();
	} else if (step < SPIN_STEPS + YIELD_STEPS) {
		(void)sched_yield();
	} else {
		unsigned shift = step - SPIN_STEPS - YIELD_STEPS;
		long ns = shift < 6 ? SLEEP_MIN_NS << shift : SLEEP_MAX_NS;
		struct timespec delay = { .tv_nsec = ns };

		/* Waking early from a signal only means to look again. */
		(void)SYNC_SLEEPS(nanosleep(&delay, NULL));
	}
#endif
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_HELD_FIXTURE_H
#define TESTS_SUPPORT_HELD_FIXTURE_H

/* held_fixture -- locks of the project's ranks, and a thread to misuse them. */
#include <limits.h>

#include <lanes/sync.h>

#include "check_locks.h"
#include "held.h"

/*
 * The tests misuse locks on purpose, which clang sees, and ThreadSanitizer
 * where it concerns the same two mutexes.
 */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wthread-safety-analysis"
#endif
#if defined(BTTFS_TSAN)
const char *__tsan_default_options(void);

const char *
__tsan_default_options(void)
{
	return "detect_deadlocks=0";
}
#endif

static const struct lock_class dev_class = { "dev", 20, LOCK_MAY_SLEEP };
static const struct lock_class registry_class = { "registry", 30, 0 };
static const struct lock_class lane_class = { "lane", 40, LOCK_MAY_SLEEP };
static const struct lock_class map_class = { "map", 60, 0 };
static const struct lock_class event_class = { "event", 90, LOCK_LEAF };
static const struct lock_class last_class = { "last", UINT_MAX, 0 };

static struct mutex dev, dev2, registry, lane, lane2, map, event, last;
static struct mutex *const held_locks[] = { &dev, &dev2, &registry, &lane,
	&lane2, &map, &event, &last };
static struct mutex many[SYNC_HELD_MAX + 2];
static struct lock_class many_class[SYNC_HELD_MAX + 2];
static struct caught caught;

static inline void
held_setup(void)
{
	mutex_init(&dev, &dev_class);
	mutex_init(&dev2, &dev_class);
	mutex_init(&registry, &registry_class);
	mutex_init(&lane, &lane_class);
	mutex_init(&lane2, &lane_class);
	mutex_init(&map, &map_class);
	mutex_init(&event, &event_class);
	mutex_init(&last, &last_class);
	for (unsigned i = 0; i < SYNC_HELD_MAX + 2; i++) {
		many_class[i] = (struct lock_class){ "many", i, 0 };
		mutex_init(&many[i], &many_class[i]);
	}
	caught_start(&caught);
}

/* Whatever a test did, at its end the thread holds nothing. */
static inline void
held_teardown(void)
{
	sync_assert_at_rest("teardown");
	ck_assert_quiet(&caught);
	ck_assert_uint_eq(held_self()->nunrecorded, 0);
	/* 0 where the thread has taken no lock at all. */
	if (held_self()->unheld != 0)
		ck_assert_uint_eq(held_self()->unheld, HELD_NOTHING);
	for (unsigned i = 0; i < sizeof(held_locks) / sizeof(held_locks[0]);
	     i++)
		mutex_fini(held_locks[i]);
	for (unsigned i = 0; i < SYNC_HELD_MAX + 2; i++)
		mutex_fini(&many[i]);
	sync_catch_violations(NULL, NULL);
}

#endif

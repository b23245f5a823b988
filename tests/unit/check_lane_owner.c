/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LN-1: a lane has one owner, however many threads, lanes and sleeps there
 * are.
 */
#include <time.h>

#include <lanes/lane.h>

#include "support/check_locks.h"
#include "support/check_main.h"

#define NTHREAD 8

static const struct lock_class lane_class = { "lane", 40, LOCK_MAY_SLEEP };

struct stress {
	struct lane_set *set;
	unsigned nround;
	atomic_uint inside[LANE_SET_MAX];
	/* Guarded by its lane alone: a second owner is a race to TSan. */
	unsigned long uses[LANE_SET_MAX];
};

struct stress_worker {
	struct stress *stress;
	unsigned index;
	unsigned long nuse;
};

static void
sleep_at_random(uint32_t *state)
{
	struct timespec some = { 0, 0 };

	if (thread_random(state) % 16 != 0)
		return;
	some.tv_nsec = (long)(thread_random(state) % 200) * 1000;
	nanosleep(&some, NULL);
}

static void *
stress_lanes(void *arg)
{
	struct stress_worker *worker = arg;
	struct stress *stress = worker->stress;
	uint32_t state = 0x9e3779b9u * (worker->index + 1);
	struct caught theirs;

	caught_start(&theirs);
	for (unsigned round = 0; round < stress->nround; round++) {
		unsigned want = thread_random(&state) % LANE_SPAN_MAX;
		struct lane_span span;

		lane_span_enter(stress->set, worker->index, &span);
		for (unsigned i = 0; i < want && i < round % 8; i++)
			if (!lane_span_extend(&span))
				break;
		for (unsigned i = 0; i < span.nlane; i++) {
			unsigned lane = span.lane[i];

			ck_assert(lane_span_holds(&span, lane));
			ck_assert(!atomic_fetch_add(&stress->inside[lane], 1));
			stress->uses[lane]++;
			worker->nuse++;
		}
		sleep_at_random(&state);
		for (unsigned i = 0; i < span.nlane; i++)
			atomic_fetch_sub(&stress->inside[span.lane[i]], 1);
		lane_span_leave(&span);
		sync_assert_none_held("round");
	}
	ck_assert_quiet(&theirs);
	return NULL;
}

/* A lost wake-up leaves a thread asleep, and Check's timeout ends it. */
START_TEST(lane_span__has_one_owner)
{
	static const unsigned nlane[] = { 1, 2, 3, NTHREAD, LANE_SET_MAX };
	static struct stress stress;
	struct stress_worker worker[NTHREAD];
	pthread_t thread[NTHREAD];
	unsigned long nuse = 0;

	memset(&stress, 0, sizeof(stress));
	ck_assert_int_eq(lane_set_new(nlane[_i], &lane_class, &stress.set), 0);
	stress.nround = 2000;
	for (unsigned i = 0; i < NTHREAD; i++) {
		worker[i] = (struct stress_worker){ &stress, i, 0 };
		thread[i] = thread_start(stress_lanes, &worker[i]);
	}
	for (unsigned i = 0; i < NTHREAD; i++)
		thread_end(thread[i]);
	for (unsigned i = 0; i < NTHREAD; i++)
		nuse += worker[i].nuse;
	for (unsigned i = 0; i < LANE_SET_MAX; i++)
		nuse -= stress.uses[i];
	ck_assert_uint_eq(nuse, 0);
	lane_set_free(stress.set);
}
END_TEST

static Suite *
lane_owner_suite(void)
{
	Suite *suite = suite_create("lane_owner");
	TCase *tcase = tcase_create("stress");

	tcase_set_timeout(tcase, 100);
	tcase_add_loop_test(tcase, lane_span__has_one_owner, 0, 5);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return check_main(lane_owner_suite());
}

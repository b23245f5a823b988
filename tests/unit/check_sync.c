/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mutex excludes and the condition wakes; that they are used as they
 * should be is check_held's subject.
 */
#include <time.h>

#include <lanes/sync.h>

#include "support/check_locks.h"
#include "support/check_main.h"

#define NTHREAD 8

static const struct lock_class dev_class = { "dev", 20, LOCK_MAY_SLEEP };
static const struct lock_class event_class = { "event", 90, LOCK_LEAF };

static struct mutex dev;
static struct caught caught;

static void
setup(void)
{
	mutex_init(&dev, &dev_class);
	caught_start(&caught);
}

static void
teardown(void)
{
	sync_assert_none_held("teardown");
	ck_assert_quiet(&caught);
	mutex_fini(&dev);
	sync_catch_violations(NULL, NULL);
}

struct counter {
	struct mutex *mutex;
	unsigned long n;
};

static void *
count_up(void *arg)
{
	struct counter *counter = arg;

	for (unsigned i = 0; i < 20000; i++) {
		if (i % 3 == 0) {
			while (!mutex_trylock(counter->mutex))
				sched_yield();
		} else {
			mutex_lock(counter->mutex);
		}
		counter->n++;
		mutex_unlock(counter->mutex);
	}
	return NULL;
}

START_TEST(mutex_lock__excludes)
{
	struct counter counter = { &dev, 0 };
	pthread_t thread[NTHREAD];

	for (unsigned i = 0; i < NTHREAD; i++)
		thread[i] = thread_start(count_up, &counter);
	for (unsigned i = 0; i < NTHREAD; i++)
		thread_end(thread[i]);
	ck_assert_uint_eq(counter.n, NTHREAD * 20000);
}
END_TEST

START_TEST(mutex_trylock__fails_if_taken)
{
	ck_assert(mutex_is_free(&dev));
	mutex_lock(&dev);
	ck_assert(!mutex_is_free(&dev));
	mutex_unlock(&dev);
	ck_assert(mutex_is_free(&dev));
}
END_TEST

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

START_TEST(cond_wait_ms__waits_as_long_as_asked)
{
	static const uint64_t wait_ms[] = { 0, 1, 30, 999, 1001 };
	struct cond cond;
	uint64_t start;

	cond_init(&cond);
	mutex_lock(&dev);
	for (unsigned i = 0; i < sizeof(wait_ms) / sizeof(wait_ms[0]); i++) {
		start = now_ms();
		while (cond_wait_ms(&cond, &dev, wait_ms[i]))
			; /* spurious */
		/* Both ends are rounded down. */
		ck_assert_uint_ge(now_ms() - start + 1, wait_ms[i]);
	}
	mutex_unlock(&dev);
	cond_fini(&cond);
}
END_TEST

struct baton {
	struct mutex lock;
	struct cond cond[2];
	unsigned turn;       /* [lock] */
	uint64_t timeout_ms; /* 0: none */
};

static void
play(struct baton *baton, unsigned me)
{
	for (unsigned i = 0; i < 5000; i++) {
		mutex_lock(&baton->lock);
		while (baton->turn % 2 != me) {
			if (baton->timeout_ms == 0)
				cond_wait(&baton->cond[me], &baton->lock);
			else
				ck_assert(cond_wait_ms(&baton->cond[me],
				    &baton->lock, baton->timeout_ms));
		}
		baton->turn++;
		if (i % 2 == 0)
			cond_signal(&baton->cond[1 - me]);
		else
			cond_broadcast(&baton->cond[1 - me]);
		mutex_unlock(&baton->lock);
	}
}

static void *
play_second(void *arg)
{
	play(arg, 1);
	return NULL;
}

/* A lost wake-up stops the game, and Check's timeout ends it. */
START_TEST(cond_wait__loses_no_wakeup)
{
	/* The last is longer than any clock counts, and must not wrap. */
	static const uint64_t timeout_ms[] = { 0, 60000, UINT64_MAX };
	struct baton baton = { .timeout_ms = timeout_ms[_i] };
	pthread_t second;

	mutex_init(&baton.lock, &event_class);
	cond_init(&baton.cond[0]);
	cond_init(&baton.cond[1]);
	second = thread_start(play_second, &baton);
	play(&baton, 0);
	thread_end(second);
	ck_assert_uint_eq(baton.turn, 10000);
	cond_fini(&baton.cond[1]);
	cond_fini(&baton.cond[0]);
	mutex_fini(&baton.lock);
}
END_TEST

static Suite *
sync_suite(void)
{
	Suite *suite = suite_create("sync");
	TCase *tcase = tcase_create("mutex");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, mutex_lock__excludes);
	tcase_add_test(tcase, mutex_trylock__fails_if_taken);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("cond");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, cond_wait_ms__waits_as_long_as_asked);
	tcase_add_loop_test(tcase, cond_wait__loses_no_wakeup, 0, 3);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return check_main(sync_suite());
}

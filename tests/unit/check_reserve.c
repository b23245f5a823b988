/* SPDX-License-Identifier: BSD-3-Clause */
/* Of many workers few wait for requests, and never none while one could. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "reserve.h"
#include "support/check_main.h"

#define NWORKER 6u
#define NMOST 2u
#define NREQUEST 20000u

static struct reserve reserve;
static int requests[2], leaves[2]; /* pipes of bytes */
static _Atomic unsigned nserved;
static bool is_slow; /* busy until it has a leave */
static pthread_t threads[NWORKER];

static char
take(const int ends[2])
{
	char byte = 0;

	ck_assert_int_eq(read(ends[0], &byte, 1), 1);
	return byte;
}

static void
put(const int ends[2], char byte)
{
	ck_assert_int_eq(write(ends[1], &byte, 1), 1);
}

static void *
work(void *arg)
{
	char byte = 0;

	(void)arg;
	while (byte != 'q' && reserve_enter(&reserve)) {
		byte = take(requests);
		reserve_leave(&reserve);
		if (is_slow && byte != 'q')
			(void)take(leaves);
		atomic_fetch_add(&nserved, 1);
	}
	return NULL;
}

static void
start(void)
{
	ck_assert_int_eq(pipe(requests), 0);
	ck_assert_int_eq(pipe(leaves), 0);
	reserve_init(&reserve, NMOST);
	for (unsigned i = 0; i < NWORKER; i++)
		ck_assert_int_eq(
		    pthread_create(&threads[i], NULL, work, NULL), 0);
}

static void
stop(void)
{
	for (unsigned i = 0; i < NWORKER; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	reserve_fini(&reserve);
}

/* Until so many wait and stay aside; the test's time limit is the other end. */
static void
await(unsigned nwaiting, unsigned naside)
{
	while (
	    atomic_load(&reserve.word) != ((uint64_t)naside << 32 | nwaiting))
		sched_yield();
}

/* The last one that waits is followed by one more, as long as there are any. */
START_TEST(reserve__somebody_waits_or_all_are_busy)
{
	is_slow = true;
	start();
	await(NMOST, NWORKER - NMOST);
	put(requests, 'r');
	await(NMOST - 1, NWORKER - NMOST);
	for (unsigned left = NWORKER - NMOST; left-- > 0;) {
		put(requests, 'r');
		await(1, left);
	}
	put(requests, 'r');
	await(0, 0);
	for (unsigned i = 0; i < NWORKER; i++)
		put(leaves, 'l');
	await(NMOST, NWORKER - NMOST);
	ck_assert_uint_eq(atomic_load(&nserved), NWORKER);

	/* Those that leave for good call the others to do the same. */
	for (unsigned i = 0; i < NWORKER; i++)
		put(requests, 'q');
	stop();
	ck_assert_uint_eq(atomic_load(&nserved), 2 * NWORKER);
}
END_TEST

START_TEST(reserve__no_request_is_left)
{
	is_slow = false;
	start();
	for (unsigned i = 0; i < NREQUEST; i++) {
		put(requests, 'r');
		if (i % 64 == 0)
			while (atomic_load(&nserved) < i)
				sched_yield();
	}
	for (unsigned i = 0; i < NWORKER; i++)
		put(requests, 'q');
	stop();
	ck_assert_uint_eq(atomic_load(&nserved), NREQUEST + NWORKER);
}
END_TEST

START_TEST(reserve__end_sends_those_aside_away)
{
	is_slow = false;
	start();
	await(NMOST, NWORKER - NMOST);
	reserve_end(&reserve);
	for (unsigned i = 0; i < NMOST; i++)
		put(requests, 'q');
	stop();
	ck_assert_uint_eq(atomic_load(&nserved), NMOST);
}
END_TEST

static Suite *
reserve_suite(void)
{
	Suite *suite = suite_create("reserve");
	TCase *tcase = tcase_create("reserve");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, reserve__somebody_waits_or_all_are_busy);
	tcase_add_test(tcase, reserve__no_request_is_left);
	tcase_add_test(tcase, reserve__end_sends_those_aside_away);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return check_main(reserve_suite());
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What workers count adds up, also while they count, and costs no memory. */
#include <stdlib.h>
#include <string.h>

#include <lanes/clock.h>

#include "io_stats.h"
#include "support/check_locks.h"
#include "support/check_main.h"

#define NWORKER 4
#define NROUND 20000

static struct io_stats *stats;
static struct io_sum sum;

/* The linker puts these in place of the library's (daemon.cmake). */
static _Atomic unsigned long nalloc;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *
__wrap_malloc(size_t size)
{
	atomic_fetch_add(&nalloc, 1);
	return __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	atomic_fetch_add(&nalloc, 1);
	return __real_calloc(n, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
	atomic_fetch_add(&nalloc, 1);
	return __real_realloc(old, size);
}

static void
setup(void)
{
	ck_assert_int_eq(io_stats_new(NWORKER, &stats), 0);
}

static void
teardown(void)
{
	io_stats_free(stats);
}

START_TEST(io_stats_sum__of_nothing_is_nothing)
{
	io_stats_sum(stats, &sum);
	for (unsigned k = 0; k < IO_KINDS; k++) {
		ck_assert_uint_eq(sum.kind[k].ns.n, 0);
		ck_assert_uint_eq(sum.kind[k].nbyte, 0);
		ck_assert_uint_eq(sum.kind[k].nerror, 0);
	}
}
END_TEST

START_TEST(io_stats_count__keeps_kinds_and_workers_apart)
{
	uint64_t now = clock_ns();

	for (unsigned worker = 0; worker < NWORKER; worker++)
		for (unsigned k = 0; k < IO_KINDS; k++)
			for (unsigned i = 0; i <= k; i++)
				io_stats_count(stats, worker, (enum io_kind)k,
				    4096u * (worker + 1), false, now);
	io_stats_sum(stats, &sum);
	for (unsigned k = 0; k < IO_KINDS; k++) {
		ck_assert_uint_eq(sum.kind[k].ns.n, NWORKER * (k + 1));
		ck_assert_uint_eq(
		    sum.kind[k].nbyte, 4096u * 10 * (uint64_t)(k + 1));
	}
}
END_TEST

START_TEST(io_stats_count__what_failed_has_moved_no_bytes)
{
	io_stats_count(stats, 0, IO_WRITE, 4096, true, clock_ns());
	io_stats_count(stats, 1, IO_WRITE, 512, false, clock_ns());
	io_stats_sum(stats, &sum);
	ck_assert_uint_eq(sum.kind[IO_WRITE].ns.n, 2);
	ck_assert_uint_eq(sum.kind[IO_WRITE].nerror, 1);
	ck_assert_uint_eq(sum.kind[IO_WRITE].nbyte, 512);
}
END_TEST

START_TEST(io_stats_count__measures_the_time_since_begun)
{
	uint64_t now = clock_ns();

	io_stats_count(stats, 0, IO_FLUSH, 0, false, now - 50000000);
	io_stats_count(stats, 0, IO_FLUSH, 0, false, now - 3000000000);
	io_stats_sum(stats, &sum);
	ck_assert_uint_ge(sum.kind[IO_FLUSH].ns.max, 3000000000);
	ck_assert_uint_ge(sum.kind[IO_FLUSH].ns.sum, 3050000000);
	/* The rest is what passed since now. */
	ck_assert_uint_lt(sum.kind[IO_FLUSH].ns.max, 63000000000);
	ck_assert_uint_ge(
	    btt_histogram_quantile(&sum.kind[IO_FLUSH].ns, 1, 2), 46000000);
}
END_TEST

START_TEST(io_stats_count__allocates_nothing)
{
	unsigned long before = atomic_load(&nalloc);
	unsigned long after;
	void *volatile memory;

	for (unsigned i = 0; i < NROUND; i++)
		io_stats_count(stats, i % NWORKER, (enum io_kind)(i % IO_KINDS),
		    i, i % 7 == 0, clock_ns() - i);
	io_stats_sum(stats, &sum);
	after = atomic_load(&nalloc);
	ck_assert_uint_eq(after, before);
	/* And the count of allocations counts. */
	before = atomic_load(&nalloc);
	memory = malloc(1);
	after = atomic_load(&nalloc);
	free(memory);
	ck_assert_uint_eq(after, before + 1);
}
END_TEST

static void *
count_often(void *arg)
{
	unsigned worker = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < NROUND; i++)
		io_stats_count(stats, worker, i % 2 ? IO_READ : IO_WRITE, 512,
		    false, clock_ns());
	return NULL;
}

/* No lock, no race (to ThreadSanitizer), and nothing is lost. */
START_TEST(io_stats_sum__while_all_count)
{
	pthread_t thread[NWORKER];
	uint64_t seen = 0;

	for (unsigned i = 0; i < NWORKER; i++)
		thread[i] = thread_start(count_often, (void *)(uintptr_t)i);
	while (seen < NWORKER * NROUND / 2) {
		io_stats_sum(stats, &sum);
		ck_assert_uint_ge(sum.kind[IO_READ].ns.n, seen);
		seen = sum.kind[IO_READ].ns.n;
	}
	for (unsigned i = 0; i < NWORKER; i++)
		thread_end(thread[i]);
	io_stats_sum(stats, &sum);
	ck_assert_uint_eq(sum.kind[IO_READ].ns.n, NWORKER * NROUND / 2);
	ck_assert_uint_eq(sum.kind[IO_WRITE].ns.n, NWORKER * NROUND / 2);
	ck_assert_uint_eq(
	    sum.kind[IO_READ].nbyte, (uint64_t)NWORKER * NROUND / 2 * 512);
}
END_TEST

static Suite *
io_stats_suite(void)
{
	Suite *suite = suite_create("io_stats");
	TCase *tcase = tcase_create("counts");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, io_stats_sum__of_nothing_is_nothing);
	tcase_add_test(tcase, io_stats_count__keeps_kinds_and_workers_apart);
	tcase_add_test(tcase, io_stats_count__what_failed_has_moved_no_bytes);
	tcase_add_test(tcase, io_stats_count__measures_the_time_since_begun);
	tcase_add_test(tcase, io_stats_count__allocates_nothing);
	tcase_add_test(tcase, io_stats_sum__while_all_count);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return check_main(io_stats_suite());
}

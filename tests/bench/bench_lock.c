/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_lock -- what a lock costs beside a plain one, in nanoseconds for each
 * pair of lock and unlock.
 *
 * Each row is measured with one thread at work and one idle (glibc leaves out
 * atomic operations while a process has a single thread), then with two, each
 * on locks of its own.  The figure is processor time, since no lock here is
 * ever waited for, and the median of NREPEAT runs, taken in turns, so that a
 * busy moment of the machine hits all rows alike.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <lanes/idle.h>
#include <lanes/lane.h>
#include <lanes/stripe.h>

#define NREPEAT 15
#define NPAIR 1000000

static const struct lock_class dev_class = { "dev", 20, LOCK_MAY_SLEEP };
static const struct lock_class registry_class = { "registry", 30, 0 };
static const struct lock_class lane_class = { "lane", 40, LOCK_MAY_SLEEP };
static const struct lock_class map_class = { "map", 60, 0 };
static const struct lock_class idle_class = { "idle", 0, LOCK_IDLE };

/* All that one thread locks; no two threads share a line. */
struct own {
	_Alignas(128) pthread_mutex_t plain;
	_Alignas(128) pthread_mutex_t checking;
	_Alignas(128) struct mutex outer;
	_Alignas(128) struct mutex middle;
	_Alignas(128) struct mutex mutex;
	_Alignas(128) struct idle idle;
	unsigned index;
	double ns;
	void (*row)(struct own *own);
};

static struct own own[2];
static struct lane_set *lanes;
static struct stripe_table *stripes;
static pthread_barrier_t start;

static void
run_plain(struct own *mine)
{
	for (unsigned i = 0; i < NPAIR; i++) {
		pthread_mutex_lock(&mine->plain);
		pthread_mutex_unlock(&mine->plain);
	}
}

static void
run_error_checking(struct own *mine)
{
	for (unsigned i = 0; i < NPAIR; i++) {
		pthread_mutex_lock(&mine->checking);
		pthread_mutex_unlock(&mine->checking);
	}
}

static void
run_mutex(struct own *mine)
{
	for (unsigned i = 0; i < NPAIR; i++) {
		mutex_lock(&mine->mutex);
		mutex_unlock(&mine->mutex);
	}
}

static void
run_nested(struct own *mine)
{
	mutex_lock(&mine->outer);
	run_mutex(mine);
	mutex_unlock(&mine->outer);
}

static void
run_deep(struct own *mine)
{
	mutex_lock(&mine->outer);
	mutex_lock(&mine->middle);
	run_mutex(mine);
	mutex_unlock(&mine->middle);
	mutex_unlock(&mine->outer);
}

static void
run_idle(struct own *mine)
{
	for (unsigned i = 0; i < NPAIR; i++) {
		idle_enter(&mine->idle);
		idle_leave(&mine->idle);
	}
}

static void
run_trylock(struct own *mine)
{
	for (unsigned i = 0; i < NPAIR; i++)
		if (mutex_trylock(&mine->mutex))
			mutex_unlock(&mine->mutex);
}

static void
run_lane(struct own *mine)
{
	struct lane_span span;

	for (unsigned i = 0; i < NPAIR; i++) {
		lane_span_enter(lanes, mine->index, &span);
		lane_span_leave(&span);
	}
}

static void
run_stripe(struct own *mine)
{
	struct stripe_range range;

	for (unsigned i = 0; i < NPAIR; i++) {
		stripe_lock(stripes, mine->index, mine->index, &range);
		stripe_unlock(&range);
	}
}

static void *
run_row(void *arg)
{
	struct own *mine = arg;
	struct timespec begin, end;

	pthread_barrier_wait(&start);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	mine->row(mine);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	mine->ns = ((double)(end.tv_sec - begin.tv_sec) * 1e9 +
		       (double)(end.tv_nsec - begin.tv_nsec)) /
	    NPAIR;
	return NULL;
}

static void
do_nothing(struct own *mine)
{
	(void)mine;
}

/* Mean of the threads at work. */
static double
measure(void (*row)(struct own *own), unsigned nthread)
{
	pthread_t thread[2];
	double ns = 0;

	for (unsigned i = 0; i < 2; i++) {
		own[i].row = i < nthread ? row : do_nothing;
		if (pthread_create(&thread[i], NULL, run_row, &own[i]) != 0)
			abort();
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	for (unsigned i = 0; i < nthread; i++)
		ns += own[i].ns / nthread;
	return ns;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

int
main(void)
{
	static const struct {
		const char *name;
		void (*row)(struct own *own);
	} rows[] = {
		{ "plain pthread mutex", run_plain },
		{ "the same, error checking", run_error_checking },
		{ "mutex", run_mutex },
		{ "mutex under another", run_nested },
		{ "mutex under two others", run_deep },
		{ "mutex, trylock", run_trylock },
		{ "span of one lane", run_lane },
		{ "range of one stripe", run_stripe },
		{ "counted work", run_idle },
	};
	enum {
		NROW = sizeof(rows) / sizeof(rows[0])
	};
	static double ns[NROW][2][NREPEAT];
	pthread_mutexattr_t checking;

	pthread_mutexattr_init(&checking);
	pthread_mutexattr_settype(&checking, PTHREAD_MUTEX_ERRORCHECK);
	pthread_barrier_init(&start, NULL, 2);
	for (unsigned i = 0; i < 2; i++) {
		pthread_mutex_init(&own[i].plain, NULL);
		pthread_mutex_init(&own[i].checking, &checking);
		mutex_init(&own[i].outer, &dev_class);
		mutex_init(&own[i].middle, &registry_class);
		idle_init(&own[i].idle, &idle_class);
		mutex_init(&own[i].mutex, &lane_class);
		own[i].index = i;
	}
	if (lane_set_new(64, &lane_class, &lanes) < 0 ||
	    stripe_table_new(256, &map_class, &stripes) < 0)
		return EXIT_FAILURE;

	for (unsigned k = 0; k < NREPEAT; k++)
		for (unsigned r = 0; r < NROW; r++)
			for (unsigned n = 0; n < 2; n++)
				ns[r][n][k] = measure(rows[r].row, n + 1);

	printf(
	    "%-24s %12s %12s\n", "ns a pair, median", "1 thread", "2 threads");
	for (unsigned r = 0; r < NROW; r++) {
		for (unsigned n = 0; n < 2; n++)
			qsort(ns[r][n], NREPEAT, sizeof(double), compare);
		printf("%-24s %12.1f %12.1f\n", rows[r].name,
		    ns[r][0][NREPEAT / 2], ns[r][1][NREPEAT / 2]);
	}
	stripe_table_free(stripes);
	lane_set_free(lanes);
	return EXIT_SUCCESS;
}

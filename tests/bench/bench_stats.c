/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_stats -- what counting a request costs, in nanoseconds of processor
 * time: the median of NREPEAT runs, taken in turns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <lanes/clock.h>

#include "io_stats.h"

#define NREPEAT 15
#define NROUND 1000000

static struct io_stats *stats;
static volatile uint64_t sink; /* what is read must be read */

static void
run_clock(void)
{
	for (unsigned i = 0; i < NROUND; i++)
		sink = clock_ns();
}

static void
run_count(void)
{
	uint64_t begun_ns = clock_ns();

	for (unsigned i = 0; i < NROUND; i++)
		io_stats_count(stats, 0, IO_READ, 4096, false, begun_ns);
}

static void
run_request(void)
{
	for (unsigned i = 0; i < NROUND; i++) {
		uint64_t begun_ns = clock_ns();

		io_stats_count(stats, 0, IO_READ, 4096, false, begun_ns);
	}
}

static double
measure(void (*row)(void))
{
	struct timespec begin, end;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	row();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	return ((double)(end.tv_sec - begin.tv_sec) * 1e9 +
		   (double)(end.tv_nsec - begin.tv_nsec)) /
	    NROUND;
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
		void (*row)(void);
	} rows[] = {
		{ "clock_gettime", run_clock },
		{ "count, with one reading", run_count },
		{ "a request, all of it", run_request },
	};
	enum {
		NROW = sizeof(rows) / sizeof(rows[0])
	};
	static double ns[NROW][NREPEAT];

	if (io_stats_new(1, &stats) < 0)
		return EXIT_FAILURE;
	for (unsigned k = 0; k < NREPEAT; k++)
		for (unsigned r = 0; r < NROW; r++)
			ns[r][k] = measure(rows[r].row);
	for (unsigned r = 0; r < NROW; r++) {
		qsort(ns[r], NREPEAT, sizeof(double), compare);
		printf("%-26s %6.1f ns\n", rows[r].name, ns[r][NREPEAT / 2]);
	}
	io_stats_free(stats);
	return EXIT_SUCCESS;
}

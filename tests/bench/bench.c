/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench -- runs cells and prints, for each subject, the median time of a
 * request and its ratio to the first subject that ran.  See bench.h.
 *
 *	bench [--quick] [--json FILE] [--filter WORD] [--disk DIR] [--ram DIR]
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NSUBJECT 4u
#define REPEAT_MAX 9u

static const struct subject *const subjects[NSUBJECT] = { &subject_engine,
	&subject_floor, &subject_file, &subject_pmemblk };

struct named_cell {
	char name[80];
	struct cell cell;
};

struct bench {
	const char *ram, *disk, *filter;
	FILE *json;
	unsigned repeat;
	unsigned slice_ms;
	unsigned nfailed;
};

int
bench_file(const struct cell *cell, char *path, size_t path_bytes)
{
	int fd;

	(void)snprintf(path, path_bytes, "%s/bttfs-bench.XXXXXX", cell->dir);
	if ((fd = mkstemp(path)) < 0)
		return -1;
	if (fallocate(fd, 0, 0, (off_t)cell->bytes) < 0) {
		(void)unlink(path);
		(void)close(fd);
		return -1;
	}
	return fd;
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* One thread's slice. */
struct slice {
	const struct subject *subject;
	const struct cell *cell;
	void *state;
	unsigned thread;
	uint64_t deadline_ns;
	uint64_t nrequest;
	bool failed;
};

static void *
run_slice(void *arg)
{
	struct slice *slice = arg;
	const struct cell *cell = slice->cell;
	uint64_t nplace = slice->subject->size(slice->state) / cell->request;
	uint64_t state = slice->thread * UINT64_C(977) + now_ns();
	uint64_t place = nplace / cell->nthread * slice->thread;
	uint8_t *buf = aligned_alloc(4096, (cell->request + 4095) & ~4095u);
	unsigned unsynced = 0;
	int r = 0;

	memset(buf, 0x5a, cell->request);
	do {
		/* A clock call for some requests, not for each. */
		for (unsigned i = 0; i < 16 && r == 0; i++) {
			state = state * UINT64_C(6364136223846793005) + 1;
			place = cell->sequential ? (place + 1) % nplace
						 : (state >> 20) % nplace;
			r = cell->write
			    ? slice->subject->write(slice->state, slice->thread,
				  place * cell->request, buf)
			    : slice->subject->read(slice->state, slice->thread,
				  place * cell->request, buf);
			slice->nrequest++;
			if (r == 0 && cell->sync_every != 0 &&
			    ++unsynced == cell->sync_every) {
				r = slice->subject->sync(
				    slice->state, slice->thread);
				unsynced = 0;
			}
		}
	} while (r == 0 && now_ns() < slice->deadline_ns);
	slice->failed = r != 0;
	free(buf);
	return NULL;
}

/* Nanoseconds a request over all threads, 0 if one failed. */
static double
measure(const struct subject *subject, const struct cell *cell, void *state,
    unsigned slice_ms)
{
	struct slice slice[BENCH_THREADS_MAX];
	pthread_t thread[BENCH_THREADS_MAX];
	uint64_t start = now_ns();
	uint64_t total = 0;
	bool failed = false;

	for (unsigned i = 0; i < cell->nthread; i++) {
		slice[i] = (struct slice){ subject, cell, state, i,
			start + slice_ms * UINT64_C(1000000), 0, false };
		if (pthread_create(&thread[i], NULL, run_slice, &slice[i]) != 0)
			abort();
	}
	for (unsigned i = 0; i < cell->nthread; i++) {
		(void)pthread_join(thread[i], NULL);
		total += slice[i].nrequest;
		failed = failed || slice[i].failed;
	}
	return failed ? 0 : (double)(now_ns() - start) / (double)total;
}

static int
compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *value, unsigned n)
{
	qsort(value, n, sizeof(*value), compare_double);
	return value[n / 2];
}

/* Write everything once: no page fault and no hole is measured. */
static void
warm_up(const struct subject *subject, const struct cell *cell, void *state)
{
	uint64_t n = subject->size(state) / cell->request;
	uint8_t *buf = aligned_alloc(4096, (cell->request + 4095) & ~4095u);

	memset(buf, 0xa5, cell->request);
	/* On a disk a full pass of durable writes would take minutes. */
	if (cell->force == MEDIA_FORCE_PAGE && n > 512)
		n = 512;
	for (uint64_t i = 0; i < n; i++) {
		if (subject->write(state, 0, i * cell->request, buf) != 0)
			break;
	}
	free(buf);
}

static void
report(struct bench *bench, const struct named_cell *named,
    double result[NSUBJECT], double fences[NSUBJECT])
{
	printf("%-44s", named->name);
	for (unsigned i = 0; i < NSUBJECT; i++) {
		if (result[i] == 0) {
			continue;
		}
		printf("  %s %.0f ns", subjects[i]->name, result[i]);
		if (i > 0 && result[0] > 0)
			printf(" (x%.2f)", result[i] / result[0]);
		if (fences[i] > 0)
			printf(" [%.2f fences]", fences[i]);
		if (bench->json != NULL)
			fprintf(bench->json,
			    "{\"cell\":\"%s\",\"subject\":\"%s\","
			    "\"ns\":%.1f,\"fences\":%.3f}\n",
			    named->name, subjects[i]->name, result[i],
			    fences[i]);
	}
	printf("\n");
	(void)fflush(stdout);
}

static void
run_cell(struct bench *bench, const struct named_cell *named)
{
	double value[NSUBJECT][REPEAT_MAX];
	double result[NSUBJECT] = { 0 }, fences[NSUBJECT] = { 0 };
	uint64_t fences_before[NSUBJECT] = { 0 };
	double requests[NSUBJECT] = { 0 };
	void *state[NSUBJECT];

	for (unsigned i = 0; i < NSUBJECT; i++) {
		state[i] = subjects[i]->open(&named->cell);
		if (state[i] == NULL)
			continue;
		warm_up(subjects[i], &named->cell, state[i]);
		fences_before[i] = subjects[i]->nfence(state[i]);
	}
	for (unsigned k = 0; k < bench->repeat; k++) {
		/* The order turns round, so that no subject is always first. */
		for (unsigned j = 0; j < NSUBJECT; j++) {
			unsigned i = k % 2 == 0 ? j : NSUBJECT - 1 - j;

			if (state[i] == NULL)
				continue;
			value[i][k] = measure(subjects[i], &named->cell,
			    state[i], bench->slice_ms);
			if (value[i][k] == 0)
				bench->nfailed++;
			else
				requests[i] +=
				    bench->slice_ms * 1e6 / value[i][k];
		}
	}
	for (unsigned i = 0; i < NSUBJECT; i++) {
		if (state[i] == NULL)
			continue;
		result[i] = median(value[i], bench->repeat);
		fences[i] =
		    (double)(subjects[i]->nfence(state[i]) - fences_before[i]) /
		    (requests[i] > 0 ? requests[i] : 1);
		subjects[i]->close(state[i]);
	}
	report(bench, named, result, fences);
}

static void
cell_if(struct bench *bench, const char *what, struct cell cell)
{
	struct named_cell named = { .cell = cell };

	(void)snprintf(
	    named.name, sizeof(named.name), "%s %uT", what, cell.nthread);
	if (bench->filter == NULL || strstr(named.name, bench->filter) != NULL)
		run_cell(bench, &named);
}

static void
run_ram(struct bench *bench)
{
	static const struct {
		const char *what;
		uint32_t sector, request;
		bool write, sequential;
	} kinds[] = {
		{ "ram 4K random write", 4096, 4096, true, false },
		{ "ram 512 random write", 512, 512, true, false },
		{ "ram 128K of 4K random write", 4096, 131072, true, false },
		{ "ram 16K of 512 random write", 512, 16384, true, false },
		{ "ram 1M of 4K random write", 4096, 1 << 20, true, false },
		{ "ram 512 sequential write", 512, 512, true, true },
		{ "ram 4K random read", 4096, 4096, false, false },
		{ "ram 512 random read", 512, 512, false, false },
		{ "ram 128K of 4K random read", 4096, 131072, false, false },
	};
	static const unsigned nthread[] = { 1, 2, 4, 8 };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		for (size_t k = 0; k < 4; k++)
			cell_if(bench, kinds[i].what,
			    (struct cell){ .dir = bench->ram,
				.force = MEDIA_FORCE_CACHE_LINE,
				.bytes = UINT64_C(256) << 20,
				.sector = kinds[i].sector,
				.request = kinds[i].request,
				.write = kinds[i].write,
				.sequential = kinds[i].sequential,
				.nthread = nthread[k] });
	}
}

static void
run_disk(struct bench *bench)
{
	static const unsigned every[] = { 1, 16, 256 };
	static const unsigned nthread[] = { 1, 4, 8 };
	char what[64];
	struct cell cell = { .dir = bench->disk,
		.force = MEDIA_FORCE_PAGE,
		.bytes = UINT64_C(128) << 20,
		.sector = 4096,
		.request = 4096,
		.write = true };

	for (size_t i = 0; i < 3; i++) {
		cell.durable_flush = false;
		cell.nthread = nthread[i];
		cell_if(bench, "disk 4K random write, durable each", cell);
	}
	for (size_t i = 0; i < 3; i++) {
		cell.durable_flush = true;
		cell.nthread = 1;
		cell.sync_every = every[i];
		(void)snprintf(what, sizeof(what),
		    "disk 4K random write, flush every %u", every[i]);
		cell_if(bench, what, cell);
		cell.nthread = 4;
		cell_if(bench, what, cell);
	}
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "quick", no_argument, NULL, 'q' },
		{ "json", required_argument, NULL, 'j' },
		{ "filter", required_argument, NULL, 'f' },
		{ "disk", required_argument, NULL, 'd' },
		{ "ram", required_argument, NULL, 'r' },
		{ 0 },
	};
	struct bench bench = { .ram = "/dev/shm",
		.disk = "/var/tmp",
		.repeat = 5,
		.slice_ms = 300 };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'q') {
			bench.repeat = 3;
			bench.slice_ms = 60;
		} else if (option == 'j') {
			bench.json = fopen(optarg, "w");
		} else if (option == 'f') {
			bench.filter = optarg;
		} else if (option == 'd') {
			bench.disk = optarg;
		} else if (option == 'r') {
			bench.ram = optarg;
		} else {
			fprintf(stderr,
			    "usage: bench [--quick] [--json FILE] "
			    "[--filter WORD] [--disk DIR] "
			    "[--ram DIR]\n");
			return 2;
		}
	}
	if (media_install_sigbus() < 0)
		return 1;
	run_ram(&bench);
	run_disk(&bench);
	if (bench.json != NULL)
		(void)fclose(bench.json);
	return bench.nfailed == 0 ? 0 : 1;
}

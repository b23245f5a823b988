/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * measure -- one slice: threads that do one kind of request for a while.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "bench.h"

/*
 * Latencies are counted in buckets of 1/16 of a power of two, so a percentile
 * is right to 6 %.
 */
#define BUCKET_STEPS 16u
#define NBUCKET (64u * BUCKET_STEPS)

struct worker {
	const struct subject *subject;
	const struct load *load;
	void *state;
	unsigned thread;
	uint64_t deadline_ns;
	uint64_t random;
	uint64_t place;  /* of the last request */
	uint64_t nplace; /* requests that fit */
	unsigned unsynced;
	uint64_t nrequest;
	uint64_t cpu_ns;
	uint32_t *bucket; /* NBUCKET of them, NULL: nobody asks */
	uint8_t *buf;
	bool failed;
};

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t
bench_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static int
compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double
bench_median(double *value, unsigned n)
{
	qsort(value, n, sizeof(*value), compare_double);
	return n % 2 == 1 ? value[n / 2]
			  : (value[n / 2 - 1] + value[n / 2]) / 2;
}

static unsigned
bucket_of(uint64_t ns)
{
	unsigned log2;

	if (ns < BUCKET_STEPS)
		return (unsigned)ns;
	log2 = 63u - (unsigned)__builtin_clzll(ns);
	return (log2 - 3) * BUCKET_STEPS +
	    (unsigned)(ns >> (log2 - 4)) % BUCKET_STEPS;
}

/* The middle of a bucket. */
static double
bucket_ns(unsigned bucket)
{
	unsigned log2 = bucket / BUCKET_STEPS + 3;
	uint64_t step;

	if (bucket < BUCKET_STEPS)
		return bucket;
	step = UINT64_C(1) << (log2 - 4);
	return (double)((BUCKET_STEPS + bucket % BUCKET_STEPS) * step) +
	    (double)step / 2;
}

static double
percentile(const uint64_t *bucket, double part)
{
	uint64_t total = 0, seen = 0;

	for (unsigned i = 0; i < NBUCKET; i++)
		total += bucket[i];
	for (unsigned i = 0; i < NBUCKET; i++) {
		seen += bucket[i];
		if ((double)seen >= part * (double)total)
			return bucket_ns(i);
	}
	return 0;
}

static uint64_t
next_off(struct worker *worker)
{
	/* Multiplied into range: a division would cost more than a lookup. */
	if (worker->load->sequential) {
		if (++worker->place >= worker->nplace)
			worker->place = 0;
	} else {
		worker->random =
		    worker->random * UINT64_C(6364136223846793005) +
		    UINT64_C(1442695040888963407);
		worker->place = (worker->random >> 32) * worker->nplace >> 32;
	}
	return worker->place * worker->load->request;
}

static int
do_request(struct worker *worker)
{
	const struct subject *subject = worker->subject;
	const struct load *load = worker->load;
	uint64_t off = next_off(worker);
	int r;

	if (!load->write)
		return subject->read(worker->state, worker->thread, off,
		    load->request, worker->buf);
	r = subject->write(
	    worker->state, worker->thread, off, load->request, worker->buf);
	if (r == 0 && load->sync_every != 0 &&
	    ++worker->unsynced == load->sync_every) {
		worker->unsynced = 0;
		if (subject->sync != NULL)
			r = subject->sync(worker->state, worker->thread);
	}
	return r;
}

static int
do_timed_request(struct worker *worker)
{
	uint64_t start = bench_now_ns();
	int r = do_request(worker);

	worker->bucket[bucket_of(bench_now_ns() - start)]++;
	return r;
}

static void *
run_worker(void *arg)
{
	struct worker *worker = arg;
	uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	int r = 0;

	do {
		/* A clock call for some requests, not for each. */
		for (unsigned i = 0; i < 16 && r == 0; i++) {
			r = worker->bucket == NULL ? do_request(worker)
						   : do_timed_request(worker);
			worker->nrequest++;
		}
	} while (r == 0 && bench_now_ns() < worker->deadline_ns);
	worker->failed = r != 0;
	worker->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	return NULL;
}

static void
worker_init(struct worker *worker, const struct subject *subject,
    const struct load *load, void *state, unsigned thread)
{
	*worker = (struct worker){ .subject = subject,
		.load = load,
		.state = state,
		.thread = thread,
		.nplace = subject->size(state) / load->request };
	worker->random = (thread + 1) * UINT64_C(0x9e3779b97f4a7c15) ^
	    (bench_now_ns() << 20);
	/* Sequential threads each have a part of their own. */
	worker->place = worker->nplace / load->nthread * thread;
	worker->buf = aligned_alloc(4096, BENCH_REQUEST_MAX);
	memset(worker->buf, 0x5a, BENCH_REQUEST_MAX);
	if (load->latency)
		worker->bucket = calloc(NBUCKET, sizeof(*worker->bucket));
}

static void
worker_fini(struct worker *worker)
{
	free(worker->buf);
	free(worker->bucket);
}

/* Bytes of pages that this process has made dirty, for a disk to write. */
static uint64_t
dirtied_bytes(void)
{
	unsigned long long value = 0;
	char line[80];
	FILE *file;

	if ((file = fopen("/proc/self/io", "r")) == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "write_bytes: %llu", &value) == 1)
			break;
	}
	(void)fclose(file);
	return value;
}

/* Bytes that the disk below a directory has written, whoever wanted it. */
static uint64_t
device_bytes(const char *dir)
{
	unsigned long long sectors = 0;
	char path[64];
	struct stat st;
	FILE *file;

	if (stat(dir, &st) < 0)
		return 0;
	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat",
	    major(st.st_dev), minor(st.st_dev));
	if ((file = fopen(path, "r")) == NULL)
		return 0;
	if (fscanf(file, "%*s %*s %*s %*s %*s %*s %llu", &sectors) != 1)
		sectors = 0;
	(void)fclose(file);
	return sectors * 512;
}

static void
sum_up(const struct worker *worker, unsigned nworker, struct slice_result *ret)
{
	uint64_t *bucket = calloc(NBUCKET, sizeof(*bucket));
	uint64_t cpu_ns = 0;

	for (unsigned i = 0; i < nworker; i++) {
		ret->nrequest += worker[i].nrequest;
		cpu_ns += worker[i].cpu_ns;
		for (unsigned k = 0; worker[i].bucket != NULL && k < NBUCKET;
		     k++)
			bucket[k] += worker[i].bucket[k];
	}
	ret->cpu_ns = (double)cpu_ns / (double)ret->nrequest;
	if (worker[0].bucket != NULL) {
		ret->p50_ns = percentile(bucket, 0.5);
		ret->p999_ns = percentile(bucket, 0.999);
	}
	free(bucket);
}

bool
measure_slice(const struct subject *subject, const struct bed *bed,
    const struct load *load, void *state, unsigned slice_ms,
    struct slice_result *ret_result)
{
	struct worker worker[BENCH_THREADS_MAX];
	pthread_t thread[BENCH_THREADS_MAX];
	struct slice_result result = { 0 };
	uint64_t nfence, dirtied, device;
	uint64_t start, ns;
	bool failed = false;

	for (unsigned i = 0; i < load->nthread; i++)
		worker_init(&worker[i], subject, load, state, i);
	nfence = subject->nfence == NULL ? 0 : subject->nfence(state);
	dirtied = bed->is_disk ? dirtied_bytes() : 0;
	device = bed->is_disk ? device_bytes(bed->dir) : 0;
	start = bench_now_ns();
	for (unsigned i = 0; i < load->nthread; i++) {
		worker[i].deadline_ns = start + slice_ms * UINT64_C(1000000);
		if (pthread_create(&thread[i], NULL, run_worker, &worker[i]) !=
		    0)
			abort();
	}
	for (unsigned i = 0; i < load->nthread; i++) {
		(void)pthread_join(thread[i], NULL);
		failed = failed || worker[i].failed;
	}
	ns = bench_now_ns() - start;
	sum_up(worker, load->nthread, &result);
	result.wall_ns = (double)ns / (double)result.nrequest;
	if (subject->nfence != NULL)
		result.fences = (double)(subject->nfence(state) - nfence) /
		    (double)result.nrequest;
	if (bed->is_disk) {
		result.dirtied = (double)(dirtied_bytes() - dirtied) /
		    (double)result.nrequest;
		result.device = (double)(device_bytes(bed->dir) - device) /
		    (double)result.nrequest;
	}
	for (unsigned i = 0; i < load->nthread; i++)
		worker_fini(&worker[i]);
	*ret_result = result;
	return !failed;
}

__attribute__((noinline)) static int
counted_requests(struct worker *worker, uint64_t nrequest)
{
	int r = 0;

	for (uint64_t i = 0; i < nrequest && r == 0; i++)
		r = do_request(worker);
	return r;
}

int
bench_counted(const struct subject *subject, void *state,
    const struct load *load, uint64_t nrequest)
{
	struct worker worker;
	int r;

	worker_init(&worker, subject, load, state, 0);
	worker.random = 1; /* the same requests in each run */
	r = counted_requests(&worker, nrequest);
	worker_fini(&worker);
	return r;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

/*
 * bench -- what is measured against what, in one process.
 *
 * A subject is one way of doing block I/O: our engine, a raw loop that does the
 * least that could be right (the floor, and one in our order), a plain copy, a plain file, libpmemblk
 * where it is installed.  A bed is a kind of medium that each subject gets one
 * of; a load is what is asked of all of them.
 *
 * The subjects take turns in short slices, in an order that turns round, so
 * that what else the machine does hits all alike.  A ratio is taken within a
 * round, and the median of the rounds' ratios counts.  Times of different
 * lines, let alone of different runs, must not be compared.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <btt/media.h>

#define BENCH_THREADS_MAX 32u
#define BENCH_REQUEST_MAX (1u << 20)
#define BENCH_ROUNDS_MAX 99u

struct bed {
	const char *name;
	const char *dir; /* where files are made */
	enum media_force force;
	uint64_t bytes; /* of each medium */
	uint32_t sector;
	bool durable_flush; /* durability=flush for our engine */
	/* Requests are looked at as bytes that reach a disk as well. */
	bool is_disk;
	bool keeps_cache; /* as large writes left it; see fill_file */
};

struct load {
	const char *what;
	uint32_t request; /* bytes, a multiple of the bed's sector */
	bool write;
	bool sequential;
	unsigned nthread;
	unsigned sync_every; /* writes between flushes, 0: none */
	bool latency;        /* read the clock around each request */
};

struct subject {
	const char *name;
	/* NULL: not possible here (not installed, wrong kind of bed). */
	void *(*open)(const struct bed *bed);
	/* len bytes at off; 0 or not.  NULL: no such request. */
	int (*read)(
	    void *state, unsigned thread, uint64_t off, size_t len, void *buf);
	int (*write)(void *state, unsigned thread, uint64_t off, size_t len,
	    const void *buf);
	int (*sync)(void *state, unsigned thread); /* NULL: nothing to do */
	uint64_t (*size)(void *state);             /* bytes that off may span */
	uint64_t (*nfence)(void *state); /* so far; NULL: nobody counts */
	void (*close)(void *state);
};

extern const struct subject subject_engine;
extern const struct subject subject_floor;
extern const struct subject subject_order;
extern const struct subject subject_copy;
extern const struct subject subject_file;
extern const struct subject subject_pmemblk;

/* A fresh file of the bed's size below its directory; unlinked by caller. */
int bench_file(const struct bed *bed, char *path, size_t path_bytes);

uint64_t bench_now_ns(void);
double bench_median(double *value, unsigned n);

/* ---- measure.c ---- */

/* What one slice of one subject came to. */
struct slice_result {
	uint64_t nrequest;
	double wall_ns; /* a request, over all threads */
	double cpu_ns;  /* a request, of all threads' processor time */
	double fences;  /* a request, 0 where nobody counts */
	double dirtied; /* bytes a request that this process made dirty */
	double device;  /* bytes a request that the bed's disk wrote */
	double p50_ns, p999_ns; /* with load.latency */
};

/* One slice; false if a request failed. */
bool measure_slice(const struct subject *subject, const struct bed *bed,
    const struct load *load, void *state, unsigned slice_ms,
    struct slice_result *ret_result);

/*
 * The loop whose instructions callgrind is to count: nrequest requests of one
 * thread.  Its own are those of subject "nothing".
 */
int bench_counted(const struct subject *subject, void *state,
    const struct load *load, uint64_t nrequest);

/* ---- report.c ---- */

struct report {
	FILE *json;          /* NULL: none */
	unsigned nrow;       /* so far, for the commas */
	uint64_t life_bytes; /* of memory, the first device of life.c had */
};

/* One subject's medians in one cell; ratios are ours to it. */
struct report_row {
	const char *bed, *load, *subject;
	unsigned nthread, nround;
	uint32_t request; /* bytes */
	struct slice_result median;
	double wall_ratio, cpu_ratio; /* 0 for ourselves */
};

void report_open(struct report *report, const char *json_path);
void
report_cell(struct report *report, const struct report_row *row, unsigned nrow);
/* A line of life.c. */
struct report_life {
	uint64_t bytes;
	double create_ms, open_ms, check_ms; /* check: 0 where left out */
	uint64_t open_bytes;                 /* memory of an open device */
};
void report_life(struct report *report, const struct report_life *life);
void report_close(struct report *report);

/* ---- goals.c ---- */

struct goal_result {
	const char *what; /* of the braces: empty, or ends in ", " */
	double most, value;
	bool met; /* the value is at most that */
};

/* Is there a goal for the row, and is it known how far it is? */
bool goal_of(const struct report_row *row, struct goal_result *ret_result);

/* ---- life.c ---- */

/* Create, open and check images of several sizes; false if one failed. */
bool life_run(struct report *report, const char *dir, bool quick);

#endif

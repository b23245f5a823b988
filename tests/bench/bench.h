/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

/*
 * bench -- what is measured against what, in one process.
 *
 * A subject is one way of doing block I/O: our engine, a raw loop that does the
 * least that could be right (the floor), libpmemblk where it is installed.  A
 * cell is a workload on every subject, run by turns in short slices so that
 * what else the machine does hits all alike; the median of the slices counts,
 * and only ratios within a cell mean anything.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <btt/media.h>

#define BENCH_THREADS_MAX 8u

struct cell {
	const char *dir; /* where files are made */
	enum media_force force;
	uint64_t bytes; /* of the medium */
	uint32_t sector;
	uint32_t request; /* bytes, a multiple of sector */
	bool write;
	bool sequential;
	unsigned nthread;
	unsigned sync_every; /* writes between flushes, 0: none */
	bool durable_flush;  /* durability=flush for our engine */
};

struct subject {
	const char *name;
	/* NULL: not possible here (not installed, wrong kind of cell). */
	void *(*open)(const struct cell *cell);
	/* cell->request bytes at off */
	int (*read)(void *state, unsigned thread, uint64_t off, void *buf);
	int (*write)(
	    void *state, unsigned thread, uint64_t off, const void *buf);
	int (*sync)(void *state, unsigned thread);
	uint64_t (*size)(void *state); /* bytes that off may span */
	/* fences or syncs so far, 0 where nobody counts */
	uint64_t (*nfence)(void *state);
	void (*close)(void *state);
};

extern const struct subject subject_engine;
extern const struct subject subject_floor;
extern const struct subject subject_pmemblk;
extern const struct subject subject_file;

/* A fresh file of the cell's size below its directory; unlinked by caller. */
int bench_file(const struct cell *cell, char *path, size_t path_bytes);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_SCHED_H
#define CRASH_SCHED_H

/*
 * sched -- worker threads as coroutines of one OS thread, switched where the
 * explorer says and nowhere else, so that a schedule is a list of numbers.
 *
 * Points are: every hook of the engine, every lock operation, every operation
 * of the medium.  At each the scheduler picks who goes on, among the threads
 * that can and the store buffers that have something in them (sim_memory.h).
 *
 * A thread at a backoff goes on only after somebody else has made a step; if
 * nobody else can, for long, that is a livelock, and if nobody can at all, a
 * deadlock (I10).
 */
#include <stdbool.h>
#include <stdint.h>

#define SCHED_THREADS 4

enum sched_mode {
	SCHED_RANDOM, /* one step in 2^depth goes to any that can */
	SCHED_PCT,    /* priorities with depth - 1 change points */
	SCHED_DFS,    /* all schedules with at most `depth` preemptions */
	SCHED_REPLAY, /* the switches that are given */
};

/* "At decision number `at`, not the default but `entity`." */
struct sched_switch {
	uint32_t at;
	uint8_t entity; /* a thread, or SCHED_THREADS + a thread's buffer */
};

#define SCHED_SWITCHES 4096

struct sched_trace {
	unsigned n;
	struct sched_switch sw[SCHED_SWITCHES];
};

enum sched_result {
	SCHED_DONE,
	SCHED_DEADLOCK,
	SCHED_LIVELOCK
};

/* Clear the state of a depth-first walk; then run until sched_dfs_next says
 * that all have been. */
void sched_dfs_reset(void);
bool sched_dfs_next(void);

void sched_choose_mode(enum sched_mode mode, unsigned depth, uint64_t seed,
    unsigned expected_steps);
/* For SCHED_REPLAY; the trace is copied. */
void sched_set_replay(const struct sched_trace *trace);
/* What the last (or current) run did, for sched_set_replay. */
const struct sched_trace *sched_trace(void);
uint32_t sched_steps(void);

/* Run body(0) .. body(nthread - 1) to their ends. */
enum sched_result sched_run(unsigned nthread, void (*body)(unsigned thread));

/* Is the caller a coroutine that may be switched away? */
bool sched_is_active(void);
/* While off, points do nothing: recovery and checks run undisturbed. */
bool sched_set_active(bool active);

/* Others may run here. */
void sched_point(const char *what);
/* Nobody but another thread's sched_wake of the same object lets us go on. */
void sched_block(const void *object);
void sched_wake(const void *object, bool all);

/* Unwind to the innermost media_try with -EIO, as a SIGBUS does. */
void sched_raise_fault(void);

#endif

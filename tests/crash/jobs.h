/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_JOBS_H
#define CRASH_JOBS_H

/*
 * jobs -- exploring in child processes, as many at a time as there are
 * processors: a violation, an assertion or a hang ends a child and not us.
 */
#include "mutants.h"
#include "replay.h"
#include "scenario.h"

/* Seconds of the processor that a mutant has to die in (B6). */
#define KILL_LIMIT 10.0

struct job {
	/* A scenario on a kind of medium, or a part of it ... */
	const struct scenario *scenario;
	enum sim_kind kind;
	unsigned part, scale;
	uint64_t seed;
	/* ... or a mutant on all scenarios that are to kill it ... */
	const struct mutant *mutant;
	/* ... or a failure to be made again, or to be made smaller. */
	const char *replay, *shrink;
	bool verbose;   /* say what it looked like then */
	double seconds; /* of processor time at most; 0: no limit */

	struct tally *tally; /* shared with the child */
	bool hung;
	bool died; /* without a report */
};

/* Allocate the tallies, run all, wait for all.  progress may be NULL. */
void jobs_run(struct job *jobs, unsigned n, unsigned nprocess,
    void (*progress)(unsigned done, unsigned n));
void jobs_free(struct job *jobs, unsigned n);

#endif

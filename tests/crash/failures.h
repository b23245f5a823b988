/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_FAILURES_H
#define CRASH_FAILURES_H

/*
 * failures -- what jobs have found, made small and printed; and the test of
 * the tester: planted failures must replay and shrink (B40).
 */
#include "jobs.h"

struct failures;

/* Of jobs that have run.  The jobs are needed until failures_free. */
struct failures *
failures_shrink(const struct job *jobs, unsigned n, unsigned nprocess);
/* Those of jobs first .. end - 1; returns how many there are. */
unsigned
failures_print(const struct failures *failures, unsigned first, unsigned end);
void failures_free(struct failures *failures);

/* Returns how many did not replay, or failed otherwise when shrunk. */
unsigned self_test(uint64_t seed, unsigned nprocess);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_SHRINK_H
#define CRASH_SHRINK_H

/*
 * shrink -- a failure that people can read: without the operations, the thread
 * switches and the persisted stores that it does not need.
 *
 * Each thing is left out in turn, and what is left is run again; where it
 * still violates the same invariant, it stays out.  Without an operation the
 * schedule of the rest is another one, so a few are tried.
 */
#include "replay.h"

struct shrink_size {
	unsigned nop;     /* operations of all threads */
	unsigned nswitch; /* decisions that were not the default */
	unsigned nstore;  /* deltas that persisted in the image */
};

struct shrink_size shrink_size(const char *line);

/*
 * Leave the smallest failure that was found within so many seconds of
 * processor time in tally->what and tally->replay; tally->failed stays false
 * if not even the line itself fails.  Runs it all in child processes.
 */
void shrink(const char *line, double seconds, struct tally *tally);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_PROCESS_H
#define BTTFS_PROCESS_H

/*
 * process -- the daemon as a process: going to the background once there is
 * something to go to, and what a program in the path of write-out owes to the
 * system (fuse.md section 7).
 */
#include <stdbool.h>

#include <btt/error.h>

#include "log.h"

/* Open what of standard input, output and error is closed: on /dev/null. */
int process_open_streams(void) BTT_MUST_CHECK;

/*
 * A start in two processes: the child does the work, the parent waits until
 * the child says that it serves and then exits 0, or takes over the child's
 * exit status.  The child keeps the terminal until then, for its errors.
 *
 * process_fork returns in the child only, before there is any thread.
 */
struct process_start {
	int ready_fd; /* -1 in the foreground */
};
int process_fork(struct process_start *ret_start) BTT_MUST_CHECK;
/*
 * Leave the terminal and let the parent go; nothing in the foreground.  The
 * parent is let go also where an error is returned.
 */
int process_ready(struct process_start *start) BTT_MUST_CHECK;

/*
 * Ask the system for what is due to us, best effort: no paging, no waiting for
 * write-out, a late death when memory runs out, and no core file with users'
 * data in it.  What was granted is logged for debugging, but with log NULL.  Call before other
 * threads are started: they inherit it.  Memory that is mapped later is locked
 * when it is touched.
 */
void process_guard(bool allow_core, const struct log *log);
/* One such thing: r is 0, or the negative errno why not. */
void process_log_guard(const struct log *log, const char *what, int r);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_LOCK_WATCH_H
#define BTTFS_LOCK_WATCH_H

/*
 * lock_watch -- what the validator of locks (lanes/sync.h) has to say, brought
 * to the log by a thread of its own: violations, and locks whose owner is
 * stuck.  Threads that serve requests leave their reports in a few slots of
 * memory; they neither log nor wait.
 *
 * Two variables of the environment are for tests: with BTTFS_LOCK_ABORT set a
 * violation ends the process, and the orders of locks that were seen are
 * appended to the file that BTTFS_LOCK_ORDERS names, when the watch ends.
 */
#include <stdint.h>

#include <btt/error.h>
#include <lanes/watch.h>

#include "log.h"

/* A lock that is held for longer makes users ask what is wrong. */
#define LOCK_WATCH_STALL_MS 10000u

struct lock_watch;

/*
 * From now on, and for the whole process; of which there is at most one.  Call
 * it before there is another thread.  log must outlive the watch.
 */
int lock_watch_start(const struct log *log, uint64_t stall_ms,
    struct lock_watch **ret_watch) BTT_MUST_CHECK;
/*
 * Who else hears of locks that are held for long, in the watch's thread; NULL
 * ends it, and nobody is being told any more on return.
 */
void lock_watch_listen(struct lock_watch *watch, sync_stall_fn *fn, void *arg);
/* After the threads that are watched have ended.  NULL is fine. */
void lock_watch_stop(struct lock_watch *watch);

#endif

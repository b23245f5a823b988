/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LANES_WATCH_H
#define LANES_WATCH_H

/*
 * watch -- locks that somebody holds for too long (LK-11), seen from outside.
 *
 * Whoever waits behind such an owner can say nothing any more, so a thread of
 * its own looks at all locks of classes with LOCK_WATCHED now and then.  A lock
 * that has the same owner and number of acquisition in two looks was held all
 * the time between them.  Owners note no time and are not slowed down.
 */
#include <stdint.h>
#include <sys/types.h>

#include <lanes/sync.h>

struct sync_watch;

struct sync_stall {
	const struct lock_class *class;
	const void *object; /* the mutex; of a row the first: lane_set_object */
	unsigned index;     /* of the lane or stripe; 0 for a mutex alone */
	pid_t owner;        /* the thread that holds it */
	const char *place;  /* where it took it */
	uint64_t held_ms;   /* at least so long, less one interval of looks */
};

/* Returns: 0; -ENOMEM.  A watch is used by one thread at a time. */
int sync_watch_new(struct sync_watch **ret_watch) LANES_MUST_CHECK;
void sync_watch_free(struct sync_watch *watch);

/*
 * Look at all watched locks.  Calls fn for each that has been held for at least
 * limit_ms since the look that saw it so first, and again whenever that time
 * has doubled.  now_ms is of a clock that goes on.  fn may take locks.
 *
 * Costs a cache line a lock; the making and ending of locks waits for it.
 * Allocates nothing.
 */
typedef void sync_stall_fn(void *arg, const struct sync_stall *stall);
void sync_watch_look(struct sync_watch *watch, uint64_t now_ms,
    uint64_t limit_ms, sync_stall_fn *fn, void *arg);

#endif

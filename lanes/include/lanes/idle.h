/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LANES_IDLE_H
#define LANES_IDLE_H

/*
 * idle -- waiting until work has come to an end, as the validator sees it.
 *
 * To wait for work is to wait for every lock that the work takes, though there
 * is no mutex in it: control-plane.md A.6 is a deadlock of that kind.  So work
 * that somebody may wait for says when a thread begins and ends it, and who
 * waits says so (CP-15, LK-8).  Waiting holds no lock.  What waits for what
 * else is learned: a request that waits for probes, and a probe that waits for
 * requests, are reported, and so is a wait under a lock that the work has ever
 * taken.
 *
 * This counts nothing and waits for nothing: it stands beside the counter or
 * the condition that does.  Costs about as much as a lock that is not taken.
 */
#include <lanes/annotations.h>
#include <lanes/sync.h>

struct lock_node;

/* One thing to wait for: the probes of the daemon, the requests of a device. */
struct CAPABILITY("idle") idle {
	const struct lock_node *node; /* immutable after init */
};

/* class has LOCK_IDLE and static storage.  There is nothing to undo. */
void idle_init(struct idle *idle, const struct lock_class *class);

#define idle_enter(idle) idle_enter_at((idle), SYNC_HERE)
#define idle_leave(idle) idle_leave_at((idle), SYNC_HERE)
#define idle_wait(idle) idle_wait_at((idle), SYNC_HERE)

/*
 * The calling thread now does work that is counted; until it leaves, on the
 * same thread.  Work handed to another thread is entered and left there.
 */
void idle_enter_at(struct idle *idle, const char *here) ACQUIRES_SHARED(*idle);
void idle_leave_at(struct idle *idle, const char *here) RELEASES_SHARED(*idle);
/*
 * The calling thread is about to wait until nobody is at work.  A violation if
 * it holds a lock or is at such work itself.
 */
void idle_wait_at(struct idle *idle, const char *here) EXCLUDES(*idle);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_WORKQUEUE_H
#define BTTFS_WORKQUEUE_H

/*
 * workqueue -- threads that do what may take long, one piece after the other.
 *
 * A piece of work is part of the object that it is about, so queueing it
 * needs no memory, cannot fail and never runs it on the spot (CP-6).  Work may
 * hang in a backing store for ever: a few threads serve the queue at once, and
 * more are started where all of them seem to be stuck.
 */
#include <btt/error.h>

struct workqueue;

/* Keys: Q the queue's, from workqueue_add until fn is called. */
struct work {
	struct work *next; /* [Q] */
	/* May free what the work is part of.  Holds nothing on return. */
	void (*fn)(struct work *work);
};

/* Threads that are started even though others are stuck. */
#define WORKQUEUE_THREAD_MAX 64u

/*
 * nthread is how many pieces of work run side by side while none is stuck; the
 * first thread is started here, the others when there is work for them.  name
 * is the threads', at most 15 bytes, and must live as long.
 */
int workqueue_new(const char *name, unsigned nthread,
    struct workqueue **ret_queue) BTT_MUST_CHECK;

/*
 * Finish all that was queued, then end the threads.  Nothing may be queued any
 * more, but by the work that is still running.  NULL is fine.
 */
void workqueue_free(struct workqueue *queue);

/* In turn, as far as there are threads.  A piece is queued once at a time. */
void workqueue_add(struct workqueue *queue, struct work *work);

/*
 * To be called now and then: if work waits and none was begun since the last
 * call, there is one thread more.
 */
void workqueue_relieve(struct workqueue *queue);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <errno.h>

#include <lanes/sync.h>

#include "thread.h"
#include "workqueue.h"

/* Held to queue and dequeue, never while work runs. */
static const struct lock_class queue_class = {
	.name = "workqueue",
	.rank = 80,
	.flags = LOCK_LEAF,
};

struct queue_thread {
	pthread_t id;
	bool started; /* or could not be */
};

/* Keys: I immutable after workqueue_new, Q lock. */
struct workqueue {
	const char *name; /* [I] */
	unsigned nwanted; /* [I] threads that are started without delay */
	struct mutex lock;
	struct cond changed;  /* there is work, or none will come */
	struct work *first;   /* [Q] */
	struct work **end;    /* [Q] where the next one is linked */
	unsigned nwaiting;    /* [Q] pieces of work that no thread has begun */
	unsigned nidle;       /* [Q] threads that wait for work */
	uint64_t nbegun;      /* [Q] pieces of work, in all */
	uint64_t nbegun_seen; /* [Q] by workqueue_relieve */
	bool stop;            /* [Q] leave once the queue is empty */
	unsigned nthread;     /* [Q] whose start was decided */
	struct queue_thread threads[WORKQUEUE_THREAD_MAX]; /* [Q] */
};

/* The next piece of work; sleeps until there is one.  NULL at the end. */
static struct work *
take(struct workqueue *queue)
{
	struct work *work;

	mutex_lock(&queue->lock);
	queue->nidle++;
	while (queue->first == NULL && !queue->stop)
		cond_wait(&queue->changed, &queue->lock);
	queue->nidle--;
	if ((work = queue->first) != NULL) {
		if ((queue->first = work->next) == NULL)
			queue->end = &queue->first;
		queue->nwaiting--;
		queue->nbegun++;
	}
	mutex_unlock(&queue->lock);
	return work;
}

static void *
thread_main(void *arg)
{
	struct workqueue *queue = arg;
	struct work *work;

	while ((work = take(queue)) != NULL) {
		work->fn(work);
		sync_assert_none_held(SYNC_HERE);
	}
	return NULL;
}

/*
 * Start the thread of this number.  The lock is not held: the system may take
 * its time.  Without the thread the others have more to do.
 */
static int
start_thread(struct workqueue *queue, unsigned number)
{
	pthread_t id;
	int r;

	r = thread_spawn(queue->name, thread_main, queue, &id);
	if (r < 0)
		return r;
	mutex_lock(&queue->lock);
	queue->threads[number] = (struct queue_thread){ id, true };
	mutex_unlock(&queue->lock);
	return 0;
}

/*
 * Decide to start a thread if there is more work than idle threads and fewer
 * than most.  Its number is then the caller's.
 */
static bool
wants_thread(struct workqueue *queue, unsigned most, unsigned *ret_number)
    REQUIRES(queue->lock)
{
	if (queue->nwaiting <= queue->nidle || queue->nthread >= most ||
	    queue->stop)
		return false;
	*ret_number = queue->nthread++;
	return true;
}

int
workqueue_new(const char *name, unsigned nthread, struct workqueue **ret_queue)
{
	struct workqueue *queue;
	int r;

	if ((queue = calloc(1, sizeof(*queue))) == NULL)
		return -ENOMEM;
	queue->name = name;
	queue->nwanted = nthread;
	queue->end = &queue->first;
	mutex_init(&queue->lock, &queue_class);
	cond_init(&queue->changed);
	queue->nthread = 1;
	if ((r = start_thread(queue, 0)) < 0) {
		workqueue_free(queue);
		return r;
	}
	*ret_queue = queue;
	return 0;
}

void
workqueue_free(struct workqueue *queue)
{
	struct queue_thread thread;
	unsigned i, n;

	if (queue == NULL)
		return;
	mutex_lock(&queue->lock);
	queue->stop = true;
	cond_broadcast(&queue->changed);
	n = queue->nthread;
	mutex_unlock(&queue->lock);
	/* One that is just being started was so by one with a lower number. */
	for (i = 0; i < n; i++) {
		mutex_lock(&queue->lock);
		thread = queue->threads[i];
		mutex_unlock(&queue->lock);
		if (thread.started)
			(void)pthread_join(thread.id, NULL); /* ours */
	}
	cond_fini(&queue->changed);
	mutex_fini(&queue->lock);
	free(queue);
}

void
workqueue_add(struct workqueue *queue, struct work *work)
{
	unsigned number;
	bool wants;

	work->next = NULL;
	mutex_lock(&queue->lock);
	*queue->end = work;
	queue->end = &work->next;
	queue->nwaiting++;
	wants = wants_thread(queue, queue->nwanted, &number);
	cond_signal(&queue->changed);
	mutex_unlock(&queue->lock);
	if (wants)
		(void)start_thread(queue, number); /* others take it */
}

void
workqueue_relieve(struct workqueue *queue)
{
	unsigned number;
	bool wants;

	mutex_lock(&queue->lock);
	wants = queue->nbegun == queue->nbegun_seen &&
	    wants_thread(queue, WORKQUEUE_THREAD_MAX, &number);
	queue->nbegun_seen = queue->nbegun;
	mutex_unlock(&queue->lock);
	if (wants)
		(void)start_thread(queue, number); /* or the next time */
}

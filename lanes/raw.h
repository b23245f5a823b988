/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LANES_RAW_H
#define LANES_RAW_H

/*
 * raw -- a mutex beneath the held stack: taken and given back with its owner
 * recorded, but without an entry of its own.
 *
 * sync.c adds the entry.  lane.c and stripe.c take many of these under one
 * entry for the whole span or range.
 *
 * The owner is one word: the number of the thread, and below it how many locks
 * the thread had taken, so that who looks twice can tell a lock that was held
 * all the time from one that was taken again (watch.c), with no clock on the
 * path.  The lower half is odd, so the word of a held mutex is never 0.
 *
 * The owner is stored relaxed, and that is enough: a thread asks only whether
 * the owner is itself.  It sees its own last store, and no other thread can
 * have stored this thread's number.  Data is ordered by the lock, never by
 * this word.
 */
#include <errno.h>

#include "held.h"

static inline void
raw_must(const char *what, int error)
{
	if (__builtin_expect(error != 0, 0))
		held_die(what, error);
}

static inline bool
raw_is_mine(const struct mutex *mutex, const struct held_stack *self)
{
	uint64_t owner =
	    atomic_load_explicit(&mutex->owner, memory_order_relaxed);

	/* False for 0, also if the thread has no number yet. */
	return owner - ((uint64_t)self->thread << 32) - 1 < UINT32_MAX;
}

/* A mutex of its own or one of a row; see live.h for what else it takes. */
static inline void
raw_init(struct mutex *mutex, const struct lock_node *node)
{
	raw_must("pthread_mutex_init", pthread_mutex_init(&mutex->os, NULL));
	mutex->node = node;
	atomic_init(&mutex->owner, 0);
	atomic_init(&mutex->place, NULL);
}

/* The mutex is free. */
static inline void
raw_fini(struct mutex *mutex)
{
	raw_must("pthread_mutex_destroy", pthread_mutex_destroy(&mutex->os));
	mutex->node = &graph_gone;
}

/* A hint, true or false a moment later. */
static inline bool
raw_seems_free(const struct mutex *mutex)
{
	return atomic_load_explicit(&mutex->owner, memory_order_relaxed) == 0;
}

/* Where the holder took it; means something only while there is a holder. */
static inline const char *
raw_place(const struct mutex *mutex)
{
	return atomic_load_explicit(&mutex->place, memory_order_relaxed);
}

static inline const char *
raw_name(const struct mutex *mutex)
{
	return graph_class(mutex->node)->name;
}

/* The thread has its number: it was checked before it came here. */
static inline void
raw_set_owner(struct mutex *mutex, struct held_stack *self, const char *here)
{
	self->nacquired += 2;
	atomic_store_explicit(&mutex->owner,
	    (uint64_t)self->thread << 32 | self->nacquired,
	    memory_order_relaxed);
	atomic_store_explicit(&mutex->place, here, memory_order_relaxed);
}

static inline void
raw_clear_owner(struct mutex *mutex)
{
	atomic_store_explicit(&mutex->owner, 0, memory_order_relaxed);
}

/* The caller has made sure that the mutex is not its own. */
static inline void
raw_lock(struct mutex *mutex, struct held_stack *self, const char *here)
{
	raw_must("pthread_mutex_lock", pthread_mutex_lock(&mutex->os));
	raw_set_owner(mutex, self, here);
}

static inline bool
raw_trylock(struct mutex *mutex, struct held_stack *self, const char *here)
{
	int error = pthread_mutex_trylock(&mutex->os);

	if (error == EBUSY)
		return false;
	raw_must("pthread_mutex_trylock", error);
	raw_set_owner(mutex, self, here);
	return true;
}

/*
 * Lock one of several mutexes under one entry.  If it is the caller's own, a
 * second span or range of the same table met the first: it would wait for
 * itself forever, and to share it would corrupt data (LN-2).  There is no way
 * on, in any build.
 */
static inline void
raw_lock_part(struct mutex *mutex, struct held_stack *self, const char *here)
{
	if (__builtin_expect(raw_is_mine(mutex, self), 0)) {
		held_report(self,
		    "deadlock: '%s' waits at %s for itself, taken at %s",
		    raw_name(mutex), here, raw_place(mutex));
		held_die("lock of its own lock", EDEADLK);
	}
	raw_lock(mutex, self, here);
}

/* The caller has made sure that the mutex is its own. */
static inline void
raw_unlock(struct mutex *mutex)
{
	raw_clear_owner(mutex);
	raw_must("pthread_mutex_unlock", pthread_mutex_unlock(&mutex->os));
}

#endif

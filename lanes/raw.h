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
 * The owner is stored relaxed, and that is enough: a thread asks only whether
 * the owner is itself.  It sees its own last store, and no other thread can
 * have stored this thread's identity.  Data is ordered by the lock, never by
 * this word.
 */
#include <errno.h>

#include "held.h"

static inline bool
raw_is_mine(const struct mutex *mutex, const struct held_stack *self)
{
	return atomic_load_explicit(&mutex->owner, memory_order_relaxed) ==
	    (uintptr_t)self;
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

static inline void
raw_must(const char *what, int error)
{
	if (__builtin_expect(error != 0, 0))
		held_die(what, error);
}

static inline void
raw_set_owner(
    struct mutex *mutex, const struct held_stack *self, const char *here)
{
	atomic_store_explicit(
	    &mutex->owner, (uintptr_t)self, memory_order_relaxed);
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
		    mutex->class->name, here, raw_place(mutex));
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

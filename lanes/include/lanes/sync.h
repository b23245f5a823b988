/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LANES_SYNC_H
#define LANES_SYNC_H

/*
 * sync -- the one mutex and the one condition variable of the project.
 *
 * Every mutex belongs to a class, and every class has a rank: a thread takes
 * locks only in ascending rank.  The checks that cost a few nanoseconds are
 * always compiled in (LK-3, LK-5, LK-6, LK-8, LK-9): recursion, release by a
 * stranger, rank, depth, "nothing held here", a condition wait with exactly
 * its mutex.  A violation calls the thread's violation path: it aborts where
 * LANES_ABORT_ON_VIOLATION is defined (Debug and sanitizer builds) or when the
 * handler says so, else it is counted and the program goes on.
 *
 * Lock failures are our own bugs and abort: callers have no error path.
 *
 * Not here: reader-writer, recursive or spinning locks (the project has none).
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <lanes/annotations.h>

/* A thread that holds more locks than this has lost its way (LK design). */
#define SYNC_HELD_MAX 16

/* How a class may be used. */
enum {
	/* May be held while the thread sleeps in I/O (lane, map, device). */
	LOCK_MAY_SLEEP = 1u << 0,
	/* No other lock is taken while this one is held. */
	LOCK_LEAF = 1u << 1,
};

/* One per kind of lock, with static storage; never changed after start. */
struct lock_class {
	const char *name; /* as it appears in reports */
	unsigned rank;    /* locks are taken in ascending rank */
	unsigned flags;
};

/* Place of a call, for reports. */
#define SYNC_STR2(x) #x
#define SYNC_STR(x) SYNC_STR2(x)
#define SYNC_HERE __FILE__ ":" SYNC_STR(__LINE__)

/*
 * Keys: I immutable after init, a atomic, S internal to sync.c.
 */
struct CAPABILITY("mutex") mutex {
	pthread_mutex_t os;             /* [S] */
	const struct lock_class *class; /* [I] */
	_Atomic(uintptr_t) owner;       /* [a] identity of the holder, 0 none */
	_Atomic(const char *) place;    /* [a] where the holder took it */
};

struct cond {
	pthread_cond_t os; /* [S] waits on the monotonic clock */
};

/* class must outlive the mutex. */
void mutex_init(struct mutex *mutex, const struct lock_class *class);
#define mutex_fini(mutex) mutex_fini_at((mutex), SYNC_HERE)
/* The mutex must be free: destroying a held one is a violation (LK-10). */
void mutex_fini_at(struct mutex *mutex, const char *here);

#define mutex_lock(mutex) mutex_lock_at((mutex), SYNC_HERE)
#define mutex_trylock(mutex) mutex_trylock_at((mutex), SYNC_HERE)
#define mutex_unlock(mutex) mutex_unlock_at((mutex), SYNC_HERE)
#define mutex_assert_held(mutex) mutex_assert_held_at((mutex), SYNC_HERE)

/* Sleep until the mutex is ours.  Not recursive (LN-2, LK-3). */
void mutex_lock_at(struct mutex *mutex, const char *here) ACQUIRES(*mutex);
/*
 * True if the mutex is ours now.  Cannot block, so its rank is not compared
 * with what is held, but later locks are compared with it.
 */
bool mutex_trylock_at(struct mutex *mutex, const char *here)
    TRY_ACQUIRES(true, *mutex) LANES_MUST_CHECK;
/* By the thread that locked it only (LN-6, LK-5). */
void mutex_unlock_at(struct mutex *mutex, const char *here) RELEASES(*mutex);
/* A violation if the calling thread does not hold the mutex. */
void mutex_assert_held_at(const struct mutex *mutex, const char *here)
    REQUIRES(*mutex);

void cond_init(struct cond *cond);
void cond_fini(struct cond *cond);
#define cond_wait(cond, mutex) cond_wait_at((cond), (mutex), SYNC_HERE)
#define cond_wait_ms(cond, mutex, timeout_ms) \
	cond_wait_ms_at((cond), (mutex), (timeout_ms), SYNC_HERE)
/* Wait with exactly this mutex held and no other lock (CP-16, LK-8). */
void cond_wait_at(struct cond *cond, struct mutex *mutex, const char *here)
    REQUIRES(*mutex);
/* The same, for at most timeout_ms; false if the time ran out. */
bool cond_wait_ms_at(struct cond *cond, struct mutex *mutex,
    uint64_t timeout_ms, const char *here) REQUIRES(*mutex);
void cond_signal(struct cond *cond);
void cond_broadcast(struct cond *cond);

/*
 * A held resource that is not a struct mutex of its own, as the validator sees
 * it: a span of lanes, a range of map locks.  One entry of the held stack
 * however many mutexes are inside.  may_block says whether taking it can wait
 * (then its rank is compared).  For lane.c and stripe.c.
 */
void sync_push(const void *object, const struct lock_class *class,
    bool may_block, const char *here);
#define sync_pop(object) sync_pop_at((object), SYNC_HERE)
void sync_pop_at(const void *object, const char *here);

/* A violation if the thread holds any lock: replies, worker idle, exit. */
void sync_assert_none_held(const char *here);
/* A violation if a lock whose class forbids sleeping is held (LK-7). */
void sync_may_sleep(const char *here);

/* Violations seen so far in this process, counted where they do not abort. */
uint64_t sync_violations(void);

/*
 * Replaces what happens at a violation in the calling thread: the self-tests
 * catch reports with it.  NULL restores the default.
 */
typedef void sync_violation_fn(void *arg, const char *report);
void sync_catch_violations(sync_violation_fn *fn, void *arg);

#endif

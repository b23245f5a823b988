/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LANES_SYNC_H
#define LANES_SYNC_H

/*
 * sync -- the one mutex and the one condition variable of the project, and the
 * validator that watches their use (control-plane.md part E).
 *
 * Every mutex belongs to a class, and every class has a rank: a thread takes
 * locks only in ascending rank.  The order in which classes are in fact taken
 * is learned besides, so that an order nobody has thought of is found when it
 * is first met, in any thread and on any device: no deadlock need happen.  All
 * of it is on in every build, at a few nanoseconds a lock:
 *
 *	LK-1, LK-2	orders that contradict each other, of any length
 *	LK-3		a second lock of a mutex by its owner
 *	LK-4		two locks of one class
 *	LK-5		release by a stranger, or of what is free
 *	LK-6		a lock held at a reply, at rest or at a thread's end
 *	LK-7		sleeping with a lock whose class must not
 *	LK-8		waiting for a condition or for idle with a lock held
 *	LK-9		a rank below one that is held
 *	LK-10		locks destroyed, or their memory freed, while held
 *	LK-11		a lock that is held for too long (lanes/watch.h)
 *
 * A violation is reported with the places involved and everything that is
 * held.  It aborts where LANES_ABORT_ON_VIOLATION is defined (Debug and
 * sanitizer builds), else it is counted, told to whoever asked to hear of it,
 * and the program goes on.
 *
 * Lock failures are our own bugs and abort: callers have no error path.
 *
 * Not here: reader-writer, recursive or spinning locks (the project has none).
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lanes/annotations.h>

/* A thread that holds more locks than this has lost its way (LK design). */
#define SYNC_HELD_MAX 16
/* Most classes of a process: each is a bit of a word (graph.h). */
#define SYNC_CLASS_MAX 60

/* How a class may be used. */
enum {
	/* May be held while the thread sleeps in I/O (lane, map, device). */
	LOCK_MAY_SLEEP = 1u << 0,
	/* No other lock is taken while this one is held. */
	LOCK_LEAF = 1u << 1,
	/* Has no rank: whatever order is met first is the order. */
	LOCK_UNRANKED = 1u << 2,
	/* No lock, but work that is waited for (lanes/idle.h); has no rank. */
	LOCK_IDLE = 1u << 3,
	/* Held for requests only: see lanes/watch.h. */
	LOCK_WATCHED = 1u << 4,
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

struct lock_node;

/*
 * Keys: I immutable after init, a atomic, S internal to sync.c.
 */
struct CAPABILITY("mutex") mutex {
	pthread_mutex_t os;           /* [S] */
	const struct lock_node *node; /* [I] its class */
	_Atomic(uint64_t) owner;      /* [a] holder and acquisition, 0 none */
	_Atomic(const char *) place;  /* [a] where the holder took it */
};

struct cond {
	pthread_cond_t os; /* [S] waits on the monotonic clock */
};

#define mutex_init(mutex, class) mutex_init_at((mutex), (class), SYNC_HERE)
void mutex_init_at(
    struct mutex *mutex, const struct lock_class *class, const char *here);
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
 * A violation if the thread holds any lock: before a reply, before it waits
 * for whatever is not under this validator.
 */
void sync_assert_none_held(const char *here);
/* The same, and no work that is waited for either: a worker without work. */
void sync_assert_at_rest(const char *here);

/* A violation if a lock whose class forbids sleeping is held (LK-7). */
void sync_may_sleep(const char *here);
/* Around every call that may sleep in the system: its value is the call's. */
#define SYNC_SLEEPS(call) (sync_may_sleep(SYNC_HERE), (call))

#define sync_assert_no_lock_in(memory, bytes) \
	sync_assert_no_lock_in_at((memory), (bytes), SYNC_HERE)
/* A violation if a lock that was not destroyed lies in this memory (LK-10). */
void
sync_assert_no_lock_in_at(const void *memory, size_t bytes, const char *here);

/* Violations seen so far in this process, counted where they do not abort. */
uint64_t sync_violations(void);

typedef void sync_violation_fn(void *arg, const char *report);
/*
 * Who hears of violations, before the process aborts if it does.  Set it
 * before there is a second thread.  fn is called by the thread concerned with
 * whatever it holds, so it must be quick, and may not lock (what it locks all
 * the same is not checked).
 */
void sync_on_violation(sync_violation_fn *fn, void *arg);
/*
 * The same for the calling thread, instead of all else that happens at a
 * violation: the self-tests catch reports with it.  NULL ends it.
 */
void sync_catch_violations(sync_violation_fn *fn, void *arg);

/*
 * The orders seen so far: a lock of class from was held at one place when one
 * of class to was waited for at another.  Also an edge is a wait for idle.
 */
typedef void sync_order_fn(void *arg, const struct lock_class *from,
    const struct lock_class *to, const char *held_from, const char *waited_at);
void sync_order_visit(sync_order_fn *fn, void *arg);
/*
 * The same as lines of a graph for dot(1), with the places as comments.
 * Returns the length; lines that do not fit are left out.
 */
size_t sync_order_format(char *text, size_t room);

#endif

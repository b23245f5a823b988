/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LANES_HELD_H
#define LANES_HELD_H

/*
 * held -- the locks a thread holds, and the cheap rules about them (LK-3 to
 * LK-10 of control-plane.md E.4).
 *
 * Every thread has a small stack of what it holds: mutexes, and whole spans of
 * lanes or ranges of stripes as one entry each.  The address of the stack is
 * the identity of the thread.  A lock is checked before it is waited for, so a
 * deadlock is reported and not just had.  All rules come down to two
 * comparisons with the thread's own memory; the rest is out of line and runs
 * only on a thread's first lock and at violations.
 *
 * What is done where a violation does not abort, so that the program goes on
 * with the least harm:
 *	a second lock by the owner	counts as one more level of the first
 *	a release by a stranger		is refused, the owner keeps the lock
 *	a lock too many			is taken, but not recorded
 *	destroying a held lock		is refused
 *	a thread ends with a lock	nobody gets it any more
 */
#include <lanes/sync.h>

/* No rank reaches it: nothing at all may be taken. */
#define HELD_NOTHING_MORE UINT64_MAX

struct held_lock {
	const void *object;
	const struct lock_class *class;
	const char *place;       /* where it was taken */
	uint64_t min_rank_below; /* min_rank of the stack beneath */
	bool is_second;          /* the owner again: no lock is behind it */
};

/* Used by its own thread only, so it needs no lock. */
struct held_stack {
	unsigned nlock;
	/* Entries there is room for: 0 until the first lock of the thread. */
	unsigned limit;
	/* Lowest rank that may be waited for, HELD_NOTHING_MORE under a leaf. */
	uint64_t min_rank;
	unsigned nunrecorded; /* held beyond the limit: already reported */
	bool is_reporting;
	sync_violation_fn *violation_fn; /* NULL: the default action */
	void *violation_arg;
	struct held_lock lock[SYNC_HELD_MAX];
};

/* The stack of the calling thread. */
extern _Thread_local struct held_stack held_this
    __attribute__((visibility("hidden"), tls_model("initial-exec")));

void held_check_slow(struct held_stack *self, const void *object,
    const struct lock_class *class, bool may_block, const char *here);
bool held_pop_slow(struct held_stack *self, const void *object);

/* Count a violation and act on it as sync.h says. */
void held_report(struct held_stack *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The operating system refused a lock operation: our bug, no way on. */
_Noreturn void held_die(const char *what, int error);

static inline struct held_stack *
held_self(void)
{
	return &held_this;
}

enum held_event {
	HELD_LOCKING,  /* about to wait for a lock of the class */
	HELD_TAKEN,    /* a lock of the class is ours, waited for or tried */
	HELD_WAITING,  /* about to wait for a condition, on its mutex's class */
	HELD_RELEASED, /* a lock of the class is given back */
};

/*
 * ==== Place of the learned class graph (LK-1, LK-2; issue 5) ====
 *
 * Every acquisition, wait and release of the project passes here, with the
 * stack as it is before the event (HELD_RELEASED: after it).  The graph of
 * part E would test on HELD_LOCKING and HELD_WAITING one bit for each class
 * in the stack, and enter what is new.  It is not built: ranks are checked,
 * orders are not learned.
 */
static inline void
held_event(const struct held_stack *self, enum held_event event,
    const struct lock_class *class, const char *here)
{
	(void)self;
	(void)event;
	(void)class;
	(void)here;
}

/*
 * May the thread wait for an object of this class?  This is all that an
 * ordinary lock pays for being checked.  What the thread holds already has a
 * rank too high by its own presence, so recursion is seen here as well.
 */
static inline bool
held_may_wait(const struct held_stack *self, const struct lock_class *class)
{
	return __builtin_expect(
	    class->rank >= self->min_rank && self->nlock < self->limit, 1);
}

/* May it try one?  That cannot deadlock: any rank is fine, but no leaf. */
static inline bool
held_may_try(const struct held_stack *self)
{
	return __builtin_expect(
	    self->min_rank != HELD_NOTHING_MORE && self->nlock < self->limit,
	    1);
}

/* Before an object is waited for: reports if that is wrong. */
static inline void
held_check(struct held_stack *self, const void *object,
    const struct lock_class *class, const char *here)
{
	if (!held_may_wait(self, class))
		held_check_slow(self, object, class, true, here);
	held_event(self, HELD_LOCKING, class, here);
}

/* Record what is held from now on. */
static inline void
held_push(struct held_stack *self, const void *object,
    const struct lock_class *class, bool is_second, const char *here)
{
	struct held_lock *lock = &self->lock[self->nlock];
	uint64_t min_rank = UINT64_C(1) + class->rank;

	held_event(self, HELD_TAKEN, class, here);
	if (__builtin_expect(self->nlock == SYNC_HELD_MAX, 0)) {
		self->nunrecorded++;
		return;
	}
	lock->object = object;
	lock->class = class;
	lock->place = here;
	lock->min_rank_below = self->min_rank;
	lock->is_second = is_second;
	self->nlock++;
	if ((class->flags & LOCK_LEAF) != 0)
		min_rank = HELD_NOTHING_MORE;
	/* A tried lock may rank below what lies under it. */
	if (self->min_rank < min_rank)
		self->min_rank = min_rank;
}

/*
 * Forget the newest entry of an object the thread holds.
 * Returns whether the lock behind it is to be released too.
 */
static inline bool
held_pop(struct held_stack *self, const void *object,
    const struct lock_class *class, const char *here)
{
	const struct held_lock *top;
	bool is_last;

	if (__builtin_expect(
		self->nlock > 0 && self->lock[self->nlock - 1].object == object,
		1)) {
		top = &self->lock[--self->nlock];
		self->min_rank = top->min_rank_below;
		is_last = !top->is_second;
	} else {
		is_last = held_pop_slow(self, object);
	}
	held_event(self, HELD_RELEASED, class, here);
	return is_last;
}

/* The newest entry of an object, NULL if there is none. */
static inline struct held_lock *
held_find(struct held_stack *self, const void *object)
{
	for (unsigned i = self->nlock; i-- > 0;)
		if (self->lock[i].object == object)
			return &self->lock[i];
	return NULL;
}

#endif

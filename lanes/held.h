/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LANES_HELD_H
#define LANES_HELD_H

/*
 * held -- the locks a thread holds, and the rules about them (LK-1 to LK-10 of
 * control-plane.md E.4).
 *
 * Every thread has a small stack of what it holds: mutexes, whole spans of
 * lanes or ranges of stripes as one entry each, and work that is counted.  A
 * lock is checked before it is waited for, so a deadlock is reported and not
 * just had.  All rules come down to one comparison (graph.h); the rest is out
 * of line and runs on a thread's first lock, on an order that is new, and at
 * violations.
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

#include "graph.h"

struct held_lock {
	const void *object;
	const struct lock_node *node;
	const char *place;     /* where it was taken */
	uint64_t unheld_below; /* unheld of the stack beneath */
	bool is_second;        /* the owner again: no lock is behind it */
};

/* Used by its own thread only, so it needs no lock. */
struct held_stack {
	/* What the thread has, as graph.h says; 0 until its first lock. */
	uint64_t unheld;
	unsigned nlock;
	/* Identity and number of the newest acquisition, see raw.h. */
	uint32_t thread;
	uint32_t nacquired;
	unsigned nunrecorded; /* held beyond the limit: already reported */
	bool is_reporting;
	sync_violation_fn *violation_fn; /* NULL: the default action */
	void *violation_arg;
	struct held_lock lock[SYNC_HELD_MAX];
};

/* The stack of the calling thread. */
extern _Thread_local struct held_stack held_this
    __attribute__((visibility("hidden"), tls_model("initial-exec")));

/* Nothing held, and ready to hold. */
#define HELD_NOTHING (~GRAPH_ALIVE)

/* Before the first lock of a thread: unheld is 0. */
void held_register(struct held_stack *self);
void held_check_slow(struct held_stack *self, const void *object,
    const struct lock_node *node, bool may_block, const char *here);
bool held_pop_slow(struct held_stack *self, const void *object);

/* A violation in words: report_begin and report_end in one. */
void held_report(struct held_stack *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The operating system refused a lock operation: our bug, no way on. */
_Noreturn void held_die(const char *what, int error);

static inline struct held_stack *
held_self(void)
{
	return &held_this;
}

static inline const struct lock_class *
held_class(const struct held_lock *lock)
{
	return graph_class(lock->node);
}

/* Is this entry counted work, which blocks nobody but those who wait for it? */
static inline bool
held_is_idle(const struct held_lock *lock)
{
	return (held_class(lock)->flags & LOCK_IDLE) != 0;
}

/*
 * May the thread wait for an object of this class?  This is all that an
 * ordinary lock pays for being checked.
 */
static inline bool
held_may_wait(const struct held_stack *self, const struct lock_node *node)
{
	return __builtin_expect(
	    (self->unheld | graph_before(node)) == UINT64_MAX, 1);
}

/* May it try one?  That cannot deadlock: any order is fine, but no leaf. */
static inline bool
held_may_try(const struct held_stack *self, const struct lock_node *node)
{
	uint64_t have = self->unheld | (graph_before(node) & GRAPH_ALIVE);

	return __builtin_expect(
	    (have | GRAPH_CLASSES | GRAPH_MAY_SLEEP) == UINT64_MAX, 1);
}

/* Before an object is waited for: reports if that is wrong. */
static inline void
held_check(struct held_stack *self, const void *object,
    const struct lock_node *node, const char *here)
{
	if (!held_may_wait(self, node))
		held_check_slow(self, object, node, true, here);
}

/* Record what is held from now on. */
static inline void
held_push(struct held_stack *self, const void *object,
    const struct lock_node *node, bool is_second, const char *here)
{
	struct held_lock *lock = &self->lock[self->nlock];

	if (__builtin_expect(self->nlock == SYNC_HELD_MAX, 0)) {
		self->nunrecorded++;
		return;
	}
	lock->object = object;
	lock->node = node;
	lock->place = here;
	lock->unheld_below = self->unheld;
	lock->is_second = is_second;
	self->unheld &= ~graph_clears(node);
	if (__builtin_expect(++self->nlock == SYNC_HELD_MAX, 0))
		self->unheld &= ~GRAPH_ROOM;
}

/*
 * Forget the newest entry of an object the thread holds.
 * Returns whether the lock behind it is to be released too.
 */
static inline bool
held_pop(struct held_stack *self, const void *object)
{
	const struct held_lock *top;

	if (__builtin_expect(self->nlock == 0 ||
		    self->lock[self->nlock - 1].object != object,
		0))
		return held_pop_slow(self, object);
	top = &self->lock[--self->nlock];
	self->unheld = top->unheld_below;
	return !top->is_second;
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

/* SPDX-License-Identifier: BSD-3-Clause */
#include "held.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Room for a message and SYNC_HELD_MAX lines of what is held. */
#define REPORT_BYTES 2048

/*
 * The only mutable state of lanes/ outside its objects.  Each is unavoidable:
 * a thread's stack belongs to the thread and no object; a count of violations
 * that belonged to an object would be lost with it; the end of a thread can be
 * seen only through a key, and keys are the process's.
 */
_Thread_local struct held_stack held_this;
static _Atomic(uint64_t) held_violations;
static pthread_once_t held_exit_once = PTHREAD_ONCE_INIT;
static pthread_key_t held_exit_key;

static void
write_error(const char *text)
{
	size_t len = strlen(text);
	ssize_t n;

	while (len > 0 && (n = write(STDERR_FILENO, text, len)) > 0) {
		text += n;
		len -= (size_t)n;
	}
}

void
held_die(const char *what, int error)
{
	char text[128];

	snprintf(text, sizeof(text), "lanes: %s failed: %s\n", what,
	    strerrorname_np(error));
	write_error(text);
	abort();
}

/* What happens at a violation if nobody has asked to hear of it. */
static void
act_by_default(const char *report)
{
#ifdef LANES_ABORT_ON_VIOLATION
	write_error(report);
	abort();
#else
	(void)report;
#endif
}

void
held_report(struct held_stack *self, const char *format, ...)
{
	char report[REPORT_BYTES];
	size_t len;
	va_list ap;

	atomic_fetch_add(&held_violations, 1);
	/* Whoever writes the report down may take locks: no loop of reports. */
	if (self->is_reporting)
		return;
	self->is_reporting = true;

	len = (size_t)snprintf(report, sizeof(report), "lanes: ");
	va_start(ap, format);
	vsnprintf(report + len, sizeof(report) - len, format, ap);
	va_end(ap);
	for (unsigned i = self->nlock; i-- > 0;) {
		len = strlen(report);
		snprintf(report + len, sizeof(report) - len,
		    "\n  held: '%s' (rank %u) taken at %s",
		    self->lock[i].class->name, self->lock[i].class->rank,
		    self->lock[i].place);
	}
	len = strlen(report);
	if (len > sizeof(report) - 2)
		len = sizeof(report) - 2;
	memcpy(report + len, "\n", 2);

	if (self->violation_fn != NULL)
		self->violation_fn(self->violation_arg, report);
	else
		act_by_default(report);
	self->is_reporting = false;
}

/* LK-6: a thread that ends with a lock takes it to its grave. */
static void
check_exit(void *arg)
{
	struct held_stack *self = arg;

	if (self->nlock > 0 || self->nunrecorded > 0)
		held_report(self, "exit: the thread ends with %u locks",
		    self->nlock + self->nunrecorded);
	/* Destructors of other keys may lock after us: ask to be called again. */
	self->limit = 0;
}

static void
make_exit_key(void)
{
	int error = pthread_key_create(&held_exit_key, check_exit);

	if (error != 0)
		held_die("pthread_key_create", error);
}

/*
 * Before the first lock of a thread.  A thread that never locks is never
 * registered, and its end costs nothing.
 */
static void
register_thread(struct held_stack *self)
{
	pthread_once(&held_exit_once, make_exit_key);
	/* Out of memory: the thread just goes unchecked at its end. */
	(void)pthread_setspecific(held_exit_key, self);
	self->limit = SYNC_HELD_MAX;
}

static const struct held_lock *
find_leaf(const struct held_stack *self)
{
	for (unsigned i = self->nlock; i-- > 0;)
		if ((self->lock[i].class->flags & LOCK_LEAF) != 0)
			return &self->lock[i];
	return NULL;
}

static const struct held_lock *
find_rank_at_least(const struct held_stack *self, unsigned rank)
{
	for (unsigned i = self->nlock; i-- > 0;)
		if (self->lock[i].class->rank >= rank)
			return &self->lock[i];
	return NULL;
}

/* The fast check was not passed: say which rule is broken, if any is. */
void
held_check_slow(struct held_stack *self, const void *object,
    const struct lock_class *class, bool may_block, const char *here)
{
	const struct held_lock *other;

	if (self->limit == 0)
		register_thread(self);

	if ((other = held_find(self, object)) != NULL) { /* LK-3, LN-2 */
		held_report(self,
		    "recursion: '%s' locked at %s, by us already at %s",
		    class->name, here, other->place);
	} else if ((other = find_leaf(self)) != NULL) {
		held_report(self,
		    "leaf: '%s' locked at %s under leaf '%s' taken at %s",
		    class->name, here, other->class->name, other->place);
	} else if (may_block &&
	    (other = find_rank_at_least(self, class->rank)) != NULL) {
		/* LK-9; LK-4 where the ranks are equal */
		held_report(self,
		    "rank: '%s' (rank %u) locked at %s "
		    "after '%s' (rank %u) taken at %s",
		    class->name, class->rank, here, other->class->name,
		    other->class->rank, other->place);
	} else if (self->nlock >= self->limit) {
		held_report(self,
		    "depth: '%s' locked at %s is lock %u of the thread, "
		    "the first is '%s' taken at %s",
		    class->name, here, self->nlock + self->nunrecorded + 1,
		    self->lock[0].class->name, self->lock[0].place);
	}
}

/* The object is not on top: locks may be released in any order. */
bool
held_pop_slow(struct held_stack *self, const void *object)
{
	struct held_lock *found = held_find(self, object);
	struct held_lock *last;
	uint64_t min_rank;
	bool is_last;

	/* Held, but not here: beyond the limit, so it never was. */
	if (found == NULL) {
		if (self->nunrecorded > 0)
			self->nunrecorded--;
		return true;
	}
	is_last = !found->is_second;
	min_rank = found->min_rank_below;
	last = &self->lock[--self->nlock];
	for (; found < last; found++) {
		*found = found[1];
		found->min_rank_below = min_rank;
		if ((found->class->flags & LOCK_LEAF) != 0)
			min_rank = HELD_NOTHING_MORE;
		else if (min_rank <= found->class->rank)
			min_rank = UINT64_C(1) + found->class->rank;
	}
	self->min_rank = min_rank;
	return is_last;
}

void
sync_push(const void *object, const struct lock_class *class, bool may_block,
    const char *here)
{
	struct held_stack *self = held_self();

	if (may_block)
		held_check(self, object, class, here);
	else if (!held_may_try(self))
		held_check_slow(self, object, class, false, here);
	held_push(self, object, class, false, here);
}

void
sync_pop_at(const void *object, const char *here)
{
	struct held_stack *self = held_self();
	const struct held_lock *lock = held_find(self, object);

	if (lock != NULL)
		(void)held_pop(self, object, lock->class, here);
	else if (self->nunrecorded > 0)
		self->nunrecorded--;
	else /* LK-5 */
		held_report(
		    self, "release: at %s of what we do not hold", here);
}

void
sync_assert_none_held(const char *here)
{
	struct held_stack *self = held_self();
	const struct held_lock *lock;

	if (self->nlock == 0)
		return;
	lock = &self->lock[self->nlock - 1];
	held_report(self, "held: at %s nothing may be, but '%s' taken at %s is",
	    here, lock->class->name, lock->place); /* LK-6, LN-5 */
}

void
sync_may_sleep(const char *here)
{
	struct held_stack *self = held_self();
	const struct held_lock *lock;

	for (unsigned i = self->nlock; i-- > 0;) {
		lock = &self->lock[i];
		if ((lock->class->flags & LOCK_MAY_SLEEP) != 0)
			continue;
		held_report(self, "sleep: at %s with '%s' taken at %s", here,
		    lock->class->name, lock->place); /* LK-7 */
		return;
	}
}

uint64_t
sync_violations(void)
{
	return atomic_load(&held_violations);
}

void
sync_catch_violations(sync_violation_fn *fn, void *arg)
{
	struct held_stack *self = held_self();

	self->violation_fn = fn;
	self->violation_arg = arg;
}

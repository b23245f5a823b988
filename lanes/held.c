/* SPDX-License-Identifier: BSD-3-Clause */
#include "held.h"

#include <unistd.h>

/*
 * Mutable and outside of any object, because the system has it so: a thread's
 * stack belongs to the thread, its end can be seen only through a key, and
 * keys are the process's.
 */
_Thread_local struct held_stack held_this;
static pthread_once_t held_exit_once = PTHREAD_ONCE_INIT;
static pthread_key_t held_exit_key;

/* LK-6: a thread that ends with a lock takes it to its grave. */
static void
check_exit(void *arg)
{
	struct held_stack *self = arg;

	if (self->nlock > 0 || self->nunrecorded > 0)
		held_report(self, "exit: the thread ends with %u locks",
		    self->nlock + self->nunrecorded);
	/* Destructors of other keys may lock after us: ask to be called again. */
	self->unheld = 0;
}

/* The child of a fork is another thread: it gets its own number. */
static void
renew_in_child(void)
{
	if (held_self()->nlock == 0)
		held_self()->unheld = 0;
}

static void
watch_ends(void)
{
	int error = pthread_key_create(&held_exit_key, check_exit);

	if (error == 0)
		error = pthread_atfork(NULL, NULL, renew_in_child);
	if (error != 0)
		held_die("pthread_key_create", error);
}

/*
 * Before the first lock of a thread.  A thread that never locks is never
 * registered, and its end costs nothing.
 */
void
held_register(struct held_stack *self)
{
	pthread_once(&held_exit_once, watch_ends);
	/* Out of memory: the thread just goes unchecked at its end. */
	(void)pthread_setspecific(held_exit_key, self);
	self->thread = (uint32_t)gettid();
	self->nacquired |= 1; /* odd: never 0, see raw_set_owner */
	self->unheld = HELD_NOTHING;
	/* At the thread's end it may still hold some: see check_exit. */
	for (unsigned i = 0; i < self->nlock; i++)
		self->unheld &= ~graph_clears(self->lock[i].node);
	if (self->nlock == SYNC_HELD_MAX)
		self->unheld &= ~GRAPH_ROOM;
}

static const struct held_lock *
find_leaf(const struct held_stack *self)
{
	for (unsigned i = self->nlock; i-- > 0;)
		if ((held_class(&self->lock[i])->flags & LOCK_LEAF) != 0)
			return &self->lock[i];
	return NULL;
}

/*
 * The fast check was not passed: enter the orders that are new, or say which
 * rule is broken.
 */
void
held_check_slow(struct held_stack *self, const void *object,
    const struct lock_node *node, bool may_block, const char *here)
{
	const char *name = graph_class(node)->name;
	const struct held_lock *other;

	if (self->unheld == 0)
		held_register(self);

	if (node == &graph_gone) { /* LK-10 */
		held_report(self,
		    "destroyed: a lock that is no more is locked "
		    "at %s",
		    here);
	} else if ((other = held_find(self, object)) != NULL) { /* LK-3, LN-2 */
		held_report(self,
		    "recursion: '%s' locked at %s, by us already at %s", name,
		    here, other->place);
	} else if ((other = find_leaf(self)) != NULL) {
		held_report(self,
		    "leaf: '%s' locked at %s under leaf '%s' taken at %s", name,
		    here, held_class(other)->name, other->place);
	} else if (may_block && !graph_learn(self, node, here)) {
		return;
	} else if ((self->unheld & GRAPH_ROOM) == 0) {
		held_report(self,
		    "depth: '%s' locked at %s is lock %u of the thread, "
		    "the first is '%s' taken at %s",
		    name, here, self->nlock + self->nunrecorded + 1,
		    held_class(&self->lock[0])->name, self->lock[0].place);
	}
}

/* The object is not on top: locks may be released in any order. */
bool
held_pop_slow(struct held_stack *self, const void *object)
{
	struct held_lock *found = held_find(self, object);
	struct held_lock *last;
	uint64_t unheld;
	bool is_last;

	/* Held, but not here: beyond the limit, so it never was. */
	if (found == NULL) {
		if (self->nunrecorded > 0)
			self->nunrecorded--;
		return true;
	}
	is_last = !found->is_second;
	unheld = found->unheld_below;
	last = &self->lock[--self->nlock];
	for (; found < last; found++) {
		*found = found[1];
		found->unheld_below = unheld;
		unheld &= ~graph_clears(found->node);
	}
	self->unheld = unheld;
	return is_last;
}

void
sync_assert_none_held(const char *here)
{
	struct held_stack *self = held_self();
	const struct held_lock *lock;

	for (unsigned i = self->nlock; i-- > 0;) {
		lock = &self->lock[i];
		if (held_is_idle(lock))
			continue;
		held_report(self,
		    "held: at %s nothing may be, but '%s' taken at %s is", here,
		    held_class(lock)->name, lock->place); /* LK-6, LN-5 */
		return;
	}
}

void
sync_assert_at_rest(const char *here)
{
	struct held_stack *self = held_self();
	const struct held_lock *lock;

	if (self->nlock == 0)
		return;
	lock = &self->lock[self->nlock - 1];
	held_report(self,
	    "rest: at %s nothing may be under way, but '%s' from %s is", here,
	    held_class(lock)->name, lock->place); /* LK-6 */
}

static void
report_sleep(struct held_stack *self, const char *here)
{
	const struct held_lock *lock;

	for (unsigned i = self->nlock; i-- > 0;) {
		lock = &self->lock[i];
		if ((graph_clears(lock->node) & GRAPH_MAY_SLEEP) == 0)
			continue;
		held_report(self, "sleep: at %s with '%s' taken at %s", here,
		    held_class(lock)->name, lock->place); /* LK-7 */
		return;
	}
}

void
sync_may_sleep(const char *here)
{
	struct held_stack *self = held_self();

	if (__builtin_expect(
		self->nlock > 0 && (self->unheld & GRAPH_MAY_SLEEP) == 0, 0))
		report_sleep(self, here);
}

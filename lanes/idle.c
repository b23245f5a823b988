/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanes/idle.h>

#include <assert.h>

#include "held.h"

void
idle_init(struct idle *idle, const struct lock_class *class)
{
	assert((class->flags & LOCK_IDLE) != 0);
	idle->node = graph_node(class);
}

NO_TSA void
idle_enter_at(struct idle *idle, const char *here)
{
	struct held_stack *self = held_self();

	/* Waits for nothing, so no order is asked for.  The thread is known. */
	if (__builtin_expect(self->unheld == 0, 0))
		held_register(self);
	held_push(self, idle, idle->node, false, here);
}

NO_TSA void
idle_leave_at(struct idle *idle, const char *here)
{
	struct held_stack *self = held_self();

	if (held_find(self, idle) == NULL && self->nunrecorded == 0)
		held_report(self, "release: '%s' left at %s, but not entered",
		    graph_class(idle->node)->name, here); /* LK-5 */
	else
		(void)held_pop(self, idle);
}

/* The newest lock among what is held, NULL if all of it is counted work. */
static const struct held_lock *
find_lock(const struct held_stack *self)
{
	for (unsigned i = self->nlock; i-- > 0;)
		if (!held_is_idle(&self->lock[i]))
			return &self->lock[i];
	return NULL;
}

void
idle_wait_at(struct idle *idle, const char *here)
{
	struct held_stack *self = held_self();
	const char *name = graph_class(idle->node)->name;
	const struct held_lock *other;

	if (self->nlock == 0)
		return;
	if ((other = held_find(self, idle)) != NULL)
		held_report(self,
		    "wait: for '%s' at %s by whom it waits for, since %s", name,
		    here, other->place);
	/*
	 * The orders are entered in any case: what does it wrong and what it
	 * is wrong against may come one after the other in either order.
	 */
	else if (graph_learn(self, idle->node, here) &&
	    (other = find_lock(self)) != NULL)
		held_report(self,
		    "wait: for '%s' at %s with '%s' held, taken at %s", name,
		    here, held_class(other)->name, other->place); /* LK-8 */
}

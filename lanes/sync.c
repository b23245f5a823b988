/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanes/sync.h>

#include <assert.h>
#include <time.h>

#include "live.h"

void
mutex_init_at(
    struct mutex *mutex, const struct lock_class *class, const char *here)
{
	struct live_row row = { mutex, 1, sizeof(*mutex), here };

	assert(class != NULL && class->name != NULL);
	raw_init(mutex, graph_node(class));
	live_add(&row);
}

void
mutex_fini_at(struct mutex *mutex, const char *here)
{
	struct held_stack *self = held_self();

	if (mutex->node == &graph_gone) {
		held_report(self, "destroy: at %s for the second time", here);
		return;
	}
	if (!raw_seems_free(mutex)) { /* LK-10 */
		held_report(self,
		    "destroy: '%s' at %s, but it is held, taken at %s",
		    raw_name(mutex), here, raw_place(mutex));
		return;
	}
	live_remove(mutex);
	raw_fini(mutex);
}

/* The rules are broken, or this is the thread's first lock. */
static NO_TSA __attribute__((noinline)) void
lock_slow(struct mutex *mutex, struct held_stack *self, const char *here)
{
	/* An owner without an entry is a dead thread that had our identity. */
	bool is_second = raw_is_mine(mutex, self) &&
	    (held_find(self, mutex) != NULL || self->nunrecorded > 0);

	held_check(self, mutex, mutex->node, here);
	if (!is_second)
		raw_lock(mutex, self, here);
	held_push(self, mutex, mutex->node, is_second, here);
}

NO_TSA void
mutex_lock_at(struct mutex *mutex, const char *here)
{
	struct held_stack *self = held_self();

	if (!held_may_wait(self, mutex->node)) {
		lock_slow(mutex, self, here);
		return;
	}
	raw_lock(mutex, self, here);
	held_push(self, mutex, mutex->node, false, here);
}

NO_TSA bool
mutex_trylock_at(struct mutex *mutex, const char *here)
{
	struct held_stack *self = held_self();

	if (raw_is_mine(mutex, self)) { /* LK-3 */
		held_report(self,
		    "recursion: '%s' tried at %s, by us already at %s",
		    raw_name(mutex), here, raw_place(mutex));
		return false;
	}
	if (!held_may_try(self, mutex->node)) {
		held_check_slow(self, mutex, mutex->node, false, here);
		if (mutex->node == &graph_gone)
			return false;
	}
	if (!raw_trylock(mutex, self, here))
		return false;
	held_push(self, mutex, mutex->node, false, here);
	return true;
}

/* Does the caller hold the mutex?  Reports if not (LN-6, LK-5). */
static bool
check_owner(const struct mutex *mutex, struct held_stack *self,
    const char *what, const char *here)
{
	if (__builtin_expect(raw_is_mine(mutex, self), 1))
		return true;
	if (raw_seems_free(mutex))
		held_report(self, "owner: '%s' %s at %s, but nobody holds it",
		    raw_name(mutex), what, here);
	else
		held_report(self,
		    "owner: '%s' %s at %s by a stranger, taken at %s",
		    raw_name(mutex), what, here, raw_place(mutex));
	return false;
}

NO_TSA void
mutex_unlock_at(struct mutex *mutex, const char *here)
{
	struct held_stack *self = held_self();

	if (check_owner(mutex, self, "released", here) && held_pop(self, mutex))
		raw_unlock(mutex);
}

NO_TSA void
mutex_assert_held_at(const struct mutex *mutex, const char *here)
{
	(void)check_owner(mutex, held_self(), "assumed", here);
}

void
cond_init(struct cond *cond)
{
	pthread_condattr_t attr;

	raw_must("pthread_condattr_init", pthread_condattr_init(&attr));
	raw_must("pthread_condattr_setclock",
	    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	raw_must("pthread_cond_init", pthread_cond_init(&cond->os, &attr));
	(void)pthread_condattr_destroy(&attr); /* cannot fail on Linux */
}

void
cond_fini(struct cond *cond)
{
	raw_must("pthread_cond_destroy", pthread_cond_destroy(&cond->os));
}

/*
 * CP-16, LK-8: what is held across a wait is held until somebody else acts.
 * Returns false if the mutex is not even ours: there is nothing to wait with.
 */
static bool
check_wait(struct mutex *mutex, struct held_stack *self, const char *here)
{
	const struct held_lock *other = NULL;

	if (!check_owner(mutex, self, "waited with", here))
		return false;
	for (unsigned i = self->nlock; i-- > 0 && other == NULL;)
		if ((self->lock[i].object != mutex &&
			!held_is_idle(&self->lock[i])) ||
		    self->lock[i].is_second)
			other = &self->lock[i];
	if (other != NULL)
		held_report(self,
		    "wait: on '%s' at %s with '%s' held, taken at %s",
		    raw_name(mutex), here, held_class(other)->name,
		    other->place);
	return true;
}

/* The mutex is ours again, and this is the place where it became so. */
static void
own_after_wait(struct mutex *mutex, struct held_stack *self, const char *here)
{
	struct held_lock *lock = held_find(self, mutex);

	raw_set_owner(mutex, self, here);
	if (lock != NULL)
		lock->place = here;
}

NO_TSA void
cond_wait_at(struct cond *cond, struct mutex *mutex, const char *here)
{
	struct held_stack *self = held_self();

	if (!check_wait(mutex, self, here))
		return;
	raw_clear_owner(mutex);
	raw_must("pthread_cond_wait", pthread_cond_wait(&cond->os, &mutex->os));
	own_after_wait(mutex, self, here);
}

NO_TSA bool
cond_wait_ms_at(struct cond *cond, struct mutex *mutex, uint64_t timeout_ms,
    const char *here)
{
	struct held_stack *self = held_self();
	struct timespec until;
	int error;

	if (!check_wait(mutex, self, here))
		return false;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(timeout_ms / 1000);
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	raw_clear_owner(mutex);
	error = pthread_cond_timedwait(&cond->os, &mutex->os, &until);
	own_after_wait(mutex, self, here);
	if (error == ETIMEDOUT)
		return false;
	raw_must("pthread_cond_timedwait", error);
	return true;
}

void
cond_signal(struct cond *cond)
{
	raw_must("pthread_cond_signal", pthread_cond_signal(&cond->os));
}

void
cond_broadcast(struct cond *cond)
{
	raw_must("pthread_cond_broadcast", pthread_cond_broadcast(&cond->os));
}

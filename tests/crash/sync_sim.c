/* SPDX-License-Identifier: BSD-3-Clause */
#include "sync_sim.h"

#include <errno.h>
#include <string.h>

#include <lanes/sync.h>

#include "hook.h"
#include "live.h"
#include "mutants.h"
#include "sched.h"
#include "sim_media.h"
#include "sim_memory.h"

void (*sync_sim_report)(const char *report);

/* What stands in the bytes of a system's mutex. */
struct sim_mutex {
	unsigned locked;
	/* Stores to the medium that its next owner sees: not in any buffer. */
	uint32_t seen;
	unsigned last; /* who unlocked it last, and 1; 0: nobody */
};
_Static_assert(sizeof(struct sim_mutex) <= sizeof(pthread_mutex_t),
    "it must fit where the system's was");

static struct sim_mutex *
to_sim(pthread_mutex_t *mutex)
{
	return (struct sim_mutex *)(void *)mutex;
}

/* Mutant 2 takes the locks of the map away, here, where all meet. */
static bool
is_absent(const pthread_mutex_t *os)
{
	const struct mutex *mutex = (const struct mutex *)(const void *)os;

	return MUTANT(MUTANT_NO_MAP_LOCK) &&
	    strcmp(graph_class(mutex->node)->name, "map") == 0;
}

/* A number for each stack of held locks that is ever used. */
pid_t
sim_gettid(void)
{
	static unsigned last;

	return (pid_t)(++last & INT32_MAX);
}

int
sim_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr)
{
	(void)attr;
	*to_sim(mutex) = (struct sim_mutex){ 0, 0, 0 };
	return 0;
}

int
sim_mutex_destroy(pthread_mutex_t *mutex)
{
	return to_sim(mutex)->locked ? EBUSY : 0;
}

static void
lock(struct sim_mutex *mutex)
{
	while (mutex->locked)
		sched_block(mutex);
	mutex->locked = 1;
	/* Acquired is what was released: all that others have stored by then. */
	if (mutex->last != 0 && mutex->last - 1 != sim_thread)
		sim_memory_show(mutex->last - 1);
	/* A locked instruction: our stores are out. */
	sim_memory_drain(sim_thread);
	if (sched_is_active())
		sim_have_seen(mutex->seen);
}

static void
unlock(struct sim_mutex *mutex)
{
	mutex->locked = 0;
	mutex->last = sim_thread + 1;
	if (sched_is_active())
		mutex->seen = sim_stores();
	sched_wake(mutex, true);
}

int
sim_mutex_lock(pthread_mutex_t *mutex)
{
	sched_point("lock");
	if (!is_absent(mutex))
		lock(to_sim(mutex));
	return 0;
}

int
sim_mutex_trylock(pthread_mutex_t *mutex)
{
	sched_point("trylock");
	if (to_sim(mutex)->locked)
		return EBUSY;
	lock(to_sim(mutex));
	return 0;
}

int
sim_mutex_unlock(pthread_mutex_t *mutex)
{
	unlock(to_sim(mutex));
	sched_point("unlock");
	return 0;
}

int
sim_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr)
{
	(void)cond;
	(void)attr;
	return 0;
}

int
sim_cond_destroy(pthread_cond_t *cond)
{
	(void)cond;
	return 0;
}

int
sim_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	unlock(to_sim(mutex));
	sched_block(cond);
	lock(to_sim(mutex));
	return 0;
}

/* Time stands still: a wait with a limit is one that has run out. */
int
sim_cond_timedwait(
    pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
	(void)cond;
	(void)until;
	unlock(to_sim(mutex));
	sched_point("timed wait");
	lock(to_sim(mutex));
	return ETIMEDOUT;
}

int
sim_cond_signal(pthread_cond_t *cond)
{
	sched_wake(cond, false);
	return 0;
}

int
sim_cond_broadcast(pthread_cond_t *cond)
{
	sched_wake(cond, true);
	return 0;
}

/*
 * Nobody keeps a list of the locks: whoever crashes leaves his behind, and the
 * images of one run are opened by the million.
 */
void
live_add(const struct live_row *row)
{
	(void)row;
}

void
live_remove(const struct mutex *first)
{
	(void)first;
}

void
live_visit(live_visit_fn *fn, void *arg)
{
	(void)fn;
	(void)arg;
}

void
sync_assert_no_lock_in_at(const void *memory, size_t bytes, const char *here)
{
	(void)memory;
	(void)bytes;
	(void)here;
}

static void
report(void *arg, const char *text)
{
	(void)arg;
	/* Without locks of the map nobody owns what he releases. */
	if (MUTANT(MUTANT_NO_MAP_LOCK))
		return;
	if (sync_sim_report != NULL)
		sync_sim_report(text);
}

void
sync_sim_catch(struct held_stack *held)
{
	held->violation_fn = report;
	held->violation_arg = NULL;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_CHECK_LOCKS_H
#define TESTS_SUPPORT_CHECK_LOCKS_H

/*
 * check_locks -- what tests of locks share: catching violations, and threads
 * that can be waited for until they sleep.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <check.h>
#include <lanes/sync.h>

/* Reports caught in one thread. */
struct caught {
	unsigned count;
	char last[4096];
};

static inline void
caught_add(void *arg, const char *report)
{
	struct caught *caught = arg;

	caught->count++;
	snprintf(caught->last, sizeof(caught->last), "%s", report);
}

/* The same, but of several the first is kept: the others follow from it. */
static inline void
caught_first(void *arg, const char *report)
{
	struct caught *caught = arg;

	if (caught->count++ == 0)
		snprintf(caught->last, sizeof(caught->last), "%s", report);
}

/* From now on violations of the calling thread go there. */
static inline void
caught_start(struct caught *caught)
{
	memset(caught, 0, sizeof(*caught));
	sync_catch_violations(caught_add, caught);
}

/* Exactly one report since the last look, and it has this in it. */
#define ck_assert_reported(caught, text)                            \
	do {                                                        \
		ck_assert_msg((caught)->count == 1,                 \
		    "%u reports, the last is: %s", (caught)->count, \
		    (caught)->last);                                \
		ck_assert_msg(strstr((caught)->last, (text)),       \
		    "no '%s' in: %s", (text), (caught)->last);      \
		(caught)->count = 0;                                \
	} while (0)

#define ck_assert_quiet(caught)                                            \
	ck_assert_msg((caught)->count == 0, "%u reports, the last is: %s", \
	    (caught)->count, (caught)->last)

static inline pthread_t
thread_start(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, run, arg), 0);
	return thread;
}

static inline void *
thread_end(pthread_t thread)
{
	void *result;

	ck_assert_int_eq(pthread_join(thread, &result), 0);
	return result;
}

static inline void *
thread_run(void *(*run)(void *), void *arg)
{
	return thread_end(thread_start(run, arg));
}

/* Used by the next; locks and unlocks where clang need not see it. */
static NO_TSA inline void *
mutex_try_it(void *arg)
{
	struct mutex *mutex = arg;

	if (!mutex_trylock(mutex))
		return NULL;
	mutex_unlock(mutex);
	return mutex;
}

/* Can another thread have it right now? */
static inline bool
mutex_is_free(struct mutex *mutex)
{
	return thread_run(mutex_try_it, mutex) != NULL;
}

/* A thread says here who it is, right before the call it will sleep in. */
typedef _Atomic(pid_t) thread_note;

static inline void
thread_note_self(thread_note *note)
{
	atomic_store(note, gettid());
}

/* Wait until the thread has said so, and the kernel says it sleeps. */
static inline void
thread_wait_asleep(const thread_note *note)
{
	char path[64];
	char state = 0;
	pid_t tid;

	while ((tid = atomic_load(note)) == 0)
		sched_yield();
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	while (state != 'S') {
		FILE *file = fopen(path, "r");

		ck_assert_ptr_nonnull(file);
		ck_assert_int_eq(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
		fclose(file);
		sched_yield();
	}
}

/* A small generator: no shared state, so no hidden order between threads. */
static inline uint32_t
thread_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

#endif

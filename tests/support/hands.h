/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_HANDS_H
#define TESTS_SUPPORT_HANDS_H

/*
 * hands -- threads that do the same over and over, until they are told to stop,
 * while the test does something else.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <check.h>

struct hands {
	unsigned index; /* who it is, for itself */
	_Atomic bool stop;
	pthread_t thread;
};

/* So many run it, each with its own of these; the first has this index. */
static inline void
hands_start(
    struct hands *hands, unsigned n, unsigned first, void *(*run)(void *))
{
	for (unsigned i = 0; i < n; i++) {
		hands[i].index = first + i;
		atomic_init(&hands[i].stop, false);
		ck_assert_int_eq(
		    pthread_create(&hands[i].thread, NULL, run, &hands[i]), 0);
	}
}

static inline bool
hands_go_on(struct hands *hands)
{
	return !atomic_load(&hands->stop);
}

static inline void
hands_stop(struct hands *hands, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		atomic_store(&hands[i].stop, true);
		ck_assert_int_eq(pthread_join(hands[i].thread, NULL), 0);
	}
}

#endif

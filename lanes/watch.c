/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanes/watch.h>

#include <errno.h>
#include <stdlib.h>

#include "live.h"

/* Locks that may be held at one moment, all threads together. */
#define HELD_AT_ONCE 1024
/* Stalls told in one look; the next look has more. */
#define TOLD_AT_ONCE 64

/* A lock that was held when it was looked at last. */
struct suspect {
	const struct mutex *mutex; /* never followed: it may have gone */
	uint64_t owner;
	uint64_t since_ms; /* first look that saw it so */
	uint64_t told_ms;  /* how long it was held when last told, 0: never */
};

/* Used by one thread. */
struct sync_watch {
	unsigned nsuspect;
	struct suspect suspect[HELD_AT_ONCE]; /* ascending by mutex */
};

/* One look.  before and after are in the watch and on their way there. */
struct look {
	const struct sync_watch *before;
	struct sync_watch *after;
	unsigned ibefore; /* suspects whose address has been passed */
	uint64_t now_ms;
	uint64_t limit_ms;
	unsigned nstall;
	struct sync_stall stall[TOLD_AT_ONCE];
};

int
sync_watch_new(struct sync_watch **ret_watch)
{
	/* The second is where the next look writes. */
	struct sync_watch *watch = calloc(2, sizeof(*watch));

	if (watch == NULL)
		return -ENOMEM;
	*ret_watch = watch;
	return 0;
}

void
sync_watch_free(struct sync_watch *watch)
{
	free(watch);
}

/* What was known of this lock, if it was held by the same acquisition. */
static const struct suspect *
find_before(struct look *look, const struct mutex *mutex, uint64_t owner)
{
	const struct suspect *suspect = look->before->suspect;
	unsigned n = look->before->nsuspect;

	while (look->ibefore < n &&
	    (uintptr_t)suspect[look->ibefore].mutex < (uintptr_t)mutex)
		look->ibefore++;
	suspect += look->ibefore;
	if (look->ibefore == n || suspect->mutex != mutex ||
	    suspect->owner != owner)
		return NULL;
	return suspect;
}

static uint64_t
owner_of(const struct mutex *mutex)
{
	return atomic_load_explicit(&mutex->owner, memory_order_relaxed);
}

/* Tell of it at the limit, and then each time that it has doubled. */
static bool
is_worth_telling(const struct look *look, const struct suspect *suspect)
{
	uint64_t held_ms = look->now_ms - suspect->since_ms;

	return held_ms >= look->limit_ms && held_ms / 2 >= suspect->told_ms &&
	    look->nstall < TOLD_AT_ONCE;
}

static void
look_at_mutex(struct look *look, const struct live_row *row, size_t index)
{
	const struct mutex *mutex = live_mutex(row, index);
	uint64_t owner = owner_of(mutex);
	const struct suspect *known;
	struct suspect *suspect;
	const char *place;

	if (owner == 0 || look->after->nsuspect == HELD_AT_ONCE)
		return;
	known = find_before(look, mutex, owner);
	suspect = &look->after->suspect[look->after->nsuspect++];
	if (known != NULL)
		*suspect = *known;
	else
		*suspect = (struct suspect){ mutex, owner, look->now_ms, 0 };
	if (!is_worth_telling(look, suspect))
		return;
	place = raw_place(mutex);
	if (owner_of(mutex) != owner)
		return; /* given back just now; and whose place is it? */
	suspect->told_ms = look->now_ms - suspect->since_ms;
	look->stall[look->nstall++] = (struct sync_stall){
		.class = graph_class(mutex->node),
		.object = row->first,
		.index = (unsigned)index,
		.owner = (pid_t)(owner >> 32),
		.place = place,
		.held_ms = suspect->told_ms,
	};
}

static void
look_at_row(void *arg, const struct live_row *row)
{
	struct look *look = arg;

	if ((graph_class(row->first->node)->flags & LOCK_WATCHED) == 0)
		return;
	for (size_t i = 0; i < row->count; i++)
		look_at_mutex(look, row, i);
}

void
sync_watch_look(struct sync_watch *watch, uint64_t now_ms, uint64_t limit_ms,
    sync_stall_fn *fn, void *arg)
{
	struct look look = {
		.before = &watch[0],
		.after = &watch[1],
		.now_ms = now_ms,
		.limit_ms = limit_ms,
	};

	watch[1].nsuspect = 0;
	live_visit(look_at_row, &look);
	watch[0] = watch[1];
	/* Only now: whoever is told may lock, and make locks. */
	for (unsigned i = 0; i < look.nstall; i++)
		fn(arg, &look.stall[i]);
}

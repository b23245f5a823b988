/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanes/lane.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lanes/clock.h>

#include "live.h"

/*
 * Lanes tried besides home before sleeping: control-plane.md B.4 measured
 * three, and each try that fails costs a line of another processor.
 */
#define LANE_NEIGHBOURS 3

/* Neighbours on one line would cost more than the lock (LN-12). */
struct lane {
	_Alignas(LANES_CACHE_LINE) struct mutex mutex;
};

_Static_assert(sizeof(struct lane) % LANES_CACHE_LINE == 0,
    "a lane shares its cache line with nothing");
_Static_assert(LANE_SET_MAX <= UINT16_MAX, "a lane number is 16 bits");

/* Keys: I immutable after creation, a atomic. */
struct lane_set {
	unsigned nlane;               /* [I] */
	const struct lock_node *node; /* [I] */
	/*
	 * [I] How far apart the tries of a home lane are.  Coprime with nlane,
	 * so that no lane is tried twice, and different for neighbouring
	 * homes, so that callers pushed aside do not meet again.
	 */
	uint16_t stride[LANE_SET_MAX];
	/* Written by sleepers only, away from what everybody reads. */
	_Alignas(LANES_CACHE_LINE) _Atomic(uint64_t) nwait; /* [a] statistics */
	_Atomic(uint64_t) wait_ns;                          /* [a] the same */
	_Alignas(LANES_CACHE_LINE) struct lane lane[];
};

static unsigned
common_divisor(unsigned a, unsigned b)
{
	while (b != 0) {
		unsigned rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* The next number below nlane that is coprime with it; after the last, 1. */
static unsigned
next_stride(unsigned stride, unsigned nlane)
{
	do
		stride = stride + 1 < nlane ? stride + 1 : 1;
	while (common_divisor(stride, nlane) != 1);
	return stride;
}

int
lane_set_new_at(unsigned nlane, const struct lock_class *class,
    struct lane_set **ret_set, const char *here)
{
	struct lane_set *set;
	size_t size = sizeof(*set) + nlane * sizeof(set->lane[0]);
	unsigned stride = 1;

	if (nlane == 0 || nlane > LANE_SET_MAX) /* LN-4 */
		return -EINVAL;
	if ((set = aligned_alloc(LANES_CACHE_LINE, size)) == NULL)
		return -ENOMEM;
	memset(set, 0, size);
	set->nlane = nlane;
	set->node = graph_node(class);
	for (unsigned i = 0; i < nlane; i++) {
		set->stride[i] = (uint16_t)stride;
		stride = next_stride(stride, nlane);
		raw_init(&set->lane[i].mutex, set->node);
	}
	live_add(&(struct live_row){
	    &set->lane[0].mutex, nlane, sizeof(set->lane[0]), here });
	*ret_set = set;
	return 0;
}

void
lane_set_free(struct lane_set *set)
{
	if (set == NULL)
		return;
	for (unsigned i = 0; i < set->nlane; i++) {
		const struct mutex *mutex = &set->lane[i].mutex;

		if (raw_seems_free(mutex))
			continue;
		/* LK-10.  Its owner will come back to it: leak the set. */
		held_report(held_self(),
		    "destroy: lane %u of '%s' is held, taken at %s", i,
		    graph_class(set->node)->name, raw_place(mutex));
		return;
	}
	live_remove(&set->lane[0].mutex);
	for (unsigned i = 0; i < set->nlane; i++)
		raw_fini(&set->lane[i].mutex);
	free(set);
}

unsigned
lane_set_count(const struct lane_set *set)
{
	return set->nlane;
}

const void *
lane_set_object(const struct lane_set *set)
{
	return &set->lane[0].mutex;
}

uint64_t
lane_set_waits(const struct lane_set *set)
{
	return atomic_load(&set->nwait);
}

uint64_t
lane_set_wait_ns(const struct lane_set *set)
{
	return atomic_load(&set->wait_ns);
}

/*
 * Take the lane if it is free.  A look first: a taken lane then stays in the
 * cache of its owner, as a failed exchange would not let it.
 */
static bool
try_lane(struct lane_set *set, unsigned lane, struct held_stack *self,
    const char *here)
{
	struct mutex *mutex = &set->lane[lane].mutex;

	return raw_seems_free(mutex) && raw_trylock(mutex, self, here);
}

/*
 * Everyone who sleeps does so in the queue of one lane, and no search can
 * overtake it forever: the owner wakes it (LN-3).
 */
static void
sleep_for(struct lane_set *set, unsigned lane, struct held_stack *self,
    const char *here)
{
	uint64_t begun_ns;

	atomic_fetch_add(&set->nwait, 1);
	begun_ns = clock_ns();
	raw_lock_part(&set->lane[lane].mutex, self, here);
	atomic_fetch_add(&set->wait_ns, clock_ns() - begun_ns);
}

/* Home is taken: one of its neighbours, or home after a sleep. */
static unsigned
take_other(struct lane_set *set, unsigned home, struct held_stack *self,
    const char *here)
{
	unsigned lane = home;

	for (unsigned i = 1; i <= LANE_NEIGHBOURS && i < set->nlane; i++) {
		lane = (lane + set->stride[home]) % set->nlane;
		if (try_lane(set, lane, self, here))
			return lane;
	}
	sleep_for(set, home, self, here);
	return home;
}

NO_TSA void
lane_span_enter_at(struct lane_set *set, unsigned home, struct lane_span *span,
    const char *here)
{
	struct held_stack *self = held_self();
	/* Most homes are lanes, and need no division. */
	unsigned lane = home < set->nlane ? home : home % set->nlane;

	/* One entry for the whole span, however it grows (LN-2, LN-5). */
	held_check(self, set, set->node, here);
	if (!raw_trylock(&set->lane[lane].mutex, self, here))
		lane = take_other(set, lane, self, here);
	held_push(self, set, set->node, false, here);
	span->set = set;
	span->nlane = 1;
	span->lane[0] = (uint16_t)lane;
}

NO_TSA void
lane_span_enter_only_at(struct lane_set *set, unsigned lane,
    struct lane_span *span, const char *here)
{
	struct held_stack *self = held_self();

	assert(lane < set->nlane);
	held_check(self, set, set->node, here);
	if (!raw_trylock(&set->lane[lane].mutex, self, here))
		sleep_for(set, lane, self, here);
	held_push(self, set, set->node, false, here);
	span->set = set;
	span->nlane = 1;
	span->lane[0] = (uint16_t)lane;
}

static bool
is_my_lane(
    const struct lane_span *span, unsigned i, const struct held_stack *self)
{
	return raw_is_mine(&span->set->lane[span->lane[i]].mutex, self);
}

/* Is the span ours?  Reports if not (LN-1, LN-6). */
static inline bool
check_span(const struct lane_span *span, struct held_stack *self,
    const char *what, const char *here)
{
	const struct mutex *mutex;

	if (span->nlane == 0) {
		held_report(self, "owner: span of '%s' %s at %s is not held",
		    graph_class(span->set->node)->name, what, here);
		return false;
	}
	for (unsigned i = 0; i < span->nlane; i++) {
		if (is_my_lane(span, i, self))
			continue;
		mutex = &span->set->lane[span->lane[i]].mutex;
		held_report(self,
		    "owner: lane %u of '%s' %s at %s by a stranger, "
		    "taken at %s",
		    span->lane[i], graph_class(span->set->node)->name, what,
		    here, raw_seems_free(mutex) ? "nowhere" : raw_place(mutex));
		return false;
	}
	return true;
}

NO_TSA bool
lane_span_extend_at(struct lane_span *span, const char *here)
{
	struct held_stack *self = held_self();
	struct lane_set *set = span->set;
	unsigned lane;

	if (!check_span(span, self, "extended", here))
		return false;
	if (span->nlane == LANE_SPAN_MAX)
		return false;
	/* Every other lane once, from the newest on: its next is likely free. */
	lane = span->lane[span->nlane - 1];
	for (unsigned i = 1; i < set->nlane; i++) {
		lane = lane + 1 < set->nlane ? lane + 1 : 0;
		if (try_lane(set, lane, self, here)) {
			span->lane[span->nlane++] = (uint16_t)lane;
			return true;
		}
	}
	return false;
}

NO_TSA bool
lane_span_extend_to_at(struct lane_span *span, unsigned lane, const char *here)
{
	struct held_stack *self = held_self();

	assert(lane < span->set->nlane);
	if (!check_span(span, self, "extended", here) ||
	    span->nlane == LANE_SPAN_MAX ||
	    !try_lane(span->set, lane, self, here))
		return false;
	span->lane[span->nlane++] = (uint16_t)lane;
	return true;
}

NO_TSA void
lane_span_leave_at(struct lane_span *span, const char *here)
{
	struct held_stack *self = held_self();
	struct lane_set *set = span->set;

	/* Lanes of a stranger stay with him (LN-6). */
	if (!check_span(span, self, "left", here))
		return;
	while (span->nlane > 0)
		raw_unlock(&set->lane[span->lane[--span->nlane]].mutex);
	(void)held_pop(self, set);
}

bool
lane_span_holds(const struct lane_span *span, unsigned lane)
{
	const struct held_stack *self = held_self();

	for (unsigned i = 0; i < span->nlane; i++)
		if (span->lane[i] == lane)
			return is_my_lane(span, i, self);
	return false;
}

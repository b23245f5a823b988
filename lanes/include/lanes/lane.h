/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LANES_LANE_H
#define LANES_LANE_H

/*
 * lane -- sleeping ownership of a numbered share of the engine's free blocks.
 *
 * A lane is the right to use everything that carries its number: flog pairs
 * with their free blocks, in every arena of a device.  Two owners at once are
 * silent corruption, so the lock is taken always, sleeps, knows no recursion
 * and no CPU numbers, and is released by its owner only (LN-1 to LN-6).
 *
 * A request takes a span: the first lane by waiting if it must, further ones
 * by trylock only, so that there is no order between lanes to get wrong.
 *
 * Choice of the first lane: the home lane of the caller, trylock on a few
 * neighbours, then sleep at home (control-plane.md B.4: with sleeping owners
 * eight times the throughput of a fixed choice).
 */
#include <stdbool.h>
#include <stdint.h>

#include <lanes/annotations.h>
#include <lanes/sync.h>

/*
 * Most lanes a span may hold.  ThreadSanitizer follows at most 64 locks of a
 * thread; half of that leaves room for the map locks of the same request.
 */
#define LANE_SPAN_MAX 32
/* Most lanes of a set: more than workers only cost memory. */
#define LANE_SET_MAX 256

struct lane_set;

/* Lanes held by the calling thread.  Lives on the stack or in its worker. */
struct CAPABILITY("lane span") lane_span {
	struct lane_set *set;
	unsigned nlane;
	uint16_t lane[LANE_SPAN_MAX]; /* numbers, in the order of taking */
};

#define lane_set_new(nlane, class, ret_set) \
	lane_set_new_at((nlane), (class), (ret_set), SYNC_HERE)
/*
 * class is that of every lane.
 * Returns: 0; -EINVAL for nlane 0 or above LANE_SET_MAX (LN-4); -ENOMEM.
 */
int lane_set_new_at(unsigned nlane, const struct lock_class *class,
    struct lane_set **ret_set, const char *here) LANES_MUST_CHECK;
/* No lane may be held.  NULL is fine. */
void lane_set_free(struct lane_set *set);
unsigned lane_set_count(const struct lane_set *set);
/* What stands for the set in a struct sync_stall (watch.h). */
const void *lane_set_object(const struct lane_set *set);
/* How often a caller found home and neighbours taken and slept. */
uint64_t lane_set_waits(const struct lane_set *set);
/* For how long, all of them together. */
uint64_t lane_set_wait_ns(const struct lane_set *set);

#define lane_span_enter(set, home, span) \
	lane_span_enter_at((set), (home), (span), SYNC_HERE)
/*
 * Own one lane; home is any number, the same for the same thread (a worker's
 * index).  Sleeps if home and its neighbours are taken.
 */
void lane_span_enter_at(struct lane_set *set, unsigned home,
    struct lane_span *span, const char *here) ACQUIRES(*span);
#define lane_span_enter_only(set, lane, span) \
	lane_span_enter_only_at((set), (lane), (span), SYNC_HERE)
/*
 * Own that very lane, below the count, sleeping until it is free: for who wants
 * something of this lane's, not any lane.
 */
void lane_span_enter_only_at(struct lane_set *set, unsigned lane,
    struct lane_span *span, const char *here) ACQUIRES(*span);
#define lane_span_extend_to(span, lane) \
	lane_span_extend_to_at((span), (lane), SYNC_HERE)
/* That lane more, if it is free right now; never waits. */
bool lane_span_extend_to_at(
    struct lane_span *span, unsigned lane, const char *here) REQUIRES(*span);
#define lane_span_extend(span) lane_span_extend_at((span), SYNC_HERE)
/* One lane more if one is free right now; never waits.  False if none. */
bool
lane_span_extend_at(struct lane_span *span, const char *here) REQUIRES(*span);
#define lane_span_leave(span) lane_span_leave_at((span), SYNC_HERE)
/* Give all lanes of the span back. */
void
lane_span_leave_at(struct lane_span *span, const char *here) RELEASES(*span);
/* Is this lane in the span and the span ours? For assertions (LN-1). */
bool lane_span_holds(const struct lane_span *span, unsigned lane);

#endif

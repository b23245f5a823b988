/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_PINS_H
#define BTTFS_PINS_H

/*
 * pins -- how many are using a thing that somebody will want to take away.
 *
 * A user raises the count, then looks whether the thing is closed, and backs
 * out if it is.  Who takes it away closes it, and then waits until the count is
 * zero (CP-13).  Count and mark are one word, so that neither side can miss the
 * other.  Users never wait for that, and whoever waits looks again now and then:
 * there is nobody to wake.
 *
 * To the validator a user is at work of the class that the pins were made with,
 * from taking to dropping, which are the same thread's (idle.h, CP-15).
 *
 * For what is done seldom: all users write the same word.  Requests for data
 * pass through tree.h instead.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <lanes/idle.h>

#define PINS_CLOSED (UINT64_C(1) << 63)

struct pins {
	_Atomic uint64_t word; /* users, and the mark */
	struct idle idle;
};

/* class has LOCK_IDLE.  There is nothing to undo. */
static inline void
pins_init(struct pins *pins, const struct lock_class *class)
{
	atomic_init(&pins->word, 0);
	idle_init(&pins->idle, class);
}

/* False if it is closed: then it must not be used. */
static inline NO_TSA bool
pins_take(struct pins *pins)
{
	if ((atomic_fetch_add(&pins->word, 1) & PINS_CLOSED) == 0) {
		idle_enter(&pins->idle);
		return true;
	}
	atomic_fetch_sub(&pins->word, 1);
	return false;
}

static inline NO_TSA void
pins_drop(struct pins *pins)
{
	idle_leave(&pins->idle);
	atomic_fetch_sub(&pins->word, 1);
}

/*
 * Nobody is let in any more, and the calling thread is about to wait until those
 * who are in have left; they stay.
 */
static inline void
pins_close(struct pins *pins)
{
	atomic_fetch_or(&pins->word, PINS_CLOSED);
	idle_wait(&pins->idle);
}

static inline bool
pins_is_closed(const struct pins *pins)
{
	return (atomic_load(&pins->word) & PINS_CLOSED) != 0;
}

/* Of a closed one this falls to zero and, but for moments, stays there. */
static inline uint64_t
pins_count(const struct pins *pins)
{
	return atomic_load(&pins->word) & ~PINS_CLOSED;
}

#endif

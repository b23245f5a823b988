/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_PINS_H
#define BTTFS_PINS_H

/*
 * pins -- how many are using a thing that somebody will want to take away.
 *
 * A user raises the count, then looks whether the thing is closed, and backs
 * out if it is.  Who takes it away closes it, and then waits until the count is
 * zero (CP-13).  Count and mark are one word, so that neither side can miss the
 * other.  Users never wait, and whoever waits looks again now and then: there
 * is nobody to wake.
 *
 * For what is done seldom: all users write the same word.  Requests for data
 * pass through tree.h instead.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PINS_CLOSED (UINT64_C(1) << 63)

struct pins {
	_Atomic uint64_t word; /* users, and the mark */
};

/* False if it is closed: then it must not be used. */
static inline bool
pins_take(struct pins *pins)
{
	if ((atomic_fetch_add(&pins->word, 1) & PINS_CLOSED) == 0)
		return true;
	atomic_fetch_sub(&pins->word, 1);
	return false;
}

static inline void
pins_drop(struct pins *pins)
{
	atomic_fetch_sub(&pins->word, 1);
}

/* Nobody is let in any more; those who are in stay. */
static inline void
pins_close(struct pins *pins)
{
	atomic_fetch_or(&pins->word, PINS_CLOSED);
}

/* Of a closed one this falls to zero and, but for moments, stays there. */
static inline uint64_t
pins_count(const struct pins *pins)
{
	return atomic_load(&pins->word) & ~PINS_CLOSED;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LANES_LIVE_H
#define LANES_LIVE_H

/*
 * live -- every lock there is, from its init to its fini: found by the memory
 * that it lies in (LK-10), and looked at from outside (LK-11).
 *
 * Rows of locks are one entry: the lanes of a set, the stripes of a table.
 * Takes a lock of its own, so it is for the making and ending of locks, never
 * for their use.
 */
#include "raw.h"

struct live_row {
	const struct mutex *first;
	size_t count;
	size_t stride_bytes; /* from one to the next */
	const char *place;   /* where they were made */
};

static inline const struct mutex *
live_mutex(const struct live_row *row, size_t index)
{
	return (const struct mutex *)(const void *)((const char *)row->first +
	    index * row->stride_bytes);
}

/*
 * The row begins to live.  Reports what lives in its memory already: that was
 * freed with locks in it.  Without memory the row is not known, and no harm.
 */
void live_add(const struct live_row *row);
/* The row whose first lock this is has ended. */
void live_remove(const struct mutex *first);

/* Calls fn for every row in ascending order of their addresses.  No row comes
 * or goes meanwhile, so fn must not make or end one. */
typedef void live_visit_fn(void *arg, const struct live_row *row);
void live_visit(live_visit_fn *fn, void *arg);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LANES_STRIPE_H
#define LANES_STRIPE_H

/*
 * stripe -- a row of sleeping locks over a space of numbers.
 *
 * Number k is covered by lock k modulo the count.  A request locks the range
 * of stripes it touches as a whole, always in ascending order of the lock's
 * index, so two ranges cannot wait for each other; nobody holds two ranges of
 * one table.  To the validator a range is one lock of the table's class.
 */
#include <stdbool.h>
#include <stdint.h>

#include <lanes/annotations.h>
#include <lanes/sync.h>

/* Most distinct locks one range may take (see LANE_SPAN_MAX for why). */
#define STRIPE_RANGE_MAX 24

struct stripe_table;

struct CAPABILITY("stripe range") stripe_range {
	struct stripe_table *table;
	uint32_t first;   /* index of the first lock, before wrapping */
	uint32_t nstripe; /* locks held, at most the count of the table */
};

#define stripe_table_new(count, class, ret_table) \
	stripe_table_new_at((count), (class), (ret_table), SYNC_HERE)
/* Returns: 0; -EINVAL for a count of 0; -ENOMEM. */
int stripe_table_new_at(uint32_t count, const struct lock_class *class,
    struct stripe_table **ret_table, const char *here) LANES_MUST_CHECK;
void stripe_table_free(struct stripe_table *table);

/* Numbers from stripe on will be locked soon: a hint, for the cache. */
void stripe_prefetch(const struct stripe_table *table, uint64_t stripe);

#define stripe_lock(table, first, last, range) \
	stripe_lock_at((table), (first), (last), (range), SYNC_HERE)
/*
 * Lock the stripes of first..last (inclusive; at most STRIPE_RANGE_MAX
 * different locks).  Sleeps until all are ours.
 */
void stripe_lock_at(struct stripe_table *table, uint64_t first, uint64_t last,
    struct stripe_range *range, const char *here) ACQUIRES(*range);
#define stripe_unlock(range) stripe_unlock_at((range), SYNC_HERE)
void
stripe_unlock_at(struct stripe_range *range, const char *here) RELEASES(*range);
/* Does the range hold the lock of this stripe? For assertions. */
bool stripe_range_covers(const struct stripe_range *range, uint64_t stripe);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanes/stripe.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "live.h"

/* A lock on its own cache line, as a lane is (LN-12). */
struct stripe {
	_Alignas(LANES_CACHE_LINE) struct mutex mutex;
};

_Static_assert(sizeof(struct stripe) % LANES_CACHE_LINE == 0,
    "a stripe shares its cache line with nothing");

/* Nothing changes after creation but the locks themselves. */
struct stripe_table {
	uint32_t count;
	uint32_t mask; /* count - 1 if that is a power of two, else 0 */
	const struct lock_node *node;
	_Alignas(LANES_CACHE_LINE) struct stripe stripe[];
};

int
stripe_table_new_at(uint32_t count, const struct lock_class *class,
    struct stripe_table **ret_table, const char *here)
{
	struct stripe_table *table;
	size_t size;

	if (count == 0)
		return -EINVAL;
	if (__builtin_mul_overflow(count, sizeof(table->stripe[0]), &size) ||
	    __builtin_add_overflow(size, sizeof(*table), &size))
		return -ENOMEM;
	if ((table = aligned_alloc(LANES_CACHE_LINE, size)) == NULL)
		return -ENOMEM;
	memset(table, 0, size);
	table->count = count;
	table->mask = (count & (count - 1)) == 0 ? count - 1 : 0;
	table->node = graph_node(class);
	for (uint32_t i = 0; i < count; i++)
		raw_init(&table->stripe[i].mutex, table->node);
	live_add(&(struct live_row){
	    &table->stripe[0].mutex, count, sizeof(table->stripe[0]), here });
	*ret_table = table;
	return 0;
}

void
stripe_table_free(struct stripe_table *table)
{
	if (table == NULL)
		return;
	for (uint32_t i = 0; i < table->count; i++) {
		const struct mutex *mutex = &table->stripe[i].mutex;

		if (raw_seems_free(mutex))
			continue;
		/* LK-10.  Its owner will come back to it: leak the table. */
		held_report(held_self(),
		    "destroy: stripe %u of '%s' is held, taken at %s", i,
		    graph_class(table->node)->name, raw_place(mutex));
		return;
	}
	live_remove(&table->stripe[0].mutex);
	for (uint32_t i = 0; i < table->count; i++)
		raw_fini(&table->stripe[i].mutex);
	free(table);
}

static uint32_t
index_of(const struct stripe_table *table, uint64_t stripe)
{
	/* A division would cost as much as the lock. */
	return table->mask != 0 ? (uint32_t)(stripe & table->mask)
				: (uint32_t)(stripe % table->count);
}

/*
 * The k-th lock of the range in ascending order of index.  A range that wraps
 * is two runs: the wrapped one starts at 0, the other reaches the end.  Most
 * ranges are one lock.
 */
static inline struct mutex *
range_mutex(const struct stripe_range *range, uint32_t k)
{
	uint32_t index = range->first;

	if (__builtin_expect(range->nstripe > 1, 0)) {
		uint32_t room = range->table->count - range->first;
		uint32_t nwrapped =
		    range->nstripe > room ? range->nstripe - room : 0;

		index = k < nwrapped ? k : range->first + (k - nwrapped);
	}
	return &range->table->stripe[index].mutex;
}

void
stripe_prefetch(const struct stripe_table *table, uint64_t stripe)
{
	__builtin_prefetch(&table->stripe[index_of(table, stripe)], 1);
}

NO_TSA void
stripe_lock_at(struct stripe_table *table, uint64_t first, uint64_t last,
    struct stripe_range *range, const char *here)
{
	struct held_stack *self = held_self();

	assert(first <= last);
	range->table = table;
	if (last - first < table->count) {
		range->first = index_of(table, first);
		range->nstripe = (uint32_t)(last - first) + 1;
	} else {
		/* Every lock is met at least once: take each once. */
		range->first = 0;
		range->nstripe = table->count;
	}
	assert(range->nstripe <= STRIPE_RANGE_MAX);

	held_check(self, table, table->node, here);
	for (uint32_t k = 0; k < range->nstripe; k++)
		raw_lock_part(range_mutex(range, k), self, here);
	held_push(self, table, table->node, false, here);
}

/* Is the range ours?  Reports if not (LK-5). */
static bool
check_range(
    const struct stripe_range *range, struct held_stack *self, const char *here)
{
	const struct mutex *mutex;

	if (range->nstripe == 0) {
		held_report(self,
		    "owner: range of '%s' unlocked at %s is not held",
		    graph_class(range->table->node)->name, here);
		return false;
	}
	for (uint32_t k = 0; k < range->nstripe; k++) {
		mutex = range_mutex(range, k);
		if (raw_is_mine(mutex, self))
			continue;
		held_report(self,
		    "owner: range of '%s' unlocked at %s by a stranger, "
		    "taken at %s",
		    graph_class(range->table->node)->name, here,
		    raw_seems_free(mutex) ? "nowhere" : raw_place(mutex));
		return false;
	}
	return true;
}

NO_TSA void
stripe_unlock_at(struct stripe_range *range, const char *here)
{
	struct held_stack *self = held_self();
	struct stripe_table *table = range->table;

	if (!check_range(range, self, here))
		return;
	for (uint32_t k = range->nstripe; k-- > 0;)
		raw_unlock(range_mutex(range, k));
	range->nstripe = 0;
	(void)held_pop(self, table);
}

bool
stripe_range_covers(const struct stripe_range *range, uint64_t stripe)
{
	uint32_t count = range->table->count;
	uint32_t index = index_of(range->table, stripe);
	/* Steps from the first lock on, around the end if need be. */
	uint32_t step = index >= range->first ? index - range->first
					      : count - range->first + index;

	return step < range->nstripe &&
	    raw_is_mine(&range->table->stripe[index].mutex, held_self());
}

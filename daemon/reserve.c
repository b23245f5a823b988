/* SPDX-License-Identifier: BSD-3-Clause */
#include "reserve.h"

#include <assert.h>

/* Held by who goes aside and who calls, not by others. */
static const struct lock_class reserve_class = {
	.name = "reserve",
	.rank = 80,
	.flags = LOCK_LEAF,
};

#define ONE_WAITING UINT64_C(1)
#define ONE_ASIDE (UINT64_C(1) << 32)

static uint32_t
nwaiting(uint64_t word)
{
	return (uint32_t)word;
}

static uint32_t
naside(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

void
reserve_init(struct reserve *reserve, uint32_t nmost)
{
	assert(nmost > 0);
	reserve->nmost = nmost;
	atomic_init(&reserve->word, 0);
	mutex_init(&reserve->lock, &reserve_class);
	cond_init(&reserve->changed);
	reserve->ncalled = 0;
	reserve->is_over = false;
}

void
reserve_fini(struct reserve *reserve)
{
	cond_fini(&reserve->changed);
	mutex_fini(&reserve->lock);
}

/*
 * Until we are called; who calls has counted us as waiting.  It may have done
 * so before we got here, or for another one: any of them is as good.
 */
static bool
stay_aside(struct reserve *reserve)
{
	bool is_called;

	mutex_lock(&reserve->lock);
	while (reserve->ncalled == 0 && !reserve->is_over)
		cond_wait(&reserve->changed, &reserve->lock);
	if ((is_called = !reserve->is_over))
		reserve->ncalled--;
	mutex_unlock(&reserve->lock);
	return is_called;
}

static void
call_one(struct reserve *reserve)
{
	mutex_lock(&reserve->lock);
	reserve->ncalled++;
	cond_signal(&reserve->changed);
	mutex_unlock(&reserve->lock);
}

bool
reserve_enter(struct reserve *reserve)
{
	uint64_t word = atomic_load(&reserve->word);
	bool is_full;

	do {
		is_full = nwaiting(word) >= reserve->nmost;
	} while (!atomic_compare_exchange_weak(
	    &reserve->word, &word, word + (is_full ? ONE_ASIDE : ONE_WAITING)));
	return !is_full || stay_aside(reserve);
}

void
reserve_leave(struct reserve *reserve)
{
	uint64_t word = atomic_load(&reserve->word);
	bool is_last;

	/* The place of the last one is taken, not left. */
	do {
		assert(nwaiting(word) > 0);
		is_last = nwaiting(word) == 1 && naside(word) > 0;
	} while (!atomic_compare_exchange_weak(
	    &reserve->word, &word, word - (is_last ? ONE_ASIDE : ONE_WAITING)));
	if (is_last)
		call_one(reserve);
}

void
reserve_end(struct reserve *reserve)
{
	mutex_lock(&reserve->lock);
	reserve->is_over = true;
	cond_broadcast(&reserve->changed);
	mutex_unlock(&reserve->lock);
}

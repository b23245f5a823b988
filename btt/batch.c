/* SPDX-License-Identifier: BSD-3-Clause */
#include "batch.h"

#include <assert.h>
#include <errno.h>

#include "hook.h"
#include "map.h"
#include "rtt.h"

static void
add_change(struct batch *batch, uint32_t pair, uint32_t first_premap)
{
	struct change *change = &batch->change[batch->nchange];

	change->premap = first_premap + batch->nchange;
	change->pair = pair;
	change->new_block = batch->arena->pair[pair].free_block;
	/* Validated when it came from the log or from the map. */
	assert(change->new_block < batch->arena->internal_nlba);
	batch->nchange++;
}

/*
 * With groups a pair may be another writer's, or wait for its group's commit.
 * Who clears the bit has it: two who saw it set may come at once.
 */
bool
arena_take_pair(struct arena *arena, uint32_t pair)
{
	uint64_t bit = UINT64_C(1) << pair % 64;
	_Atomic uint64_t *word;

	if (arena->free_bits == NULL)
		return true;
	word = &arena->free_bits[pair / 64];
	if ((atomic_load(word) & bit) == 0)
		return false;
	HOOK_POINT("pair take");
	return (atomic_fetch_and(word, ~bit) & bit) != 0 || MUTANT(106);
}

void
arena_give_pair(struct arena *arena, uint32_t pair)
{
	if (arena->free_bits != NULL)
		(void)atomic_fetch_or(
		    &arena->free_bits[pair / 64], UINT64_C(1) << pair % 64);
}

bool
arena_has_free_pair(const struct arena *arena)
{
	for (uint32_t i = 0; i < arena->nfree; i += 64) {
		if (atomic_load(&arena->free_bits[i / 64]) != 0)
			return true;
	}
	return false;
}

static void
claim_lane(struct batch *batch, unsigned lane, unsigned nlane, uint32_t premap,
    unsigned want)
{
	struct arena *arena = batch->arena;
	uint32_t end = arena_lane_first(arena, lane + 1, nlane);

	for (uint32_t i = arena_lane_first(arena, lane, nlane);
	     i < end && batch->nchange < want; i++)
		add_change(batch, i, premap);
}

static void
claim_of_lanes(struct batch *batch, struct lane_span *span, uint32_t premap,
    unsigned want) REQUIRES(*span)
{
	unsigned nlane = lane_set_count(span->set);
	unsigned taken = 0;

	do {
		while (taken < span->nlane && batch->nchange < want)
			claim_lane(batch,
			    MUTATE(3, span->lane[taken++], taken++), nlane,
			    premap, want);
	} while (batch->nchange < want && lane_span_extend(span));
}

/*
 * Of any lane: the first ones that are free, wherever others take theirs, so
 * that a group's log entries fill pages.  A page that is dirtied is a page that
 * is written, twice for each group.
 */
static void
claim_of_all(struct batch *batch, uint32_t premap, unsigned want)
{
	struct arena *arena = batch->arena;
	uint64_t bits;

	for (uint32_t i = 0; i < arena->nfree && batch->nchange < want;
	     i += 64) {
		bits = atomic_load(&arena->free_bits[i / 64]);
		for (; bits != 0 && batch->nchange < want; bits &= bits - 1) {
			uint32_t pair = i + (uint32_t)__builtin_ctzll(bits);

			if (arena_take_pair(arena, pair))
				add_change(batch, pair, premap);
		}
	}
}

void
batch_claim(struct batch *batch, struct arena *arena, struct lane_span *span,
    uint32_t premap, unsigned want)
{
	assert(want >= 1 && want <= BATCH_MAX);
	batch->arena = arena;
	batch->nchange = 0;
	if (arena->free_bits == NULL)
		claim_of_lanes(batch, span, premap, want);
	else
		claim_of_all(batch, premap, want);
}

void
batch_unclaim(struct batch *batch)
{
	for (unsigned i = 0; i < batch->nchange; i++)
		arena_give_pair(batch->arena, batch->change[i].pair);
	batch->nchange = 0;
}

int
batch_look_up(struct batch *batch)
{
	for (unsigned i = 0; i < batch->nchange; i++) {
		struct change *change = &batch->change[i];

		change->old_entry = map_read(batch->arena, change->premap);
		if (!map_entry_in_range(
			batch->arena, change->old_entry, change->premap))
			return -EIO;
	}
	return 0;
}

static int
look_up(void *arg)
{
	return batch_look_up(arg);
}

int
batch_read_old(struct batch *batch, const struct stripe_range *range)
{
	assert(stripe_range_covers(range, map_line(batch->change[0].premap)));
	return media_try(look_up, batch);
}

/*
 * The log's form of the map entry that is replaced: plain numbers, as Linux
 * writes them and ndctl wants them, but for E, which says that the freed block
 * may hold a media error (3.6).  A pool gets raw entries, since libpmemblk
 * compares without masking (4.3).
 */
static uint32_t
log_old_map(const struct arena *arena, const struct change *change)
{
	uint32_t block = map_entry_block(change->old_entry, change->premap);
	enum map_state state = map_entry_state(change->old_entry);

	if (arena->layout == BTT_LAYOUT_POOL)
		return state == MAP_STATE_INITIAL ? MAP_NORMAL | block
						  : change->old_entry;
	return state == MAP_STATE_ERROR ? MAP_ERROR | block : block;
}

int
changes_store_bodies(
    struct arena *arena, const struct change *change, unsigned n)
{
	int r = 0;

	for (unsigned i = 0; i < n && r == 0; i++, change++) {
		const struct flog_pair *pair = &arena->pair[change->pair];

		r = flog_store_body(arena->media,
		    arena_flog_off(arena, change->pair, pair->older),
		    change->premap, log_old_map(arena, change));
	}
	return r;
}

int
changes_store_commits(
    struct arena *arena, const struct change *change, unsigned n)
{
	uint32_t flags = arena->layout == BTT_LAYOUT_POOL ? MAP_NORMAL : 0;
	int r = 0;

	for (unsigned i = 0; i < n && r == 0; i++, change++) {
		const struct flog_pair *pair = &arena->pair[change->pair];

		r = flog_store_commit(arena->media,
		    arena_flog_off(arena, change->pair, pair->older),
		    flags | change->new_block, pair->next_seq);
	}
	return r;
}

int
changes_store_map(struct arena *arena, const struct change *change, unsigned n)
{
	unsigned first = 0;
	int r;

	for (unsigned i = 0; i < n; i++) {
		/* What an overlay has it hands on by itself. */
		if (arena->overlays == NULL)
			HOOK_HIDE32(media_at(arena->media,
			    map_entry_off(arena, change[i].premap)));
		r = map_store(
		    arena, change[i].premap, MAP_NORMAL | change[i].new_block);
		if (r < 0)
			return r;
		/* One write-back for each run, so for each line, of entries. */
		if (i + 1 < n && change[i + 1].premap == change[i].premap + 1)
			continue;
		r = MUTATE(39,
		    map_flush(arena, change[first].premap,
			MUTATE(41, i + 1 - first, 1)),
		    0);
		if (r < 0)
			return r;
		first = i + 1;
	}
	return 0;
}

void
changes_advance_pairs(
    struct arena *arena, const struct change *change, unsigned n)
{
	for (unsigned i = 0; i < n; i++, change++) {
		struct flog_pair *pair = &arena->pair[change->pair];

		pair->free_block = MUTATE(10,
		    map_entry_block(change->old_entry, change->premap),
		    change->new_block);
		pair->older ^= MUTATE(9, 1, 0);
		if (!MUTANT(18) && !(MUTANT(23) && pair->next_seq == 3))
			pair->next_seq = (uint8_t)flog_next_seq(pair->next_seq);
	}
	/*
	 * Here all drains of a commit are waited for, as the first locked
	 * instruction after them does: what came before it has cost no time.
	 */
	rtt_block_is_free();
}

struct commit {
	struct batch *batch;
	batch_prepare_fn *prepare;
	void *arg;
	bool is_logged; /* entries may be committed */
};

typedef int
changes_fn(struct arena *arena, const struct change *change, unsigned n);

/* Stores of one kind for all sectors, then the fence that ends them. */
static inline int
store_and_fence(const struct batch *batch, changes_fn *store, bool fenced)
{
	int r;

	r = store(batch->arena, batch->change, batch->nchange);
	if (r < 0)
		return r;
	if (MUTANT(19) && store == changes_store_map)
		HOOK_POINT("early acknowledgement");
	r = fenced ? media_fence(batch->arena->media) : 0;
	return MUTATE(29, r, 0);
}

/* One guard for all: the store that ends a round is past each fault of it. */
static int
run_commit(void *arg)
{
	struct commit *commit = arg;
	const struct batch *batch = commit->batch;
	int r;

	if (commit->prepare != NULL && (r = commit->prepare(commit->arg)) < 0)
		return r;
	/*
	 * A crash or an error in here leaves new bodies under old sequence
	 * numbers: the older halves are the older halves still.
	 */
	if ((r = store_and_fence(batch,
		 MUTATE(7, changes_store_bodies, changes_store_commits),
		 !MUTANT(4))) < 0)
		return r;
	if (MUTANT(20))
		HOOK_POINT("early acknowledgement");

	/*
	 * From here on an error leaves entries that may or may not be
	 * committed.  Recovery decides; until then the pairs rest.
	 */
	commit->is_logged = true;
	if ((r = store_and_fence(batch,
		 MUTATE(7, MUTATE(28, changes_store_commits, changes_store_map),
		     changes_store_bodies),
		 !MUTANT(5))) < 0)
		return r;
	r = store_and_fence(batch,
	    MUTATE(28, changes_store_map, changes_store_commits), !MUTANT(6));
	return MUTATE(27, r, 0);
}

int
batch_commit(struct batch *batch, batch_prepare_fn *prepare, void *arg,
    const struct lane_span *span, const struct stripe_range *range)
{
	struct commit commit = { batch, prepare, arg, false };
	struct arena *arena = batch->arena;
	int r;

	assert(span->nlane > 0 &&
	    stripe_range_covers(range, map_line(batch->change[0].premap)));
	r = media_try(run_commit, &commit);
	if (r < 0 && !commit.is_logged)
		return r;
	if (r < 0)
		arena_fail(arena, r, media_failed(arena->media) == 0);
	else
		changes_advance_pairs(arena, batch->change, batch->nchange);
	return r;
}

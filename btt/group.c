/* SPDX-License-Identifier: BSD-3-Clause */
#include "group.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include <lanes/clock.h>

#include "backoff.h"
#include "hook.h"
#include "kept.h"
#include "map.h"
#include "overlay.h"

#define GATHER_MAX_NS UINT64_C(200000)

/* Changes of one arena in the group that is being committed. */
struct arena_changes {
	unsigned n;
	struct change *change; /* nfree of them */
};

/* Keys: I immutable, a atomic, C the committing thread, G lock. */
struct group_state {
	_Atomic uint64_t active; /* [a] group that takes changes, from 1 on */
	_Atomic uint64_t dirty;  /* [a] newest group with something in it */
	struct mutex lock;       /* leaf */
	struct cond changed;     /* committed or committing */
	uint64_t committed;      /* [G] durable up to this number */
	bool committing;         /* [G] */
	int failed;              /* [G] sticky */
	struct arena_changes *arena; /* [C] */
	/* [C] what the last commit took, and how many sectors it had */
	uint64_t last_ns, last_nsector;
	struct kept_header *kept; /* [I] NULL: nothing outlives us */
	/* [a] relaxed, for statistics */
	_Atomic uint64_t nfence;
	_Atomic uint64_t ncommit;
	/* [a] written by the committing thread */
	struct btt_histogram_counter commit_ns;
	struct btt_histogram_counter commit_sectors;
};

static int
arena_use_groups(struct arena *arena)
{
	uint32_t nword = (arena->nfree + 63) / 64;
	int r;

	if ((r = overlay_pair_new(arena->nfree, &arena->overlays)) < 0)
		return r;
	arena->free_bits = calloc(nword, sizeof(*arena->free_bits));
	if (arena->free_bits == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < arena->nfree; i++)
		arena_give_pair(arena, i);
	return 0;
}

int
group_open(struct btt *btt)
{
	struct group_state *group;
	int r;

	if ((group = calloc(1, sizeof(*group))) == NULL)
		return -ENOMEM;
	mutex_init(&group->lock, &btt_group_class);
	cond_init(&group->changed);
	/* Number 1 uses table 1; 0 means "in no group". */
	atomic_init(&group->active, 1);
	btt->group = group;
	group->arena = calloc(btt->narena, sizeof(*group->arena));
	if (group->arena == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < btt->narena; i++) {
		struct arena *arena = &btt->arena[i];

		group->arena[i].change =
		    calloc(arena->nfree, sizeof(struct change));
		if (group->arena[i].change == NULL)
			return -ENOMEM;
		if ((r = arena_use_groups(arena)) < 0)
			return r;
		atomic_store(&arena->overlays->active, 1);
	}
	return 0;
}

void
group_close(struct btt *btt)
{
	struct group_state *group = btt->group;

	if (group == NULL)
		return;
	for (uint32_t i = 0; group->arena != NULL && i < btt->narena; i++)
		free(group->arena[i].change);
	free(group->arena);
	cond_fini(&group->changed);
	mutex_fini(&group->lock);
	free(group);
	btt->group = NULL;
}

/* Say that this thread adds to the active group, until leave_group. */
static uint64_t
enter_group(struct group_state *group, struct btt_worker *worker)
{
	uint64_t g;

	/*
	 * Announce, then look again: either the closer sees us and waits, or
	 * we see that it has closed the group and take the next one.  Both
	 * sides are sequentially consistent, as in rtt.h.
	 */
	do {
		g = atomic_load(&group->active);
		HOOK_POINT("group enter");
		atomic_store(&worker->group, g);
		HOOK_POINT("group entered");
	} while (atomic_load(&group->active) != g && !MUTANT(52));
	return g;
}

static void
leave_group(struct btt_worker *worker)
{
	HOOK_POINT("group leave");
	atomic_store(&worker->group, 0);
}

/* Group g has something that a flush must wait for. */
static void
note_dirty(struct group_state *group, uint64_t g)
{
	uint64_t newest = atomic_load(&group->dirty);

	while (newest < g &&
	    !atomic_compare_exchange_weak(&group->dirty, &newest, g))
		;
}

/*
 * The committer looks at all pairs, those of the next group's writers too.
 * Relaxed: what it does with a pair of its own group is ordered by that
 * writer's leave_group.
 */
static void
set_group(struct arena *arena, uint32_t pair, uint64_t g)
{
	atomic_store_explicit(
	    &arena->pair[pair].group, g, memory_order_relaxed);
}

/* Premap's data is in the free block of a pair that is group g's from now on. */
static void
add_change(struct arena *arena, uint64_t g, uint32_t pair, uint32_t premap,
    uint32_t new_block)
{
	uint32_t before;

	arena->pair[pair].premap = premap;
	set_group(arena, pair, g);
	if (!overlay_set(&arena->overlays->table[g & 1], premap,
		MAP_NORMAL | new_block, pair, &before))
		return;
	/* Written again before it was committed: one change is left. */
	if (!MUTANT(44))
		set_group(arena, before, 0);
	kept_clear(arena, before);
	if (!MUTANT(43))
		arena_give_pair(arena, before);
}

uint64_t
group_add(struct btt *btt, struct btt_worker *worker, struct batch *batch,
    const struct stripe_range *range)
{
	struct arena *arena = batch->arena;
	uint64_t g, serial;

	assert(stripe_range_covers(range, map_line(batch->change[0].premap)));
	g = enter_group(btt->group, worker);
	serial = kept_next_serial(btt->group->kept);
	for (unsigned i = 0; i < batch->nchange; i++) {
		const struct change *change = &batch->change[i];

		kept_set(arena, change->pair, serial, change->premap,
		    change->new_block);
		add_change(
		    arena, g, change->pair, change->premap, change->new_block);
	}
	if (!MUTANT(60))
		note_dirty(btt->group, g);
	leave_group(worker);
	return g;
}

void
group_restore(
    struct btt *btt, struct arena *arena, uint32_t pair, uint32_t premap)
{
	uint64_t g = atomic_load(&btt->group->active);

	(void)arena_take_pair(arena, pair);
	add_change(arena, g, pair, premap, arena->pair[pair].free_block);
	note_dirty(btt->group, g);
}

void
group_keep(struct btt *btt, struct kept_header *kept)
{
	btt->group->kept = kept;
	/* A failure is as final for us as it was for who saw it (I7). */
	btt->group->failed = kept_failure(kept);
	if (btt->group->failed < 0)
		atomic_store(&btt->media->failed, btt->group->failed);
}

void
group_note_dirty(struct btt *btt)
{
	/*
	 * If the group that is active now is closed after this, its first sync
	 * comes after the change.
	 */
	note_dirty(btt->group, atomic_load(&btt->group->active));
}

/*
 * Close the active group and return its number, with no writer left in it.
 * Readers are pointed to the next table first: it is empty, so they still find
 * everything in the other, and from the first change of the next group on they
 * look in the right order.
 */
static uint64_t
close_active(struct btt *btt)
{
	struct group_state *group = btt->group;
	struct backoff backoff = BACKOFF_INIT;
	uint64_t g = atomic_load(&group->active);

	for (uint32_t i = 0; i < MUTATE(86, btt->narena, 1); i++)
		atomic_store(
		    &btt->arena[i].overlays->active, (unsigned)((g + 1) & 1));
	HOOK_POINT("group close");
	atomic_store(&group->active, g + 1);
	/*
	 * A worker may be in a group of this number on another device: then we
	 * wait for nothing, but not for long.
	 */
	for (unsigned i = 0; i < btt->pool->nworker && !MUTANT(47); i++) {
		HOOK_POINT("group scan");
		while (atomic_load(&btt->pool->worker[i].group) == g)
			backoff_wait(&backoff);
	}
	return g;
}

struct group_job {
	struct btt *btt;
	uint64_t g;
	bool any;
};

/* What the sectors have on the medium is what their pairs will own. */
static int
collect(void *arg)
{
	struct group_job *job = arg;
	struct btt *btt = job->btt;

	for (uint32_t i = 0; i < btt->narena; i++) {
		struct arena_changes *changes = &btt->group->arena[i];
		struct arena *arena = &btt->arena[i];

		changes->n = 0;
		if (atomic_load(&arena->overlays->table[job->g & 1].nset) == 0)
			continue;
		for (uint32_t k = 0; k < arena->nfree; k++) {
			const struct flog_pair *pair = &arena->pair[k];
			struct change *change;

			if (atomic_load_explicit(
				&pair->group, memory_order_relaxed) != job->g)
				continue;
			change = &changes->change[changes->n++];
			change->premap = pair->premap;
			change->pair = k;
			change->new_block = pair->free_block;
			if (MUTANT(53))
				arena_give_pair(arena, k);
			change->old_entry = map_read_media(arena, pair->premap);
			if (!map_entry_in_range(
				arena, change->old_entry, change->premap))
				return -EIO;
			job->any = true;
		}
	}
	return 0;
}

typedef int
changes_fn(struct arena *arena, const struct change *change, unsigned n);

struct round_job {
	struct arena *arena;
	changes_fn *store;
	const struct change *change;
	unsigned n;
};

static int
run_stores(void *arg)
{
	const struct round_job *job = arg;

	return job->store(job->arena, job->change, job->n);
}

/* The log entries of the group's pairs are the group's (I2). */
static int
store_log(struct arena *arena, struct arena_changes *changes, changes_fn *store)
{
	struct round_job job = { arena, store, changes->change, changes->n };

	return media_try(run_stores, &job);
}

/*
 * A line of the map at a time, under its lock: a neighbour that is not in the
 * group may be set to zero at this moment (I5).
 */
static int
store_map(struct arena *arena, struct arena_changes *changes, changes_fn *store)
{
	struct round_job job = { arena, store, changes->change, 0 };
	const struct change *end = changes->change + changes->n;
	struct stripe_range range;
	int r = 0;

	for (; r == 0 && job.change < end; job.change += job.n) {
		uint64_t line = map_line(job.change->premap);

		job.n = 1;
		while (job.change + job.n < end &&
		    map_line(job.change[job.n].premap) == line)
			job.n++;
		stripe_lock(arena->map_locks, line, line, &range);
		r = media_try(run_stores, &job);
		stripe_unlock(&range);
	}
	return r;
}

/* One of the three rounds over all arenas, with its sync. */
static int
do_round(struct btt *btt,
    int (*round)(struct arena *, struct arena_changes *, changes_fn *),
    changes_fn *store, bool fenced)
{
	int r;

	for (uint32_t i = 0; i < MUTATE(85, btt->narena, 1); i++) {
		if (btt->group->arena[i].n == 0)
			continue;
		r = round(&btt->arena[i], &btt->group->arena[i], store);
		if (r < 0)
			return r;
	}
	atomic_fetch_add_explicit(&btt->group->nfence, 1, memory_order_relaxed);
	return fenced ? media_fence(btt->media) : 0;
}

static void
fail_arenas(struct btt *btt, int error)
{
	for (uint32_t i = 0; i < btt->narena; i++)
		arena_fail(&btt->arena[i], error,
		    media_failed(btt->media) == 0 &&
			btt->group->arena[i].n > 0);
}

static void
clear_overlays(struct btt *btt, uint64_t g)
{
	for (uint32_t i = 0; i < btt->narena; i++)
		overlay_clear(&btt->arena[i].overlays->table[g & 1]);
}

/* The group is durable: its old blocks are free, its overlays empty. */
static void
retire(struct btt *btt, uint64_t g)
{
	for (uint32_t i = 0; i < btt->narena; i++)
		changes_advance_pairs(&btt->arena[i],
		    btt->group->arena[i].change, btt->group->arena[i].n);
	/* The map on the medium says all of it now. */
	clear_overlays(btt, g);
	for (uint32_t i = 0; i < btt->narena; i++) {
		struct arena_changes *changes = &btt->group->arena[i];
		struct arena *arena = &btt->arena[i];

		for (unsigned k = 0; k < changes->n; k++) {
			set_group(arena, changes->change[k].pair, 0);
			kept_clear(arena, changes->change[k].pair);
			arena_give_pair(arena, changes->change[k].pair);
		}
	}
}

/* Only the leader is here. */
static int
commit_group(struct btt *btt, uint64_t *ret_g)
{
	struct group_job job = { .btt = btt };
	int r;

	if ((r = btt_may_write(btt)) < 0)
		return r;
	job.g = *ret_g = close_active(btt);
	if ((r = media_try(collect, &job)) < 0) {
		fail_arenas(btt, r);
		return r;
	}
	atomic_fetch_add_explicit(
	    &btt->group->ncommit, 1, memory_order_relaxed);
	/*
	 * The writers' data needs no store of ours: each has placed it, and on
	 * page granularity the first sync covers it; elsewhere each has fenced
	 * its own.
	 */
	if ((r = do_round(btt, store_log,
		 MUTATE(51, changes_store_bodies, changes_store_commits),
		 !MUTANT(36))) < 0)
		goto fail;
	if (!job.any)
		return 0;
	if ((r = do_round(btt, store_log,
		 MUTATE(51, changes_store_commits, changes_store_bodies),
		 !MUTANT(49))) < 0)
		goto fail;
	if (MUTANT(45))
		clear_overlays(btt, job.g);
	if ((r = do_round(btt, store_map, changes_store_map, !MUTANT(50))) <
		0 &&
	    !MUTANT(48))
		goto fail;
	retire(btt, job.g);
	return 0;

fail:
	/*
	 * What was acknowledged with durability=flush is visible and stays so;
	 * that it will not survive is said by every flush from now on (P4).
	 */
	fail_arenas(btt, r);
	return r;
}

#ifdef BTT_TEST_HOOKS
/* Time stands still in the explorer, which tries all moments anyway. */
static void
gather(const struct btt *btt, uint64_t begun_ns)
{
	(void)btt;
	(void)begun_ns;
}
#else
/* How many sectors the active group has been given. */
static uint64_t
count_added(const struct btt *btt)
{
	uint64_t g = atomic_load(&btt->group->active);
	uint64_t n = 0;

	for (uint32_t i = 0; i < btt->narena; i++)
		n += atomic_load(&btt->arena[i].overlays->table[g & 1].nset);
	return n;
}

/*
 * Whom the last commit has woken is about to write again, and would just miss
 * this one: so groups of one and of all the others took turns, and every second
 * sync was for one sector.  Let them come, while there are fewer than last
 * time: for an eighth of the time that they would wait for the next, and not
 * longer than it takes to wake some threads.
 */
static void
gather(const struct btt *btt, uint64_t begun_ns)
{
	const struct group_state *group = btt->group;
	uint64_t most_ns = group->last_ns / 8;

	if (most_ns > GATHER_MAX_NS)
		most_ns = GATHER_MAX_NS;
	while (count_added(btt) < group->last_nsector &&
	    clock_ns() - begun_ns < most_ns)
		(void)sched_yield();
}
#endif

static void
note_commit(struct btt *btt, uint64_t begun_ns)
{
	struct group_state *group = btt->group;
	uint64_t nsector = 0;

	for (uint32_t i = 0; i < btt->narena; i++)
		nsector += group->arena[i].n;
	group->last_ns = clock_ns() - begun_ns;
	group->last_nsector = nsector;
	btt_histogram_add(&group->commit_ns, group->last_ns);
	btt_histogram_add(&group->commit_sectors, nsector);
}

/* Run one commit as the leader.  Called and returns with the lock held. */
static void
lead(struct btt *btt, struct group_state *group) REQUIRES(group->lock)
{
	uint64_t begun_ns;
	uint64_t g = 0;
	int r;

	group->committing = true;
	mutex_unlock(&group->lock);
	begun_ns = clock_ns();
	gather(btt, begun_ns);
	if ((r = commit_group(btt, &g)) == 0)
		note_commit(btt, begun_ns);
	mutex_lock(&group->lock);
	group->committing = false;
	if (r < 0) {
		group->failed = r;
		kept_note_failure(group->kept, r);
	} else {
		group->committed = g;
	}
	cond_broadcast(&group->changed);
}

int
group_wait(struct btt *btt, uint64_t g)
{
	struct group_state *group = btt->group;
	int r;

	if (MUTANT(40))
		return 0;
	mutex_lock(&group->lock);
	while (group->committed < g && group->failed == 0) {
		if (group->committing)
			cond_wait(&group->changed, &group->lock);
		else
			lead(btt, group);
	}
	r = group->committed >= g ? 0 : group->failed;
	mutex_unlock(&group->lock);
	return r;
}

int
group_flush(struct btt *btt)
{
	int r = group_wait(btt, atomic_load(&btt->group->dirty));

	/* Sticky, also where this flush had nothing to do (I7). */
	return r < 0 ? r : media_failed(btt->media);
}

/*
 * Until there is something to commit, or a free pair.  Where neither is, other
 * writers have the pairs, and are between taking them and adding them to their
 * group; those of a group that failed are free no more.
 */
static void
wait_for_writers(const struct group_state *group, const struct arena *arena)
{
	struct backoff backoff = BACKOFF_INIT;

	while (atomic_load(&group->dirty) < atomic_load(&group->active) &&
	    !arena_has_free_pair(arena) && atomic_load(&arena->failed) == 0)
		backoff_wait(&backoff);
}

int
group_make_room(struct btt *btt, const struct arena *arena)
{
	struct group_state *group = btt->group;
	int r;

	mutex_lock(&group->lock);
	/* A group that failed is never retried, nor is another put upon it. */
	if (group->failed == 0 || MUTANT(59)) {
		if (group->committing)
			cond_wait(&group->changed, &group->lock);
		else if (atomic_load(&group->dirty) > group->committed)
			lead(btt, group);
	}
	r = group->failed;
	mutex_unlock(&group->lock);
	if (r == 0)
		wait_for_writers(group, arena);
	return r;
}

void
group_add_stats(const struct btt *btt, struct btt_stats *stats)
{
	if (btt->group == NULL)
		return;
	stats->nfence +=
	    atomic_load_explicit(&btt->group->nfence, memory_order_relaxed);
	stats->nbatch +=
	    atomic_load_explicit(&btt->group->ncommit, memory_order_relaxed);
}

void
group_add_commit_stats(const struct btt *btt, struct btt_commit_stats *stats)
{
	if (btt->group == NULL)
		return;
	btt_histogram_gather(&btt->group->commit_ns, &stats->ns);
	btt_histogram_gather(&btt->group->commit_sectors, &stats->sectors);
}

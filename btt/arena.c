/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena -- opening, recovery and failure of one arena.
 *
 * Recovery is the kernel's rule (btt-format.md 4.1) with the checks that rule
 * lacks: a pair's newest entry says that its sector moved from old to new.
 * If the map still says old, the crash came between the log's commit and the
 * map's store, and the store is made now.  Else there is nothing to do.
 */
#include "arena.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hook.h"
#include "map.h"
#include "overlay.h"

const struct lock_class btt_lane_class = { "lane", 40,
	LOCK_MAY_SLEEP | LOCK_WATCHED };
const struct lock_class btt_map_class = { "map", 60, LOCK_MAY_SLEEP };
const struct lock_class btt_error_class = { "arena-error", 65,
	LOCK_MAY_SLEEP | LOCK_WATCHED };
const struct lock_class btt_group_class = { "group", 75, LOCK_LEAF };

/* More map locks than this only cost memory. */
#define MAP_LOCKS_MAX 4096u

static void
arena_place_parts(struct arena *arena, const struct btt_arena_place *place)
{
	const struct btt_info *info = &place->info;

	arena->external_nlba = info->external_nlba;
	arena->internal_nlba = info->internal_nlba;
	arena->internal_lbasize = info->internal_lbasize;
	arena->sector_bytes = btt_sector_data_bytes(info->external_lbasize);
	arena->meta_bytes = info->external_lbasize - arena->sector_bytes;
	arena->nfree = info->nfree;
	arena->info_off = place->off;
	arena->data_off = place->off + info->dataoff;
	arena->map_off = place->off + info->mapoff;
	arena->log_off = place->off + info->logoff;
	arena->info2_off = place->off + info->info2off;
	if (info->flags & BTT_FLAG_ERROR)
		atomic_init(&arena->failed, -EIO);
}

/* Newest entry of each pair, as loaded from the medium. */
struct log_job {
	const struct arena *arena;
	struct flog_media *log; /* copy: media may change under us */
};

static int
copy_log(void *arg)
{
	struct log_job *job = arg;

	memcpy(job->log, media_at(job->arena->media, job->arena->log_off),
	    (size_t)job->arena->nfree * FLOG_GROUP_BYTES);
	return 0;
}

static int
load_pair(struct arena *arena, const struct flog_media *group, uint32_t index,
    struct flog_entry *ret_newest, struct btt_error *error)
{
	struct flog_pair *pair = &arena->pair[index];
	struct flog_entry half[2];
	const char *field = NULL;
	int newer;

	for (unsigned i = 0; i < 2; i++)
		half[i] = flog_decode(&group[arena->slots.slot[i]]);
	if ((newer = flog_pick(half[0].seq, half[1].seq)) < 0)
		return btt_error_set(error, -EUCLEAN,
		    "arena %u: log pair %u has sequence numbers %u and %u",
		    arena->index, index, half[0].seq, half[1].seq);
	if (flog_validate(&half[newer], arena->external_nlba,
		arena->internal_nlba, &field) < 0)
		return btt_error_set(error, -EUCLEAN,
		    "arena %u: log pair %u: %s is out of range", arena->index,
		    index, field);
	if (MUTANT(62))
		newer ^= 1;
	pair->free_block =
	    MUTATE(61, half[newer].old_map, half[newer].new_map) &
	    MAP_BLOCK_MASK;
	pair->older = newer == 0 ? 1 : 0;
	pair->next_seq = (uint8_t)flog_next_seq(half[newer].seq);
	*ret_newest = half[newer];
	return 0;
}

static int
compare_blocks(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Two pairs with one free block would each write over the other (I1). */
static int
check_free_blocks(const struct arena *arena, struct btt_error *error)
{
	uint32_t *block;
	int r = 0;

	if ((block = calloc(arena->nfree, sizeof(*block))) == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < arena->nfree; i++)
		block[i] = arena->pair[i].free_block;
	qsort(block, arena->nfree, sizeof(*block), compare_blocks);
	for (uint32_t i = 1; i < arena->nfree && r == 0; i++) {
		if (block[i] == block[i - 1])
			r = btt_error_set(error, -EUCLEAN,
			    "arena %u: two log pairs have free block %u",
			    arena->index, block[i]);
	}
	free(block);
	return r;
}

struct recover_job {
	struct arena *arena;
	const struct flog_entry *newest; /* nfree of them */
	struct overlay_pair *ahead;      /* what the map will say */
};

/* The map entry as the pairs before this one leave it. */
static uint32_t
read_ahead(const struct recover_job *job, uint32_t premap)
{
	uint32_t entry;

	if (overlay_find(&job->ahead->table[0], premap, &entry))
		return entry;
	return map_read_media(job->arena, premap);
}

/*
 * In the order of the pairs, as the kernel does it: two of them may be about
 * one sector, and then the second one goes on where the first one ended.  No
 * crash leaves that behind (I4), but a medium can say anything.
 */
static int
find_pending(void *arg)
{
	struct recover_job *job = arg;
	struct arena *arena = job->arena;
	uint32_t owner;

	for (uint32_t i = 0; i < arena->nfree; i++) {
		const struct flog_entry *entry = &job->newest[i];
		uint32_t old_block = entry->old_map & MAP_BLOCK_MASK;
		uint32_t new_block = entry->new_map & MAP_BLOCK_MASK;
		uint32_t now;

		if (old_block == new_block)
			continue;
		now = map_entry_block(read_ahead(job, entry->lba), entry->lba);
		if (now != old_block && !MUTANT(63))
			continue;
		arena->pending[arena->npending].premap = entry->lba;
		arena->pending[arena->npending].entry =
		    MUTATE(64, MAP_NORMAL, 0) | new_block;
		(void)overlay_set(&job->ahead->table[0], entry->lba,
		    arena->pending[arena->npending].entry, i, &owner);
		arena->npending++;
	}
	return 0;
}

static int
arena_load_log(struct arena *arena, struct btt_error *error)
{
	struct log_job log = { .arena = arena };
	struct recover_job job = { .arena = arena };
	struct flog_entry *newest = NULL;
	uint32_t bad_group = 0;
	int r = -ENOMEM;

	log.log = calloc(arena->nfree, FLOG_GROUP_BYTES);
	newest = calloc(arena->nfree, sizeof(*newest));
	arena->pending = calloc(arena->nfree, sizeof(*arena->pending));
	if (log.log == NULL || newest == NULL || arena->pending == NULL)
		goto out;
	if ((r = overlay_pair_new(arena->nfree, &job.ahead)) < 0)
		goto out;
	if ((r = media_try(copy_log, &log)) < 0)
		goto out;
	r = flog_detect(log.log, arena->nfree, &arena->slots, &bad_group);
	if (r < 0) {
		(void)btt_error_set(error, r,
		    "arena %u: the log contradicts itself at pair %u",
		    arena->index, bad_group);
		goto out;
	}
	if (MUTANT(34))
		arena->slots.slot[1] ^= 3;
	for (uint32_t i = 0; i < arena->nfree; i++) {
		r = load_pair(arena, &log.log[i * FLOG_GROUP_SLOTS], i,
		    &newest[i], error);
		if (r < 0)
			goto out;
	}
	if ((r = check_free_blocks(arena, error)) < 0)
		goto out;
	job.newest = newest;
	r = media_try(find_pending, &job);
out:
	overlay_pair_free(job.ahead);
	free(newest);
	free(log.log);
	return r;
}

int
arena_open(struct media *media, const struct btt_arena_place *place,
    enum btt_layout layout, uint32_t index, struct arena *ret_arena,
    struct btt_error *error)
{
	struct arena *arena = ret_arena;
	uint32_t nlock;
	int r;

	memset(arena, 0, sizeof(*arena));
	mutex_init(&arena->error_lock, &btt_error_class);
	arena->media = media;
	arena->index = index;
	arena->layout = layout;
	arena_place_parts(arena, place);

	arena->pair = calloc(arena->nfree, sizeof(*arena->pair));
	if (arena->pair == NULL)
		return -ENOMEM;
	nlock = arena->nfree < MAP_LOCKS_MAX ? arena->nfree : MAP_LOCKS_MAX;
	r = stripe_table_new(nlock, &btt_map_class, &arena->map_locks);
	if (r < 0)
		return r;
	return arena_load_log(arena, error);
}

void
arena_close(struct arena *arena)
{
	if (arena->media == NULL)
		return;
	overlay_pair_free(arena->overlays);
	stripe_table_free(arena->map_locks);
	free(arena->free_bits);
	free(arena->pending);
	free(arena->pair);
	mutex_fini(&arena->error_lock);
	memset(arena, 0, sizeof(*arena));
}

static int
store_pending(void *arg)
{
	struct arena *arena = arg;
	int r;

	for (uint32_t i = 0; i < arena->npending; i++) {
		const struct pending_entry *pending = &arena->pending[i];

		r = map_store(arena, pending->premap, pending->entry);
		if (r < 0)
			return r;
		if ((r = map_flush(arena, pending->premap, 1)) < 0)
			return r;
	}
	return 0;
}

/*
 * Durable before the first write: that write's log entry may replace the one
 * that recovery would need to do this again.
 */
static int
complete_pending(struct arena *arena)
{
	int r;

	if ((r = media_try(store_pending, arena)) < 0)
		return r;
	return MUTANT(22) ? 0 : media_fence(arena->media);
}

static int
remember_pending(struct arena *arena)
{
	uint32_t owner;
	int r;

	if ((r = overlay_pair_new(arena->npending, &arena->overlays)) < 0)
		return r;
	for (uint32_t i = 0; i < arena->npending; i++)
		(void)overlay_set(&arena->overlays->table[0],
		    arena->pending[i].premap, arena->pending[i].entry, i,
		    &owner);
	return 0;
}

int
arena_recover(struct arena *arena, bool read_only, struct btt_error *error)
{
	int r = 0;

	if (arena->npending > 0 && read_only)
		r = remember_pending(arena);
	else if (arena->npending > 0 && !MUTANT(15))
		r = complete_pending(arena);
	free(arena->pending);
	arena->pending = NULL;
	if (r < 0)
		return btt_error_set(error, r,
		    "arena %u: interrupted writes could not be completed",
		    arena->index);
	return 0;
}

struct flag_job {
	struct arena *arena;
	uint64_t off;
};

/* Set the error flag in one copy of the info block, checksum renewed. */
static int
flag_copy(void *arg)
{
	struct flag_job *job = arg;
	struct media *media = job->arena->media;
	uint8_t block[BTT_INFO_BYTES];
	struct btt_info info;

	memcpy(block, media_at(media, job->off), sizeof(block));
	/* Never touch what is no info block: it may be somebody's evidence. */
	if (btt_info_decode(block, &info) != BTT_INFO_VALID)
		return 0;
	info.flags |= BTT_FLAG_ERROR;
	btt_info_encode(&info, block);
	return media_copy(media, job->off, block, sizeof(block));
}

/*
 * An error in here is one more failure of a medium that has already failed;
 * the arena is frozen in memory either way.
 */
static void
flag_block(struct arena *arena, uint64_t off)
{
	struct flag_job job = { arena, off };

	if (media_try(flag_copy, &job) == 0)
		(void)media_fence(arena->media);
}

void
arena_fail(struct arena *arena, int error, bool flag_media)
{
	int none = 0;

	assert(error < 0);
	if (!atomic_compare_exchange_strong(&arena->failed, &none, error))
		return;
	if (!flag_media || arena->media->read_only)
		return;
	mutex_lock(&arena->error_lock);
	/* Backup first: a torn primary can then be restored. */
	flag_block(arena, arena->info2_off);
	flag_block(arena, arena->info_off);
	mutex_unlock(&arena->error_lock);
}

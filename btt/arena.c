/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena -- opening, recovery and failure of one arena.  What its log says is
 * found out in arena_load.c.
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

/*
 * A writer may be off the processor with the lock of a line, for milliseconds
 * where threads are many; with n locks each of the others has one chance in n
 * to want the same.  So many that it is not one request in a thousand.
 */
#define MAP_LOCKS_MAX 8192u

/* A power of two, and one for each line of the map if it has no more. */
static uint32_t
map_lock_count(const struct arena *arena)
{
	uint32_t nline =
	    (arena->external_nlba + MAP_LINE_ENTRIES - 1) / MAP_LINE_ENTRIES;
	uint32_t n = 1;

	while (n < MAP_LOCKS_MAX && n < nline)
		n *= 2;
	return n;
}

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
	if (place->has_error_flag)
		atomic_init(&arena->failed, -EIO);
}

int
arena_open(struct media *media, const struct btt_arena_place *place,
    enum btt_layout layout, uint32_t index, const struct arena_damage *damage,
    struct arena *ret_arena, struct btt_error *error)
{
	struct arena *arena = ret_arena;
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
	r = stripe_table_new(
	    map_lock_count(arena), &btt_map_class, &arena->map_locks);
	if (r < 0)
		return r;
	return arena_load_log(arena, damage, error);
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
	bool is_set;
};

/* The error flag of one copy of the info block, checksum renewed. */
static int
flag_copy(void *arg)
{
	struct flag_job *job = arg;
	struct media *media = job->arena->media;
	uint8_t block[BTT_INFO_BYTES];
	struct btt_info info;

	HOOK_LOAD(media_at(media, job->off), sizeof(block));
	memcpy(block, media_at(media, job->off), sizeof(block));
	/* Never touch what is no info block: it may be somebody's evidence. */
	if (btt_info_decode(block, &info) != BTT_INFO_VALID)
		return 0;
	info.flags &= ~BTT_FLAG_ERROR;
	if (job->is_set)
		info.flags |= BTT_FLAG_ERROR;
	btt_info_encode(&info, block);
	return media_copy(media, job->off, block, sizeof(block));
}

static int
flag_block(struct arena *arena, uint64_t off, bool is_set)
{
	struct flag_job job = { arena, off, is_set };
	int r;

	/* What is lost has no flag, and would not keep one. */
	if (media_is_bad(arena->media, off, BTT_INFO_BYTES))
		return 0;
	r = media_try(flag_copy, &job);
	return r < 0 ? r : media_fence(arena->media);
}

/* Backup first: a torn primary can then be restored. */
static int
flag_locked(struct arena *arena, bool is_set) REQUIRES(arena->error_lock)
{
	int backup = flag_block(arena, arena->info2_off, is_set);
	int primary = flag_block(arena, arena->info_off, is_set);

	return backup < 0 ? backup : primary;
}

int
arena_doubt(struct arena *arena, bool is_doubted)
{
	int r;

	assert(!arena->media->read_only);
	mutex_lock(&arena->error_lock);
	/* The flag of one that has failed is here to stay. */
	if ((r = atomic_load(&arena->failed)) == 0)
		r = flag_locked(arena, is_doubted);
	mutex_unlock(&arena->error_lock);
	return r;
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
	/*
	 * An error in here is one more failure of a medium that has already
	 * failed; the arena is frozen in memory either way.
	 */
	mutex_lock(&arena->error_lock);
	(void)flag_locked(arena, true);
	mutex_unlock(&arena->error_lock);
}

bool
arena_fits(const struct arena *arena, const uint8_t uuid[BTT_UUID_BYTES],
    const struct btt_info *info)
{
	return memcmp(info->uuid, uuid, BTT_UUID_BYTES) == 0 &&
	    info->external_nlba == arena->external_nlba &&
	    info->internal_nlba == arena->internal_nlba &&
	    info->internal_lbasize == arena->internal_lbasize &&
	    info->nfree == arena->nfree &&
	    arena->info_off + info->dataoff == arena->data_off &&
	    arena->info_off + info->mapoff == arena->map_off &&
	    arena->info_off + info->logoff == arena->log_off &&
	    arena->info_off + info->info2off == arena->info2_off;
}

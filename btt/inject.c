/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inject -- planting bad ranges by what is there, not by where it is.
 */
#include <assert.h>
#include <errno.h>

#include <btt/bad.h>

#include "engine.h"
#include "map.h"

static int
apply(struct media *media, uint64_t off, size_t len, enum btt_inject how)
{
	switch (how) {
	case BTT_INJECT:
		return media_inject_bad(media, off, len, false);
	case BTT_INJECT_LATENT:
		return media_inject_bad(media, off, len, true);
	case BTT_UNINJECT:
		return media_uninject_bad(media, off, len);
	}
	return -EINVAL;
}

/* Under the map lock, so that it is the sector's block that is hit. */
static int
apply_to_data(struct btt *btt, uint64_t sector, enum btt_inject how)
{
	struct arena *arena = btt_arena_of(btt, sector);
	uint32_t premap = (uint32_t)(sector - arena->first_sector), entry;
	uint64_t line = map_line(premap);
	struct stripe_range range;
	int r;

	stripe_lock(arena->map_locks, line, line, &range);
	if ((r = map_try_read(arena, premap, &entry)) == 0 &&
	    !map_entry_in_range(arena, entry, premap))
		r = -EIO;
	if (r == 0)
		r = apply(arena->media,
		    arena_block_off(arena, map_entry_block(entry, premap)),
		    arena->sector_bytes + arena->meta_bytes, how);
	stripe_unlock(&range);
	return r;
}

static int
apply_to_map(struct btt *btt, uint64_t sector, enum btt_inject how)
{
	const struct arena *arena = btt_arena_of(btt, sector);

	return apply(arena->media,
	    arena->map_off + (sector - arena->first_sector) * MAP_ENTRY_BYTES,
	    MAP_ENTRY_BYTES, how);
}

static int
apply_to_log(struct btt *btt, uint64_t pair, enum btt_inject how)
{
	const struct arena *arena = btt->arena;

	for (; pair >= arena->nfree; arena++)
		pair -= arena->nfree;
	return apply(arena->media, arena->log_off + pair * FLOG_GROUP_BYTES,
	    FLOG_GROUP_BYTES, how);
}

static int
apply_to_info(struct btt *btt, uint64_t copy, enum btt_inject how)
{
	const struct arena *arena = &btt->arena[copy / 2];

	return apply(arena->media,
	    copy % 2 == 0 ? arena->info_off : arena->info2_off, BTT_INFO_BYTES,
	    how);
}

static uint64_t
count_pairs(const struct btt *btt)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < btt->narena; i++)
		n += btt->arena[i].nfree;
	return n;
}

int
btt_inject_bad(struct btt *btt, enum btt_area area, uint64_t first,
    uint64_t count, enum btt_inject how)
{
	static int (*const areas[BTT_NAREA])(
	    struct btt * btt, uint64_t item, enum btt_inject how) = {
		[BTT_AREA_DATA] = apply_to_data,
		[BTT_AREA_MAP] = apply_to_map,
		[BTT_AREA_LOG] = apply_to_log,
		[BTT_AREA_INFO] = apply_to_info,
	};
	const uint64_t most[BTT_NAREA] = {
		[BTT_AREA_DATA] = btt->geometry.nsector,
		[BTT_AREA_MAP] = btt->geometry.nsector,
		[BTT_AREA_LOG] = count_pairs(btt),
		[BTT_AREA_INFO] = (uint64_t)btt->narena * 2,
	};
	int r = 0;

	if (areas[area] == NULL)
		return -EINVAL;
	if (first > most[area] || count > most[area] - first)
		return -ERANGE;
	/* What is lost must stay so while it is rebuilt. */
	if (how == BTT_UNINJECT && (r = btt_begin_clearing(btt)) < 0)
		return r;
	for (uint64_t i = 0; i < count && r == 0; i++)
		r = areas[area](btt, first + i, how);
	if (how == BTT_UNINJECT)
		btt_end_clearing(btt);
	return r;
}

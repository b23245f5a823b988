/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inject -- planting bad ranges by what is there, not by where it is.
 */
#include <assert.h>
#include <errno.h>

#include <btt/bad.h>

#include "engine.h"
#include "map.h"

struct lookup {
	const struct arena *arena;
	uint32_t premap;
	uint32_t block;
};

static int
look_up(void *arg)
{
	struct lookup *lookup = arg;
	uint32_t entry = map_read(lookup->arena, lookup->premap);

	lookup->block = map_entry_block(entry, lookup->premap);
	return map_entry_in_range(lookup->arena, entry, lookup->premap) ? 0
									: -EIO;
}

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
	struct lookup lookup = { arena,
		(uint32_t)(sector - arena->first_sector), 0 };
	uint64_t line = map_line(lookup.premap);
	struct stripe_range range;
	int r;

	stripe_lock(arena->map_locks, line, line, &range);
	if ((r = media_try(look_up, &lookup)) == 0)
		r = apply(arena->media, arena_block_off(arena, lookup.block),
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
	static const struct {
		int (*apply)(
		    struct btt *btt, uint64_t item, enum btt_inject how);
	} areas[BTT_NAREA] = {
		[BTT_AREA_DATA] = { apply_to_data },
		[BTT_AREA_MAP] = { apply_to_map },
		[BTT_AREA_LOG] = { apply_to_log },
		[BTT_AREA_INFO] = { apply_to_info },
	};
	const uint64_t most[BTT_NAREA] = {
		[BTT_AREA_DATA] = btt->geometry.nsector,
		[BTT_AREA_MAP] = btt->geometry.nsector,
		[BTT_AREA_LOG] = count_pairs(btt),
		[BTT_AREA_INFO] = (uint64_t)btt->narena * 2,
	};
	int r = 0;

	if (areas[area].apply == NULL)
		return -EINVAL;
	if (first > most[area] || count > most[area] - first)
		return -ERANGE;
	for (uint64_t i = 0; i < count && r == 0; i++)
		r = areas[area].apply(btt, first + i, how);
	return r;
}

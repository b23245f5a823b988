/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * geometry -- how much of what goes into an arena, and how many arenas go into
 * a medium (btt-format.md 1.5, 1.6).  Needed to make a BTT and to guess where
 * a backup might be; who opens one believes its own numbers, within reason
 * (info.c).
 */
#include <assert.h>
#include <errno.h>

#include "layout.h"

static uint64_t
round_down(uint64_t value, uint32_t unit)
{
	return value - value % unit;
}

static uint64_t
round_up(uint64_t value, uint32_t unit)
{
	return round_down(value + unit - 1, unit);
}

int
btt_geometry(uint64_t arena_bytes, uint32_t external_lbasize, uint32_t nfree,
    uint32_t align, struct btt_info *ret_info)
{
	struct btt_info *info = ret_info;
	uint64_t internal_lbasize;
	uint64_t log_bytes;
	uint64_t available; /* for blocks and map */
	uint64_t nblock;
	uint64_t map_bytes;

	if (!btt_sector_size_known(external_lbasize) || align == 0 ||
	    align > BTT_ALIGN || nfree == 0 || nfree > BTT_NFREE_MAX ||
	    arena_bytes > BTT_ARENA_MAX_BYTES)
		return -EINVAL;
	if (arena_bytes < BTT_ARENA_MIN_BYTES)
		return -ENOSPC;

	internal_lbasize = round_up(external_lbasize, align);
	log_bytes = round_up((uint64_t)nfree * FLOG_GROUP_BYTES, BTT_ALIGN);
	available = round_down(arena_bytes, BTT_ALIGN);
	if (available < 2 * BTT_INFO_BYTES + log_bytes + BTT_ALIGN)
		return -ENOSPC;
	available -= 2 * BTT_INFO_BYTES + log_bytes;
	/* What is set aside here pays for rounding the map up. */
	nblock = (available - BTT_ALIGN) / (internal_lbasize + MAP_ENTRY_BYTES);
	if (nblock <= nfree)
		return -ENOSPC;
	assert(nblock <= MAP_NBLOCK_MAX);
	map_bytes = round_up((nblock - nfree) * MAP_ENTRY_BYTES, BTT_ALIGN);

	info->external_lbasize = external_lbasize;
	info->external_nlba = (uint32_t)nblock - nfree;
	info->internal_lbasize = (uint32_t)internal_lbasize;
	info->internal_nlba = (uint32_t)nblock;
	info->nfree = nfree;
	info->infosize = BTT_INFO_BYTES;
	info->nextoff = 0;
	info->dataoff = BTT_INFO_BYTES;
	info->mapoff = info->dataoff + available - map_bytes;
	info->logoff = info->mapoff + map_bytes;
	info->info2off = info->logoff + log_bytes;
	assert(nblock * internal_lbasize <= info->mapoff - info->dataoff);
	return 0;
}

uint64_t
btt_arena_bytes(uint64_t raw_bytes, uint32_t index)
{
	uint64_t nfull = raw_bytes / BTT_ARENA_MAX_BYTES;
	uint64_t rest = raw_bytes % BTT_ARENA_MAX_BYTES;

	if (index < nfull)
		return BTT_ARENA_MAX_BYTES;
	/* What is too small for an arena is nobody's. */
	return index == nfull && rest >= BTT_ARENA_MIN_BYTES ? rest : 0;
}

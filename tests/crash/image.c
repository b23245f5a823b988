/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * image -- a whole, valid BTT of a few KiB: an info block, some blocks, a map
 * and a log, each on a page of its own, and the backup of the info block.
 * Written here by hand from btt-format.md, so that format.c is not its own
 * witness.
 */
#include <string.h>

#include "layout.h"
#include "world.h"

#define PAGE 4096u

static uint64_t
round_up(uint64_t n)
{
	return (n + PAGE - 1) / PAGE * PAGE;
}

void
image_layout(const struct shape *shape, struct btt_arena_place *ret_place,
    uint64_t *ret_size)
{
	struct btt_info *info = &ret_place->info;

	memset(ret_place, 0, sizeof(*ret_place));
	info->uuid[0] = 1;
	info->major = 2;
	info->external_lbasize = shape->sector_bytes + shape->meta_bytes;
	info->internal_lbasize = (info->external_lbasize + 63) / 64 * 64;
	info->external_nlba = shape->nlba;
	info->internal_nlba = shape->nlba + shape->nfree;
	info->nfree = shape->nfree;
	info->infosize = BTT_INFO_BYTES;
	info->dataoff = BTT_INFO_BYTES;
	info->mapoff = info->dataoff +
	    round_up((uint64_t)info->internal_nlba * info->internal_lbasize);
	info->logoff = info->mapoff + round_up(4 * (uint64_t)shape->nlba);
	info->info2off = info->logoff + round_up(64 * (uint64_t)shape->nfree);
	ret_place->primary = ret_place->backup = BTT_INFO_VALID;
	*ret_size = info->info2off + BTT_INFO_BYTES;
}

static void
put_entry(
    uint8_t *group, unsigned slot, uint32_t lba, uint32_t block, uint32_t seq)
{
	struct flog_media entry = {
		.lba = le32_encode(lba),
		.old_map = le32_encode(block),
		.new_map = le32_encode(block),
		.seq = le32_encode(seq),
	};

	memcpy(group + 16 * slot, &entry, sizeof(entry));
}

void
image_format(uint8_t *bytes, const struct shape *shape,
    const struct btt_arena_place *place)
{
	const struct btt_info *info = &place->info;

	memset(bytes, 0, info->info2off + BTT_INFO_BYTES);
	for (uint32_t i = 0; i < shape->nfree; i++) {
		uint8_t *group = bytes + info->logoff + 64 * (uint64_t)i;

		put_entry(group, 0, i % shape->nlba, shape->nlba + i, 1);
		/* A second entry shows which slot is the second. */
		if (shape->old_log)
			put_entry(
			    group, 2, i % shape->nlba, shape->nlba + i, 2);
	}
	btt_info_encode(info, bytes);
	btt_info_encode(info, bytes + info->info2off);
}

/* Sector 0 gets E; it keeps its block. */
void
image_mark_bad(uint8_t *bytes, const struct btt_arena_place *place)
{
	struct le32 word;
	uint32_t entry;

	memcpy(&word, bytes + place->info.mapoff, sizeof(word));
	entry = le32_decode(word);
	word = le32_encode(MAP_ERROR | map_entry_block(entry, 0));
	memcpy(bytes + place->info.mapoff, &word, sizeof(word));
}

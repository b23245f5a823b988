/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * image -- a whole, valid BTT of a few KiB: an info block, some blocks, a map
 * and a log, each on a page of its own, and the backup of the info block.
 * Written here by hand from btt-format.md, so that format.c is not its own
 * witness.
 */
#include <assert.h>
#include <string.h>

#include "layout.h"
#include "world.h"

#define PAGE 4096u

static uint64_t
round_up(uint64_t n)
{
	return (n + PAGE - 1) / PAGE * PAGE;
}

uint64_t
image_layout(
    const struct shape *shape, struct btt_arena_place ret_place[ARENAS_MAX])
{
	uint32_t narena = shape->narena > 0 ? shape->narena : 1;
	struct btt_info info = {
		.uuid = { 1 },
		.major = 2,
		.external_lbasize = shape->sector_bytes + shape->meta_bytes,
		.external_nlba = shape->nlba / narena + shape->ntail,
		.nfree = shape->nfree,
		.infosize = BTT_INFO_BYTES,
		.dataoff = BTT_INFO_BYTES,
	};
	uint64_t bytes;

	assert(narena <= ARENAS_MAX && shape->nlba % narena == 0);
	/* Else a tail's sectors would lie between those of two arenas. */
	assert(narena == 1 || shape->ntail == 0);
	info.internal_lbasize = (info.external_lbasize + 63) / 64 * 64;
	info.internal_nlba = info.external_nlba + info.nfree;
	info.mapoff = info.dataoff +
	    round_up((uint64_t)info.internal_nlba * info.internal_lbasize);
	info.logoff = info.mapoff + round_up(4 * (uint64_t)info.external_nlba);
	info.info2off = info.logoff + round_up(64 * (uint64_t)info.nfree);
	bytes = info.info2off + BTT_INFO_BYTES;
	for (uint32_t a = 0; a < narena; a++) {
		info.nextoff = a + 1 < narena ? bytes : 0;
		ret_place[a] = (struct btt_arena_place){
			.off = a * bytes,
			.info = info,
			.primary = BTT_INFO_VALID,
			.backup = BTT_INFO_VALID,
		};
	}
	return narena * bytes;
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
image_format(uint8_t *bytes, const struct btt_arena_place *place,
    const struct shape *shape)
{
	const struct btt_info *info = &place->info;
	uint32_t nlba = info->external_nlba;

	bytes += place->off;
	memset(bytes, 0, info->info2off + BTT_INFO_BYTES);
	for (uint32_t i = 0; i < info->nfree; i++) {
		uint8_t *group = bytes + info->logoff + 64 * (uint64_t)i;

		put_entry(group, 0, i % nlba, nlba + i, 1);
		/* A second entry shows which slot is the second. */
		if (shape->old_log)
			put_entry(group, 2, i % nlba, nlba + i, 2);
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

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * place -- which part of a BTT is where on the medium.
 */
#include <btt/bad.h>

#include "arena.h"
#include "engine.h"

const char *
btt_area_name(enum btt_area area)
{
	static const char *const names[BTT_NAREA] = {
		[BTT_AREA_DATA] = "data",
		[BTT_AREA_MAP] = "map",
		[BTT_AREA_LOG] = "log",
		[BTT_AREA_INFO] = "info",
		[BTT_AREA_UNUSED] = "unused",
		[BTT_AREA_OUTSIDE] = "outside",
	};

	return names[area];
}

/* A row of equal items. */
struct part {
	enum btt_area area;
	uint64_t off, n, item_bytes;
};

/* True if off is in the part. */
static bool
is_in_part(const struct part *part, uint64_t off, struct btt_place *place)
{
	uint64_t end = part->off + part->n * part->item_bytes;

	if (off < part->off || off >= end) {
		/* What lies between two parts ends where the next begins. */
		if (off < part->off && part->off < place->end)
			place->end = part->off;
		return false;
	}
	place->area = part->area;
	place->item = (off - part->off) / part->item_bytes;
	place->off = part->off + place->item * part->item_bytes;
	place->len = part->item_bytes;
	place->end = end;
	return true;
}

static void
find_in_arena(const struct arena *arena, uint64_t off, struct btt_place *place)
{
	const struct part parts[] = {
		{ BTT_AREA_INFO, arena->info_off, 1, BTT_INFO_BYTES },
		{ BTT_AREA_DATA, arena->data_off, arena->internal_nlba,
		    arena->internal_lbasize },
		{ BTT_AREA_MAP, arena->map_off, arena->external_nlba,
		    MAP_ENTRY_BYTES },
		{ BTT_AREA_LOG, arena->log_off, arena->nfree,
		    FLOG_GROUP_BYTES },
		{ BTT_AREA_INFO, arena->info2_off, 1, BTT_INFO_BYTES },
	};
	unsigned i;

	place->area = BTT_AREA_UNUSED;
	place->arena = arena->index;
	for (i = 0; i < 5 && !is_in_part(&parts[i], off, place); i++)
		;
	if (place->area == BTT_AREA_MAP)
		place->item += arena->first_sector;
	else if (i == 4)
		place->item = 1;
}

void
btt_find_place(const struct btt *btt, uint64_t off, struct btt_place *ret_place)
{
	uint64_t end;

	*ret_place = (struct btt_place){
		.area = BTT_AREA_OUTSIDE,
		.off = off,
		.end = btt->media->size,
	};
	for (uint32_t i = 0; i < btt->narena; i++) {
		const struct arena *arena = &btt->arena[i];

		end = arena->info2_off + BTT_INFO_BYTES;
		if (off >= end)
			continue;
		if (off >= arena->info_off) {
			ret_place->end = end;
			find_in_arena(arena, off, ret_place);
		} else {
			ret_place->end = arena->info_off;
		}
		break;
	}
	if (ret_place->len == 0)
		ret_place->len = ret_place->end - off;
}

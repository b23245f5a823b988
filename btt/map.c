/* SPDX-License-Identifier: BSD-3-Clause */
#include "map.h"

#include "hook.h"

int
map_store(struct arena *arena, uint32_t premap, uint32_t entry)
{
	struct le32 word = le32_encode(entry);

	HOOK_POINT("map store");
	return MUTATE(31,
	    media_store32(arena->media, map_entry_off(arena, premap), word),
	    media_copy(arena->media, map_entry_off(arena, premap), &word,
		sizeof(word)));
}

int
map_flush(struct arena *arena, uint32_t premap, uint32_t n)
{
	return media_flush(arena->media, map_entry_off(arena, premap),
	    (size_t)n * MAP_ENTRY_BYTES);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "map.h"

#include <assert.h>

#include "hook.h"
#include "overlay.h"

static uint64_t
entry_off(const struct arena *arena, uint32_t premap)
{
	assert(premap < arena->external_nlba);
	return arena->map_off + (uint64_t)premap * MAP_ENTRY_BYTES;
}

uint32_t
map_read_media(const struct arena *arena, uint32_t premap)
{
	HOOK_POINT("map load");
	return media_load32(arena->media, entry_off(arena, premap));
}

uint32_t
map_read(const struct arena *arena, uint32_t premap)
{
	uint32_t entry;

	if (arena->overlays != NULL &&
	    overlay_pair_find(arena->overlays, premap, &entry))
		return entry;
	return map_read_media(arena, premap);
}

int
map_store(struct arena *arena, uint32_t premap, uint32_t entry)
{
	struct le32 word = le32_encode(entry);

	HOOK_POINT("map store");
	return MUTATE(31,
	    media_store32(arena->media, entry_off(arena, premap), word),
	    media_copy(
		arena->media, entry_off(arena, premap), &word, sizeof(word)));
}

int
map_flush(struct arena *arena, uint32_t premap, uint32_t n)
{
	return media_flush(arena->media, entry_off(arena, premap),
	    (size_t)n * MAP_ENTRY_BYTES);
}

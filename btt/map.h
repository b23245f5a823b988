/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_MAP_H
#define BTT_MAP_H

/*
 * map -- which block a sector has.
 *
 * An entry is one aligned 32-bit word, read without a lock and changed only
 * under the map lock of its line (I5).  Every block number is compared with
 * the arena at every read: media is hostile also after it was checked.
 *
 * What a reader sees may be ahead of the medium: entries of the arena's
 * overlays, where there are any, come before the word on the medium
 * (overlay.h).  The overlays are asked first, newest first, and the medium
 * last; entries move in the other direction, so none is missed on its way.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "badlist.h"
#include "hook.h"
#include "layout.h"
#include "overlay.h"

/* Entries of a unit that media lose and get back as a whole. */
#define MAP_UNIT_ENTRIES (BAD_UNIT / MAP_ENTRY_BYTES)

/* The end of the unit that premap is in, or of the map. */
static inline uint32_t
map_unit_end(const struct arena *arena, uint32_t premap)
{
	uint32_t end = premap - premap % MAP_UNIT_ENTRIES + MAP_UNIT_ENTRIES;

	return end < arena->external_nlba ? end : arena->external_nlba;
}

/* Where the entry of premap lies. */
static inline uint64_t
map_entry_off(const struct arena *arena, uint32_t premap)
{
	assert(premap < arena->external_nlba);
	return arena->map_off + (uint64_t)premap * MAP_ENTRY_BYTES;
}

/* The raw word on the medium.  Inside media_try(). */
static inline uint32_t
map_read_media(const struct arena *arena, uint32_t premap)
{
	uint64_t off = map_entry_off(arena, premap);

	HOOK_POINT("map load");
	HOOK_LOAD(media_at(arena->media, off), MAP_ENTRY_BYTES);
	return HOOK_SEEN32(
	    media_at(arena->media, off), media_load32(arena->media, off));
}

/* The same, where there are overlays that may be ahead of it. */
uint32_t map_read_overlaid(const struct arena *arena, uint32_t premap);

/* The raw entry of premap as readers must see it.  Inside media_try(). */
static inline uint32_t
map_read(const struct arena *arena, uint32_t premap)
{
	return arena->overlays == NULL ? map_read_media(arena, premap)
				       : map_read_overlaid(arena, premap);
}

/* The same by itself: 0, or -EIO. */
int map_try_read(const struct arena *arena, uint32_t premap,
    uint32_t *ret_entry) BTT_MUST_CHECK;

/*
 * Store a raw entry on the medium; visible on return, not flushed.
 * Inside media_try().
 */
static inline BTT_MUST_CHECK int
map_store(struct arena *arena, uint32_t premap, uint32_t entry)
{
	uint64_t off = map_entry_off(arena, premap);
	struct le32 word = le32_encode(entry);

	HOOK_POINT("map store");
	return MUTATE(31, media_store32(arena->media, off, word),
	    media_copy(arena->media, off, &word, sizeof(word)));
}

/* Start the write-back of the entries premap .. premap + n - 1. */
static inline BTT_MUST_CHECK int
map_flush(struct arena *arena, uint32_t premap, uint32_t n)
{
	return media_flush(arena->media, map_entry_off(arena, premap),
	    (size_t)n * MAP_ENTRY_BYTES);
}

/* The entry will be wanted soon: a hint, for the cache, which touches nothing. */
static inline void
map_prefetch(const struct arena *arena, uint32_t premap)
{
	__builtin_prefetch(
	    media_at(arena->media, map_entry_off(arena, premap)));
}

/*
 * Is the word of premap, or of one of the n from there on, known to be lost?
 * Costs a load or two while nothing is.
 */
static inline bool
map_is_bad(const struct arena *arena, uint32_t premap, uint32_t n)
{
	return media_is_bad(arena->media,
	    arena->map_off + (uint64_t)premap * MAP_ENTRY_BYTES,
	    (size_t)n * MAP_ENTRY_BYTES);
}

/* Does the entry own a block that the arena has? */
static inline bool
map_entry_in_range(const struct arena *arena, uint32_t entry, uint32_t premap)
{
	return map_entry_block(entry, premap) < arena->internal_nlba;
}

/* The lock of a premap LBA's line, as a stripe number (5.3). */
static inline uint64_t
map_line(uint32_t premap)
{
	return premap / MAP_LINE_ENTRIES;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_LAYOUT_H
#define BTT_LAYOUT_H

/*
 * layout -- the bytes of an arena, and the only place that knows them.
 *
 *	0                primary info block         4096
 *	dataoff          internal blocks            internal_nlba strides
 *	mapoff           map                        4 bytes a sector
 *	logoff           log: 64 bytes a pair       nfree of them
 *	info2off         backup info block          4096
 *
 * Every part starts on a multiple of 4096; offsets on media are relative to
 * the arena.  (btt-format.md 1.1, 1.2, 2.1, 3.1)
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include <btt/endian.h>
#include <btt/format.h>

/* Info block, 1.2.  The signature is 14 letters and two zero bytes. */
struct info_media {
	uint8_t signature[16];
	uint8_t uuid[16];
	uint8_t parent_uuid[16];
	struct le32 flags;
	struct le16 major;
	struct le16 minor;
	struct le32 external_lbasize;
	struct le32 external_nlba;
	struct le32 internal_lbasize;
	struct le32 internal_nlba;
	struct le32 nfree;
	struct le32 infosize;
	struct le64 nextoff;
	struct le64 dataoff;
	struct le64 mapoff;
	struct le64 logoff;
	struct le64 info2off;
	uint8_t padding[3968];
	struct le64 checksum;
};
static_assert(sizeof(struct info_media) == BTT_INFO_BYTES, "media format");
static_assert(offsetof(struct info_media, flags) == 48, "media format");
static_assert(offsetof(struct info_media, nextoff) == 80, "media format");
static_assert(offsetof(struct info_media, info2off) == 112, "media format");
static_assert(offsetof(struct info_media, checksum) == 4088, "summed last");

extern const uint8_t info_signature[16];

/*
 * Fletcher-64 of 1.3, which labels have too: over len bytes, a multiple of 4,
 * the 8 bytes of the sum itself at sum_off counted as zero.
 */
uint64_t layout_checksum(const uint8_t *bytes, size_t len, size_t sum_off);

/* Log entry, 3.1: one half of a pair. */
struct flog_media {
	struct le32 lba;
	struct le32 old_map;
	struct le32 new_map;
	struct le32 seq;
};
static_assert(sizeof(struct flog_media) == 16, "media format");
static_assert(offsetof(struct flog_media, new_map) == 8,
    "the two halves of an entry are stored as 8 bytes each");
static_assert(offsetof(struct flog_media, seq) == 12, "seq is stored last");

/* Room of one pair: four entries, two of them used (3.1). */
#define FLOG_GROUP_BYTES 64u
#define FLOG_GROUP_SLOTS 4u

/* Map entry, 2.1. */
#define MAP_ENTRY_BYTES 4u
#define MAP_BLOCK_MASK UINT32_C(0x3fffffff)
#define MAP_ERROR UINT32_C(0x40000000) /* E */
#define MAP_ZERO UINT32_C(0x80000000)  /* Z */
#define MAP_NORMAL (MAP_ERROR | MAP_ZERO)
/* Blocks are counted in 30 bits. */
#define MAP_NBLOCK_MAX (MAP_BLOCK_MASK + UINT32_C(1))
/* Entries of one 64-byte line share a map lock (5.3). */
#define MAP_LINE_ENTRIES 16u

enum map_state {
	MAP_STATE_INITIAL, /* never written: owns the block of its own number */
	MAP_STATE_ERROR,
	MAP_STATE_ZERO,
	MAP_STATE_NORMAL,
};

static inline enum map_state
map_entry_state(uint32_t entry)
{
	return (enum map_state)(entry >> 30);
}

/* The block that the entry of premap owns, whatever its state (2.1). */
static inline uint32_t
map_entry_block(uint32_t entry, uint32_t premap)
{
	return map_entry_state(entry) == MAP_STATE_INITIAL
	    ? premap
	    : entry & MAP_BLOCK_MASK;
}

#endif

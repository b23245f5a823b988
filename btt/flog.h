/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_FLOG_H
#define BTT_FLOG_H

/*
 * flog -- free list and write log of one arena: nfree pairs of entries.
 *
 * A pair remembers the last write that used its free block: which sector, the
 * block it had (which is the pair's free block from then on) and the block it
 * got.  The older half is overwritten, body first, sequence number last, so
 * the newer half stays whole at every instant (I4, ARCHITECTURE.md).
 *
 * Functions here are pure but for the two stores.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include <btt/media.h>

#include "hook.h"
#include "layout.h"

/* Which two of the four slots of a group are in use: (0,1) or (0,2), 3.1. */
struct flog_slots {
	uint8_t slot[2];
};

#define FLOG_SLOTS_NEW ((struct flog_slots){ { 0, 1 } })
#define FLOG_SLOTS_OLD ((struct flog_slots){ { 0, 2 } })

/* Slots of a group that are not all zero, one bit each. */
#define FLOG_USED_FIRST 1u /* never written to since create */
#define FLOG_USED_NEW 3u
#define FLOG_USED_OLD 5u
unsigned flog_used_slots(const struct flog_media group[FLOG_GROUP_SLOTS]);

/* Host form of an entry.  Block numbers keep the flags they had on media. */
struct flog_entry {
	uint32_t lba;
	uint32_t old_map;
	uint32_t new_map;
	uint32_t seq;
};

struct flog_entry flog_decode(const struct flog_media *media);
void flog_encode(const struct flog_entry *entry, struct flog_media *ret_media);

/*
 * Find the slots in use by the rule of 3.2, stricter where that rule accepts
 * what would lose data: a group without any entry is refused anywhere.
 * log is nfree groups of FLOG_GROUP_SLOTS entries.
 * Returns: 0, or -EUCLEAN with the number of the first group that contradicts.
 */
int flog_detect(const struct flog_media *log, uint32_t nfree,
    struct flog_slots *ret_slots, uint32_t *ret_bad_group) BTT_MUST_CHECK;

/*
 * Which of two sequence numbers is newer, 0 or 1; -EUCLEAN where the answer
 * would be a guess: equal, above 3, or (2,0) and (3,0), which implementations
 * read differently (3.3).
 */
int flog_pick(uint32_t seq0, uint32_t seq1) BTT_MUST_CHECK;

/* 1, 2, 3, 1 ...; seq is 1, 2 or 3. */
static inline uint32_t
flog_next_seq(uint32_t seq)
{
	assert(seq >= 1 && seq <= 3);
	return seq == 3 ? 1 : seq + 1;
}

/*
 * The fresh entry of pair number index: nothing to recover (3.4).  Its lba is
 * index, which is taken modulo external_nlba where there are more pairs than
 * sectors.
 */
struct flog_entry
flog_initial(uint32_t index, uint32_t external_nlba, enum btt_layout layout);

/*
 * Does a newest entry make sense in its arena: lba below external_nlba, both
 * blocks below internal_nlba after masking?  Returns 0 or -EUCLEAN, and which
 * field ("lba", "old_map", "new_map") in ret_field.
 */
int flog_validate(const struct flog_entry *entry, uint32_t external_nlba,
    uint32_t internal_nlba, const char **ret_field) BTT_MUST_CHECK;

/* Eight bytes of an entry, first and second word in the order of the medium. */
static inline int
flog_store_half(
    struct media *media, uint64_t off, uint32_t first, uint32_t second)
{
	int r;

	r = media_store64(
	    media, off, le64_encode((uint64_t)second << 32 | first));
	if (r < 0 || MUTANT(off % 16 == 0 ? 37 : 38))
		return r;
	return media_flush(media, off, sizeof(struct le64));
}

/*
 * The two halves of an entry at off (bytes on the medium, 16-aligned), one
 * 8-byte store each, and the start of their write-back.  A crash between them
 * leaves a body under the old sequence number, which is the older half still.
 */
static inline BTT_MUST_CHECK int
flog_store_body(
    struct media *media, uint64_t off, uint32_t lba, uint32_t old_map)
{
	assert(off % sizeof(struct flog_media) == 0);
	return flog_store_half(
	    media, off + offsetof(struct flog_media, lba), lba, old_map);
}

static inline BTT_MUST_CHECK int
flog_store_commit(
    struct media *media, uint64_t off, uint32_t new_map, uint32_t seq)
{
	assert(off % sizeof(struct flog_media) == 0);
	assert(seq >= 1 && seq <= 3);
	if (MUTANT(8))
		(void)media_store32(media,
		    off + offsetof(struct flog_media, seq), le32_encode(seq));
	return flog_store_half(
	    media, off + offsetof(struct flog_media, new_map), new_map, seq);
}

#endif

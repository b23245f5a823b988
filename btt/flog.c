/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * flog -- log entries: which slots of a group are in use, which of two entries
 * is newer, and the two stores of a new one (btt-format.md 3).
 */
#include "flog.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

struct flog_entry
flog_decode(const struct flog_media *media)
{
	return (struct flog_entry){
		.lba = le32_decode(media->lba),
		.old_map = le32_decode(media->old_map),
		.new_map = le32_decode(media->new_map),
		.seq = le32_decode(media->seq),
	};
}

void
flog_encode(const struct flog_entry *entry, struct flog_media *ret_media)
{
	*ret_media = (struct flog_media){
		.lba = le32_encode(entry->lba),
		.old_map = le32_encode(entry->old_map),
		.new_map = le32_encode(entry->new_map),
		.seq = le32_encode(entry->seq),
	};
}

unsigned
flog_used_slots(const struct flog_media group[FLOG_GROUP_SLOTS])
{
	static const struct flog_media empty;
	unsigned used = 0;

	for (unsigned i = 0; i < FLOG_GROUP_SLOTS; i++) {
		if (memcmp(&group[i], &empty, sizeof(empty)) != 0)
			used |= 1u << i;
	}
	return used;
}

/*
 * Both layouts keep the first entry in slot 0, so slot 0 is in use in every
 * group, and all groups together use at most one slot beside it.
 */
int
flog_detect(const struct flog_media *log, uint32_t nfree,
    struct flog_slots *ret_slots, uint32_t *ret_bad_group)
{
	unsigned all = 0;

	for (uint32_t i = 0; i < nfree; i++) {
		unsigned used =
		    flog_used_slots(&log[(size_t)i * FLOG_GROUP_SLOTS]);

		all |= used;
		if (!(used & FLOG_USED_FIRST) ||
		    (all != FLOG_USED_FIRST && all != FLOG_USED_NEW &&
			all != FLOG_USED_OLD)) {
			*ret_bad_group = i;
			return -EUCLEAN;
		}
	}
	/* A log that was never written to is the same in both layouts. */
	*ret_slots = all == FLOG_USED_OLD ? FLOG_SLOTS_OLD : FLOG_SLOTS_NEW;
	return 0;
}

/*
 * Numbers run 1, 2, 3, 1 ...  A second slot is empty, 0, only until the first
 * slot's first successor is written: (1,0) is the one legal pair with a 0 in
 * the second place.  A 0 in the first place does not occur either, but all
 * implementations read it alike.
 */
int
flog_pick(uint32_t seq0, uint32_t seq1)
{
	if (seq0 > 3 || seq1 > 3 || seq0 == seq1)
		return -EUCLEAN;
	if (seq0 == 0)
		return 1;
	if (seq1 == 0)
		return seq0 == 1 ? 0 : -EUCLEAN;
	return flog_next_seq(seq0) == seq1 ? 1 : 0;
}

/*
 * ndctl wants every lba to be a sector, and libpmemblk wants no two pairs to
 * claim one, so far as that goes: with more pairs than sectors it does not.
 */
struct flog_entry
flog_initial(uint32_t index, uint32_t external_nlba, enum btt_layout layout)
{
	uint32_t flags = layout == BTT_LAYOUT_POOL ? MAP_ZERO : 0;
	uint32_t block = external_nlba + index;

	assert(external_nlba > 0 && block <= MAP_BLOCK_MASK);
	return (struct flog_entry){
		.lba = index % external_nlba,
		.old_map = block | flags,
		.new_map = block | flags,
		.seq = 1,
	};
}

int
flog_validate(const struct flog_entry *entry, uint32_t external_nlba,
    uint32_t internal_nlba, const char **ret_field)
{
	if (entry->lba >= external_nlba)
		*ret_field = "lba";
	else if ((entry->old_map & MAP_BLOCK_MASK) >= internal_nlba)
		*ret_field = "old_map";
	else if ((entry->new_map & MAP_BLOCK_MASK) >= internal_nlba)
		*ret_field = "new_map";
	else
		return 0;
	return -EUCLEAN;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_UNDO_FILE_H
#define BTT_UNDO_FILE_H

/*
 * undo_file -- an undo file that was read and verified: every record lies on a
 * medium of the size that it says, and has all its bytes.
 */
#include "undo_impl.h"

struct undo_record {
	uint64_t off;
	uint32_t bytes;
	uint32_t round;
	const uint8_t *content; /* in the body */
};

/* Immutable once it was read. */
struct btt_undo {
	struct btt_undo_summary summary;
	uint64_t uuid_off;
	struct undo_record *record; /* nwrite, in their order, then nlog */
	uint32_t nlog;
	uint8_t *body;
	size_t body_bytes;
};

static inline const uint8_t *
undo_before(const struct undo_record *record)
{
	return record->content;
}

static inline const uint8_t *
undo_after(const struct undo_record *record)
{
	return record->content + undo_padded(record->bytes);
}

#endif

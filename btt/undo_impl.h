/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_UNDO_IMPL_H
#define BTT_UNDO_IMPL_H

/*
 * undo -- the bytes of an undo file.
 *
 *	header		128 bytes
 *	records		one after the other, each followed by its bytes
 *
 * Numbers are little-endian.  A record of a write has the bytes before and
 * after it, as many as it says, which is 4 (then with 4 zeroes behind), 8 or
 * 4096.  They come in the order in which a repair makes them, so several of one
 * place are one upon the other.  A record of a log has a checksum of that range
 * with everything that is written to counted as zero.
 *
 * The header is written last, so a file that was cut short has none.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include <btt/endian.h>
#include <btt/undo.h>

#define UNDO_VERSION 1u
#define UNDO_HEADER_BYTES 128u
/* Any plan's file is smaller; what a hostile one can make us read. */
#define UNDO_BYTES_MAX (UINT64_C(1) << 30)

extern const uint8_t undo_signature[16];

struct undo_header_media {
	uint8_t signature[16];
	struct le32 version;
	struct le32 header_bytes;
	struct le64 media_bytes;
	struct le64 device;
	struct le64 inode;
	struct le32 is_block_device;
	struct le32 nrecord;
	uint8_t uuid[16];
	struct le64 uuid_off; /* of these bytes, on the medium */
	struct le64 created;
	struct le64 body_bytes;
	struct le64 body_sum;
	uint8_t unused[16];
	struct le64 sum; /* of the header */
};
static_assert(sizeof(struct undo_header_media) == UNDO_HEADER_BYTES, "format");
static_assert(offsetof(struct undo_header_media, sum) == 120, "format");

/* The round of a record of a log. */
#define UNDO_ROUND_LOG UINT32_MAX

struct undo_record_media {
	struct le64 off; /* on the medium */
	struct le32 bytes;
	struct le32 round;
};
static_assert(sizeof(struct undo_record_media) == 16, "format");

/* How many bytes follow a record of so many, twice; of a log's, once. */
static inline size_t
undo_padded(uint32_t bytes)
{
	return (bytes + 7u) & ~(size_t)7;
}

/* A range of the medium that is written to. */
struct undo_range {
	uint64_t off;
	uint32_t bytes;
};

/*
 * The checksum of a log, in 8-byte words, with the ranges, which ascend and may
 * overlap, counted as zero.  Returns 0, -EIO or -ENOMEM.
 */
int undo_sum_log(const struct media *media, uint64_t off, uint32_t bytes,
    const struct undo_range *range, uint32_t nrange, uint64_t *ret_sum)
    BTT_MUST_CHECK;
/* For sorting ranges by their place. */
int undo_compare_ranges(const void *a, const void *b);

#endif

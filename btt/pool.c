/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool -- the two pages in front of the BTT of a PMDK pmemblk pool: the pool
 * header and the descriptor (btt-format.md 8.2).
 */
#include <string.h>

#include "layout.h"
#include "probe.h"

struct pool_header_media {
	uint8_t signature[8];
	struct le32 major;
	struct le32 compat;
	struct le32 incompat;
	struct le32 ro_compat;
	uint8_t set_uuid[16];
	uint8_t rest[4048];
	struct le64 checksum;
};
static_assert(sizeof(struct pool_header_media) == 4096, "media format");
static_assert(offsetof(struct pool_header_media, set_uuid) == POOL_UUID_OFFSET,
    "media format");
static_assert(
    offsetof(struct pool_header_media, checksum) == 4088, "at the end");

/* What follows in the page are pointers of a process that is gone. */
struct pool_descriptor_media {
	struct le32 block_bytes;
	uint8_t rest[4092];
};
static_assert(sizeof(struct pool_descriptor_media) == BTT_INFO_BYTES, "a page");

#define POOL_MAJOR 1u
/* Only the first half of the header is summed. */
#define POOL_INCOMPAT_CHECKSUM_2K 2u
#define POOL_CHECKSUM_2K_BYTES 2048u
/* Parts without a header, checksum of a half, shutdown state. */
#define POOL_INCOMPAT_KNOWN 7u

static const uint8_t pool_signature[8] = "PMEMBLK";

static bool
checksum_is_right(const struct pool_header_media *header)
{
	uint8_t block[BTT_INFO_BYTES];

	memcpy(block, header, sizeof(block));
	if (le32_decode(header->incompat) & POOL_INCOMPAT_CHECKSUM_2K)
		memset(block + POOL_CHECKSUM_2K_BYTES, 0,
		    sizeof(block) - POOL_CHECKSUM_2K_BYTES);
	/* The sum is the info block's, and lies in the same place. */
	return btt_info_checksum(block) == le64_decode(header->checksum);
}

void
pool_find(const struct media *media, struct pool *ret_pool)
{
	struct pool_header_media header;
	struct pool_descriptor_media descriptor;
	uint8_t block[BTT_INFO_BYTES];
	struct pool *pool = ret_pool;

	memset(pool, 0, sizeof(*pool));
	if (probe_read_block(media, 0, block) < 0)
		return;
	memcpy(&header, block, sizeof(header));
	if (memcmp(header.signature, pool_signature, sizeof(pool_signature)) !=
	    0)
		return;
	memcpy(pool->uuid, header.set_uuid, sizeof(pool->uuid));
	if (!checksum_is_right(&header)) {
		pool->state = POOL_BROKEN;
		return;
	}
	if (le32_decode(header.major) != POOL_MAJOR ||
	    (le32_decode(header.incompat) & ~POOL_INCOMPAT_KNOWN) != 0) {
		pool->state = POOL_UNKNOWN;
		return;
	}
	pool->state = POOL_VALID;
	if (probe_read_block(media, POOL_DESCRIPTOR_OFFSET, block) == 0) {
		memcpy(&descriptor, block, sizeof(descriptor));
		pool->block_bytes = le32_decode(descriptor.block_bytes);
	}
}

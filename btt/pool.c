/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool -- the two pages in front of the BTT of a PMDK pmemblk pool: the pool
 * header and the descriptor (btt-format.md 8.2).
 */
#include <elf.h>
#include <errno.h>
#include <stdalign.h>
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
	uint8_t uuid[16];         /* of this part of the set */
	uint8_t neighbour[4][16]; /* parts and replicas before and behind */
	struct le64 created;      /* seconds since 1970 */
	struct le64 alignments;
	uint8_t machine_class;
	uint8_t machine_data;
	uint8_t reserved[4];
	struct le16 machine;
	uint8_t unused[1904 + 1976];
	uint8_t shutdown_state[64]; /* all zero: never used */
	struct le64 checksum;
};
static_assert(sizeof(struct pool_header_media) == 4096, "media format");
static_assert(offsetof(struct pool_header_media, set_uuid) == POOL_UUID_OFFSET,
    "media format");
static_assert(
    offsetof(struct pool_header_media, created) == 120, "media format");
static_assert(
    offsetof(struct pool_header_media, machine) == 142, "media format");
static_assert(
    offsetof(struct pool_header_media, shutdown_state) == 4024, "media format");
static_assert(
    offsetof(struct pool_header_media, checksum) == 4088, "at the end");

/*
 * Behind the first two are the variables of a process that is gone.  Nobody
 * believes them but pmempool info, which finds the BTT by the difference of
 * its two addresses.
 */
struct pool_descriptor_media {
	struct le32 block_bytes;
	struct le32 is_zeroed; /* the file was zero before there was a BTT */
	struct le64 address;   /* of the file */
	struct le64 bytes;
	struct le32 flags[2];
	struct le64 btt_address;
	struct le64 btt_bytes;
	uint8_t rest[4048];
};
static_assert(
    offsetof(struct pool_descriptor_media, btt_address) == 32, "media format");
static_assert(sizeof(struct pool_descriptor_media) == BTT_INFO_BYTES, "a page");

#define POOL_MAJOR 1u
#define POOL_COMPAT_CHECK_BAD_BLOCKS 1u
/* Only the first half of the header is summed. */
#define POOL_INCOMPAT_CHECKSUM_2K 2u
#define POOL_CHECKSUM_2K_BYTES 2048u
/* Parts without a header, checksum of a half, shutdown state. */
#define POOL_INCOMPAT_KNOWN 7u
#define POOL_INCOMPAT_SHUTDOWN_STATE 4u

/* Whose pages are of 64 KiB, so that the BTT begins elsewhere (8.2). */
#define MACHINE_ELSEWHERE EM_PPC64
#if defined(__x86_64__)
#define MACHINE_OURS EM_X86_64
#elif defined(__aarch64__)
#define MACHINE_OURS EM_AARCH64
#else
#define MACHINE_OURS EM_NONE
#endif

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

/* Do other files belong to it? */
static bool
is_one_of_several(const struct pool_header_media *header)
{
	for (size_t i = 0; i < 4; i++) {
		if (memcmp(header->neighbour[i], header->uuid,
			sizeof(header->uuid)) != 0)
			return true;
	}
	return false;
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
	    (le32_decode(header.incompat) & ~POOL_INCOMPAT_KNOWN) != 0 ||
	    header.machine_data == ELFDATA2MSB ||
	    le16_decode(header.machine) == MACHINE_ELSEWHERE) {
		pool->state = POOL_UNKNOWN;
		return;
	}
	pool->state = is_one_of_several(&header) ? POOL_PART : POOL_VALID;
	if (probe_read_block(media, POOL_DESCRIPTOR_OFFSET, block) == 0) {
		memcpy(&descriptor, block, sizeof(descriptor));
		pool->block_bytes = le32_decode(descriptor.block_bytes);
	}
}

/*
 * How types are aligned where the pool was made, four bits each: libpmemblk
 * opens no pool of another machine.
 */
static uint64_t
alignments(void)
{
	const size_t align[] = { alignof(char), alignof(short), alignof(int),
		alignof(long), alignof(long long), sizeof(size_t),
		sizeof(int64_t), alignof(float), alignof(double),
		alignof(long double), alignof(void *) };
	uint64_t word = 0;

	for (size_t i = 0; i < sizeof(align) / sizeof(align[0]); i++)
		word |= (uint64_t)(align[i] - 1) << 4 * i;
	return word;
}

int
pool_encode(const struct btt_create_options *options, uint64_t media_bytes,
    uint8_t ret_header[BTT_INFO_BYTES], uint8_t ret_descriptor[BTT_INFO_BYTES])
{
	struct pool_descriptor_media descriptor = {
		.block_bytes = le32_encode(options->sector_bytes),
		/*
		 * The map is not zero for long.  Should its info block ever be
		 * lost, libpmemblk takes the pool for a new one, and would use
		 * the map as it finds it if this were set.
		 */
		.is_zeroed = le32_encode(0),
		.bytes = le64_encode(media_bytes),
		.btt_address = le64_encode(BTT_POOL_OFFSET),
		.btt_bytes = le64_encode(media_bytes - BTT_POOL_OFFSET),
	};
	struct pool_header_media header = {
		.major = le32_encode(POOL_MAJOR),
		.compat = le32_encode(POOL_COMPAT_CHECK_BAD_BLOCKS),
		.incompat = le32_encode(
		    POOL_INCOMPAT_CHECKSUM_2K | POOL_INCOMPAT_SHUTDOWN_STATE),
		.created = le64_encode(options->pool_created),
		.alignments = le64_encode(alignments()),
		.machine_class = ELFCLASS64,
		.machine_data = ELFDATA2LSB,
		.machine = le16_encode(MACHINE_OURS),
	};

	if (MACHINE_OURS == EM_NONE)
		return -ENOTSUP;
	memcpy(header.signature, pool_signature, sizeof(header.signature));
	memcpy(header.set_uuid, options->parent_uuid, sizeof(header.set_uuid));
	memcpy(header.uuid, options->pool_part_uuid, sizeof(header.uuid));
	for (size_t i = 0; i < 4; i++)
		memcpy(header.neighbour[i], header.uuid, sizeof(header.uuid));
	memcpy(ret_header, &header, sizeof(header));
	/* Its second half is zero: the sum of the first is that of all. */
	header.checksum = le64_encode(btt_info_checksum(ret_header));
	memcpy(ret_header, &header, sizeof(header));
	memcpy(ret_descriptor, &descriptor, sizeof(descriptor));
	return 0;
}

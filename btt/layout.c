/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * layout -- the one encoder and the one decoder of the info block, and the
 * sector sizes.  Whether the numbers make sense is asked in info.c.
 */
#include "layout.h"

#include <assert.h>
#include <string.h>

const uint8_t info_signature[16] = "BTT_ARENA_INFO";

/*
 * The sizes of the kernel, where a sector may carry metadata behind its data
 * (btt-format.md 1.8), and the other powers of two up to BTT_SECTOR_MAX.
 */
static const struct {
	uint32_t external_lbasize;
	uint32_t data_bytes;
} sector_sizes[] = {
	{ 512, 512 },
	{ 520, 512 },
	{ 528, 512 },
	{ 1024, 1024 },
	{ 2048, 2048 },
	{ 4096, 4096 },
	{ 4104, 4096 },
	{ 4160, 4096 },
	{ 4224, 4096 },
	{ 8192, 8192 },
	{ 16384, 16384 },
	{ 32768, 32768 },
	{ BTT_SECTOR_MAX, BTT_SECTOR_MAX },
};

uint32_t
btt_sector_data_bytes(uint32_t external_lbasize)
{
	size_t n = sizeof(sector_sizes) / sizeof(sector_sizes[0]);

	for (size_t i = 0; i < n; i++) {
		if (sector_sizes[i].external_lbasize == external_lbasize)
			return sector_sizes[i].data_bytes;
	}
	return 0;
}

bool
btt_sector_size_known(uint32_t external_lbasize)
{
	return btt_sector_data_bytes(external_lbasize) != 0;
}

uint64_t
layout_checksum(const uint8_t *bytes, size_t len, size_t sum_off)
{
	uint32_t low = 0;
	uint32_t high = 0;

	for (size_t off = 0; off < len; off += sizeof(struct le32)) {
		struct le32 word = { 0 };

		/* The sum's own words count as zero, which still moves high. */
		if (off < sum_off || off - sum_off >= sizeof(struct le64))
			memcpy(&word, bytes + off, sizeof(word));
		low += le32_decode(word);
		high += low;
	}
	return (uint64_t)high << 32 | low;
}

uint64_t
btt_info_checksum(const uint8_t block[BTT_INFO_BYTES])
{
	return layout_checksum(
	    block, BTT_INFO_BYTES, offsetof(struct info_media, checksum));
}

enum btt_info_state
btt_info_decode(const uint8_t block[BTT_INFO_BYTES], struct btt_info *ret_info)
{
	struct info_media media;
	struct btt_info *info = ret_info;

	memcpy(&media, block, sizeof(media));
	if (memcmp(media.signature, info_signature, sizeof(info_signature)) !=
	    0)
		return BTT_INFO_NO_SIGNATURE;
	memcpy(info->uuid, media.uuid, sizeof(info->uuid));
	memcpy(info->parent_uuid, media.parent_uuid, sizeof(info->parent_uuid));
	info->flags = le32_decode(media.flags);
	info->major = le16_decode(media.major);
	info->minor = le16_decode(media.minor);
	info->external_lbasize = le32_decode(media.external_lbasize);
	info->external_nlba = le32_decode(media.external_nlba);
	info->internal_lbasize = le32_decode(media.internal_lbasize);
	info->internal_nlba = le32_decode(media.internal_nlba);
	info->nfree = le32_decode(media.nfree);
	info->infosize = le32_decode(media.infosize);
	info->nextoff = le64_decode(media.nextoff);
	info->dataoff = le64_decode(media.dataoff);
	info->mapoff = le64_decode(media.mapoff);
	info->logoff = le64_decode(media.logoff);
	info->info2off = le64_decode(media.info2off);
	info->checksum = le64_decode(media.checksum);
	return info->checksum == btt_info_checksum(block)
	    ? BTT_INFO_VALID
	    : BTT_INFO_BAD_CHECKSUM;
}

void
btt_info_encode(const struct btt_info *info, uint8_t block[BTT_INFO_BYTES])
{
	struct info_media media = { 0 };

	memcpy(media.signature, info_signature, sizeof(media.signature));
	memcpy(media.uuid, info->uuid, sizeof(media.uuid));
	memcpy(media.parent_uuid, info->parent_uuid, sizeof(media.parent_uuid));
	media.flags = le32_encode(info->flags);
	media.major = le16_encode(info->major);
	media.minor = le16_encode(info->minor);
	media.external_lbasize = le32_encode(info->external_lbasize);
	media.external_nlba = le32_encode(info->external_nlba);
	media.internal_lbasize = le32_encode(info->internal_lbasize);
	media.internal_nlba = le32_encode(info->internal_nlba);
	media.nfree = le32_encode(info->nfree);
	media.infosize = le32_encode(info->infosize);
	media.nextoff = le64_encode(info->nextoff);
	media.dataoff = le64_encode(info->dataoff);
	media.mapoff = le64_encode(info->mapoff);
	media.logoff = le64_encode(info->logoff);
	media.info2off = le64_encode(info->info2off);
	memcpy(block, &media, sizeof(media));
	media.checksum = le64_encode(btt_info_checksum(block));
	memcpy(block + offsetof(struct info_media, checksum), &media.checksum,
	    sizeof(media.checksum));
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_IMAGE_FIXTURE_H
#define TESTS_SUPPORT_IMAGE_FIXTURE_H

/*
 * image_fixture -- BTTs in memory, and damaging them on purpose.
 */
#include <check.h>
#include <string.h>

#include <btt/format.h>

#include "layout.h"
#include "media_fake.h"

/* The least arena, in a v1.1 namespace: 3829 sectors of 4096 bytes. */
#define IMAGE_BYTES (BTT_ARENA_MIN_BYTES + BTT_V11_OFFSET)

static const uint8_t image_uuid[BTT_UUID_BYTES] = { 0x01, 0x23, 0x45, 0x67,
	0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd,
	0xef };

static inline struct btt_create_options
image_options(enum btt_layout layout, uint32_t sector_bytes)
{
	struct btt_create_options options = {
		.layout = layout,
		.sector_bytes = sector_bytes,
		.nfree = BTT_NFREE_DEFAULT,
		.medium_is_zero = true,
	};

	memcpy(options.uuid, image_uuid, sizeof(options.uuid));
	return options;
}

static inline void
image_create(struct media_fake *fake, const struct btt_create_options *options)
{
	struct btt_error error = { "" };
	int r = btt_create(&fake->media, options, &error);

	ck_assert_msg(r == 0, "create: %d %s", r, error.text);
}

static inline struct media_fake *
image_new(uint64_t bytes, enum btt_layout layout, uint32_t sector_bytes)
{
	struct btt_create_options options = image_options(layout, sector_bytes);
	struct media_fake *fake = fake_new(bytes);

	image_create(fake, &options);
	return fake;
}

/* The usual image, and its numbers. */
static inline struct media_fake *
image_small(struct btt_info *ret_info)
{
	struct media_fake *fake = image_new(IMAGE_BYTES, BTT_LAYOUT_V11, 4096);

	ck_assert_int_eq(
	    btt_info_decode(fake->bytes + BTT_V11_OFFSET, ret_info),
	    BTT_INFO_VALID);
	return fake;
}

static inline void
image_put_info(
    struct media_fake *fake, uint64_t off, const struct btt_info *info)
{
	btt_info_encode(info, fake->bytes + off);
}

/* Both copies, where the backup was. */
static inline void
image_put_both(
    struct media_fake *fake, uint64_t backup_off, const struct btt_info *info)
{
	image_put_info(fake, BTT_V11_OFFSET, info);
	image_put_info(fake, backup_off, info);
}

/* A pool's header again true to its sum, which is that of its first half. */
static inline void
image_seal_pool(struct media_fake *fake)
{
	uint8_t block[BTT_INFO_BYTES];
	struct le64 sum;

	memcpy(block, fake->bytes, sizeof(block));
	memset(block + 2048, 0, 2048);
	sum = le64_encode(btt_info_checksum(block));
	memcpy(fake->bytes + 4088, &sum, sizeof(sum));
}

static inline void
image_put_map(struct media_fake *fake, const struct btt_info *info,
    uint32_t premap, uint32_t entry)
{
	struct le32 word = le32_encode(entry);

	memcpy(fake->bytes + BTT_V11_OFFSET + info->mapoff +
		(uint64_t)premap * MAP_ENTRY_BYTES,
	    &word, sizeof(word));
}

static inline void
image_put_log(struct media_fake *fake, const struct btt_info *info,
    uint32_t pair, unsigned slot, const uint32_t entry[4])
{
	for (unsigned i = 0; i < 4; i++) {
		struct le32 word = le32_encode(entry[i]);

		memcpy(fake->bytes + BTT_V11_OFFSET + info->logoff +
			(uint64_t)pair * FLOG_GROUP_BYTES +
			slot * sizeof(struct flog_media) + i * sizeof(word),
		    &word, sizeof(word));
	}
}

/* lba, old_map, new_map, seq */
#define LOG_ENTRY(...) ((const uint32_t[4]){ __VA_ARGS__ })

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_info -- one info block, as it is and with signature and sum made right.
 *
 * Claims: the sum is that of the format; a block that is encoded again is the
 * same but for its unused bytes; what is accepted has no number that leads out
 * of the arena, in arithmetic that cannot overflow; what is refused has a
 * reason.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <btt/format.h>

#include "info.h"
#include "layout.h"
#include "medium.h"
#include "target.h"

__extension__ typedef unsigned __int128 wide;

/* 1.3, once more. */
static uint64_t
checksum(const uint8_t *block)
{
	uint64_t low = 0;
	uint64_t high = 0;

	for (unsigned i = 0; i < 1024; i++) {
		const uint8_t *word = block + 4 * (size_t)i;

		if (i < 1022)
			low += word[0] + 256ull * word[1] + 65536ull * word[2] +
			    16777216ull * word[3];
		high += low & UINT32_MAX;
	}
	return (low & UINT32_MAX) + (high << 32);
}

/* Everything that its users take for granted. */
static void
expect_sense(const struct btt_info *info, uint64_t space)
{
	FUZZ_CHECK((info->major == 1 && info->minor == 1) ||
	    (info->major == 2 && info->minor == 0));
	FUZZ_CHECK(info->infosize == 4096);
	FUZZ_CHECK(info->external_nlba > 0 && info->nfree > 0);
	FUZZ_CHECK(info->nfree <= BTT_NFREE_MAX);
	FUZZ_CHECK(
	    (wide)info->external_nlba + info->nfree == info->internal_nlba);
	FUZZ_CHECK(info->internal_nlba <= 1u << 30);
	FUZZ_CHECK(info->internal_lbasize >= info->external_lbasize);
	FUZZ_CHECK(btt_sector_data_bytes(info->external_lbasize) >= 512);
	FUZZ_CHECK(info->dataoff >= 4096 && info->dataoff % 4096 == 0);
	FUZZ_CHECK(info->mapoff % 4096 == 0 && info->logoff % 4096 == 0);
	FUZZ_CHECK(info->info2off % 4096 == 0);
	FUZZ_CHECK((wide)info->dataoff +
		(wide)info->internal_nlba * info->internal_lbasize <=
	    info->mapoff);
	FUZZ_CHECK(
	    (wide)info->mapoff + (wide)info->external_nlba * 4 <= info->logoff);
	FUZZ_CHECK(
	    (wide)info->logoff + (wide)info->nfree * 64 <= info->info2off);
	FUZZ_CHECK((wide)info->info2off + 4096 <= space);
	FUZZ_CHECK((wide)info->info2off + 4096 <= BTT_ARENA_MAX_BYTES);
	FUZZ_CHECK((wide)info->info2off + 4096 >= BTT_ARENA_MIN_BYTES);
	FUZZ_CHECK(info->nextoff == 0 ||
	    (wide)info->nextoff == (wide)info->info2off + 4096);
}

static void
try_block(const uint8_t block[BTT_INFO_BYTES], uint64_t space)
{
	struct btt_info info;
	struct btt_error error = { "" };
	uint8_t again[BTT_INFO_BYTES];
	int r;

	FUZZ_CHECK(btt_info_checksum(block) == checksum(block));
	if (btt_info_decode(block, &info) != BTT_INFO_VALID)
		return;
	btt_info_encode(&info, again);
	FUZZ_CHECK(
	    memcmp(block, again, offsetof(struct info_media, padding)) == 0);
	r = btt_info_validate(&info, space, &error);
	if (r == 0) {
		expect_sense(&info, space);
		return;
	}
	FUZZ_CHECK(r == -EUCLEAN || r == -ENOTSUP);
	FUZZ_CHECK(error.text[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t block[BTT_INFO_BYTES] = { 0 };
	uint64_t space = UINT64_MAX;
	struct le64 sum;

	/* The room of the arena, then the block. */
	if (size < sizeof(space))
		return 0;
	memcpy(&space, data, sizeof(space));
	data += sizeof(space);
	size -= sizeof(space);
	memcpy(block, data, size < sizeof(block) ? size : sizeof(block));
	try_block(block, space);
	memcpy(block, info_signature, sizeof(info_signature));
	sum = le64_encode(checksum(block));
	memcpy(block + sizeof(block) - sizeof(sum), &sum, sizeof(sum));
	try_block(block, space);
	return 0;
}

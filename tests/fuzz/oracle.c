/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdbool.h>
#include <string.h>

#include "medium.h"
#include "oracle.h"

/* Blocks that an image has room for. */
#define BLOCK_MAX (PACKED_IMAGE_MAX / 512)
#define FLAGS 0xc0000000u

static uint8_t nowner[BLOCK_MAX];

static void
own(struct oracle *oracle, uint32_t block)
{
	if (nowner[block] > 0)
		oracle->ntwice++;
	else
		nowner[block] = 1;
}

/*
 * Where the kernel would take zeroes for a log entry, and block 0 for a free
 * one: the first entry of a pair is there from the beginning (3.2).
 */
static bool
has_first_entry(const uint8_t *group)
{
	static const uint8_t empty[16];

	return memcmp(group, empty, sizeof(empty)) != 0;
}

static const char *
find_fault(const struct oracle *oracle, const struct btt_info *info,
    const uint8_t *log)
{
	const struct reference *after = &oracle->after;

	if (after->error != NULL)
		return after->error;
	for (uint32_t i = 0; i < info->nfree; i++) {
		if (!has_first_entry(log + 64 * (size_t)i))
			return "no entry";
		if (after->lba[i] >= info->external_nlba)
			return "lba";
		if (after->free[i] >= info->internal_nlba)
			return "old_map";
		if (after->new_block[i] >= info->internal_nlba)
			return "new_map";
	}
	return NULL;
}

void
oracle_look(const uint8_t *image, const struct btt_arena_place *place,
    struct oracle *ret)
{
	const struct btt_info *info = &place->info;
	const uint8_t *arena = image + place->off;

	FUZZ_CHECK(info->internal_nlba <= BLOCK_MAX);
	ret->nrange = ret->ntwice = ret->nlost = 0;
	reference_recover(arena + info->mapoff, info->external_nlba,
	    arena + info->logoff, info->nfree, &ret->after);
	if ((ret->refused = find_fault(ret, info, arena + info->logoff)) !=
	    NULL)
		return;
	memset(nowner, 0, info->internal_nlba);
	for (uint32_t i = 0; i < info->nfree; i++)
		own(ret, ret->after.free[i]);
	if (ret->ntwice > 0) {
		ret->refused = "a free block of two";
		return;
	}
	for (uint32_t i = 0; i < info->external_nlba; i++) {
		uint32_t entry = ret->after.map[i];
		uint32_t block = entry & FLAGS ? entry & ~FLAGS : i;

		if (block < info->internal_nlba)
			own(ret, block);
		else
			ret->nrange++;
	}
	for (uint32_t i = 0; i < info->internal_nlba; i++)
		ret->nlost += nowner[i] == 0;
}

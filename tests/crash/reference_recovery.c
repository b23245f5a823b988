/* SPDX-License-Identifier: BSD-3-Clause */
#include "reference_recovery.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define BLOCK_BITS 0x3fffffffu
#define FLAG_BITS 0xc0000000u

static uint32_t
get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[3] << 24;
}

static bool
slot_is_empty(const uint8_t *slot)
{
	static const uint8_t empty[16];

	return memcmp(slot, empty, sizeof(empty)) == 0;
}

/* 3.2: which two of the four slots are in use; -1 where nobody can say. */
static int
second_slot(const uint8_t *log, uint32_t nfree)
{
	int a = -1, b = -1;
	bool pristine = true;

	for (uint32_t lane = 0; lane < nfree; lane++) {
		const uint8_t *group = log + 64 * (size_t)lane;
		int nempty = 0;

		for (int i = 0; i < 4; i++) {
			bool empty = slot_is_empty(group + 16 * i);

			if (a >= 0 && b >= 0) {
				if (i == a && empty)
					return -1;
				if (i != a && i != b && !empty)
					return -1;
				continue;
			}
			if (empty) {
				nempty++;
				continue;
			}
			if (a < 0)
				a = i;
			else if (i != a)
				b = i;
		}
		if (nempty < 3)
			pristine = false;
	}
	if (b < 0) {
		if (!pristine)
			return -1;
		b = 1;
	}
	return a == 0 && (b == 1 || b == 2) ? b : -1;
}

/* 3.3, the rule that both real writers produce; -1: neither is newer. */
static int
newer(uint32_t first, uint32_t second)
{
	if (first > 3 || second > 3 || first == second)
		return -1;
	if (first == 0)
		return 1;
	if (second == 0)
		return first == 1 ? 0 : -1;
	return second == first % 3 + 1 ? 1 : 0;
}

void
reference_recover(const uint8_t *map, uint32_t nlba, const uint8_t *log,
    uint32_t nfree, struct reference *ret)
{
	int second = second_slot(log, nfree);

	assert(nlba <= REFERENCE_LBAS && nfree <= REFERENCE_LANES);
	ret->error = NULL;
	if (second < 0) {
		ret->error = "the slots in use cannot be told";
		return;
	}
	for (uint32_t i = 0; i < nlba; i++)
		ret->map[i] = get32(map + 4 * (size_t)i);
	for (uint32_t lane = 0; lane < nfree; lane++) {
		const uint8_t *group = log + 64 * (size_t)lane;
		const uint8_t *slot[2] = { group, group + 16 * second };
		int n = newer(get32(slot[0] + 12), get32(slot[1] + 12));
		uint32_t lba, old_block, new_block, now;

		if (n < 0) {
			ret->error = "sequence numbers";
			return;
		}
		lba = get32(slot[n]);
		old_block = get32(slot[n] + 4) & BLOCK_BITS;
		new_block = get32(slot[n] + 8) & BLOCK_BITS;
		ret->free[lane] = old_block;
		ret->lba[lane] = lba;
		ret->new_block[lane] = new_block;
		if (old_block == new_block)
			continue;
		if (lba >= nlba) {
			ret->error = "a logged sector that is not there";
			return;
		}
		now = (ret->map[lba] & FLAG_BITS) == 0
		    ? lba
		    : ret->map[lba] & BLOCK_BITS;
		if (now != new_block && now == old_block)
			ret->map[lba] = FLAG_BITS | new_block;
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_REPAIR_WORLD_H
#define TESTS_SUPPORT_REPAIR_WORLD_H

/*
 * repair_world -- an image that was written to, by a model that knows the format
 * and none of the code that is under test; damage to it; and what must hold
 * after a repair, counted and read by the model as well.
 *
 * Sector p of generation g is a block that begins with p and g.  Only the
 * beginning of each block is stamped.
 */
#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "damage_fixture.h"

#define WORLD_NPAIR 256u
#define WORLD_FREE UINT32_MAX /* sector of a block that is nobody's */

/* All that a repair may touch. */
struct world_bytes {
	uint8_t info[BTT_INFO_BYTES];
	uint8_t rest[48 << 10]; /* from the map to the end */
};

struct world_stamp {
	uint32_t sector;
	uint32_t generation;
};

struct world {
	struct media_fake *fake;
	struct btt_info info;
	uint64_t seed;
	uint64_t random;

	uint32_t block[NSECTOR]; /* as the map says */
	uint32_t generation[NSECTOR];
	bool is_pending[NSECTOR]; /* the last write is in the log only */
	uint32_t free_block[WORLD_NPAIR];
	uint32_t seq[WORLD_NPAIR];
	unsigned newer[WORLD_NPAIR]; /* half */
	unsigned slot[2];

	struct world_bytes damaged;
	bool is_tainted[NSECTOR]; /* its entry, or what the log says of it */
};

/* Below n, which is at least 1. */
static inline uint32_t
world_random(struct world *world, uint32_t n)
{
	world->random = world->random * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (uint32_t)((world->random >> 33) % n);
}

static inline uint8_t *
world_map(const struct world *world)
{
	return world->fake->bytes + BTT_V11_OFFSET + world->info.mapoff;
}

static inline uint8_t *
world_log(const struct world *world)
{
	return world->fake->bytes + BTT_V11_OFFSET + world->info.logoff;
}

static inline uint32_t
world_get32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 |
	    (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static inline void
world_put32(uint8_t *bytes, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
}

static inline struct world_stamp *
world_stamp(const struct world *world, uint32_t block)
{
	return (struct world_stamp *)(void *)(world->fake->bytes +
	    BTT_V11_OFFSET + world->info.dataoff + 4096ull * block);
}

static inline size_t
world_rest_bytes(const struct world *world)
{
	return world->info.info2off + BTT_INFO_BYTES - world->info.mapoff;
}

static inline void
world_save(const struct world *world, struct world_bytes *ret)
{
	memcpy(ret->info, world->fake->bytes + BTT_V11_OFFSET, BTT_INFO_BYTES);
	memcpy(ret->rest, world_map(world), world_rest_bytes(world));
}

static inline void
world_restore(const struct world *world, const struct world_bytes *bytes)
{
	memcpy(
	    world->fake->bytes + BTT_V11_OFFSET, bytes->info, BTT_INFO_BYTES);
	memcpy(world_map(world), bytes->rest, world_rest_bytes(world));
}

/* Where the image is not what it should be, on the medium; -1: nowhere. */
static inline int64_t
world_difference(const struct world *world, const struct world_bytes *bytes)
{
	const uint8_t *block = world->fake->bytes + BTT_V11_OFFSET;

	for (size_t i = 0; i < BTT_INFO_BYTES; i++) {
		if (block[i] != bytes->info[i])
			return (int64_t)(BTT_V11_OFFSET + i);
	}
	for (size_t i = 0; i < world_rest_bytes(world); i++) {
		if (world_map(world)[i] != bytes->rest[i])
			return (
			    int64_t)(BTT_V11_OFFSET + world->info.mapoff + i);
	}
	return -1;
}

static inline bool
world_is(const struct world *world, const struct world_bytes *bytes)
{
	return memcmp(world->fake->bytes + BTT_V11_OFFSET, bytes->info,
		   BTT_INFO_BYTES) == 0 &&
	    memcmp(world_map(world), bytes->rest, world_rest_bytes(world)) == 0;
}

/* The steps of btt-format.md 5.2; the last of them may be missing. */
static inline void
world_write(struct world *world, uint32_t sector, uint32_t pair, bool completes)
{
	uint32_t block = world->free_block[pair];
	uint32_t old_block = world->block[sector];
	unsigned half = 1 - world->newer[pair];
	uint8_t *entry =
	    world_log(world) + 64ull * pair + 16ull * world->slot[half];

	world->seq[pair] = world->seq[pair] % 3 + 1;
	world->newer[pair] = half;
	world->generation[sector]++;
	*world_stamp(world, block) =
	    (struct world_stamp){ sector, world->generation[sector] };
	world_put32(entry, sector);
	world_put32(entry + 4, old_block);
	world_put32(entry + 8, block);
	world_put32(entry + 12, world->seq[pair]);
	world->free_block[pair] = old_block;
	world->block[sector] = block;
	if (completes)
		world_put32(world_map(world) + 4ull * sector, NORMAL(block));
	else
		world->is_pending[sector] = true;
}

static inline void
world_new(struct world *world, uint64_t seed)
{
	uint32_t hot;

	memset(world, 0, sizeof(*world));
	world->fake = image_small(&world->info);
	world->seed = seed;
	world->random = seed * UINT64_C(0x9e3779b97f4a7c15);
	world->slot[1] = seed % 4 == 0 ? 2 : 1;
	ck_assert_uint_le(world_rest_bytes(world), sizeof(world->damaged.rest));
	for (uint32_t i = 0; i < NBLOCK; i++)
		*world_stamp(world, i) =
		    (struct world_stamp){ i < NSECTOR ? i : WORLD_FREE, 0 };
	for (uint32_t i = 0; i < NSECTOR; i++)
		world->block[i] = i;
	for (uint32_t i = 0; i < WORLD_NPAIR; i++) {
		world->free_block[i] = NSECTOR + i;
		world->seq[i] = 1;
	}
	/* all over the place, or the same sectors again and again */
	hot = world_random(world, 2) == 0 ? NSECTOR : 64;
	for (uint32_t i = world_random(world, 3000); i > 0; i--)
		world_write(world, world_random(world, hot),
		    world_random(world, WORLD_NPAIR), true);
	for (uint32_t i = world_random(world, 20); i > 0; i--) {
		uint32_t sector = world_random(world, NSECTOR);
		uint32_t flag = i % 2 == 0 ? MAP_ZERO : MAP_ERROR;

		world_put32(world_map(world) + 4ull * sector,
		    flag | world->block[sector]);
	}
	for (uint32_t i = world_random(world, 4); i > 0; i--) {
		uint32_t sector = world_random(world, NSECTOR);

		if (!world->is_pending[sector])
			world_write(world, sector, 64 * i - 1, false);
	}
}

static inline void
world_free(struct world *world)
{
	media_close(&world->fake->media);
}

/* Random bytes, or all the same ones. */
static inline void
world_spoil(struct world *world, uint8_t *at, size_t len)
{
	unsigned how = world_random(world, 4);

	for (size_t i = 0; i < len; i++)
		at[i] = how == 0 ? 0
		    : how == 1   ? 0xff
				 : (uint8_t)world_random(world, 256);
}

static inline void
world_damage_map(struct world *world)
{
	static const uint32_t lengths[] = { 4, 4, 64, 512, 4096 };
	uint32_t len = lengths[world_random(world, 5)];
	uint32_t at = world_random(world, 4 * NSECTOR - len) / 4 * 4;
	uint32_t other = world_random(world, 4 * NSECTOR - len) / 4 * 4;
	uint8_t *map = world_map(world);

	switch (world_random(world, 5)) {
	case 0: /* somebody else's entries */
		memmove(map + at, map + other, len);
		break;
	case 1: /* a free block */
		world_put32(map + at,
		    NORMAL(
			world->free_block[world_random(world, WORLD_NPAIR)]));
		break;
	case 2: /* one bit */
		map[at] ^= (uint8_t)(1 << world_random(world, 8));
		break;
	default:
		world_spoil(world, map + at, len);
		break;
	}
}

static inline void
world_damage_log(struct world *world)
{
	static const uint32_t lengths[] = { 4, 8, 16, 64, 4096 };
	uint32_t len = lengths[world_random(world, 5)];
	uint32_t at = world_random(world, 64 * WORLD_NPAIR - len) / 4 * 4;
	uint32_t pair = world_random(world, WORLD_NPAIR);
	uint8_t *log = world_log(world);

	switch (world_random(world, 6)) {
	case 0: /* another pair's entries */
		memcpy(log + 64ull * pair,
		    log + 64ull * world_random(world, WORLD_NPAIR), 64);
		break;
	case 1: /* a block that is in use */
		world_put32(log + 64ull * pair + 4,
		    world->block[world_random(world, NSECTOR)]);
		break;
	case 2: /* a number */
		world_put32(log + 64ull * pair +
			16ull * world->slot[world_random(world, 2)] + 12,
		    world_random(world, 6));
		break;
	case 3: /* all of it */
		memset(log, 0, 64ull * WORLD_NPAIR);
		break;
	default:
		world_spoil(world, log + at, len);
		break;
	}
}

/* One copy at most: nothing is left of a BTT without either. */
static inline void
world_damage_info(struct world *world)
{
	uint8_t *primary = world->fake->bytes + BTT_V11_OFFSET;
	uint8_t *backup = primary + world->info.info2off;
	uint8_t *copy = world_random(world, 2) == 0 ? primary : backup;
	struct btt_info flagged = world->info;

	if (memcmp(primary, backup, BTT_INFO_BYTES) != 0)
		return;
	flagged.flags = BTT_FLAG_ERROR;
	switch (world_random(world, 4)) {
	case 0:
		btt_info_encode(&flagged, primary);
		btt_info_encode(&flagged, backup);
		break;
	case 1:
		btt_info_encode(&flagged, copy);
		break;
	case 2:
		copy[world_random(world, BTT_INFO_BYTES)] ^= 0x40;
		break;
	default:
		world_spoil(world, copy, BTT_INFO_BYTES);
		break;
	}
}

/* Sectors of which a group says anything, before or after it was damaged. */
static inline void
world_taint(struct world *world, const uint8_t *group)
{
	for (unsigned i = 0; i < 4; i++) {
		uint32_t sector = world_get32(group + 16ull * i);

		if (sector < NSECTOR)
			world->is_tainted[sector] = true;
	}
}

static inline void
world_damage(struct world *world)
{
	static struct world_bytes before;
	const uint8_t *map = before.rest;
	const uint8_t *log = map + world->info.logoff - world->info.mapoff;

	world_save(world, &before);
	for (unsigned i = 1 + world_random(world, 4); i > 0; i--) {
		switch (world_random(world, 5)) {
		case 0:
			world_damage_info(world);
			break;
		case 1:
		case 2:
			world_damage_log(world);
			break;
		default:
			world_damage_map(world);
			break;
		}
	}
	for (uint32_t i = 0; i < NSECTOR; i++)
		world->is_tainted[i] =
		    memcmp(map + 4ull * i, world_map(world) + 4ull * i, 4) != 0;
	for (uint32_t i = 0; i < WORLD_NPAIR; i++) {
		const uint8_t *group = world_log(world) + 64ull * i;

		if (memcmp(log + 64ull * i, group, 64) == 0)
			continue;
		world_taint(world, log + 64ull * i);
		world_taint(world, group);
	}
	world_save(world, &world->damaged);
}

/* The block of an entry as it is; NBLOCK and more: none. */
static inline uint32_t
world_block(uint32_t entry, uint32_t sector)
{
	return entry >> 30 == 0 ? sector : entry & 0x3fffffff;
}

/*
 * May recovery have moved the sector from one block to the other?  By one entry,
 * or by two of which one follows on the other.
 */
static inline bool
world_log_says(const struct world *world, uint32_t sector, uint32_t from,
    uint32_t to, unsigned nentry)
{
	const uint8_t *log =
	    world->damaged.rest + (world->info.logoff - world->info.mapoff);

	for (uint32_t i = 0; i < 4 * WORLD_NPAIR; i++) {
		const uint8_t *entry = log + 16ull * i;
		uint32_t old_block = world_get32(entry + 4) & 0x3fffffff;

		if (world_get32(entry) != sector ||
		    (world_get32(entry + 8) & 0x3fffffff) != to)
			continue;
		if (old_block == from ||
		    (nentry > 1 &&
			world_log_says(
			    world, sector, from, old_block, nentry - 1)))
			return true;
	}
	return false;
}

/* Who names the block in the damaged image, entries and slots of the log. */
static inline unsigned
world_nclaim(const struct world *world, uint32_t block)
{
	const uint8_t *log =
	    world->damaged.rest + (world->info.logoff - world->info.mapoff);
	unsigned n = 0;

	for (uint32_t i = 0; i < NSECTOR; i++)
		n += world_block(world_get32(world->damaged.rest + 4ull * i),
			 i) == block;
	for (uint32_t i = 0; i < 4 * WORLD_NPAIR; i++)
		n += (world_get32(log + 16ull * i + 4) & 0x3fffffff) == block;
	for (uint32_t i = 0; i < 4 * WORLD_NPAIR; i++)
		n += (world_get32(log + 16ull * i + 8) & 0x3fffffff) == block &&
		    world_get32(log + 16ull * i) < NSECTOR;
	return n;
}

/* A sector whose entry a repair has changed. */
static inline void
world_assert_changed(const struct world *world, uint32_t sector,
    uint32_t before, uint32_t after, bool may_lose)
{
	uint32_t block = world_block(before, sector);
	bool is_bad = block >= NBLOCK || before >> 30 == 1;
	bool is_completed = after >> 30 == 3 &&
	    world_log_says(world, sector, block, after & 0x3fffffff, 2);

	if (is_completed || (is_bad && after >> 30 == 1) ||
	    (before >> 30 == 2 && after >> 30 == 2))
		return;
	ck_assert_msg(
	    may_lose && after >> 30 == 1 && world_nclaim(world, block) > 1,
	    "seed %llu: sector %u, from %#x to %#x",
	    (unsigned long long)world->seed, sector, before, after);
}

/* No sector reads anything else than before, but for what is allowed. */
static inline void
world_assert_sectors(const struct world *world, bool may_lose)
{
	for (uint32_t i = 0; i < NSECTOR; i++) {
		uint32_t before = world_get32(world->damaged.rest + 4ull * i);
		uint32_t after = world_get32(world_map(world) + 4ull * i);
		const struct world_stamp *stamp;

		if (before != after)
			world_assert_changed(world, i, before, after, may_lose);
		/* What was never damaged has what was written to it last. */
		if (world->is_tainted[i] || after >> 30 == 1 ||
		    after >> 30 == 2)
			continue;
		stamp = world_stamp(world, world_block(after, i));
		if (stamp->sector == i &&
		    (stamp->generation == world->generation[i] ||
			(world->is_pending[i] &&
			    stamp->generation + 1 == world->generation[i])))
			continue;
		ck_abort_msg("seed %llu: sector %u reads %u of %u",
		    (unsigned long long)world->seed, i, stamp->sector,
		    stamp->generation);
	}
}

/* Map and log are as the damage left them. */
static inline void
world_assert_untouched(const struct world *world)
{
	ck_assert_mem_eq(world_map(world), world->damaged.rest,
	    world->info.info2off - world->info.mapoff);
}

/* The newest entry of a pair, by 3.3 as written there. */
static inline uint32_t
world_free_block(const struct world *world, uint32_t pair)
{
	const uint8_t *group = world_log(world) + 64ull * pair;
	const uint8_t *half[2] = { group, group + 16 };
	uint32_t a, b;

	if (world_get32(half[1] + 4) == 0 && world_get32(half[1] + 12) == 0)
		half[1] = group + 32;
	a = world_get32(half[0] + 12);
	b = world_get32(half[1] + 12);
	if (a > 3 || b > 3 || a == b)
		ck_abort_msg("seed %llu: pair %u has numbers %u and %u",
		    (unsigned long long)world->seed, pair, a, b);
	if (b == 0 || (a == 2 && b == 1) || (a == 3 && b == 2) ||
	    (a == 1 && b == 3))
		return world_get32(half[0] + 4) & 0x3fffffff;
	return world_get32(half[1] + 4) & 0x3fffffff;
}

/* Every block once (I1). */
static inline void
world_assert_owners(const struct world *world)
{
	static uint8_t nowner[NBLOCK];
	uint32_t block;

	memset(nowner, 0, sizeof(nowner));
	for (uint32_t i = 0; i < NSECTOR + WORLD_NPAIR; i++) {
		block = i < NSECTOR
		    ? world_block(world_get32(world_map(world) + 4ull * i), i)
		    : world_free_block(world, i - NSECTOR);
		if (block >= NBLOCK)
			ck_abort_msg("seed %llu: block %u of owner %u",
			    (unsigned long long)world->seed, block, i);
		nowner[block]++;
	}
	for (block = 0; block < NBLOCK; block++)
		if (nowner[block] != 1)
			ck_abort_msg("seed %llu: block %u has %u owners",
			    (unsigned long long)world->seed, block,
			    nowner[block]);
}

#endif

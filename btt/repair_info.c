/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * repair_info -- the two copies of each info block.
 *
 * Blocks are copied as they are, unknown bits and all.  Of an arena at most one
 * copy is written to between two fences, and the other one is valid then: so a
 * torn one is replaced from it the next time.
 */
#include <stddef.h>
#include <string.h>

#include "info.h"
#include "layout.h"
#include "repair_impl.h"

/* Of a block that is valid. */
static bool
has_flag(const uint8_t block[BTT_INFO_BYTES])
{
	struct info_media media;

	memcpy(&media, block, sizeof(media));
	return (le32_decode(media.flags) & BTT_FLAG_ERROR) != 0;
}

static void
put_flag(uint8_t block[BTT_INFO_BYTES], bool is_set)
{
	struct info_media media;
	uint32_t flags;

	memcpy(&media, block, sizeof(media));
	flags = le32_decode(media.flags) & ~BTT_FLAG_ERROR;
	media.flags = le32_encode(is_set ? flags | BTT_FLAG_ERROR : flags);
	memcpy(block, &media, sizeof(media));
	media.checksum = le64_encode(btt_info_checksum(block));
	memcpy(block, &media, sizeof(media));
}

static bool
is_same(const uint8_t one[BTT_INFO_BYTES], const uint8_t other[BTT_INFO_BYTES])
{
	return memcmp(one, other, BTT_INFO_BYTES) == 0;
}

/* They differ: in nothing but the error flag?  Both are valid. */
static bool
differs_in_flag(
    const uint8_t primary[BTT_INFO_BYTES], const uint8_t backup[BTT_INFO_BYTES])
{
	uint8_t block[BTT_INFO_BYTES];

	memcpy(block, backup, sizeof(block));
	put_flag(block, has_flag(primary));
	return is_same(primary, block);
}

static int
replace(struct repairing *repairing, enum repair_kind kind, uint64_t off,
    const uint8_t before[BTT_INFO_BYTES], const uint8_t after[BTT_INFO_BYTES])
{
	int r;

	r = repair_add_change(repairing->plan,
	    &(struct repair_change){ .kind = (uint8_t)kind,
		.arena = repairing->check.arena,
		.off = off });
	if (r < 0)
		return r;
	return repair_add_block(
	    repairing->plan, REPAIR_ROUND_INFO, off, before, after);
}

int
repair_infos(struct repairing *repairing)
{
	struct check *check = &repairing->check;
	const struct btt_arena_place *place = check->place;
	const uint64_t backup_off = place->off + place->info.info2off;
	uint8_t primary[BTT_INFO_BYTES];
	uint8_t backup[BTT_INFO_BYTES];
	uint8_t flagged[BTT_INFO_BYTES];
	int r;

	if ((r = check_read(check, place->off, primary, sizeof(primary))) < 0 ||
	    (r = check_read(check, backup_off, backup, sizeof(backup))) < 0)
		return r;
	if (is_same(primary, backup))
		return 0;
	if (place->from_backup)
		return replace(
		    repairing, REPAIR_INFO, place->off, primary, backup);
	if (place->backup != BTT_INFO_VALID ||
	    !differs_in_flag(primary, backup))
		return replace(
		    repairing, REPAIR_INFO2, backup_off, backup, primary);
	/* Whoever was about to set it had a reason, and was cut short. */
	if (has_flag(primary))
		return replace(
		    repairing, REPAIR_INFO_FLAG, backup_off, backup, primary);
	memcpy(flagged, primary, sizeof(flagged));
	put_flag(flagged, true);
	return replace(
	    repairing, REPAIR_INFO_FLAG, place->off, primary, flagged);
}

/* What will be at off once the first round is done. */
static int
planned_block(struct repairing *repairing, uint64_t off,
    uint8_t ret_block[BTT_INFO_BYTES])
{
	const struct btt_repair *plan = repairing->plan;

	/* They were planned first. */
	for (uint32_t i = 0;
	     i < plan->nwrite && plan->write[i].round == REPAIR_ROUND_INFO;
	     i++) {
		if (plan->write[i].off != off)
			continue;
		memcpy(ret_block, plan->write[i].block->after, BTT_INFO_BYTES);
		return 0;
	}
	return check_read(&repairing->check, off, ret_block, BTT_INFO_BYTES);
}

static int
clear_copy(struct repairing *repairing, enum repair_round round, uint64_t off,
    const uint8_t block[BTT_INFO_BYTES])
{
	uint8_t cleared[BTT_INFO_BYTES];

	memcpy(cleared, block, sizeof(cleared));
	put_flag(cleared, false);
	return repair_add_block(repairing->plan, round, off, block, cleared);
}

/* Both copies of an arena are valid and the same by then. */
static int
clear_flag(struct repairing *repairing, bool is_sound)
{
	const struct btt_arena_place *place = repairing->check.place;
	const uint64_t backup_off = place->off + place->info.info2off;
	uint8_t block[BTT_INFO_BYTES];
	int r;

	if ((r = planned_block(repairing, place->off, block)) < 0 ||
	    !has_flag(block))
		return r;
	if (!repairing->options->clear_error_flag)
		return repair_add_refusal(repairing->plan,
		    repairing->check.arena,
		    "the error flag stays: nobody asked to clear it");
	if (!is_sound)
		return repair_add_refusal(repairing->plan,
		    repairing->check.arena,
		    "the error flag stays, since other damage does");
	r = repair_add_change(repairing->plan,
	    &(struct repair_change){ .kind = REPAIR_CLEAR_FLAG,
		.arena = repairing->check.arena,
		.off = place->off });
	if (r < 0)
		return r;
	if ((r = clear_copy(repairing, REPAIR_ROUND_FLAG2, backup_off, block)) <
	    0)
		return r;
	return clear_copy(repairing, REPAIR_ROUND_FLAG, place->off, block);
}

int
repair_flags(struct repairing *repairing, const struct btt_probe *probe)
{
	const bool is_sound = repairing->plan->nrefusal == 0;
	int r;

	for (uint32_t i = 0; i < probe->narena; i++) {
		check_enter(&repairing->check, i, &probe->arena[i]);
		if ((r = clear_flag(repairing, is_sound)) < 0)
			return r;
	}
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * repair -- each rule of repair.h by itself: what is mended and how, what is
 * withheld, what is refused.
 */
#include <errno.h>
#include <string.h>

#include "flog.h"
#include "support/check_main.h"
#include "support/repair_fixture.h"

static const struct btt_repair_options plain;
static const struct btt_repair_options rewriting = { .rewrite_log = true };

START_TEST(repair__of_what_is_sound_changes_nothing)
{
	struct btt_repair_summary summary;

	for (uint32_t i = 0; i < 100; i++)
		write_sector(i, 10 * i);
	image_put_map(fake, &info, 3, MAP_ERROR | 3);
	image_put_map(fake, &info, 4, MAP_ZERO | 4);
	fake_forget(fake);
	ck_assert_int_eq(repair(fake, &repair_all, &summary), 0);
	ck_assert_uint_eq(fake->nop, 0);
	ck_assert_uint_eq(summary.nchange + summary.nrefusal, 0);
	assert_repair(&plain, "", 0);
}
END_TEST

/* Info blocks. */

START_TEST(info__is_copied_from_the_one_that_is_used)
{
	struct btt_info other = info;

	memset(fake->bytes + BTT_V11_OFFSET, 0, BTT_INFO_BYTES);
	assert_repair(&plain, "info", 0);
	ck_assert_mem_eq(fake->bytes + BTT_V11_OFFSET,
	    fake->bytes + backup_off(), BTT_INFO_BYTES);
	fake->bytes[backup_off() + 4090] ^= 1;
	assert_repair(&plain, "info2", 0);
	other.uuid[0] ^= 1;
	image_put_info(fake, backup_off(), &other);
	assert_repair(&plain, "info2", 0);
	ck_assert_mem_eq(fake->bytes + BTT_V11_OFFSET,
	    fake->bytes + backup_off(), BTT_INFO_BYTES);
}
END_TEST

/* What nobody knows the meaning of is kept. */
START_TEST(info__keeps_unknown_bits)
{
	uint8_t *block = fake->bytes + BTT_V11_OFFSET;
	struct le64 sum;

	strcpy((char *)block + 2000, "junk");
	block[48] = 0x81; /* flags */
	sum = le64_encode(btt_info_checksum(block));
	memcpy(block + 4088, &sum, sizeof(sum));
	assert_repair(&repair_all, "info2 error-flag", 0);
	ck_assert_str_eq((char *)fake->bytes + backup_off() + 2000, "junk");
	ck_assert_uint_eq(block[48], 0x80);
}
END_TEST

/* Only when nothing else is wrong, and only if it was wished for. */
START_TEST(error_flag__is_cleared_last_and_on_request)
{
	struct btt_info flagged = info;
	const struct btt_repair_options clearing = { .clear_error_flag = true };

	flagged.flags = BTT_FLAG_ERROR;
	image_put_both(fake, backup_off(), &flagged);
	assert_repair(&plain, "", 1);
	/* a readable sector would be lost */
	image_put_map(fake, &info, 9, NORMAL(12));
	assert_repair(&clearing, "bitmap", 2);
	ck_assert_uint_eq(fake->bytes[BTT_V11_OFFSET + 48], 1);
	assert_repair(&repair_all, "bitmap error-flag", 0);
	ck_assert_uint_eq(fake->bytes[BTT_V11_OFFSET + 48], 0);
}
END_TEST

/* The flag was being set, backup first, when something stopped it. */
START_TEST(error_flag__of_one_copy_becomes_that_of_both)
{
	const uint64_t offs[] = { backup_off(), BTT_V11_OFFSET };
	struct btt_info flagged = info;

	flagged.flags = BTT_FLAG_ERROR;
	for (unsigned i = 0; i < 2; i++) {
		image_put_both(fake, backup_off(), &info);
		image_put_info(fake, offs[i], &flagged);
		assert_repair(&plain, "info2", 1);
		ck_assert_uint_eq(fake->bytes[offs[1 - i] + 48], 1);
		image_put_info(fake, offs[1 - i], &info);
		assert_repair(&repair_all, "info2 error-flag", 0);
		ck_assert_uint_eq(fake->bytes[offs[i] + 48], 0);
	}
}
END_TEST

/* Interrupted writes. */

START_TEST(pending__is_completed)
{
	image_put_log(fake, &info, 7, 1, LOG_ENTRY(100, 100, NSECTOR + 7, 2));
	/* two of one sector, one upon the other */
	image_put_log(fake, &info, 3, 1, LOG_ENTRY(50, 50, NSECTOR + 3, 2));
	image_put_log(
	    fake, &info, 5, 1, LOG_ENTRY(50, NSECTOR + 3, NSECTOR + 5, 2));
	assert_repair(&plain, "log-map", 0);
	ck_assert_uint_eq(map_entry(100), NORMAL(NSECTOR + 7));
	ck_assert_uint_eq(map_entry(50), NORMAL(NSECTOR + 5));
	ck_assert_uint_eq(findings.result.npending, 0);
}
END_TEST

/*
 * Three entries that lead from each to the next and back again, met in an order
 * in which no pass over them ends where it began: no write leaves that, so none
 * was interrupted, and the sector stays what it is.
 */
START_TEST(pending__in_a_circle_is_none)
{
	const uint32_t a = 50, b = NSECTOR + 5, c = NSECTOR + 3;
	struct btt_repair_summary summary;

	image_put_log(fake, &info, 3, 1, LOG_ENTRY(50, c, a, 2));
	image_put_log(fake, &info, 4, 1, LOG_ENTRY(50, b, c, 2));
	image_put_log(fake, &info, 5, 1, LOG_ENTRY(50, a, b, 2));
	ck_assert_int_eq(repair(fake, &plain, &summary), 0);
	ck_assert_uint_eq(summary.nloss + summary.nrefusal, 0);
	ck_assert_uint_eq(map_entry(50), 0);
	ck_assert_int_eq(findings_of(fake, &findings), 0);
	ck_assert_uint_eq(findings.result.ndamage, 0);
	ck_assert_uint_eq(findings.result.npending, 0);
}
END_TEST

/* Map entries. */

/* Nobody could read it before, so nothing is lost. */
START_TEST(map_range__gets_a_block_and_is_marked_bad)
{
	struct btt_repair_change change;

	image_put_map(fake, &info, 5, NORMAL(NBLOCK));
	image_put_map(fake, &info, 9, MAP_ZERO | 0x3fffffff);
	change = change_named(&plain, "map-range");
	ck_assert_uint_eq(change.entry, 5);
	ck_assert_uint_eq(change.off, map_off(5));
	ck_assert(!change.loses_data && !change.is_withheld);
	ck_assert_ptr_nonnull(strstr(change.text, "gets block 5"));
	assert_repair(&plain, "map-range", 0);
	ck_assert_uint_eq(map_entry(5), MAP_ERROR | 5);
	/* a Z in an entry that is wrong anyway is not to be believed */
	ck_assert_uint_eq(map_entry(9), MAP_ERROR | 9);
}
END_TEST

static void
assert_winner(
    uint32_t winner, uint32_t loser, uint32_t loser_entry, const char *why)
{
	uint32_t kept = map_entry(winner);
	struct btt_repair_change change = change_named(&plain, "bitmap");

	ck_assert_uint_eq(change.entry, loser);
	ck_assert_msg(strstr(change.text, why) != NULL, "no '%s' in '%s'", why,
	    change.text);
	if (change.loses_data) {
		ck_assert(change.is_withheld);
		/* nothing at all happens to this arena */
		assert_repair(&plain, "bitmap", 1);
		ck_assert_uint_eq(map_entry(winner), kept);
	}
	assert_repair(&repair_all, "bitmap", 0);
	ck_assert_uint_eq(map_entry(winner), kept);
	ck_assert_uint_eq(map_entry(loser), loser_entry);
}

START_TEST(block__stays_with_the_entry_that_the_log_confirms)
{
	write_sector(2, 300);
	image_put_map(fake, &info, 200, NORMAL(NSECTOR + 2));
	assert_winner(300, 200, MAP_ERROR | 200, "map entry 300, as the log");
}
END_TEST

START_TEST(block__stays_with_the_one_that_was_written)
{
	image_put_map(fake, &info, 20, NORMAL(12));
	assert_winner(20, 12, MAP_ERROR | 20, "map entry 20, which was writ");
}
END_TEST

START_TEST(block__stays_with_the_lowest_of_equals)
{
	image_put_map(fake, &info, 21, NORMAL(12));
	image_put_map(fake, &info, 12, NORMAL(12));
	assert_winner(12, 21, MAP_ERROR | 21, "map entry 12, which was writ");
}
END_TEST

/* Nobody reads through them: they move without a loss. */
START_TEST(block__of_zero_and_bad_entries_is_given_up_first)
{
	image_put_map(fake, &info, 3, MAP_ZERO | 12);
	assert_winner(12, 3, MAP_ZERO | 3, "map entry 12, which was never");
	image_put_map(fake, &info, 3, MAP_ERROR | 12);
	assert_winner(12, 3, MAP_ERROR | 3, "map entry 12, which was never");
}
END_TEST

/*
 * The pair says twice that the block is free, the entry once that it is not:
 * what it reads is nobody's.  Its own block is the one that is left.
 */
START_TEST(block__stays_with_a_pair_that_was_never_used)
{
	struct btt_repair_change change;

	image_put_map(fake, &info, 9, NORMAL(NSECTOR + 200));
	change = change_named(&plain, "bitmap");
	ck_assert_uint_eq(change.entry, 9);
	ck_assert(change.loses_data && change.is_withheld);
	ck_assert_ptr_nonnull(strstr(change.text, "log pair 200, which names"));
	assert_repair(&repair_all, "bitmap", 0);
	ck_assert_uint_eq(map_entry(9), MAP_ERROR | 9);
	assert_fresh(200, NSECTOR + 200);
}
END_TEST

/* Data comes before free space: nobody but the pair changes. */
START_TEST(block__is_taken_from_a_pair_that_was_used)
{
	struct btt_repair_change change;

	write_sector(1, 40);
	image_put_log(fake, &info, 1, 1, LOG_ENTRY(40, 77, NSECTOR + 1, 2));
	change = change_named(&plain, "bitmap");
	ck_assert_uint_eq(change.entry, 1);
	ck_assert_uint_eq(change.off, log_off(1));
	ck_assert(!change.loses_data && !change.is_withheld);
	ck_assert_ptr_nonnull(strstr(change.text, "map entry 77"));
	assert_repair(&plain, "bitmap", 0);
	ck_assert_uint_eq(map_entry(40), NORMAL(NSECTOR + 1));
	ck_assert_uint_eq(map_entry(77), 0);
	assert_fresh(1, 40);
}
END_TEST

START_TEST(block__that_nobody_reads_stays_with_the_lowest)
{
	image_put_map(fake, &info, 3, MAP_ERROR | 3);
	image_put_map(fake, &info, 5, MAP_ZERO | 3);
	assert_winner(3, 5, MAP_ZERO | 5, "map entry 3, which is not read");
}
END_TEST

/* Both were used, and one of them says what its last write has replaced. */
START_TEST(block__of_two_pairs_stays_with_the_first)
{
	struct btt_repair_change change;

	write_sector(4, 100);
	write_sector(7, 200);
	image_put_log(fake, &info, 7, 1, LOG_ENTRY(200, 100, NSECTOR + 7, 2));
	change = change_named(&plain, "bitmap");
	ck_assert_uint_eq(change.entry, 7);
	ck_assert_uint_eq(change.off, log_off(7));
	ck_assert(!change.loses_data && !change.is_withheld);
	ck_assert_ptr_nonnull(
	    strstr(change.text, "log pair 4, which comes fi"));
	assert_repair(&plain, "bitmap", 0);
	assert_fresh(7, 200);
	ck_assert_uint_eq(map_entry(100), NORMAL(NSECTOR + 4));
	ck_assert_uint_eq(map_entry(200), NORMAL(NSECTOR + 7));
}
END_TEST

/* Pairs. */

START_TEST(pair__gets_the_block_that_its_entries_name)
{
	write_sector(1, 40);
	/* equal numbers: either half could be the newer one */
	image_put_log(fake, &info, 1, 0, LOG_ENTRY(9, 8, 7, 2));
	assert_repair(&plain, "log-seq", 0);
	assert_fresh(1, 40);
	/* something in the padding */
	write_sector(2, 41);
	image_put_log(fake, &info, 2, 3, LOG_ENTRY(1, 2, 3, 4));
	assert_repair(&plain, "log-layout", 0);
	assert_fresh(2, 41);
	/* out of range, but for its block */
	image_put_log(fake, &info, 3, 1, LOG_ENTRY(NSECTOR, 42, 42, 2));
	image_put_map(fake, &info, 42, NORMAL(NSECTOR + 3));
	assert_repair(&plain, "log-range", 0);
	assert_fresh(3, 42);
	/* the other layout */
	image_put_log(fake, &info, 4, 2, LOG_ENTRY(43, 43, NSECTOR + 4, 2));
	image_put_map(fake, &info, 43, NORMAL(NSECTOR + 4));
	write_sector(5, 44);
	assert_repair(&plain, "log-layout", 0);
	assert_fresh(4, 43);
	ck_assert_uint_eq(map_entry(43), NORMAL(NSECTOR + 4));
}
END_TEST

/* Not even a block of its own is known: the one that nobody has. */
START_TEST(pair__gets_what_is_left)
{
	write_sector(1, 40);
	memset(fake->bytes + log_off(1), 0xff, 64);
	assert_repair(&plain, "log-layout", 0);
	assert_fresh(1, 40);
	memset(fake->bytes + log_off(0), 0, 256 * 64);
	assert_repair(&plain, "log-layout", 0);
	for (uint32_t i = 0; i < 256; i++)
		assert_fresh(i, i == 1 ? 40 : NSECTOR + i);
}
END_TEST

/*
 * Sorting no claims at all was undefined: of no pair and no entry there is a
 * block that two could want.
 */
START_TEST(regress__a_log_without_a_claim_is_made_anew)
{
	memset(fake->bytes + log_off(0), 0, 256 * 64);
	assert_repair(&repair_all, "log-layout", 0);
	assert_fresh(0, NSECTOR);
	assert_fresh(255, NSECTOR + 255);
}
END_TEST

/*
 * A damaged pair names a block that a sector has: it is not to be believed
 * more than the sector is.
 */
START_TEST(pair__does_not_get_what_others_have)
{
	image_put_log(fake, &info, 6, 0, LOG_ENTRY(6, 100, 100, 9));
	assert_repair(&plain, "log-seq", 0);
	assert_fresh(6, NSECTOR + 6);
	ck_assert_uint_eq(map_entry(100), 0);
}
END_TEST

/*
 * Not one sound pair.  Most use slots 0 and 2; but more would use 0 and 1 if a
 * mark in slot 0 counted, and so do the last ones that are without.
 */
static void
make_log_of_strays(void)
{
	static const unsigned used[8] = { 5, 5, 2, 5, 3, 3, 7, 2 };

	for (uint32_t i = 0; i < 256; i++) {
		memset(fake->bytes + log_off(i), 0, FLOG_GROUP_BYTES);
		for (unsigned slot = 0; slot < 3; slot++) {
			uint32_t block = NSECTOR + (i + slot) % 256;

			if (used[i % 8] >> slot & 1)
				image_put_log(fake, &info, i, slot,
				    LOG_ENTRY(i, slot ? block : i, block, 7));
		}
	}
}

/*
 * Which blocks a damaged pair names depends on the slots that the log uses, and
 * in a log without one sound pair these were other ones once some of its pairs
 * had been mended: a repair that was cut short and begun again gave pairs blocks
 * that their newer entries did not name, though one that was not did.  Found by
 * fuzz_repair.
 */
START_TEST(regress__a_log_is_read_the_same_however_much_of_it_is_mended)
{
	const size_t bytes = 256 * FLOG_GROUP_BYTES;
	uint8_t wanted[256 * FLOG_GROUP_BYTES];
	struct btt_repair_summary summary;
	unsigned nop;

	make_log_of_strays();
	fake_forget(fake);
	ck_assert_int_eq(repair(fake, &plain, &summary), 0);
	nop = fake->nop;
	ck_assert_uint_gt(nop, 2 * 256);
	memcpy(wanted, fake->bytes + log_off(0), bytes);
	for (unsigned fail_op = 1 + 7 * (unsigned)_i; fail_op <= nop;
	     fail_op += 28) {
		make_log_of_strays();
		fake_forget(fake);
		fake->fail_op = fail_op;
		ck_assert_int_lt(repair(fake, &plain, &summary), 0);
		fake_forget(fake);
		ck_assert_int_eq(repair(fake, &plain, &summary), 0);
		ck_assert_msg(
		    memcmp(wanted, fake->bytes + log_off(0), bytes) == 0,
		    "cut short at operation %u of %u", fail_op, nop);
	}
}
END_TEST

/* As Linux before 4.15 wrote it, in every state that a pair can have. */
static void
make_old_log(void)
{
	static const uint32_t seqs[][2] = { { 1, 0 }, { 1, 2 }, { 2, 3 },
		{ 3, 1 }, { 2, 1 }, { 3, 2 }, { 1, 3 }, { 0, 2 } };

	for (uint32_t i = 0; i < 250; i++) {
		const uint32_t *seq = seqs[i % 8];
		unsigned newer = flog_pick(seq[0], seq[1]) == 0 ? 0 : 2;

		if (i % 8 == 0)
			continue;
		image_put_log(fake, &info, i, 2 - newer,
		    LOG_ENTRY(1, 2, 3, seq[newer ? 0 : 1]));
		image_put_log(fake, &info, i, newer,
		    LOG_ENTRY(10 * i, 10 * i, NSECTOR + i, seq[newer / 2]));
		/* some of them never came to the map */
		image_put_map(
		    fake, &info, 10 * i, i % 3 == 0 ? 0 : NORMAL(NSECTOR + i));
	}
	/* half of an entry */
	image_put_log(fake, &info, 252, 2, LOG_ENTRY(9, 9, 0, 0));
	/* flags, as Windows and Linux write them */
	image_put_log(fake, &info, 253, 0,
	    LOG_ENTRY(253, MAP_ZERO | (NSECTOR + 253),
		MAP_ZERO | (NSECTOR + 253), 1));
	image_put_log(fake, &info, 254, 0,
	    LOG_ENTRY(254, MAP_ERROR | (NSECTOR + 254), NSECTOR + 254, 1));
}

START_TEST(rewrite_log__makes_every_pair_a_fresh_one)
{
	make_old_log();
	ck_assert_check("log-pad log-flags log-map", 0);
	assert_repair(&rewriting, "log-map log-pad", 0);
	ck_assert_str_eq(findings_names(&findings), "");
	for (uint32_t i = 0; i < 256; i++)
		assert_fresh(i, i % 8 != 0 && i < 250 ? 10 * i : NSECTOR + i);
	for (uint32_t i = 0; i < 250; i++)
		ck_assert_uint_eq(
		    map_entry(10 * i), i % 8 != 0 ? NORMAL(NSECTOR + i) : 0);
	/* and it stays as it is otherwise */
	make_old_log();
	assert_repair(&plain, "log-map", 0);
	ck_assert_str_eq(findings_names(&findings), "log-pad log-flags");
}
END_TEST

/*
 * Cut short anywhere it is a log that all implementations open, and that says
 * the same: the slots go together, and each pair has its block.
 */
START_TEST(rewrite_log__is_valid_at_every_point)
{
	struct btt_repair_summary summary;
	uint32_t block[256];
	unsigned nop = 0;

	make_old_log();
	assert_repair(&plain, "log-map", 0);
	for (uint32_t i = 0; i < 256; i++)
		block[i] = i % 8 != 0 && i < 250 ? 10 * i : NSECTOR + i;
	for (fake->fail_op = 1; repair(fake, &rewriting, &summary) < 0;) {
		const struct flog_media *log =
		    (const void *)(fake->bytes + log_off(0));
		struct flog_slots slots;
		uint32_t bad;

		nop = fake->fail_op;
		ck_assert_int_eq(flog_detect(log, 256, &slots, &bad), 0);
		for (uint32_t i = 0; i < 256; i++) {
			struct flog_entry half[2];
			int newer;

			for (unsigned k = 0; k < 2; k++)
				half[k] =
				    flog_decode(&log[4 * i + slots.slot[k]]);
			newer = flog_pick(half[0].seq, half[1].seq);
			ck_assert_int_ge(newer, 0);
			ck_assert_uint_eq(
			    half[newer].old_map & MAP_BLOCK_MASK, block[i]);
		}
		/* go on from there; the next one is cut short later */
		fake_forget(fake);
		if (nop % 4 == 0) {
			ck_assert_int_eq(findings_of(fake, &findings), 0);
			ck_assert_uint_eq(findings.result.ndamage, 0);
			ck_assert_uint_eq(findings.result.npending, 0);
		}
		make_old_log();
		ck_assert_int_eq(repair(fake, &plain, &summary), 0);
		fake_forget(fake);
		fake->fail_op = nop + 13;
	}
	ck_assert_uint_gt(nop, 1000);
}
END_TEST

/* Pools keep the flags that libpmemblk makes fresh pairs with. */
START_TEST(rewrite_log__of_a_pool_is_as_libpmemblk_makes_it)
{
	struct media_fake *pool =
	    fake_new(BTT_POOL_OFFSET + BTT_ARENA_MIN_BYTES);
	struct btt_repair_summary summary;
	struct flog_entry entry;
	uint8_t *log;
	struct le64 sum;

	strcpy((char *)pool->bytes, "PMEMBLK");
	pool->bytes[8] = 1;
	sum = le64_encode(btt_info_checksum(pool->bytes));
	memcpy(pool->bytes + 4088, &sum, sizeof(sum));
	pool->bytes[4097] = 16;
	image_put_info(pool, BTT_POOL_OFFSET, &info);
	image_put_info(pool, BTT_POOL_OFFSET + info.info2off, &info);
	log = pool->bytes + BTT_POOL_OFFSET + info.logoff;
	for (uint32_t i = 0; i < 256; i++) {
		entry = flog_initial(i, NSECTOR, BTT_LAYOUT_POOL);
		flog_encode(
		    &entry, (struct flog_media *)(void *)(log + 64ull * i));
	}
	/* never written, but another sector has taken its block */
	memcpy(pool->bytes + BTT_POOL_OFFSET + info.mapoff,
	    &(struct le32){ le32_encode(NORMAL(1)).raw }, 4);
	memset(log + 3 * 64, 0x11, 64);
	ck_assert_int_eq(repair(pool, &rewriting, &summary), 0);
	ck_assert_uint_eq(summary.nloss, 0);
	entry = flog_decode((struct flog_media *)(void *)(log + 3 * 64ull));
	ck_assert_uint_eq(entry.old_map, MAP_ZERO | (NSECTOR + 3));
	ck_assert_uint_eq(entry.new_map, MAP_ZERO | (NSECTOR + 3));
	/* it reads as zeroes, as it did */
	ck_assert_mem_eq(pool->bytes + BTT_POOL_OFFSET + info.mapoff + 4,
	    &(struct le32){ le32_encode(MAP_ZERO).raw }, 4);
	ck_assert_int_eq(findings_of(pool, &findings), 0);
	ck_assert_findings(&findings, "", 0);
	media_close(&pool->media);
}
END_TEST

/* What cannot be mended. */

START_TEST(repair__refuses_what_it_cannot_place)
{
	struct btt_info bad = info;
	struct btt_repair *plan;
	struct btt_repair_refusal refusal;

	/* damage that it would mend is there as well */
	image_put_map(fake, &info, 5, NORMAL(NBLOCK));
	bad.mapoff += 4096;
	image_put_both(fake, backup_off(), &bad);
	plan = plan_of(&fake->media, &repair_all);
	ck_assert_str_eq(change_names(plan), "");
	btt_repair_get_refusal(plan, 0, &refusal);
	ck_assert_ptr_nonnull(strstr(refusal.text, "info-geometry: "));
	ck_assert_ptr_nonnull(strstr(refusal.text, "mapoff"));
	btt_repair_free(plan);
	image_put_both(fake, backup_off(), &info);
	fake->media.size -= 4096;
	assert_repair(&repair_all, "", 1);
	fake->media.size += 4096;
	fake->bytes[BTT_V11_OFFSET + 4095] ^= 1;
	fake->bytes[backup_off() + 4095] ^= 1;
	assert_repair(&repair_all, "", 1);
}
END_TEST

START_TEST(repair__of_no_btt_fails_as_a_check_does)
{
	struct btt_error error = { "" };
	struct btt_repair *plan;
	struct btt_info other = info;

	other.minor = 9;
	image_put_both(fake, backup_off(), &other);
	ck_assert_int_eq(
	    btt_repair_plan(&fake->media, &plain, &plan, &error), -ENOTSUP);
	memset(fake->bytes, 0, IMAGE_BYTES);
	ck_assert_int_eq(
	    btt_repair_plan(&fake->media, &plain, &plan, &error), -EMEDIUMTYPE);
	btt_repair_free(NULL);
}
END_TEST

/* One arena is given up, the other one is mended. */
START_TEST(repair__goes_through_all_arenas)
{
	const uint64_t second = BTT_ARENA_MAX_BYTES;
	struct btt_info other;
	struct btt_repair *plan;
	struct btt_repair_change change;
	struct le32 word = le32_encode(NORMAL(12));

	media_close(&fake->media);
	fake = image_new(
	    BTT_ARENA_MAX_BYTES + (UINT64_C(64) << 20), BTT_LAYOUT_V20, 65536);
	ck_assert_int_eq(btt_info_decode(fake->bytes, &info), BTT_INFO_VALID);
	ck_assert_int_eq(
	    btt_info_decode(fake->bytes + second, &other), BTT_INFO_VALID);
	memcpy(fake->bytes + info.mapoff + 4 * 9, &word, sizeof(word));
	memset(fake->bytes + second + other.logoff, 0xff, 64);
	fake->bytes[second] = 0;
	plan = plan_of(&fake->media, &plain);
	ck_assert_str_eq(change_names(plan), "info bitmap log-layout");
	btt_repair_get_change(plan, 2, &change);
	ck_assert_uint_eq(change.arena, 1);
	ck_assert_uint_eq(change.off, second + other.logoff);
	btt_repair_free(plan);
	assert_repair(&plain, "info bitmap log-layout", 1);
	assert_repair(&repair_all, "bitmap", 0);
}
END_TEST

/* A list of changes has an end, and then nothing is done by halves. */
START_TEST(repair__refuses_more_than_it_can_list)
{
	struct btt_repair *plan;
	struct btt_repair_refusal refusal;

	media_close(&fake->media);
	fake = image_new(UINT64_C(600) << 20, BTT_LAYOUT_V11, 512);
	ck_assert_int_eq(btt_info_decode(fake->bytes + BTT_V11_OFFSET, &info),
	    BTT_INFO_VALID);
	ck_assert_uint_gt(info.external_nlba, BTT_REPAIR_CHANGE_MAX);
	memset(fake->bytes + BTT_V11_OFFSET + info.mapoff, 0xff,
	    4ull * info.external_nlba);
	plan = plan_of(&fake->media, &repair_all);
	ck_assert_str_eq(change_names(plan), "");
	btt_repair_get_refusal(plan, 0, &refusal);
	ck_assert_ptr_nonnull(strstr(refusal.text, "more than 1048576"));
	btt_repair_free(plan);
	/* as many as there is room for */
	memset(fake->bytes + BTT_V11_OFFSET + info.mapoff, 0,
	    4ull * info.external_nlba);
	memset(fake->bytes + BTT_V11_OFFSET + info.mapoff, 0xff,
	    4ull * BTT_REPAIR_CHANGE_MAX);
	assert_repair(&plain, "map-range", 0);
	ck_assert_uint_eq(findings.result.nerror, BTT_REPAIR_CHANGE_MAX);
}
END_TEST

/* Nobody else may have been there between the plan and its end. */
START_TEST(apply__refuses_another_medium_than_was_planned_for)
{
	struct btt_repair *plan;
	struct btt_error error;

	image_put_map(fake, &info, 5, NORMAL(NBLOCK));
	image_put_map(fake, &info, 6, NORMAL(NBLOCK));
	plan = plan_of(&fake->media, &plain);
	fake->media.size -= 4096;
	ck_assert_int_eq(
	    btt_repair_apply(plan, &fake->media, &error), -EUCLEAN);
	fake->media.size += 4096;
	fake->media.read_only = true;
	ck_assert_int_eq(btt_repair_apply(plan, &fake->media, &error), -EROFS);
	fake->media.read_only = false;
	image_put_map(fake, &info, 6, NORMAL(6));
	ck_assert_int_eq(
	    btt_repair_apply(plan, &fake->media, &error), -EUCLEAN);
	ck_assert_uint_eq(map_entry(6), NORMAL(6));
	ck_assert_ptr_nonnull(strstr(error.text, "changed"));
	btt_repair_free(plan);
}
END_TEST

/* So of words of the log, and of info blocks. */
START_TEST(apply__compares_whatever_it_overwrites)
{
	uint8_t *block = fake->bytes + backup_off();
	struct btt_repair *plan;
	struct btt_error error;
	uint8_t others[64];

	memset(fake->bytes + log_off(9), 0x11, 64);
	plan = plan_of(&fake->media, &plain);
	memset(fake->bytes + log_off(9), 0x22, 64);
	memcpy(others, fake->bytes + log_off(9), sizeof(others));
	ck_assert_int_eq(
	    btt_repair_apply(plan, &fake->media, &error), -EUCLEAN);
	ck_assert_mem_eq(fake->bytes + log_off(9), others, sizeof(others));
	btt_repair_free(plan);
	block[100] ^= 1;
	plan = plan_of(&fake->media, &plain);
	block[200] ^= 1;
	ck_assert_int_eq(
	    btt_repair_apply(plan, &fake->media, &error), -EUCLEAN);
	ck_assert_uint_eq(block[200], 1);
	btt_repair_free(plan);
}
END_TEST

static Suite *
repair_suite(void)
{
	Suite *suite = suite_create("repair");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, repair__of_what_is_sound_changes_nothing);
	tcase_add_test(tc, info__is_copied_from_the_one_that_is_used);
	tcase_add_test(tc, info__keeps_unknown_bits);
	tcase_add_test(tc, error_flag__is_cleared_last_and_on_request);
	tcase_add_test(tc, error_flag__of_one_copy_becomes_that_of_both);
	tcase_add_test(tc, pending__is_completed);
	tcase_add_test(tc, pending__in_a_circle_is_none);
	tcase_add_test(tc, map_range__gets_a_block_and_is_marked_bad);
	tcase_add_test(tc, block__stays_with_the_entry_that_the_log_confirms);
	tcase_add_test(tc, block__stays_with_the_one_that_was_written);
	tcase_add_test(tc, block__stays_with_the_lowest_of_equals);
	tcase_add_test(tc, block__of_zero_and_bad_entries_is_given_up_first);
	tcase_add_test(tc, block__stays_with_a_pair_that_was_never_used);
	tcase_add_test(tc, block__is_taken_from_a_pair_that_was_used);
	tcase_add_test(tc, block__that_nobody_reads_stays_with_the_lowest);
	tcase_add_test(tc, block__of_two_pairs_stays_with_the_first);
	tcase_add_test(tc, pair__gets_the_block_that_its_entries_name);
	tcase_add_test(tc, pair__gets_what_is_left);
	tcase_add_test(tc, regress__a_log_without_a_claim_is_made_anew);
	tcase_add_test(tc, pair__does_not_get_what_others_have);
	tcase_add_loop_test(tc,
	    regress__a_log_is_read_the_same_however_much_of_it_is_mended, 0, 4);
	tcase_add_test(tc, rewrite_log__makes_every_pair_a_fresh_one);
	tcase_add_test(tc, rewrite_log__is_valid_at_every_point);
	tcase_add_test(tc, rewrite_log__of_a_pool_is_as_libpmemblk_makes_it);
	tcase_add_test(tc, repair__refuses_what_it_cannot_place);
	tcase_add_test(tc, repair__of_no_btt_fails_as_a_check_does);
	if (MEDIA_FAKE_MAY_BE_HUGE)
		tcase_add_test(tc, repair__goes_through_all_arenas);
	tcase_add_test(tc, repair__refuses_more_than_it_can_list);
	tcase_add_test(tc, apply__refuses_another_medium_than_was_planned_for);
	tcase_add_test(tc, apply__compares_whatever_it_overwrites);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(repair_suite());
}

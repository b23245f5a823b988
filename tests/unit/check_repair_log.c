/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * repair_log -- what a repair makes of the log: pairs that are made anew, the
 * blocks that they get, and pairs that are only rewritten.
 */
#include <string.h>

#include "flog.h"
#include "support/check_main.h"
#include "support/repair_fixture.h"

static const struct btt_repair_options plain;
static const struct btt_repair_options rewriting = { .rewrite_log = true };

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

static Suite *
repair_log_suite(void)
{
	Suite *suite = suite_create("repair_log");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, pair__gets_the_block_that_its_entries_name);
	tcase_add_test(tc, pair__gets_what_is_left);
	tcase_add_test(tc, regress__a_log_without_a_claim_is_made_anew);
	tcase_add_test(tc, pair__does_not_get_what_others_have);
	tcase_add_loop_test(tc,
	    regress__a_log_is_read_the_same_however_much_of_it_is_mended, 0, 4);
	tcase_add_test(tc, rewrite_log__makes_every_pair_a_fresh_one);
	tcase_add_test(tc, rewrite_log__is_valid_at_every_point);
	tcase_add_test(tc, rewrite_log__of_a_pool_is_as_libpmemblk_makes_it);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(repair_log_suite());
}

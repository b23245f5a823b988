/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * flog -- slots in use, the newer of two entries, and the two stores.
 */
#include <errno.h>
#include <string.h>

#include "flog.h"
#include "support/check_main.h"
#include "support/media_fake.h"

/* Every pair of numbers up to 5: btt-format.md 3.3. */
START_TEST(flog_pick__follows_the_table)
{
	const int bad = -EUCLEAN;
	const int table[6][6] = {
		/* second:  0    1    2    3    4    5  */
		{ bad, 1, 1, 1, bad, bad },       /* first 0 */
		{ 0, bad, 1, 0, bad, bad },       /* 1 */
		{ bad, 0, bad, 1, bad, bad },     /* 2 */
		{ bad, 1, 0, bad, bad, bad },     /* 3 */
		{ bad, bad, bad, bad, bad, bad }, /* 4 */
		{ bad, bad, bad, bad, bad, bad }, /* 5 */
	};

	for (uint32_t a = 0; a < 6; a++) {
		for (uint32_t b = 0; b < 6; b++)
			ck_assert_msg(flog_pick(a, b) == table[a][b],
			    "(%u,%u) gives %d", a, b, flog_pick(a, b));
	}
	ck_assert_int_eq(flog_pick(UINT32_MAX, 1), bad);
	ck_assert_int_eq(flog_pick(1, UINT32_MAX), bad);
	/* sums that wrap, or that look like 1 + 2 */
	ck_assert_int_eq(flog_pick(UINT32_MAX, UINT32_MAX), bad);
	ck_assert_int_eq(flog_pick(0x80000001, 0x80000002), bad);
}
END_TEST

/* What a writer leaves behind is always told apart. */
START_TEST(flog_pick__follows_a_writer_for_ever)
{
	uint32_t seq[2] = { 1, 0 };
	unsigned newer = 0;

	for (unsigned i = 0; i < 20; i++) {
		ck_assert_int_eq(flog_pick(seq[0], seq[1]), (int)newer);
		seq[1 - newer] = flog_next_seq(seq[newer]);
		newer = 1 - newer;
	}
}
END_TEST

START_TEST(flog_next_seq__skips_zero)
{
	ck_assert_uint_eq(flog_next_seq(1), 2);
	ck_assert_uint_eq(flog_next_seq(2), 3);
	ck_assert_uint_eq(flog_next_seq(3), 1);
}
END_TEST

#define NGROUP 8u

/* A log as create leaves it. */
static void
fill_log(struct flog_media log[NGROUP * FLOG_GROUP_SLOTS])
{
	memset(log, 0, NGROUP * FLOG_GROUP_SLOTS * sizeof(*log));
	for (uint32_t i = 0; i < NGROUP; i++) {
		struct flog_entry entry = flog_initial(i, 100, BTT_LAYOUT_V11);

		flog_encode(&entry, &log[i * FLOG_GROUP_SLOTS]);
	}
}

static void
put(struct flog_media *log, uint32_t group, unsigned slot, uint32_t seq)
{
	const struct flog_entry entry = {
		.lba = 1, .old_map = 2, .new_map = 3, .seq = seq
	};

	flog_encode(&entry, &log[group * FLOG_GROUP_SLOTS + slot]);
}

static void
clear(struct flog_media *log, uint32_t group, unsigned slot)
{
	memset(&log[group * FLOG_GROUP_SLOTS + slot], 0, sizeof(*log));
}

static void
assert_slots(const struct flog_media *log, unsigned second)
{
	struct flog_slots slots = { { 9, 9 } };
	uint32_t bad = 77;

	ck_assert_int_eq(flog_detect(log, NGROUP, &slots, &bad), 0);
	ck_assert_uint_eq(slots.slot[0], 0);
	ck_assert_uint_eq(slots.slot[1], second);
	ck_assert_uint_eq(bad, 77);
}

static void
assert_bad(const struct flog_media *log, uint32_t group)
{
	struct flog_slots slots = { { 9, 9 } };
	uint32_t bad = 77;

	ck_assert_int_eq(flog_detect(log, NGROUP, &slots, &bad), -EUCLEAN);
	ck_assert_uint_eq(bad, group);
	ck_assert_uint_eq(slots.slot[0], 9);
}

START_TEST(flog_detect__takes_a_fresh_log_for_the_new_layout)
{
	struct flog_media log[NGROUP * FLOG_GROUP_SLOTS];

	fill_log(log);
	assert_slots(log, 1);
}
END_TEST

/* One written group decides, wherever it is. */
START_TEST(flog_detect__knows_both_layouts_by_any_group)
{
	struct flog_media log[NGROUP * FLOG_GROUP_SLOTS];

	for (uint32_t group = 0; group < NGROUP; group++) {
		fill_log(log);
		put(log, group, 1, 2);
		assert_slots(log, 1);
		fill_log(log);
		put(log, group, 2, 2);
		assert_slots(log, 2);
	}
	fill_log(log);
	for (uint32_t group = 0; group < NGROUP; group++)
		put(log, group, 2, 2);
	assert_slots(log, 2);
}
END_TEST

/* The first half of a first write decides too: not all bytes are zero. */
START_TEST(flog_detect__counts_a_torn_entry)
{
	struct flog_media log[NGROUP * FLOG_GROUP_SLOTS];

	fill_log(log);
	log[3 * FLOG_GROUP_SLOTS + 2].old_map = le32_encode(5);
	assert_slots(log, 2);
}
END_TEST

START_TEST(flog_detect__refuses_mixed_layouts)
{
	struct flog_media log[NGROUP * FLOG_GROUP_SLOTS];

	fill_log(log);
	put(log, 2, 1, 2);
	put(log, 5, 2, 2);
	assert_bad(log, 5);
	fill_log(log);
	put(log, 2, 2, 2);
	put(log, 5, 1, 2);
	assert_bad(log, 5);
	fill_log(log);
	put(log, 4, 1, 2);
	put(log, 4, 2, 3);
	assert_bad(log, 4);
}
END_TEST

START_TEST(flog_detect__refuses_other_slots)
{
	struct flog_media log[NGROUP * FLOG_GROUP_SLOTS];

	fill_log(log);
	put(log, 6, 3, 2);
	assert_bad(log, 6);
	for (uint32_t group = 0; group < NGROUP; group++) {
		clear(log, group, 0);
		put(log, group, 1, 1);
		put(log, group, 2, 2);
	}
	assert_bad(log, 0);
}
END_TEST

/*
 * The kernel accepts an empty group in front of the first written one, and
 * then takes block 0 for free, which is somebody's.
 */
START_TEST(flog_detect__refuses_an_empty_group_anywhere)
{
	struct flog_media log[NGROUP * FLOG_GROUP_SLOTS];

	for (uint32_t group = 0; group < NGROUP; group++) {
		fill_log(log);
		clear(log, group, 0);
		assert_bad(log, group);
		put(log, NGROUP / 2, 1, 2);
		assert_bad(log, group);
	}
	memset(log, 0, sizeof(log));
	assert_bad(log, 0);
}
END_TEST

/* The same: only its second entry is left. */
START_TEST(flog_detect__refuses_an_empty_first_slot)
{
	struct flog_media log[NGROUP * FLOG_GROUP_SLOTS];

	fill_log(log);
	put(log, 1, 1, 2);
	clear(log, 1, 0);
	assert_bad(log, 1);
}
END_TEST

START_TEST(flog_initial__is_the_kernels_and_libpmemblks)
{
	struct flog_media media;
	struct flog_entry entry;
	/* btt-format.md 13.4: fresh Linux lane 0 with external_nlba 7920 */
	static const uint8_t kernel[16] = { 0, 0, 0, 0, 0xf0, 0x1e, 0, 0, 0xf0,
		0x1e, 0, 0, 1, 0, 0, 0 };

	entry = flog_initial(0, 7920, BTT_LAYOUT_V11);
	flog_encode(&entry, &media);
	ck_assert_mem_eq(&media, kernel, sizeof(media));
	entry = flog_initial(0, 7919, BTT_LAYOUT_POOL);
	ck_assert_uint_eq(entry.old_map, 0x80001eef);
	ck_assert_uint_eq(entry.new_map, 0x80001eef);
	entry = flog_initial(255, 7920, BTT_LAYOUT_V20);
	ck_assert_uint_eq(entry.lba, 255);
	ck_assert_uint_eq(entry.old_map, 7920 + 255);
}
END_TEST

/* More pairs than sectors: none may name a sector that is not there. */
START_TEST(flog_initial__names_only_sectors_that_exist)
{
	for (uint32_t i = 0; i < 1000; i++) {
		struct flog_entry entry = flog_initial(i, 7, BTT_LAYOUT_V11);
		const char *field;

		ck_assert_int_eq(flog_validate(&entry, 7, 1007, &field), 0);
	}
}
END_TEST

START_TEST(flog_decode__undoes_encode)
{
	const struct flog_entry entry = { .lba = 0x01020304,
		.old_map = 0xc5060708,
		.new_map = 0x890a0b0c,
		.seq = 0x0d0e0f10 };
	static const uint8_t expected[16] = { 4, 3, 2, 1, 8, 7, 6, 0xc5, 0xc,
		0xb, 0xa, 0x89, 0x10, 0xf, 0xe, 0xd };
	struct flog_media media;
	struct flog_entry again;

	flog_encode(&entry, &media);
	ck_assert_mem_eq(&media, expected, sizeof(media));
	again = flog_decode(&media);
	ck_assert_mem_eq(&again, &entry, sizeof(again));
}
END_TEST

START_TEST(flog_validate__compares_with_its_own_arena)
{
	static const struct {
		struct flog_entry entry;
		const char *field;
	} rows[] = {
		{ { 99, 109, 109, 1 }, NULL },
		/* flags are no part of a number */
		{ { 0, 0xc0000000, 0x8000006d, 1 }, NULL },
		{ { 0, 0x4000006d, 0xc000006d, 3 }, NULL },
		{ { 100, 0, 0, 1 }, "lba" },
		{ { UINT32_MAX, 0, 0, 1 }, "lba" },
		{ { 0x80000000, 0, 0, 1 }, "lba" },
		{ { 0, 110, 0, 1 }, "old_map" },
		{ { 0, 0xc000006e, 0, 1 }, "old_map" },
		{ { 0, UINT32_MAX, 0, 1 }, "old_map" },
		{ { 0, 0, 110, 1 }, "new_map" },
		{ { 0, 0, 0x3fffffff, 1 }, "new_map" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *field = "none";
		int r = flog_validate(&rows[i].entry, 100, 110, &field);

		ck_assert_int_eq(r, rows[i].field == NULL ? 0 : -EUCLEAN);
		ck_assert_str_eq(
		    field, rows[i].field == NULL ? "none" : rows[i].field);
	}
}
END_TEST

/* Each half is one store of eight bytes, and its write-back is started. */
START_TEST(flog_store__is_one_store_a_half)
{
	struct media_fake *fake = fake_new(4096);
	static const uint8_t expected[16] = { 4, 3, 2, 1, 8, 7, 6, 5, 0xc, 0xb,
		0xa, 0x9, 2, 0, 0, 0 };

	fake->remember = true;
	ck_assert_int_eq(
	    flog_store_body(&fake->media, 64, 0x01020304, 0x05060708), 0);
	ck_assert_uint_eq(fake->nop, 2);
	ck_assert_int_eq(fake->op[0].kind, FAKE_STORE);
	ck_assert_uint_eq(fake->op[0].off, 64);
	ck_assert_uint_eq(fake->op[0].len, 8);
	ck_assert_int_eq(fake->op[1].kind, FAKE_FLUSH);
	ck_assert_uint_eq(fake->op[1].off, 64);
	ck_assert_uint_eq(fake->op[1].len, 8);

	ck_assert_int_eq(flog_store_commit(&fake->media, 64, 0x090a0b0c, 2), 0);
	ck_assert_uint_eq(fake->nop, 4);
	ck_assert_int_eq(fake->op[2].kind, FAKE_STORE);
	ck_assert_uint_eq(fake->op[2].off, 72);
	ck_assert_uint_eq(fake->op[2].len, 8);
	ck_assert_int_eq(fake->op[3].kind, FAKE_FLUSH);
	ck_assert_uint_eq(fake->op[3].off, 72);
	ck_assert_mem_eq(fake->bytes + 64, expected, sizeof(expected));
	media_close(&fake->media);
}
END_TEST

START_TEST(flog_store__passes_errors_on)
{
	for (unsigned fail = 1; fail <= 2; fail++) {
		struct media_fake *fake = fake_new(4096);

		fake->fail_op = fail;
		ck_assert_int_eq(flog_store_body(&fake->media, 0, 1, 2), -EIO);
		fake_forget(fake);
		fake->fail_op = fail;
		ck_assert_int_eq(
		    flog_store_commit(&fake->media, 0, 1, 2), -EIO);
		media_close(&fake->media);
	}
}
END_TEST

static Suite *
flog_suite(void)
{
	Suite *suite = suite_create("flog");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, flog_pick__follows_the_table);
	tcase_add_test(tc, flog_pick__follows_a_writer_for_ever);
	tcase_add_test(tc, flog_next_seq__skips_zero);
	tcase_add_test(tc, flog_detect__takes_a_fresh_log_for_the_new_layout);
	tcase_add_test(tc, flog_detect__knows_both_layouts_by_any_group);
	tcase_add_test(tc, flog_detect__counts_a_torn_entry);
	tcase_add_test(tc, flog_detect__refuses_mixed_layouts);
	tcase_add_test(tc, flog_detect__refuses_other_slots);
	tcase_add_test(tc, flog_detect__refuses_an_empty_group_anywhere);
	tcase_add_test(tc, flog_detect__refuses_an_empty_first_slot);
	tcase_add_test(tc, flog_initial__is_the_kernels_and_libpmemblks);
	tcase_add_test(tc, flog_initial__names_only_sectors_that_exist);
	tcase_add_test(tc, flog_decode__undoes_encode);
	tcase_add_test(tc, flog_validate__compares_with_its_own_arena);
	tcase_add_test(tc, flog_store__is_one_store_a_half);
	tcase_add_test(tc, flog_store__passes_errors_on);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(flog_suite());
}

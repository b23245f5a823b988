/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * repair -- each rule of repair.h by itself: what is mended and how, what is
 * withheld, what is refused.
 */
#include <errno.h>
#include <string.h>

#include "support/check_main.h"
#include "support/repair_fixture.h"

static const struct btt_repair_options plain;

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

	tcase_set_timeout(tc, 100);
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

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recovery -- what opening makes of interrupted writes, and what is left of an
 * arena that fails.
 */
#include <errno.h>
#include <string.h>

#include <btt/btt.h>

#include "support/check_main.h"
#include "support/damage_fixture.h"

static struct btt_worker_pool *pool;
static uint8_t sector[4096];

static void
set_up_pool(void)
{
	set_up();
	ck_assert_int_eq(media_install_sigbus(), 0);
	ck_assert_int_eq(btt_worker_pool_new(1, &pool), 0);
}

static void
tear_down_pool(void)
{
	btt_worker_pool_free(pool);
}

static struct btt *
open_it(bool read_only, uint64_t nrecovered)
{
	const struct btt_open_options options = { .read_only = read_only };
	struct btt_geometry_info geometry;
	struct btt_error error = { "" };
	struct btt *btt;
	int r;

	fake_forget(fake);
	r = btt_open(&fake->media, pool, &options, &btt, &error);
	ck_assert_msg(r == 0, "open: %d %s", r, error.text);
	btt_get_geometry(btt, &geometry);
	ck_assert_uint_eq(geometry.nrecovered, nrecovered);
	return btt;
}

static uint32_t
entry_of(uint32_t premap)
{
	struct le32 word;

	memcpy(&word, fake->bytes + map_off(premap), sizeof(word));
	return le32_decode(word);
}

/* Sector 5 went from its own block to that of pair 0, then to that of pair 1. */
static void
interrupt_two_writes(void)
{
	image_put_log(fake, &info, 0, 1, LOG_ENTRY(5, 5, NSECTOR, 2));
	image_put_log(fake, &info, 1, 1, LOG_ENTRY(5, NSECTOR, NSECTOR + 1, 2));
	memset(fake->bytes + block_off(NSECTOR), 1, 4096);
	memset(fake->bytes + block_off(NSECTOR + 1), 2, 4096);
}

static void
expect_second_write(struct btt *btt)
{
	ck_assert_int_eq(btt_read(btt, btt_worker_pool_get(pool, 0), 5 * 4096,
			     sizeof(sector), sector),
	    0);
	ck_assert_uint_eq(sector[0], 2);
	ck_assert_uint_eq(sector[4095], 2);
}

/*
 * Only the first of two entries about one sector was completed: its block was
 * then the sector's and the second pair's free block as well, and the next
 * write of any sector through that pair went over it.  Our own logs never hold
 * two such entries (I4); a damaged or foreign one may, and Linux completes
 * both.
 */
START_TEST(regress__two_interrupted_writes_of_one_sector_are_completed)
{
	struct btt *btt;

	interrupt_two_writes();
	btt = open_it(false, 2);
	ck_assert_uint_eq(entry_of(5), NORMAL(NSECTOR + 1));
	expect_second_write(btt);
	ck_assert_check("", 0);
	ck_assert_int_eq(btt_close(btt), 0);
}
END_TEST

START_TEST(regress__two_interrupted_writes_are_seen_by_a_reader)
{
	struct btt *btt;

	interrupt_two_writes();
	btt = open_it(true, 2);
	expect_second_write(btt);
	ck_assert_uint_eq(fake->nop, 0);
	ck_assert_int_eq(btt_close(btt), 0);
}
END_TEST

/* The map says neither: the write was completed, and others followed. */
START_TEST(recovery__leaves_a_sector_that_went_on_alone)
{
	struct btt *btt;

	write_sector(0, 5);
	image_put_log(fake, &info, 1, 1, LOG_ENTRY(5, NSECTOR, NSECTOR + 1, 2));
	image_put_log(
	    fake, &info, 2, 1, LOG_ENTRY(5, NSECTOR + 1, NSECTOR + 2, 2));
	image_put_map(fake, &info, 5, NORMAL(NSECTOR + 2));
	btt = open_it(false, 0);
	ck_assert_uint_eq(entry_of(5), NORMAL(NSECTOR + 2));
	ck_assert_uint_eq(fake->nop, 0);
	ck_assert_int_eq(btt_close(btt), 0);
}
END_TEST

/* A store or the fence behind it fails: no device, and it says why. */
START_TEST(recovery__that_cannot_store_opens_nothing)
{
	const struct btt_open_options options = { 0 };
	struct btt_error error = { "" };
	struct btt *btt;

	interrupt_two_writes();
	fake_forget(fake);
	fake->fail_op = 1 + (unsigned)_i;
	ck_assert_int_eq(
	    btt_open(&fake->media, pool, &options, &btt, &error), -EIO);
	ck_assert_ptr_nonnull(strstr(error.text, "could not be completed"));
	ck_assert_uint_eq(fake->nop, 1 + (unsigned)_i);
	/* What was not stored then is stored now. */
	fake_forget(fake);
	ck_assert_int_eq(
	    btt_open(&fake->media, pool, &options, &btt, &error), 0);
	expect_second_write(btt);
	ck_assert_check("", 0);
	ck_assert_int_eq(btt_close(btt), 0);
}
END_TEST

/* Copy, two log stores with flush and fence, then the map's. */
#define MAP_STORE_OP 8u

/* A block that is damaged already may be evidence: it gets no new checksum. */
START_TEST(arena_fail__does_not_touch_what_is_no_info_block)
{
	uint8_t before[BTT_INFO_BYTES];
	struct btt_info flagged;
	struct btt *btt;

	fake->bytes[BTT_V11_OFFSET + 2000] ^= 1;
	memcpy(before, fake->bytes + BTT_V11_OFFSET, sizeof(before));
	btt = open_it(false, 0);
	fake_forget(fake);
	fake->fail_op = MAP_STORE_OP;
	ck_assert_int_eq(btt_write(btt, btt_worker_pool_get(pool, 0), 0,
			     sizeof(sector), sector),
	    -EIO);
	ck_assert_int_eq(btt_failed(btt), -EIO);
	ck_assert_mem_eq(fake->bytes + BTT_V11_OFFSET, before, sizeof(before));
	ck_assert_int_eq(btt_info_decode(fake->bytes + backup_off(), &flagged),
	    BTT_INFO_VALID);
	ck_assert_uint_eq(flagged.flags, BTT_FLAG_ERROR);
	fake_forget(fake);
	ck_assert_int_eq(btt_close(btt), 0);
}
END_TEST

/* More pairs than there are locks for map lines, or lanes. */
START_TEST(arena_open__of_many_pairs)
{
	struct btt_create_options options = image_options(BTT_LAYOUT_V11, 512);
	struct btt *btt;

	options.nfree = 5000;
	image_create(fake, &options);
	ck_assert_int_eq(btt_info_decode(fake->bytes + BTT_V11_OFFSET, &info),
	    BTT_INFO_VALID);
	image_put_log(fake, &info, 4999, 1,
	    LOG_ENTRY(7, 7, info.external_nlba + 4999, 2));
	btt = open_it(false, 1);
	ck_assert_uint_eq(entry_of(7), NORMAL(info.external_nlba + 4999));
	ck_assert_check("", 0);
	ck_assert_int_eq(btt_close(btt), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("recovery");
	TCase *tcase = tcase_create("recovery");

	tcase_add_checked_fixture(tcase, set_up_pool, tear_down_pool);
	tcase_add_test(
	    tcase, regress__two_interrupted_writes_of_one_sector_are_completed);
	tcase_add_test(
	    tcase, regress__two_interrupted_writes_are_seen_by_a_reader);
	tcase_add_test(tcase, recovery__leaves_a_sector_that_went_on_alone);
	tcase_add_test(tcase, arena_fail__does_not_touch_what_is_no_info_block);
	tcase_add_test(tcase, arena_open__of_many_pairs);
	/* Two stores, each with its flush, and a fence. */
	tcase_add_loop_test(
	    tcase, recovery__that_cannot_store_opens_nothing, 0, 5);
	suite_add_tcase(suite, tcase);
	return check_main(suite);
}

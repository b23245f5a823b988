/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hostile_list -- each item of the list of what a parser of images must look at
 * (support/hostile_cases.c): opened, checked, read and written, and not a byte
 * is changed of what is refused.
 */
#include <errno.h>
#include <string.h>

#include <btt/btt.h>

#include "support/check_main.h"
#include "support/findings_fixture.h"
#include "support/hostile.h"

#define SECTOR 4096u

static struct media_fake *fake;
static struct btt_worker_pool *pool;
static struct btt_worker *worker;
static struct findings findings;
static uint8_t data[SECTOR];

static void
set_up(void)
{
	fake = fake_new(HOSTILE_ROOM(BTT_ARENA_MIN_BYTES));
	ck_assert_int_eq(media_install_sigbus(), 0);
	ck_assert_int_eq(btt_worker_pool_new(1, &pool), 0);
	worker = btt_worker_pool_get(pool, 0);
}

static void
tear_down(void)
{
	btt_worker_pool_free(pool);
}

static const struct hostile_case *
make(int index)
{
	const struct hostile_case *hostile = &hostile_cases[index];
	struct hostile_image image = {
		.bytes = fake->bytes,
		.arena_bytes = BTT_ARENA_MIN_BYTES,
		.sector_bytes = SECTOR,
		.nfree = BTT_NFREE_DEFAULT,
	};

	hostile_make(hostile, &image);
	fake->media.size = image.size;
	fake_forget(fake);
	return hostile;
}

static struct btt *
open_it(const struct hostile_case *hostile, bool read_only)
{
	const struct btt_open_options options = { .read_only = read_only };
	const int wanted =
	    read_only && hostile->is_readable ? 0 : hostile->open;
	struct btt_error error = { "" };
	struct btt *btt = NULL;
	int r;

	r = btt_open(&fake->media, pool, &options, &btt, &error);
	ck_assert_msg(r == wanted, "%s: open is %d (%s), not %d", hostile->name,
	    r, error.text, wanted);
	/* and then it says so */
	ck_assert_msg(r == 0 || !hostile->is_readable ||
		strstr(error.text, "read-only") != NULL,
	    "%s: %s", hostile->name, error.text);
	ck_assert_msg(
	    r == 0 || error.text[0] != '\0', "%s: no reason", hostile->name);
	/* For reading never; for writing only what an interrupted write left */
	if (r < 0 || read_only || strcmp(hostile->name, "log-pending") != 0)
		ck_assert_msg(
		    fake->nop == 0, "%s: opening it changes it", hostile->name);
	return btt;
}

START_TEST(hostile__is_opened_as_the_list_says)
{
	const struct hostile_case *hostile = make(_i);
	struct btt *btt = open_it(hostile, false);
	int r;

	if (btt == NULL)
		return;
	r = btt_read(btt, worker, SECTOR, SECTOR, data);
	ck_assert_msg(r == hostile->read, "%s: reading is %d, not %d",
	    hostile->name, r, hostile->read);
	r = btt_write(btt, worker, 0, SECTOR, data);
	ck_assert_msg(r == hostile->write, "%s: writing is %d, not %d",
	    hostile->name, r, hostile->write);
	ck_assert_int_eq(btt_close(btt), 0);
}
END_TEST

START_TEST(hostile__is_opened_for_reading_without_a_change)
{
	const struct hostile_case *hostile = make(_i);
	struct btt *btt = open_it(hostile, true);

	if (btt == NULL)
		return;
	ck_assert_int_eq(
	    btt_read(btt, worker, SECTOR, SECTOR, data), hostile->read);
	ck_assert_int_eq(btt_write(btt, worker, 0, SECTOR, data), -EROFS);
	ck_assert_uint_eq(fake->nop, 0);
	ck_assert_int_eq(btt_close(btt), 0);
}
END_TEST

START_TEST(hostile__is_found_by_check)
{
	const struct hostile_case *hostile = make(_i);
	int r = findings_of(fake, &findings);

	if (hostile->finding == NULL) {
		ck_assert_msg(r == hostile->open, "%s: check is %d (%s)",
		    hostile->name, r, findings.error.text);
		return;
	}
	ck_assert_msg(r == 0, "%s: check is %d (%s)", hostile->name, r,
	    findings.error.text);
	ck_assert_msg(findings_count(&findings, hostile->finding) > 0,
	    "%s: no finding %s among: %s", hostile->name, hostile->finding,
	    findings_names(&findings));
	/* What cannot be opened is damaged, whatever else it is. */
	ck_assert_msg(hostile->open == 0 || findings.result.ndamage > 0,
	    "%s: nothing is damaged", hostile->name);
}
END_TEST

/*
 * A medium may change under us: what was checked at the open is checked again
 * where it is used (I10).
 */
START_TEST(hostile__map_entry_after_the_open_is_not_believed)
{
	static const uint32_t entries[] = { UINT32_MAX, 0x7fffffff,
		0xbfffffff };
	const struct btt_open_options options = { 0 };
	struct btt *btt = NULL;
	struct btt_info info;

	image_create(fake,
	    &(struct btt_create_options){ .layout = BTT_LAYOUT_V11,
		.sector_bytes = SECTOR,
		.nfree = BTT_NFREE_DEFAULT,
		.medium_is_zero = true });
	ck_assert_int_eq(btt_info_decode(fake->bytes + BTT_V11_OFFSET, &info),
	    BTT_INFO_VALID);
	ck_assert_int_eq(btt_open(&fake->media, pool, &options, &btt, NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		image_put_map(fake, &info, 7, entries[i]);
		ck_assert_int_eq(
		    btt_read(btt, worker, 7 * SECTOR, SECTOR, data), -EIO);
		ck_assert_int_eq(
		    btt_write(btt, worker, 7 * SECTOR, SECTOR, data), -EIO);
		ck_assert_int_eq(
		    btt_write(btt, worker, 7 * SECTOR + 1, 1, data), -EIO);
	}
	ck_assert_int_eq(btt_close(btt), 0);
}
END_TEST

/* The log is read once: what it says later is nobody's business. */
START_TEST(hostile__log_after_the_open_is_not_read)
{
	const struct btt_open_options options = { 0 };
	struct btt *btt = NULL;
	struct btt_info info;

	image_create(fake,
	    &(struct btt_create_options){ .layout = BTT_LAYOUT_V11,
		.sector_bytes = SECTOR,
		.nfree = BTT_NFREE_DEFAULT,
		.medium_is_zero = true });
	ck_assert_int_eq(btt_info_decode(fake->bytes + BTT_V11_OFFSET, &info),
	    BTT_INFO_VALID);
	ck_assert_int_eq(btt_open(&fake->media, pool, &options, &btt, NULL), 0);
	memset(fake->bytes + BTT_V11_OFFSET + info.logoff, 0xff,
	    info.nfree * (size_t)FLOG_GROUP_BYTES);
	memset(data, 0x5a, sizeof(data));
	for (unsigned i = 0; i < 1000; i++)
		ck_assert_int_eq(
		    btt_write(btt, worker, i % 7 * SECTOR, SECTOR, data), 0);
	ck_assert_int_eq(btt_read(btt, worker, 6 * SECTOR, SECTOR, data), 0);
	ck_assert_int_eq(data[0], 0x5a);
	ck_assert_int_eq(btt_close(btt), 0);
}
END_TEST

/* Numbers of the list: one line each. */
START_TEST(hostile__list_names_every_case_once)
{
	unsigned nitem = 0;

	for (size_t i = 0; i < hostile_ncase; i++) {
		nitem += hostile_cases[i].item != NULL;
		for (size_t k = 0; k < i; k++)
			ck_assert_str_ne(
			    hostile_cases[i].name, hostile_cases[k].name);
	}
	ck_assert_uint_ge(nitem, 45);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("hostile_list");
	TCase *tcase = tcase_create("list");
	int n = (int)hostile_ncase;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(tcase, hostile__is_opened_as_the_list_says, 0, n);
	tcase_add_loop_test(
	    tcase, hostile__is_opened_for_reading_without_a_change, 0, n);
	tcase_add_loop_test(tcase, hostile__is_found_by_check, 0, n);
	tcase_add_test(
	    tcase, hostile__map_entry_after_the_open_is_not_believed);
	tcase_add_test(tcase, hostile__log_after_the_open_is_not_read);
	tcase_add_test(tcase, hostile__list_names_every_case_once);
	suite_add_tcase(suite, tcase);
	return check_main(suite);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media on persistent memory: a file of a file system that is mounted with
 * DAX, in the directory that BTTFS_TEST_DAX_DIR names.
 */
#include "support/check_main.h"
#include "support/media_fixture.h"

static const struct media_options to_write;
static const struct media_options to_read = { .read_only = true };
static const struct media_options by_page = { .force = MEDIA_FORCE_PAGE };

/* No multiple of any page: the last one is not ours alone. */
#define ODD_BYTES (MEDIUM_BYTES - 1000)

static const char *
dax_path(void)
{
	return path_in(getenv("BTTFS_TEST_DAX_DIR"), "medium");
}

static void
dax_remove(void)
{
	(void)unlink(dax_path());
}

static struct media *
dax_new(void)
{
	file_make(dax_path(), ODD_BYTES, false);
	return media_must_open(dax_path(), &to_write);
}

START_TEST(media_open__flushes_caches_where_there_is_no_page_cache)
{
	struct media *media;

	ck_assert_int_eq(setenv("PMEM2_FORCE_GRANULARITY", "PAGE", 1), 0);
	media = dax_new();
	ck_assert_int_ne(media->granularity, MEDIA_PAGE);
	ck_assert_uint_eq(media->size, ODD_BYTES);
	media_close(media);
	/* Caches that have to be flushed are, whatever the environment says. */
	ck_assert_int_eq(setenv("PMEM2_FORCE_GRANULARITY", "BYTE", 1), 0);
	media = media_must_open(dax_path(), &to_write);
	ck_assert_int_eq(media->granularity, MEDIA_CACHE_LINE);
	media_close(media);
}
END_TEST

START_TEST(media_copy__survives_reopening_by_either_way)
{
	struct media *media = dax_new();

	fill(media);
	ck_assert_int_eq(media_zero(media, 1000, 5000), 0);
	ck_assert_int_eq(
	    media_store64(media, 8192, le64_encode(UINT64_C(0x0123))), 0);
	ck_assert_int_eq(media_store32(media, 4, le32_encode(0x89abcdef)), 0);
	ck_assert_int_eq(media_flush(media, 0, 8200), 0);
	ck_assert_int_eq(media_fence(media), 0);
	media_close(media);
	for (int i = 0; i < 2; i++) {
		media =
		    media_must_open(dax_path(), i == 0 ? &to_read : &by_page);
		ck_assert_int_eq(
		    media->granularity, i == 0 ? MEDIA_CACHE_LINE : MEDIA_PAGE);
		ck_assert_uint_eq(media->base[999], pattern_at(999, 1));
		ck_assert_uint_eq(media->base[1000], 0);
		ck_assert_uint_eq(media->base[5999], 0);
		ck_assert_uint_eq(media->base[6000], pattern_at(6000, 1));
		ck_assert_uint_eq(media->base[8192], 0x23);
		ck_assert_uint_eq(media_load32(media, 4), 0x89abcdef);
		ck_assert_uint_eq(
		    media->base[ODD_BYTES - 1], pattern_at(ODD_BYTES - 1, 1));
		media_close(media);
	}
}
END_TEST

START_TEST(media_options__read_only_refuses_changes)
{
	struct media *media;

	media_close(dax_new());
	media = media_must_open(dax_path(), &to_read);
	ck_assert_int_eq(media_store32(media, 4, le32_encode(1)), -EROFS);
	ck_assert_int_eq(media_fence(media), 0);
	media_close(media);
}
END_TEST

static int
store_at_end(void *arg)
{
	struct media *media = arg;

	return media_store32(media, ODD_BYTES - 4, le32_encode(1));
}

START_TEST(media_try__survives_truncation)
{
	struct media *media = dax_new();

	ck_assert_int_eq(media_install_sigbus(), 0);
	ck_assert_int_eq(media_try(store_at_end, media), 0);
	ck_assert_int_eq(truncate(dax_path(), PAGE_BYTES), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(media_try(store_at_end, media), -EIO);
	media_close(media);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("media_dax");
	TCase *tcase = case_new(suite, "media_dax");

	if (getenv("BTTFS_TEST_DAX_DIR") == NULL)
		check_skip("BTTFS_TEST_DAX_DIR names no directory with DAX");
	tcase_add_unchecked_fixture(tcase, NULL, dax_remove);
	tcase_add_test(
	    tcase, media_open__flushes_caches_where_there_is_no_page_cache);
	tcase_add_test(tcase, media_copy__survives_reopening_by_either_way);
	tcase_add_test(tcase, media_options__read_only_refuses_changes);
	tcase_add_test(tcase, media_try__survives_truncation);
	return check_main(suite);
}

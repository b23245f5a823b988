/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * probe_layout -- several layouts at once, what was left over, what users
 * store, and PMDK's pools.
 */
#include <errno.h>
#include <string.h>

#include "support/check_main.h"
#include "support/findings_fixture.h"
#include "support/probe_fixture.h"

/* Sectors of a v2.0 BTT start where a v1.1 one would have its info block. */
START_TEST(probe__is_not_led_astray_by_what_users_store)
{
	struct media_fake *fake = image_new(IMAGE_BYTES, BTT_LAYOUT_V20, 4096);
	struct btt_info real;
	struct btt_info info;

	/* as large as sectors reach, and whole */
	ck_assert_int_eq(btt_info_decode(fake->bytes, &real), BTT_INFO_VALID);
	memset(&info, 0, sizeof(info));
	info.major = 1;
	info.minor = 1;
	ck_assert_int_eq(
	    btt_geometry(BTT_ARENA_MIN_BYTES, 4096, 256, 64, &info), 0);
	image_put_info(fake, BTT_V11_OFFSET, &info);
	/* its own backup place is the real one's, which it cannot write */
	(void)assert_found(fake, BTT_LAYOUT_V20, 0);
	/* so it must put it elsewhere, among sectors */
	fake->media.size = IMAGE_BYTES;
	info.info2off = real.mapoff - 2 * BTT_ALIGN;
	info.logoff = info.info2off - 4 * BTT_ALIGN;
	info.mapoff = info.logoff - 4 * BTT_ALIGN;
	info.internal_nlba -= 100;
	info.external_nlba -= 100;
	image_put_info(fake, BTT_V11_OFFSET, &info);
	image_put_info(fake, BTT_V11_OFFSET + info.info2off, &info);
	(void)assert_found(fake, BTT_LAYOUT_V20, 0);
	/* also with a medium that damages the real one's backup */
	memset(fake->bytes + real.info2off, 0, BTT_INFO_BYTES);
	(void)assert_found(fake, BTT_LAYOUT_V20, 0);
	media_close(&fake->media);
}
END_TEST

/*
 * The error flag is set in the backup first.  A crash before it was in the
 * primary, too, left a v2.0 BTT that nobody could open or repair any more, if
 * its first sector looked like the info block of a v1.1 one.
 */
START_TEST(regress__a_flag_in_one_copy_leaves_no_doubt)
{
	struct media_fake *fake = image_new(IMAGE_BYTES, BTT_LAYOUT_V20, 4096);
	struct btt_info real;
	struct btt_info info = { .major = 1, .minor = 1 };

	ck_assert_int_eq(btt_info_decode(fake->bytes, &real), BTT_INFO_VALID);
	ck_assert_int_eq(
	    btt_geometry(BTT_ARENA_MIN_BYTES, 4096, 256, 64, &info), 0);
	image_put_info(fake, BTT_V11_OFFSET, &info);
	real.flags = BTT_FLAG_ERROR;
	image_put_info(fake, real.info2off, &real);
	(void)assert_found(fake, BTT_LAYOUT_V20, 0);
	/* and the other way, as it is cleared */
	image_put_info(fake, 0, &real);
	real.flags = 0;
	image_put_info(fake, real.info2off, &real);
	(void)assert_found(fake, BTT_LAYOUT_V20, 0);
	/* Another BTT's backup is no help. */
	real.uuid[0] ^= 1;
	image_put_info(fake, real.info2off, &real);
	assert_refused(fake, -EUCLEAN, "left over");
	media_close(&fake->media);
}
END_TEST

/* The kernel leaves the first page alone when it makes a v1.1 BTT. */
START_TEST(probe__knows_a_v20_block_that_was_left_over)
{
	struct media_fake *old = image_new(IMAGE_BYTES, BTT_LAYOUT_V20, 4096);
	struct btt_info info;
	struct media_fake *fake = image_small(&info);

	memcpy(fake->bytes, old->bytes, BTT_INFO_BYTES);
	(void)assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET);
	/* neither has a backup: nobody can tell */
	memset(fake->bytes + BTT_V11_OFFSET + info.info2off, 0, BTT_INFO_BYTES);
	assert_refused(fake, -EUCLEAN, "left over");
	media_close(&old->media);
	media_close(&fake->media);
}
END_TEST

START_TEST(probe__of_a_version_at_the_wrong_place_is_enotsup)
{
	struct btt_info info;
	struct media_fake *fake = image_small(&info);
	struct media_fake *other = image_new(IMAGE_BYTES, BTT_LAYOUT_V20, 4096);

	info.major = 2;
	info.minor = 0;
	image_put_info(fake, BTT_V11_OFFSET, &info);
	assert_refused(fake, -ENOTSUP, "version 2.0");
	ck_assert_int_eq(btt_info_decode(other->bytes, &info), BTT_INFO_VALID);
	info.major = 1;
	info.minor = 1;
	image_put_info(other, 0, &info);
	assert_refused(other, -ENOTSUP, "version 1.1");
	media_close(&other->media);
	media_close(&fake->media);
}
END_TEST

/* Pools. */

#define POOL_BYTES (BTT_ARENA_MIN_BYTES + BTT_POOL_OFFSET)

/* A pool as libpmemblk makes it, empty or with a BTT. */
static struct media_fake *
pool_new(bool with_btt)
{
	struct media_fake *fake = fake_new(POOL_BYTES);
	struct btt_info info = { .major = 1, .minor = 1 };
	struct le32 word;

	strcpy((char *)fake->bytes, "PMEMBLK");
	fake->bytes[8] = 1;  /* major */
	fake->bytes[12] = 1; /* compat */
	fake->bytes[16] = 6; /* incompat: half a checksum, shutdown state */
	memset(fake->bytes + 24, 0xab, 16);
	memset(fake->bytes + 4040, 0xcd, 40);
	image_seal_pool(fake);
	word = le32_encode(4096);
	memcpy(fake->bytes + 4096, &word, sizeof(word));
	memset(fake->bytes + 4104, 0x77, 35);
	if (!with_btt)
		return fake;
	memset(info.parent_uuid, 0xab, sizeof(info.parent_uuid));
	ck_assert_int_eq(
	    btt_geometry(BTT_ARENA_MIN_BYTES, 4096, 256, 256, &info), 0);
	image_put_info(fake, BTT_POOL_OFFSET, &info);
	image_put_info(fake, BTT_POOL_OFFSET + info.info2off, &info);
	return fake;
}

START_TEST(probe__finds_a_pool_behind_its_header)
{
	struct media_fake *fake = pool_new(true);
	struct btt_arena_place place;

	place = assert_found(fake, BTT_LAYOUT_POOL, BTT_POOL_OFFSET);
	ck_assert_uint_eq(place.info.external_nlba, 3829);
	memset(fake->bytes + BTT_POOL_OFFSET, 0, BTT_INFO_BYTES);
	place = assert_found(fake, BTT_LAYOUT_POOL, BTT_POOL_OFFSET);
	ck_assert(place.from_backup);
	media_close(&fake->media);
}
END_TEST

/* An older pool has a checksum over the whole page. */
START_TEST(probe__knows_both_checksums_of_pool_headers)
{
	struct media_fake *fake = pool_new(true);
	struct le64 sum;

	fake->bytes[16] = 0;
	assert_refused(fake, -EUCLEAN, "pool header");
	memset(fake->bytes + 4088, 0, 8);
	sum = le64_encode(btt_info_checksum(fake->bytes));
	memcpy(fake->bytes + 4088, &sum, sizeof(sum));
	(void)assert_found(fake, BTT_LAYOUT_POOL, BTT_POOL_OFFSET);
	media_close(&fake->media);
}
END_TEST

START_TEST(probe__says_what_is_wrong_with_a_pool)
{
	static struct findings findings;
	struct media_fake *fake = pool_new(false);

	assert_refused(fake, -EMEDIUMTYPE, "nothing was ever written");
	media_close(&fake->media);

	fake = pool_new(true);
	fake->bytes[100] ^= 1;
	assert_refused(fake, -EUCLEAN, "pool header");
	fake->bytes[100] ^= 1;
	fake->bytes[8] = 2;
	image_seal_pool(fake);
	assert_refused(fake, -ENOTSUP, "pmemblk pool");
	fake->bytes[8] = 1;
	fake->bytes[16] = 6 | 8;
	image_seal_pool(fake);
	assert_refused(fake, -ENOTSUP, "pmemblk pool");
	fake->bytes[16] = 6;
	/* the BTT of an older pool in the same file */
	fake->bytes[24] ^= 1;
	image_seal_pool(fake);
	assert_refused(fake, -EUCLEAN, "another pool");
	/* nor its backup */
	memset(fake->bytes + BTT_POOL_OFFSET, 0, BTT_INFO_BYTES);
	assert_refused(fake, -EMEDIUMTYPE, "nothing was ever written");
	media_close(&fake->media);

	fake = pool_new(true);
	fake->bytes[4097] = 2;
	assert_refused(fake, -EUCLEAN, "blocks of 512");
	/* a check goes no further, and says the same */
	ck_assert_int_eq(findings_of(fake, &findings), 0);
	ck_assert_findings(&findings, "pool", 1);
	ck_assert_ptr_nonnull(
	    strstr(findings.finding[0].text, "blocks of 512"));
	media_close(&fake->media);
}
END_TEST

/* A BTT at 8192 without a pool around it is some sector's content. */
START_TEST(probe__wants_a_header_in_front_of_a_pool)
{
	struct media_fake *fake = pool_new(true);

	memset(fake->bytes, 0, 4096);
	assert_refused(fake, -EMEDIUMTYPE, "not a BTT");
	media_close(&fake->media);
}
END_TEST

/* The kernel makes a v1.1 BTT in what was a pool and leaves the header. */
START_TEST(probe__prefers_v11_to_a_pool_header_that_was_left_over)
{
	struct btt_info info;
	struct media_fake *fake = image_small(&info);
	struct media_fake *pool = pool_new(true);

	memcpy(fake->bytes, pool->bytes, 4096);
	(void)assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET);
	media_close(&pool->media);
	media_close(&fake->media);
}
END_TEST

/* A pool in what was a v1.1 BTT, whose backup was not reached yet. */
START_TEST(probe__does_not_take_a_pool_for_the_v11_before_it)
{
	struct btt_info info;
	struct media_fake *fake = image_small(&info);
	struct media_fake *pool = pool_new(false);

	memcpy(fake->bytes, pool->bytes, 8192);
	assert_refused(fake, -EMEDIUMTYPE, "nothing was ever written");
	media_close(&pool->media);
	media_close(&fake->media);
}
END_TEST

static Suite *
probe_layout_suite(void)
{
	Suite *suite = suite_create("probe_layout");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, probe__is_not_led_astray_by_what_users_store);
	tcase_add_test(tc, regress__a_flag_in_one_copy_leaves_no_doubt);
	tcase_add_test(tc, probe__knows_a_v20_block_that_was_left_over);
	tcase_add_test(tc, probe__of_a_version_at_the_wrong_place_is_enotsup);
	tcase_add_test(tc, probe__finds_a_pool_behind_its_header);
	tcase_add_test(tc, probe__knows_both_checksums_of_pool_headers);
	tcase_add_test(tc, probe__says_what_is_wrong_with_a_pool);
	tcase_add_test(tc, probe__wants_a_header_in_front_of_a_pool);
	tcase_add_test(
	    tc, probe__prefers_v11_to_a_pool_header_that_was_left_over);
	tcase_add_test(tc, probe__does_not_take_a_pool_for_the_v11_before_it);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(probe_layout_suite());
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * probe_backup -- the backup where the primary info block is lost, and several
 * arenas that must belong together.
 */
#include <errno.h>
#include <string.h>

#include "support/check_main.h"
#include "support/probe_fixture.h"

START_TEST(probe__uses_the_backup_for_any_damage_to_the_primary)
{
	for (int i = 0; i < 3; i++) {
		struct btt_info info;
		struct media_fake *fake = image_small(&info);
		struct btt_arena_place place;

		if (i == 0)
			memset(fake->bytes + BTT_V11_OFFSET, 0, 4096);
		else if (i == 1)
			fake->bytes[BTT_V11_OFFSET + 2000] = 1;
		else
			memset(fake->bytes, 0xa5, 1048576);
		place = assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET);
		ck_assert(place.from_backup);
		ck_assert(!place.copies_differ);
		ck_assert_int_eq(place.primary,
		    i == 1 ? BTT_INFO_BAD_CHECKSUM : BTT_INFO_NO_SIGNATURE);
		ck_assert_int_eq(place.backup, BTT_INFO_VALID);
		ck_assert_mem_eq(&place.info, &info, sizeof(info));
		media_close(&fake->media);
	}
}
END_TEST

START_TEST(probe__finds_the_backup_of_v20_too)
{
	struct media_fake *fake = image_new(IMAGE_BYTES, BTT_LAYOUT_V20, 4096);

	memset(fake->bytes, 0, BTT_INFO_BYTES);
	ck_assert(assert_found(fake, BTT_LAYOUT_V20, 0).from_backup);
	media_close(&fake->media);
}
END_TEST

START_TEST(probe__tells_the_state_of_the_backup)
{
	struct btt_info info;
	struct media_fake *fake = image_small(&info);
	uint8_t *backup = fake->bytes + BTT_V11_OFFSET + info.info2off;
	struct btt_arena_place place;

	place = assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET);
	ck_assert_int_eq(place.backup, BTT_INFO_VALID);
	ck_assert(!place.copies_differ);
	backup[1000] = 1;
	place = assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET);
	ck_assert_int_eq(place.backup, BTT_INFO_BAD_CHECKSUM);
	memset(backup, 0, BTT_INFO_BYTES);
	place = assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET);
	ck_assert_int_eq(place.backup, BTT_INFO_NO_SIGNATURE);
	ck_assert(!place.copies_differ);
	/* older, but whole: the primary counts */
	info.flags = BTT_FLAG_ERROR;
	btt_info_encode(&info, backup);
	place = assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET);
	ck_assert_int_eq(place.backup, BTT_INFO_VALID);
	ck_assert(place.copies_differ);
	ck_assert(!place.from_backup);
	ck_assert_uint_eq(place.info.flags, 0);
	media_close(&fake->media);
}
END_TEST

/*
 * A primary whose checksum is right was meant so: its backup does not make a
 * hostile number good.
 */
START_TEST(probe__does_not_mend_a_valid_primary)
{
	struct btt_info info;
	struct media_fake *fake = image_small(&info);

	info.mapoff += BTT_ALIGN;
	image_put_info(fake, BTT_V11_OFFSET, &info);
	assert_refused(fake, -EUCLEAN, "map entries do not fit");
	media_close(&fake->media);
}
END_TEST

START_TEST(probe__of_two_bad_copies_is_euclean)
{
	struct btt_info info;
	struct media_fake *fake = image_small(&info);

	fake->bytes[BTT_V11_OFFSET + 4095] ^= 1;
	fake->bytes[BTT_V11_OFFSET + info.info2off + 4095] ^= 1;
	assert_refused(fake, -EUCLEAN, "wrong checksum");
	memset(fake->bytes + BTT_V11_OFFSET, 0, BTT_INFO_BYTES);
	assert_refused(fake, -EMEDIUMTYPE, "not a BTT");
	media_close(&fake->media);
}
END_TEST

/* A block that says that its arena starts elsewhere is not this one's. */
START_TEST(probe__takes_no_backup_of_another_arena)
{
	struct btt_info info;
	struct media_fake *fake = image_small(&info);

	memset(fake->bytes + BTT_V11_OFFSET, 0, BTT_INFO_BYTES);
	info.info2off -= BTT_ALIGN;
	image_put_info(
	    fake, BTT_V11_OFFSET + BTT_ARENA_MIN_BYTES - BTT_INFO_BYTES, &info);
	assert_refused(fake, -EMEDIUMTYPE, "not a BTT");
	media_close(&fake->media);
}
END_TEST

/* The end of the medium says nothing where there is more behind the arena. */
START_TEST(probe__finds_a_backup_where_the_bad_primary_says)
{
	struct btt_info info;
	struct media_fake *small = image_small(&info);
	struct media_fake *fake = fake_new(IMAGE_BYTES + 1234567);

	memcpy(fake->bytes, small->bytes, IMAGE_BYTES);
	fake->bytes[BTT_V11_OFFSET + 3000] = 1;
	ck_assert(
	    assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET).from_backup);
	/* nor does its place matter if it says nothing */
	fake->bytes[BTT_V11_OFFSET] = 0;
	assert_refused(fake, -EMEDIUMTYPE, "not a BTT");
	media_close(&small->media);
	media_close(&fake->media);
}
END_TEST

START_TEST(probe__finds_a_backup_before_a_label_area)
{
	struct btt_info info;
	struct media_fake *small = image_small(&info);
	struct media_fake *fake = fake_new(IMAGE_BYTES + 131072);

	memcpy(fake->bytes, small->bytes, IMAGE_BYTES);
	memset(fake->bytes + BTT_V11_OFFSET, 0, BTT_INFO_BYTES);
	assert_refused(fake, -EMEDIUMTYPE, "not a BTT");
	strcpy((char *)fake->bytes + IMAGE_BYTES, "NAMESPACE_INDEX");
	ck_assert(
	    assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET).from_backup);
	media_close(&small->media);
	media_close(&fake->media);
}
END_TEST

/* Several arenas. */

#define NARENA 3u

/* Three arenas of the largest size; few blocks are ever touched. */
static struct media_fake *
image_of_three(struct btt_info ret_info[NARENA])
{
	const uint64_t size = NARENA * BTT_ARENA_MAX_BYTES;
	struct media_fake *fake = image_new(size, BTT_LAYOUT_V20, 65536);

	for (uint32_t i = 0; i < NARENA; i++)
		ck_assert_int_eq(
		    btt_info_decode(
			fake->bytes + i * BTT_ARENA_MAX_BYTES, &ret_info[i]),
		    BTT_INFO_VALID);
	return fake;
}

START_TEST(probe__uses_the_backup_of_any_arena)
{
	struct btt_info info[NARENA];
	struct media_fake *fake = image_of_three(info);

	for (uint32_t bad = 0; bad < 1u << NARENA; bad++) {
		struct btt_error error = { "" };
		struct btt_probe probe;

		for (uint32_t i = 0; i < NARENA; i++) {
			image_put_info(fake, i * BTT_ARENA_MAX_BYTES, &info[i]);
			if (bad >> i & 1)
				memset(fake->bytes + i * BTT_ARENA_MAX_BYTES,
				    0xee, BTT_INFO_BYTES);
		}
		ck_assert_msg(btt_probe(&fake->media, &probe, &error) == 0,
		    "%s", error.text);
		ck_assert_uint_eq(probe.narena, NARENA);
		for (uint32_t i = 0; i < NARENA; i++) {
			ck_assert(
			    probe.arena[i].from_backup == (bool)(bad >> i & 1));
			ck_assert_mem_eq(
			    &probe.arena[i].info, &info[i], sizeof(info[i]));
		}
		btt_probe_fini(&probe);
	}
	media_close(&fake->media);
}
END_TEST

START_TEST(probe__without_a_later_arena_is_euclean)
{
	struct btt_info info[NARENA];
	struct media_fake *fake = image_of_three(info);
	uint64_t off = 2 * BTT_ARENA_MAX_BYTES;

	memset(fake->bytes + off, 0, BTT_INFO_BYTES);
	memset(fake->bytes + off + info[2].info2off, 0, BTT_INFO_BYTES);
	assert_refused(fake, -EUCLEAN, "arena 2");
	fake->media.size = off;
	assert_refused(fake, -EUCLEAN, "the medium ends");
	fake->media.size = NARENA * BTT_ARENA_MAX_BYTES;
	media_close(&fake->media);
}
END_TEST

/* An arena of another BTT would be read as a part of this one. */
START_TEST(probe__compares_the_arenas_with_each_other)
{
	struct btt_info info[NARENA];
	struct media_fake *fake = image_of_three(info);
	uint64_t off = BTT_ARENA_MAX_BYTES;
	struct btt_info other;

	other = info[1];
	other.uuid[15] ^= 1;
	image_put_info(fake, off, &other);
	assert_refused(fake, -EUCLEAN, "uuid");
	other = info[1];
	other.major = 1;
	other.minor = 1;
	image_put_info(fake, off, &other);
	assert_refused(fake, -EUCLEAN, "version");
	other = info[1];
	other.external_lbasize = 32768;
	image_put_info(fake, off, &other);
	assert_refused(fake, -EUCLEAN, "external_lbasize");
	other = info[1];
	other.nfree--;
	other.external_nlba++;
	image_put_info(fake, off, &other);
	assert_refused(fake, -EUCLEAN, "nfree");
	/* not even something that we would not serve by itself */
	other = info[1];
	other.minor = 7;
	image_put_info(fake, off, &other);
	assert_refused(fake, -EUCLEAN, "arena 1: BTT version 2.7");
	/* and a stranger's backup is not taken for a lost primary's */
	memset(fake->bytes + off, 0, BTT_INFO_BYTES);
	other = info[1];
	other.uuid[0] ^= 1;
	image_put_info(fake, off + info[1].info2off, &other);
	assert_refused(fake, -EUCLEAN, "no backup of it");
	media_close(&fake->media);
}
END_TEST

static Suite *
probe_backup_suite(void)
{
	Suite *suite = suite_create("probe_backup");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_test(
	    tc, probe__uses_the_backup_for_any_damage_to_the_primary);
	tcase_add_test(tc, probe__finds_the_backup_of_v20_too);
	tcase_add_test(tc, probe__tells_the_state_of_the_backup);
	tcase_add_test(tc, probe__does_not_mend_a_valid_primary);
	tcase_add_test(tc, probe__of_two_bad_copies_is_euclean);
	tcase_add_test(tc, probe__takes_no_backup_of_another_arena);
	tcase_add_test(tc, probe__finds_a_backup_where_the_bad_primary_says);
	tcase_add_test(tc, probe__finds_a_backup_before_a_label_area);
	if (MEDIA_FAKE_MAY_BE_HUGE) {
		tcase_add_test(tc, probe__uses_the_backup_of_any_arena);
		tcase_add_test(tc, probe__without_a_later_arena_is_euclean);
		tcase_add_test(tc, probe__compares_the_arenas_with_each_other);
	}
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(probe_backup_suite());
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * destroy -- what is destroyed is not found again, and nothing else is touched.
 * What a crash in the middle leaves is tests/crash's business.
 */
#include <errno.h>
#include <string.h>

#include "support/check_main.h"
#include "support/label_fixture.h"
#include "support/probe_fixture.h"

#define MIB (UINT64_C(1) << 20)

static void
destroy_well(struct media_fake *fake, const char *namespace)
{
	struct btt_error error = { "" };
	int r;

	r = btt_destroy(&fake->media, namespace, NULL, &error);
	ck_assert_msg(r == 0, "%d: %s", r, error.text);
}

static void
refuse(struct media_fake *fake, const char *namespace, const uint8_t *uuid,
    int code, const char *text)
{
	struct btt_error error = { "" };
	unsigned nop = fake->nop;
	int r;

	r = btt_destroy(&fake->media, namespace, uuid, &error);
	ck_assert_msg(r == code, "%d: %s", r, error.text);
	ck_assert_ptr_nonnull(strstr(error.text, text));
	ck_assert_uint_eq(fake->nop, nop);
}

START_TEST(destroy__leaves_no_btt_in_any_layout)
{
	enum btt_layout layout = (enum btt_layout)_i;
	struct media_fake *fake = image_new(20 * MIB, layout, 4096);

	destroy_well(fake, NULL);
	assert_refused(fake, -EMEDIUMTYPE, "");
	refuse(fake, NULL, NULL, -EMEDIUMTYPE, "not a BTT");
	media_close(&fake->media);
}
END_TEST

/* Sectors, map and log stay: somebody may want them back. */
START_TEST(destroy__erases_two_pages)
{
	struct btt_info info;
	struct media_fake *fake = image_small(&info);
	uint8_t *before = malloc(IMAGE_BYTES);
	uint64_t off, nchanged = 0;

	ck_assert_ptr_nonnull(before);
	memset(fake->bytes + BTT_V11_OFFSET + info.dataoff, 0xa5, 4096);
	memcpy(before, fake->bytes, IMAGE_BYTES);
	destroy_well(fake, NULL);
	for (off = 0; off < IMAGE_BYTES; off += BTT_INFO_BYTES) {
		if (memcmp(before + off, fake->bytes + off, BTT_INFO_BYTES) ==
		    0)
			continue;
		nchanged++;
		ck_assert(off == BTT_V11_OFFSET ||
		    off == BTT_V11_OFFSET + info.info2off);
	}
	ck_assert_uint_eq(nchanged, 2);
	free(before);
	media_close(&fake->media);
}
END_TEST

START_TEST(destroy__knows_which_one_is_meant)
{
	static const uint8_t other[BTT_UUID_BYTES] = { 1 };
	struct btt_info info;
	struct media_fake *fake = image_small(&info);
	struct btt_error error = { "" };

	refuse(fake, NULL, other, -ESTALE, "another one");
	(void)assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET);
	ck_assert_int_eq(
	    btt_destroy(&fake->media, NULL, image_uuid, &error), 0);
	media_close(&fake->media);
}
END_TEST

START_TEST(destroy__writes_nothing_to_what_is_for_reading)
{
	struct btt_info info;
	struct media_fake *fake = image_small(&info);

	fake->media.read_only = true;
	refuse(fake, NULL, NULL, -EROFS, "read-only");
	media_close(&fake->media);
}
END_TEST

/* Under the new BTT there is a whole old one of the other layout. */
START_TEST(destroy__brings_no_older_one_back)
{
	struct media_fake *fake = image_new(20 * MIB, BTT_LAYOUT_V20, 4096);
	struct btt_create_options options = image_options(BTT_LAYOUT_V11, 4096);

	/* medium_is_zero is a lie, so nothing is erased. */
	image_create(fake, &options);
	(void)assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET);
	destroy_well(fake, NULL);
	assert_refused(fake, -EMEDIUMTYPE, "");
	media_close(&fake->media);
}
END_TEST

/* By its backup alone it would be found; so would a damaged one, and told of. */
START_TEST(destroy__takes_damaged_ones)
{
	struct btt_info info, wrong;
	struct media_fake *fake = image_small(&info);

	memset(fake->bytes + BTT_V11_OFFSET, 0, BTT_INFO_BYTES);
	destroy_well(fake, NULL);
	assert_refused(fake, -EMEDIUMTYPE, "");
	media_close(&fake->media);

	fake = image_small(&info);
	wrong = info;
	wrong.mapoff = wrong.logoff + 4096;
	image_put_both(fake, BTT_V11_OFFSET + info.info2off, &wrong);
	assert_refused(fake, -EUCLEAN, "");
	destroy_well(fake, NULL);
	assert_refused(fake, -EMEDIUMTYPE, "");
	media_close(&fake->media);
}
END_TEST

/* A number from the medium leads elsewhere: nothing there is an info block. */
START_TEST(destroy__erases_nothing_but_info_blocks)
{
	struct btt_info info, wrong;
	struct media_fake *fake = image_small(&info);
	const uint64_t data = BTT_V11_OFFSET + info.dataoff;

	memset(fake->bytes + data, 0xa5, BTT_INFO_BYTES);
	wrong = info;
	wrong.info2off = info.dataoff;
	image_put_info(fake, BTT_V11_OFFSET, &wrong);
	destroy_well(fake, NULL);
	assert_refused(fake, -EMEDIUMTYPE, "");
	for (unsigned i = 0; i < BTT_INFO_BYTES; i++)
		ck_assert_uint_eq(fake->bytes[data + i], 0xa5);
	media_close(&fake->media);
}
END_TEST

START_TEST(destroy__of_one_namespace_leaves_the_others)
{
	const struct label labels[] = {
		{ .name = "one", .uuid = 0x11, .off = 0, .bytes = 17 * MIB },
		{ .name = "two",
		    .uuid = 0x22,
		    .off = 17 * MIB,
		    .bytes = 17 * MIB },
	};
	struct media_fake *fake = fake_new(34 * MIB + BTT_LABEL_AREA_MIN);
	struct media_fake *alone = image_new(17 * MIB, BTT_LAYOUT_V11, 4096);
	struct btt_error error = { "" };
	struct btt_probe probe;

	(void)label_area(fake, BTT_LABEL_AREA_MIN, 1, labels, 2);
	memcpy(fake->bytes, alone->bytes, 17 * MIB);
	memcpy(fake->bytes + 17 * MIB, alone->bytes, 17 * MIB);
	refuse(fake, NULL, NULL, -ENOTUNIQ, "choose one");
	refuse(fake, "three", NULL, -ENOENT, "three");
	destroy_well(fake, "one");
	ck_assert_int_eq(
	    btt_probe_namespace(&fake->media, NULL, &probe, &error), 0);
	ck_assert_uint_eq(probe.off, 17 * MIB);
	ck_assert_int_eq(probe.arena[0].backup, BTT_INFO_VALID);
	btt_probe_fini(&probe);
	media_close(&alone->media);
	media_close(&fake->media);
}
END_TEST

START_TEST(destroy__takes_all_arenas)
{
	struct media_fake *fake =
	    image_new(2 * BTT_ARENA_MAX_BYTES + 20 * MIB, BTT_LAYOUT_V20, 4096);
	struct btt_info info[3];
	struct btt_probe probe;

	ck_assert_int_eq(btt_probe(&fake->media, &probe, NULL), 0);
	ck_assert_uint_eq(probe.narena, 3);
	for (unsigned i = 0; i < 3; i++)
		info[i] = probe.arena[i].info;
	destroy_well(fake, NULL);
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t *arena = fake->bytes + i * BTT_ARENA_MAX_BYTES;
		struct btt_info none;

		ck_assert_int_eq(
		    btt_info_decode(arena, &none), BTT_INFO_NO_SIGNATURE);
		ck_assert_int_eq(
		    btt_info_decode(arena + info[i].info2off, &none),
		    BTT_INFO_NO_SIGNATURE);
	}
	btt_probe_fini(&probe);
	media_close(&fake->media);
}
END_TEST

/* Whichever operation fails, it is said, and what is left is whole or none. */
START_TEST(destroy__tells_of_failures)
{
	struct btt_info info;
	int r = -EIO;

	for (unsigned n = 1; r != 0; n++) {
		struct media_fake *fake = image_small(&info);
		struct btt_error error = { "" };
		struct btt_probe probe;
		int found;

		fake->fail_op = fake->nop + n;
		r = btt_destroy(&fake->media, NULL, NULL, &error);
		ck_assert(r == 0 || (r == -EIO && error.text[0] != '\0'));
		found = btt_probe(&fake->media, &probe, NULL);
		ck_assert(found == -EMEDIUMTYPE || (found == 0 && r != 0));
		if (found == 0)
			btt_probe_fini(&probe);
		ck_assert_uint_le(n, 20);
		media_close(&fake->media);
	}
}
END_TEST

int
main(void)
{
	Suite *suite;
	TCase *tcase;

	suite = suite_create("destroy");
	tcase = tcase_create("destroy");
	tcase_add_loop_test(tcase, destroy__leaves_no_btt_in_any_layout,
	    BTT_LAYOUT_V11, BTT_LAYOUT_V20 + 1);
	tcase_add_test(tcase, destroy__erases_two_pages);
	tcase_add_test(tcase, destroy__knows_which_one_is_meant);
	tcase_add_test(tcase, destroy__writes_nothing_to_what_is_for_reading);
	tcase_add_test(tcase, destroy__brings_no_older_one_back);
	tcase_add_test(tcase, destroy__takes_damaged_ones);
	tcase_add_test(tcase, destroy__erases_nothing_but_info_blocks);
	tcase_add_test(tcase, destroy__of_one_namespace_leaves_the_others);
	if (MEDIA_FAKE_MAY_BE_HUGE)
		tcase_add_test(tcase, destroy__takes_all_arenas);
	tcase_add_test(tcase, destroy__tells_of_failures);
	suite_add_tcase(suite, tcase);
	return check_main(suite);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * probe -- finding a BTT, and believing none of its numbers.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/check_main.h"
#include "support/probe_fixture.h"

#define NELEM(array) ((int)(sizeof(array) / sizeof((array)[0])))

START_TEST(probe__finds_both_layouts)
{
	struct btt_arena_place place;
	struct media_fake *fake;

	fake = image_new(IMAGE_BYTES, BTT_LAYOUT_V11, 512);
	place = assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET);
	ck_assert_uint_eq(place.info.major, 1);
	media_close(&fake->media);
	fake = image_new(IMAGE_BYTES, BTT_LAYOUT_V20, 512);
	place = assert_found(fake, BTT_LAYOUT_V20, 0);
	ck_assert_uint_eq(place.info.major, 2);
	media_close(&fake->media);
}
END_TEST

START_TEST(probe__finds_nothing_in_nothing)
{
	struct media_fake *fake = fake_new(IMAGE_BYTES);
	uint64_t random = 1;

	assert_refused(fake, -EMEDIUMTYPE, "not a BTT");
	for (uint64_t i = 0; i < IMAGE_BYTES; i++) {
		random = random * UINT64_C(6364136223846793005) +
		    UINT64_C(1442695040888963407);
		fake->bytes[i] = (uint8_t)(random >> 56);
	}
	assert_refused(fake, -EMEDIUMTYPE, "not a BTT");
	media_close(&fake->media);
}
END_TEST

/* Media of every size around those where something could be. */
START_TEST(probe__of_a_tiny_medium_looks_at_no_byte_beyond_it)
{
	static const uint64_t sizes[] = { 1, 15, 16, 4095, 4096, 4097, 8191,
		8192, 8193, 12287, 12288, 12289, 131071, 131072, 131073, 135168,
		139264, 16777215, 16777216, 16777217 };

	for (int i = 0; i < NELEM(sizes); i++) {
		struct media_fake *fake = fake_new(sizes[i]);

		assert_refused(fake, -EMEDIUMTYPE, "not a BTT");
		media_close(&fake->media);
	}
}
END_TEST

/*
 * reliability.md 5.2: one row and more for each check of the info block's
 * numbers.  The checksum is right, in both copies.
 */
static const struct hostile {
	const char *field;
	size_t off; /* in struct btt_info */
	size_t bytes;
	uint64_t value;
	int code;
	const char *text;
} hostiles[] = {
#define HOSTILE(member, value, code, text)                                    \
	{                                                                     \
#member " = " #value, offsetof(struct btt_info, member),      \
		    sizeof(((struct btt_info *)0)->member), value, code, text \
	}
	HOSTILE(major, 0, -ENOTSUP, "version 0.1"),
	HOSTILE(major, 2, -ENOTSUP, "version 2.1"),
	HOSTILE(major, 0xffff, -ENOTSUP, "version 65535.1"),
	HOSTILE(minor, 0, -ENOTSUP, "version 1.0"),
	HOSTILE(minor, 2, -ENOTSUP, "version 1.2"),
	HOSTILE(minor, 0xffff, -ENOTSUP, "version 1.65535"),
	HOSTILE(external_lbasize, 0, -ENOTSUP, "0 bytes"),
	HOSTILE(external_lbasize, 511, -ENOTSUP, "511 bytes"),
	HOSTILE(external_lbasize, 4095, -ENOTSUP, "4095 bytes"),
	HOSTILE(external_lbasize, 131072, -ENOTSUP, "131072 bytes"),
	HOSTILE(external_lbasize, UINT32_MAX, -ENOTSUP, "4294967295 bytes"),
	HOSTILE(external_lbasize, 8192, -EUCLEAN, "internal_lbasize"),
	HOSTILE(internal_lbasize, 0, -EUCLEAN, "internal_lbasize"),
	HOSTILE(internal_lbasize, 4095, -EUCLEAN, "internal_lbasize"),
	HOSTILE(internal_lbasize, 4160, -EUCLEAN, "do not fit"),
	HOSTILE(internal_lbasize, UINT32_MAX, -EUCLEAN, "do not fit"),
	HOSTILE(infosize, 0, -EUCLEAN, "infosize"),
	HOSTILE(infosize, 512, -EUCLEAN, "infosize"),
	HOSTILE(infosize, UINT32_MAX, -EUCLEAN, "infosize"),
	HOSTILE(nfree, 0, -EUCLEAN, "nfree is 0"),
	HOSTILE(nfree, 1, -EUCLEAN, "nfree 1"),
	HOSTILE(nfree, 255, -EUCLEAN, "nfree 255"),
	HOSTILE(nfree, UINT32_MAX, -EUCLEAN, "nfree 4294967295"),
	HOSTILE(external_nlba, 0, -EUCLEAN, "external_nlba is 0"),
	HOSTILE(external_nlba, 3828, -EUCLEAN, "external_nlba"),
	HOSTILE(external_nlba, 3830, -EUCLEAN, "external_nlba"),
	HOSTILE(external_nlba, UINT32_MAX, -EUCLEAN, "external_nlba"),
	/* 2^32 - 256 + nfree wraps to internal_nlba in 32 bits */
	HOSTILE(external_nlba, 0xfffffff5, -EUCLEAN, "external_nlba"),
	HOSTILE(internal_nlba, 0, -EUCLEAN, "internal_nlba"),
	HOSTILE(internal_nlba, 4086, -EUCLEAN, "internal_nlba"),
	HOSTILE(internal_nlba, 0x40000000, -EUCLEAN, "internal_nlba"),
	HOSTILE(internal_nlba, UINT32_MAX, -EUCLEAN, "internal_nlba"),
	HOSTILE(dataoff, 0, -EUCLEAN, "dataoff"),
	HOSTILE(dataoff, 4095, -EUCLEAN, "dataoff"),
	HOSTILE(dataoff, 4097, -EUCLEAN, "dataoff"),
	HOSTILE(dataoff, 12288, -EUCLEAN, "do not fit"),
	HOSTILE(dataoff, 16773120, -EUCLEAN, "dataoff"),
	HOSTILE(dataoff, 0xfffffffffffff000, -EUCLEAN, "dataoff"),
	HOSTILE(dataoff, UINT64_MAX, -EUCLEAN, "dataoff"),
	HOSTILE(mapoff, 0, -EUCLEAN, "mapoff"),
	HOSTILE(mapoff, 4096, -EUCLEAN, "do not fit"),
	HOSTILE(mapoff, 16740353, -EUCLEAN, "mapoff"),
	HOSTILE(mapoff, 16740356, -EUCLEAN, "mapoff"),
	HOSTILE(mapoff, 16744448, -EUCLEAN, "map entries do not fit"),
	HOSTILE(mapoff, 0x8000000000000000, -EUCLEAN, "mapoff"),
	HOSTILE(mapoff, 0xfffffffffffff000, -EUCLEAN, "mapoff"),
	HOSTILE(logoff, 0, -EUCLEAN, "logoff"),
	HOSTILE(logoff, 16740352, -EUCLEAN, "map entries do not fit"),
	HOSTILE(logoff, 16756744, -EUCLEAN, "logoff"),
	HOSTILE(logoff, 16760832, -EUCLEAN, "log pairs do not fit"),
	HOSTILE(logoff, 16773120, -EUCLEAN, "log pairs do not fit"),
	HOSTILE(logoff, 0xfffffffffffff000, -EUCLEAN, "logoff"),
	HOSTILE(info2off, 0, -EUCLEAN, "info2off"),
	HOSTILE(info2off, 4096, -EUCLEAN, "info2off"),
	HOSTILE(info2off, 16769024, -EUCLEAN, "log pairs do not fit"),
	HOSTILE(info2off, 16773121, -EUCLEAN, "info2off"),
	HOSTILE(info2off, 16777216, -EUCLEAN, "too short"),
	HOSTILE(info2off, 0x7ffffff000, -EUCLEAN, "too short"),
	HOSTILE(info2off, 0x8000000000, -EUCLEAN, "info2off"),
	HOSTILE(info2off, 0xfffffffffffff000, -EUCLEAN, "info2off"),
	HOSTILE(info2off, UINT64_MAX, -EUCLEAN, "info2off"),
	HOSTILE(nextoff, 1, -EUCLEAN, "nextoff"),
	HOSTILE(nextoff, 4096, -EUCLEAN, "nextoff"),
	HOSTILE(nextoff, 16773120, -EUCLEAN, "nextoff"),
	/* the arena's size, but nothing follows */
	HOSTILE(nextoff, 16777216, -EUCLEAN, "arena 1"),
	HOSTILE(nextoff, 0x8000000000, -EUCLEAN, "nextoff"),
	/* backwards, and to itself */
	HOSTILE(nextoff, 0xfffffffffffff000, -EUCLEAN, "nextoff"),
	HOSTILE(nextoff, UINT64_MAX, -EUCLEAN, "nextoff"),
#undef HOSTILE
};

static void
set_field(struct btt_info *info, const struct hostile *hostile)
{
	uint8_t *field = (uint8_t *)info + hostile->off;
	uint64_t value = hostile->value;

	if (hostile->bytes == sizeof(uint16_t))
		memcpy(field, &(uint16_t){ (uint16_t)value }, 2);
	else if (hostile->bytes == sizeof(uint32_t))
		memcpy(field, &(uint32_t){ (uint32_t)value }, 4);
	else
		memcpy(field, &value, 8);
}

/*
 * The medium ends with the arena: whatever is read beyond it is a fault.  And
 * when the primary is gone, the same number in the backup is no better.
 */
START_TEST(probe__believes_no_hostile_number)
{
	const struct hostile *hostile = &hostiles[_i];
	struct btt_info info;
	struct media_fake *fake = image_small(&info);
	uint64_t backup_off = BTT_V11_OFFSET + info.info2off;
	struct btt_error error = { "" };
	struct btt_probe probe;
	int r;

	set_field(&info, hostile);
	image_put_both(fake, backup_off, &info);
	assert_refused(fake, hostile->code, hostile->text);
	memset(fake->bytes + BTT_V11_OFFSET, 0, BTT_INFO_BYTES);
	r = btt_probe(&fake->media, &probe, &error);
	ck_assert_msg(r < 0, "%s was accepted from the backup", hostile->field);
	ck_assert(r == hostile->code || r == -EMEDIUMTYPE);
	media_close(&fake->media);
}
END_TEST

/* Numbers that go together, and are wrong all the same. */
START_TEST(probe__believes_no_hostile_conspiracy)
{
	struct btt_info usual;
	struct media_fake *fake = image_small(&usual);
	uint64_t backup_off = BTT_V11_OFFSET + usual.info2off;
	struct btt_info info;

	/* the sum is right in 32 bits */
	info = usual;
	info.nfree = UINT32_MAX;
	info.external_nlba = info.internal_nlba + 1;
	image_put_both(fake, backup_off, &info);
	assert_refused(fake, -EUCLEAN, "internal_nlba");
	/* more blocks than 30 bits can name */
	info = usual;
	info.internal_nlba = MAP_NBLOCK_MAX + 1;
	info.external_nlba = info.internal_nlba - info.nfree;
	image_put_both(fake, backup_off, &info);
	assert_refused(fake, -EUCLEAN, "map entries can name");
	/* an arena that is whole, and too small to be one */
	info = usual;
	info.external_nlba = 1;
	info.internal_nlba = 257;
	info.mapoff -= 4096;
	info.logoff -= 4096;
	info.info2off -= 4096;
	image_put_info(fake, BTT_V11_OFFSET, &info);
	image_put_info(fake, BTT_V11_OFFSET + info.info2off, &info);
	assert_refused(fake, -EUCLEAN, "not so small");
	media_close(&fake->media);
}
END_TEST

/* Numbers that are unusual, and right all the same. */
START_TEST(probe__accepts_what_the_format_allows)
{
	struct btt_info usual;
	struct media_fake *fake = image_small(&usual);
	uint64_t backup_off = BTT_V11_OFFSET + usual.info2off;
	struct btt_info info;

	/* a sector in a larger block, whatever the rounding */
	info = usual;
	info.external_lbasize = 512;
	image_put_both(fake, backup_off, &info);
	(void)assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET);
	/* few free blocks, as long as the sum is right */
	info = usual;
	info.nfree = 1;
	info.external_nlba = info.internal_nlba - 1;
	image_put_both(fake, backup_off, &info);
	(void)assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET);
	/* blocks and map smaller than there is room for */
	info = usual;
	info.external_nlba = 1;
	info.internal_nlba = 257;
	image_put_both(fake, backup_off, &info);
	(void)assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET);
	/* blocks that start later, while they fit */
	info = usual;
	info.dataoff += BTT_ALIGN;
	image_put_both(fake, backup_off, &info);
	(void)assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET);
	/* flags and parents are somebody else's */
	info = usual;
	info.flags = UINT32_MAX;
	memset(info.parent_uuid, 0xee, sizeof(info.parent_uuid));
	image_put_both(fake, backup_off, &info);
	ck_assert_uint_eq(
	    assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET).info.flags,
	    UINT32_MAX);
	media_close(&fake->media);
}
END_TEST

START_TEST(probe__limits_what_media_can_ask_memory_for)
{
	struct btt_info info;
	struct media_fake *fake = fake_new(UINT64_C(64) << 20);
	struct btt_create_options options = image_options(BTT_LAYOUT_V11, 512);

	options.nfree = BTT_NFREE_MAX;
	image_create(fake, &options);
	(void)assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET);
	ck_assert_int_eq(btt_info_decode(fake->bytes + BTT_V11_OFFSET, &info),
	    BTT_INFO_VALID);
	info.nfree++;
	info.external_nlba--;
	image_put_info(fake, BTT_V11_OFFSET, &info);
	assert_refused(fake, -ENOTSUP, "65537");
	media_close(&fake->media);
}
END_TEST

/* Every byte that is cut off is missed, and the sizes are named. */
START_TEST(probe__of_a_cut_medium_says_what_is_missing)
{
	static const uint64_t cuts[] = { 1, 4095, 4096, 4097, 20480, 1048576,
		16769024 };
	struct btt_info info;
	struct media_fake *fake = image_small(&info);

	for (int i = 0; i < NELEM(cuts); i++) {
		char text[64];

		fake->media.size = IMAGE_BYTES - cuts[i];
		snprintf(text, sizeof(text), "16777216 bytes");
		assert_refused(fake, -EUCLEAN, text);
		snprintf(text, sizeof(text), "ends after %llu",
		    (unsigned long long)(16777216 - cuts[i]));
		assert_refused(fake, -EUCLEAN, text);
	}
	fake->media.size = IMAGE_BYTES;
	media_close(&fake->media);
}
END_TEST

/* What follows the arena is nobody's. */
START_TEST(probe__of_a_longer_medium_believes_the_arena)
{
	struct btt_info info;
	struct media_fake *small = image_small(&info);
	struct media_fake *fake = fake_new(IMAGE_BYTES + 2 * 1048576);

	memcpy(fake->bytes, small->bytes, IMAGE_BYTES);
	ck_assert_uint_eq(
	    assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET).info.info2off,
	    info.info2off);
	media_close(&small->media);
	media_close(&fake->media);
}
END_TEST

/* Nobody can make the walk long: what counts is one arena further on. */
START_TEST(probe__refuses_more_arenas_than_it_serves)
{
	const uint64_t step = BTT_ARENA_MIN_BYTES;
	struct media_fake *fake =
	    fake_new((BTT_ARENA_MAX + 2) * BTT_ARENA_MIN_BYTES);
	struct btt_info info = { .major = 2 };
	struct btt_probe probe;

	ck_assert_int_eq(btt_geometry(step, 512, 1, 64, &info), 0);
	info.nextoff = step;
	for (uint32_t i = 0; i < BTT_ARENA_MAX; i++) {
		if (i == BTT_ARENA_MAX - 1)
			info.nextoff = 0;
		image_put_info(fake, i * step, &info);
		image_put_info(fake, i * step + info.info2off, &info);
	}
	ck_assert_int_eq(btt_probe(&fake->media, &probe, NULL), 0);
	ck_assert_uint_eq(probe.narena, BTT_ARENA_MAX);
	btt_probe_fini(&probe);
	info.nextoff = step;
	image_put_info(fake, (BTT_ARENA_MAX - 1) * step, &info);
	assert_refused(fake, -ENOTSUP, "more than 4096 arenas");
	media_close(&fake->media);
}
END_TEST

/* Faults. */

/* A medium whose pages behind the first n bytes are gone. */
static void
map_file(struct media_fake *fake, int fd, uint64_t size)
{
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	fake->media.base =
	    mmap(NULL, fake->media.size, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(fake->media.base, MAP_FAILED);
}

START_TEST(probe__survives_pages_that_cannot_be_read)
{
	struct btt_info info;
	struct media_fake *fake = image_small(&info);
	const uint8_t *bytes = fake->bytes;
	int fd = memfd_create("probe", MFD_CLOEXEC);
	struct btt_arena_place place;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(media_install_sigbus(), 0);
	/* nothing can be read at all */
	map_file(fake, fd, 0);
	assert_refused(fake, -EIO, "cannot be read");
	/* the page of the backup is gone */
	map_file(fake, fd, 3 * 4096);
	ck_assert_int_eq(pwrite(fd, bytes, 3 * 4096, 0), 3 * 4096);
	place = assert_found(fake, BTT_LAYOUT_V11, BTT_V11_OFFSET);
	ck_assert_int_eq(place.backup, BTT_INFO_UNREADABLE);
	(void)close(fd);
	fake->media.base = bytes;
	media_close(&fake->media);
}
END_TEST

static Suite *
probe_suite(void)
{
	Suite *suite = suite_create("probe");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, probe__finds_both_layouts);
	tcase_add_test(tc, probe__finds_nothing_in_nothing);
	tcase_add_test(tc, probe__of_a_tiny_medium_looks_at_no_byte_beyond_it);
	tcase_add_loop_test(
	    tc, probe__believes_no_hostile_number, 0, NELEM(hostiles));
	tcase_add_test(tc, probe__believes_no_hostile_conspiracy);
	tcase_add_test(tc, probe__accepts_what_the_format_allows);
	tcase_add_test(tc, probe__limits_what_media_can_ask_memory_for);
	tcase_add_test(tc, probe__of_a_cut_medium_says_what_is_missing);
	tcase_add_test(tc, probe__of_a_longer_medium_believes_the_arena);
	tcase_add_test(tc, probe__refuses_more_arenas_than_it_serves);
	tcase_add_test(tc, probe__survives_pages_that_cannot_be_read);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(probe_suite());
}

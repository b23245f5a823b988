/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * probe -- finding BTTs, and not being led astray by what only looks like one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <btt/format.h>

#include "support/check_main.h"
#include "support/image_fixture.h"

#define NELEM(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* Probe must fail like this, with a text that has this in it. */
static void
assert_refused(const struct media_fake *fake, int code, const char *text)
{
	struct btt_probe probe;
	struct btt_probe before;
	struct btt_error error = { "" };
	int r;

	memset(&probe, 0x5a, sizeof(probe));
	before = probe;
	r = btt_probe(&fake->media, &probe, &error);
	ck_assert_msg(r == code, "%d (%s), not %d: %s", r, strerror(-r), code,
	    error.text);
	ck_assert_msg(strstr(error.text, text) != NULL, "no '%s' in '%s'", text,
	    error.text);
	ck_assert_mem_eq(&probe, &before, sizeof(probe));
}

/* Probe must find one arena at off; returns its place. */
static struct btt_arena_place
assert_found(
    const struct media_fake *fake, enum btt_layout layout, uint64_t off)
{
	struct btt_arena_place place;
	struct btt_error error = { "" };
	struct btt_probe probe;
	int r;

	r = btt_probe(&fake->media, &probe, &error);
	ck_assert_msg(r == 0, "%d: %s", r, error.text);
	ck_assert_int_eq(probe.layout, layout);
	ck_assert_uint_eq(probe.narena, 1);
	place = probe.arena[0];
	ck_assert_uint_eq(place.off, off);
	btt_probe_fini(&probe);
	return place;
}

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

/* Backups. */

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
	assert_refused(fake, -EUCLEAN, "arena 1");
	media_close(&fake->media);
}
END_TEST

/* Two layouts at once. */

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

static void
seal_pool(struct media_fake *fake)
{
	uint8_t block[BTT_INFO_BYTES];
	struct le64 sum;

	memcpy(block, fake->bytes, sizeof(block));
	memset(block + 2048, 0, 2048);
	sum = le64_encode(btt_info_checksum(block));
	memcpy(fake->bytes + 4088, &sum, sizeof(sum));
}

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
	seal_pool(fake);
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
	struct media_fake *fake = pool_new(false);

	assert_refused(fake, -EMEDIUMTYPE, "nothing was ever written");
	media_close(&fake->media);

	fake = pool_new(true);
	fake->bytes[100] ^= 1;
	assert_refused(fake, -EUCLEAN, "pool header");
	fake->bytes[100] ^= 1;
	fake->bytes[8] = 2;
	seal_pool(fake);
	assert_refused(fake, -ENOTSUP, "pmemblk pool");
	fake->bytes[8] = 1;
	fake->bytes[16] = 6 | 8;
	seal_pool(fake);
	assert_refused(fake, -ENOTSUP, "pmemblk pool");
	fake->bytes[16] = 6;
	/* the BTT of an older pool in the same file */
	fake->bytes[24] ^= 1;
	seal_pool(fake);
	assert_refused(fake, -EUCLEAN, "another pool");
	/* nor its backup */
	memset(fake->bytes + BTT_POOL_OFFSET, 0, BTT_INFO_BYTES);
	assert_refused(fake, -EMEDIUMTYPE, "nothing was ever written");
	media_close(&fake->media);

	fake = pool_new(true);
	fake->bytes[4097] = 2;
	assert_refused(fake, -EUCLEAN, "blocks of 512");
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
	TCase *tc = tcase_create("places");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, probe__finds_both_layouts);
	tcase_add_test(tc, probe__finds_nothing_in_nothing);
	tcase_add_test(tc, probe__of_a_tiny_medium_looks_at_no_byte_beyond_it);
	tcase_add_loop_test(
	    tc, probe__believes_no_hostile_number, 0, NELEM(hostiles));
	tcase_add_test(tc, probe__accepts_what_the_format_allows);
	tcase_add_test(tc, probe__limits_what_media_can_ask_memory_for);
	tcase_add_test(tc, probe__of_a_cut_medium_says_what_is_missing);
	tcase_add_test(tc, probe__of_a_longer_medium_believes_the_arena);
	tcase_add_test(tc, probe__refuses_more_arenas_than_it_serves);
	suite_add_tcase(suite, tc);

	tc = tcase_create("backups");
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
	tcase_add_test(tc, probe__uses_the_backup_of_any_arena);
	tcase_add_test(tc, probe__without_a_later_arena_is_euclean);
	tcase_add_test(tc, probe__compares_the_arenas_with_each_other);
	suite_add_tcase(suite, tc);

	tc = tcase_create("layouts");
	tcase_add_test(tc, probe__is_not_led_astray_by_what_users_store);
	tcase_add_test(tc, probe__knows_a_v20_block_that_was_left_over);
	tcase_add_test(tc, probe__of_a_version_at_the_wrong_place_is_enotsup);
	tcase_add_test(tc, probe__finds_a_pool_behind_its_header);
	tcase_add_test(tc, probe__knows_both_checksums_of_pool_headers);
	tcase_add_test(tc, probe__says_what_is_wrong_with_a_pool);
	tcase_add_test(tc, probe__wants_a_header_in_front_of_a_pool);
	tcase_add_test(
	    tc, probe__prefers_v11_to_a_pool_header_that_was_left_over);
	tcase_add_test(tc, probe__does_not_take_a_pool_for_the_v11_before_it);
	tcase_add_test(tc, probe__survives_pages_that_cannot_be_read);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(probe_suite());
}

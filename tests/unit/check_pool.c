/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool -- creating pmemblk pools: every byte that libpmemblk looks at, and
 * none that would make a pool before all of it is there.
 */
#include <errno.h>
#include <string.h>

#include "flog.h"
#include "support/check_main.h"
#include "support/findings_fixture.h"
#include "support/probe_fixture.h"
#include "support/unpack.h"

#define NELEM(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define POOL_BYTES (BTT_ARENA_MIN_BYTES + BTT_POOL_OFFSET)
#define NEW_UUID 0x77 /* its first byte */

static struct btt_create_options
pool_options(uint32_t sector_bytes)
{
	struct btt_create_options options =
	    image_options(BTT_LAYOUT_POOL, sector_bytes);

	memset(options.parent_uuid, 0xab, sizeof(options.parent_uuid));
	memset(options.pool_part_uuid, 0xcd, sizeof(options.pool_part_uuid));
	options.pool_created = 1234567890;
	return options;
}

static struct media_fake *
pool_new(uint64_t bytes, uint32_t sector_bytes)
{
	struct btt_create_options options = pool_options(sector_bytes);
	struct media_fake *fake = fake_new(bytes);

	image_create(fake, &options);
	return fake;
}

/* Of a header made by libpmemblk 1.12.1, given its uuids and its time. */
START_TEST(create__makes_the_header_of_libpmemblk)
{
	struct media_fake *theirs = unpack(FIXTURES, "pmemblk-4096-clean.pool");
	struct btt_create_options options = pool_options(4096);
	struct media_fake *ours = fake_new(theirs->media.size);
	struct btt_info info;

	memcpy(options.parent_uuid, theirs->bytes + 24, BTT_UUID_BYTES);
	memcpy(options.pool_part_uuid, theirs->bytes + 40, BTT_UUID_BYTES);
	for (unsigned i = 8; i-- > 0;)
		options.pool_created =
		    options.pool_created << 8 | theirs->bytes[120 + i];
	ck_assert_int_eq(
	    btt_info_decode(theirs->bytes + BTT_POOL_OFFSET, &info),
	    BTT_INFO_VALID);
	memcpy(options.uuid, info.uuid, sizeof(options.uuid));
	image_create(ours, &options);
	ck_assert_mem_eq(ours->bytes, theirs->bytes, 4096);
	/* the size of a block; what follows is a process's */
	ck_assert_mem_eq(ours->bytes + 4096, theirs->bytes + 4096, 4);
	/* both info blocks */
	ck_assert_mem_eq(ours->bytes + BTT_POOL_OFFSET,
	    theirs->bytes + BTT_POOL_OFFSET, BTT_INFO_BYTES);
	ck_assert_mem_eq(ours->bytes + BTT_POOL_OFFSET + info.info2off,
	    theirs->bytes + BTT_POOL_OFFSET + info.info2off, BTT_INFO_BYTES);
	media_close(&theirs->media);
	media_close(&ours->media);
}
END_TEST

/* btt-format.md 13.4, and the alignment of 8.1. */
START_TEST(create__divides_a_pool_as_libpmemblk_does)
{
	static const struct {
		uint64_t bytes;
		uint32_t sector;
		uint32_t internal_lbasize;
		uint32_t internal_nlba;
		uint32_t external_nlba;
		uint64_t mapoff;
		uint64_t logoff;
	} rows[] = {
		{ 16785408, 512, 512, 32458, 32202, 16625664, 16756736 },
		{ 33554432, 4096, 4096, 8175, 7919, 33492992, 33525760 },
		{ 33554432, 520, 768, 43416, 43160, 33349632, 33525760 },
	};

	for (int i = 0; i < NELEM(rows); i++) {
		struct media_fake *fake =
		    pool_new(rows[i].bytes, rows[i].sector);
		struct btt_arena_place place;

		place = assert_found(fake, BTT_LAYOUT_POOL, BTT_POOL_OFFSET);
		ck_assert_uint_eq(
		    place.info.internal_lbasize, rows[i].internal_lbasize);
		ck_assert_uint_eq(
		    place.info.internal_nlba, rows[i].internal_nlba);
		ck_assert_uint_eq(
		    place.info.external_nlba, rows[i].external_nlba);
		ck_assert_uint_eq(place.info.mapoff, rows[i].mapoff);
		ck_assert_uint_eq(place.info.logoff, rows[i].logoff);
		ck_assert_uint_eq(place.info.major, 1);
		ck_assert_uint_eq(place.info.minor, 1);
		ck_assert_uint_eq(place.info.parent_uuid[7], 0xab);
		media_close(&fake->media);
	}
}
END_TEST

/* Fresh pairs carry Z, unused slots are empty (btt-format.md 3.4). */
START_TEST(create__flags_the_log)
{
	struct media_fake *fake = pool_new(POOL_BYTES, 4096);
	struct btt_info info;
	const uint8_t *log;

	ck_assert_int_eq(btt_info_decode(fake->bytes + BTT_POOL_OFFSET, &info),
	    BTT_INFO_VALID);
	log = fake->bytes + BTT_POOL_OFFSET + info.logoff;
	for (uint32_t i = 0; i < 256; i++) {
		struct flog_media group[FLOG_GROUP_SLOTS];
		struct flog_entry entry;

		memcpy(group, log + i * FLOG_GROUP_BYTES, sizeof(group));
		ck_assert_uint_eq(flog_used_slots(group), FLOG_USED_FIRST);
		entry = flog_decode(&group[0]);
		ck_assert_uint_eq(entry.lba, i);
		ck_assert_uint_eq(
		    entry.old_map, MAP_ZERO | (info.external_nlba + i));
		ck_assert_uint_eq(entry.new_map, entry.old_map);
		ck_assert_uint_eq(entry.seq, 1);
	}
	media_close(&fake->media);
}
END_TEST

static const uint32_t sectors[] = { 512, 520, 528, 1024, 2048, 4096, 4104, 4160,
	4224, 8192, 16384, 32768, 65536 };

/* Where something was, too, and as soon as there is room. */
START_TEST(create__makes_a_sound_pool_of_every_sector_size)
{
	static struct findings findings;
	struct btt_create_options options = pool_options(sectors[_i]);
	const uint64_t bytes = UINT64_C(40) << 20;
	struct media_fake *fake = fake_new(bytes);

	options.medium_is_zero = false;
	memset(fake->bytes, 0xff, bytes);
	image_create(fake, &options);
	(void)assert_found(fake, BTT_LAYOUT_POOL, BTT_POOL_OFFSET);
	ck_assert_int_eq(findings_of(fake, &findings), 0);
	ck_assert_findings(&findings, "", 0);
	ck_assert_uint_eq(findings.result.ninitial, findings.result.nsector);
	/* libpmemblk wants at least as many sectors as free blocks */
	ck_assert_uint_ge(findings.result.nsector, 256);
	media_close(&fake->media);
}
END_TEST

/* pmempool takes it for damaged; we do not, and say so. */
START_TEST(check__of_a_pool_with_more_free_blocks_is_a_note)
{
	static struct findings findings;
	struct btt_create_options options = image_options(BTT_LAYOUT_V11, 4096);
	struct media_fake *fake = pool_new(POOL_BYTES, 4096);
	struct media_fake *other = fake_new(POOL_BYTES - BTT_ALIGN);

	memset(options.parent_uuid, 0xab, sizeof(options.parent_uuid));
	options.nfree = 512;
	image_create(other, &options);
	memcpy(fake->bytes + BTT_POOL_OFFSET, other->bytes + BTT_V11_OFFSET,
	    BTT_ARENA_MIN_BYTES);
	ck_assert_int_eq(findings_of(fake, &findings), 0);
	ck_assert_findings(&findings, "nfree", 0);
	ck_assert_uint_eq(findings.finding[0].off, BTT_POOL_OFFSET);
	ck_assert_ptr_nonnull(strstr(findings.finding[0].text, "512, more"));
	media_close(&other->media);
	media_close(&fake->media);
}
END_TEST

START_TEST(create__wants_the_pool_to_have_a_uuid)
{
	struct media_fake *fake = fake_new(POOL_BYTES);

	for (int i = 0; i < 2; i++) {
		struct btt_create_options options = pool_options(4096);
		struct btt_error error = { "" };

		memset(i == 0 ? options.parent_uuid : options.pool_part_uuid, 0,
		    BTT_UUID_BYTES);
		ck_assert_int_eq(
		    btt_create(&fake->media, &options, &error), -EINVAL);
		ck_assert_str_eq(error.text, "the pool has no uuid");
		ck_assert_uint_eq(fake->nop, 0);
	}
	media_close(&fake->media);
}
END_TEST

START_TEST(create__refuses_what_libpmemblk_would)
{
	struct btt_create_options options = pool_options(4096);
	struct media_fake *fake = fake_new(POOL_BYTES - BTT_ALIGN);
	struct btt_error error = { "" };

	ck_assert_int_eq(btt_create(&fake->media, &options, &error), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(error.text, "16785408"));
	options.nfree = 257;
	ck_assert_int_eq(btt_create(&fake->media, &options, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "256 free"));
	ck_assert_uint_eq(fake->nop, 0);
	media_close(&fake->media);
}
END_TEST

START_TEST(create__leaves_out_what_libpmemblk_would)
{
	struct btt_create_options options = pool_options(65536);
	struct btt_error error = { "" };
	uint64_t least = 0;

	ck_assert_uint_eq(btt_create_nsector(POOL_BYTES, &options, &error), 0);
	ck_assert_int_eq(
	    sscanf(strstr(error.text, "need ") + 5, "%lu", &least), 1);
	ck_assert_uint_ge(btt_create_nsector(least, &options, &error), 256);
	ck_assert_uint_eq(
	    btt_create_nsector(least - 4096, &options, &error), 0);
}
END_TEST

/*
 * Whatever has come so far: nothing that passes for a pool or another BTT, or
 * all of it.
 */
static void
crash_everywhere(struct media_fake *fake, const uint8_t *old, uint64_t bytes)
{
	struct media_fake *crashed = fake_new(bytes);
	bool whole = false;

	memcpy(crashed->bytes, old, bytes);
	for (unsigned i = 0; i < fake->nop; i++) {
		struct btt_error error = { "" };
		struct btt_probe probe;
		int r;

		fake_apply(&fake->op[i], crashed->bytes);
		r = btt_probe(&crashed->media, &probe, &error);
		if (r == 0 && probe.arena[0].info.uuid[0] == NEW_UUID)
			whole = true;
		else
			ck_assert(!whole);
		if (r == 0)
			btt_probe_fini(&probe);
		if (whole)
			ck_assert_mem_eq(crashed->bytes, fake->bytes, bytes);
		else
			ck_assert_msg(r == -EMEDIUMTYPE || i < 4, "%u: %d: %s",
			    i, r, error.text);
	}
	ck_assert(whole);
	media_close(&crashed->media);
}

START_TEST(create__is_finished_by_the_header)
{
	struct btt_create_options options = pool_options(4096);
	struct media_fake *old = fake_new(POOL_BYTES);
	struct media_fake *fake = fake_new(POOL_BYTES);

	if (_i == 1) {
		struct btt_create_options v11 =
		    image_options(BTT_LAYOUT_V11, 4096);

		image_create(old, &v11);
	} else if (_i == 2) {
		struct btt_create_options other = pool_options(512);

		image_create(old, &other);
	}
	memcpy(fake->bytes, old->bytes, POOL_BYTES);
	options.medium_is_zero = _i == 0;
	options.uuid[0] = NEW_UUID;
	fake->remember = true;
	image_create(fake, &options);
	crash_everywhere(fake, old->bytes, POOL_BYTES);
	media_close(&fake->media);
	media_close(&old->media);
}
END_TEST

START_TEST(probe__opens_no_pool_that_is_not_all_there_is)
{
	static const struct {
		size_t off;
		uint8_t value;
		const char *text;
	} rows[] = {
		{ 56, 0xee, "one of several files" },  /* a part before */
		{ 72, 0xee, "one of several files" },  /* a part behind */
		{ 88, 0xee, "one of several files" },  /* a replica before */
		{ 119, 0xee, "one of several files" }, /* a replica behind */
		{ 137, 2, "machine" },                 /* big-endian */
		{ 142, 21, "machine" },                /* ppc64: 64 KiB pages */
	};

	for (int i = 0; i < NELEM(rows); i++) {
		struct media_fake *fake = pool_new(POOL_BYTES, 4096);

		fake->bytes[rows[i].off] = rows[i].value;
		image_seal_pool(fake);
		/* what is behind it is not looked at */
		memset(fake->bytes + BTT_POOL_OFFSET, 0, BTT_INFO_BYTES);
		assert_refused(fake, -ENOTSUP, rows[i].text);
		media_close(&fake->media);
	}
}
END_TEST

START_TEST(probe__of_an_empty_pool_names_the_command)
{
	struct media_fake *fake = pool_new(POOL_BYTES, 4096);
	struct btt_info info;

	ck_assert_int_eq(btt_info_decode(fake->bytes + BTT_POOL_OFFSET, &info),
	    BTT_INFO_VALID);
	memset(fake->bytes + BTT_POOL_OFFSET, 0, BTT_INFO_BYTES);
	memset(
	    fake->bytes + BTT_POOL_OFFSET + info.info2off, 0, BTT_INFO_BYTES);
	assert_refused(fake, -EMEDIUMTYPE, "nothing was ever written to it");
	assert_refused(
	    fake, -EMEDIUMTYPE, "bttctl create --force --layout pool");
	media_close(&fake->media);
}
END_TEST

static Suite *
pool_suite(void)
{
	Suite *suite = suite_create("pool");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	if (unpack_is_possible())
		tcase_add_test(tc, create__makes_the_header_of_libpmemblk);
	tcase_add_test(tc, create__divides_a_pool_as_libpmemblk_does);
	tcase_add_test(tc, create__flags_the_log);
	tcase_add_loop_test(tc, create__makes_a_sound_pool_of_every_sector_size,
	    0, NELEM(sectors));
	tcase_add_test(tc, check__of_a_pool_with_more_free_blocks_is_a_note);
	tcase_add_test(tc, create__wants_the_pool_to_have_a_uuid);
	tcase_add_test(tc, create__refuses_what_libpmemblk_would);
	tcase_add_test(tc, create__leaves_out_what_libpmemblk_would);
	tcase_add_loop_test(tc, create__is_finished_by_the_header, 0, 3);
	tcase_add_test(tc, probe__opens_no_pool_that_is_not_all_there_is);
	tcase_add_test(tc, probe__of_an_empty_pool_names_the_command);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(pool_suite());
}

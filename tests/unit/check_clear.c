/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clear -- planting damage by what it hits, and clearing it on a device in use:
 * lost sectors are zeroes, others are as they were, and whatever is opened
 * after it, or after a crash in it, is sound.
 */
#include <errno.h>

#include <btt/bad.h>

#include "../support/check_main.h"
#include "../support/engine_variants.h"
#include "../support/hands.h"

#define SECTOR VARIANT_SECTOR
#define NSECTOR 64u

static struct fixture fixture;
static struct btt_worker *worker;
static struct btt_clear_result result;
static uint8_t buf[SECTOR];

static void
write_sector(struct btt_worker *by, uint64_t sector, uint64_t version)
{
	variant_write(&fixture, by, sector, version);
}

static void
set_up(int variant)
{
	worker = variant_new(&fixture, variant, NSECTOR);
}

static int64_t
version_of(uint64_t sector)
{
	int r = btt_read(fixture.btt, worker, sector * SECTOR, SECTOR, buf);

	return r < 0 ? r : sector_version(buf, SECTOR, sector);
}

static void
inject(enum btt_area area, uint64_t first, uint64_t n)
{
	ck_assert_int_eq(
	    btt_inject_bad(fixture.btt, area, first, n, BTT_INJECT), 0);
}

static int
clear_all(struct btt_worker *by)
{
	const struct btt_clear_options options = {
		.count = fixture.geometry.nsector,
	};

	return btt_clear_bad(fixture.btt, by, &options, &result);
}

/* Close it; the same bytes are the next medium. */
static void
close_to_copy(void)
{
	struct media *media;

	ck_assert_int_eq(btt_flush(fixture.btt, worker), 0);
	ck_assert_int_eq(media_ram_new(fixture.media->size,
			     fixture.media->granularity, &media),
	    0);
	ck_assert_int_eq(
	    media_copy(media, 0, media_at(fixture.media, 0), media->size), 0);
	ck_assert_int_eq(btt_close(fixture.btt), 0);
	fixture.media = media;
}

/* Does every sector but those lost have its version in what is opened next? */
static void
assert_reopens(uint64_t lost)
{
	struct fixture_options options = variant_options(0);

	close_to_copy();
	fixture_check(fixture.media);
	fixture_open(&fixture, &options);
	for (uint64_t i = 0; i < NSECTOR; i++)
		ck_assert_int_eq(version_of(i), i == lost ? 0 : 1);
}

START_TEST(inject__hits_the_sector_and_no_other)
{
	set_up(_i);
	inject(BTT_AREA_DATA, 5, 1);
	ck_assert_int_eq(version_of(5), -EIO);
	ck_assert_int_eq(version_of(4), 1);
	ck_assert_int_eq(version_of(6), 1);
	/* The mark that the read has left outlives what was planted. */
	ck_assert_int_eq(
	    btt_inject_bad(fixture.btt, BTT_AREA_DATA, 5, 1, BTT_UNINJECT), 0);
	ck_assert(!media_knows_bad(fixture.media));
	ck_assert_int_eq(version_of(5), -EIO);
	write_sector(worker, 5, 1);
	ck_assert_int_eq(version_of(5), 1);
	assert_reopens(NSECTOR);
	fixture_free(&fixture);
}
END_TEST

/* Where the first arena has a part; which: of two info blocks. */
static uint64_t
part_off(enum btt_area area, uint64_t which)
{
	struct btt_place place = { .end = 0 };
	uint64_t off;

	do {
		off = place.end;
		btt_find_place(fixture.btt, off, &place);
	} while (place.area != area || place.item != which);
	return off;
}

START_TEST(inject__refuses_what_is_not_there)
{
	uint64_t n;

	set_up(0);
	n = fixture.geometry.nsector;
	ck_assert_int_eq(
	    btt_inject_bad(fixture.btt, BTT_AREA_DATA, n, 1, BTT_INJECT),
	    -ERANGE);
	ck_assert_int_eq(
	    btt_inject_bad(fixture.btt, BTT_AREA_MAP, 1, n, BTT_INJECT),
	    -ERANGE);
	ck_assert_int_eq(
	    btt_inject_bad(fixture.btt, BTT_AREA_LOG, 256, 1, BTT_INJECT),
	    -ERANGE);
	ck_assert_int_eq(
	    btt_inject_bad(fixture.btt, BTT_AREA_INFO, 2, 1, BTT_INJECT),
	    -ERANGE);
	ck_assert_int_eq(
	    btt_inject_bad(fixture.btt, BTT_AREA_UNUSED, 0, 1, BTT_INJECT),
	    -EINVAL);
	ck_assert(!media_knows_bad(fixture.media));
	fixture_free(&fixture);
}
END_TEST

START_TEST(clear__makes_zeroes_of_lost_sectors_and_frees_their_blocks)
{
	set_up(_i);
	inject(BTT_AREA_DATA, 5, 1);
	ck_assert_int_eq(version_of(5), -EIO);
	ck_assert_int_eq(clear_all(worker), 0);
	ck_assert_uint_eq(result.nlost, 1);
	ck_assert_uint_eq(result.first_lost, 5);
	ck_assert_uint_eq(result.nblock, 1);
	ck_assert_uint_eq(result.nleft, 0);
	ck_assert(!media_knows_bad(fixture.media));
	assert_reopens(5);
	fixture_free(&fixture);
}
END_TEST

/* What nobody has read yet is lost all the same: it cannot be read. */
START_TEST(clear__needs_no_read_before)
{
	set_up(_i);
	inject(BTT_AREA_DATA, 5, 1);
	ck_assert_int_eq(clear_all(worker), 0);
	ck_assert_uint_eq(result.nlost, 1);
	assert_reopens(5);
	fixture_free(&fixture);
}
END_TEST

/* Zeroes that were made by an entry are not lost with the block behind it. */
START_TEST(clear__of_a_zeroed_sector_loses_nothing)
{
	set_up(_i);
	ck_assert_int_eq(btt_zero(fixture.btt, worker, 5 * SECTOR, SECTOR), 0);
	inject(BTT_AREA_DATA, 5, 1);
	ck_assert_int_eq(version_of(5), 0);
	ck_assert_int_eq(clear_all(worker), 0);
	ck_assert_uint_eq(result.nlost, 0);
	ck_assert_uint_eq(result.nsector, 1);
	ck_assert_uint_eq(result.nleft, 0);
	assert_reopens(5);
	fixture_free(&fixture);
}
END_TEST

START_TEST(clear__restores_an_info_block_from_its_copy)
{
	uint8_t zeroes[BTT_INFO_BYTES] = { 0 };
	uint64_t copy = (uint64_t)_i / NVARIANT, off;

	set_up(_i % NVARIANT);
	off = part_off(BTT_AREA_INFO, copy);
	inject(BTT_AREA_INFO, copy, 1);
	ck_assert_int_eq(
	    media_copy(fixture.media, off, zeroes, sizeof(zeroes)), 0);
	ck_assert_int_eq(clear_all(worker), 0);
	ck_assert_uint_eq(result.ninfo, 1);
	ck_assert_uint_eq(result.nleft, 0);
	assert_reopens(NSECTOR);
	fixture_free(&fixture);
}
END_TEST

/* A sound block that says something else would be what is opened next. */
START_TEST(clear__restores_no_info_block_from_a_strangers)
{
	uint8_t block[BTT_INFO_BYTES];
	struct btt_info info;
	uint64_t off;

	set_up(0);
	off = part_off(BTT_AREA_INFO, 1);
	ck_assert_int_eq(btt_info_decode(media_at(fixture.media, off), &info),
	    BTT_INFO_VALID);
	info.uuid[0] ^= 1;
	btt_info_encode(&info, block);
	ck_assert_int_eq(
	    media_copy(fixture.media, off, block, sizeof(block)), 0);
	inject(BTT_AREA_INFO, 0, 1);
	ck_assert_int_eq(clear_all(worker), 0);
	ck_assert_uint_eq(result.ninfo, 0);
	ck_assert_uint_eq(result.nleft, BTT_INFO_BYTES / 512);
	fixture_free(&fixture);
}
END_TEST

START_TEST(clear__leaves_two_info_blocks_that_are_bad)
{
	set_up(0);
	inject(BTT_AREA_INFO, 0, 2);
	ck_assert_int_eq(clear_all(worker), 0);
	ck_assert_uint_eq(result.ninfo, 0);
	ck_assert_uint_eq(result.nleft, 2 * BTT_INFO_BYTES / 512);
	fixture_free(&fixture);
}
END_TEST

/* A log that really is lost comes back from memory. */
START_TEST(clear__rebuilds_the_log_from_memory)
{
	uint8_t zeroes[512] = { 0 };
	uint64_t off;

	set_up(_i);
	off = part_off(BTT_AREA_LOG, 0);
	for (uint64_t i = 0; i < 256; i += 8)
		ck_assert_int_eq(
		    media_copy(fixture.media, off + i * 64, zeroes, 512), 0);
	inject(BTT_AREA_LOG, 0, 256);
	ck_assert_int_eq(clear_all(worker), 0);
	ck_assert_uint_eq(result.nlog, 32);
	ck_assert_uint_eq(result.nleft, 0);
	/* And the pairs go on from there. */
	for (uint64_t i = 0; i < NSECTOR; i++) {
		write_sector(worker, i, 7);
		write_sector(worker, i, 1);
	}
	assert_reopens(NSECTOR);
	fixture_free(&fixture);
}
END_TEST

/* Either half of a unit that was being rebuilt may be the old one. */
START_TEST(clear__of_the_log_may_be_cut_short_anywhere)
{
	static uint8_t before[256 * 64], after[256 * 64];
	uint64_t off;

	set_up(0);
	off = part_off(BTT_AREA_LOG, 0);
	memcpy(before, media_at(fixture.media, off), sizeof(before));
	inject(BTT_AREA_LOG, 0, 256);
	ck_assert_int_eq(clear_all(worker), 0);
	memcpy(after, media_at(fixture.media, off), sizeof(after));
	ck_assert_int_ne(memcmp(before, after, sizeof(before)), 0);

	srand((unsigned)_i);
	for (size_t i = 0; i < sizeof(before); i += 8)
		ck_assert_int_eq(media_copy(fixture.media, off + i,
				     (rand() % 2 == 0 ? before : after) + i, 8),
		    0);
	assert_reopens(NSECTOR);
	fixture_free(&fixture);
}
END_TEST

/* The entries of a sector's unit of the map really are lost. */
static void
lose_map(uint64_t sector)
{
	uint64_t off = part_off(BTT_AREA_MAP, 0);
	uint8_t noise[512];

	memset(noise, 0xb7, sizeof(noise));
	inject(BTT_AREA_MAP, sector, 1);
	/* What the unit is, apart from that, must not matter. */
	ck_assert_int_eq(media_copy(fixture.media, off + sector / 128 * 512,
			     noise, sizeof(noise)),
	    0);
}

/* Two units, of which the other sectors do not take notice. */
START_TEST(clear__finds_the_blocks_of_a_lost_map)
{
	uint64_t n;

	set_up(_i);
	n = fixture.geometry.nsector;
	for (uint64_t i = 0; i < NSECTOR; i++)
		write_sector(worker, 600 + i, 1);
	ck_assert_int_eq(btt_flush(fixture.btt, worker), 0);
	lose_map(5);
	lose_map(n - 1);
	ck_assert_int_eq(version_of(5), -EIO);
	ck_assert_int_eq(version_of(630), 1);
	ck_assert_int_eq(clear_all(worker), 0);
	ck_assert_uint_eq(result.nmap, 2);
	ck_assert_uint_eq(result.nlost, 128 + (n - 1) % 128 + 1);
	ck_assert_uint_eq(result.first_lost, 0);
	ck_assert_uint_eq(result.nleft, 0);
	for (uint64_t i = 0; i < NSECTOR; i++) {
		ck_assert_int_eq(version_of(i), 0);
		ck_assert_int_eq(version_of(600 + i), 1);
		write_sector(worker, i, 1);
	}
	assert_reopens(NSECTOR);
	fixture_free(&fixture);
}
END_TEST

/* Of a range that does not touch it the unit stays lost. */
START_TEST(clear__of_a_range_leaves_other_maps)
{
	const struct btt_clear_options options = { .first = 128, .count = 5 };

	set_up(_i);
	inject(BTT_AREA_MAP, 5, 1);
	ck_assert_int_eq(
	    btt_clear_bad(fixture.btt, worker, &options, &result), 0);
	ck_assert_uint_eq(result.nmap, 0);
	ck_assert_uint_eq(result.nleft, 1);
	ck_assert_int_eq(version_of(5), -EIO);
	fixture_free(&fixture);
}
END_TEST

static struct media_ops watched_ops;
static unsigned nmended;

static bool
says_error(uint64_t which)
{
	struct btt_info info;

	ck_assert_int_eq(
	    btt_info_decode(
		media_at(fixture.media, part_off(BTT_AREA_INFO, which)), &info),
	    BTT_INFO_VALID);
	return (info.flags & BTT_FLAG_ERROR) != 0;
}

static int
mend_watched(struct media *media, uint64_t off, size_t len)
{
	ck_assert_ptr_eq(media, fixture.media);
	ck_assert_uint_eq(off % 512, 0);
	ck_assert_uint_eq(len, 512);
	ck_assert(says_error(0) && says_error(1));
	nmended++;
	return 0;
}

/* Cut short after the mending, the unit would pass for sound. */
static void
clear_one_unit_watched(void)
{
	const struct media_ops *ops = fixture.media->ops;

	watched_ops = *ops;
	watched_ops.clear_bad = mend_watched;
	nmended = 0;
	fixture.media->ops = &watched_ops;
	ck_assert_int_eq(clear_all(worker), 0);
	fixture.media->ops = ops;
	ck_assert_uint_eq(nmended, 1);
	ck_assert(!says_error(0) && !says_error(1));
}

START_TEST(clear__of_a_map_or_log_flags_the_arena_for_as_long)
{
	set_up(_i / 2);
	if (_i % 2 == 0)
		lose_map(5);
	else
		inject(BTT_AREA_LOG, 0, 1);
	clear_one_unit_watched();
	ck_assert_uint_eq(_i % 2 == 0 ? result.nmap : result.nlog, 1);
	fixture_free(&fixture);
}
END_TEST

/* Data is there still, where the map says where: P7 gives it to a reader. */
START_TEST(open__to_read_goes_without_a_unit_that_is_lost)
{
	struct btt_open_options options = { .nlane = 1 };
	bool is_map = _i % 2 == 0;
	struct btt_error error = { "" };
	uint64_t off;

	set_up(_i / 2);
	off = part_off(is_map ? BTT_AREA_MAP : BTT_AREA_LOG, 0);
	close_to_copy();
	ck_assert_int_eq(media_add_bad(fixture.media, off, 1), 0);
	ck_assert_int_eq(btt_open(fixture.media, fixture.pool, &options,
			     &fixture.btt, &error),
	    -EIO);
	ck_assert_ptr_nonnull(strstr(error.text, "read-only"));
	options.read_only = true;
	ck_assert_int_eq(btt_open(fixture.media, fixture.pool, &options,
			     &fixture.btt, &error),
	    0);
	btt_get_geometry(fixture.btt, &fixture.geometry);
	for (uint64_t i = 0; i < NSECTOR; i++)
		ck_assert_int_eq(version_of(i), is_map ? -EIO : 1);
	fixture_free(&fixture);
}
END_TEST

/* While one clears, nobody else does, and nobody makes anything good. */
static bool
try_others(void *arg)
{
	const struct btt_clear_options options = { .count = NSECTOR };
	struct btt_clear_result none;
	unsigned *n = arg;

	ck_assert_int_eq(btt_clear_bad(fixture.btt, fixture_worker(&fixture, 1),
			     &options, &none),
	    -EBUSY);
	ck_assert_int_eq(
	    btt_inject_bad(fixture.btt, BTT_AREA_MAP, 5, 1, BTT_UNINJECT),
	    -EBUSY);
	++*n;
	return false;
}

START_TEST(clear__is_for_one_at_a_time)
{
	unsigned n = 0;
	const struct btt_clear_options options = {
		.count = NSECTOR,
		.is_unwanted = try_others,
		.arg = &n,
	};

	set_up(_i);
	lose_map(5);
	ck_assert_int_eq(
	    btt_clear_bad(fixture.btt, worker, &options, &result), 0);
	ck_assert_uint_gt(n, 1);
	ck_assert_uint_eq(result.nmap, 1);
	ck_assert_uint_eq(result.nleft, 0);
	/* And for the next one after that. */
	ck_assert_int_eq(clear_all(worker), 0);
	fixture_free(&fixture);
}
END_TEST

/* At every moment at which somebody may say so. */
static bool
lose_another(void *arg)
{
	unsigned *n = arg;

	if ((*n)-- == 0)
		inject(BTT_AREA_MAP, 300, 1);
	return false;
}

/* A unit that is met to be lost after the others keeps its own blocks. */
START_TEST(clear__of_a_map_leaves_what_is_lost_meanwhile)
{
	unsigned n = (unsigned)_i / NVARIANT;
	const struct btt_clear_options options = {
		.count = 128,
		.is_unwanted = lose_another,
		.arg = &n,
	};

	set_up(_i % NVARIANT);
	write_sector(worker, 300, 1);
	ck_assert_int_eq(btt_flush(fixture.btt, worker), 0);
	lose_map(5);
	ck_assert_int_eq(
	    btt_clear_bad(fixture.btt, worker, &options, &result), 0);
	ck_assert_uint_le(result.nmap, 1);
	ck_assert_uint_eq(result.nleft, 2 - result.nmap);
	/* It was planted only: what it says still holds. */
	ck_assert_int_eq(
	    btt_inject_bad(fixture.btt, BTT_AREA_MAP, 300, 1, BTT_UNINJECT), 0);
	ck_assert_int_eq(version_of(300), 1);
	ck_assert_int_eq(clear_all(worker), 0);
	ck_assert_uint_eq(result.nleft, 0);
	for (uint64_t i = 0; i < NSECTOR; i++)
		write_sector(worker, i, 1);
	assert_reopens(NSECTOR);
	fixture_free(&fixture);
}
END_TEST

static bool
is_unwanted(void *arg)
{
	unsigned *n = arg;

	return (*n)-- == 0;
}

START_TEST(clear__can_be_stopped)
{
	unsigned n = 0;
	struct btt_clear_options options = {
		.count = 100, .is_unwanted = is_unwanted, .arg = &n
	};

	set_up(0);
	inject(BTT_AREA_DATA, 5, 1);
	ck_assert_int_eq(
	    btt_clear_bad(fixture.btt, worker, &options, &result), -ECANCELED);
	ck_assert_uint_eq(result.nlost, 0);
	ck_assert_uint_eq(result.nleft, 8);
	options.count = fixture.geometry.nsector + 1;
	ck_assert_int_eq(
	    btt_clear_bad(fixture.btt, worker, &options, &result), -ERANGE);
	fixture_free(&fixture);
}
END_TEST

/* Writers whose sectors are damaged and cleared under their hands. */
static void *
write_and_look(void *arg)
{
	struct hands *hands = arg;
	struct btt_worker *own = fixture_worker(&fixture, hands->index);
	uint64_t sector = 10 + hands->index;
	uint8_t bytes[SECTOR];
	int64_t version;
	uint64_t i;
	int r;

	for (i = 2; hands_go_on(hands); i++) {
		write_sector(own, sector, i);
		r = btt_read(fixture.btt, own, sector * SECTOR, SECTOR, bytes);
		version = sector_version(bytes, SECTOR, sector);
		/* Lost by what was planted, or as it was written. */
		ck_assert(r == -EIO ||
		    (r == 0 && (version == 0 || version == (int64_t)i)));
	}
	return NULL;
}

START_TEST(clear__goes_with_writes)
{
	struct hands hands[2];

	set_up(_i);
	hands_start(hands, 2, 1, write_and_look);
	for (unsigned i = 0; i < 40; i++) {
		inject(BTT_AREA_DATA, 11 + i % 2, 1);
		inject(BTT_AREA_LOG, i * 5, 1);
		inject(BTT_AREA_INFO, i % 2, 1);
		ck_assert_int_eq(clear_all(worker), 0);
		ck_assert_uint_eq(result.nleft, 0);
		ck_assert_uint_eq(result.nlog, 1);
	}
	hands_stop(hands, 2);
	for (unsigned i = 0; i < 2; i++)
		write_sector(worker, 11 + i, 1);
	assert_reopens(NSECTOR);
	fixture_free(&fixture);
}
END_TEST

/* Writers of sectors that are elsewhere in the map. */
static void *
write_elsewhere(void *arg)
{
	struct hands *hands = arg;
	struct btt_worker *own = fixture_worker(&fixture, hands->index);

	for (uint64_t i = 0; hands_go_on(hands); i++) {
		write_sector(own, 200 + (i * 7 + hands->index) % 400, 1);
		if (i % 32 == 0)
			ck_assert_int_eq(btt_flush(fixture.btt, own), 0);
	}
	return NULL;
}

START_TEST(clear__rebuilds_a_map_while_others_write)
{
	struct hands hands[2];
	unsigned nrebuilt = 0;

	set_up(_i);
	hands_start(hands, 2, 1, write_elsewhere);
	for (unsigned i = 0; i < 10; i++) {
		lose_map(5);
		ck_assert_int_eq(clear_all(worker), 0);
		nrebuilt += (unsigned)result.nmap;
		/* If writers have been in the way it is as lost as before. */
		ck_assert_uint_eq(result.nleft + result.nmap, 1);
	}
	hands_stop(hands, 2);
	ck_assert_int_eq(clear_all(worker), 0);
	ck_assert_uint_eq(result.nleft, 0);
	ck_assert_uint_ge(nrebuilt, 1);
	for (uint64_t i = 0; i < NSECTOR; i++)
		write_sector(worker, i, 1);
	assert_reopens(NSECTOR);
	fixture_free(&fixture);
}
END_TEST

static Suite *
clear_suite(void)
{
	Suite *suite = suite_create("clear");
	TCase *tc = tcase_create("inject");

	tcase_add_loop_test(
	    tc, inject__hits_the_sector_and_no_other, 0, NVARIANT);
	tcase_add_test(tc, inject__refuses_what_is_not_there);
	suite_add_tcase(suite, tc);

	tc = tcase_create("clear");
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc,
	    clear__makes_zeroes_of_lost_sectors_and_frees_their_blocks, 0,
	    NVARIANT);
	tcase_add_loop_test(tc, clear__needs_no_read_before, 0, NVARIANT);
	tcase_add_loop_test(
	    tc, clear__of_a_zeroed_sector_loses_nothing, 0, NVARIANT);
	tcase_add_loop_test(
	    tc, clear__restores_an_info_block_from_its_copy, 0, 2 * NVARIANT);
	tcase_add_test(tc, clear__restores_no_info_block_from_a_strangers);
	tcase_add_test(tc, clear__leaves_two_info_blocks_that_are_bad);
	tcase_add_loop_test(
	    tc, clear__rebuilds_the_log_from_memory, 0, NVARIANT);
	tcase_add_loop_test(
	    tc, clear__of_the_log_may_be_cut_short_anywhere, 0, 8);
	tcase_add_loop_test(
	    tc, clear__finds_the_blocks_of_a_lost_map, 0, NVARIANT);
	tcase_add_loop_test(
	    tc, clear__of_a_range_leaves_other_maps, 0, NVARIANT);
	tcase_add_loop_test(
	    tc, clear__rebuilds_a_map_while_others_write, 0, NVARIANT);
	tcase_add_loop_test(tc,
	    clear__of_a_map_or_log_flags_the_arena_for_as_long, 0,
	    2 * NVARIANT);
	tcase_add_loop_test(tc, open__to_read_goes_without_a_unit_that_is_lost,
	    0, 2 * NVARIANT);
	tcase_add_loop_test(tc, clear__is_for_one_at_a_time, 0, NVARIANT);
	tcase_add_loop_test(
	    tc, clear__of_a_map_leaves_what_is_lost_meanwhile, 0, 3 * NVARIANT);
	tcase_add_test(tc, clear__can_be_stopped);
	tcase_add_loop_test(tc, clear__goes_with_writes, 0, NVARIANT);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(clear_suite());
}

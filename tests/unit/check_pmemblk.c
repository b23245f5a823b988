/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmemblk -- libpmemblk itself opens, reads, checks and writes the pools that
 * are made and written here, and the other way round (P5).  SCRATCH is a
 * directory for files.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <btt/btt.h>
#include <btt/check.h>

#include "flog.h"
#include "support/check_main.h"
#include "support/engine_fixture.h"
#include "support/media_open.h"
#include "support/pmemblk.h"

#define POOL_BYTES (UINT64_C(48) << 20)
#define NBLOCK 400u /* that are written, spread over the pool */

static const uint32_t sectors[] = { 512, 520, 528, 4096, 4104, 4160, 4224, 1024,
	16384, 65536 };
#define NSECTOR_SIZE ((int)(sizeof(sectors) / sizeof(sectors[0])))

static struct pmemblk pmemblk;
static char path[256];
static struct fixture fixture;
static uint8_t block[BTT_SECTOR_MAX];

static void
set_up(void)
{
	snprintf(
	    path, sizeof(path), SCRATCH "/check_pmemblk.%ld", (long)getpid());
	(void)unlink(path);
	pmemblk_load(&pmemblk);
	ck_assert_int_eq(media_install_sigbus(), 0);
	ck_assert_int_eq(btt_worker_pool_new(1, &fixture.pool), 0);
}

static void
tear_down(void)
{
	btt_worker_pool_free(fixture.pool);
	(void)unlink(path);
}

static struct media *
open_media(void)
{
	return media_must_open_sparse(path, MEDIA_FORCE_CACHE_LINE, false);
}

static void
make_pool(uint32_t sector)
{
	const struct btt_create_options options = {
		.layout = BTT_LAYOUT_POOL,
		.sector_bytes = sector,
		.nfree = BTT_NFREE_DEFAULT,
		.uuid = { 1 },
		.parent_uuid = { 2 },
		.pool_part_uuid = { 3 },
		.pool_created = 1000000000,
		.medium_is_zero = true,
	};
	struct btt_error error = { "" };
	struct media *media;
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)POOL_BYTES), 0);
	ck_assert_int_eq(close(fd), 0);
	media = open_media();
	ck_assert_msg(
	    btt_create(media, &options, &error) == 0, "%s", error.text);
	media_close(media);
}

static void
open_ours(void)
{
	struct fixture_options options = { .nlane = 8 };

	fixture.media = open_media();
	fixture_open(&fixture, &options);
}

/* It must be clean, with nothing in flight, which libpmemblk may not finish. */
static void
close_ours(void)
{
	const struct btt_check_options options = { .report = NULL };
	struct btt_check_result result;
	struct btt_error error = { "" };
	struct media *media;

	ck_assert_int_eq(btt_close(fixture.btt), 0);
	fixture.btt = NULL;
	media = open_media();
	ck_assert_msg(
	    btt_check(media, &options, &result, &error) == 0, "%s", error.text);
	ck_assert_uint_eq(result.ndamage, 0);
	ck_assert_uint_eq(result.npending, 0);
	media_close(media);
}

static void *
open_theirs(uint32_t sector)
{
	void *pool = pmemblk.open(path, sector);

	ck_assert_msg(pool != NULL, "%s", pmemblk.errormsg());
	return pool;
}

/* pmemblk_check, and pmempool check where it is installed. */
static void
assert_consistent(uint32_t sector)
{
	char command[400];

	ck_assert_msg(
	    pmemblk.check(path, sector) == 1, "%s", pmemblk.errormsg());
	if (system("pmempool --version >/dev/null 2>&1") != 0)
		return;
	snprintf(command, sizeof(command), "pmempool check -q '%s'", path);
	ck_assert_msg(system(command) == 0, "pmempool check fails");
}

/* Different for all i below NBLOCK, since pools have more blocks. */
static uint64_t
place_of(uint64_t i, uint64_t nblock)
{
	ck_assert(nblock > NBLOCK && nblock % 101 != 0);
	return i * 101 % nblock;
}

/*
 * libpmemblk knows no data beside metadata: of blocks of 520 bytes all of them
 * are read, of which 512 are what the device shows.
 */
static void
fill_block(uint64_t lba, uint64_t version)
{
	memset(block, 0, sizeof(block));
	sector_fill(block, 8 * (sizeof(block) / 8), lba, version);
}

static void
write_ours(uint64_t lba, uint64_t version)
{
	uint32_t bytes = fixture.geometry.sector_bytes;

	fill_block(lba, version);
	ck_assert_int_eq(btt_write(fixture.btt, fixture_worker(&fixture, 0),
			     lba * bytes, bytes, block),
	    0);
}

static int64_t
version_ours(uint64_t lba)
{
	uint32_t bytes = fixture.geometry.sector_bytes;
	int r;

	r = btt_read(fixture.btt, fixture_worker(&fixture, 0), lba * bytes,
	    bytes, block);
	return r < 0 ? r : sector_version(block, bytes, lba);
}

static void
write_theirs(void *pool, uint64_t lba, uint64_t version)
{
	fill_block(lba, version);
	ck_assert_msg(pmemblk.write(pool, block, (long long)lba) == 0, "%s",
	    pmemblk.errormsg());
}

static int64_t
version_theirs(void *pool, uint64_t lba, uint32_t data_bytes)
{
	memset(block, 0xee, sizeof(block));
	errno = 0;
	if (pmemblk.read(pool, block, (long long)lba) < 0)
		return errno > 0 ? -errno : -1;
	return sector_version(block, data_bytes, lba);
}

/* Made here, written here, there, here, and read by both each time. */
START_TEST(pool__goes_back_and_forth)
{
	uint32_t sector = sectors[_i];
	uint32_t bytes = btt_sector_data_bytes(sector);
	uint64_t n;
	void *pool;

	make_pool(sector);
	assert_consistent(sector);
	open_ours();
	n = fixture.geometry.nsector;
	for (uint64_t i = 0; i < NBLOCK; i++)
		write_ours(place_of(i, n), 1);
	ck_assert_int_eq(btt_zero(fixture.btt, fixture_worker(&fixture, 0),
			     place_of(5, n) * bytes, bytes),
	    0);
	close_ours();
	assert_consistent(sector);

	pool = open_theirs(sector);
	ck_assert_uint_eq(pmemblk.nblock(pool), n);
	for (uint64_t i = 0; i < n; i++)
		ck_assert_int_ge(version_theirs(pool, i, bytes), 0);
	for (uint64_t i = 0; i < NBLOCK; i++)
		ck_assert_int_eq(version_theirs(pool, place_of(i, n), bytes),
		    i == 5 ? 0 : 1);
	for (uint64_t i = 0; i < NBLOCK; i += 2)
		write_theirs(pool, place_of(i, n), 2);
	ck_assert_int_eq(pmemblk.set_zero(pool, (long long)place_of(7, n)), 0);
	ck_assert_int_eq(pmemblk.set_error(pool, (long long)place_of(9, n)), 0);
	pmemblk.close(pool);

	open_ours();
	for (uint64_t i = 0; i < NBLOCK; i++) {
		int64_t want = i % 2 == 0 ? 2
		    : i == 5 || i == 7    ? 0
		    : i == 9              ? -EIO
					  : 1;

		ck_assert_int_eq(version_ours(place_of(i, n)), want);
	}
	for (uint64_t i = 0; i < NBLOCK; i += 3)
		write_ours(place_of(i, n), 3);
	write_ours(place_of(9, n), 3);
	close_ours();
	assert_consistent(sector);
	pool = open_theirs(sector);
	for (uint64_t i = 0; i < NBLOCK; i += 3)
		ck_assert_int_eq(
		    version_theirs(pool, place_of(i, n), bytes), 3);
	ck_assert_int_eq(version_theirs(pool, place_of(9, n), bytes), 3);
	pmemblk.close(pool);
}
END_TEST

/*
 * libpmemblk treats the bytes behind the data as data of the block's user.
 * Writing the data here keeps them.
 */
START_TEST(write__keeps_what_libpmemblk_stored_behind_the_data)
{
	const uint32_t sector = 4224;
	void *pool;

	make_pool(sector);
	pool = open_theirs(sector);
	fill_block(11, 1);
	memset(block + 4096, 0x5a, 128);
	ck_assert_int_eq(pmemblk.write(pool, block, 11), 0);
	pmemblk.close(pool);
	open_ours();
	write_ours(11, 2);
	write_ours(12, 2);
	close_ours();
	pool = open_theirs(sector);
	ck_assert_int_eq(version_theirs(pool, 11, 4096), 2);
	for (unsigned i = 4096; i < sector; i++)
		ck_assert_uint_eq(block[i], 0x5a);
	/* and shows nobody's where nothing was */
	ck_assert_int_eq(version_theirs(pool, 12, 4096), 2);
	for (unsigned i = 4096; i < sector; i++)
		ck_assert_uint_eq(block[i], 0);
	pmemblk.close(pool);
}
END_TEST

/*
 * A write of libpmemblk's that a crash has cut short between the log and the
 * map: entries there are raw, and the map's old one may be of any state.
 */
static const uint32_t old_states[] = { 0, MAP_NORMAL, MAP_ZERO, MAP_ERROR };

START_TEST(open__completes_a_write_of_libpmemblk)
{
	const uint32_t state = old_states[_i];
	struct flog_entry entry;
	struct flog_media half;
	struct media *media;
	struct btt_info info;
	uint64_t log_off;
	uint32_t n;

	make_pool(4096);
	media = open_media();
	ck_assert_int_eq(
	    btt_info_decode(media_at(media, BTT_POOL_OFFSET), &info),
	    BTT_INFO_VALID);
	n = info.external_nlba;
	/* sector 5, block 5, moves to the free block of pair 0 */
	fill_block(5, 7);
	ck_assert_int_eq(media_copy(media,
			     BTT_POOL_OFFSET + info.dataoff +
				 (uint64_t)n * info.internal_lbasize,
			     block, 4096),
	    0);
	ck_assert_int_eq(
	    media_store32(media, BTT_POOL_OFFSET + info.mapoff + 5 * 4,
		le32_encode(state == 0 ? 0 : state | 5)),
	    0);
	entry = (struct flog_entry){
		.lba = 5,
		.old_map = state == 0 ? MAP_NORMAL | 5 : state | 5,
		.new_map = MAP_NORMAL | n,
		.seq = 2,
	};
	flog_encode(&entry, &half);
	log_off = BTT_POOL_OFFSET + info.logoff + sizeof(half);
	ck_assert_int_eq(media_copy(media, log_off, &half, sizeof(half)), 0);
	ck_assert_int_eq(media_fence(media), 0);
	media_close(media);

	open_ours();
	ck_assert_uint_eq(fixture.geometry.nrecovered, 1);
	ck_assert_int_eq(version_ours(5), 7);
	close_ours();
	assert_consistent(4096);
}
END_TEST

static Suite *
pmemblk_suite(void)
{
	Suite *suite = suite_create("pmemblk");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, pool__goes_back_and_forth, 0, NSECTOR_SIZE);
	tcase_add_test(tc, write__keeps_what_libpmemblk_stored_behind_the_data);
	tcase_add_loop_test(tc, open__completes_a_write_of_libpmemblk, 0, 4);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	if (!pmemblk_is_there())
		check_skip("libpmemblk is missing");
	return check_main(pmemblk_suite());
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bad -- sectors on bad blocks: reads fail and go on failing after a reopen,
 * whole writes mend, neighbours do not notice (P4, LN-9, LN-10).
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <btt/bad.h>

#include "../support/check_main.h"
#include "../support/engine_fixture.h"

#define SECTOR 4096u

static const struct {
	enum media_granularity granularity;
	enum btt_durability durability;
} variants[] = {
	{ MEDIA_CACHE_LINE, BTT_DURABLE_WRITE },
	{ MEDIA_CACHE_LINE, BTT_DURABLE_FLUSH },
	{ MEDIA_PAGE, BTT_DURABLE_WRITE },
	{ MEDIA_PAGE, BTT_DURABLE_FLUSH },
};
#define NVARIANT ((int)(sizeof(variants) / sizeof(variants[0])))

static struct fixture fixture;
static struct btt_worker *worker;
static uint8_t buf[4 * SECTOR];

static struct fixture_options
options_of(int variant)
{
	return (struct fixture_options){ .bytes = FIXTURE_BYTES,
		.sector = SECTOR,
		.nfree = 256,
		.granularity = variants[variant].granularity,
		.durability = variants[variant].durability,
		.nlane = 1,
		.nworker = 2 };
}

/* Sectors 0 to 3 hold their names, on the medium. */
static void
set_up(int variant)
{
	struct fixture_options options = options_of(variant);

	fixture_new(&fixture, &options);
	worker = fixture_worker(&fixture, 0);
	for (uint64_t i = 0; i < 4; i++)
		sector_fill(buf + i * SECTOR, SECTOR, i, 1);
	ck_assert_int_eq(
	    btt_write(fixture.btt, worker, 0, sizeof(buf), buf), 0);
	ck_assert_int_eq(btt_flush(fixture.btt, worker), 0);
}

/* Where the medium has a sector now; false if that cannot be read. */
static bool
find_place(uint64_t sector, uint64_t *ret_off)
{
	static struct iovec iov[BTT_READ_IOV];
	int niov;

	if (btt_read_begin(
		fixture.btt, worker, sector * SECTOR, SECTOR, iov, &niov) < 0)
		return false;
	btt_read_end(fixture.btt, worker);
	*ret_off =
	    (uint64_t)((const uint8_t *)iov[0].iov_base - fixture.media->base);
	return true;
}

static uint64_t
place_of(uint64_t sector)
{
	uint64_t off = 0;

	ck_assert(find_place(sector, &off));
	return off;
}

static int
read_sector(uint64_t sector)
{
	return btt_read(fixture.btt, worker, sector * SECTOR, SECTOR, buf);
}

static uint64_t
nerror_on_medium(void)
{
	struct btt_check_options options = { 0 };
	struct btt_check_result result;
	struct btt_error error;

	ck_assert_int_eq(btt_flush(fixture.btt, worker), 0);
	ck_assert_int_eq(
	    btt_check(fixture.media, &options, &result, &error), 0);
	ck_assert_uint_eq(result.ndamage, 0);
	return result.nerror;
}

START_TEST(read__of_a_bad_block_is_eio_and_marks_the_sector)
{
	set_up(_i);
	ck_assert_int_eq(media_add_bad(fixture.media, place_of(1) + 700, 1), 0);
	ck_assert_int_eq(read_sector(1), -EIO);
	ck_assert_int_eq(read_sector(0), 0);
	ck_assert_int_eq(sector_version(buf, SECTOR, 0), 1);
	ck_assert_int_eq(read_sector(2), 0);
	ck_assert_int_eq(sector_version(buf, SECTOR, 2), 1);
	ck_assert_uint_eq(nerror_on_medium(), 1);
	/* A part cannot be written, since the rest is lost. */
	ck_assert_int_eq(
	    btt_write(fixture.btt, worker, SECTOR, 512, buf), -EIO);
	fixture_free(&fixture);
}
END_TEST

START_TEST(write__of_a_whole_bad_sector_mends_it)
{
	uint64_t bad;

	set_up(_i);
	bad = place_of(1);
	ck_assert_int_eq(media_add_bad(fixture.media, bad, SECTOR), 0);
	ck_assert_int_eq(read_sector(1), -EIO);
	sector_fill(buf, SECTOR, 1, 2);
	ck_assert_int_eq(
	    btt_write(fixture.btt, worker, SECTOR, SECTOR, buf), 0);
	ck_assert_int_eq(read_sector(1), 0);
	ck_assert_int_eq(sector_version(buf, SECTOR, 1), 2);
	ck_assert_uint_eq(nerror_on_medium(), 0);

	/* The freed block is bad still; whoever gets it next clears it. */
	ck_assert(media_is_bad(fixture.media, bad, SECTOR));
	for (uint64_t i = 3; media_is_bad(fixture.media, bad, SECTOR); i++) {
		ck_assert_uint_lt(i, 600);
		sector_fill(buf, SECTOR, 5 + i % 300, i);
		ck_assert_int_eq(btt_write(fixture.btt, worker,
				     (5 + i % 300) * SECTOR, SECTOR, buf),
		    0);
	}
	ck_assert_uint_eq(nerror_on_medium(), 0);
	fixture_free(&fixture);
}
END_TEST

/* The map entry that a reader saw is not what it is any more (LN-10). */
struct race {
	_Atomic bool stop;
	const char *failure;
};

static void *
overwrite(void *arg)
{
	struct race *race = arg;
	struct btt_worker *own = fixture_worker(&fixture, 1);
	uint8_t sector[SECTOR];

	for (uint64_t i = 2; !atomic_load(&race->stop); i++) {
		sector_fill(sector, SECTOR, 1, i);
		if (btt_write(fixture.btt, own, SECTOR, SECTOR, sector) < 0)
			race->failure = "write failed";
	}
	return NULL;
}

START_TEST(mark__never_undoes_a_write)
{
	struct race race = { .failure = NULL };
	pthread_t thread;
	int r;

	set_up(_i);
	ck_assert_int_eq(pthread_create(&thread, NULL, overwrite, &race), 0);
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t off;

		/* Whatever block the sector has now, it is bad from now on. */
		if (find_place(1, &off) &&
		    media_add_bad(fixture.media, off, 512) == 0)
			(void)!read_sector(1);
	}
	atomic_store(&race.stop, true);
	(void)pthread_join(thread, NULL);
	ck_assert_msg(race.failure == NULL, "%s", race.failure);
	r = read_sector(1);
	ck_assert(r == -EIO || sector_version(buf, SECTOR, 1) > 0);
	/* Two owners of a block would be damage. */
	ck_assert_uint_le(nerror_on_medium(), 1);
	fixture_free(&fixture);
}
END_TEST

START_TEST(read_only__marks_nothing)
{
	struct btt_open_options options = { .read_only = true };
	struct btt_check_options check = { 0 };
	struct btt_check_result result;
	struct btt_error error = { "" };
	struct media *media;

	set_up(_i);
	ck_assert_int_eq(media_ram_new(fixture.media->size,
			     fixture.media->granularity, &media),
	    0);
	ck_assert_int_eq(
	    media_copy(media, 0, media_at(fixture.media, 0), media->size), 0);
	ck_assert_int_eq(btt_close(fixture.btt), 0);
	fixture.media = media;
	ck_assert_int_eq(
	    btt_open(media, fixture.pool, &options, &fixture.btt, &error), 0);
	ck_assert_int_eq(media_add_bad(media, place_of(1), 512), 0);
	ck_assert_int_eq(read_sector(1), -EIO);
	ck_assert_int_eq(btt_check(media, &check, &result, &error), 0);
	ck_assert_uint_eq(result.nerror, 0);
	fixture_free(&fixture);
}
END_TEST

/* A thread may send itself a SIGBUS that says it comes from the memory. */
static int
touch_poison(void *arg)
{
	siginfo_t info = { .si_signo = SIGBUS, .si_code = BUS_MCEERR_AR };

	info.si_addr = arg;
	if (syscall(SYS_rt_tgsigqueueinfo, getpid(), (pid_t)syscall(SYS_gettid),
		SIGBUS, &info) < 0)
		return -errno;
	return 0;
}

START_TEST(media_try__tells_poison_from_a_page_that_is_gone)
{
	uint64_t off = 0;
	int r;

	set_up(_i);
	r = media_try(
	    touch_poison, (void *)(uintptr_t)(fixture.media->base + 12345));
	ck_assert_int_eq(r, -EIO);
	ck_assert(media_was_poison(fixture.media, &off));
	ck_assert_uint_eq(off, 12345);
	fixture_free(&fixture);
}
END_TEST

/* Strides that are no multiple of 512 cannot be cleared by halves (1.8). */
START_TEST(clear__refuses_a_unit_that_a_neighbour_shares)
{
	struct media *media;

	ck_assert_int_eq(media_ram_new(65536, MEDIA_CACHE_LINE, &media), 0);
	ck_assert_int_eq(media_add_bad(media, 512, 1024), 0);
	ck_assert_int_eq(media_clear_bad(media, 576, 576), -EIO);
	ck_assert(media_is_bad(media, 512, 1));
	ck_assert_int_eq(media_clear_bad(media, 1024, 512), 0);
	ck_assert(media_is_bad(media, 1023, 1));
	ck_assert(!media_is_bad(media, 1024, 4096));
	media_close(media);
}
END_TEST

/* The first byte of a part of the only arena. */
static uint64_t
part_off(enum btt_area area)
{
	struct btt_place place;
	uint64_t off = 0;

	for (;; off = place.end) {
		btt_find_place(fixture.btt, off, &place);
		if (place.area == area)
			return off;
	}
}

/* Where a map entry is lost, so is the sector: no kind of access may guess. */
START_TEST(map__that_is_bad_makes_eio_of_all_its_sectors)
{
	uint64_t map_off;

	set_up(_i);
	map_off = part_off(BTT_AREA_MAP);
	/* The second unit of the map: sectors 128 to 255. */
	ck_assert_int_eq(media_add_bad(fixture.media, map_off + 512, 1), 0);
	sector_fill(buf, SECTOR, 130, 1);
	ck_assert_int_eq(read_sector(130), -EIO);
	ck_assert_int_eq(read_sector(127), 0);
	ck_assert_int_eq(read_sector(256), 0);
	ck_assert_int_eq(
	    btt_write(fixture.btt, worker, 130 * SECTOR, SECTOR, buf), -EIO);
	ck_assert_int_eq(
	    btt_zero(fixture.btt, worker, 130 * SECTOR, SECTOR), -EIO);
	ck_assert_int_eq(
	    btt_write(fixture.btt, worker, 127 * SECTOR, SECTOR, buf), 0);
	/* And nothing was written there: it is as it was. */
	ck_assert_int_eq(media_clear_bad(fixture.media, map_off + 512, 512), 0);
	ck_assert_uint_eq(nerror_on_medium(), 0);
	fixture_free(&fixture);
}
END_TEST

/* Open what the fixture has once more, with a bad range at off. */
static int
open_with_bad(uint64_t off, struct btt_error *error)
{
	struct btt_open_options options = { .durability = BTT_DURABLE_WRITE };
	struct media *media;
	int r;

	ck_assert_int_eq(media_ram_new(fixture.media->size,
			     fixture.media->granularity, &media),
	    0);
	ck_assert_int_eq(
	    media_copy(media, 0, media_at(fixture.media, 0), media->size), 0);
	ck_assert_int_eq(btt_close(fixture.btt), 0);
	fixture.btt = NULL;
	fixture.media = media;
	ck_assert_int_eq(media_add_bad(media, off, 512), 0);
	r = btt_open(media, fixture.pool, &options, &fixture.btt, error);
	if (r < 0)
		media_close(media);
	return r;
}

START_TEST(open__refuses_a_log_and_a_map_that_are_bad)
{
	struct btt_error error = { "" };

	set_up(0);
	ck_assert_int_eq(
	    open_with_bad(
		part_off(_i == 0 ? BTT_AREA_LOG : BTT_AREA_MAP) + 512, &error),
	    -EIO);
	fixture_free(&fixture);
}
END_TEST

START_TEST(open__takes_the_backup_of_a_bad_info_block)
{
	struct btt_error error = { "" };

	set_up(0);
	ck_assert_int_eq(open_with_bad(part_off(BTT_AREA_INFO), &error), 0);
	ck_assert_int_eq(read_sector(1), 0);
	ck_assert_int_eq(sector_version(buf, SECTOR, 1), 1);
	fixture_free(&fixture);
}
END_TEST

/* Every byte of the medium is somewhere, and places follow each other. */
START_TEST(place__tells_where_each_part_is)
{
	static const enum btt_area areas[] = { BTT_AREA_OUTSIDE, BTT_AREA_INFO,
		BTT_AREA_DATA, BTT_AREA_MAP, BTT_AREA_LOG, BTT_AREA_INFO };
	struct btt_place place;
	uint64_t off = 0;
	unsigned n = 0;

	set_up(0);
	while (off < fixture.media->size && n < 6) {
		btt_find_place(fixture.btt, off, &place);
		ck_assert_uint_gt(place.end, off);
		ck_assert_uint_le(place.off, off);
		ck_assert_uint_gt(place.len, off - place.off);
		if (place.area != BTT_AREA_UNUSED)
			ck_assert_int_eq((int)place.area, (int)areas[n++]);
		off = place.end;
	}
	ck_assert_uint_eq(n, 6);
	ck_assert_uint_eq(place.item, 1);
	btt_find_place(fixture.btt, place_of(2) + 100, &place);
	ck_assert_int_eq((int)place.area, (int)BTT_AREA_DATA);
	ck_assert_uint_eq(place.off, place_of(2));
	fixture_free(&fixture);
}
END_TEST

static Suite *
bad_suite(void)
{
	Suite *suite = suite_create("bad");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(
	    tc, read__of_a_bad_block_is_eio_and_marks_the_sector, 0, NVARIANT);
	tcase_add_loop_test(
	    tc, write__of_a_whole_bad_sector_mends_it, 0, NVARIANT);
	tcase_add_loop_test(tc, mark__never_undoes_a_write, 0, NVARIANT);
	tcase_add_loop_test(tc, read_only__marks_nothing, 0, NVARIANT);
	tcase_add_loop_test(
	    tc, media_try__tells_poison_from_a_page_that_is_gone, 0, 1);
	tcase_add_loop_test(
	    tc, map__that_is_bad_makes_eio_of_all_its_sectors, 0, NVARIANT);
	tcase_add_loop_test(
	    tc, open__refuses_a_log_and_a_map_that_are_bad, 0, 2);
	tcase_add_test(tc, open__takes_the_backup_of_a_bad_info_block);
	tcase_add_test(tc, place__tells_where_each_part_is);
	tcase_add_test(tc, clear__refuses_a_unit_that_a_neighbour_shares);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(bad_suite());
}

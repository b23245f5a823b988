/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scrub -- everything that is damaged is found, wherever it is, and nothing
 * else, whatever others write meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include <btt/bad.h>
#include <btt/scrub.h>

#include "../support/check_main.h"
#include "../support/engine_variants.h"
#include "../support/hands.h"

#define SECTOR VARIANT_SECTOR
#define NSECTOR 300u

static struct fixture fixture;
static struct btt_worker *worker;
static struct btt_scrub_result result;
static uint8_t buf[SECTOR];

/* What was told: how often, and the last of it. */
static unsigned ntold;
static struct btt_finding told;

static void
report(void *arg, const struct btt_finding *finding)
{
	(void)arg;
	ntold++;
	told = *finding;
}

static void
write_sector(struct btt_worker *by, uint64_t sector, uint64_t version)
{
	variant_write(&fixture, by, sector, version);
}

static void
set_up(int variant)
{
	ntold = 0;
	worker = variant_new(&fixture, variant, NSECTOR);
}

/* All of it, in steps of so many bytes; the number of steps. */
static unsigned
scrub_all(struct btt_worker *by, uint64_t step_bytes)
{
	const struct btt_scrub_options options = {
		.count = fixture.geometry.nsector,
		.report = report,
	};
	struct btt_scrub *scrub;
	uint64_t bytes, sum = 0, done = 0;
	unsigned n = 0;
	bool more;

	ck_assert_int_eq(btt_scrub_new(fixture.btt, &options, &scrub), 0);
	do {
		more = btt_scrub_step(scrub, by, step_bytes, &bytes);
		sum += bytes;
		n++;
		ck_assert_uint_ge(btt_scrub_done(scrub), done);
		done = btt_scrub_done(scrub);
	} while (more);
	ck_assert_uint_eq(done, fixture.geometry.nsector);
	btt_scrub_get_result(scrub, &result);
	ck_assert_uint_eq(result.bytes, sum);
	ck_assert_uint_eq(result.nsector, fixture.geometry.nsector);
	btt_scrub_free(scrub);
	return n;
}

/* Where the arena has a part; which: of two info blocks. */
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

static void
damage(uint64_t off, uint32_t word)
{
	struct le32 bytes = le32_encode(word);

	ck_assert_int_eq(
	    media_copy(fixture.media, off, &bytes, sizeof(bytes)), 0);
}

START_TEST(scrub__of_a_sound_device_finds_nothing)
{
	unsigned small, large;

	set_up(_i);
	ck_assert_int_eq(btt_zero(fixture.btt, worker, 7 * SECTOR, SECTOR), 0);
	large = scrub_all(worker, 1 << 20);
	small = scrub_all(worker, SECTOR);
	ck_assert_uint_gt(small, 8 * large);
	ck_assert_uint_eq(ntold, 0);
	ck_assert_uint_eq(result.nunreadable, 0);
	ck_assert_uint_eq(result.nbad, 0);
	ck_assert_uint_eq(result.nmetadata, 0);
	ck_assert_uint_eq(result.nskipped, 0);
	ck_assert(!media_knows_bad(fixture.media));
	fixture_free(&fixture);
}
END_TEST

/* Nobody knows of it before the scrub, everybody does after it. */
START_TEST(scrub__finds_data_that_is_lost)
{
	set_up(_i);
	ck_assert_int_eq(
	    btt_inject_bad(fixture.btt, BTT_AREA_DATA, 5, 1, BTT_INJECT_LATENT),
	    0);
	ck_assert_int_eq(
	    btt_read(fixture.btt, worker, 5 * SECTOR, SECTOR, buf), 0);
	scrub_all(worker, 1 << 20);
	ck_assert_uint_eq(result.nbad, SECTOR / 512);
	ck_assert_uint_eq(result.nunreadable, 1);
	ck_assert_uint_eq(result.nmarked, 1);
	ck_assert_int_eq(
	    btt_read(fixture.btt, worker, 5 * SECTOR, SECTOR, buf), -EIO);
	ck_assert_int_eq(
	    btt_read(fixture.btt, worker, 6 * SECTOR, SECTOR, buf), 0);
	/* The second one meets it again, and finds nothing new. */
	scrub_all(worker, 1 << 20);
	ck_assert_uint_eq(result.nbad, 0);
	ck_assert_uint_eq(result.nunreadable, 1);
	ck_assert_uint_eq(ntold, 0);
	fixture_free(&fixture);
}
END_TEST

/* Blocks whose content nobody reads: of a free pair, behind zeroes. */
START_TEST(scrub__finds_bad_blocks_without_content)
{
	set_up(_i);
	ck_assert_int_eq(btt_zero(fixture.btt, worker, 5 * SECTOR, SECTOR), 0);
	ck_assert_int_eq(
	    btt_inject_bad(fixture.btt, BTT_AREA_DATA, 5, 1, BTT_INJECT_LATENT),
	    0);
	ck_assert_int_eq(
	    btt_inject_bad(fixture.btt, BTT_AREA_DATA, 9, 1, BTT_INJECT_LATENT),
	    0);
	/* Its block is nobody's after that. */
	write_sector(worker, 9, 2);
	ck_assert_int_eq(btt_flush(fixture.btt, worker), 0);
	scrub_all(worker, 1 << 20);
	ck_assert_uint_eq(result.nbad, 2 * SECTOR / 512);
	ck_assert_uint_eq(result.nunreadable, 0);
	ck_assert_int_eq(
	    btt_read(fixture.btt, worker, 5 * SECTOR, SECTOR, buf), 0);
	ck_assert_int_eq(sector_version(buf, SECTOR, 5), 0);
	fixture_free(&fixture);
}
END_TEST

START_TEST(scrub__finds_a_damaged_map_entry)
{
	uint64_t off;

	set_up(_i);
	off = part_off(BTT_AREA_MAP, 0) + 3000 * sizeof(uint32_t);
	damage(off, UINT32_C(0xffffffff));
	scrub_all(worker, 1 << 20);
	ck_assert_uint_eq(ntold, 1);
	ck_assert_str_eq(told.name, "map-range");
	ck_assert_uint_eq(told.entry, 3000);
	ck_assert_uint_eq(told.off, off);
	ck_assert_uint_eq(result.nmetadata, 1);
	ck_assert_uint_eq(result.nunreadable, 1);
	fixture_free(&fixture);
}
END_TEST

/* Two sectors with one block: nothing else is wrong with either entry. */
START_TEST(scrub__finds_a_block_with_two_owners)
{
	uint64_t off;

	set_up(_i);
	off = part_off(BTT_AREA_MAP, 0);
	damage(off + 250 * sizeof(uint32_t),
	    media_load32(fixture.media, off + 20 * sizeof(uint32_t)));
	scrub_all(worker, 1 << 20);
	ck_assert_uint_eq(ntold, 1);
	ck_assert_str_eq(told.name, "bitmap");
	ck_assert_uint_eq(told.entry, 250);
	ck_assert_ptr_nonnull(strstr(told.text, "sector 20 and 250"));
	ck_assert_uint_eq(result.nmetadata, 1);
	fixture_free(&fixture);
}
END_TEST

/* Where the newer (0) or older (1) entry of a pair is; see flog_pick. */
static uint64_t
half_off(uint32_t pair, unsigned age)
{
	uint64_t off = part_off(BTT_AREA_LOG, 0) + (uint64_t)pair * 64;
	uint32_t first = media_load32(fixture.media, off + 12);
	uint32_t second = media_load32(fixture.media, off + 28);
	unsigned newer = second != 0 && first % 3 + 1 == second ? 1 : 0;

	return off + (newer ^ age) * 16;
}

START_TEST(scrub__finds_a_damaged_log_pair)
{
	static const struct {
		unsigned age, word;
		uint32_t value;
		const char *name;
	} cases[] = {
		{ 0, 3, 77777777, "log-seq" },
		{ 1, 3, 77777777, "log-seq" },
		{ 0, 1, 1, "log-changed" },
		{ 0, 2, 77777777, "log-range" },
	};

	set_up(_i % NVARIANT);
	damage(half_off(255, cases[_i / NVARIANT].age) +
		cases[_i / NVARIANT].word * 4,
	    cases[_i / NVARIANT].value);
	scrub_all(worker, 1 << 20);
	ck_assert_uint_eq(ntold, 1);
	ck_assert_str_eq(told.name, cases[_i / NVARIANT].name);
	ck_assert_uint_eq(told.entry, 255);
	ck_assert_uint_eq(result.nmetadata, 1);
	fixture_free(&fixture);
}
END_TEST

START_TEST(scrub__finds_damaged_info_blocks)
{
	uint64_t off;

	set_up(_i);
	off = part_off(BTT_AREA_INFO, 1);
	damage(off + 100, 4711);
	scrub_all(worker, 1 << 20);
	ck_assert_uint_eq(ntold, 1);
	ck_assert_str_eq(told.name, "info2");
	ck_assert_uint_eq(told.off, off);

	off = part_off(BTT_AREA_INFO, 0);
	damage(off + 100, 4711);
	scrub_all(worker, 1 << 20);
	ck_assert_uint_eq(ntold, 3);
	ck_assert_uint_eq(result.nmetadata, 2);
	fixture_free(&fixture);
}
END_TEST

START_TEST(scrub__finds_metadata_that_is_lost)
{
	static const enum btt_area areas[] = { BTT_AREA_MAP, BTT_AREA_LOG,
		BTT_AREA_INFO };

	set_up(0);
	ck_assert_int_eq(
	    btt_inject_bad(fixture.btt, areas[_i], 0, 1, BTT_INJECT_LATENT), 0);
	scrub_all(worker, 1 << 20);
	ck_assert_uint_ge(ntold, 1);
	ck_assert_str_eq(told.name, "bad-range");
	ck_assert_uint_eq(
	    result.nbad, areas[_i] == BTT_AREA_INFO ? BTT_INFO_BYTES / 512 : 1);
	ck_assert(media_knows_bad(fixture.media));
	fixture_free(&fixture);
}
END_TEST

START_TEST(scrub__of_a_range_reads_that_range)
{
	struct btt_scrub_options options = { .first = 10, .count = 20 };
	struct btt_scrub *scrub;
	uint64_t bytes;

	set_up(0);
	for (uint64_t i = 9; i <= 30; i += 21)
		ck_assert_int_eq(btt_inject_bad(fixture.btt, BTT_AREA_DATA, i,
				     1, BTT_INJECT_LATENT),
		    0);
	ck_assert_int_eq(btt_scrub_new(fixture.btt, &options, &scrub), 0);
	while (btt_scrub_step(scrub, worker, 1 << 20, &bytes))
		;
	btt_scrub_get_result(scrub, &result);
	ck_assert_uint_eq(result.nsector, 20);
	ck_assert_uint_eq(result.nbad, 0);
	btt_scrub_free(scrub);
	options.count = fixture.geometry.nsector;
	ck_assert_int_eq(btt_scrub_new(fixture.btt, &options, &scrub), -ERANGE);
	fixture_free(&fixture);
}
END_TEST

/* Of <linux/userfaultfd.h> since 6.6. */
struct poison_request {
	struct uffdio_range range;
	uint64_t mode;
	int64_t updated;
};
#define POISON_REQUEST _IOWR(UFFDIO, 0x08, struct poison_request)

static struct uffdio_range
page_range(const uint8_t *page)
{
	return (struct uffdio_range){ (uintptr_t)page, SECTOR };
}

/* -1 if it cannot be had. */
static int
open_faults(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd;

	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool
watch_page(int fd, const uint8_t *page)
{
	struct uffdio_register range = {
		.range = page_range(page),
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	return ioctl(fd, UFFDIO_REGISTER, &range) == 0;
}

/* Who touches it from now on has to wait for what is done about it. */
static bool
take_page(const uint8_t *page)
{
	return madvise((void *)(uintptr_t)page, SECTOR, MADV_DONTNEED) == 0;
}

static bool
poison_taken_page(int fd, const uint8_t *page)
{
	struct poison_request poison = { .range = page_range(page) };

	return ioctl(fd, POISON_REQUEST, &poison) == 0;
}

static bool
zero_taken_page(int fd, const uint8_t *page)
{
	struct uffdio_zeropage zero = { .range = page_range(page) };

	return ioctl(fd, UFFDIO_ZEROPAGE, &zero) == 0;
}

/* A page of memory that answers every access as if it were poisoned. */
static bool
poison_page(const uint8_t *page)
{
	int fd = open_faults();

	return fd >= 0 && watch_page(fd, page) && take_page(page) &&
	    poison_taken_page(fd, page);
}

static uint64_t
sector_off(uint64_t sector)
{
	struct iovec iov[BTT_READ_IOV];
	int niov;

	ck_assert_int_eq(btt_read_begin(fixture.btt, worker, sector * SECTOR,
			     SECTOR, iov, &niov),
	    0);
	btt_read_end(fixture.btt, worker);
	return (
	    uint64_t)((const uint8_t *)iov[0].iov_base - fixture.media->base);
}

/* The real thing, as far as a kernel lets everybody have it. */
START_TEST(scrub__finds_a_page_that_cannot_be_read)
{
	uint64_t off;

	set_up(0);
	off = sector_off(5);
	if (!poison_page(fixture.media->base + off)) {
		printf(
		    "scrub__finds_a_page_that_cannot_be_read: userfaultfd cannot do it: skipped\n");
		fixture_free(&fixture);
		return;
	}
	scrub_all(worker, 1 << 20);
	ck_assert_uint_eq(result.nunreadable, 1);
	if (result.nbad > 0) {
		ck_assert_uint_eq(result.nbad, SECTOR / 512);
		ck_assert_uint_eq(result.nmarked, 1);
		ck_assert(media_is_bad(fixture.media, off, SECTOR));
	} else {
		/* A kernel without memory failures calls it a lost page. */
		ck_assert_uint_eq(ntold, 1);
		ck_assert_str_eq(told.name, "unreadable");
		ck_assert_uint_eq(told.off, off);
		ck_assert_uint_eq(result.nmarked, 0);
		ck_assert(!media_knows_bad(fixture.media));
	}
	fixture_free(&fixture);
}
END_TEST

/* When one page is touched the other one is poisoned. */
struct trap {
	int fd;
	const uint8_t *touched, *poisoned;
	bool is_sprung, is_poisoned;
};

static void *
wait_for_touch(void *arg)
{
	struct trap *trap = arg;
	struct uffd_msg message;

	trap->is_sprung =
	    read(trap->fd, &message, sizeof(message)) == sizeof(message) &&
	    message.event == UFFD_EVENT_PAGEFAULT && take_page(trap->poisoned);
	trap->is_poisoned =
	    trap->is_sprung && poison_taken_page(trap->fd, trap->poisoned);
	if (trap->is_sprung && !trap->is_poisoned)
		(void)zero_taken_page(trap->fd, trap->poisoned);
	(void)zero_taken_page(trap->fd, trap->touched);
	return NULL;
}

/*
 * The map is sound while a window of it is looked up, and lost before the block
 * behind a sector of zeroes is: by then nobody is reading for somebody who
 * would answer EIO, but under a lock, for the scrub itself.  Each sector that
 * has its entry there is counted, and the process goes on.
 */
START_TEST(scrub__counts_zeroes_whose_map_is_lost_meanwhile)
{
	struct trap trap = { .fd = open_faults() };
	pthread_t thread;

	set_up(0);
	ck_assert_int_eq(btt_zero(fixture.btt, worker, 7 * SECTOR, SECTOR), 0);
	trap.touched = fixture.media->base + sector_off(5);
	trap.poisoned = fixture.media->base + part_off(BTT_AREA_MAP, 0);
	if (trap.fd < 0 || !watch_page(trap.fd, trap.touched) ||
	    !watch_page(trap.fd, trap.poisoned)) {
		printf("there is no userfaultfd: skipped\n");
		fixture_free(&fixture);
		return;
	}
	ck_assert(take_page(trap.touched));
	ck_assert_int_eq(
	    pthread_create(&thread, NULL, wait_for_touch, &trap), 0);
	scrub_all(worker, 1 << 20);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert(trap.is_sprung);
	if (trap.is_poisoned)
		ck_assert_uint_eq(result.nunreadable, SECTOR / 4);
	else
		printf("userfaultfd cannot poison: skipped\n");
	close(trap.fd);
	fixture_free(&fixture);
}
END_TEST

/* What writers do meanwhile is never taken for damage. */
static void *
write_all_over(void *arg)
{
	struct hands *hands = arg;
	struct btt_worker *own = fixture_worker(&fixture, hands->index);
	static const unsigned run = 9;
	uint8_t bytes[9 * SECTOR];
	uint64_t sector;
	int r;

	memset(bytes, 0, sizeof(bytes));
	for (uint64_t i = 1; hands_go_on(hands); i++) {
		sector = i * 31 % (fixture.geometry.nsector - run);
		r = i % 5 == 0
		    ? btt_zero(fixture.btt, own, sector * SECTOR, run * SECTOR)
		    : btt_write(fixture.btt, own, sector * SECTOR,
			  (1 + i % run) * SECTOR, bytes);
		ck_assert_int_eq(r, 0);
		if (i % 16 == 0)
			ck_assert_int_eq(btt_flush(fixture.btt, own), 0);
	}
	return NULL;
}

START_TEST(scrub__raises_no_false_alarm_under_writes)
{
	struct hands hands[2];
	struct btt_clear_options options = { .count = 0 };
	struct btt_clear_result cleared;

	set_up(_i);
	hands_start(hands, 2, 1, write_all_over);
	for (unsigned i = 0; i < 10; i++) {
		scrub_all(worker, i % 2 == 0 ? SECTOR : 1 << 20);
		ck_assert_msg(ntold == 0, "%s: %s", told.name, told.text);
		ck_assert_uint_eq(result.nunreadable, 0);
		ck_assert_uint_eq(result.nbad, 0);
		/* The log is rewritten between scrubs, too. */
		ck_assert_int_eq(btt_inject_bad(fixture.btt, BTT_AREA_LOG,
				     i * 20, 1, BTT_INJECT),
		    0);
		ck_assert_int_eq(
		    btt_clear_bad(fixture.btt, worker, &options, &cleared), 0);
		ck_assert_uint_eq(cleared.nleft, 0);
	}
	hands_stop(hands, 2);
	ck_assert_int_eq(btt_flush(fixture.btt, worker), 0);
	fixture_check(fixture.media);
	fixture_free(&fixture);
}
END_TEST

static void *
clear_again_and_again(void *arg)
{
	struct hands *hands = arg;
	struct btt_worker *own = fixture_worker(&fixture, hands->index);
	const struct btt_clear_options options = {
		.count = fixture.geometry.nsector,
	};
	struct btt_clear_result cleared;

	while (hands_go_on(hands))
		ck_assert_int_eq(
		    btt_clear_bad(fixture.btt, own, &options, &cleared), 0);
	return NULL;
}

/*
 * Damage is planted and cleared under a scrub: whatever it sees of it, in the
 * end all of it can be cleared, and what is written then stays.
 */
START_TEST(scrub__goes_with_inject_and_clear)
{
	struct hands hands;
	struct btt_clear_options options;
	struct btt_clear_result cleared;

	set_up(_i);
	hands_start(&hands, 1, 1, clear_again_and_again);
	for (uint64_t i = 0; i < 10; i++) {
		ck_assert_int_eq(
		    btt_inject_bad(fixture.btt, BTT_AREA_DATA, i * 7, 3,
			i % 2 == 0 ? BTT_INJECT : BTT_INJECT_LATENT),
		    0);
		ck_assert_int_eq(btt_inject_bad(fixture.btt, BTT_AREA_LOG,
				     i * 25, 2, BTT_INJECT_LATENT),
		    0);
		/* One of them: of two that are bad neither can be restored. */
		ck_assert_int_eq(btt_inject_bad(fixture.btt, BTT_AREA_INFO, 1,
				     1, BTT_INJECT_LATENT),
		    0);
		scrub_all(worker, 64 * SECTOR);
	}
	hands_stop(&hands, 1);
	options = (struct btt_clear_options){
		.count = fixture.geometry.nsector,
	};
	ck_assert_int_eq(
	    btt_clear_bad(fixture.btt, worker, &options, &cleared), 0);
	ck_assert_uint_eq(cleared.nleft, 0);
	for (uint64_t i = 0; i < NSECTOR; i++)
		write_sector(worker, i, 3);
	ntold = 0;
	scrub_all(worker, 1 << 20);
	ck_assert_uint_eq(ntold, 0);
	ck_assert_uint_eq(result.nunreadable, 0);
	for (uint64_t i = 0; i < NSECTOR; i++) {
		ck_assert_int_eq(
		    btt_read(fixture.btt, worker, i * SECTOR, SECTOR, buf), 0);
		ck_assert_int_eq(sector_version(buf, SECTOR, i), 3);
	}
	ck_assert_int_eq(btt_flush(fixture.btt, worker), 0);
	fixture_check(fixture.media);
	fixture_free(&fixture);
}
END_TEST

static Suite *
scrub_suite(void)
{
	Suite *suite = suite_create("scrub");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(
	    tc, scrub__of_a_sound_device_finds_nothing, 0, NVARIANT);
	tcase_add_loop_test(tc, scrub__finds_data_that_is_lost, 0, NVARIANT);
	tcase_add_loop_test(
	    tc, scrub__finds_bad_blocks_without_content, 0, NVARIANT);
	tcase_add_loop_test(tc, scrub__finds_a_damaged_map_entry, 0, NVARIANT);
	tcase_add_loop_test(
	    tc, scrub__finds_a_block_with_two_owners, 0, NVARIANT);
	tcase_add_loop_test(
	    tc, scrub__finds_a_damaged_log_pair, 0, 4 * NVARIANT);
	tcase_add_loop_test(tc, scrub__finds_damaged_info_blocks, 0, NVARIANT);
	tcase_add_loop_test(tc, scrub__finds_metadata_that_is_lost, 0, 3);
	tcase_add_test(tc, scrub__of_a_range_reads_that_range);
	tcase_add_test(tc, scrub__finds_a_page_that_cannot_be_read);
	tcase_add_test(tc, scrub__counts_zeroes_whose_map_is_lost_meanwhile);
	tcase_add_loop_test(
	    tc, scrub__raises_no_false_alarm_under_writes, 0, NVARIANT);
	tcase_add_loop_test(tc, scrub__goes_with_inject_and_clear, 0, NVARIANT);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(scrub_suite());
}

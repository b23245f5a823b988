/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kept -- acknowledged writes that no commit has made durable yet outlive a
 * crash of the process that took them (P6), and nothing goes back in time.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../support/check_main.h"
#include "../support/engine_fixture.h"
#include "../support/media_fixture.h"

#define SECTOR 4096u
#define NFREE 256u

/* What the daemon's memory file is: kept over what happens to the engine. */
struct memory {
	uint8_t *base;
	size_t bytes;
	unsigned ncall;
};
#define MEMORY_BYTES ((size_t)64 << 10)

static void *
keep(void *arg, size_t bytes)
{
	struct memory *memory = arg;

	memory->ncall++;
	memory->bytes = bytes;
	return bytes <= MEMORY_BYTES ? memory->base : NULL;
}

static void *
keep_nothing(void *arg, size_t bytes)
{
	(void)arg, (void)bytes;
	return NULL;
}

static void
memory_init(struct memory *memory)
{
	memory->base = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(memory->base, MAP_FAILED);
	memory->ncall = 0;
}

static struct btt_worker_pool *pool;
static struct memory memory;
static uint8_t buf[SECTOR];

static void
create(struct media *media, uint8_t uuid)
{
	struct btt_create_options options = {
		.layout = BTT_LAYOUT_V11,
		.sector_bytes = SECTOR,
		.nfree = NFREE,
		.uuid = { uuid },
		.medium_is_zero = true,
	};
	struct btt_error error = { "" };

	ck_assert_msg(
	    btt_create(media, &options, &error) == 0, "%s", error.text);
}

static int
try_open(struct media *media, struct memory *with,
    enum btt_durability durability, struct btt **ret_btt,
    struct btt_error *error)
{
	struct btt_open_options options = {
		.durability = durability,
		.keep = with == NULL ? NULL : keep,
		.keep_arg = with,
	};

	return btt_open(media, pool, &options, ret_btt, error);
}

static struct btt *
open_btt(
    struct media *media, struct memory *with, enum btt_durability durability)
{
	struct btt_error error = { "" };
	struct btt *btt;
	int r;

	r = try_open(media, with, durability, &btt, &error);
	ck_assert_msg(r == 0, "open: %d %s", r, error.text);
	return btt;
}

static void
write_version(struct btt *btt, uint64_t sector, uint64_t version)
{
	sector_fill(buf, SECTOR, sector, version);
	ck_assert_int_eq(btt_write(btt, btt_worker_pool_get(pool, 0),
			     sector * SECTOR, SECTOR, buf),
	    0);
}

static int64_t
read_version(struct btt *btt, unsigned worker, uint64_t sector)
{
	uint8_t bytes[SECTOR];

	ck_assert_int_eq(btt_read(btt, btt_worker_pool_get(pool, worker),
			     sector * SECTOR, SECTOR, bytes),
	    0);
	return sector_version(bytes, SECTOR, sector);
}

static struct media *
new_ram(void)
{
	struct media *media;

	ck_assert_int_eq(media_ram_new(FIXTURE_BYTES, MEDIA_PAGE, &media), 0);
	return media;
}

/*
 * A crash of the process at this moment, seen from the next one: the medium and
 * the memory as they are, and nothing of the engine.
 */
static struct media *
crash(const struct media *media, const struct memory *now,
    struct memory *ret_memory)
{
	struct media *copy = new_ram();

	ck_assert_int_eq(media_copy(copy, 0, media->base, media->size), 0);
	memory_init(ret_memory);
	memcpy(ret_memory->base, now->base, MEMORY_BYTES);
	return copy;
}

static void
set_up(void)
{
	ck_assert_int_eq(media_install_sigbus(), 0);
	ck_assert_int_eq(btt_worker_pool_new(8, &pool), 0);
	memory_init(&memory);
}

static void
tear_down(void)
{
	btt_worker_pool_free(pool);
	(void)munmap(memory.base, MEMORY_BYTES);
}

START_TEST(kept__what_was_not_flushed_is_there_after_a_crash)
{
	struct btt_geometry_info geometry;
	struct media *media = new_ram(), *after;
	struct memory next;
	struct btt *btt, *again;

	create(media, 1);
	btt = open_btt(media, &memory, BTT_DURABLE_FLUSH);
	write_version(btt, 5, 1);
	ck_assert_int_eq(btt_flush(btt, btt_worker_pool_get(pool, 0)), 0);
	write_version(btt, 5, 2);
	write_version(btt, 6, 1);
	write_version(btt, 6, 2); /* twice in one group */

	after = crash(media, &memory, &next);
	again = open_btt(after, &next, BTT_DURABLE_FLUSH);
	btt_get_geometry(again, &geometry);
	ck_assert_uint_eq(geometry.nresumed, 2);
	ck_assert_int_eq(read_version(again, 0, 5), 2);
	ck_assert_int_eq(read_version(again, 0, 6), 2);
	/* It can be committed like any other. */
	ck_assert_int_eq(btt_flush(again, btt_worker_pool_get(pool, 0)), 0);
	ck_assert_int_eq(btt_close(again), 0);
	ck_assert_int_eq(btt_close(btt), 0);
}
END_TEST

/* The test of the test above: it is the memory that makes the difference. */
START_TEST(kept__without_the_memory_a_crash_shows_the_last_flush)
{
	struct media *media = new_ram(), *after;
	struct memory next;
	struct btt *btt, *again;

	create(media, 1);
	btt = open_btt(media, &memory, BTT_DURABLE_FLUSH);
	write_version(btt, 5, 1);
	ck_assert_int_eq(btt_flush(btt, btt_worker_pool_get(pool, 0)), 0);
	write_version(btt, 5, 2);
	after = crash(media, &memory, &next);
	again = open_btt(after, NULL, BTT_DURABLE_FLUSH);
	ck_assert_int_eq(read_version(again, 0, 5), 1);
	ck_assert_int_eq(btt_close(again), 0);
	ck_assert_int_eq(btt_close(btt), 0);
}
END_TEST

/* Also where every pair of the arena waits for the commit. */
START_TEST(kept__a_group_that_fills_all_pairs_is_taken_over)
{
	struct media *media = new_ram(), *after;
	struct btt_geometry_info geometry;
	struct memory next;
	struct btt *btt, *again;

	create(media, 1);
	btt = open_btt(media, &memory, BTT_DURABLE_FLUSH);
	for (uint64_t i = 0; i < NFREE; i++)
		write_version(btt, i, 3);
	after = crash(media, &memory, &next);
	again = open_btt(after, &next, BTT_DURABLE_FLUSH);
	btt_get_geometry(again, &geometry);
	ck_assert_uint_gt(geometry.nresumed, 0);
	for (uint64_t i = 0; i < NFREE; i++)
		ck_assert_int_eq(read_version(again, 0, i), 3);
	write_version(again, 1000, 1); /* finds a pair by committing first */
	ck_assert_int_eq(read_version(again, 0, 1000), 1);
	ck_assert_int_eq(btt_close(again), 0);
	ck_assert_int_eq(btt_close(btt), 0);
}
END_TEST

START_TEST(kept__after_a_flush_nothing_is_needed_of_it)
{
	struct btt_geometry_info geometry;
	struct media *media = new_ram(), *after;
	struct memory next;
	struct btt *btt, *again;

	create(media, 1);
	btt = open_btt(media, &memory, BTT_DURABLE_FLUSH);
	for (uint64_t i = 0; i < 100; i++)
		write_version(btt, i, 1);
	ck_assert_int_eq(btt_flush(btt, btt_worker_pool_get(pool, 0)), 0);
	after = crash(media, &memory, &next);
	again = open_btt(after, &next, BTT_DURABLE_FLUSH);
	btt_get_geometry(again, &geometry);
	ck_assert_uint_eq(geometry.nresumed, 0);
	ck_assert_int_eq(btt_close(again), 0);
	ck_assert_int_eq(btt_close(btt), 0);
}
END_TEST

/* A second crash before anything was committed, and a third one. */
START_TEST(kept__crashes_in_a_row_lose_nothing)
{
	struct media *media = new_ram();
	struct btt *btt[4];

	create(media, 1);
	btt[0] = open_btt(media, &memory, BTT_DURABLE_FLUSH);
	write_version(btt[0], 9, 1);
	for (unsigned i = 1; i < 4; i++) {
		struct memory next;

		media = crash(media, &memory, &next);
		memory = next;
		btt[i] = open_btt(media, &memory, BTT_DURABLE_FLUSH);
		ck_assert_int_eq(read_version(btt[i], 0, 9), i);
		write_version(btt[i], 9, i + 1);
	}
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(btt_close(btt[i]), 0);
}
END_TEST

#define DAMAGED_BYTES 400u /* the header and some records */

/*
 * Damage bytes all over the memory, one at a time.  What was kept may be lost; the
 * device stays one, and no sector shows what was never written to it.
 */
START_TEST(kept__memory_that_lies_harms_no_sector)
{
	struct media *media = new_ram();
	struct btt *btt;

	create(media, 1);
	btt = open_btt(media, &memory, BTT_DURABLE_FLUSH);
	write_version(btt, 0, 1);
	ck_assert_int_eq(btt_flush(btt, btt_worker_pool_get(pool, 0)), 0);
	write_version(btt, 0, 2);
	for (size_t i = 0; i < DAMAGED_BYTES; i += 5) {
		struct btt_error error = { "" };
		struct media *after;
		struct memory next;
		struct btt *again;
		int64_t version;
		int r;

		after = crash(media, &memory, &next);
		next.base[i] ^= (uint8_t)(1u << i % 8);
		r = try_open(after, &next, BTT_DURABLE_FLUSH, &again, &error);
		if (r == -EUCLEAN) {
			ck_assert_str_ne(error.text, "");
			media_close(after);
		} else {
			ck_assert_int_eq(r, 0);
			version = read_version(again, 0, 0);
			ck_assert_msg(version == 1 || version == 2,
			    "byte %zu: version %lld", i, (long long)version);
			(void)btt_close(again); /* may say that it failed */
		}
		(void)munmap(next.base, MEMORY_BYTES);
	}
	ck_assert_int_eq(btt_close(btt), 0);
}
END_TEST

START_TEST(kept__memory_of_another_device_is_refused)
{
	struct btt_error error = { "" };
	struct media *one = new_ram(), *two = new_ram();
	struct btt *btt;

	create(one, 1);
	create(two, 2);
	ck_assert_int_eq(
	    btt_close(open_btt(one, &memory, BTT_DURABLE_FLUSH)), 0);
	ck_assert_int_eq(
	    try_open(two, &memory, BTT_DURABLE_FLUSH, &btt, &error), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(error.text, "another device"));
	media_close(two);
}
END_TEST

START_TEST(kept__no_memory_is_an_error_and_none_is_asked_for_in_vain)
{
	struct btt_open_options options = {
		.durability = BTT_DURABLE_FLUSH,
		.keep = keep_nothing,
	};
	struct btt_error error = { "" };
	struct media *media = new_ram();
	struct btt *btt;

	create(media, 1);
	ck_assert_int_eq(
	    btt_open(media, pool, &options, &btt, &error), -ENOMEM);
	options.read_only = true;
	ck_assert_int_eq(btt_open(media, pool, &options, &btt, &error), 0);
	ck_assert_int_eq(btt_close(btt), 0);
}
END_TEST

/* --- Real kills -------------------------------------------------------------- */

#define NSECTOR 600u /* more than pairs: groups fill up */
#define NWRITER 3u
#define NROUND 40

/* What was meant, promised and seen; outlives the child. */
struct ledger {
	_Atomic uint32_t intent[NSECTOR];
	_Atomic uint32_t acknowledged[NSECTOR];
	_Atomic uint32_t seen[NSECTOR];
};
static struct ledger *ledger;
static struct btt *victim;

static uint32_t
next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Writer k has the sectors that are k modulo NWRITER. */
static void *
writer_main(void *arg)
{
	unsigned k = (unsigned)(uintptr_t)arg;
	struct btt_worker *worker = btt_worker_pool_get(pool, k);
	uint32_t state = k + (uint32_t)getpid();
	uint8_t bytes[SECTOR];

	for (;;) {
		uint32_t sector =
		    next_random(&state) % (NSECTOR / NWRITER) * NWRITER + k;
		uint32_t version = atomic_load(&ledger->intent[sector]) + 1;

		sector_fill(bytes, SECTOR, sector, version);
		atomic_store(&ledger->intent[sector], version);
		if (btt_write(victim, worker, (uint64_t)sector * SECTOR, SECTOR,
			bytes) < 0)
			_exit(1);
		atomic_store(&ledger->acknowledged[sector], version);
		if (next_random(&state) % 100 == 0 &&
		    btt_flush(victim, worker) < 0)
			_exit(1);
	}
	return NULL;
}

/* Whoever has seen a version must not see an older one after a crash. */
static void *
reader_main(void *arg)
{
	struct btt_worker *worker = btt_worker_pool_get(pool, NWRITER);
	uint32_t state = (uint32_t)getpid();
	uint8_t bytes[SECTOR];

	(void)arg;
	for (;;) {
		uint32_t sector = next_random(&state) % NSECTOR;
		int64_t version;

		if (btt_read(victim, worker, (uint64_t)sector * SECTOR, SECTOR,
			bytes) < 0)
			_exit(2);
		version = sector_version(bytes, SECTOR, sector);
		if (version < (int64_t)atomic_load(&ledger->seen[sector]))
			_exit(3);
		atomic_store(&ledger->seen[sector], (uint32_t)version);
	}
	return NULL;
}

static _Noreturn void
child_main(const char *path, enum btt_durability durability)
{
	struct media_options options = { .force = MEDIA_FORCE_PAGE };
	struct btt_error error = { "" };
	struct media *media;
	pthread_t thread;

	if (media_open(path, &options, &media, &error) < 0)
		_exit(4);
	if (try_open(media, &memory, durability, &victim, &error) < 0)
		_exit(5);
	for (uintptr_t k = 1; k < NWRITER; k++)
		(void)pthread_create(&thread, NULL, writer_main, (void *)k);
	(void)pthread_create(&thread, NULL, reader_main, NULL);
	(void)writer_main(NULL);
	_exit(6);
}

static void
judge(const char *path, enum btt_durability durability)
{
	struct media_options options = { .force = MEDIA_FORCE_PAGE };
	struct btt_error error = { "" };
	struct media *media;
	struct btt *btt;

	ck_assert_int_eq(media_open(path, &options, &media, &error), 0);
	btt = open_btt(media, &memory, durability);
	for (uint32_t i = 0; i < NSECTOR; i++) {
		int64_t version = read_version(btt, 0, i);
		uint32_t least = atomic_load(&ledger->acknowledged[i]);

		if (least < atomic_load(&ledger->seen[i]))
			least = atomic_load(&ledger->seen[i]);
		ck_assert_msg(version >= (int64_t)least &&
			version <= (int64_t)atomic_load(&ledger->intent[i]),
		    "sector %u: version %lld, acknowledged or seen %u, "
		    "meant %u",
		    i, (long long)version, least,
		    atomic_load(&ledger->intent[i]));
		/* A write that the crash cut off is not meant any more. */
		atomic_store(&ledger->intent[i], (uint32_t)version);
		atomic_store(&ledger->acknowledged[i], (uint32_t)version);
		atomic_store(&ledger->seen[i], (uint32_t)version);
	}
	/* One owner a block, once all is on the medium (P3). */
	ck_assert_int_eq(btt_close(btt), 0);
	ck_assert_int_eq(media_open(path, &options, &media, &error), 0);
	fixture_check(media);
	media_close(media);
}

START_TEST(kept__a_killed_process_goes_on_where_it_was)
{
	static const enum btt_durability durabilities[] = {
		BTT_DURABLE_FLUSH,
		BTT_DURABLE_WRITE,
	};
	enum btt_durability durability = durabilities[_i];
	struct media_options options = { .force = MEDIA_FORCE_PAGE };
	struct btt_error error = { "" };
	uint32_t state = (uint32_t)time(NULL);
	struct timespec nap = { 0 };
	struct media *media;
	char path[300];
	int fd, status;
	pid_t child;

	ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(ledger, MAP_FAILED);
	snprintf(path, sizeof(path), "%s/disk%d", memory_dir, _i);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(posix_fallocate(fd, 0, (off_t)FIXTURE_BYTES), 0);
	close(fd);
	ck_assert_msg(
	    media_open(path, &options, &media, &error) == 0, "%s", error.text);
	create(media, 7);
	media_close(media);
	for (unsigned round = 0; round < NROUND; round++) {
		if ((child = fork()) == 0)
			child_main(path, durability);
		ck_assert_int_gt(child, 0);
		nap.tv_nsec = 1000000 * (1 + next_random(&state) % 40);
		(void)nanosleep(&nap, NULL);
		ck_assert_int_eq(kill(child, SIGKILL), 0);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_msg(WIFSIGNALED(status),
		    "the child ended by itself: %x", (unsigned)status);
		/* Let some go on from crash to crash without a look at it. */
		if (round % 3 == 2)
			judge(path, durability);
	}
	judge(path, durability);
}
END_TEST

static Suite *
kept_suite(void)
{
	Suite *suite = suite_create("kept");
	TCase *tcase = tcase_create("copies");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(
	    tcase, kept__what_was_not_flushed_is_there_after_a_crash);
	tcase_add_test(
	    tcase, kept__without_the_memory_a_crash_shows_the_last_flush);
	tcase_add_test(tcase, kept__a_group_that_fills_all_pairs_is_taken_over);
	tcase_add_test(tcase, kept__after_a_flush_nothing_is_needed_of_it);
	tcase_add_test(tcase, kept__crashes_in_a_row_lose_nothing);
	tcase_add_test(tcase, kept__memory_that_lies_harms_no_sector);
	tcase_add_test(tcase, kept__memory_of_another_device_is_refused);
	tcase_add_test(
	    tcase, kept__no_memory_is_an_error_and_none_is_asked_for_in_vain);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("kills");
	tcase_add_unchecked_fixture(
	    tcase, directories_make, directories_remove);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 100);
	tcase_add_loop_test(
	    tcase, kept__a_killed_process_goes_on_where_it_was, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return check_main(kept_suite());
}

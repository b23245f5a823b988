/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media -- the contract of media.h on every implementation that does not need
 * special hardware, and what happens when the backing store goes away.
 *
 * Each test of an operation runs for every kind (loop index).
 */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "support/check_main.h"
#include "support/media_fixture.h"

#define MEDIUM_BYTES (UINT64_C(1) << 20)
#define PAGE_BYTES 4096u

enum kind {
	KIND_RAM,
	KIND_BYTE,
	KIND_CACHE_LINE,
	KIND_PAGE,
	NKIND
};

static const struct {
	enum media_force force;
	enum media_granularity granularity;
} kinds[NKIND] = {
	[KIND_RAM] = { MEDIA_FORCE_NONE, MEDIA_CACHE_LINE },
	[KIND_BYTE] = { MEDIA_FORCE_BYTE, MEDIA_BYTE },
	[KIND_CACHE_LINE] = { MEDIA_FORCE_CACHE_LINE, MEDIA_CACHE_LINE },
	[KIND_PAGE] = { MEDIA_FORCE_NONE, MEDIA_PAGE },
};

static const char *
kind_path(int kind)
{
	return path_in(kind == KIND_PAGE ? disk_dir : memory_dir, "medium");
}

static struct media *
kind_open(int kind, bool read_only)
{
	const struct media_options options = {
		.read_only = read_only,
		.force = kinds[kind].force,
	};
	struct media *media;

	if (kind == KIND_RAM)
		ck_assert_int_eq(
		    media_ram_new(MEDIUM_BYTES, MEDIA_CACHE_LINE, &media), 0);
	else
		media = media_must_open(kind_path(kind), &options);
	ck_assert_int_eq(media->granularity, kinds[kind].granularity);
	return media;
}

/* A new medium of this kind and size, all zero. */
static struct media *
kind_new_sized(int kind, uint64_t size)
{
	struct media *media;

	if (kind != KIND_RAM)
		file_make(kind_path(kind), size, false);
	media = kind_open(kind, false);
	if (kind != KIND_RAM)
		ck_assert_uint_eq(media->size, size);
	return media;
}

static struct media *
kind_new(int kind)
{
	return kind_new_sized(kind, MEDIUM_BYTES);
}

/* Byte i of a pattern that repeats at no power of two. */
static uint8_t
pattern_at(uint64_t i, unsigned seed)
{
	return (uint8_t)(i % 251 + seed);
}

static uint8_t *
pattern_new(size_t len, unsigned seed)
{
	uint8_t *bytes = malloc(len);

	ck_assert_ptr_nonnull(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = pattern_at(i, seed);
	return bytes;
}

static void
fill(struct media *media)
{
	uint8_t *bytes = pattern_new(media->size, 1);

	ck_assert_int_eq(media_copy(media, 0, bytes, media->size), 0);
	free(bytes);
}

/* Ranges that begin and end in all sorts of places. */
static const struct {
	uint64_t off;
	size_t len;
} ranges[] = {
	{ 0, 1 },
	{ 3, 4 },
	{ 63, 2 },
	{ 100, 512 },
	{ 4095, 2 },
	{ 5000, 4096 },
	{ 8191, 8193 },
	{ 20000, 0 },
	{ 32768, 65536 },
	{ 100001, 300007 }, /* more than one call of pwritev takes */
	{ MEDIUM_BYTES - 1, 1 },
	{ MEDIUM_BYTES, 0 },
};
#define NRANGE (sizeof(ranges) / sizeof(ranges[0]))

START_TEST(media_copy__changes_just_its_range_and_survives_reopening)
{
	struct media *media = kind_new(_i);
	uint8_t *expected = calloc(1, MEDIUM_BYTES);
	uint8_t *src = pattern_new(MEDIUM_BYTES, 7);

	ck_assert_ptr_nonnull(expected);
	for (size_t i = 0; i < NRANGE; i++) {
		ck_assert_int_eq(
		    media_copy(media, ranges[i].off, src + i, ranges[i].len),
		    0);
		memcpy(expected + ranges[i].off, src + i, ranges[i].len);
		ck_assert_int_eq(
		    memcmp(media_at(media, 0), expected, MEDIUM_BYTES), 0);
	}
	ck_assert_int_eq(media_fence(media), 0);
	if (_i != KIND_RAM) {
		media_close(media);
		media = kind_open(_i, true);
		ck_assert_int_eq(
		    memcmp(media_at(media, 0), expected, MEDIUM_BYTES), 0);
	}
	media_close(media);
	free(src);
	free(expected);
}
END_TEST

START_TEST(media_zero__zeroes_just_its_range)
{
	struct media *media = kind_new(_i);
	uint8_t *expected = pattern_new(MEDIUM_BYTES, 1);

	fill(media);
	for (size_t i = 0; i < NRANGE; i++) {
		ck_assert_int_eq(
		    media_zero(media, ranges[i].off, ranges[i].len), 0);
		memset(expected + ranges[i].off, 0, ranges[i].len);
		ck_assert_int_eq(
		    memcmp(media_at(media, 0), expected, MEDIUM_BYTES), 0);
	}
	ck_assert_int_eq(media_fence(media), 0);
	media_close(media);
	free(expected);
}
END_TEST

START_TEST(media_store__changes_just_its_word)
{
	struct media *media = kind_new(_i);
	uint8_t *expected = pattern_new(MEDIUM_BYTES, 1);
	const struct le32 word = le32_encode(0x89abcdef);
	const struct le64 pair = le64_encode(UINT64_C(0x0123456789abcdef));

	fill(media);
	for (uint64_t off = 0; off <= 4096; off += 4) {
		ck_assert_int_eq(media_store32(media, off * 3, word), 0);
		memcpy(expected + off * 3, &word, sizeof(word));
		ck_assert_uint_eq(media_load32(media, off * 3), 0x89abcdef);
	}
	for (uint64_t off = 65536; off <= 65536 + 256; off += 8) {
		ck_assert_int_eq(media_store64(media, off, pair), 0);
		memcpy(expected + off, &pair, sizeof(pair));
	}
	ck_assert_int_eq(media_flush(media, 0, 65536 + 256), 0);
	ck_assert_int_eq(media_fence(media), 0);
	ck_assert_int_eq(memcmp(media_at(media, 0), expected, MEDIUM_BYTES), 0);
	media_close(media);
	free(expected);
}
END_TEST

/* The last word of a file that is no multiple of 8 bytes has no neighbour. */
START_TEST(media_store32__reaches_the_end_of_an_odd_size)
{
	const uint64_t size = MEDIUM_BYTES - 4092;
	struct media *media = kind_new_sized(_i, size);

	ck_assert_int_eq(
	    media_store32(media, size - 4, le32_encode(0x89abcdef)), 0);
	ck_assert_int_eq(media_flush(media, size - 4, 4), 0);
	ck_assert_int_eq(media_fence(media), 0);
	media_close(media);
	media = kind_open(_i, true);
	ck_assert_uint_eq(media->size, size);
	ck_assert_uint_eq(media_load32(media, size - 4), 0x89abcdef);
	media_close(media);
}
END_TEST

/* Few: where threads share a processor each takes a turn of both. */
#define NCHANGE 20u
#define WORD_OFF (3 * PAGE_BYTES + 4)

struct exchange {
	struct media *media;
	_Atomic bool enough; /* the reader has seen what it wants */
};

/* Store all-ones and all-zeroes in turn. */
static void *
store_words(void *arg)
{
	struct exchange *exchange = arg;

	for (uint32_t word = UINT32_MAX; !exchange->enough; word = ~word) {
		if (media_store32(
			exchange->media, WORD_OFF, le32_encode(word)) < 0)
			return NULL;
	}
	return arg;
}

START_TEST(media_store32__is_seen_whole_by_another_thread)
{
	struct exchange exchange = { .media = kind_new(_i) };
	uint32_t word, last = 0;
	unsigned nchange = 0;
	pthread_t writer;
	void *done;

	ck_assert_int_eq(
	    pthread_create(&writer, NULL, store_words, &exchange), 0);
	while (nchange < NCHANGE) {
		word = media_load32(exchange.media, WORD_OFF);
		ck_assert_msg(
		    word == 0 || word == UINT32_MAX, "torn: %08x", word);
		nchange += word != last;
		last = word;
	}
	exchange.enough = true;
	ck_assert_int_eq(pthread_join(writer, &done), 0);
	ck_assert_ptr_eq(done, &exchange);
	media_close(exchange.media);
}
END_TEST

START_TEST(media_options__read_only_refuses_every_change)
{
	struct media *media = kind_new(_i);
	const uint8_t byte = 0xff;

	fill(media);
	ck_assert_int_eq(media_fence(media), 0);
	media_close(media);
	media = kind_open(_i, true);
	ck_assert(media->read_only);
	ck_assert_int_eq(media_copy(media, 0, &byte, 1), -EROFS);
	ck_assert_int_eq(media_zero(media, 1, 1), -EROFS);
	ck_assert_int_eq(media_store32(media, 4, le32_encode(9)), -EROFS);
	ck_assert_int_eq(media_store64(media, 8, le64_encode(9)), -EROFS);
	for (uint64_t i = 0; i < 16; i++)
		ck_assert_uint_eq(media->base[i], pattern_at(i, 1));
	media_close(media);
}
END_TEST

START_TEST(media_identity__is_that_of_the_file)
{
	struct media *media = kind_new(_i);
	struct media_identity id;
	struct stat st;

	if (_i == KIND_RAM) {
		ck_assert(!media_identity(media, &id));
	} else {
		ck_assert_int_eq(stat(kind_path(_i), &st), 0);
		ck_assert(media_identity(media, &id));
		ck_assert_uint_eq(id.device, st.st_dev);
		ck_assert_uint_eq(id.inode, st.st_ino);
		ck_assert(!id.is_block_device);
	}
	media_close(media);
}
END_TEST

START_TEST(media_close__takes_null)
{
	media_close(NULL);
}
END_TEST

/* What a guarded function did. */
struct touch {
	struct media *media;
	uint64_t off;
	bool returned;
	uint8_t byte;
};

static int
touch(void *arg)
{
	struct touch *job = arg;

	job->byte = *(const volatile uint8_t *)media_at(job->media, job->off);
	job->returned = true;
	return 42;
}

static int
touch_by_memcpy(void *arg)
{
	struct touch *job = arg;
	uint8_t block[512];

	memcpy(block, media_at(job->media, job->off), sizeof(block));
	job->byte = block[0];
	job->returned = true;
	return 42;
}

/* By the library's copy, which leaves in the middle of vector stores. */
static int
touch_by_copy(void *arg)
{
	static const uint8_t block[512];
	struct touch *job = arg;

	if (media_copy(job->media, job->off, block, sizeof(block)) == 0)
		job->returned = true;
	return 42;
}

START_TEST(media_try__returns_what_the_function_returns)
{
	struct touch job = { .media = kind_new(KIND_RAM) };

	ck_assert_int_eq(media_install_sigbus(), 0);
	ck_assert_int_eq(media_try(touch, &job), 42);
	ck_assert(job.returned);
	media_close(job.media);
}
END_TEST

#define NFAULT 1000

static void *
fault_often(void *arg)
{
	static int (*const ways[])(
	    void *) = { touch, touch_by_memcpy, touch_by_copy };
	struct touch job = *(const struct touch *)arg;
	struct touch good = job;

	good.off = 0;
	for (int i = 0; i < NFAULT; i++) {
		job.returned = false;
		if (media_try(ways[i % 3], &job) != -EIO || job.returned)
			return NULL;
		/* What is still there can be read in between. */
		if (media_try(touch, &good) != 42 || good.byte != 1)
			return NULL;
	}
	return arg;
}

/* A truncated file costs the requests that touch what is gone, no more. */
START_TEST(media_try__survives_truncation_a_thousand_times_in_two_threads)
{
	struct media *media = kind_new(KIND_CACHE_LINE);
	struct touch job[2];
	pthread_t thread[2];
	void *done;

	ck_assert_int_eq(media_install_sigbus(), 0);
	fill(media);
	ck_assert_int_eq(truncate(kind_path(KIND_CACHE_LINE), PAGE_BYTES), 0);
	for (uint64_t i = 0; i < 2; i++) {
		job[i] = (struct touch){ .media = media,
			.off = MEDIUM_BYTES / 2 + i * PAGE_BYTES };
		ck_assert_int_eq(
		    pthread_create(&thread[i], NULL, fault_often, &job[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_join(thread[i], &done), 0);
		ck_assert_ptr_eq(done, &job[i]);
	}
	media_close(media);
}
END_TEST

/* The signal that the system sends for a page that the hardware lost. */
static int
report_poison(void *arg)
{
	siginfo_t info = { .si_signo = SIGBUS, .si_code = BUS_MCEERR_AR };

	(void)arg;
	ck_assert_int_eq(syscall(SYS_rt_tgsigqueueinfo, getpid(),
			     syscall(SYS_gettid), SIGBUS, &info),
	    0);
	return 42;
}

START_TEST(media_try__survives_poison)
{
	ck_assert_int_eq(media_install_sigbus(), 0);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(media_try(report_poison, NULL), -EIO);
}
END_TEST

/* Expected to die; see the suite. */
START_TEST(media_try__does_not_hide_a_fault_outside)
{
	struct touch job = { .media = kind_new(KIND_CACHE_LINE) };

	ck_assert_int_eq(media_install_sigbus(), 0);
	job.off = MEDIUM_BYTES / 2;
	ck_assert_int_eq(truncate(kind_path(KIND_CACHE_LINE), 0), 0);
	ck_assert_int_eq(media_try(touch, &job), -EIO);
	(void)touch(&job);
}
END_TEST

static int
kill_ourselves(void *arg)
{
	(void)arg;
	(void)raise(SIGBUS);
	return 42;
}

/* Expected to die: nobody's page was touched. */
START_TEST(media_try__does_not_take_a_sent_signal_for_a_fault)
{
	ck_assert_int_eq(media_install_sigbus(), 0);
	ck_assert_int_ne(media_try(kill_ourselves, NULL), -EIO);
}
END_TEST

/* Would a sync of the file itself succeed?  That is what a fence improves. */
static int
sync_by_hand(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int r;

	ck_assert_int_ge(fd, 0);
	r = fdatasync(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static void
must_be_frozen(struct media *media, int error)
{
	const uint8_t byte = 0;

	ck_assert_int_eq(media_failed(media), error);
	ck_assert_int_eq(media_fence(media), error);
	ck_assert_int_eq(media_copy(media, 0, &byte, 1), error);
	ck_assert_int_eq(media_zero(media, 0, 1), error);
	ck_assert_int_eq(media_store32(media, 0, le32_encode(9)), error);
	ck_assert_int_eq(media_store64(media, 0, le64_encode(9)), error);
	ck_assert_int_eq(media_flush(media, 0, 8), error);
	ck_assert_int_eq(media_fence(media), error);
}

START_TEST(media_fence__fails_for_ever_once_the_file_is_shorter)
{
	struct media *media = kind_new(KIND_PAGE);
	const char *path = kind_path(KIND_PAGE);

	fill(media);
	ck_assert_int_eq(media_fence(media), 0);
	ck_assert_int_eq(truncate(path, MEDIUM_BYTES - 1), 0);
	ck_assert_int_eq(sync_by_hand(path), 0);
	ck_assert_int_eq(media_fence(media), -EIO);
	must_be_frozen(media, -EIO);
	/* As long as before does not bring back what was there. */
	ck_assert_int_eq(truncate(path, MEDIUM_BYTES), 0);
	must_be_frozen(media, -EIO);
	ck_assert_uint_eq(media->base[5], pattern_at(5, 1));
	media_close(media);
}
END_TEST

/* Our own write makes the file as long as it was, with a hole inside. */
START_TEST(media_fence__fails_for_a_file_that_a_later_write_made_long_again)
{
	struct media *media = kind_new(KIND_PAGE);
	const char *path = kind_path(KIND_PAGE);
	const uint8_t byte = 1;
	struct stat st;

	fill(media);
	ck_assert_int_eq(media_fence(media), 0);
	ck_assert_int_eq(truncate(path, 0), 0);
	ck_assert_int_eq(media_copy(media, MEDIUM_BYTES - 1, &byte, 1), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, MEDIUM_BYTES);
	ck_assert_int_eq(media_fence(media), -EIO);
	must_be_frozen(media, -EIO);
	media_close(media);
}
END_TEST

/* A file that became longer has lost nothing. */
START_TEST(media_fence__goes_on_after_a_file_grew)
{
	struct media *media = kind_new(KIND_PAGE);
	const char *path = kind_path(KIND_PAGE);

	ck_assert_int_eq(truncate(path, MEDIUM_BYTES * 2), 0);
	fill(media);
	ck_assert_int_eq(media_fence(media), 0);
	media_close(media);
}
END_TEST

#define NFENCE 200

/* A thread that has a page of the medium to itself. */
struct owner {
	struct media *media;
	uint64_t off;
	int failed; /* what its first failed operation returned */
};

static void *
copy_and_fence(void *arg)
{
	struct owner *owner = arg;
	const uint8_t byte = 1;
	int r;

	for (int i = 0; i < NFENCE && owner->failed == 0; i++) {
		r = media_copy(owner->media, owner->off, &byte, 1);
		owner->failed = r < 0 ? r : media_fence(owner->media);
	}
	return NULL;
}

/* Threads that share syncs all return, and all of them see the failure. */
START_TEST(media_fence__serves_many_threads)
{
	struct media *media = kind_new(KIND_PAGE);
	struct owner owner[4];
	pthread_t thread[4];

	for (int round = 0; round < 2; round++) {
		for (uint64_t i = 0; i < 4; i++) {
			owner[i] = (struct owner){ .media = media,
				.off = i * PAGE_BYTES };
			ck_assert_int_eq(pthread_create(&thread[i], NULL,
					     copy_and_fence, &owner[i]),
			    0);
		}
		for (int i = 0; i < 4; i++) {
			ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
			ck_assert_int_eq(
			    owner[i].failed, round == 0 ? 0 : -EIO);
		}
		ck_assert_int_eq(truncate(kind_path(KIND_PAGE), 0), 0);
	}
	ck_assert_int_eq(media_failed(media), -EIO);
	media_close(media);
}
END_TEST

static TCase *
case_new(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);

	tcase_add_unchecked_fixture(
	    tcase, directories_make, directories_remove);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return tcase;
}

int
main(void)
{
	Suite *suite = suite_create("media");
	TCase *tcase;

	tcase = case_new(suite, "operations");
	tcase_add_loop_test(tcase,
	    media_copy__changes_just_its_range_and_survives_reopening, 0,
	    NKIND);
	tcase_add_loop_test(tcase, media_zero__zeroes_just_its_range, 0, NKIND);
	tcase_add_loop_test(
	    tcase, media_store__changes_just_its_word, 0, NKIND);
	tcase_add_loop_test(tcase,
	    media_store32__reaches_the_end_of_an_odd_size, KIND_BYTE, NKIND);
	tcase_add_loop_test(
	    tcase, media_store32__is_seen_whole_by_another_thread, 0, NKIND);
	tcase_add_loop_test(tcase,
	    media_options__read_only_refuses_every_change, KIND_BYTE, NKIND);
	tcase_add_loop_test(
	    tcase, media_identity__is_that_of_the_file, 0, NKIND);
	tcase_add_test(tcase, media_close__takes_null);

	tcase = case_new(suite, "media_try");
	tcase_add_test(tcase, media_try__returns_what_the_function_returns);
	tcase_add_test(tcase,
	    media_try__survives_truncation_a_thousand_times_in_two_threads);
	tcase_add_test(tcase, media_try__survives_poison);
	if (check_forks()) {
		tcase_add_test_raise_signal(
		    tcase, media_try__does_not_hide_a_fault_outside, SIGBUS);
		tcase_add_test_raise_signal(tcase,
		    media_try__does_not_take_a_sent_signal_for_a_fault, SIGBUS);
	}

	tcase = case_new(suite, "media_fence");
	tcase_add_test(
	    tcase, media_fence__fails_for_ever_once_the_file_is_shorter);
	tcase_add_test(tcase,
	    media_fence__fails_for_a_file_that_a_later_write_made_long_again);
	tcase_add_test(tcase, media_fence__goes_on_after_a_file_grew);
	tcase_add_test(tcase, media_fence__serves_many_threads);
	return check_main(suite);
}

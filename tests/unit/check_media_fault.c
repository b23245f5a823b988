/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media -- what happens when the backing store goes away: faults while
 * touching it, and fences that must not say yes.
 */
#include <pthread.h>
#include <sys/syscall.h>

#include "support/check_main.h"
#include "support/media_fixture.h"

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

int
main(void)
{
	Suite *suite = suite_create("media_fault");
	TCase *tcase;

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

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media_open -- who may open a backing store, which ones are refused, and that
 * the environment has no say in how they are made durable.
 */
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "support/check_main.h"
#include "support/media_fixture.h"

static const struct media_options to_write;
static const struct media_options to_read = { .read_only = true };
static const struct media_options sparse = { .allow_sparse = true };

static const char *
medium_path(void)
{
	return path_in(disk_dir, "medium");
}

static const char *
medium_make(void)
{
	return file_make(medium_path(), MEDIUM_BYTES, false);
}

/* For holder_start: never closed, until the child ends. */
static int
hold_to_write(const char *path)
{
	static struct media *media;

	return media_open(path, &to_write, &media, NULL);
}

static int
hold_to_read(const char *path)
{
	static struct media *media;

	return media_open(path, &to_read, &media, NULL);
}

static int
hold_by_posix_lock(const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 || fcntl(fd, F_SETLK, &lock) < 0 ? -errno : 0;
}

static const char *
text_of(pid_t pid)
{
	static char text[32];

	snprintf(text, sizeof(text), "(process %ld)", (long)pid);
	return text;
}

START_TEST(media_open__names_the_process_that_has_it)
{
	const char *path = medium_make();
	const char *link_path = path_in(disk_dir, "other name");
	struct holder holder;

	ck_assert_int_eq(link(path, link_path), 0);
	holder = holder_start(hold_to_write, path);
	media_must_refuse(path, &to_write, -EBUSY, text_of(holder.pid));
	media_must_refuse(path, &to_write, -EBUSY, "in use by check_media_ope");
	media_must_refuse(path, &to_read, -EBUSY, text_of(holder.pid));
	media_must_refuse(link_path, &to_write, -EBUSY, text_of(holder.pid));
	holder_stop(&holder);
	media_close(media_must_open(link_path, &to_write));
}
END_TEST

/* No lock is left behind by who had no time to remove it. */
START_TEST(media_open__succeeds_when_the_holder_was_killed)
{
	const char *path = medium_make();
	struct holder holder = holder_start(hold_to_write, path);

	media_must_refuse(path, &to_write, -EBUSY, text_of(holder.pid));
	ck_assert_int_eq(kill(holder.pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(holder.pid, NULL, 0), holder.pid);
	close(holder.release);
	media_close(media_must_open(path, &to_write));
}
END_TEST

START_TEST(media_open__refuses_the_same_process_too)
{
	const char *path = medium_make();
	struct media *media = media_must_open(path, &to_write);

	media_must_refuse(path, &to_write, -EBUSY, text_of(getpid()));
	media_must_refuse(path, &to_read, -EBUSY, text_of(getpid()));
	media_close(media);
	media_close(media_must_open(path, &to_write));
}
END_TEST

START_TEST(media_open__lets_readers_share)
{
	const char *path = medium_make();
	struct holder holder = holder_start(hold_to_read, path);

	media_close(media_must_open(path, &to_read));
	media_must_refuse(path, &to_write, -EBUSY, text_of(holder.pid));
	holder_stop(&holder);
}
END_TEST

START_TEST(media_open__sees_posix_locks)
{
	const char *path = medium_make();
	struct holder holder = holder_start(hold_by_posix_lock, path);

	media_must_refuse(path, &to_write, -EBUSY, text_of(holder.pid));
	holder_stop(&holder);
	media_close(media_must_open(path, &to_write));
}
END_TEST

/* Can the child, which is another owner of POSIX locks, have one? */
static int
try_posix_lock(const char *path)
{
	return hold_by_posix_lock(path) == -EAGAIN ? 0 : -1;
}

START_TEST(media_open__is_seen_by_posix_locks)
{
	const char *path = medium_make();
	struct media *media = media_must_open(path, &to_write);
	struct holder holder = holder_start(try_posix_lock, path);

	holder_stop(&holder);
	media_close(media);
}
END_TEST

/* Loop index: a file system that tells extents, one that does not. */
START_TEST(media_open__refuses_a_file_of_holes)
{
	const char *path = path_in(_i == 0 ? disk_dir : memory_dir, "medium");

	file_make(path, MEDIUM_BYTES, true);
	media_must_refuse(path, &to_write, -EOPNOTSUPP,
	    "has holes: 0 of 1024 KiB allocated; use -o sparse, or "
	    "preallocate it: fallocate -l 1048576 ");
	media_close(media_must_open(path, &sparse));
	/* Who does not write needs no space. */
	media_close(media_must_open(path, &to_read));
	/* The advice is good. */
	file_make(path, MEDIUM_BYTES, false);
	media_close(media_must_open(path, &to_write));
}
END_TEST

START_TEST(media_open__counts_in_mib_and_to_the_bad_side)
{
	const char *path = medium_path();
	int fd;

	file_make(path, UINT64_C(64) << 20, true);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(posix_fallocate(fd, 0, (13 << 20) - 4096), 0);
	close(fd);
	media_must_refuse(
	    path, &to_write, -EOPNOTSUPP, "has holes: 12 of 64 MiB allocated");
}
END_TEST

/*
 * Blocks beyond the end of the file hide the hole from a count of blocks, not
 * from a look at the extents.
 */
START_TEST(media_open__refuses_a_hole_that_the_count_of_blocks_hides)
{
	const char *path = medium_make();
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(
	    fallocate(fd, FALLOC_FL_KEEP_SIZE, MEDIUM_BYTES, MEDIUM_BYTES), 0);
	ck_assert_int_eq(
	    fallocate(
		fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 65536, 65536),
	    0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_ge((uint64_t)st.st_blocks * 512, MEDIUM_BYTES);
	close(fd);
	media_must_refuse(path, &to_write, -EOPNOTSUPP,
	    "has holes: 960 of 1024 KiB allocated");
	media_close(media_must_open(path, &sparse));
}
END_TEST

/* Does the file system of TMPDIR say where the extents of a file are? */
static bool
disk_tells_extents(void)
{
	struct fiemap map = { .fm_length = FIEMAP_MAX_OFFSET };
	const char *tmpdir = getenv("TMPDIR");
	int fd, r;

	fd = open(tmpdir == NULL ? "/tmp" : tmpdir,
	    O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	r = ioctl(fd, FS_IOC_FIEMAP, &map);
	close(fd);
	return r == 0;
}

START_TEST(media_open__refuses_what_is_no_file)
{
	const char *fifo = path_in(disk_dir, "fifo");

	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	media_must_refuse(fifo, &to_read, -EINVAL, "neither a file");
	media_must_refuse(disk_dir, &to_read, -EINVAL, "neither a file");
	media_must_refuse("/dev/null", &to_write, -EINVAL, "neither a file");
	media_must_refuse(path_in(disk_dir, "missing"), &to_write, -ENOENT, "");
}
END_TEST

START_TEST(media_open__refuses_an_empty_file)
{
	const char *path = file_make(medium_path(), 0, true);

	media_must_refuse(path, &to_write, -EINVAL, "is empty");
	media_must_refuse(path, &to_read, -EINVAL, "is empty");
}
END_TEST

/* media_open_fd with these flags of open(2), which must fail and close it. */
static void
fd_must_be_refused(int flags, int expected)
{
	int fd = open(medium_path(), flags);
	struct media *media;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(
	    media_open_fd(fd, "medium", &to_write, &media, NULL), expected);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	ck_assert_int_eq(errno, EBADF);
}

START_TEST(media_open_fd__refuses_descriptors_that_cannot_do_the_work)
{
	medium_make();
	fd_must_be_refused(O_RDONLY, -EROFS);
	fd_must_be_refused(O_WRONLY, -EINVAL);
	fd_must_be_refused(O_RDWR | O_APPEND, -EINVAL);
	fd_must_be_refused(O_PATH, -EINVAL);
}
END_TEST

START_TEST(media_open_fd__owns_the_descriptor)
{
	int fd = open(medium_make(), O_RDWR);
	struct media *media;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(
	    media_open_fd(fd, "medium", &to_write, &media, NULL), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	media_must_refuse(medium_path(), &to_write, -EBUSY, text_of(getpid()));
	media_close(media);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	ck_assert_int_eq(errno, EBADF);
}
END_TEST

/* An open that fails leaves neither a descriptor nor a lock. */
START_TEST(media_open__leaves_nothing_behind_when_it_refuses)
{
	const char *path = file_make(medium_path(), MEDIUM_BYTES, true);
	int before, after;

	before = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(before);
	media_must_refuse(path, &to_write, -EOPNOTSUPP, "has holes");
	after = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(after);
	ck_assert_int_eq(after, before);
	media_close(media_must_open(path, &sparse));
}
END_TEST

static const struct {
	const char *name;
	const char *value;
} hostile[] = {
	{ "PMEM2_FORCE_GRANULARITY", "BYTE" },
	{ "PMEM_NO_CLWB", "1" },
	{ "PMEM_NO_CLFLUSHOPT", "1" },
	{ "PMEM_NO_MOVNT", "1" },
	{ "PMEM_MOVNT_THRESHOLD", "0" },
	{ "PMEM_IS_PMEM_FORCE", "1" },
	{ "PMEM_NO_FLUSH", "1" },
	{ "PMEM2_LOG_LEVEL", "4" },
	{ "PMEM2_", "" },
};
#define NHOSTILE (sizeof(hostile) / sizeof(hostile[0]))

/* Whether something is a disk or memory is not for the environment to say. */
START_TEST(media_open__does_not_listen_to_the_environment)
{
	static const struct {
		enum media_force force;
		enum media_granularity granularity;
	} cases[] = {
		{ MEDIA_FORCE_NONE, MEDIA_PAGE },
		{ MEDIA_FORCE_PAGE, MEDIA_PAGE },
		{ MEDIA_FORCE_CACHE_LINE, MEDIA_CACHE_LINE },
		{ MEDIA_FORCE_BYTE, MEDIA_BYTE },
	};
	const char *path =
	    file_make(path_in(memory_dir, "medium"), MEDIUM_BYTES, false);
	struct media_options options = { 0 };
	struct media *media;

	ck_assert_int_eq(setenv("PMEMPOOL", "mine", 1), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t k = 0; k < NHOSTILE; k++)
			ck_assert_int_eq(
			    setenv(hostile[k].name, hostile[k].value, 1), 0);
		options.force = cases[i].force;
		media = media_must_open(path, &options);
		ck_assert_int_eq(media->granularity, cases[i].granularity);
		media_close(media);
		for (size_t k = 0; k < NHOSTILE; k++)
			ck_assert_ptr_null(getenv(hostile[k].name));
	}
	ck_assert_str_eq(getenv("PMEMPOOL"), "mine");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("media_open");
	TCase *tcase = case_new(suite, "media_open");

	tcase_add_test(tcase, media_open__names_the_process_that_has_it);
	tcase_add_test(tcase, media_open__succeeds_when_the_holder_was_killed);
	tcase_add_test(tcase, media_open__refuses_the_same_process_too);
	tcase_add_test(tcase, media_open__lets_readers_share);
	tcase_add_test(tcase, media_open__sees_posix_locks);
	tcase_add_test(tcase, media_open__is_seen_by_posix_locks);
	tcase_add_loop_test(tcase, media_open__refuses_a_file_of_holes, 0, 2);
	tcase_add_test(tcase, media_open__counts_in_mib_and_to_the_bad_side);
	if (disk_tells_extents())
		tcase_add_test(tcase,
		    media_open__refuses_a_hole_that_the_count_of_blocks_hides);
	else
		printf("TMPDIR cannot tell extents: hidden holes not tried\n");
	tcase_add_test(tcase, media_open__refuses_what_is_no_file);
	tcase_add_test(tcase, media_open__refuses_an_empty_file);
	tcase_add_test(
	    tcase, media_open_fd__refuses_descriptors_that_cannot_do_the_work);
	tcase_add_test(tcase, media_open_fd__owns_the_descriptor);
	tcase_add_test(
	    tcase, media_open__leaves_nothing_behind_when_it_refuses);
	tcase_add_test(tcase, media_open__does_not_listen_to_the_environment);
	return check_main(suite);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fs_io -- a file that behaves as a disk does: at its end, in its durability,
 * in what it says when space is asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <fs_io.h>

#include "../support/check_main.h"

#define MEDIUM_BYTES (17l << 20)
#define SECTOR 4096u
#define ROOT 1u
#define NODE 2u /* of the first device */
#define OTHER_NODE 3u

static struct btt_worker_pool *pool;
static struct btt_worker *worker;
static struct fs *fs;
static struct device *devices[2];
static uint64_t size; /* of the first device */
static uint8_t data[4 * SECTOR], found[4 * SECTOR];

/* A BTT in a file that has no name any more when this returns. */
static struct device *
new_device(const char *name, bool read_only, enum btt_durability durability)
{
	const struct btt_create_options create = {
		.layout = BTT_LAYOUT_V11,
		.sector_bytes = SECTOR,
		.nfree = BTT_NFREE_DEFAULT,
		.uuid = { 1 },
		.medium_is_zero = true,
	};
	struct media_options media_options = { .allow_sparse = true };
	struct device_options options = {
		.name = name,
		.mode = 0600,
		.read_only = read_only,
		.allow_sparse = true,
		.durability = durability,
	};
	char path[] = "/tmp/check_fs_io.XXXXXX";
	struct btt_error error = { "" };
	struct device *device;
	struct media *media;
	int fd, r;

	ck_assert_int_ge(fd = mkstemp(path), 0);
	ck_assert_int_eq(ftruncate(fd, MEDIUM_BYTES), 0);
	ck_assert_int_eq(close(fd), 0);
	r = media_open(path, &media_options, &media, &error);
	ck_assert_msg(r == 0, "media_open: %s", error.text);
	r = btt_create(media, &create, &error);
	ck_assert_msg(r == 0, "btt_create: %s", error.text);
	media_close(media);

	options.path = path;
	r = device_open(&options, &device, &error);
	(void)unlink(path); /* whatever happened */
	ck_assert_msg(r == 0, "device_open: %s", error.text);
	ck_assert_int_eq(device_state(device), DEVICE_PROBING);
	r = device_start(device, pool, NULL, NULL, &error);
	ck_assert_msg(r == 0, "device_start: %s", error.text);
	return device;
}

static void
add_device(unsigned slot, struct device *device)
{
	struct btt_error error = { "" };

	devices[slot] = device;
	ck_assert_int_eq(fs_add(fs, device, &error), 0);
}

static void
setup(void)
{
	size_t i;

	ck_assert_int_eq(media_install_sigbus(), 0);
	ck_assert_int_eq(btt_worker_pool_new(1, &pool), 0);
	worker = btt_worker_pool_get(pool, 0);
	ck_assert_int_eq(fs_new(&fs), 0);
	add_device(0, new_device("one", false, BTT_DURABLE_WRITE));
	size = devices[0]->geometry.size_bytes;
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 1);
}

static void
teardown(void)
{
	fs_free(fs);
	ck_assert_int_eq(device_close(devices[0]), 0);
	ck_assert_int_eq(device_close(devices[1]), 0);
	devices[0] = devices[1] = NULL;
	btt_worker_pool_free(pool);
}

/* Returns the errno, or the bytes written. */
static int
write_at(uint64_t node, uint64_t off, uint32_t len, uint32_t flags)
{
	const struct fuse_write_in in = {
		.offset = off, .size = len, .flags = flags
	};
	uint32_t bytes;
	int r;

	r = fs_io_write(fs, worker, node, &in, data, &bytes);
	return r < 0 ? r : (int)bytes;
}

/* Returns the errno, or the bytes that are there. */
static int
read_at(uint64_t off, uint32_t len, uint32_t flags)
{
	const struct fuse_read_in in = {
		.offset = off, .size = len, .flags = flags
	};
	struct fs_io_range range;
	int r;

	if ((r = fs_io_read(fs, NODE, &in, &range)) < 0)
		return r;
	ck_assert_ptr_eq(range.device, devices[0]);
	if (range.len > 0 && range.len <= sizeof(found))
		ck_assert_int_eq(btt_read(range.device->btt, worker, range.off,
				     range.len, found),
		    0);
	return (int)range.len;
}

static int
fallocate_at(uint32_t mode, uint64_t off, uint64_t len)
{
	const struct fuse_fallocate_in in = {
		.offset = off, .length = len, .mode = mode
	};

	return fs_io_fallocate(fs, worker, NODE, &in);
}

static uint64_t
nfence(unsigned slot)
{
	struct btt_stats stats;

	btt_get_stats(devices[slot]->btt, &stats);
	return stats.nfence;
}

START_TEST(fs_io_write__is_read_back)
{
	ck_assert_int_eq(write_at(NODE, 1000, 5000, 0), 5000);
	ck_assert_int_eq(read_at(1000, 5000, 0), 5000);
	ck_assert_mem_eq(found, data, 5000);
}
END_TEST

START_TEST(fs_io_write__finds_no_space_at_the_end)
{
	ck_assert_int_eq(write_at(NODE, size, 1, 0), -ENOSPC);
	ck_assert_int_eq(write_at(NODE, size + SECTOR, SECTOR, 0), -ENOSPC);
	ck_assert_int_eq(write_at(NODE, UINT64_MAX, 2, 0), -ENOSPC);
}
END_TEST

START_TEST(fs_io_write__is_short_across_the_end)
{
	ck_assert_int_eq(write_at(NODE, size - 100, SECTOR, 0), 100);
	ck_assert_int_eq(read_at(size - 100, SECTOR, 0), 100);
	ck_assert_mem_eq(found, data, 100);
}
END_TEST

START_TEST(fs_io_write__of_nothing_succeeds)
{
	ck_assert_int_eq(write_at(NODE, size, 0, 0), 0);
}
END_TEST

START_TEST(fs_io_read__ends_at_the_end)
{
	ck_assert_int_eq(read_at(size, SECTOR, 0), 0);
	ck_assert_int_eq(read_at(size + 1, SECTOR, 0), 0);
	ck_assert_int_eq(read_at(UINT64_MAX, SECTOR, 0), 0);
	ck_assert_int_eq(read_at(size - 1, SECTOR, 0), 1);
	ck_assert_int_eq(read_at(0, FS_IO_MAX, 0), FS_IO_MAX);
	ck_assert_int_eq(read_at(0, FS_IO_MAX + 1, 0), -EINVAL);
}
END_TEST

/* A sector may be larger: parts of 512 bytes are served atomically. */
START_TEST(fs_io__direct_io_must_align_to_512)
{
	ck_assert_int_eq(write_at(NODE, 512, 512, O_DIRECT), 512);
	ck_assert_int_eq(write_at(NODE, 1, 512, O_DIRECT), -EINVAL);
	ck_assert_int_eq(write_at(NODE, 512, 511, O_DIRECT), -EINVAL);
	ck_assert_int_eq(read_at(512, 512, O_DIRECT), 512);
	ck_assert_int_eq(read_at(512, 1, O_DIRECT), -EINVAL);
	ck_assert_int_eq(read_at(511, 512, O_DIRECT), -EINVAL);
	ck_assert_int_eq(read_at(511, 1, 0), 1);
}
END_TEST

START_TEST(fs_io__knows_no_other_node)
{
	struct fs_io_range range;
	const struct fuse_read_in in = { .size = 1 };

	ck_assert_int_eq(write_at(ROOT, 0, 1, 0), -ENODEV);
	ck_assert_int_eq(write_at(OTHER_NODE, 0, 1, 0), -ENODEV);
	ck_assert_int_eq(write_at(0, 0, 1, 0), -ENODEV);
	ck_assert_int_eq(write_at(UINT64_MAX, 0, 1, 0), -ENODEV);
	ck_assert_int_eq(fs_io_read(fs, ROOT, &in, &range), -ENODEV);
	ck_assert_int_eq(fs_io_fsync(fs, worker, ROOT), -ENODEV);
}
END_TEST

/*
 * With direct I/O the kernel sends no FSYNC after it: who ignores the flag
 * loses what RWF_DSYNC promised.
 */
START_TEST(fs_io_write__o_dsync_is_durable_on_return)
{
	uint64_t before;

	add_device(1, new_device("two", false, BTT_DURABLE_FLUSH));
	before = nfence(1);
	ck_assert_int_eq(write_at(OTHER_NODE, 0, SECTOR, 0), SECTOR);
	ck_assert_uint_eq(nfence(1), before);
	ck_assert_int_eq(write_at(OTHER_NODE, 0, SECTOR, O_DSYNC), SECTOR);
	ck_assert_uint_gt(nfence(1), before);
	before = nfence(1);
	ck_assert_int_eq(write_at(OTHER_NODE, 0, SECTOR, O_SYNC), SECTOR);
	ck_assert_uint_gt(nfence(1), before);
}
END_TEST

START_TEST(fs_io_fsync__flushes_if_any_device_needs_it)
{
	uint64_t before;

	add_device(1, new_device("two", false, BTT_DURABLE_FLUSH));
	ck_assert_int_eq(write_at(OTHER_NODE, 0, SECTOR, 0), SECTOR);
	before = nfence(1);
	ck_assert_int_eq(fs_io_fsync(fs, worker, OTHER_NODE), 0);
	ck_assert_uint_gt(nfence(1), before);
	ck_assert_int_eq(fs_io_fsync(fs, worker, NODE), 0);
}
END_TEST

/* The kernel remembers the first answer for the life of the mount. */
START_TEST(fs_io_fsync__once_elided_stays_needless)
{
	struct btt_error error = { "" };

	ck_assert_int_eq(fs_io_fsync(fs, worker, NODE), -ENOSYS);
	devices[1] = new_device("two", false, BTT_DURABLE_FLUSH);
	ck_assert_int_eq(fs_add(fs, devices[1], &error), -EBUSY);
	ck_assert_ptr_nonnull(strstr(error.text, "durability=flush"));
	ck_assert_ptr_null(fs_device(fs, OTHER_NODE));
	ck_assert_int_eq(fs_io_fsync(fs, worker, NODE), -ENOSYS);
}
END_TEST

START_TEST(fs_io_fsync__a_read_only_device_needs_none)
{
	add_device(1, new_device("two", true, BTT_DURABLE_FLUSH));
	ck_assert_int_eq(fs_io_fsync(fs, worker, OTHER_NODE), -ENOSYS);
}
END_TEST

/* Modes that zero: punch a hole, zero a range with and without KEEP_SIZE. */
static const uint32_t zeroing[] = { 0x3, 0x10, 0x11 };

START_TEST(fs_io_fallocate__zeroes_what_it_says)
{
	ck_assert_int_eq(write_at(NODE, 0, sizeof(data), 0), sizeof(data));
	ck_assert_int_eq(fallocate_at(zeroing[_i], 100, 2 * SECTOR), 0);
	ck_assert_int_eq(read_at(0, sizeof(data), 0), sizeof(data));
	memset(data + 100, 0, 2 * SECTOR);
	ck_assert_mem_eq(found, data, sizeof(data));
}
END_TEST

START_TEST(fs_io_fallocate__with_keep_size_stops_at_the_end)
{
	ck_assert_int_eq(write_at(NODE, size - 10, 10, 0), 10);
	ck_assert_int_eq(fallocate_at(0x3, size - 4, 1 << 20), 0);
	ck_assert_int_eq(read_at(size - 10, 10, 0), 10);
	memset(data + 6, 0, 4);
	ck_assert_mem_eq(found, data, 10);
	ck_assert_int_eq(fallocate_at(0x3, size, 1), 0);
	ck_assert_int_eq(fallocate_at(0x11, UINT64_MAX, 1), 0);
}
END_TEST

START_TEST(fs_io_fallocate__does_not_grow)
{
	ck_assert_int_eq(fallocate_at(0x0, 0, size), 0);
	ck_assert_int_eq(fallocate_at(0x1, 0, size), 0);
	ck_assert_int_eq(fallocate_at(0x0, 0, size + 1), -ENOSPC);
	ck_assert_int_eq(fallocate_at(0x0, 1, UINT64_MAX), -ENOSPC);
	ck_assert_int_eq(fallocate_at(0x1, size - 1, 2), -ENOSPC);
	ck_assert_int_eq(fallocate_at(0x10, size, 1), -ENOSPC);
}
END_TEST

/* Never ENOSYS, after which the kernel asks no more on the whole mount. */
START_TEST(fs_io_fallocate__does_not_know_collapse_and_insert)
{
	ck_assert_int_eq(fallocate_at(0x8, 0, SECTOR), -EOPNOTSUPP);
	ck_assert_int_eq(fallocate_at(0x20, 0, SECTOR), -EOPNOTSUPP);
	ck_assert_int_eq(fallocate_at(0x40, 0, SECTOR), -EOPNOTSUPP);
	ck_assert_int_eq(fallocate_at(0x13, 0, SECTOR), -EOPNOTSUPP);
}
END_TEST

START_TEST(fs_io__changes_nothing_on_a_read_only_device)
{
	struct fuse_fallocate_in in = { .length = SECTOR, .mode = 0x3 };

	add_device(1, new_device("two", true, BTT_DURABLE_WRITE));
	ck_assert_int_eq(device_state(devices[1]), DEVICE_READONLY);
	ck_assert_int_eq(write_at(OTHER_NODE, 0, SECTOR, 0), -EROFS);
	ck_assert_int_eq(fs_io_fallocate(fs, worker, OTHER_NODE, &in), -EROFS);
	in.mode = 0;
	ck_assert_int_eq(fs_io_fallocate(fs, worker, OTHER_NODE, &in), -EROFS);
}
END_TEST

START_TEST(fs_io_lseek__finds_data_and_its_end)
{
	struct fuse_lseek_in in = { .offset = 0, .whence = SEEK_DATA };
	uint64_t off;

	ck_assert_int_eq(write_at(NODE, 4 * SECTOR, 2 * SECTOR, 0), 2 * SECTOR);
	ck_assert_int_eq(fs_io_lseek(fs, worker, NODE, &in, &off), 0);
	ck_assert_uint_le(off, 4 * SECTOR);
	in.offset = 4 * SECTOR;
	in.whence = SEEK_HOLE;
	ck_assert_int_eq(fs_io_lseek(fs, worker, NODE, &in, &off), 0);
	ck_assert_uint_ge(off, 6 * SECTOR);
	in.offset = size;
	ck_assert_int_eq(fs_io_lseek(fs, worker, NODE, &in, &off), -ENXIO);
	in.offset = 0;
	in.whence = SEEK_SET;
	ck_assert_int_eq(fs_io_lseek(fs, worker, NODE, &in, &off), -EINVAL);
}
END_TEST

START_TEST(fs_add__keeps_names_apart)
{
	struct btt_error error = { "" };

	devices[1] = new_device("one", false, BTT_DURABLE_WRITE);
	ck_assert_int_eq(fs_add(fs, devices[1], &error), -EEXIST);
	ck_assert_ptr_nonnull(strstr(error.text, "'one'"));
	ck_assert_ptr_eq(fs_device(fs, NODE), devices[0]);
	ck_assert_ptr_null(fs_device(fs, OTHER_NODE));
}
END_TEST

static void
add_case(Suite *suite, const char *name, const TTest *const *tests)
{
	TCase *tcase;

	tcase = tcase_create(name);
	tcase_add_checked_fixture(tcase, setup, teardown);
	for (; *tests != NULL; tests++)
		tcase_add_test(tcase, *tests);
	suite_add_tcase(suite, tcase);
}

int
main(void)
{
	const TTest *const rw[] = { fs_io_write__is_read_back,
		fs_io_write__finds_no_space_at_the_end,
		fs_io_write__is_short_across_the_end,
		fs_io_write__of_nothing_succeeds, fs_io_read__ends_at_the_end,
		fs_io__direct_io_must_align_to_512, fs_io__knows_no_other_node,
		fs_io__changes_nothing_on_a_read_only_device,
		fs_io_lseek__finds_data_and_its_end, fs_add__keeps_names_apart,
		NULL };
	const TTest *const durability[] = {
		fs_io_write__o_dsync_is_durable_on_return,
		fs_io_fsync__flushes_if_any_device_needs_it,
		fs_io_fsync__once_elided_stays_needless,
		fs_io_fsync__a_read_only_device_needs_none, NULL
	};
	const TTest *const space[] = {
		fs_io_fallocate__with_keep_size_stops_at_the_end,
		fs_io_fallocate__does_not_grow,
		fs_io_fallocate__does_not_know_collapse_and_insert, NULL
	};
	Suite *suite;
	TCase *tcase;

	suite = suite_create("fs_io");
	add_case(suite, "read and write", rw);
	add_case(suite, "durability", durability);
	add_case(suite, "space", space);
	tcase = tcase_create("zeroes");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, fs_io_fallocate__zeroes_what_it_says, 0,
	    (int)(sizeof(zeroing) / sizeof(zeroing[0])));
	suite_add_tcase(suite, tcase);
	return check_main(suite);
}

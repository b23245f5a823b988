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
#include "../support/manager_fixture.h"

#define SECTOR RIG_SECTOR

static struct rig rig;
static struct btt_worker *worker;
static struct tree *tree;
static struct device *devices[2];
static uint64_t nodes[2];
static uint64_t size; /* of the first device */
static uint8_t data[4 * SECTOR], found[4 * SECTOR];

static struct job_info
try_device(const char *name, bool read_only, enum btt_durability durability)
{
	struct device_options options;
	char path[RIG_PATH_BYTES];

	rig_image(&rig, name);
	rig_options(&rig, name, path, &options);
	options.read_only = read_only;
	options.durability = durability;
	return rig_attach_with(&rig, &options);
}

static void
add_device(unsigned slot, const char *name, bool read_only,
    enum btt_durability durability)
{
	struct job_info info;

	info = try_device(name, read_only, durability);
	ck_assert_msg(info.error == 0, "%s: %s", name, info.message);
	devices[slot] = registry_find(rig.manager->registry, name);
	ck_assert_ptr_nonnull(devices[slot]);
	nodes[slot] = rig_status(&rig, name).nodeid;
}

static void
setup(void)
{
	size_t i;

	rig_setup(&rig, 1);
	worker = btt_worker_pool_get(rig.manager->pool, 0);
	tree = rig.manager->tree;
	add_device(0, "one", false, BTT_DURABLE_WRITE);
	size = devices[0]->geometry.size_bytes;
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 1);
}

static void
teardown(void)
{
	device_unref(devices[0]);
	device_unref(devices[1]);
	devices[0] = devices[1] = NULL;
	rig_teardown(&rig);
}

/* Returns the errno, or the bytes written. */
static int
write_at(unsigned slot, uint64_t off, uint32_t len, uint32_t flags)
{
	const struct fuse_write_in in = {
		.offset = off, .size = len, .flags = flags
	};
	uint32_t bytes;
	int r;

	r = fs_io_write(devices[slot], worker, &in, data, &bytes);
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

	if ((r = fs_io_read(devices[0], &in, &range)) < 0)
		return r;
	if (range.len > 0 && range.len <= sizeof(found))
		ck_assert_int_eq(btt_read(devices[0]->btt, worker, range.off,
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

	return fs_io_fallocate(devices[0], worker, &in);
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
	ck_assert_int_eq(write_at(0, 1000, 5000, 0), 5000);
	ck_assert_int_eq(read_at(1000, 5000, 0), 5000);
	ck_assert_mem_eq(found, data, 5000);
}
END_TEST

START_TEST(fs_io_write__finds_no_space_at_the_end)
{
	ck_assert_int_eq(write_at(0, size, 1, 0), -ENOSPC);
	ck_assert_int_eq(write_at(0, size + SECTOR, SECTOR, 0), -ENOSPC);
	ck_assert_int_eq(write_at(0, UINT64_MAX, 2, 0), -ENOSPC);
}
END_TEST

START_TEST(fs_io_write__is_short_across_the_end)
{
	ck_assert_int_eq(write_at(0, size - 100, SECTOR, 0), 100);
	ck_assert_int_eq(read_at(size - 100, SECTOR, 0), 100);
	ck_assert_mem_eq(found, data, 100);
}
END_TEST

START_TEST(fs_io_write__of_nothing_succeeds)
{
	ck_assert_int_eq(write_at(0, size, 0, 0), 0);
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
	ck_assert_int_eq(write_at(0, 512, 512, O_DIRECT), 512);
	ck_assert_int_eq(write_at(0, 1, 512, O_DIRECT), -EINVAL);
	ck_assert_int_eq(write_at(0, 512, 511, O_DIRECT), -EINVAL);
	ck_assert_int_eq(read_at(512, 512, O_DIRECT), 512);
	ck_assert_int_eq(read_at(512, 1, O_DIRECT), -EINVAL);
	ck_assert_int_eq(read_at(511, 512, O_DIRECT), -EINVAL);
	ck_assert_int_eq(read_at(511, 1, 0), 1);
}
END_TEST

START_TEST(tree_enter__knows_no_other_node)
{
	ck_assert_ptr_eq(tree_enter(tree, 0, nodes[0], "READ"), devices[0]);
	tree_leave(tree, 0);
	ck_assert_ptr_null(tree_enter(tree, 0, TREE_ROOT_ID, "READ"));
	ck_assert_ptr_null(tree_enter(tree, 0, nodes[0] + 1, "READ"));
	ck_assert_ptr_null(
	    tree_enter(tree, 0, nodes[0] + TREE_DEVICE_MAX, "READ"));
	ck_assert_ptr_null(tree_enter(tree, 0, 0, "READ"));
	ck_assert_ptr_null(tree_enter(tree, 0, UINT64_MAX, "READ"));
}
END_TEST

/*
 * With direct I/O the kernel sends no FSYNC after it: who ignores the flag
 * loses what RWF_DSYNC promised.
 */
START_TEST(fs_io_write__o_dsync_is_durable_on_return)
{
	uint64_t before;

	add_device(1, "two", false, BTT_DURABLE_FLUSH);
	before = nfence(1);
	ck_assert_int_eq(write_at(1, 0, SECTOR, 0), SECTOR);
	ck_assert_uint_eq(nfence(1), before);
	ck_assert_int_eq(write_at(1, 0, SECTOR, O_DSYNC), SECTOR);
	ck_assert_uint_gt(nfence(1), before);
	before = nfence(1);
	ck_assert_int_eq(write_at(1, 0, SECTOR, O_SYNC), SECTOR);
	ck_assert_uint_gt(nfence(1), before);
}
END_TEST

START_TEST(fs_io_fsync__flushes_if_any_device_needs_it)
{
	uint64_t before;

	add_device(1, "two", false, BTT_DURABLE_FLUSH);
	ck_assert_int_eq(write_at(1, 0, SECTOR, 0), SECTOR);
	before = nfence(1);
	ck_assert_int_eq(fs_io_fsync(devices[1], worker, tree), 0);
	ck_assert_uint_gt(nfence(1), before);
	ck_assert_int_eq(fs_io_fsync(devices[0], worker, tree), 0);
}
END_TEST

/* The kernel remembers the first answer for the life of the mount. */
START_TEST(fs_io_fsync__once_elided_stays_needless)
{
	struct job_info info;

	ck_assert_int_eq(fs_io_fsync(devices[0], worker, tree), -ENOSYS);
	info = try_device("two", false, BTT_DURABLE_FLUSH);
	ck_assert_int_eq(info.error, -EBUSY);
	ck_assert_ptr_nonnull(strstr(info.message, "durability=flush"));
	ck_assert_int_eq(rig_status(&rig, "two").state, DEVICE_FAILED);
	ck_assert_uint_eq(rig_status(&rig, "two").nodeid, 0);
	ck_assert_int_eq(fs_io_fsync(devices[0], worker, tree), -ENOSYS);
}
END_TEST

/* Where devices may come that need it, there is no such answer. */
START_TEST(fs_io_fsync__is_kept_where_that_was_said)
{
	tree_keep_fsync(tree);
	ck_assert_int_eq(fs_io_fsync(devices[0], worker, tree), 0);
	add_device(1, "two", false, BTT_DURABLE_FLUSH);
	ck_assert_int_eq(fs_io_fsync(devices[1], worker, tree), 0);
}
END_TEST

START_TEST(fs_io_fsync__a_read_only_device_needs_none)
{
	add_device(1, "two", true, BTT_DURABLE_FLUSH);
	ck_assert_int_eq(fs_io_fsync(devices[1], worker, tree), -ENOSYS);
}
END_TEST

/* Modes that zero: punch a hole, zero a range with and without KEEP_SIZE. */
static const uint32_t zeroing[] = { 0x3, 0x10, 0x11 };

START_TEST(fs_io_fallocate__zeroes_what_it_says)
{
	ck_assert_int_eq(write_at(0, 0, sizeof(data), 0), sizeof(data));
	ck_assert_int_eq(fallocate_at(zeroing[_i], 100, 2 * SECTOR), 0);
	ck_assert_int_eq(read_at(0, sizeof(data), 0), sizeof(data));
	memset(data + 100, 0, 2 * SECTOR);
	ck_assert_mem_eq(found, data, sizeof(data));
}
END_TEST

START_TEST(fs_io_fallocate__with_keep_size_stops_at_the_end)
{
	ck_assert_int_eq(write_at(0, size - 10, 10, 0), 10);
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

	add_device(1, "two", true, BTT_DURABLE_WRITE);
	ck_assert_int_eq(rig_status(&rig, "two").state, DEVICE_READONLY);
	ck_assert_int_eq(write_at(1, 0, SECTOR, 0), -EROFS);
	ck_assert_int_eq(fs_io_fallocate(devices[1], worker, &in), -EROFS);
	in.mode = 0;
	ck_assert_int_eq(fs_io_fallocate(devices[1], worker, &in), -EROFS);
}
END_TEST

START_TEST(fs_io_lseek__finds_data_and_its_end)
{
	struct fuse_lseek_in in = { .offset = 0, .whence = SEEK_DATA };
	uint64_t off;

	ck_assert_int_eq(write_at(0, 4 * SECTOR, 2 * SECTOR, 0), 2 * SECTOR);
	ck_assert_int_eq(fs_io_lseek(devices[0], worker, &in, &off), 0);
	ck_assert_uint_le(off, 4 * SECTOR);
	in.offset = 4 * SECTOR;
	in.whence = SEEK_HOLE;
	ck_assert_int_eq(fs_io_lseek(devices[0], worker, &in, &off), 0);
	ck_assert_uint_ge(off, 6 * SECTOR);
	in.offset = size;
	ck_assert_int_eq(fs_io_lseek(devices[0], worker, &in, &off), -ENXIO);
	in.offset = 0;
	in.whence = SEEK_SET;
	ck_assert_int_eq(fs_io_lseek(devices[0], worker, &in, &off), -EINVAL);
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
		fs_io__direct_io_must_align_to_512,
		tree_enter__knows_no_other_node,
		fs_io__changes_nothing_on_a_read_only_device,
		fs_io_lseek__finds_data_and_its_end, NULL };
	const TTest *const durability[] = {
		fs_io_write__o_dsync_is_durable_on_return,
		fs_io_fsync__flushes_if_any_device_needs_it,
		fs_io_fsync__once_elided_stays_needless,
		fs_io_fsync__is_kept_where_that_was_said,
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

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media_blocks -- does a file own the blocks that its sectors will be
 * overwritten in?
 *
 * A write into a hole, into a block that another file shares, or on a
 * copy-on-write file system needs new space.  When there is none the write, or
 * worse the write-back after it, fails in the middle of an update.  Measured:
 * on a full btrfs every page of a fully allocated file was lost that way.
 */
#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "media_impl.h"

/* Not in all versions of <linux/magic.h>. */
#define BCACHEFS_MAGIC 0xca451a4e
#define ZFS_MAGIC 0x2fc12fc1

/* Extents that one call returns. */
#define NEXTENT 256u

struct block_sum {
	uint64_t end;       /* everything before has been looked at */
	uint64_t allocated; /* bytes, up to the size of the file */
	bool is_shared;
};

/* Does the file system of the file write elsewhere unless told not to? */
static bool
is_copy_on_write(int fd)
{
	struct statfs fs;
	int flags;

	if (fstatfs(fd, &fs) < 0)
		return false;
	switch ((unsigned long)fs.f_type) {
	case BTRFS_SUPER_MAGIC:
	case BCACHEFS_MAGIC:
	case NILFS_SUPER_MAGIC:
	case ZFS_MAGIC:
		break;
	default:
		return false;
	}
	return ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 ||
	    (flags & FS_NOCOW_FL) == 0;
}

/* Take one answer into the sum; false if nothing can follow. */
static bool
add_extents(struct block_sum *sum, const struct fiemap *map, uint64_t size)
{
	const struct fiemap_extent *extent = NULL;
	uint64_t first, end;

	for (uint32_t i = 0; i < map->fm_mapped_extents; i++) {
		extent = &map->fm_extents[i];
		first = extent->fe_logical;
		if (first >= size)
			continue;
		end = size;
		if (extent->fe_length < size - first)
			end = first + extent->fe_length;
		if (end <= sum->end)
			continue;
		if (first < sum->end)
			first = sum->end;
		sum->allocated += end - first;
		sum->end = end;
		if (extent->fe_flags & FIEMAP_EXTENT_SHARED)
			sum->is_shared = true;
	}
	return extent != NULL && sum->end < size &&
	    (extent->fe_flags & FIEMAP_EXTENT_LAST) == 0;
}

/*
 * Add up the extents of the file.  They include what is preallocated and not
 * yet written, which lseek(SEEK_HOLE) would call a hole.
 */
static int
sum_blocks(int fd, uint64_t size, struct block_sum *ret_sum)
{
	struct block_sum sum = { 0 };
	struct fiemap *map;
	uint64_t start;
	int r = 0;

	map = calloc(1, sizeof(*map) + NEXTENT * sizeof(map->fm_extents[0]));
	if (map == NULL)
		return -ENOMEM;
	do {
		start = sum.end;
		map->fm_start = start;
		map->fm_length = size - start;
		map->fm_flags = 0;
		map->fm_extent_count = NEXTENT;
		if (ioctl(fd, FS_IOC_FIEMAP, map) < 0)
			r = -errno;
	} while (r == 0 && add_extents(&sum, map, size) && sum.end > start);
	free(map);
	if (r == 0)
		*ret_sum = sum;
	return r;
}

/* "12 of 256 MiB are allocated": as much said, rounded to the bad side. */
static int
has_holes(uint64_t allocated, uint64_t size, const char *path,
    struct btt_error *error)
{
	bool is_small = size < UINT64_C(10) << 20;
	unsigned shift = is_small ? 10 : 20;
	uint64_t total = (size + (UINT64_C(1) << shift) - 1) >> shift;

	return btt_error_set(error, -EOPNOTSUPP,
	    "has holes: %llu of %llu %s allocated; use -o sparse, or "
	    "preallocate it: fallocate -l %llu %s",
	    (unsigned long long)(allocated >> shift), (unsigned long long)total,
	    is_small ? "KiB" : "MiB", (unsigned long long)size, path);
}

int
media_backing_check_blocks(const struct media_backing *backing,
    const char *path, struct btt_error *error)
{
	struct block_sum sum = { 0 };
	uint64_t allocated;
	struct stat st;
	int r;

	if (fstat(backing->fd, &st) < 0)
		return -errno;
	allocated = (uint64_t)st.st_blocks * 512;
	if (allocated < backing->size)
		return has_holes(allocated, backing->size, path, error);
	if (is_copy_on_write(backing->fd))
		return btt_error_set(error, -EOPNOTSUPP,
		    "is copy-on-write: an overwrite may find no space; use "
		    "-o sparse, or a file that was made under chattr +C");

	r = sum_blocks(backing->fd, backing->size, &sum);
	if (r == -EOPNOTSUPP || r == -ENOTTY)
		return 0; /* tmpfs and others that cannot tell */
	if (r < 0)
		return media_system_error(
		    error, r, "its extents cannot be read");
	if (sum.is_shared)
		return btt_error_set(error, -EOPNOTSUPP,
		    "shares blocks with another file or a snapshot; use "
		    "-o sparse, or a copy made by cp --reflink=never");
	if (sum.allocated < backing->size)
		return has_holes(sum.allocated, backing->size, path, error);
	return 0;
}

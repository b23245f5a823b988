/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "fs_io.h"

/*
 * What users of O_DIRECT must align to, as on any disk.  The sectors may be
 * larger: a loop device with its default block size then still works, each
 * part of a sector being read, modified and written atomically.
 */
#define DIRECT_ALIGN 512u

static bool
is_misaligned(uint32_t open_flags, uint64_t off, uint32_t len)
{
	return (open_flags & O_DIRECT) != 0 && (off | len) % DIRECT_ALIGN != 0;
}

/* The part of a range that lies before the end; off is before it. */
static uint64_t
clamp(const struct device *device, uint64_t off, uint64_t len)
{
	uint64_t left;

	left = device->geometry.size_bytes - off;
	return len < left ? len : left;
}

int
fs_io_read(const struct device *device, const struct fuse_read_in *in,
    struct fs_io_range *ret_range)
{
	if (in->size > FS_IO_MAX ||
	    is_misaligned(in->flags, in->offset, in->size))
		return -EINVAL;

	ret_range->off = in->offset;
	if (in->offset >= device->geometry.size_bytes)
		ret_range->len = 0;
	else
		ret_range->len = (uint32_t)clamp(device, in->offset, in->size);
	return 0;
}

int
fs_io_write(struct device *device, struct btt_worker *worker,
    const struct fuse_write_in *in, const void *payload, uint32_t *ret_bytes)
{
	uint32_t len;
	int r;

	if (is_misaligned(in->flags, in->offset, in->size))
		return -EINVAL;
	if (in->size == 0) {
		*ret_bytes = 0;
		return 0;
	}
	if (in->offset >= device->geometry.size_bytes)
		return -ENOSPC;

	len = (uint32_t)clamp(device, in->offset, in->size);
	r = btt_write(device->btt, worker, in->offset, len, payload);
	if (r < 0)
		return r;
	/*
	 * With direct I/O this flag is all that the kernel tells about O_DSYNC,
	 * O_SYNC and RWF_DSYNC: no FSYNC follows (fuse.md 3.8).
	 */
	if ((in->flags & O_DSYNC) != 0 && device_needs_flush(device)) {
		r = btt_flush(device->btt, worker);
		if (r < 0)
			return r;
	}
	*ret_bytes = len;
	return 0;
}

int
fs_io_fsync(struct device *device, struct btt_worker *worker, struct tree *tree)
{
	if (tree_elides_fsync(tree))
		return -ENOSYS;
	return btt_flush(device->btt, worker);
}

int
fs_io_fallocate(struct device *device, struct btt_worker *worker,
    const struct fuse_fallocate_in *in)
{
	uint64_t size, len;
	bool keep_size;

	if (device->geometry.read_only)
		return -EROFS;

	/* A disk does not grow: allocating beyond its end finds no space. */
	size = device->geometry.size_bytes;
	keep_size = (in->mode & FALLOC_FL_KEEP_SIZE) != 0;
	if (in->offset > size || in->length > size - in->offset) {
		if (!keep_size)
			return -ENOSPC;
		if (in->offset >= size)
			len = 0;
		else
			len = clamp(device, in->offset, in->length);
	} else
		len = in->length;

	switch (in->mode & ~(uint32_t)FALLOC_FL_KEEP_SIZE) {
	case 0:
		/* Every sector has its block already, or finds one when
		 * written: the lanes hold one free block each. */
		return len == in->length ? 0 : -ENOSPC;
	case FALLOC_FL_PUNCH_HOLE:
		/* The kernel allows it with KEEP_SIZE only. */
	case FALLOC_FL_ZERO_RANGE:
		if (len == 0)
			return 0;
		return btt_zero(device->btt, worker, in->offset, len);
	default:
		return -EOPNOTSUPP;
	}
}

int
fs_io_lseek(struct device *device, struct btt_worker *worker,
    const struct fuse_lseek_in *in, uint64_t *ret_off)
{
	if (in->offset >= device->geometry.size_bytes)
		return -ENXIO;
	switch (in->whence) {
	case SEEK_DATA:
		return btt_seek_data(device->btt, worker, in->offset, ret_off);
	case SEEK_HOLE:
		return btt_seek_hole(device->btt, worker, in->offset, ret_off);
	default:
		return -EINVAL;
	}
}

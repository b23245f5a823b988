/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_FS_IO_H
#define BTTFS_FS_IO_H

/*
 * fs_io -- what the kernel's requests for data mean on a device.  Knows the
 * structures of the protocol but not how they travel: every transport calls
 * these with the request in place and sends the answer in its own way.
 *
 * The answers are those of an honest block device: nothing is ever short but at
 * the end, ENOSPC there, zeroes where zeroes were asked for, durable where
 * durability was asked for.  All return 0 or the negative errno to answer.
 *
 * The caller has entered the device (tree.h) and leaves it when the answer no
 * longer needs it.
 */
#include <stdint.h>

#include <btt/btt.h>

#include "device.h"
#include "fs_uapi.h"
#include "tree.h"

/* The largest payload of a READ or WRITE; beyond, nothing is gained. */
#define FS_IO_MAX (1u << 20)

/* A checked READ: where, and how much of it there is (0 at the end). */
struct fs_io_range {
	uint64_t off;
	uint32_t len;
};

int fs_io_read(const struct device *device, const struct fuse_read_in *in,
    struct fs_io_range *ret_range) BTT_MUST_CHECK;

/* payload has in->size bytes.  ret_bytes is less only at the end. */
int fs_io_write(struct device *device, struct btt_worker *worker,
    const struct fuse_write_in *in, const void *payload, uint32_t *ret_bytes)
    BTT_MUST_CHECK;

/* -ENOSYS tells the kernel not to ask again: tree_elides_fsync. */
int fs_io_fsync(struct device *device, struct btt_worker *worker,
    struct tree *tree) BTT_MUST_CHECK;

/* Never -ENOSYS, which would switch fallocate off for the whole mount. */
int fs_io_fallocate(struct device *device, struct btt_worker *worker,
    const struct fuse_fallocate_in *in) BTT_MUST_CHECK;

/* SEEK_DATA and SEEK_HOLE; the kernel does the others by itself. */
int fs_io_lseek(struct device *device, struct btt_worker *worker,
    const struct fuse_lseek_in *in, uint64_t *ret_off) BTT_MUST_CHECK;

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_FS_H
#define BTTFS_FS_H

/*
 * fs -- the tree that the mount shows: a directory with one regular file for
 * each device.  What concerns names and attributes is here and goes through
 * libfuse; requests for data are in fs_io.h.
 *
 * Node ids hold no pointers, so they mean the same after a restart of the
 * server under a living mount: 1 is the directory, a device's file is its
 * number plus one.  Numbers count from 1.  A file handle is the device's number.
 */
#include <stdbool.h>
#include <stdint.h>

#include <btt/error.h>

#include "device.h"

/* Linear searches by name stay in the microseconds up to here. */
#define FS_DEVICE_MAX 1024u

struct fs;
struct fuse_lowlevel_ops;

/* An empty directory. */
int fs_new(struct fs **ret_fs) BTT_MUST_CHECK;
/* The devices stay the caller's.  NULL is fine. */
void fs_free(struct fs *fs);

/*
 * Show a device that has been started; it must not be closed before the tree
 * is freed.  Requests may come in at once.
 *
 * Errors: -EEXIST if there is a file of this name; -ENOSPC if the table is
 * full; -EBUSY if the kernel has been told that this mount needs no fsync, and
 * this device does (fs_io_fsync).
 */
int fs_add(struct fs *fs, struct device *device, struct btt_error *error)
    BTT_MUST_CHECK;

/* The device behind a node id, or NULL.  Waits for nothing. */
struct device *fs_device(struct fs *fs, uint64_t nodeid);

/* Calls fn for every device, in order of their numbers. */
typedef void fs_visit_fn(void *arg, struct device *device);
void fs_visit(struct fs *fs, fs_visit_fn *fn, void *arg);

/*
 * May the kernel be told never to send FSYNC again?  True if no device of the
 * tree needs it; fs_add then keeps it so for the life of the mount, since the
 * kernel remembers the answer for as long.
 */
bool fs_elide_fsync(struct fs *fs);

/*
 * What libfuse calls.  The session's user data points to a struct fs_context,
 * which may be the head of something larger.
 */
struct fs_context {
	struct fs *fs;
};
const struct fuse_lowlevel_ops *fs_operations(void);

#endif

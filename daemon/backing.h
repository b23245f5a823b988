/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_BACKING_H
#define BTTFS_BACKING_H

/*
 * backing -- getting a file or block device ready to hold a BTT: made, sized,
 * allocated, and reading as zeroes from end to end.
 */
#include <stdbool.h>
#include <stdint.h>

#include <btt/error.h>
#include <btt/media.h>

struct backing {
	const char *path;
	int fd; /* locked against other users of media.h */
	bool is_new;
	bool is_block_device;
	bool is_kept;
	uint64_t size;     /* bytes, now */
	uint64_t old_size; /* when it was opened; 0 for a new file */
};

/*
 * Open and lock what exists.
 * Errors: -EBUSY, with the holder where it is known, also for a block device
 * that is mounted; -EINVAL if it is neither file nor block device; what
 * open(2) says, -ENOENT without a text.
 */
int backing_open(const char *path, struct backing *ret_backing,
    struct btt_error *error) BTT_MUST_CHECK;

/*
 * Make a new, empty, locked file of mode 0600.  It goes away if the process is
 * interrupted, or if it is closed without backing_keep.  On a file system that
 * copies on write it is marked to be overwritten in place.
 */
int backing_create(const char *path, struct backing *ret_backing,
    struct btt_error *error) BTT_MUST_CHECK;

struct backing_options {
	bool sparse;   /* leave holes instead of allocating */
	bool progress; /* on a terminal */
};

/*
 * Make the backing size bytes long and all of them zero, allocated unless it
 * is to be sparse, and durable.  What could be taken for a BTT goes first, so
 * that an interruption leaves none.  Room is looked for before anything is
 * changed.  ret_method says how it was done.
 *
 * Errors: -ENOSPC; -EINVAL for another size than a block device has; -EFBIG,
 * -EIO and so on, with the reason.
 */
int backing_make_zero(struct backing *backing, uint64_t size,
    const struct backing_options *options, const char **ret_method,
    struct btt_error *error) BTT_MUST_CHECK;

/*
 * A medium on the backing, to be closed before it.  They share the lock.
 */
int backing_media(const struct backing *backing,
    const struct media_options *options, struct media **ret_media,
    struct btt_error *error) BTT_MUST_CHECK;

/*
 * The backing is what was wanted: make a new file's name durable, and let it
 * stay.
 */
int
backing_keep(struct backing *backing, struct btt_error *error) BTT_MUST_CHECK;
/*
 * Close it.  Unless it is to be kept, remove a new file and cut an old one
 * that has grown back to its size.
 */
void backing_close(struct backing *backing);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_MOUNT_HELPER_H
#define BTTFS_MOUNT_HELPER_H

/*
 * mount_helper -- fusermount3(1), which is installed setuid root and mounts
 * FUSE file systems for who may not.  What it has to say goes into error.
 */
#include <stdbool.h>

#include <btt/error.h>

/*
 * Mount on path; options as in mount(8), without fd=.  Returns the descriptor
 * of /dev/fuse; -EPERM if it refused; -ENOENT if it is not installed.
 */
int mount_helper_mount(const char *path, const char *options,
    struct btt_error *error) BTT_MUST_CHECK;

/* -EBUSY if it could not. */
int mount_helper_unmount(const char *path, bool lazily, struct btt_error *error)
    BTT_MUST_CHECK;

#endif

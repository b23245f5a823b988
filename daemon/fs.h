/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_FS_H
#define BTTFS_FS_H

/*
 * fs -- the tree that the mount shows: a directory with one regular file for
 * each device that is shown (tree.h).  What concerns names and attributes is
 * here and goes through libfuse; requests for data are in fs_io.h.
 */
#include "registry.h"
#include "tree.h"

struct fuse_lowlevel_ops;

/*
 * What libfuse calls.  The session's user data points to a struct fs_context,
 * which may be the head of something larger.
 */
struct fs_context {
	struct registry *registry;
	struct tree *tree;
};
const struct fuse_lowlevel_ops *fs_operations(void);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_KEPT_FDS_H
#define BTTFS_KEPT_FDS_H

/*
 * kept_fds -- descriptors by name, of which the keeper holds one table for its
 * servers to come, and a server another one of what its predecessor left.
 *
 *	fuse		/dev/fuse of the mount
 *	session		what was agreed on with the kernel (session_kept.h)
 *	device/NAME	a device that is shown, and what its last commit has not
 *			made durable (device_kept.h)
 *	backing/NAME	its backing store, if we were given that open
 */
#include <stddef.h>

#include <btt/error.h>

struct kept_fd {
	char *name;
	int fd;
};

/* All zero is empty. */
struct kept_fds {
	size_t n;
	struct kept_fd *fd; /* in the order in which they came */
};

/*
 * Takes fd over, also where an error is returned; one of that name is closed.
 * Returns 0 or -ENOMEM.
 */
int
kept_fds_put(struct kept_fds *kept, const char *name, int fd) BTT_MUST_CHECK;
/* The descriptor, which stays the table's, or -1. */
int kept_fds_find(const struct kept_fds *kept, const char *name);
/* The descriptor, which is the caller's from now on, or -1. */
int kept_fds_take(struct kept_fds *kept, const char *name);
void kept_fds_drop(struct kept_fds *kept, const char *name);
void kept_fds_fini(struct kept_fds *kept);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_FD_STORE_H
#define BTTFS_FD_STORE_H

/*
 * fd_store -- descriptors by name in the keeping of systemd, which gives them
 * to the unit's next process (sd_listen_fds(3)): so that a keeper that is
 * killed or replaced is followed as a server is (keeper.h).
 *
 * Names are those of kept_fds.h.  systemd takes 255 printable characters
 * without a colon, so the others are written as %XX.
 *
 * Without systemd, all of these do nothing.
 */
#include "kept_fds.h"

/* What systemd takes. */
#define FD_STORE_NAME_BYTES 256u

/*
 * Put what our predecessors, or those who start us, have left into a table.
 * Returns how many, or a negative errno.
 */
int fd_store_adopt(struct kept_fds *kept) BTT_MUST_CHECK;

/*
 * fd stays the caller's.  Another one of that name is replaced.
 * Errors: -ENAMETOOLONG; as sd_pid_notify_with_fds(3).
 */
int fd_store_put(const char *name, int fd) BTT_MUST_CHECK;
/* One that systemd still has costs a descriptor, no more. */
void fd_store_drop(const char *name);
/* Wait until systemd has heard all of it, before this process ends. */
int fd_store_settle(void) BTT_MUST_CHECK;

/* As systemd is told it.  Returns 0 or -ENAMETOOLONG. */
int fd_store_encode(const char *name, char ret_name[FD_STORE_NAME_BYTES])
    BTT_MUST_CHECK;
/* Back, in place.  Returns 0 or -EINVAL: it is none of ours. */
int fd_store_decode(char *name) BTT_MUST_CHECK;

#endif

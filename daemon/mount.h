/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_MOUNT_H
#define BTTFS_MOUNT_H

/*
 * mount -- puts a FUSE file system into the tree of files and takes it out
 * again.  Knows nothing of who serves it: the outcome is a descriptor of
 * /dev/fuse, which may be handed to another process.
 *
 * Who may mount does so itself; for others fusermount3(1) does it.
 *
 * No function here asks the mounted file system anything, so none can wait for
 * whoever serves it.
 */
#include <stdbool.h>

#include <btt/error.h>

struct mount;

struct mount_options {
	const char *path;   /* where, a directory */
	const char *source; /* what the table of mounts says is mounted */
	bool read_only;
	bool sync; /* every write is asked to be durable */
	bool allow_other;
};

/*
 * Mount.  ret_fd is the caller's, and is closed on exec.  The kernel's first
 * request waits there.
 *
 * Errors: -EBUSY if something is mounted there already; -ENOTDIR; -ENOENT;
 * -EPERM, -EACCES; as mount(2); with the reason.
 */
int mount_new(const struct mount_options *options, struct mount **ret_mount,
    int *ret_fd, struct btt_error *error) BTT_MUST_CHECK;

/*
 * One that somebody else made and takes away: nothing of it is looked at, since
 * its server may be who asks.  path is absolute.  abort_fd is as mount_abort_fd
 * gave it, or -1, and outlives ret_mount.
 */
int mount_adopt(const char *path, int abort_fd, struct mount **ret_mount)
    BTT_MUST_CHECK;
/*
 * One that is there, found by its path: the topmost, if it is of bttfs.
 * Errors: -ENOENT.
 */
int mount_find(const char *path, struct mount **ret_mount) BTT_MUST_CHECK;

/* Absolute, without links. */
const char *mount_path(const struct mount *mnt);

/* Is ours what is seen at its path?  Not if it was unmounted or covered. */
bool mount_is_visible(const struct mount *mnt);

enum mount_how {
	MOUNT_CLEANLY, /* -EBUSY while anything is open */
	MOUNT_LAZILY,  /* out of sight at once, gone when the last user is */
};

/* -EBUSY also where it is not visible: what is seen there is not ours. */
int mount_remove(const struct mount *mnt, enum mount_how how,
    struct btt_error *error) BTT_MUST_CHECK;

/*
 * Have the kernel fail all requests, also those that nobody answers, with
 * ENOTCONN.  -ENOENT where the fusectl file system is not mounted.
 */
int mount_abort(const struct mount *mnt) BTT_MUST_CHECK;
/*
 * A descriptor by which who may not do that can do it; the caller's.  Errors as
 * above.
 */
int mount_abort_fd(const struct mount *mnt) BTT_MUST_CHECK;

/*
 * Who holds it busy, as one phrase: "fio (pid 77), /dev/loop3".  Reads /proc
 * and /sys; empty if nobody was found.
 */
void mount_describe_users(
    const struct mount *mnt, char *ret_text, size_t text_bytes);

/* Forgets; unmounts nothing.  NULL is fine. */
void mount_free(struct mount *mnt);

#endif

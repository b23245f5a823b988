/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/magic.h>

#include "mount.h"
#include "mount_helper.h"
#include "system_error.h"

#define FUSE_DEVICE "/dev/fuse"
#define FSTYPE "fuse.bttfs"

/* A disk holds no programs, devices or set-id files that anybody may use. */
#define MOUNT_FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define MOUNT_WORDS "nosuid,nodev,noexec"

/* Immutable. */
struct mount {
	char *path;     /* absolute, without links */
	dev_t dev;      /* st_dev of what is mounted */
	bool by_helper; /* so it must be unmounted by it */
	bool adopted;   /* somebody else unmounts it; dev is not known */
	int abort_fd;   /* of an adopted one, or -1 */
};

/*
 * What is known about a directory without asking its file system, which may be
 * one that hangs, and without triggering an automount.
 */
static int
look_at(const char *path, struct statx *ret_stx)
{
	return statx(AT_FDCWD, path,
		   AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW,
		   STATX_TYPE | STATX_MODE, ret_stx) != 0
	    ? -errno
	    : 0;
}

/* An automount point is there to be mounted upon. */
static bool
is_automount_point(const char *path)
{
	struct statfs st;
	bool is;
	int fd;

	if ((fd = open(path, O_PATH | O_CLOEXEC)) < 0)
		return false;
	is = fstatfs(fd, &st) == 0 && st.f_type == AUTOFS_SUPER_MAGIC;
	(void)close(fd);
	return is;
}

static int
check_mountpoint(const char *path, struct btt_error *error)
{
	struct statx stx;
	int r;

	if ((r = look_at(path, &stx)) < 0)
		return r; /* which says all */
	if (!S_ISDIR(stx.stx_mode))
		return btt_error_set(
		    error, -ENOTDIR, "the mount point is not a directory");
	if ((stx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0 &&
	    (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0 &&
	    !is_automount_point(path))
		return btt_error_set(
		    error, -EBUSY, "a file system is mounted here already");
	return 0;
}

/* Returns the descriptor, or -EPERM where only the helper may mount. */
static int
mount_directly(const struct mount *mnt, const struct mount_options *options,
    struct btt_error *error)
{
	unsigned long flags;
	char data[128];
	int fd, r;

	if ((fd = open(FUSE_DEVICE, O_RDWR | O_CLOEXEC)) < 0)
		return btt_error_set(error, -errno, "%s: %s%s", FUSE_DEVICE,
		    system_error_text(-errno),
		    errno == ENOENT || errno == ENODEV
			? " (is the kernel module 'fuse' loaded?)"
			: "");
	flags = MOUNT_FLAGS;
	if (options->read_only)
		flags |= MS_RDONLY;
	if (options->sync)
		flags |= MS_SYNCHRONOUS;
	snprintf(data, sizeof(data),
	    "fd=%d,rootmode=%o,user_id=%u,group_id=%u,default_permissions%s",
	    fd, S_IFDIR, geteuid(), getegid(),
	    options->allow_other ? ",allow_other" : "");
	if (mount(options->source, mnt->path, FSTYPE, flags, data) != 0) {
		r = system_error(error, -errno, "mounting");
		(void)close(fd);
		return r;
	}
	return fd;
}

/* Text for a list that is separated by commas. */
static void
append_escaped(FILE *stream, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == ',' || *text == '\\')
			fputc('\\', stream);
		fputc(*text, stream);
	}
}

static int
mount_by_helper(const struct mount *mnt, const struct mount_options *options,
    struct btt_error *error)
{
	char *words;
	size_t words_bytes;
	FILE *stream;
	int fd;

	if ((stream = open_memstream(&words, &words_bytes)) == NULL)
		return btt_error_set(error, -ENOMEM, "out of memory");
	fputs(options->read_only ? "ro" : "rw", stream);
	fputs("," MOUNT_WORDS ",default_permissions,subtype=bttfs", stream);
	if (options->sync)
		fputs(",sync", stream);
	if (options->allow_other)
		fputs(",allow_other", stream);
	fputs(",fsname=", stream);
	append_escaped(stream, options->source);
	if (fclose(stream) != 0) {
		free(words);
		return btt_error_set(error, -ENOMEM, "out of memory");
	}
	fd = mount_helper_mount(mnt->path, words, error);
	free(words);
	return fd;
}

/* Returns the descriptor. */
static int
mount_either_way(struct mount *mnt, const struct mount_options *options,
    struct btt_error *error)
{
	int fd;

	mnt->by_helper = false;
	if (geteuid() == 0) {
		fd = mount_directly(mnt, options, error);
		if (fd != -EPERM)
			return fd;
	}
	/* Root without CAP_SYS_ADMIN is nobody special either. */
	mnt->by_helper = true;
	return mount_by_helper(mnt, options, error);
}

static int
unmount(const struct mount *mnt, enum mount_how how, struct btt_error *error)
{
	int flags;

	if (mnt->by_helper)
		return mount_helper_unmount(
		    mnt->path, how == MOUNT_LAZILY, error);
	flags = UMOUNT_NOFOLLOW | (how == MOUNT_LAZILY ? MNT_DETACH : 0);
	if (umount2(mnt->path, flags) == 0)
		return 0;
	return system_error(error, -errno, "unmounting");
}

int
mount_new(const struct mount_options *options, struct mount **ret_mount,
    int *ret_fd, struct btt_error *error)
{
	struct mount *mnt;
	struct statx stx;
	int fd, r;

	if ((mnt = calloc(1, sizeof(*mnt))) == NULL)
		return btt_error_set(error, -ENOMEM, "out of memory");
	mnt->abort_fd = -1;
	if ((mnt->path = realpath(options->path, NULL)) == NULL) {
		r = -errno;
		goto fail;
	}
	if ((r = check_mountpoint(mnt->path, error)) < 0)
		goto fail;
	if ((fd = mount_either_way(mnt, options, error)) < 0) {
		r = fd;
		goto fail;
	}
	if ((r = look_at(mnt->path, &stx)) < 0) {
		(void)system_error(error, r, "looking at the mount");
		goto close_fd;
	}
	mnt->dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
	*ret_mount = mnt;
	*ret_fd = fd;
	return 0;

close_fd:
	(void)close(fd); /* the kernel then fails whatever uses the mount */
	(void)unmount(mnt, MOUNT_LAZILY, NULL); /* best effort */
fail:
	mount_free(mnt);
	return r;
}

int
mount_adopt(const char *path, int abort_fd, struct mount **ret_mount)
{
	struct mount *mnt;

	if ((mnt = calloc(1, sizeof(*mnt))) == NULL)
		return -ENOMEM;
	if ((mnt->path = strdup(path)) == NULL) {
		free(mnt);
		return -ENOMEM;
	}
	mnt->adopted = true;
	mnt->abort_fd = abort_fd;
	*ret_mount = mnt;
	return 0;
}

/* Is a file system of that number one of ours, by the table of mounts? */
static bool
is_ours(dev_t dev)
{
	char number[32], *line = NULL;
	size_t line_bytes = 0;
	bool is = false;
	FILE *table;

	if ((table = fopen("/proc/self/mountinfo", "re")) == NULL)
		return false;
	/* ID, parent, number, ..., a dash, and the type. */
	snprintf(number, sizeof(number), " %u:%u ", major(dev), minor(dev));
	while (!is && getline(&line, &line_bytes, table) > 0)
		is = strstr(line, number) != NULL &&
		    strstr(line, " - " FSTYPE " ") != NULL;
	free(line);
	(void)fclose(table);
	return is;
}

int
mount_find(const char *path, struct mount **ret_mount)
{
	struct mount *mnt = NULL;
	struct statx stx;
	char *real;
	int r;

	/* As mount_new has it; that asks no server for anything. */
	if ((real = realpath(path, NULL)) == NULL)
		return -errno;
	/* Its last component may not be asked for what it is. */
	if ((r = look_at(real, &stx)) == 0 &&
	    ((stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0 ||
		!is_ours(makedev(stx.stx_dev_major, stx.stx_dev_minor))))
		r = -ENOENT;
	if (r == 0)
		r = mount_adopt(real, -1, &mnt);
	free(real);
	if (r < 0)
		return r;
	mnt->adopted = false;
	mnt->dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
	*ret_mount = mnt;
	return 0;
}

const char *
mount_path(const struct mount *mnt)
{
	return mnt->path;
}

bool
mount_is_visible(const struct mount *mnt)
{
	struct statx stx;

	return !mnt->adopted && look_at(mnt->path, &stx) == 0 &&
	    makedev(stx.stx_dev_major, stx.stx_dev_minor) == mnt->dev;
}

int
mount_remove(
    const struct mount *mnt, enum mount_how how, struct btt_error *error)
{
	if (mnt->adopted)
		return btt_error_set(
		    error, -EPERM, "it is unmounted by who mounted it");
	if (!mount_is_visible(mnt))
		return btt_error_set(
		    error, -EBUSY, "something else is mounted over it");
	return unmount(mnt, how, error);
}

int
mount_abort_fd(const struct mount *mnt)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/abort",
	    minor(mnt->dev));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int
mount_abort(const struct mount *mnt)
{
	int fd, r;

	if (mnt->abort_fd >= 0)
		return write(mnt->abort_fd, "1", 1) == 1 ? 0 : -errno;
	if (mnt->adopted)
		return -ENOENT;
	if ((fd = mount_abort_fd(mnt)) < 0)
		return fd;
	r = write(fd, "1", 1) == 1 ? 0 : -errno;
	(void)close(fd);
	return r;
}

void
mount_free(struct mount *mnt)
{
	if (mnt == NULL)
		return;
	free(mnt->path);
	free(mnt);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media_open -- from a path to a medium: open, lock, check, choose.
 *
 * The lock comes before every look at the content, and the size is looked at
 * again at the end: what was checked must be what is used.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lanes/sync.h>

#include "media_impl.h"

/*
 * The first variable that libpmem2 would listen to, as a string the caller
 * frees; NULL if there is none.
 */
static char *
pmem_variable(void)
{
	const char *name;

	for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
		name = *entry;
		if (strncmp(name, "PMEM_", 5) == 0 ||
		    strncmp(name, "PMEM2_", 6) == 0)
			return strndup(name, strcspn(name, "="));
	}
	return NULL;
}

/*
 * PMEM2_FORCE_GRANULARITY=BYTE would turn all flushes off silently.  (What
 * libpmem2 read when it was loaded only chooses among instructions that all
 * do their work.)  Only the first call in a process finds any.
 */
int
media_scrub_environment(void)
{
	char *name;
	int r = 0;

	while (r == 0 && (name = pmem_variable()) != NULL) {
		r = unsetenv(name) < 0 ? -errno : 0;
		free(name);
	}
	return r;
}

int
media_backing_size(const struct media_backing *backing, uint64_t *ret_size)
{
	struct stat st;
	uint64_t size;

	if (backing->identity.is_block_device) {
		if (ioctl(backing->fd, BLKGETSIZE64, &size) < 0)
			return -errno;
		*ret_size = size;
		return 0;
	}
	if (fstat(backing->fd, &st) < 0)
		return -errno;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

int
media_open_backing(const char *path, bool read_only, struct btt_error *error)
{
	int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY;
	struct stat st;
	int fd, r;

	if (stat(path, &st) < 0)
		return -errno;
	/* Of block devices only: O_EXCL says nothing else without O_CREAT. */
	if (S_ISBLK(st.st_mode))
		flags |= O_EXCL;
	else if (S_ISREG(st.st_mode))
		flags |= O_NONBLOCK; /* should it be a FIFO by now */
	else
		return btt_error_set(
		    error, -EINVAL, "neither a file nor a block device");
	if ((fd = open(path, flags)) >= 0)
		return fd;
	r = -errno;
	if (r == -EBUSY && S_ISBLK(st.st_mode))
		return media_busy(st.st_dev, st.st_ino, true, error);
	return r;
}

int
media_open(const char *path, const struct media_options *options,
    struct media **ret_media, struct btt_error *error)
{
	int fd;

	if ((fd = media_open_backing(path, options->read_only, error)) < 0)
		return fd;
	return media_open_fd(fd, path, options, ret_media, error);
}

/* The system's name for what one of our descriptors refers to. */
#define FD_PATH_BYTES 32u

static void
make_fd_path(int fd, char ret_path[FD_PATH_BYTES])
{
	(void)snprintf(ret_path, FD_PATH_BYTES, "/proc/self/fd/%d", fd);
}

int
media_open_at(int path_fd, const char *path,
    const struct media_options *options, struct media **ret_media,
    struct btt_error *error)
{
	char fd_path[FD_PATH_BYTES];
	int fd;

	make_fd_path(path_fd, fd_path);
	if ((fd = media_open_backing(fd_path, options->read_only, error)) < 0)
		return fd;
	return media_open_fd(fd, path, options, ret_media, error);
}

/* A block device that takes no writes can be opened for them all the same. */
static bool
is_read_only_device(const struct media_backing *backing)
{
	int value;

	return backing->identity.is_block_device &&
	    ioctl(backing->fd, BLKROGET, &value) == 0 && value != 0;
}

int
media_identify(
    int fd, struct media_identity *ret_identity, struct btt_error *error)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return btt_error_set(
		    error, -EINVAL, "neither a file nor a block device");
	ret_identity->is_block_device = S_ISBLK(st.st_mode);
	if (ret_identity->is_block_device) {
		ret_identity->device = st.st_rdev;
		ret_identity->inode = 0;
	} else {
		ret_identity->device = st.st_dev;
		ret_identity->inode = st.st_ino;
	}
	return 0;
}

/* Fill in what the descriptor refers to, if it is of use. */
static int
identify(struct media_backing *backing, struct btt_error *error)
{
	int flags, r;

	if ((r = media_identify(backing->fd, &backing->identity, error)) < 0)
		return r;
	if ((flags = fcntl(backing->fd, F_GETFL)) < 0)
		return -errno;
	/* pwrite() of an O_APPEND descriptor ignores the offset. */
	if ((flags & O_ACCMODE) == O_WRONLY ||
	    (flags & (O_APPEND | O_DIRECT | O_PATH)) != 0)
		return btt_error_set(error, -EINVAL,
		    "opened in a way that does not allow random access");
	if ((flags & O_ACCMODE) == O_RDONLY && !backing->read_only)
		return btt_error_set(error, -EROFS, "opened for reading only");
	if (!backing->read_only && is_read_only_device(backing))
		return btt_error_set(error, -EROFS, "is a read-only device");
	if (fcntl(backing->fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

/*
 * Be sure of what is there before relying on it: what others have written is
 * on the medium, and failed there before it is mistaken for our failure.
 */
static int
settle(const struct media_backing *backing, const char *path,
    const struct media_options *options, struct btt_error *error)
{
	int r;

	if (backing->size == 0)
		return btt_error_set(error, -EINVAL, "is empty");
	if (backing->read_only)
		return 0;
	if (SYNC_SLEEPS(fsync(backing->fd)) < 0) {
		r = -errno;
		return media_system_error(
		    error, r, "what was written to it before cannot be synced");
	}
	if (options->allow_sparse || backing->identity.is_block_device)
		return 0;
	return media_backing_check_blocks(backing, path, error);
}

bool
media_is_dax_fd(int fd)
{
	struct media_backing backing = { .fd = fd, .read_only = true };

	return media_identify(fd, &backing.identity, NULL) == 0 &&
	    media_backing_size(&backing, &backing.size) == 0 &&
	    media_backing_is_dax(&backing);
}

bool
media_is_dax(const char *path)
{
	bool is;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return false;
	is = media_is_dax_fd(fd);
	(void)close(fd); /* nothing was written */
	return is;
}

/* Whatever is not known to be persistent memory has a page cache. */
static int
make_medium(const struct media_backing *backing, enum media_force force,
    struct media **ret_media, struct btt_error *error)
{
	if (force == MEDIA_FORCE_PAGE ||
	    (force == MEDIA_FORCE_NONE && !media_backing_is_dax(backing)))
		return media_page_new(backing, ret_media, error);
	return media_pmem2_new(backing, force, ret_media, error);
}

int
media_open_fd(int fd, const char *path, const struct media_options *options,
    struct media **ret_media, struct btt_error *error)
{
	struct media_backing backing = {
		.fd = fd,
		.read_only = options->read_only,
	};
	struct media *media;
	uint64_t size = 0;
	int r;

	if ((r = media_scrub_environment()) < 0 ||
	    (r = identify(&backing, error)) < 0 ||
	    (r = media_backing_lock(&backing, error)) < 0 ||
	    (r = media_backing_size(&backing, &backing.size)) < 0 ||
	    (r = settle(&backing, path, options, error)) < 0 ||
	    (r = make_medium(&backing, options->force, &media, error)) < 0)
		goto fail;

	/* The medium owns the descriptor now. */
	r = media_backing_size(&backing, &size);
	if (r == 0 && size != backing.size)
		r = btt_error_set(
		    error, -EBUSY, "changes its size while it is opened");
	if (r < 0) {
		media_close(media);
		return r;
	}
	*ret_media = media;
	return 0;

fail:
	(void)close(fd); /* nothing was written */
	return r;
}

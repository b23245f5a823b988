/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <btt/format.h>
#include <lanes/sync.h>

#include "backing.h"
#include "interrupt.h"
#include "progress.h"
#include "size.h"
#include "system_error.h"

/* What one call is asked to do between two looks at the progress. */
#define STEP_ALLOCATE (UINT64_C(1) << 30)
#define STEP_WRITE (UINT64_C(1) << 22)

/*
 * Around the start, the end, and every multiple of the largest arena: each
 * info block of each layout lies within this many bytes of one of them.
 */
#define WIPE_BYTES (UINT64_C(1) << 20)

/* A way to make len bytes at off read as zeroes; 0 or a negative errno. */
typedef int zero_fn(int fd, uint64_t off, uint64_t len);

struct method {
	const char *name;  /* for people */
	const char *label; /* of the progress line; NULL ends a list */
	zero_fn *zero;
	uint64_t step;
};

static int
zero_allocate(int fd, uint64_t off, uint64_t len)
{
	return fallocate(fd, 0, (off_t)off, (off_t)len) < 0 ? -errno : 0;
}

static int
zero_range(int fd, uint64_t off, uint64_t len)
{
	return fallocate(fd, FALLOC_FL_ZERO_RANGE, (off_t)off, (off_t)len) < 0
	    ? -errno
	    : 0;
}

static int
zero_punch(int fd, uint64_t off, uint64_t len)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		   (off_t)off, (off_t)len) < 0
	    ? -errno
	    : 0;
}

static int
zero_punch_allocate(int fd, uint64_t off, uint64_t len)
{
	int r;

	if ((r = zero_punch(fd, off, len)) < 0)
		return r;
	return zero_allocate(fd, off, len);
}

/* The kernel promises zeroes from this one, and writes them if it must. */
static int
zero_device(int fd, uint64_t off, uint64_t len)
{
	uint64_t range[2] = { off, len };

	if (ioctl(fd, BLKZEROOUT, range) == 0)
		return 0;
	return errno == ENOTTY || errno == EINVAL ? -EOPNOTSUPP : -errno;
}

static int
zero_write(int fd, uint64_t off, uint64_t len)
{
	static const char zeroes[64 * 1024];
	uint64_t done;
	ssize_t n;

	for (done = 0; done < len; done += (uint64_t)n) {
		n = SYNC_SLEEPS(pwrite(fd, zeroes,
		    len - done < sizeof(zeroes) ? (size_t)(len - done)
						: sizeof(zeroes),
		    (off_t)(off + done)));
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENOSPC;
	}
	/* Start writing now, lest the sync at the end has it all to do. */
	(void)sync_file_range(
	    fd, (off_t)off, (off_t)len, SYNC_FILE_RANGE_WRITE);
	return 0;
}

/*
 * Tried in this order, the next one where the system does not know the last.
 * posix_fallocate(3) is not among them: where the file system cannot allocate
 * it reads and writes one byte a block, racing with whoever else does.
 */
static const struct method new_file[] = {
	{ "allocated", "Allocating", zero_allocate, STEP_ALLOCATE },
	{ "written with zeroes", "Writing zeroes", zero_write, STEP_WRITE },
	{ NULL, NULL, NULL, 0 },
};
static const struct method old_file[] = {
	{ "zeroed in place", "Zeroing", zero_range, STEP_ALLOCATE },
	{ "freed and allocated again", "Zeroing", zero_punch_allocate,
	    STEP_ALLOCATE },
	{ "written with zeroes", "Writing zeroes", zero_write, STEP_WRITE },
	{ NULL, NULL, NULL, 0 },
};
static const struct method old_sparse_file[] = {
	{ "freed", "Zeroing", zero_punch, STEP_ALLOCATE },
	{ "written with zeroes", "Writing zeroes", zero_write, STEP_WRITE },
	{ NULL, NULL, NULL, 0 },
};
static const struct method block_device[] = {
	{ "zeroed by the device", "Zeroing", zero_device, STEP_WRITE * 16 },
	{ "written with zeroes", "Writing zeroes", zero_write, STEP_WRITE },
	{ NULL, NULL, NULL, 0 },
};

/* Zero len bytes at off by *method or, where that is unknown, the next one. */
static int
zero_step(int fd, uint64_t off, uint64_t len, const struct method **method)
{
	int r;

	for (;;) {
		r = (*method)->zero(fd, off, len);
		if (r != -EOPNOTSUPP || (*method)[1].label == NULL)
			return r;
		(*method)++;
	}
}

static int
zero_all(int fd, uint64_t size, const struct method *method, bool show,
    const char **ret_method)
{
	const struct method *begun;
	struct progress progress;
	uint64_t off, len;
	int r;

	r = 0;
	begun = NULL;
	for (off = 0; off < size && r == 0; off += len) {
		if (method != begun) {
			if (begun != NULL)
				progress_end(&progress);
			progress_begin(
			    &progress, method->label, PROGRESS_BYTES, show);
			begun = method;
		}
		progress_update(&progress, off, size);
		len = size - off < method->step ? size - off : method->step;
		r = zero_step(fd, off, len, &method);
	}
	if (begun != NULL)
		progress_end(&progress);
	*ret_method = method->name;
	return r;
}

/*
 * Zero the places where info blocks can be and make that durable, before the
 * long work: if we die in the middle of it, nothing may pass for a BTT.
 */
static int
wipe(const struct backing *backing)
{
	uint64_t middle, start, end;
	int r;

	for (middle = 0;; middle += BTT_ARENA_MAX_BYTES) {
		if (middle > backing->size)
			middle = backing->size;
		start = middle < WIPE_BYTES ? 0 : middle - WIPE_BYTES;
		end = backing->size - middle < WIPE_BYTES ? backing->size
							  : middle + WIPE_BYTES;
		if ((r = zero_write(backing->fd, start, end - start)) < 0)
			return r;
		if (middle == backing->size)
			break;
	}
	return SYNC_SLEEPS(fdatasync(backing->fd)) < 0 ? -errno : 0;
}

/* Is there room for the bytes that are not allocated yet? */
static int
check_room(
    const struct backing *backing, uint64_t size, struct btt_error *error)
{
	char need[SIZE_TEXT_BYTES], have[SIZE_TEXT_BYTES];
	struct statvfs fs;
	struct stat st;
	uint64_t free_bytes, missing;

	if (fstat(backing->fd, &st) < 0 || fstatvfs(backing->fd, &fs) < 0)
		return btt_error_set(
		    error, -errno, "%s", system_error_text(-errno));
	/* Some file systems do not say how large they are. */
	if (fs.f_blocks == 0)
		return 0;
	missing = (uint64_t)st.st_blocks * 512;
	missing = size > missing ? size - missing : 0;
	free_bytes = (geteuid() == 0 ? fs.f_bfree : fs.f_bavail) * fs.f_frsize;
	if (missing <= free_bytes)
		return 0;
	size_format(missing, need);
	size_format(free_bytes, have);
	return btt_error_set(error, -ENOSPC,
	    "%s more are needed, the file system has %s free", need, have);
}

/* Is this a file on btrfs that is to be copied when it is written? */
static bool
is_copy_on_write(int fd, int *ret_flags)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == BTRFS_SUPER_MAGIC &&
	    ioctl(fd, FS_IOC_GETFLAGS, ret_flags) == 0 &&
	    (*ret_flags & FS_NOCOW_FL) == 0;
}

/*
 * Copy-on-write would allocate for each overwrite, and so could run out of
 * room in the middle of one.  It can be turned off while a file is empty.
 */
static void
disable_copy_on_write(int fd)
{
	int flags;

	if (!is_copy_on_write(fd, &flags))
		return;
	flags |= FS_NOCOW_FL;
	/* Whether it worked is looked at when the file is used. */
	(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

static int
make_file_zero(struct backing *backing, uint64_t size,
    const struct backing_options *options, const char **ret_method,
    struct btt_error *error)
{
	const struct method *methods;
	uint64_t end;
	int flags, r;

	/* The medium would refuse it too, but only when its content is gone. */
	if (!options->sparse && is_copy_on_write(backing->fd, &flags))
		return btt_error_set(error, -EOPNOTSUPP,
		    "is copy-on-write, which cannot be changed while it holds "
		    "something; remove it first, or use --sparse");

	/* A sparse file needs no more than it has; its holes are zeroes. */
	end = options->sparse && size > backing->old_size ? backing->old_size
							  : size;
	methods = backing->old_size == 0 ? new_file
	    : options->sparse            ? old_sparse_file
					 : old_file;
	if (!options->sparse && (r = check_room(backing, size, error)) < 0)
		return r;
	if ((r = wipe(backing)) < 0)
		return btt_error_set(
		    error, r, "cannot be written: %s", system_error_text(r));
	/* Some files of servers have a length and cannot be given one. */
	if (size != backing->old_size &&
	    ftruncate(backing->fd, (off_t)size) < 0)
		return btt_error_set(error, -errno,
		    "cannot be made %ju bytes long: %s", (uintmax_t)size,
		    system_error_text(-errno));
	backing->size = size;
	*ret_method = "left sparse";
	if (end > 0 &&
	    (r = zero_all(
		 backing->fd, end, methods, options->progress, ret_method)) < 0)
		return btt_error_set(
		    error, r, "cannot be allocated: %s", system_error_text(r));
	return 0;
}

static int
make_device_zero(struct backing *backing, uint64_t size,
    const struct backing_options *options, const char **ret_method,
    struct btt_error *error)
{
	int r;

	if (size != backing->size)
		return btt_error_set(error, -EINVAL,
		    "the block device has %ju bytes, not %ju",
		    (uintmax_t)backing->size, (uintmax_t)size);
	if ((r = wipe(backing)) < 0 ||
	    (r = zero_all(backing->fd, size, block_device, options->progress,
		 ret_method)) < 0)
		return btt_error_set(
		    error, r, "cannot be zeroed: %s", system_error_text(r));
	return 0;
}

int
backing_make_zero(struct backing *backing, uint64_t size,
    const struct backing_options *options, const char **ret_method,
    struct btt_error *error)
{
	int r;

	if (size > INT64_MAX)
		return btt_error_set(
		    error, -EFBIG, "no file can be that large");
	r = backing->is_block_device
	    ? make_device_zero(backing, size, options, ret_method, error)
	    : make_file_zero(backing, size, options, ret_method, error);
	if (r < 0)
		return r;
	/*
	 * The zeroes must be durable before a BTT is: sectors never written
	 * show what lies in their block, and that must not be old data.
	 */
	if (SYNC_SLEEPS(fsync(backing->fd)) < 0)
		return btt_error_set(
		    error, -errno, "%s", system_error_text(-errno));
	return 0;
}

/*
 * The path could not be opened or locked: say why as media_open does, which
 * knows how to find out who holds it.
 */
static int
explain(const char *path, struct btt_error *error)
{
	const struct media_options options = { .allow_sparse = true };
	struct media *media;
	int r;

	if ((r = media_open(path, &options, &media, error)) < 0)
		return r;
	/* It has just been let go; whoever did may not be done with it. */
	media_close(media);
	return btt_error_set(error, -EBUSY, "was in use a moment ago");
}

/*
 * The locks that media take, and therefore respect.  Block devices are locked
 * by O_EXCL already.
 */
static int
lock(const struct backing *backing, struct btt_error *error)
{
	struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (backing->is_block_device)
		return 0;
	if (flock(backing->fd, LOCK_EX | LOCK_NB) == 0 &&
	    fcntl(backing->fd, F_OFD_SETLK, &range) == 0)
		return 0;
	/* Should it be the second, we are not the holder to be named. */
	(void)flock(backing->fd, LOCK_UN);
	return explain(backing->path, error);
}

int
backing_open(
    const char *path, struct backing *ret_backing, struct btt_error *error)
{
	struct backing backing = { .path = path };
	struct stat st;
	int r;

	/* Not to hang on a FIFO; O_EXCL is for block devices, see open(2). */
	backing.fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC | O_NONBLOCK);
	if (backing.fd < 0)
		return errno == ENOENT ? -ENOENT : explain(path, error);
	if (fstat(backing.fd, &st) < 0) {
		r = -errno;
		goto fail;
	}
	backing.is_block_device = S_ISBLK(st.st_mode);
	if (!backing.is_block_device && !S_ISREG(st.st_mode)) {
		r = btt_error_set(
		    error, -EINVAL, "neither a file nor a block device");
		goto fail;
	}
	if ((r = lock(&backing, error)) < 0)
		goto fail;
	backing.size = (uint64_t)st.st_size;
	if (backing.is_block_device &&
	    ioctl(backing.fd, BLKGETSIZE64, &backing.size) < 0) {
		r = -errno;
		goto fail;
	}
	backing.old_size = backing.size;
	if (backing.size == 0)
		disable_copy_on_write(backing.fd);
	*ret_backing = backing;
	return 0;

fail:
	close(backing.fd);
	return r;
}

int
backing_create(
    const char *path, struct backing *ret_backing, struct btt_error *error)
{
	struct backing backing = { .path = path, .is_new = true };
	int r;

	if ((backing.fd = interrupt_create(path)) < 0)
		return backing.fd;
	disable_copy_on_write(backing.fd);
	if ((r = lock(&backing, error)) < 0) {
		backing_close(&backing);
		return r;
	}
	*ret_backing = backing;
	return 0;
}

int
backing_media(const struct backing *backing,
    const struct media_options *options, struct media **ret_media,
    struct btt_error *error)
{
	int fd;

	/* A duplicate shares the lock, which lives until both are closed. */
	fd = fcntl(backing->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	return media_open_fd(fd, backing->path, options, ret_media, error);
}

/* A new file survives a crash when its directory has been synced too. */
static int
sync_directory(const char *path)
{
	const char *slash;
	char *directory;
	int fd, r;

	slash = strrchr(path, '/');
	directory = slash == NULL ? strdup(".")
				  : strndup(path, (size_t)(slash - path) + 1);
	if (directory == NULL)
		return -ENOMEM;
	r = 0;
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(directory);
	if (fd < 0)
		return -errno;
	/* Not all file systems can sync directories; EINVAL says so. */
	if (SYNC_SLEEPS(fsync(fd)) < 0 && errno != EINVAL)
		r = -errno;
	close(fd);
	return r;
}

int
backing_keep(struct backing *backing, struct btt_error *error)
{
	int r;

	if (backing->is_new && (r = sync_directory(backing->path)) < 0)
		return btt_error_set(error, r,
		    "its directory cannot be synced: %s", system_error_text(r));
	backing->is_kept = true;
	interrupt_keep();
	return 0;
}

void
backing_close(struct backing *backing)
{
	if (backing->is_kept)
		;
	else if (backing->is_new)
		interrupt_remove();
	else if (!backing->is_block_device &&
	    backing->size > backing->old_size &&
	    ftruncate(backing->fd, (off_t)backing->old_size) < 0)
		errno = 0; /* the error that brought us here is the one told */
	close(backing->fd);
	backing->fd = -1;
}

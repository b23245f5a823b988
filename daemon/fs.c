/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fs -- names and attributes of the tree, by libfuse.
 *
 * Several threads call in here at once.  Devices are found without a lock: a
 * slot of the table is set once and the device outlives the tree.
 */
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fuse_lowlevel.h>

#include "fs.h"
#include "fs_uapi.h"

/*
 * Nothing changes behind the kernel's back but by our own doing, so what it
 * was told holds until it is told otherwise.
 */
#define FOREVER_SECONDS 86400.0

/* Permission to pass, so that the owner of a file gets at it by its name. */
#define ROOT_MODE (S_IFDIR | 0711)

/* What tools should read and write at once: cmp(1) and cp(1) believe it. */
#define GOOD_IO_BYTES (1u << 20)

/* Found, inserted, referenced, nothing else: never held over I/O (CP-12). */
static const struct lock_class registry_class = {
	.name = "fs-registry",
	.rank = 30,
	.flags = 0,
};

/* Keys: I immutable after fs_new, a atomic, R registry. */
struct fs {
	struct mutex registry;
	unsigned ndevice;       /* [R] slots from the first on that are set */
	unsigned nflush;        /* [R] devices that need FSYNC */
	bool fsync_elided;      /* [R] and the kernel knows */
	struct timespec opened; /* [I] times of the directory */
	/* [a] read without the lock; set once, after the device is complete */
	_Atomic(struct device *) devices[FS_DEVICE_MAX];
};

int
fs_new(struct fs **ret_fs)
{
	struct fs *fs;

	if ((fs = calloc(1, sizeof(*fs))) == NULL)
		return -ENOMEM;
	mutex_init(&fs->registry, &registry_class);
	(void)clock_gettime(CLOCK_REALTIME, &fs->opened); /* cannot fail */
	*ret_fs = fs;
	return 0;
}

void
fs_free(struct fs *fs)
{
	if (fs == NULL)
		return;
	mutex_fini(&fs->registry);
	free(fs);
}

static fuse_ino_t
number_to_ino(unsigned number)
{
	return (fuse_ino_t)number + FUSE_ROOT_ID;
}

static struct device *
device_by_number(struct fs *fs, uint64_t number)
{
	if (number < 1 || number > FS_DEVICE_MAX)
		return NULL;
	return atomic_load(&fs->devices[number - 1]);
}

struct device *
fs_device(struct fs *fs, uint64_t nodeid)
{
	return device_by_number(fs, nodeid - FUSE_ROOT_ID);
}

/* Returns the device of that name and its number, or NULL. */
static struct device *
device_by_name(struct fs *fs, const char *name, unsigned *ret_number)
{
	struct device *device;
	unsigned number;

	for (number = 1; number <= FS_DEVICE_MAX; number++) {
		device = device_by_number(fs, number);
		if (device == NULL)
			return NULL;
		if (strcmp(device->name, name) == 0) {
			*ret_number = number;
			return device;
		}
	}
	return NULL;
}

static int
add_locked(struct fs *fs, struct device *device, struct btt_error *error)
    REQUIRES(fs->registry)
{
	unsigned number;

	if (device_by_name(fs, device->name, &number) != NULL)
		return btt_error_set(error, -EEXIST,
		    "there is a device named '%s' already", device->name);
	if (fs->ndevice == FS_DEVICE_MAX)
		return btt_error_set(error, -ENOSPC,
		    "there are %u devices already", FS_DEVICE_MAX);
	if (device_needs_flush(device)) {
		if (fs->fsync_elided)
			return btt_error_set(error, -EBUSY,
			    "durability=flush needs a mount of its own: this "
			    "one serves devices that are durable on write");
		fs->nflush++;
	}
	/* Last: from here on requests find it. */
	atomic_store(&fs->devices[fs->ndevice++], device);
	return 0;
}

int
fs_add(struct fs *fs, struct device *device, struct btt_error *error)
{
	int r;

	mutex_lock(&fs->registry);
	r = add_locked(fs, device, error);
	mutex_unlock(&fs->registry);
	return r;
}

void
fs_visit(struct fs *fs, fs_visit_fn *fn, void *arg)
{
	struct device *device;
	unsigned number;

	for (number = 1; number <= FS_DEVICE_MAX; number++) {
		device = device_by_number(fs, number);
		if (device == NULL)
			return;
		fn(arg, device);
	}
}

bool
fs_elide_fsync(struct fs *fs)
{
	bool elide;

	mutex_lock(&fs->registry);
	elide = fs->nflush == 0;
	fs->fsync_elided = elide;
	mutex_unlock(&fs->registry);
	return elide;
}

static struct fs *
request_fs(fuse_req_t req)
{
	const struct fs_context *context;

	context = fuse_req_userdata(req);
	return context->fs;
}

static void
stat_root(const struct fs *fs, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = FUSE_ROOT_ID;
	st->st_mode = ROOT_MODE;
	st->st_nlink = 2;
	st->st_uid = geteuid();
	st->st_gid = getegid();
	st->st_blksize = GOOD_IO_BYTES;
	st->st_atim = fs->opened;
	st->st_mtim = fs->opened;
	st->st_ctim = fs->opened;
}

static void
stat_device(const struct device *device, fuse_ino_t ino,
    const struct device_attr *attr, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = ino;
	st->st_mode = S_IFREG | attr->mode;
	st->st_nlink = 1;
	st->st_uid = attr->uid;
	st->st_gid = attr->gid;
	st->st_size = (off_t)device->geometry.size_bytes;
	/* All of it: a tool that believes in a hole would not copy. */
	st->st_blocks = (blkcnt_t)(device->geometry.size_bytes / 512);
	st->st_blksize = GOOD_IO_BYTES;
	st->st_atim = attr->atime;
	st->st_mtim = attr->mtime;
	st->st_ctim = attr->ctime;
}

static void
fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {
		.attr_timeout = FOREVER_SECONDS,
		.entry_timeout = FOREVER_SECONDS,
	};
	struct device_attr attr;
	struct device *device;
	unsigned number;

	if (parent != FUSE_ROOT_ID) {
		fuse_reply_err(req, ENOTDIR);
		return;
	}
	device = device_by_name(request_fs(req), name, &number);
	if (device == NULL) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	device_attr_get(device, &attr);
	entry.ino = number_to_ino(number);
	stat_device(device, entry.ino, &attr, &entry.attr);
	fuse_reply_entry(req, &entry);
}

static void
fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct device_attr attr;
	struct device *device;
	struct stat st;

	(void)fi;
	if (ino == FUSE_ROOT_ID) {
		stat_root(request_fs(req), &st);
	} else if ((device = fs_device(request_fs(req), ino)) != NULL) {
		device_attr_get(device, &attr);
		stat_device(device, ino, &attr, &st);
	} else {
		fuse_reply_err(req, ENOENT);
		return;
	}
	fuse_reply_attr(req, &st, FOREVER_SECONDS);
}

/* One setattr: what of wanted is meant is in to_set. */
struct change {
	const struct stat *wanted;
	int to_set;
};

static void
change_attr(void *arg, struct device_attr *attr)
{
	const struct change *change;
	const struct stat *wanted;
	struct timespec now;
	int to_set;

	change = arg;
	wanted = change->wanted;
	to_set = change->to_set;
	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	/* Set-id bits mean nothing on a disk, and would have to be cleared by
	 * every write. */
	if ((to_set & FUSE_SET_ATTR_MODE) != 0)
		attr->mode = wanted->st_mode & 0777;
	if ((to_set & FUSE_SET_ATTR_UID) != 0)
		attr->uid = wanted->st_uid;
	if ((to_set & FUSE_SET_ATTR_GID) != 0)
		attr->gid = wanted->st_gid;
	if ((to_set & FUSE_SET_ATTR_ATIME_NOW) != 0)
		attr->atime = now;
	else if ((to_set & FUSE_SET_ATTR_ATIME) != 0)
		attr->atime = wanted->st_atim;
	if ((to_set & FUSE_SET_ATTR_MTIME_NOW) != 0)
		attr->mtime = now;
	else if ((to_set & FUSE_SET_ATTR_MTIME) != 0)
		attr->mtime = wanted->st_mtim;
	attr->ctime = now;
}

static void
fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *wanted, int to_set,
    struct fuse_file_info *fi)
{
	struct change change = { .wanted = wanted, .to_set = to_set };
	struct device_attr attr;
	struct device *device;
	struct stat st;

	(void)fi;
	if (ino == FUSE_ROOT_ID) {
		fuse_reply_err(req, EPERM);
		return;
	}
	if ((device = fs_device(request_fs(req), ino)) == NULL) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	/* As on a block device, the size is what it is. */
	if ((to_set & FUSE_SET_ATTR_SIZE) != 0 &&
	    wanted->st_size != (off_t)device->geometry.size_bytes) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	device_attr_change(device, change_attr, &change, &attr);
	stat_device(device, ino, &attr, &st);
	fuse_reply_attr(req, &st, FOREVER_SECONDS);
}

/*
 * Entries of the directory by position: ".", "..", then the devices.  Fills
 * ret_st as far as readdir(3) sees it.
 */
static const char *
entry_at(struct fs *fs, uint64_t position, struct stat *ret_st)
{
	struct device *device;

	memset(ret_st, 0, sizeof(*ret_st));
	if (position < 2) {
		ret_st->st_ino = FUSE_ROOT_ID;
		ret_st->st_mode = S_IFDIR;
		return position == 0 ? "." : "..";
	}
	if ((device = device_by_number(fs, position - 1)) == NULL)
		return NULL;
	ret_st->st_ino = number_to_ino((unsigned)(position - 1));
	ret_st->st_mode = S_IFREG;
	return device->name;
}

static void
fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
    struct fuse_file_info *fi)
{
	char entries[4096];
	const char *name;
	struct stat st;
	size_t used, n;

	(void)fi;
	if (ino != FUSE_ROOT_ID) {
		fuse_reply_err(req, ENOTDIR);
		return;
	}
	if (size > sizeof(entries))
		size = sizeof(entries);
	used = 0;
	while ((name = entry_at(request_fs(req), (uint64_t)off, &st)) != NULL) {
		off++;
		n = fuse_add_direntry(
		    req, entries + used, size - used, name, &st, off);
		if (n > size - used)
			break;
		used += n;
	}
	fuse_reply_buf(req, entries, used);
}

static void
fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fuse_open_out out;
	struct device *device;

	if ((device = fs_device(request_fs(req), ino)) == NULL) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	if ((fi->flags & O_ACCMODE) != O_RDONLY &&
	    device_state(device) == DEVICE_READONLY) {
		fuse_reply_err(req, EROFS);
		return;
	}
	/*
	 * No page cache: sizes and O_DSYNC reach us as they were asked for,
	 * and writers run side by side, which libfuse 3.14 has no field for
	 * (fuse.md 3.3).  O_TRUNC does nothing, as on a block device.
	 */
	out = (struct fuse_open_out){
		.fh = ino - FUSE_ROOT_ID,
		.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES |
		    FOPEN_NOFLUSH,
	};
	atomic_fetch_add(&device->nopen, 1);
	/* An open that was interrupted meanwhile has no release. */
	if (fuse_reply_buf(req, (const char *)&out, sizeof(out)) == -ENOENT)
		atomic_fetch_sub(&device->nopen, 1);
}

static void
fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct device *device;

	(void)fi;
	if ((device = fs_device(request_fs(req), ino)) != NULL)
		atomic_fetch_sub(&device->nopen, 1);
	fuse_reply_err(req, 0);
}

/*
 * Space that is handed out in units of a sector, or of a page where the sectors
 * are smaller: loop devices take it for the granularity of discards.
 */
static uint32_t
discard_bytes(const struct device *device)
{
	const uint32_t page = 4096;

	return device->geometry.sector_bytes > page
	    ? device->geometry.sector_bytes
	    : page;
}

struct space {
	uint64_t ndevice;
	uint64_t bytes;
	uint32_t unit;
};

static void
add_space(void *arg, struct device *device)
{
	struct space *space;

	space = arg;
	space->ndevice++;
	space->bytes += device->geometry.size_bytes;
	if (space->unit < discard_bytes(device))
		space->unit = discard_bytes(device);
}

static void
fs_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct space space = { .unit = 4096 };
	struct statvfs st = { 0 };
	struct device *device;

	if ((device = fs_device(request_fs(req), ino)) != NULL)
		add_space(&space, device);
	else
		fs_visit(request_fs(req), add_space, &space);
	st.f_bsize = space.unit;
	st.f_frsize = space.unit;
	st.f_blocks = space.bytes / space.unit;
	st.f_files = space.ndevice;
	st.f_namemax = NAME_MAX;
	fuse_reply_statfs(req, &st);
}

/* XFS_IOC_DIOINFO, by which QEMU learns what direct I/O must align to. */
struct dioinfo {
	uint32_t mem_align;
	uint32_t min_bytes;
	uint32_t max_bytes;
};
#define IOC_DIOINFO _IOR('X', 30, struct dioinfo)

/*
 * Only what a command's number says about its argument can be copied back, so
 * BLKSSZGET, whose number says nothing, must fail: the caller would read its
 * own garbage.
 */
static void
fs_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg,
    struct fuse_file_info *fi, unsigned flags, const void *in_buf,
    size_t in_bytes, size_t out_bytes)
{
	struct device *device;
	struct dioinfo dioinfo;
	uint64_t size_bytes;

	(void)arg, (void)fi, (void)flags, (void)in_buf, (void)in_bytes;
	if ((device = fs_device(request_fs(req), ino)) == NULL) {
		fuse_reply_err(req, ENOTTY);
	} else if (cmd == IOC_DIOINFO && out_bytes >= sizeof(dioinfo)) {
		dioinfo.mem_align = 512;
		dioinfo.min_bytes = device->geometry.sector_bytes;
		dioinfo.max_bytes =
		    INT_MAX / dioinfo.min_bytes * dioinfo.min_bytes;
		fuse_reply_ioctl(req, 0, &dioinfo, sizeof(dioinfo));
	} else if (cmd == BLKGETSIZE64 && out_bytes >= sizeof(size_bytes)) {
		size_bytes = device->geometry.size_bytes;
		fuse_reply_ioctl(req, 0, &size_bytes, sizeof(size_bytes));
	} else
		fuse_reply_err(req, ENOTTY);
}

/*
 * Files come and go by the control plane only.  Without these the answer would
 * be ENOSYS, which reads as if the system were broken.
 */
static void
fs_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
    struct fuse_file_info *fi)
{
	(void)parent, (void)name, (void)mode, (void)fi;
	fuse_reply_err(req, EPERM);
}

static void
fs_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
    dev_t rdev)
{
	(void)parent, (void)name, (void)mode, (void)rdev;
	fuse_reply_err(req, EPERM);
}

static void
fs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	(void)parent, (void)name, (void)mode;
	fuse_reply_err(req, EPERM);
}

static void
fs_symlink(
    fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	(void)target, (void)parent, (void)name;
	fuse_reply_err(req, EPERM);
}

static void
fs_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent, (void)name;
	fuse_reply_err(req, EPERM);
}

static void
fs_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
    fuse_ino_t new_parent, const char *new_name, unsigned flags)
{
	(void)parent, (void)name, (void)new_parent, (void)new_name, (void)flags;
	fuse_reply_err(req, EPERM);
}

/*
 * Left out on purpose: xattr (a GETXATTR before each write), locks (the
 * kernel's own are right), poll, flush.  READ, WRITE, FSYNC, FALLOCATE and
 * LSEEK are fs_io.h's and never come here.
 */
const struct fuse_lowlevel_ops *
fs_operations(void)
{
	static const struct fuse_lowlevel_ops operations = {
		.lookup = fs_lookup,
		.getattr = fs_getattr,
		.setattr = fs_setattr,
		.readdir = fs_readdir,
		.open = fs_open,
		.release = fs_release,
		.statfs = fs_statfs,
		.ioctl = fs_ioctl,
		.create = fs_create,
		.mknod = fs_mknod,
		.mkdir = fs_mkdir,
		.symlink = fs_symlink,
		.unlink = fs_unlink,
		.rename = fs_rename,
	};

	return &operations;
}

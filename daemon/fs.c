/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fs -- names and attributes of the tree, by libfuse.
 *
 * Several threads call in here at once.  Each takes a reference to the device
 * that it is asked about and looks at what does not change while there is one,
 * or at what is published: never at the BTT, which may be closed meanwhile.
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
 * was told holds until it is told otherwise.  That there is no file of a name
 * it does not remember at all.
 */
#define FOREVER_SECONDS 86400.0
/* But the directory's times, which change with every device. */
#define ROOT_SECONDS 1.0

/* Permission to pass, so that the owner of a file gets at it by its name. */
#define ROOT_MODE (S_IFDIR | 0711)

/* What tools should read and write at once: cmp(1) and cp(1) believe it. */
#define GOOD_IO_BYTES (1u << 20)

static const struct fs_context *
request_context(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* A reference to the device of a file, or NULL. */
static struct device *
request_device(fuse_req_t req, fuse_ino_t ino)
{
	return tree_find(request_context(req)->tree, ino);
}

static void
stat_root(struct tree *tree, struct stat *st)
{
	struct timespec changed;

	tree_get_changed(tree, &changed);
	memset(st, 0, sizeof(*st));
	st->st_ino = FUSE_ROOT_ID;
	st->st_mode = ROOT_MODE;
	st->st_nlink = 2;
	st->st_uid = geteuid();
	st->st_gid = getegid();
	st->st_blksize = GOOD_IO_BYTES;
	st->st_atim = changed;
	st->st_mtim = changed;
	st->st_ctim = changed;
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
	struct device_status status;
	struct device_attr attr;
	struct device *device;

	if (parent != FUSE_ROOT_ID) {
		fuse_reply_err(req, ENOTDIR);
		return;
	}
	device = registry_find(request_context(req)->registry, name);
	if (device != NULL)
		device_get_status(device, &status);
	/*
	 * A device that goes just now: whoever takes it away tells the kernel
	 * to forget the name after this, and the kernel does so only when it
	 * has our answer.
	 */
	if (device == NULL || !device_state_is_shown(status.state)) {
		fuse_reply_err(req, ENOENT);
	} else {
		device_attr_get(device, &attr);
		entry.ino = status.nodeid;
		stat_device(device, entry.ino, &attr, &entry.attr);
		fuse_reply_entry(req, &entry);
	}
	device_unref(device);
}

static void
fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct device_attr attr;
	struct device *device;
	struct stat st;

	(void)fi;
	if (ino == FUSE_ROOT_ID) {
		stat_root(request_context(req)->tree, &st);
		fuse_reply_attr(req, &st, ROOT_SECONDS);
		return;
	}
	if ((device = request_device(req, ino)) == NULL) {
		fuse_reply_err(req, ENODEV);
		return;
	}
	device_attr_get(device, &attr);
	stat_device(device, ino, &attr, &st);
	device_unref(device);
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
	if ((device = request_device(req, ino)) == NULL) {
		fuse_reply_err(req, ENODEV);
		return;
	}
	/* As on a block device, the size is what it is. */
	if ((to_set & FUSE_SET_ATTR_SIZE) != 0 &&
	    wanted->st_size != (off_t)device->geometry.size_bytes) {
		fuse_reply_err(req, EINVAL);
	} else {
		device_attr_change(device, change_attr, &change, &attr);
		stat_device(device, ino, &attr, &st);
		fuse_reply_attr(req, &st, FOREVER_SECONDS);
	}
	device_unref(device);
}

/*
 * Entries of the directory by position: ".", "..", then the devices.  Finds the
 * first one at *off or after it, sets *off to the position after it, and fills
 * ret_st as far as readdir(3) sees it.  False at the end.
 */
static bool
next_entry(struct tree *tree, off_t *off, char ret_name[NAME_MAX + 1],
    struct stat *ret_st)
{
	struct device *device;
	uint64_t position, nodeid;

	memset(ret_st, 0, sizeof(*ret_st));
	if (*off < 2) {
		ret_st->st_ino = FUSE_ROOT_ID;
		ret_st->st_mode = S_IFDIR;
		strcpy(ret_name, *off == 0 ? "." : "..");
		++*off;
		return true;
	}
	position = (uint64_t)*off - 2;
	if ((device = tree_next(tree, &position, &nodeid)) == NULL)
		return false;
	ret_st->st_ino = nodeid;
	ret_st->st_mode = S_IFREG;
	strcpy(ret_name, device->name); /* NAME_MAX at most, device_new says */
	*off = (off_t)position + 2;
	device_unref(device);
	return true;
}

static void
fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
    struct fuse_file_info *fi)
{
	char entries[4096], name[NAME_MAX + 1];
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
	while (next_entry(request_context(req)->tree, &off, name, &st)) {
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
	int r;

	if ((device = request_device(req, ino)) == NULL) {
		fuse_reply_err(req, ENODEV);
		return;
	}
	r = device_open_handle(device, (fi->flags & O_ACCMODE) != O_RDONLY);
	/*
	 * No page cache: sizes and O_DSYNC reach us as they were asked for,
	 * and writers run side by side, which libfuse 3.14 has no field for
	 * (fuse.md 3.3).  O_TRUNC does nothing, as on a block device.
	 */
	out = (struct fuse_open_out){
		.fh = ino,
		.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES |
		    FOPEN_NOFLUSH,
	};
	if (r < 0)
		fuse_reply_err(req, -r);
	/* An open that was interrupted meanwhile has no release. */
	else if (fuse_reply_buf(req, (const char *)&out, sizeof(out)) ==
	    -ENOENT)
		device_close_handle(device);
	device_unref(device);
}

static void
fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct device *device;

	(void)fi;
	/* Handles of a device that was taken away by force are nobody's. */
	if ((device = request_device(req, ino)) != NULL)
		device_close_handle(device);
	device_unref(device);
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
add_space(struct space *space, const struct device *device)
{
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
	struct tree *tree;
	uint64_t position, nodeid;

	tree = request_context(req)->tree;
	if ((device = tree_find(tree, ino)) != NULL) {
		add_space(&space, device);
		device_unref(device);
	} else {
		position = 0;
		while ((device = tree_next(tree, &position, &nodeid)) != NULL) {
			add_space(&space, device);
			device_unref(device);
		}
	}
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
	if ((device = request_device(req, ino)) == NULL) {
		fuse_reply_err(req, ENOTTY);
		return;
	}
	if (cmd == IOC_DIOINFO && out_bytes >= sizeof(dioinfo)) {
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
	device_unref(device);
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

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * volatile_disk -- a disk with a volatile write cache, as a file in a FUSE
 * mount, whose power can be cut.
 *
 *	volatile_disk BACKING MOUNTPOINT SEED
 *
 * MOUNTPOINT/disk shows BACKING.  Writes stay in memory until fsync; then they
 * are in BACKING.  On SIGUSR1 the power fails: of the 512-byte pieces that were
 * written since the last fsync a random subset, by SEED, reaches BACKING, the
 * rest is lost, and the process ends at once.  A piece that was written
 * several times leaves its newest or its old content.
 *
 * SIGTERM is an orderly end: everything is written back.
 *
 * One thread serves all requests (the loop of libfuse's low-level API), so
 * nothing here needs a lock; the signals only set a flag and interrupt it.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 512u
#define FILE_INODE 2u

static struct disk {
	int fd;
	uint64_t size;
	uint8_t *cache; /* what reads see */
	uint8_t *dirty; /* one byte a piece */
	uint64_t random;
	struct fuse_session *session;
} disk;

static volatile sig_atomic_t cut_power;

static void
on_cut(int signal)
{
	(void)signal;
	cut_power = 1;
	fuse_session_exit(disk.session);
}

static bool
coin(void)
{
	disk.random = disk.random * UINT64_C(6364136223846793005) + 1;
	return (disk.random >> 62 & 1) != 0;
}

/* all: what an fsync does; else what a power cut leaves. */
static int
write_back(bool all)
{
	for (uint64_t i = 0; i < disk.size / PIECE; i++) {
		if (!disk.dirty[i])
			continue;
		disk.dirty[i] = 0;
		if (!all && coin())
			continue;
		if (pwrite(disk.fd, disk.cache + i * PIECE, PIECE,
			(off_t)(i * PIECE)) != (ssize_t)PIECE)
			return errno;
	}
	return all && fdatasync(disk.fd) < 0 ? errno : 0;
}

static void
fill_stat(fuse_ino_t ino, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = ino;
	st->st_mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0600;
	st->st_nlink = 1;
	if (ino != FILE_INODE)
		return;
	st->st_size = (off_t)disk.size;
	st->st_blocks = (blkcnt_t)(disk.size / 512);
	st->st_blksize = 4096;
}

static void
do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {
		.ino = FILE_INODE, .attr_timeout = 3600, .entry_timeout = 3600
	};

	if (parent != FUSE_ROOT_ID || strcmp(name, "disk") != 0) {
		(void)fuse_reply_err(req, ENOENT);
		return;
	}
	fill_stat(FILE_INODE, &entry.attr);
	(void)fuse_reply_entry(req, &entry);
}

static void
do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	struct stat st;

	(void)file;
	fill_stat(ino, &st);
	(void)fuse_reply_attr(req, &st, 3600);
}

static void
do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	(void)ino;
	/* A page cache of the kernel's, written through: as a disk has it. */
	(void)fuse_reply_open(req, file);
}

static void
do_read(fuse_req_t req, fuse_ino_t ino, size_t len, off_t off,
    struct fuse_file_info *file)
{
	(void)ino;
	(void)file;
	if ((uint64_t)off >= disk.size)
		len = 0;
	else if (len > disk.size - (uint64_t)off)
		len = disk.size - (uint64_t)off;
	(void)fuse_reply_buf(req, (const char *)disk.cache + off, len);
}

static void
do_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t len, off_t off,
    struct fuse_file_info *file)
{
	(void)ino;
	(void)file;
	if ((uint64_t)off > disk.size || len > disk.size - (uint64_t)off) {
		(void)fuse_reply_err(req, ENOSPC);
		return;
	}
	memcpy(disk.cache + off, buf, len);
	if (len > 0)
		memset(disk.dirty + (uint64_t)off / PIECE, 1,
		    ((uint64_t)off + len - 1) / PIECE - (uint64_t)off / PIECE +
			1);
	(void)fuse_reply_write(req, len);
}

static void
do_fsync(
    fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *file)
{
	(void)ino;
	(void)datasync;
	(void)file;
	(void)fuse_reply_err(req, write_back(true));
}

static const struct fuse_lowlevel_ops ops = {
	.lookup = do_lookup,
	.getattr = do_getattr,
	.open = do_open,
	.read = do_read,
	.write = do_write,
	.fsync = do_fsync,
};

static int
load(const char *path)
{
	struct stat st;

	if ((disk.fd = open(path, O_RDWR | O_CLOEXEC)) < 0 ||
	    fstat(disk.fd, &st) < 0)
		return -1;
	disk.size = (uint64_t)st.st_size / PIECE * PIECE;
	disk.cache = malloc(disk.size);
	disk.dirty = calloc(1, disk.size / PIECE);
	if (disk.cache == NULL || disk.dirty == NULL)
		return -1;
	for (uint64_t off = 0; off < disk.size;) {
		ssize_t n = pread(
		    disk.fd, disk.cache + off, disk.size - off, (off_t)off);

		if (n <= 0)
			return -1;
		off += (uint64_t)n;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	char *fuse_argv[] = { argv[0], NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, fuse_argv);
	struct sigaction cut = { .sa_handler = on_cut };
	int r;

	if (argc != 4 || load(argv[1]) < 0) {
		fprintf(
		    stderr, "usage: volatile_disk BACKING MOUNTPOINT SEED\n");
		return 2;
	}
	disk.random = strtoull(argv[3], NULL, 0) * 2 + 1;
	disk.session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (disk.session == NULL ||
	    fuse_set_signal_handlers(disk.session) < 0 ||
	    sigaction(SIGUSR1, &cut, NULL) < 0 ||
	    fuse_session_mount(disk.session, argv[2]) < 0)
		return 1;
	(void)fuse_session_loop(disk.session);
	r = write_back(!cut_power);
	/* A power cut answers nobody: the connection is aborted by the end. */
	fuse_session_unmount(disk.session);
	return r == 0 ? 0 : 1;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * subject_file -- a plain file: pwrite and fdatasync, torn at a power cut.
 * What atomic sectors on an ordinary disk are compared with.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

struct file {
	const struct bed *bed;
	int fd;
	_Atomic uint64_t nsync;
};

static void *
file_open(const struct bed *bed)
{
	struct file *file;
	char path[256];

	if (bed->force != MEDIA_FORCE_PAGE)
		return NULL;
	file = calloc(1, sizeof(*file));
	file->bed = bed;
	if ((file->fd = bench_file(bed, path, sizeof(path))) < 0) {
		free(file);
		return NULL;
	}
	(void)unlink(path);
	return file;
}

static int
file_read(void *state, unsigned thread, uint64_t off, size_t len, void *buf)
{
	struct file *file = state;

	(void)thread;
	return pread(file->fd, buf, len, (off_t)off) < 0;
}

static int
file_sync(void *state, unsigned thread)
{
	struct file *file = state;

	(void)thread;
	(void)atomic_fetch_add(&file->nsync, 1);
	return fdatasync(file->fd);
}

static int
file_write(
    void *state, unsigned thread, uint64_t off, size_t len, const void *buf)
{
	struct file *file = state;

	if (pwrite(file->fd, buf, len, (off_t)off) < 0)
		return -1;
	/* durability=write means each write by itself. */
	return file->bed->durable_flush ? 0 : file_sync(state, thread);
}

static uint64_t
file_size(void *state)
{
	struct file *file = state;

	return file->bed->bytes;
}

static uint64_t
file_nfence(void *state)
{
	struct file *file = state;

	return atomic_load(&file->nsync);
}

static void
file_close(void *state)
{
	struct file *file = state;

	(void)close(file->fd);
	free(file);
}

const struct subject subject_file = { .name = "plain file",
	.open = file_open,
	.read = file_read,
	.write = file_write,
	.sync = file_sync,
	.size = file_size,
	.nfence = file_nfence,
	.close = file_close };

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * subject_file -- a plain file: pwrite and fdatasync, torn at a power cut.
 * What atomic sectors on an ordinary disk are compared with.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

struct file {
	const struct cell *cell;
	int fd;
	_Atomic uint64_t nsync;
};

static void *
file_open(const struct cell *cell)
{
	struct file *file;
	char path[256];
	uint8_t *zero;

	if (cell->force != MEDIA_FORCE_PAGE)
		return NULL;
	file = calloc(1, sizeof(*file));
	file->cell = cell;
	if ((file->fd = bench_file(cell, path, sizeof(path))) < 0) {
		free(file);
		return NULL;
	}
	(void)unlink(path);
	/* Written once, so that no write allocates. */
	zero = calloc(1, 1 << 20);
	for (uint64_t off = 0; off < cell->bytes; off += 1 << 20) {
		if (pwrite(file->fd, zero, 1 << 20, (off_t)off) < 0)
			break;
	}
	free(zero);
	(void)fsync(file->fd);
	return file;
}

static int
file_read(void *state, unsigned thread, uint64_t off, void *buf)
{
	struct file *file = state;

	(void)thread;
	return pread(file->fd, buf, file->cell->request, (off_t)off) < 0;
}

static int
file_sync(void *state, unsigned thread)
{
	struct file *file = state;

	(void)thread;
	atomic_fetch_add(&file->nsync, 1);
	return fdatasync(file->fd);
}

static int
file_write(void *state, unsigned thread, uint64_t off, const void *buf)
{
	struct file *file = state;

	if (pwrite(file->fd, buf, file->cell->request, (off_t)off) < 0)
		return -1;
	/* durability=write means each write by itself. */
	return file->cell->durable_flush ? 0 : file_sync(state, thread);
}

static uint64_t
file_size(void *state)
{
	struct file *file = state;

	return file->cell->bytes;
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

const struct subject subject_file = { "plain file", file_open, file_read,
	file_write, file_sync, file_size, file_nfence, file_close };

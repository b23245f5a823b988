/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * subject_copy -- the copy alone: memcpy out of a mapping of the same kind of
 * file.  No lookup, nothing published: what reading costs before anybody has
 * promised anything about sectors.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

struct copy {
	const struct bed *bed;
	uint8_t *bytes;
};

static void *
copy_open(const struct bed *bed)
{
	struct copy *copy;
	char path[256];
	void *bytes;
	int fd;

	if ((fd = bench_file(bed, path, sizeof(path))) < 0)
		return NULL;
	(void)unlink(path);
	bytes =
	    mmap(NULL, bed->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (bytes == MAP_FAILED)
		return NULL;
	memset(bytes, 0x5a, bed->bytes);
	copy = calloc(1, sizeof(*copy));
	copy->bed = bed;
	copy->bytes = bytes;
	return copy;
}

static int
copy_read(void *state, unsigned thread, uint64_t off, size_t len, void *buf)
{
	struct copy *copy = state;

	(void)thread;
	memcpy(buf, copy->bytes + off, len);
	return 0;
}

static uint64_t
copy_size(void *state)
{
	struct copy *copy = state;

	return copy->bed->bytes;
}

static void
copy_close(void *state)
{
	struct copy *copy = state;

	(void)munmap(copy->bytes, copy->bed->bytes);
	free(copy);
}

const struct subject subject_copy = { .name = "copy",
	.open = copy_open,
	.read = copy_read,
	.size = copy_size,
	.close = copy_close };

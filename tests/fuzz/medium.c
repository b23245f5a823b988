/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "medium.h"

_Noreturn void
fuzz_fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%s:%d: ", file, line);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

static struct medium *
medium_of(struct media *media)
{
	return (struct medium *)media;
}

/* Every operation comes by here first; len 0 is a fence. */
static int
begin(struct media *media, uint64_t off, size_t len)
{
	struct medium *medium = medium_of(media);

	FUZZ_CHECK_MSG(off <= media->size && len <= media->size - off,
	    "%zu bytes at %llu of a medium of %llu", len,
	    (unsigned long long)off, (unsigned long long)media->size);
	if (media_failed(media) < 0)
		return media_failed(media);
	medium->nop++;
	if (medium->fail_op == 0 || medium->nop < medium->fail_op ||
	    (medium->nop > medium->fail_op && !medium->fail_on))
		return 0;
	if (len == 0)
		atomic_store(&media->failed, -EIO);
	return -EIO;
}

static int
begin_change(struct media *media, uint64_t off, size_t len)
{
	struct medium *medium = medium_of(media);

	FUZZ_CHECK_MSG(!medium->forbidden, "%zu bytes are changed at %llu", len,
	    (unsigned long long)off);
	FUZZ_CHECK(len > 0);
	medium->nstore++;
	if (medium->watch != NULL)
		medium->watch(medium->watch_arg, off, len);
	return begin(media, off, len);
}

static int
medium_copy(struct media *media, uint64_t off, const void *src, size_t len)
{
	int r;

	if ((r = begin_change(media, off, len)) == 0)
		memcpy(medium_of(media)->bytes + off, src, len);
	return r;
}

static int
medium_zero(struct media *media, uint64_t off, size_t len)
{
	int r;

	if ((r = begin_change(media, off, len)) == 0)
		memset(medium_of(media)->bytes + off, 0, len);
	return r;
}

static int
medium_store64(struct media *media, uint64_t off, struct le64 value)
{
	int r;

	FUZZ_CHECK(off % sizeof(value) == 0);
	if ((r = begin_change(media, off, sizeof(value))) == 0)
		memcpy(medium_of(media)->bytes + off, &value, sizeof(value));
	return r;
}

static int
medium_store32(struct media *media, uint64_t off, struct le32 value)
{
	int r;

	FUZZ_CHECK(off % sizeof(value) == 0);
	if ((r = begin_change(media, off, sizeof(value))) == 0)
		memcpy(medium_of(media)->bytes + off, &value, sizeof(value));
	return r;
}

static int
medium_flush(struct media *media, uint64_t off, size_t len)
{
	FUZZ_CHECK(len > 0);
	return begin(media, off, len);
}

static int
medium_fence(struct media *media)
{
	return begin(media, 0, 0);
}

static void
medium_close(struct media *media)
{
	free(medium_of(media)->bytes);
	free(media);
}

struct medium *
medium_new(uint8_t *bytes, size_t size, enum media_granularity granularity)
{
	static const struct media_ops ops = {
		.copy = medium_copy,
		.zero = medium_zero,
		.store64 = medium_store64,
		.store32 = medium_store32,
		.flush = medium_flush,
		.fence = medium_fence,
		.close = medium_close,
	};
	struct medium *medium = calloc(1, sizeof(*medium));

	FUZZ_CHECK(medium != NULL);
	medium->bytes = bytes;
	medium->media.ops = &ops;
	medium->media.base = bytes;
	medium->media.size = size;
	medium->media.granularity = granularity;
	return medium;
}

uint8_t *
medium_keep(struct medium *medium)
{
	uint8_t *bytes = medium->bytes;

	medium->bytes = NULL;
	return bytes;
}

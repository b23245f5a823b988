/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "packed.h"

#define HEAD_BYTES 4u
#define CHUNK_HEAD_BYTES 6u
#define CHUNK_MAX 0xffffu
/* Zeroes between two chunks that cost more than they save. */
#define GAP_MIN 8u
/* Media are mappings. */
#define PAGE 4096u

static uint32_t
get(const uint8_t *from, unsigned n)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < n; i++)
		value |= (uint32_t)from[i] << 8 * i;
	return value;
}

static void
put(uint8_t *to, unsigned n, uint32_t value)
{
	for (unsigned i = 0; i < n; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

uint8_t *
packed_open(const uint8_t *data, size_t size, size_t *ret_bytes)
{
	uint8_t *image = NULL;
	size_t bytes;
	size_t at = HEAD_BYTES;

	if (size < HEAD_BYTES)
		return NULL;
	bytes = get(data, 4) % (PACKED_IMAGE_MAX + 1);
	if (bytes == 0 || posix_memalign((void **)&image, PAGE, bytes) != 0)
		return NULL;
	memset(image, 0, bytes);
	while (size - at >= CHUNK_HEAD_BYTES) {
		size_t off = get(data + at, 4) % bytes;
		size_t len = get(data + at + 4, 2);

		at += CHUNK_HEAD_BYTES;
		if (len > size - at)
			len = size - at;
		memcpy(image + off, data + at,
		    len < bytes - off ? len : bytes - off);
		at += len;
	}
	*ret_bytes = bytes;
	return image;
}

static bool
is_zero(const uint8_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (from[i] != 0)
			return false;
	}
	return true;
}

/* The end of the bytes from off on that go into one chunk. */
static size_t
chunk_end(const uint8_t *image, size_t bytes, size_t off)
{
	size_t end = off;

	while (end < bytes && end - off < CHUNK_MAX) {
		size_t gap = bytes - end < GAP_MIN ? bytes - end : GAP_MIN;

		if (is_zero(image + end, gap))
			break;
		end++;
	}
	return end;
}

size_t
packed_make(const uint8_t *image, size_t bytes, uint8_t *ret_data, size_t max)
{
	size_t at = HEAD_BYTES;

	if (max < HEAD_BYTES)
		return 0;
	put(ret_data, 4, (uint32_t)bytes);
	for (size_t off = 0; off < bytes; off++) {
		size_t end;

		if (image[off] == 0)
			continue;
		end = chunk_end(image, bytes, off);
		if (end - off > max - at ||
		    CHUNK_HEAD_BYTES > max - at - (end - off))
			return 0;
		put(ret_data + at, 4, (uint32_t)off);
		put(ret_data + at + 4, 2, (uint32_t)(end - off));
		memcpy(
		    ret_data + at + CHUNK_HEAD_BYTES, image + off, end - off);
		at += CHUNK_HEAD_BYTES + (end - off);
		off = end - 1;
	}
	return at;
}

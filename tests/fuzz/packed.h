/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUZZ_PACKED_H
#define FUZZ_PACKED_H

/*
 * packed -- a small image without its zeroes, as the fuzzers keep it.
 *
 *	4 bytes          size of the image, taken modulo PACKED_IMAGE_MAX + 1
 *	then, repeated:
 *	4 bytes          where the next bytes go, taken modulo the size
 *	2 bytes          how many they are
 *	that many bytes
 *
 * Little-endian.  Every input is an image: what reaches beyond the end is left
 * out, and so is what the input is too short for.
 */
#include <stddef.h>
#include <stdint.h>

/* A label area of 128 KiB and a small BTT before it. */
#define PACKED_IMAGE_MAX (256u << 10)

/*
 * The image of an input, on the heap, so that AddressSanitizer knows its end;
 * the caller frees it.  NULL if it has no byte.
 */
uint8_t *packed_open(const uint8_t *data, size_t size, size_t *ret_bytes);

/* Pack an image.  Returns the bytes that took, 0 if it needs more than max. */
size_t
packed_make(const uint8_t *image, size_t bytes, uint8_t *ret_data, size_t max);

#endif

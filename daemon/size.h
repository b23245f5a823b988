/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_SIZE_H
#define BTTFS_SIZE_H

/*
 * size -- amounts of bytes as people write and read them.
 */
#include <stdint.h>

#include <btt/error.h>

/* Room for the longest text that size_format_full makes. */
#define SIZE_TEXT_BYTES 64u

/*
 * Parse a number with an optional fraction and unit: 4096, 512K, 512KiB, 1.5G.
 * K, M, G, T, P and E, in either case and alone or followed by iB, count in
 * 1024; followed by B alone they count in 1000, as fallocate(1) and dd(1) have
 * it.  B alone, or nothing, means bytes.  A fraction needs a unit and is cut to
 * whole bytes.
 *
 * Returns: 0; -EINVAL for anything else; -ERANGE if it exceeds 64 bits.
 */
int size_parse(const char *text, uint64_t *ret_bytes) BTT_MUST_CHECK;

/* Short and rounded down, so that it never promises too much: "1.46 GiB". */
void size_format(uint64_t bytes, char ret_text[SIZE_TEXT_BYTES]);

/* The same with the exact number: "1.46 GiB (1572864000 bytes)". */
void size_format_full(uint64_t bytes, char ret_text[SIZE_TEXT_BYTES]);

#endif

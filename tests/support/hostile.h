/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_HOSTILE_H
#define TESTS_SUPPORT_HOSTILE_H

/*
 * hostile -- what a parser of images must look at: a list, with an image for
 * each item that a parser which does not look would fall for, and what is to
 * become of it.  A unit test tries them all on arenas of 16 MiB; the corpus of
 * the fuzzers has each of them on arenas of a few pages.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <btt/format.h>

#define HOSTILE_NARENA 2u
/* Bytes that an image with two arenas of arena_bytes takes. */
#define HOSTILE_ROOM(arena_bytes) \
	(BTT_POOL_OFFSET + HOSTILE_NARENA * (arena_bytes))

struct hostile_image {
	uint8_t *bytes; /* the caller's, all zero at first */
	uint64_t size;
	uint64_t start;       /* of the first arena */
	uint64_t arena_bytes; /* of each */
	uint32_t sector_bytes;
	uint32_t nfree;
	struct btt_info info[HOSTILE_NARENA]; /* as changed by numbers */
};

enum hostile_base {
	HOSTILE_ONE,  /* a v1.1 namespace of one arena */
	HOSTILE_TWO,  /* of two arenas */
	HOSTILE_POOL, /* a pmemblk pool of one arena */
};

struct hostile_case {
	const char *item; /* of the list; NULL: that of the line before */
	const char *name; /* of its seed */
	enum hostile_base base;
	const char *changes; /* hostile.c has their grammar */
	int open;            /* what opening it for writing returns */
	bool is_readable;    /* opening it for reading succeeds all the same */
	const char *finding; /* what check finds; NULL: nothing, if it opens */
	int write;           /* what writing sector 0 returns, if it opens */
	int read;            /* what reading sector 1 returns, if it opens */
};

extern const struct hostile_case hostile_cases[];
extern const size_t hostile_ncase;

/*
 * Make the image of a case.  Set are bytes, with HOSTILE_ROOM(arena_bytes) of
 * them, arena_bytes, sector_bytes and nfree.
 */
void
hostile_make(const struct hostile_case *hostile, struct hostile_image *image);

#endif

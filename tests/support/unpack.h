/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_UNPACK_H
#define TESTS_SUPPORT_UNPACK_H

/* unpack -- images that are kept compressed, as media in memory. */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "media_fake.h"

/* Larger images than this one are none of ours. */
#define UNPACK_MAX (UINT64_C(128) << 20)

static inline bool
unpack_is_possible(void)
{
	return system("xz --version >/dev/null 2>&1") == 0;
}

/* directory/name.xz in a medium of its size. */
static inline struct media_fake *
unpack(const char *directory, const char *name)
{
	struct media_fake *medium = fake_new(UNPACK_MAX);
	char command[1024];
	size_t size;
	FILE *pipe;

	ck_assert_int_lt(snprintf(command, sizeof(command), "xz -dc '%s/%s.xz'",
			     directory, name),
	    (int)sizeof(command));
	ck_assert_ptr_nonnull(pipe = popen(command, "r"));
	size = fread(medium->bytes, 1, UNPACK_MAX, pipe);
	ck_assert_msg(pclose(pipe) == 0, "%s failed", command);
	ck_assert_uint_gt(size, 0);
	ck_assert_uint_lt(size, UNPACK_MAX);
	ck_assert_int_eq(munmap(medium->bytes + (size + 4095) / 4096 * 4096,
			     UNPACK_MAX - (size + 4095) / 4096 * 4096),
	    0);
	medium->media.size = size;
	return medium;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_PATCH_H
#define TESTS_SUPPORT_PATCH_H

/* patch -- damage that is written down in a file, for images in memory. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "media_fake.h"

/* Lines of "zero OFFSET LENGTH", "hex OFFSET BYTES", "size N". */
static inline void
patch_apply(struct media_fake *fake, const char *directory, const char *name)
{
	char path[1024];
	char line[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.patch", directory, name);
	ck_assert_msg((file = fopen(path, "r")) != NULL, "%s", path);
	while (fgets(line, sizeof(line), file) != NULL) {
		long long off;
		long long len;
		int at = 0;
		unsigned byte;

		if (sscanf(line, "zero %lli %lli", &off, &len) == 2)
			memset(fake->bytes + off, 0, (size_t)len);
		else if (sscanf(line, "size %lli", &off) == 1)
			fake->media.size = (uint64_t)off;
		else if (sscanf(line, "hex %lli %n", &off, &at) == 1 && at > 0)
			while (sscanf(line + at, "%2x", &byte) == 1) {
				fake->bytes[off++] = (uint8_t)byte;
				at += 2;
			}
	}
	(void)fclose(file);
}

#endif

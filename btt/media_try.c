/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media_try -- changes that are all there is to do under a guard.
 */
#include "media_impl.h"

/* src is NULL for zeroes. */
struct change {
	struct media *media;
	uint64_t off;
	const void *src;
	size_t len;
};

static int
do_change(void *arg)
{
	const struct change *change = arg;

	if (change->src == NULL)
		return media_zero(change->media, change->off, change->len);
	return media_copy(change->media, change->off, change->src, change->len);
}

int
media_try_copy(struct media *media, uint64_t off, const void *src, size_t len)
{
	struct change change = { media, off, src, len };

	assert(src != NULL);
	return media_try(do_change, &change);
}

int
media_try_zero(struct media *media, uint64_t off, size_t len)
{
	struct change change = { media, off, NULL, len };

	return media_try(do_change, &change);
}

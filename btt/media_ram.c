/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media_ram -- a medium of anonymous memory.
 *
 * It keeps the contract for as long as the process lives, so a flush and a
 * fence have nothing to do.  The granularity is what the caller wants to have
 * tested: the engine takes other paths where a fence is a sync.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <lanes/sync.h>

#include "media_impl.h"

struct media_ram {
	struct media media; /* keys in media.h */
	uint8_t *bytes;     /* [I] media.base for those who write */
};

static struct media_ram *
ram_of(struct media *media)
{
	return (struct media_ram *)media;
}

static int
ram_copy(struct media *media, uint64_t off, const void *src, size_t len)
{
	int r;

	media_assert_range(media, off, len);
	if ((r = media_refusal(media)) == 0)
		memcpy(ram_of(media)->bytes + off, src, len);
	return r;
}

static int
ram_zero(struct media *media, uint64_t off, size_t len)
{
	int r;

	media_assert_range(media, off, len);
	if ((r = media_refusal(media)) == 0)
		memset(ram_of(media)->bytes + off, 0, len);
	return r;
}

static int
ram_store64(struct media *media, uint64_t off, struct le64 value)
{
	int r;

	media_assert_range(media, off, sizeof(value));
	if ((r = media_refusal(media)) == 0)
		media_put64(ram_of(media)->bytes, off, value);
	return r;
}

static int
ram_store32(struct media *media, uint64_t off, struct le32 value)
{
	int r;

	media_assert_range(media, off, sizeof(value));
	if ((r = media_refusal(media)) == 0)
		media_put32(ram_of(media)->bytes, off, value);
	return r;
}

static int
ram_flush(struct media *media, uint64_t off, size_t len)
{
	media_assert_range(media, off, len);
	return media_refusal(media);
}

static int
ram_fence(struct media *media)
{
	/* It does not, but that of a disk will (LK-7). */
	sync_may_sleep(SYNC_HERE);
	return media_failed(media);
}

static void
ram_close(struct media *media)
{
	(void)munmap(ram_of(media)->bytes, media->size); /* ours: cannot fail */
	free(media);
}

static const struct media_ops media_ram_ops = {
	.copy = ram_copy,
	.zero = ram_zero,
	.store64 = ram_store64,
	.store32 = ram_store32,
	.flush = ram_flush,
	.fence = ram_fence,
	.close = ram_close,
};

int
media_ram_new(
    uint64_t size, enum media_granularity granularity, struct media **ret_media)
{
	struct media_ram *ram;
	void *bytes;

	if (size == 0)
		return -EINVAL;
	if ((ram = calloc(1, sizeof(*ram))) == NULL)
		return -ENOMEM;
	bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (bytes == MAP_FAILED) {
		free(ram);
		return -ENOMEM;
	}
	ram->bytes = bytes;
	ram->media.ops = &media_ram_ops;
	ram->media.base = bytes;
	ram->media.size = size;
	ram->media.granularity = granularity;
	if (media_bad_init(&ram->media) < 0) {
		ram_close(&ram->media);
		return -ENOMEM;
	}
	*ret_media = &ram->media;
	return 0;
}

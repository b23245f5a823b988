/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_MEDIA_FAKE_H
#define TESTS_SUPPORT_MEDIA_FAKE_H

/*
 * media_fake -- a medium in memory that fails when told to, and remembers what
 * was done to it in which order.
 *
 * The memory is private and not reserved, so a medium of many arenas costs
 * what is written of it.
 */
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <btt/media.h>

enum fake_kind {
	FAKE_COPY,
	FAKE_ZERO,
	FAKE_STORE,
	FAKE_FLUSH,
	FAKE_FENCE,
};

struct fake_op {
	enum fake_kind kind;
	uint64_t off;
	size_t len;
	uint8_t *bytes; /* of copies and stores */
};

/*
 * ThreadSanitizer's address space has no room for more than 512 GiB in one
 * piece.  Tests with several arenas are left out there: they have one thread.
 */
#ifdef BTTFS_TSAN
#define MEDIA_FAKE_MAY_BE_HUGE false
#else
#define MEDIA_FAKE_MAY_BE_HUGE true
#endif

struct media_fake {
	struct media media;
	uint8_t *bytes;
	unsigned nop;     /* operations so far */
	unsigned fail_op; /* the one that fails, counted from 1; 0: none */
	bool remember;
	struct fake_op *op; /* nop of them if remembered */
};

static inline struct media_fake *
fake_of(struct media *media)
{
	return (struct media_fake *)media;
}

/* Every operation comes by here first. */
static inline int
fake_begin(struct media *media, enum fake_kind kind, uint64_t off, size_t len,
    const void *bytes)
{
	struct media_fake *fake = fake_of(media);
	struct fake_op *op;

	/* No assertion that passes: each of them is a write to a file. */
	if (off > media->size || len > media->size - off)
		ck_abort_msg("operation %d at %llu, %zu bytes: beyond the "
			     "medium",
		    (int)kind, (unsigned long long)off, len);
	if (media->read_only)
		return -EROFS;
	fake->nop++;
	if (fake->nop == fake->fail_op) {
		if (kind == FAKE_FENCE)
			atomic_store(&media->failed, -EIO);
		return -EIO;
	}
	if (media_failed(media) < 0)
		return media_failed(media);
	if (!fake->remember)
		return 0;
	fake->op = realloc(fake->op, fake->nop * sizeof(*fake->op));
	ck_assert_ptr_nonnull(fake->op);
	op = &fake->op[fake->nop - 1];
	*op = (struct fake_op){ .kind = kind, .off = off, .len = len };
	if (bytes != NULL) {
		op->bytes = malloc(len);
		ck_assert_ptr_nonnull(op->bytes);
		memcpy(op->bytes, bytes, len);
	}
	return 0;
}

static inline int
fake_copy(struct media *media, uint64_t off, const void *src, size_t len)
{
	int r;

	if ((r = fake_begin(media, FAKE_COPY, off, len, src)) == 0)
		memcpy(fake_of(media)->bytes + off, src, len);
	return r;
}

static inline int
fake_zero(struct media *media, uint64_t off, size_t len)
{
	int r;

	if ((r = fake_begin(media, FAKE_ZERO, off, len, NULL)) == 0)
		memset(fake_of(media)->bytes + off, 0, len);
	return r;
}

static inline int
fake_store64(struct media *media, uint64_t off, struct le64 value)
{
	int r;

	if (off % sizeof(value) != 0)
		ck_abort_msg("a store that is not aligned");
	r = fake_begin(media, FAKE_STORE, off, sizeof(value), &value);
	if (r == 0)
		memcpy(fake_of(media)->bytes + off, &value, sizeof(value));
	return r;
}

static inline int
fake_store32(struct media *media, uint64_t off, struct le32 value)
{
	int r;

	if (off % sizeof(value) != 0)
		ck_abort_msg("a store that is not aligned");
	r = fake_begin(media, FAKE_STORE, off, sizeof(value), &value);
	if (r == 0)
		memcpy(fake_of(media)->bytes + off, &value, sizeof(value));
	return r;
}

static inline int
fake_flush(struct media *media, uint64_t off, size_t len)
{
	return fake_begin(media, FAKE_FLUSH, off, len, NULL);
}

static inline int
fake_fence(struct media *media)
{
	return fake_begin(media, FAKE_FENCE, 0, 0, NULL);
}

/* What was done so far is forgotten, and none of it fails any more. */
static inline void
fake_forget(struct media_fake *fake)
{
	for (unsigned i = 0; fake->op != NULL && i < fake->nop; i++)
		free(fake->op[i].bytes);
	free(fake->op);
	fake->op = NULL;
	fake->nop = 0;
	fake->fail_op = 0;
	atomic_store(&fake->media.failed, 0);
}

static inline void
fake_close(struct media *media)
{
	struct media_fake *fake = fake_of(media);

	fake_forget(fake);
	ck_assert_int_eq(munmap(fake->bytes, media->size), 0);
	free(fake);
}

static inline struct media_fake *
fake_new(uint64_t size)
{
	static const struct media_ops ops = {
		.copy = fake_copy,
		.zero = fake_zero,
		.store64 = fake_store64,
		.store32 = fake_store32,
		.flush = fake_flush,
		.fence = fake_fence,
		.close = fake_close,
	};
	struct media_fake *fake = calloc(1, sizeof(*fake));

	ck_assert_ptr_nonnull(fake);
	fake->bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(fake->bytes, MAP_FAILED);
	fake->media.ops = &ops;
	fake->media.base = fake->bytes;
	fake->media.size = size;
	fake->media.granularity = MEDIA_CACHE_LINE;
	return fake;
}

/* Do what was remembered to other bytes of the same size. */
static inline void
fake_apply(const struct fake_op *op, uint8_t *bytes)
{
	if (op->kind == FAKE_ZERO)
		memset(bytes + op->off, 0, op->len);
	else if (op->bytes != NULL)
		memcpy(bytes + op->off, op->bytes, op->len);
}

#endif

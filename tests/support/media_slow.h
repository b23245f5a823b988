/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_MEDIA_SLOW_H
#define TESTS_SUPPORT_MEDIA_SLOW_H

/*
 * media_slow -- makes a medium's operations sleep now and then, so that their
 * callers are put aside wherever they touch it: in the data, in the log, in
 * the map, and with every lock that is held there.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include <btt/media.h>

/* One medium a process is slow. */
static const struct media_ops *slow_ops;  /* the real ones */
static struct media_ops slow_operations;  /* those that sleep */
static _Atomic uint32_t slow_state;       /* of the generator */
static _Atomic uint64_t slow_nsleep;      /* how often they have */
static unsigned slow_max_us, slow_one_in; /* fixed at start */

/* Random enough, and no two threads sleep alike. */
static inline void
slow_down(void)
{
	uint32_t random = atomic_fetch_add(&slow_state, 0x9e3779b9u);
	struct timespec some = { 0, 0 };

	random ^= random >> 16;
	random *= 0x7feb352du;
	random ^= random >> 15;
	if (random % slow_one_in != 0)
		return;
	some.tv_nsec = (long)(random / slow_one_in % slow_max_us) * 1000;
	atomic_fetch_add(&slow_nsleep, 1);
	(void)nanosleep(&some, NULL); /* shorter is fine */
}

static inline int
slow_copy(struct media *media, uint64_t off, const void *src, size_t len)
{
	slow_down();
	return slow_ops->copy(media, off, src, len);
}

static inline int
slow_zero(struct media *media, uint64_t off, size_t len)
{
	slow_down();
	return slow_ops->zero(media, off, len);
}

static inline int
slow_store64(struct media *media, uint64_t off, struct le64 value)
{
	slow_down();
	return slow_ops->store64(media, off, value);
}

static inline int
slow_store32(struct media *media, uint64_t off, struct le32 value)
{
	slow_down();
	return slow_ops->store32(media, off, value);
}

static inline int
slow_flush(struct media *media, uint64_t off, size_t len)
{
	slow_down();
	return slow_ops->flush(media, off, len);
}

static inline int
slow_fence(struct media *media)
{
	slow_down();
	return slow_ops->fence(media);
}

/*
 * From now on one operation in so many sleeps for up to max_us.  Before the
 * medium has a second user.
 */
static inline void
media_slow_down(struct media *media, unsigned one_in, unsigned max_us)
{
	slow_ops = media->ops;
	slow_one_in = one_in;
	slow_max_us = max_us;
	slow_operations = *slow_ops;
	slow_operations.copy = slow_copy;
	slow_operations.zero = slow_zero;
	slow_operations.store64 = slow_store64;
	slow_operations.store32 = slow_store32;
	slow_operations.flush = slow_flush;
	slow_operations.fence = slow_fence;
	media->ops = &slow_operations;
}

#endif

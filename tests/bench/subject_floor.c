/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * subject_floor -- the least that a crash-safe sector could cost on the same
 * medium.  A write of n sectors: n non-temporal copies and a fence; n log
 * entries of 16 bytes, each with its write-back, and a fence; n map entries of
 * 4 bytes, with one write-back for each line of the map, and a fence.  A read:
 * a map entry and a copy for each sector.
 *
 * No lock, no reader is waited for, nothing is checked, there is no recovery,
 * and two threads on one sector corrupt it: it is a floor, not an engine.  Each
 * thread has free blocks of its own and takes the old block of a sector in
 * exchange for one, so blocks age as they do in a BTT.
 *
 * A second subject, "order", is the floor of what is proven: a medium promises
 * 8 bytes at once, so the first half of a log entry is written back and fenced
 * with the data, before the second half; and two threads may come to one
 * sector, so there are two mutexes, which nobody else wants.
 */
#include <libpmem2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

#define LOG_BYTES 64u /* from entry to entry, as in a BTT */
#define FREE_MAX 256u
#define THREADS_MAX 8u /* of loads on beds that have a floor */

/* On cache lines of its own: a floor has no false sharing. */
struct floor_thread {
	_Alignas(128) uint32_t free[FREE_MAX];
	uint64_t seq;
	uint8_t *log;
	pthread_mutex_t lock[2];
};

struct floor {
	const struct bed *bed;
	struct pmem2_map *map;
	uint8_t *bytes;
	uint32_t *entry; /* the map, in host order */
	uint8_t *data;
	uint64_t nsector;
	pmem2_memcpy_fn copy;
	pmem2_flush_fn flush;
	pmem2_drain_fn drain;
	struct floor_thread thread[THREADS_MAX];
};

static bool
floor_map(struct floor *floor, int fd)
{
	enum pmem2_granularity granularity =
	    floor->bed->force == MEDIA_FORCE_BYTE
	    ? PMEM2_GRANULARITY_BYTE
	    : PMEM2_GRANULARITY_CACHE_LINE;
	struct pmem2_source *source = NULL;
	int r;

	floor->bytes = mmap(
	    NULL, floor->bed->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (floor->bytes == MAP_FAILED)
		return false;
	r = pmem2_source_from_anon(&source, floor->bed->bytes);
	if (r == 0)
		r = pmem2_map_from_existing(&floor->map, source, floor->bytes,
		    floor->bed->bytes, granularity);
	(void)pmem2_source_delete(&source);
	return r == 0;
}

static void
floor_lay_out(struct floor *floor)
{
	uint64_t sector = floor->bed->sector;
	uint64_t log_bytes = (uint64_t)THREADS_MAX * FREE_MAX * LOG_BYTES;
	uint64_t nfree = (uint64_t)THREADS_MAX * FREE_MAX;
	uint32_t block = 0;

	floor->nsector =
	    (floor->bed->bytes - log_bytes) / (sector + 4) - nfree - 4;
	floor->entry = (uint32_t *)(void *)(floor->bytes + log_bytes);
	floor->data = floor->bytes +
	    ((log_bytes + floor->nsector * 4 + 4095) & ~UINT64_C(4095));
	/* Each byte is touched, so that no fault is measured. */
	memset(floor->bytes, 0, floor->bed->bytes);
	while (block < floor->nsector) {
		floor->entry[block] = block;
		block++;
	}
	for (unsigned i = 0; i < THREADS_MAX; i++) {
		struct floor_thread *thread = &floor->thread[i];

		thread->log = floor->bytes + (uint64_t)i * FREE_MAX * LOG_BYTES;
		for (unsigned k = 0; k < FREE_MAX; k++)
			thread->free[k] = block++;
		for (unsigned k = 0; k < 2; k++)
			(void)pthread_mutex_init(&thread->lock[k], NULL);
	}
}

static void *
floor_open(const struct bed *bed)
{
	struct floor *floor;
	char path[256];
	int fd;

	/* The floor of a disk is a plain file: subject_file. */
	if (bed->force == MEDIA_FORCE_PAGE)
		return NULL;
	if ((fd = bench_file(bed, path, sizeof(path))) < 0)
		return NULL;
	(void)unlink(path);
	floor = aligned_alloc(128, sizeof(*floor));
	memset(floor, 0, sizeof(*floor));
	floor->bed = bed;
	if (!floor_map(floor, fd)) {
		fprintf(stderr, "bench: the floor cannot be mapped\n");
		exit(1);
	}
	(void)close(fd);
	floor->copy = pmem2_get_memcpy_fn(floor->map);
	floor->flush = pmem2_get_flush_fn(floor->map);
	floor->drain = pmem2_get_drain_fn(floor->map);
	floor_lay_out(floor);
	return floor;
}

static int
floor_read(void *state, unsigned thread, uint64_t off, size_t len, void *buf)
{
	struct floor *floor = state;
	size_t sector = floor->bed->sector;
	uint32_t *entry = &floor->entry[off / sector];
	uint8_t *dst = buf;

	(void)thread;
	for (size_t i = 0; i < len / sector; i++)
		memcpy(
		    dst + i * sector, floor->data + entry[i] * sector, sector);
	return 0;
}

static void
place(struct floor *floor, const struct floor_thread *self, const uint8_t *src,
    size_t n)
{
	size_t sector = floor->bed->sector;

	for (size_t i = 0; i < n; i++)
		(void)floor->copy(floor->data + self->free[i] * sector,
		    src + i * sector, sector,
		    PMEM2_F_MEM_NODRAIN | PMEM2_F_MEM_NONTEMPORAL);
}

/* Where the i-th log entry of this request is. */
static uint64_t *
log_entry(const struct floor_thread *self, size_t i)
{
	return (
	    uint64_t *)(void *)(self->log + i * LOG_BYTES + self->seq % 2 * 16);
}

static void
swap_blocks(
    struct floor *floor, struct floor_thread *self, uint32_t *entry, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t old = entry[i];

		entry[i] = self->free[i];
		self->free[i] = old;
	}
	floor->flush(entry, n * sizeof(*entry));
	floor->drain();
}

static int
floor_write(
    void *state, unsigned thread, uint64_t off, size_t len, const void *buf)
{
	struct floor *floor = state;
	struct floor_thread *self = &floor->thread[thread];
	uint64_t first = off / floor->bed->sector;
	uint32_t *entry = &floor->entry[first];
	size_t n = len / floor->bed->sector;

	place(floor, self, buf, n);
	floor->drain();
	self->seq++;
	for (size_t i = 0; i < n; i++) {
		uint64_t *log = log_entry(self, i);

		log[0] = (first + i) << 32 | entry[i];
		log[1] = (uint64_t)self->free[i] << 32 | (self->seq & 3);
		floor->flush(log, 16);
	}
	floor->drain();
	swap_blocks(floor, self, entry, n);
	return 0;
}

static int
order_write(
    void *state, unsigned thread, uint64_t off, size_t len, const void *buf)
{
	struct floor *floor = state;
	struct floor_thread *self = &floor->thread[thread];
	uint64_t first = off / floor->bed->sector;
	uint32_t *entry = &floor->entry[first];
	size_t n = len / floor->bed->sector;

	(void)pthread_mutex_lock(&self->lock[0]);
	(void)pthread_mutex_lock(&self->lock[1]);
	place(floor, self, buf, n);
	self->seq++;
	for (size_t i = 0; i < n; i++) {
		uint64_t *log = log_entry(self, i);

		log[0] = (first + i) << 32 | entry[i];
		floor->flush(log, 8);
	}
	floor->drain();
	for (size_t i = 0; i < n; i++) {
		uint64_t *log = log_entry(self, i);

		log[1] = (uint64_t)self->free[i] << 32 | (self->seq & 3);
		floor->flush(log + 1, 8);
	}
	floor->drain();
	swap_blocks(floor, self, entry, n);
	(void)pthread_mutex_unlock(&self->lock[1]);
	(void)pthread_mutex_unlock(&self->lock[0]);
	return 0;
}

static uint64_t
floor_size(void *state)
{
	struct floor *floor = state;

	return floor->nsector * floor->bed->sector;
}

static void
floor_close(void *state)
{
	struct floor *floor = state;

	(void)pmem2_map_delete(&floor->map);
	(void)munmap(floor->bytes, floor->bed->bytes);
	free(floor);
}

const struct subject subject_floor = { .name = "floor",
	.open = floor_open,
	.read = floor_read,
	.write = floor_write,
	.size = floor_size,
	.close = floor_close };

const struct subject subject_order = { .name = "order",
	.open = floor_open,
	.write = order_write,
	.size = floor_size,
	.close = floor_close };

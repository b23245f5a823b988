/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * subject_floor -- the least that a crash-safe sector could cost on the same
 * medium: the copy, a 16-byte log entry, a 4-byte map entry, three fences for
 * each request and one write-back for each touched map line; no lock, no
 * lookup beyond one map load.  It is not correct with two threads on a sector
 * and has no recovery: it is a floor.  Reads are one map load and one copy.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define LOG_BYTES 64u

struct floor {
	const struct cell *cell;
	struct media *media;
	uint64_t data_off, nblock;
	uint64_t log_off, map_off;
	uint32_t next[BENCH_THREADS_MAX]; /* free block of a thread's slot */
};

static void *
floor_open(const struct cell *cell)
{
	struct media_options options = { .force = cell->force,
		.allow_sparse = true };
	struct btt_error error = { "" };
	struct floor *floor;
	char path[256];
	int fd;

	/* The floor of a disk is a plain file: subject_file. */
	if (cell->force == MEDIA_FORCE_PAGE)
		return NULL;
	if ((fd = bench_file(cell, path, sizeof(path))) < 0)
		return NULL;
	(void)close(fd);
	floor = calloc(1, sizeof(*floor));
	floor->cell = cell;
	if (media_open(path, &options, &floor->media, &error) < 0) {
		fprintf(stderr, "bench: %s: %s\n", path, error.text);
		exit(1);
	}
	(void)unlink(path);
	floor->nblock = (cell->bytes - (4u << 20)) / (cell->sector + 4);
	floor->map_off = 1u << 20;
	floor->log_off = 4096;
	floor->data_off =
	    (floor->map_off + floor->nblock * 4 + 4095) & ~UINT64_C(4095);
	/* Every block is mapped to itself and touched once. */
	for (uint64_t i = 0; i < floor->nblock; i++)
		(void)media_store32(floor->media, floor->map_off + 4 * i,
		    le32_encode((uint32_t)i));
	(void)media_zero(
	    floor->media, floor->data_off, floor->nblock * cell->sector);
	(void)media_fence(floor->media);
	return floor;
}

static int
floor_read(void *state, unsigned thread, uint64_t off, void *buf)
{
	struct floor *floor = state;
	uint32_t sector = floor->cell->sector;
	uint8_t *dst = buf;

	(void)thread;
	for (uint32_t i = 0; i < floor->cell->request / sector; i++) {
		uint32_t block = media_load32(
		    floor->media, floor->map_off + 4 * (off / sector + i));

		memcpy(dst,
		    media_at(floor->media,
			floor->data_off + (uint64_t)block * sector),
		    sector);
		dst += sector;
	}
	return 0;
}

/* A scattered place for each sector, as a BTT that has aged has it. */
static uint64_t
scatter(const struct floor *floor, uint64_t n)
{
	return n * UINT64_C(0x9e3779b97f4a7c15) % floor->nblock;
}

static int
floor_write(void *state, unsigned thread, uint64_t off, const void *buf)
{
	struct floor *floor = state;
	struct media *media = floor->media;
	uint32_t sector = floor->cell->sector;
	uint32_t n = floor->cell->request / sector;
	uint64_t premap = off / sector;
	uint64_t log = floor->log_off + thread * 64u * 1024;
	uint32_t stamp = floor->next[thread]++;
	int r = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t block = scatter(floor, premap + i + stamp);

		r |= media_copy(media, floor->data_off + block * sector,
		    (const uint8_t *)buf + (size_t)i * sector, sector);
		r |= media_store64(
		    media, log + i * LOG_BYTES, le64_encode(premap + i));
		r |= media_flush(media, log + i * LOG_BYTES, 8);
	}
	r |= media_fence(media);
	for (uint32_t i = 0; i < n; i++) {
		r |= media_store64(
		    media, log + i * LOG_BYTES + 8, le64_encode(stamp));
		r |= media_flush(media, log + i * LOG_BYTES + 8, 8);
	}
	r |= media_fence(media);
	for (uint32_t i = 0; i < n; i++)
		r |= media_store32(media, floor->map_off + 4 * (premap + i),
		    le32_encode((uint32_t)scatter(floor, premap + i + stamp)));
	r |= media_flush(media, floor->map_off + 4 * premap, 4 * n);
	return r | media_fence(media);
}

static int
floor_sync(void *state, unsigned thread)
{
	(void)state;
	(void)thread;
	return 0;
}

static uint64_t
floor_size(void *state)
{
	struct floor *floor = state;

	return floor->nblock * floor->cell->sector;
}

static uint64_t
floor_nfence(void *state)
{
	(void)state;
	return 0;
}

static void
floor_close(void *state)
{
	struct floor *floor = state;

	media_close(floor->media);
	free(floor);
}

const struct subject subject_floor = { "floor", floor_open, floor_read,
	floor_write, floor_sync, floor_size, floor_nfence, floor_close };

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seeds -- the inputs that the fuzzers begin with and that a program can make.
 *
 * usage: seeds DIRECTORY     (tests/fuzz/corpus)
 *        seeds --check DIRECTORY
 *
 * DIRECTORY/image gets the list of hostile images, and images that are fresh,
 * in use, of each layout.  With --check nothing is written: the status tells
 * whether they are there as they would be made today.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <btt/btt.h>

#include "layout.h"
#include "medium.h"
#include "packed.h"
#include "support/hostile.h"

#define ARENA_BYTES (7 * BTT_ALIGN)
#define SECTOR 512u
#define NFREE 4u

static const char *directory;
static bool only_check;
static unsigned nwrong;

/* Is it there already, byte for byte? */
static bool
is_there(const char *path, const uint8_t *data, size_t size)
{
	static uint8_t found[2 * PACKED_IMAGE_MAX];
	FILE *file = fopen(path, "rb");
	size_t n;

	if (file == NULL)
		return false;
	n = fread(found, 1, sizeof(found), file);
	fclose(file);
	return n == size && memcmp(found, data, size) == 0;
}

static void
put_seed(const char *name, const uint8_t *image, size_t bytes)
{
	static uint8_t data[2 * PACKED_IMAGE_MAX];
	size_t size = packed_make(image, bytes, data, sizeof(data));
	char path[4096];
	FILE *file;

	FUZZ_CHECK(size > 0);
	snprintf(path, sizeof(path), "%s/image/%s", directory, name);
	if (is_there(path, data, size))
		return;
	if (only_check) {
		printf("%s is not what would be made\n", path);
		nwrong++;
		return;
	}
	if ((file = fopen(path, "wb")) == NULL ||
	    fwrite(data, 1, size, file) != size || fclose(file) != 0) {
		perror(path);
		exit(EXIT_FAILURE);
	}
}

static uint8_t *
new_bytes(size_t size)
{
	void *bytes = NULL;

	FUZZ_CHECK(posix_memalign(&bytes, BTT_ALIGN, size) == 0);
	memset(bytes, 0, size);
	return bytes;
}

static void
put_hostile(const struct hostile_case *hostile)
{
	struct hostile_image image = {
		.bytes = new_bytes(HOSTILE_ROOM(ARENA_BYTES)),
		.arena_bytes = ARENA_BYTES,
		.sector_bytes = SECTOR,
		.nfree = NFREE,
	};
	char name[64];

	hostile_make(hostile, &image);
	snprintf(name, sizeof(name), "hostile-%s", hostile->name);
	put_seed(name, image.bytes, image.size);
	free(image.bytes);
}

struct used {
	const char *name;
	enum hostile_base base;
	bool is_v20;
	uint32_t sector_bytes;
	uint32_t nfree;
	uint64_t arena_bytes;
	unsigned nwrite;
};

/* What the list has nothing to change of, as it is after some writes. */
static const struct used used[] = {
	{ "fresh-v11", HOSTILE_ONE, false, 512, 4, 7 * BTT_ALIGN, 0 },
	{ "fresh-v20", HOSTILE_ONE, true, 512, 4, 7 * BTT_ALIGN, 0 },
	{ "fresh-pool", HOSTILE_POOL, false, 512, 4, 7 * BTT_ALIGN, 0 },
	{ "fresh-1", HOSTILE_ONE, false, 4096, 1, 8 * BTT_ALIGN, 0 },
	{ "used-512", HOSTILE_ONE, false, 512, 4, 7 * BTT_ALIGN, 20 },
	{ "used-520", HOSTILE_ONE, true, 520, 3, 8 * BTT_ALIGN, 9 },
	{ "used-4096", HOSTILE_ONE, false, 4096, 4, 16 * BTT_ALIGN, 11 },
	{ "used-4160", HOSTILE_ONE, true, 4160, 1, 12 * BTT_ALIGN, 7 },
	{ "used-pool", HOSTILE_POOL, false, 4096, 2, 16 * BTT_ALIGN, 15 },
	{ "used-two", HOSTILE_TWO, false, 512, 4, 7 * BTT_ALIGN, 30 },
	{ "used-nfree-64", HOSTILE_ONE, false, 512, 64, 18 * BTT_ALIGN, 99 },
};

static void
write_sectors(struct btt *btt, struct btt_worker *worker, unsigned nwrite)
{
	static uint8_t sector[BTT_SECTOR_MAX];
	struct btt_geometry_info geometry;

	btt_get_geometry(btt, &geometry);
	for (unsigned i = 0; i < nwrite; i++) {
		uint64_t lba = i * 5 % geometry.nsector;

		/* Only the beginning: a seed is to be small. */
		memset(sector, (int)(1 + i), 8);
		FUZZ_CHECK(btt_write(btt, worker, lba * geometry.sector_bytes,
			       geometry.sector_bytes, sector) == 0);
	}
}

static void
put_used(const struct used *how)
{
	const struct hostile_case unchanged = { .name = how->name,
		.base = how->base,
		.changes = how->is_v20 ? "major=2 minor=0" : "" };
	const struct btt_open_options options = { .nlane = 2 };
	struct hostile_image image = {
		.bytes = new_bytes(HOSTILE_ROOM(how->arena_bytes)),
		.arena_bytes = how->arena_bytes,
		.sector_bytes = how->sector_bytes,
		.nfree = how->nfree,
	};
	struct btt_error error = { "" };
	struct btt_worker_pool *pool;
	struct medium *medium;
	struct btt *btt;

	hostile_make(&unchanged, &image);
	/* v2.0 begins at 0. */
	if (how->is_v20) {
		image.size -= image.start;
		memmove(image.bytes, image.bytes + image.start, image.size);
	}
	medium = medium_new(image.bytes, image.size, MEDIA_CACHE_LINE);
	FUZZ_CHECK(btt_worker_pool_new(1, &pool) == 0);
	FUZZ_CHECK_MSG(
	    btt_open(&medium->media, pool, &options, &btt, &error) == 0,
	    "%s: %s", how->name, error.text);
	write_sectors(btt, btt_worker_pool_get(pool, 0), how->nwrite);
	put_seed(how->name, image.bytes, image.size);
	FUZZ_CHECK(btt_close(btt) == 0);
	btt_worker_pool_free(pool);
}

int
main(int argc, char *argv[])
{
	only_check = argc == 3 && strcmp(argv[1], "--check") == 0;
	if (argc != 2 && !only_check) {
		fprintf(stderr, "usage: seeds [--check] DIRECTORY\n");
		return EXIT_FAILURE;
	}
	directory = argv[argc - 1];
	for (size_t i = 0; i < hostile_ncase; i++)
		put_hostile(&hostile_cases[i]);
	for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++)
		put_used(&used[i]);
	return nwrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

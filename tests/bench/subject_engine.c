/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * subject_engine -- bttfs's engine on a file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <btt/btt.h>
#include <btt/format.h>

#include "bench.h"

struct engine {
	struct btt_worker_pool *pool;
	struct btt *btt;
};

static void *
engine_open(const struct bed *bed)
{
	struct media_options media_options = { .force = bed->force,
		.allow_sparse = true };
	struct btt_create_options create = {
		.layout = BTT_LAYOUT_V11,
		.sector_bytes = bed->sector,
		.nfree = bed->force == MEDIA_FORCE_PAGE ? 4096 : 256,
		.medium_is_zero = true,
	};
	struct btt_open_options options = { .durability = bed->durable_flush
		    ? BTT_DURABLE_FLUSH
		    : BTT_DURABLE_WRITE };
	struct btt_error error = { "" };
	struct engine *engine;
	struct media *media;
	char path[256];
	int fd;

	if ((fd = bench_file(bed, path, sizeof(path))) < 0)
		return NULL;
	(void)close(fd);
	engine = calloc(1, sizeof(*engine));
	if (media_open(path, &media_options, &media, &error) < 0 ||
	    btt_create(media, &create, &error) < 0 ||
	    btt_worker_pool_new(BENCH_THREADS_MAX, &engine->pool) < 0 ||
	    btt_open(media, engine->pool, &options, &engine->btt, &error) < 0) {
		fprintf(stderr, "bench: %s: %s\n", path, error.text);
		exit(1);
	}
	(void)unlink(path);
	return engine;
}

static int
engine_read(void *state, unsigned thread, uint64_t off, size_t len, void *buf)
{
	struct engine *engine = state;

	return btt_read(engine->btt, btt_worker_pool_get(engine->pool, thread),
	    off, len, buf);
}

static int
engine_write(
    void *state, unsigned thread, uint64_t off, size_t len, const void *buf)
{
	struct engine *engine = state;

	return btt_write(engine->btt, btt_worker_pool_get(engine->pool, thread),
	    off, len, buf);
}

static int
engine_sync(void *state, unsigned thread)
{
	struct engine *engine = state;

	return btt_flush(
	    engine->btt, btt_worker_pool_get(engine->pool, thread));
}

static uint64_t
engine_size(void *state)
{
	struct engine *engine = state;
	struct btt_geometry_info geometry;

	btt_get_geometry(engine->btt, &geometry);
	return geometry.size_bytes;
}

static uint64_t
engine_nfence(void *state)
{
	struct engine *engine = state;
	struct btt_stats stats;

	btt_get_stats(engine->btt, &stats);
	return stats.nfence;
}

static void
engine_close(void *state)
{
	struct engine *engine = state;

	if (btt_close(engine->btt) < 0)
		fprintf(stderr, "bench: the engine's last flush failed\n");
	btt_worker_pool_free(engine->pool);
	free(engine);
}

const struct subject subject_engine = { .name = "bttfs",
	.open = engine_open,
	.read = engine_read,
	.write = engine_write,
	.sync = engine_sync,
	.size = engine_size,
	.nfence = engine_nfence,
	.close = engine_close };

/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

static int
worker_init(struct btt_worker_pool *pool, unsigned index)
{
	struct btt_worker *worker = &pool->worker[index];

	worker->pool = pool;
	worker->index = index;
	worker->slot = &pool->rtt.slot[index];
	worker->sector = aligned_alloc(BTT_ALIGN, BTT_SECTOR_MAX);
	if (worker->sector == NULL)
		return -ENOMEM;
	/* Touch it now, so that no write has to fault it in. */
	memset(worker->sector, 0, BTT_SECTOR_MAX);
	return 0;
}

int
btt_worker_pool_new(unsigned nworker, struct btt_worker_pool **ret_pool)
{
	struct btt_worker_pool *pool;
	size_t bytes;
	int r = -ENOMEM;

	if (nworker == 0 || nworker > BTT_WORKER_MAX)
		return -EINVAL;
	if ((pool = calloc(1, sizeof(*pool))) == NULL)
		return -ENOMEM;
	bytes = nworker * sizeof(*pool->worker);
	pool->worker = aligned_alloc(LANES_CACHE_LINE, bytes);
	if (pool->worker == NULL)
		goto fail;
	memset(pool->worker, 0, bytes);
	pool->nworker = nworker;
	if ((r = rtt_init(&pool->rtt, nworker)) < 0)
		goto fail;
	for (unsigned i = 0; i < nworker; i++) {
		if ((r = worker_init(pool, i)) < 0)
			goto fail;
	}
	*ret_pool = pool;
	return 0;

fail:
	btt_worker_pool_free(pool);
	return r;
}

void
btt_worker_pool_free(struct btt_worker_pool *pool)
{
	if (pool == NULL)
		return;
	for (unsigned i = 0; i < pool->nworker; i++)
		free(pool->worker[i].sector);
	rtt_fini(&pool->rtt);
	free(pool->worker);
	free(pool);
}

unsigned
btt_worker_pool_count(const struct btt_worker_pool *pool)
{
	return pool->nworker;
}

struct btt_worker *
btt_worker_pool_get(struct btt_worker_pool *pool, unsigned index)
{
	return index < pool->nworker ? &pool->worker[index] : NULL;
}

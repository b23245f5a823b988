/* SPDX-License-Identifier: BSD-3-Clause */
#include "map.h"

uint32_t
map_read_overlaid(const struct arena *arena, uint32_t premap)
{
	uint32_t entry;

	if (overlay_pair_find(arena->overlays, premap, &entry))
		return entry;
	return map_read_media(arena, premap);
}

struct read_job {
	const struct arena *arena;
	uint32_t premap, entry;
};

static int
read_entry(void *arg)
{
	struct read_job *job = arg;

	job->entry = map_read(job->arena, job->premap);
	return 0;
}

int
map_try_read(const struct arena *arena, uint32_t premap, uint32_t *ret_entry)
{
	struct read_job job = { arena, premap, 0 };
	int r;

	r = media_try(read_entry, &job);
	*ret_entry = job.entry;
	return r;
}

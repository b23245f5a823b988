/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scrub_owners -- blocks with two map entries (I1), while sectors move.
 *
 * The map is read once and each block's first owner leaves a bit.  A block that
 * is met twice has two owners, or has been moved meanwhile by a writer; such
 * suspects are few, and the map is read again for who they are.  Two entries
 * that name one block are then looked at while our slot of the read tracking
 * table names it.  If the one has it and after that the other has it, too, both
 * have: for a block to pass from one to the other it must be free in between,
 * and whoever takes a free block waits for our slot (rtt.h).
 *
 * Where there are more suspects than there is room for some are let go, which
 * heavy writing may bring about; the next scrub has another chance.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "map.h"
#include "scrub_impl.h"

/* Bits of the arena that begins; without memory nobody is suspected. */
static void
begin_arena(struct btt_scrub *scrub, const struct arena *arena)
{
	free(scrub->seen);
	scrub->seen =
	    calloc((size_t)arena->internal_nlba / 64 + 1, sizeof(*scrub->seen));
	scrub->seen_arena = arena->index;
}

struct see_job {
	struct btt_scrub *scrub;
	const struct arena *arena;
	uint32_t premap, end;
};

static void
suspect(struct btt_scrub *scrub, const struct arena *arena, uint32_t block)
{
	if (scrub->nsuspect == SCRUB_SUSPECTS_MAX)
		return;
	scrub->suspect[scrub->nsuspect++] = (struct scrub_suspect){
		.arena = arena->index,
		.block = block,
		.premap = UINT32_MAX,
	};
}

static int
see_entries(void *arg)
{
	struct see_job *job = arg;
	uint64_t *word, bit;

	for (; job->premap < job->end; job->premap++) {
		uint32_t entry = map_read(job->arena, job->premap);
		uint32_t block = map_entry_block(entry, job->premap);

		if (!map_entry_in_range(job->arena, entry, job->premap))
			continue;
		word = &job->scrub->seen[block / 64];
		bit = UINT64_C(1) << block % 64;
		if ((*word & bit) != 0)
			suspect(job->scrub, job->arena, block);
		*word |= bit;
	}
	return 0;
}

void
scrub_see_owners(struct btt_scrub *scrub, const struct arena *arena,
    uint32_t premap, uint32_t end)
{
	struct see_job job = { scrub, arena, premap, end };

	if (scrub->seen == NULL || scrub->seen_arena != arena->index)
		begin_arena(scrub, arena);
	/* What cannot be read has been told, and owns what it may. */
	if (scrub->seen != NULL)
		(void)!media_try(see_entries, &job);
}

static int
compare_suspects(const void *one, const void *other)
{
	const struct scrub_suspect *a = one, *b = other;

	if (a->arena != b->arena)
		return a->arena < b->arena ? -1 : 1;
	if (a->block != b->block)
		return a->block < b->block ? -1 : 1;
	return 0;
}

void
scrub_begin_owners(struct btt_scrub *scrub)
{
	unsigned n = 0;

	free(scrub->seen);
	scrub->seen = NULL;
	qsort(scrub->suspect, scrub->nsuspect, sizeof(scrub->suspect[0]),
	    compare_suspects);
	/* Each once: its owners are found together. */
	for (unsigned i = 0; i < scrub->nsuspect; i++) {
		if (n == 0 ||
		    compare_suspects(
			&scrub->suspect[n - 1], &scrub->suspect[i]) != 0)
			scrub->suspect[n++] = scrub->suspect[i];
	}
	scrub->nsuspect = n;
}

struct find_job {
	struct btt_scrub *scrub;
	const struct arena *arena;
	uint32_t premap, end;
	struct scrub_suspect *found;
};

/* Up to the first entry whose block is suspected. */
static int
find_suspect(void *arg)
{
	struct find_job *job = arg;

	for (; job->premap < job->end; job->premap++) {
		const struct scrub_suspect key = {
			.arena = job->arena->index,
			.block = map_entry_block(
			    map_read(job->arena, job->premap), job->premap),
		};

		job->found = bsearch(&key, job->scrub->suspect,
		    job->scrub->nsuspect, sizeof(key), compare_suspects);
		if (job->found != NULL)
			return 1;
	}
	return 0;
}

struct own_job {
	const struct arena *arena;
	uint32_t block;
	uint32_t first, second; /* premap */
};

static int
both_own(void *arg)
{
	const struct own_job *job = arg;

	if (map_entry_block(map_read(job->arena, job->first), job->first) !=
	    job->block)
		return 0;
	return map_entry_block(map_read(job->arena, job->second),
		   job->second) == job->block;
}

/* Has the suspect the owner that is known of, and this one at once? */
static void
question(struct btt_scrub *scrub, struct btt_worker *worker,
    const struct arena *arena, struct scrub_suspect *suspect, uint32_t premap)
{
	struct own_job job = { arena, suspect->block, suspect->premap, premap };
	int r;

	if (suspect->premap == UINT32_MAX) {
		suspect->premap = premap;
		return;
	}
	rtt_note(worker->slot, 0, rtt_name(arena->number, suspect->block));
	rtt_publish(worker->slot, 1);
	r = media_try(both_own, &job);
	rtt_clear(worker->slot);
	if (r == 1)
		check_found(&scrub->check, CHECK_BLOCK_TWICE, premap,
		    arena->map_off + (uint64_t)premap * MAP_ENTRY_BYTES,
		    "block %u belongs to sector %" PRIu64 " and %" PRIu64,
		    suspect->block, arena->first_sector + suspect->premap,
		    arena->first_sector + premap);
	suspect->premap = premap;
}

uint64_t
scrub_owners(struct btt_scrub *scrub, struct btt_worker *worker)
{
	uint64_t sector = scrub->options.first + scrub->sector;
	struct arena *arena;
	struct find_job job = { .scrub = scrub };
	uint64_t n = scrub->options.count - scrub->sector;

	if (scrub->nsuspect == 0) {
		scrub->sector = scrub->options.count;
		return 0;
	}
	arena = btt_arena_of(scrub->btt, sector);
	job.arena = arena;
	job.premap = (uint32_t)(sector - arena->first_sector);
	if (n > SCRUB_ENTRIES)
		n = SCRUB_ENTRIES;
	if (n > arena->external_nlba - job.premap)
		n = arena->external_nlba - job.premap;
	job.end = job.premap + (uint32_t)n;
	scrub->check.arena = arena->index;
	while (media_try(find_suspect, &job) == 1)
		question(scrub, worker, arena, job.found, job.premap++);
	scrub->sector += n;
	return n * MAP_ENTRY_BYTES;
}

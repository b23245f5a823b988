/* SPDX-License-Identifier: BSD-3-Clause */
#include "kept.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "group.h"

/*
 * Of this version of the program only: who takes over from another one has it
 * commit first.
 */
#define KEPT_VERSION 1u
#define KEPT_MAGIC UINT64_C(0x006b657074627474)

/*
 * What the memory begins with; the records of all arenas' pairs follow.
 * Keys: I immutable once set, a atomic.
 */
struct kept_header {
	_Atomic uint64_t magic;       /* [I] KEPT_MAGIC, or 0: new */
	uint32_t version;             /* [I] */
	uint32_t narena;              /* [I] */
	uint64_t npair;               /* [I] of all arenas */
	uint8_t uuid[BTT_UUID_BYTES]; /* [I] of the BTT */
	_Atomic int64_t failure;      /* [a] first one, negative errno; 0 */
	/* [a] of the newest change; on a line of its own, each write has it */
	_Alignas(LANES_CACHE_LINE) _Atomic uint64_t serial;
};
static_assert(sizeof(struct kept_header) % sizeof(struct kept_record) == 0,
    "records are aligned");

static uint64_t
count_pairs(const struct btt *btt)
{
	uint64_t npair = 0;

	for (uint32_t i = 0; i < btt->narena; i++)
		npair += btt->arena[i].nfree;
	return npair;
}

static void
begin(struct kept_header *header, const struct btt *btt)
{
	header->version = KEPT_VERSION;
	header->narena = btt->narena;
	header->npair = count_pairs(btt);
	memcpy(header->uuid, btt->geometry.uuid, sizeof(header->uuid));
	atomic_init(&header->failure, 0);
	atomic_init(&header->serial, 0);
	/* Last: a crash before leaves memory that is begun again. */
	atomic_store_explicit(&header->magic, KEPT_MAGIC, memory_order_release);
}

static int
compare(const struct kept_header *header, const struct btt *btt,
    struct btt_error *error)
{
	if (atomic_load(&header->magic) != KEPT_MAGIC ||
	    header->version != KEPT_VERSION)
		return btt_error_set(error, -EUCLEAN,
		    "what was kept over the crash is not of this version");
	if (header->narena != btt->narena ||
	    header->npair != count_pairs(btt) ||
	    memcmp(header->uuid, btt->geometry.uuid, sizeof(header->uuid)) != 0)
		return btt_error_set(error, -EUCLEAN,
		    "what was kept over the crash is another device's");
	return 0;
}

/* A record that is to be taken over. */
struct found {
	uint64_t serial;
	uint32_t pair;
};

static int
compare_found(const void *a, const void *b)
{
	uint64_t x = ((const struct found *)a)->serial;
	uint64_t y = ((const struct found *)b)->serial;

	return (x > y) - (x < y);
}

/*
 * Does the record speak of the pair as it is now?  A committed change has
 * given the pair another block.  Whatever else is wrong with it, it is not
 * believed: an acknowledged write may be lost then, no other is harmed.
 */
static bool
is_pending(const struct arena *arena, uint32_t pair)
{
	struct kept_record *record = &arena->kept[pair];

	return atomic_load(&record->serial) != 0 &&
	    atomic_load(&record->premap) < arena->external_nlba &&
	    atomic_load(&record->block) == arena->pair[pair].free_block;
}

/* In the order in which they were made, so that the later one counts. */
static int
take_over(struct btt *btt, struct arena *arena, uint64_t *newest)
{
	struct found *found;
	uint32_t nfound = 0;

	if ((found = calloc(arena->nfree, sizeof(*found))) == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < arena->nfree; i++) {
		if (!is_pending(arena, i)) {
			kept_clear(arena, i);
			continue;
		}
		found[nfound].pair = i;
		found[nfound].serial = atomic_load(&arena->kept[i].serial);
		if (*newest < found[nfound].serial)
			*newest = found[nfound].serial;
		nfound++;
	}
	qsort(found, nfound, sizeof(*found), compare_found);
	for (uint32_t i = 0; i < nfound; i++)
		group_restore(btt, arena, found[i].pair,
		    atomic_load(&arena->kept[found[i].pair].premap));
	free(found);
	btt->geometry.nresumed += nfound;
	return 0;
}

int
kept_open(struct btt *btt, const struct btt_open_options *options,
    struct btt_error *error)
{
	struct kept_record *record;
	struct kept_header *header;
	uint64_t newest;
	int r;

	if (options->keep == NULL)
		return 0;
	header = options->keep(options->keep_arg,
	    sizeof(*header) + count_pairs(btt) * sizeof(*record));
	if (header == NULL)
		return btt_error_set(
		    error, -ENOMEM, "no memory to keep over a crash");
	if (atomic_load(&header->magic) == 0)
		begin(header, btt);
	if ((r = compare(header, btt, error)) < 0)
		return r;
	record = (struct kept_record *)(void *)(header + 1);
	newest = atomic_load(&header->serial);
	for (uint32_t i = 0; i < btt->narena; i++) {
		btt->arena[i].kept = record;
		record += btt->arena[i].nfree;
		if ((r = take_over(btt, &btt->arena[i], &newest)) < 0)
			return r;
	}
	atomic_store(&header->serial, newest);
	group_keep(btt, header);
	return 0;
}

uint64_t
kept_next_serial(struct kept_header *kept)
{
	return kept == NULL ? 0 : atomic_fetch_add(&kept->serial, 1) + 1;
}

void
kept_note_failure(struct kept_header *kept, int failure)
{
	int64_t none = 0;

	if (kept != NULL)
		(void)atomic_compare_exchange_strong(
		    &kept->failure, &none, failure);
}

int
kept_failure(struct kept_header *kept)
{
	return kept == NULL ? 0 : (int)atomic_load(&kept->failure);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena_load -- what an arena's log says, and whether all of it can be true,
 * before anything is written.
 *
 * Recovery is the kernel's rule (btt-format.md 4.1) with the checks that rule
 * lacks: a pair's newest entry says that its sector moved from old to new.
 * If the map still says old, the crash came between the log's commit and the
 * map's store, and the store is made later.  Else there is nothing to do.
 *
 * Damage is an error for who wants to write: every write builds upon the free
 * blocks, and one that is somebody's would be overwritten.  A reader needs no
 * free block.  He is told, and goes without the entries that are in doubt.
 */
#include "arena.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hook.h"
#include "map.h"
#include "overlay.h"

/* Damage of an arena that is told one by one. */
#define DAMAGE_TOLD 8u

/*
 * Larger maps are not looked through at every open, which has to end in time,
 * 50 ms, whatever the size: this one, an arena's of 16 GiB in sectors of 4096
 * bytes, takes a third of that.  check looks through all.
 */
#define VERIFY_MAP_BYTES (UINT64_C(16) << 20)

struct load {
	struct arena *arena;
	const struct arena_damage *damage;
	struct btt_error *error;
	struct flog_media *log; /* copy: media may change under us */
	/*
	 * Of each pair; what is in doubt has old_map equal to new_map, as if
	 * there were nothing to recover.
	 */
	struct flog_entry *newest;
	struct overlay_pair *ahead; /* what the map will say */
	uint32_t pair;              /* find_pending has come so far */
	unsigned ndamage;
};

/* Returns 0 if it is tolerated, else error. */
BTT_PRINTF(6, 7)
static int
damaged(struct load *load, int error, const char *name, uint64_t entry,
    uint64_t off, const char *fmt, ...)
{
	struct btt_finding finding = {
		.name = name,
		.severity = BTT_DAMAGE,
		.arena = load->arena->index,
		.entry = entry,
		.off = off,
		.endangers = "the device cannot be written to",
	};
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(finding.text, sizeof(finding.text), fmt, args);
	va_end(args);
	if (!load->damage->is_tolerated)
		return btt_error_set(load->error, error,
		    "arena %u: %s; it can still be opened read-only",
		    load->arena->index, finding.text);
	if (load->ndamage++ < DAMAGE_TOLD && load->damage->report != NULL)
		load->damage->report(load->damage->report_arg, &finding);
	return 0;
}

static void
tell_rest(const struct load *load)
{
	struct btt_finding finding = {
		.name = "log",
		.severity = BTT_DAMAGE,
		.arena = load->arena->index,
		.entry = BTT_NO_ENTRY,
		.off = load->arena->log_off,
		.endangers = "the device cannot be written to",
	};

	if (load->ndamage <= DAMAGE_TOLD || load->damage->report == NULL)
		return;
	(void)snprintf(finding.text, sizeof(finding.text),
	    "and %u times more damage of the log", load->ndamage - DAMAGE_TOLD);
	load->damage->report(load->damage->report_arg, &finding);
}

static int
copy_log(void *arg)
{
	struct load *load = arg;
	const struct arena *arena = load->arena;
	size_t bytes = (size_t)arena->nfree * FLOG_GROUP_BYTES;

	if (media_is_bad(arena->media, arena->log_off, bytes))
		return -EIO;
	HOOK_LOAD(media_at(arena->media, arena->log_off), bytes);
	memcpy(load->log, media_at(arena->media, arena->log_off), bytes);
	return 0;
}

static uint64_t
pair_off(const struct arena *arena, uint32_t pair)
{
	return arena->log_off + (uint64_t)pair * FLOG_GROUP_BYTES;
}

static int
load_pair(struct load *load, uint32_t index)
{
	struct arena *arena = load->arena;
	const struct flog_media *group =
	    &load->log[(size_t)index * FLOG_GROUP_SLOTS];
	struct flog_pair *pair = &arena->pair[index];
	struct flog_entry half[2];
	const char *field = NULL;
	int newer;

	for (unsigned i = 0; i < 2; i++)
		half[i] = flog_decode(&group[arena->slots.slot[i]]);
	if ((newer = flog_pick(half[0].seq, half[1].seq)) < 0)
		return damaged(load, -EUCLEAN, "log-seq", index,
		    pair_off(arena, index),
		    "log pair %u has sequence numbers %u and %u", index,
		    half[0].seq, half[1].seq);
	if (flog_validate(&half[newer], arena->external_nlba,
		arena->internal_nlba, &field) < 0)
		return damaged(load, -EUCLEAN, "log-range", index,
		    pair_off(arena, index), "log pair %u: %s is out of range",
		    index, field);
	if (MUTANT(62))
		newer ^= 1;
	pair->free_block =
	    MUTATE(61, half[newer].old_map, half[newer].new_map) &
	    MAP_BLOCK_MASK;
	pair->is_sound = true;
	pair->older = newer == 0 ? 1 : 0;
	pair->next_seq = (uint8_t)flog_next_seq(half[newer].seq);
	load->newest[index] = half[newer];
	return 0;
}

/* The map entry as the pairs before this one leave it. */
static uint32_t
read_ahead(const struct load *load, uint32_t premap)
{
	uint32_t entry;

	if (overlay_find(&load->ahead->table[0], premap, &entry))
		return entry;
	return map_read_media(load->arena, premap);
}

/*
 * In the order of the pairs, as the kernel does it: two of them may be about
 * one sector, and then the second one goes on where the first one ended.  No
 * crash leaves that behind (I4), but a medium can say anything.
 */
static int
find_pending(void *arg)
{
	struct load *load = arg;
	struct arena *arena = load->arena;
	uint32_t owner;

	for (; load->pair < arena->nfree; load->pair++) {
		const struct flog_entry *entry = &load->newest[load->pair];
		uint32_t old_block = entry->old_map & MAP_BLOCK_MASK;
		uint32_t new_block = entry->new_map & MAP_BLOCK_MASK;
		struct pending_entry *pending;
		uint32_t now;

		if (old_block == new_block)
			continue;
		if (map_is_bad(arena, entry->lba, 1))
			return -EIO;
		now = map_entry_block(read_ahead(load, entry->lba), entry->lba);
		if (now != old_block && !MUTANT(63))
			continue;
		pending = &arena->pending[arena->npending++];
		pending->premap = entry->lba;
		pending->entry = MUTATE(64, MAP_NORMAL, 0) | new_block;
		pending->pair = load->pair;
		(void)overlay_set(&load->ahead->table[0], entry->lba,
		    pending->entry, load->pair, &owner);
	}
	return 0;
}

/* Where the map is lost no pair can tell what it would have to complete. */
static int
find_all_pending(struct load *load)
{
	const struct arena *arena = load->arena;
	int r;

	while ((r = media_try(find_pending, load)) == -EIO) {
		uint32_t premap = load->newest[load->pair].lba;

		r = damaged(load, -EIO, "bad-range", load->pair,
		    map_entry_off(arena, premap),
		    "the map entry of sector %u cannot be read", premap);
		if (r < 0)
			break;
		load->pair++;
	}
	return r;
}

/* By sector, and of one sector in the order in which they were found. */
static int
compare_pending(const void *a, const void *b)
{
	const struct pending_entry *x = a;
	const struct pending_entry *y = b;

	if (x->premap != y->premap)
		return x->premap < y->premap ? -1 : 1;
	return (x->pair > y->pair) - (x->pair < y->pair);
}

/* Does a later one say otherwise of the same sector? */
static bool
is_passed(const struct arena *arena, uint32_t pending)
{
	return pending + 1 < arena->npending &&
	    arena->pending[pending + 1].premap ==
	    arena->pending[pending].premap;
}

/* Who will own a block that is not only the map's: a pair, or its sector. */
struct claim {
	uint32_t block;
	uint32_t pair;
};

static int
compare_claims(const void *a, const void *b)
{
	const struct claim *x = a;
	const struct claim *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return (x->pair > y->pair) - (x->pair < y->pair);
}

static void
drop_pending(struct arena *arena, uint32_t pair)
{
	for (uint32_t i = 0; i < arena->npending; i++) {
		if (arena->pending[i].pair != pair)
			continue;
		arena->npending--;
		memmove(&arena->pending[i], &arena->pending[i + 1],
		    (arena->npending - i) * sizeof(*arena->pending));
		return;
	}
}

/*
 * Two pairs with one free block would each write over the other, and a block
 * that recovery gives to a sector must not be free any more (I1).
 */
static int
check_claims(struct load *load)
{
	struct arena *arena = load->arena;
	struct claim *claim;
	uint32_t n = 0;
	int r = 0;

	claim = calloc((size_t)arena->nfree + arena->npending, sizeof(*claim));
	if (claim == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < arena->nfree; i++) {
		if (arena->pair[i].is_sound)
			claim[n++] =
			    (struct claim){ arena->pair[i].free_block, i };
	}
	for (uint32_t i = 0; i < arena->npending; i++) {
		if (!is_passed(arena, i))
			claim[n++] = (struct claim){
				arena->pending[i].entry & MAP_BLOCK_MASK,
				arena->pending[i].pair,
			};
	}
	qsort(claim, n, sizeof(*claim), compare_claims);
	for (uint32_t i = 1; i < n && r == 0; i++) {
		if (claim[i].block != claim[i - 1].block)
			continue;
		drop_pending(arena, claim[i - 1].pair);
		drop_pending(arena, claim[i].pair);
		r = damaged(load, -EUCLEAN, "bitmap", claim[i].pair,
		    pair_off(arena, claim[i].pair),
		    "log pairs %u and %u both have block %u", claim[i - 1].pair,
		    claim[i].pair, claim[i].block);
	}
	free(claim);
	return r;
}

/* All that load has memory for. */
static int
load_pairs(struct load *load)
{
	struct arena *arena = load->arena;
	uint32_t bad_group = 0;
	int r;

	if ((r = media_try(copy_log, load)) < 0)
		return damaged(load, r, "bad-range", BTT_NO_ENTRY,
		    arena->log_off, "the log cannot be read");
	r = flog_detect(load->log, arena->nfree, &arena->slots, &bad_group);
	if (r < 0)
		return damaged(load, -EUCLEAN, "log-layout", bad_group,
		    pair_off(arena, bad_group),
		    "the log contradicts itself at pair %u", bad_group);
	if (MUTANT(34))
		arena->slots.slot[1] ^= 3;
	for (uint32_t i = 0; i < arena->nfree; i++) {
		if ((r = load_pair(load, i)) < 0)
			return r;
	}
	if ((r = find_all_pending(load)) < 0)
		return r;
	qsort(arena->pending, arena->npending, sizeof(*arena->pending),
	    compare_pending);
	return check_claims(load);
}

int
arena_load_log(struct arena *arena, const struct arena_damage *damage,
    struct btt_error *error)
{
	static const struct arena_damage none = { .is_tolerated = false };
	struct load load = {
		.arena = arena,
		.damage = damage == NULL ? &none : damage,
		.error = error,
	};
	int r = -ENOMEM;

	load.log = calloc(arena->nfree, FLOG_GROUP_BYTES);
	load.newest = calloc(arena->nfree, sizeof(*load.newest));
	arena->pending = calloc(arena->nfree, sizeof(*arena->pending));
	if (load.log != NULL && load.newest != NULL && arena->pending != NULL)
		r = overlay_pair_new(arena->nfree, &load.ahead);
	if (r == 0)
		r = load_pairs(&load);
	tell_rest(&load);
	overlay_pair_free(load.ahead);
	free(load.newest);
	free(load.log);
	return r;
}

/* Every block that has been seen with an owner. */
struct survey {
	const struct arena *arena;
	uint64_t *seen; /* a bit a block */
	/* Where it ended: */
	uint32_t premap;
	uint32_t block;
};

enum {
	SURVEY_SOUND,
	SURVEY_RANGE,
	SURVEY_TWICE,
};

static bool
see(struct survey *survey, uint32_t block)
{
	uint64_t bit = UINT64_C(1) << block % 64;
	uint64_t *word = &survey->seen[block / 64];

	survey->block = block;
	if (*word & bit)
		return false;
	*word |= bit;
	return true;
}

/* The map as it will be once what is pending is completed. */
static int
survey_map(void *arg)
{
	struct survey *survey = arg;
	const struct arena *arena = survey->arena;
	uint32_t next = 0; /* pending, ascending premap */

	for (uint32_t i = 0; i < arena->external_nlba; i++) {
		uint32_t entry = map_read_media(arena, i);

		survey->premap = i;
		while (
		    next < arena->npending && arena->pending[next].premap == i)
			entry = arena->pending[next++].entry;
		if (!map_entry_in_range(arena, entry, i))
			return SURVEY_RANGE;
		if (!see(survey, map_entry_block(entry, i)))
			return SURVEY_TWICE;
	}
	return SURVEY_SOUND;
}

/*
 * As many owners as blocks, each in range and none twice: then all of them
 * have exactly one (I1).
 */
int
arena_verify_owners(const struct arena *arena, struct btt_error *error)
{
	struct survey survey = { .arena = arena };
	int r;

	if ((uint64_t)arena->external_nlba * MAP_ENTRY_BYTES > VERIFY_MAP_BYTES)
		return 0;
	survey.seen =
	    calloc((size_t)arena->internal_nlba / 64 + 1, sizeof(*survey.seen));
	if (survey.seen == NULL)
		return -ENOMEM;
	/* No two pairs have one block: arena_load_log has seen to that. */
	for (uint32_t i = 0; i < arena->nfree; i++)
		(void)see(&survey, arena->pair[i].free_block);
	r = map_is_bad(arena, 0, arena->external_nlba)
	    ? -EIO
	    : media_try(survey_map, &survey);
	free(survey.seen);
	if (r == SURVEY_RANGE)
		return btt_error_set(error, -EUCLEAN,
		    "arena %u: the map entry of sector %u is out of range; it "
		    "can still be opened read-only",
		    arena->index, survey.premap);
	if (r == SURVEY_TWICE)
		return btt_error_set(error, -EUCLEAN,
		    "arena %u: block %u of sector %u has another owner, too; "
		    "it can still be opened read-only",
		    arena->index, survey.block, survey.premap);
	if (r < 0)
		return btt_error_set(error, r,
		    "arena %u: the map cannot be read; it can still be opened "
		    "read-only",
		    arena->index);
	return 0;
}

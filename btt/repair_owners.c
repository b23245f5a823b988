/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * repair_owners -- who of an arena gets which block, by the rules of repair.h.
 *
 * A scan marks the blocks that have an owner, and those that have several.  Only
 * if there are any of those, or entries that name no block, is the map gone
 * through again, for those entries alone.  As many owners are left without a
 * block as blocks are without an owner, since there are as many of both.
 *
 * What is decided here must not depend on how much of it an earlier repair has
 * carried out before it was cut short: see the rounds in repair_impl.h.  So a
 * pair's right to a block rests on its own entries only, and what the log says
 * of map entries is asked between map entries only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "repair_impl.h"

/* An owner's claim to a block that others claim as well. */
struct claim {
	uint32_t block;
	uint32_t number;
	uint32_t raw;
	uint8_t rank;  /* enum repair_rank */
	uint8_t state; /* of a map entry as recovery leaves it */
};

/* That a sector went to a block, as the newest entry of a pair says. */
struct record {
	uint32_t lba;
	uint32_t block;
};

struct sorting {
	struct repairing *repairing;
	const struct btt_info *info;
	const struct check_log *log;
	struct repair_owners *owners;
	struct map_bits bits;
	size_t nword;
	struct map_tally tally;

	struct record *record; /* ascending lba, then block */
	uint32_t nrecord;
	struct claim *claim;
	uint32_t nclaim, claim_room;

	uint32_t *lost; /* ascending blocks without an owner */
	bool *is_taken; /* of them */
	uint32_t nlost;
};

static int
add_owner(struct sorting *sorting, const struct repair_owner *owner)
{
	struct repair_owners *owners = sorting->owners;
	void *array = owners->owner;
	int r;

	r = repair_reserve(&array, owners->n, &owners->room, sizeof(*owner),
	    BTT_REPAIR_CHANGE_MAX);
	owners->owner = array;
	if (r < 0)
		return r;
	owners->owner[owners->n++] = *owner;
	owners->loses_data |= owner->loses_data;
	return 0;
}

static int
add_claim(struct sorting *sorting, const struct claim *claim)
{
	void *array = sorting->claim;
	int r;

	r = repair_reserve(&array, sorting->nclaim, &sorting->claim_room,
	    sizeof(*claim), BTT_REPAIR_CHANGE_MAX);
	sorting->claim = array;
	if (r < 0)
		return r;
	sorting->claim[sorting->nclaim++] = *claim;
	return 0;
}

static int
compare_records(const void *a, const void *b)
{
	const struct record *x = a;
	const struct record *y = b;

	if (x->lba != y->lba)
		return x->lba < y->lba ? -1 : 1;
	return (x->block > y->block) - (x->block < y->block);
}

static void
collect_records(struct sorting *sorting)
{
	for (uint32_t i = 0; i < sorting->info->nfree; i++) {
		const struct check_pair *pair = &sorting->log->pair[i];
		const struct flog_entry *newest = &pair->newest;
		uint32_t block = newest->new_map & MAP_BLOCK_MASK;

		if (!pair->is_sound ||
		    block == (newest->old_map & MAP_BLOCK_MASK))
			continue;
		sorting->record[sorting->nrecord++] =
		    (struct record){ .lba = newest->lba, .block = block };
	}
	qsort(sorting->record, sorting->nrecord, sizeof(*sorting->record),
	    compare_records);
}

static enum repair_rank
entry_rank(const struct sorting *sorting, uint32_t premap, uint32_t entry)
{
	struct record key = { .lba = premap };

	switch (map_entry_state(entry)) {
	case MAP_STATE_INITIAL:
		return REPAIR_RANK_INITIAL;
	case MAP_STATE_ERROR:
	case MAP_STATE_ZERO:
		return REPAIR_RANK_UNREAD;
	case MAP_STATE_NORMAL:
		break;
	}
	key.block = entry & MAP_BLOCK_MASK;
	return bsearch(&key, sorting->record, sorting->nrecord, sizeof(key),
		   compare_records) != NULL
	    ? REPAIR_RANK_CONFIRMED
	    : REPAIR_RANK_NORMAL;
}

static bool
has_bit(const uint64_t *bits, uint32_t block)
{
	return bits[block / 64] >> block % 64 & 1;
}

/* An entry of the second pass over the map. */
static int
sort_entry(void *arg, uint32_t premap, uint32_t raw, uint32_t recovered)
{
	struct sorting *sorting = arg;
	const struct btt_info *info = sorting->info;
	uint32_t block = map_entry_block(recovered, premap);

	if (block >= info->internal_nlba)
		return add_owner(sorting,
		    &(struct repair_owner){ .number = info->nfree + premap,
			.raw = raw,
			.other = block,
			.state = MAP_STATE_ERROR });
	if (!has_bit(sorting->bits.twice, block))
		return 0;
	return add_claim(sorting,
	    &(struct claim){ .block = block,
		.number = info->nfree + premap,
		.raw = raw,
		.rank = (uint8_t)entry_rank(sorting, premap, recovered),
		.state = (uint8_t)map_entry_state(recovered) });
}

static int
sort_pairs(struct sorting *sorting)
{
	int r = 0;

	for (uint32_t i = 0; i < sorting->info->nfree && r == 0; i++) {
		const struct check_pair *pair = &sorting->log->pair[i];
		bool is_twice = (pair->newest.old_map & MAP_BLOCK_MASK) ==
		    (pair->newest.new_map & MAP_BLOCK_MASK);

		if (pair->is_damaged)
			r = add_owner(
			    sorting, &(struct repair_owner){ .number = i });
		else if (has_bit(sorting->bits.twice, pair->free_block))
			r = add_claim(sorting,
			    &(struct claim){ .block = pair->free_block,
				.number = i,
				.rank = is_twice ? REPAIR_RANK_PAIR_TWICE
						 : REPAIR_RANK_PAIR });
	}
	return r;
}

static int
compare_claims(const void *a, const void *b)
{
	const struct claim *x = a;
	const struct claim *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

/* Somebody else keeps the block. */
static int
add_loser(struct sorting *sorting, const struct claim *loser,
    const struct claim *winner)
{
	struct repair_owner owner = {
		.number = loser->number,
		.raw = loser->raw,
		.other = winner->number,
		.rank = winner->rank,
		.state = MAP_STATE_ERROR,
	};

	if (loser->number < sorting->info->nfree)
		return add_owner(sorting, &owner);
	if (loser->state == MAP_STATE_ZERO ||
	    (loser->state == MAP_STATE_INITIAL &&
		sorting->repairing->check.layout == BTT_LAYOUT_POOL))
		owner.state = MAP_STATE_ZERO;
	else
		owner.loses_data = loser->state != MAP_STATE_ERROR;
	return add_owner(sorting, &owner);
}

static int
settle_claims(struct sorting *sorting)
{
	const struct claim *winner = sorting->claim;
	int r = 0;

	/* None is no array at all. */
	if (sorting->nclaim > 1)
		qsort(sorting->claim, sorting->nclaim, sizeof(*sorting->claim),
		    compare_claims);
	for (uint32_t i = 0; i < sorting->nclaim && r == 0; i++) {
		const struct claim *claim = &sorting->claim[i];

		if (claim->block != winner->block)
			winner = claim;
		if (claim != winner)
			r = add_loser(sorting, claim, winner);
	}
	return r;
}

static int
compare_owners(const void *a, const void *b)
{
	const struct repair_owner *x = a;
	const struct repair_owner *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

/* One block for each owner without, or the map is not what it was. */
static int
collect_lost(struct sorting *sorting)
{
	const uint64_t *claimed = sorting->bits.claimed;
	uint32_t n = sorting->owners->n;

	sorting->lost = calloc(n, sizeof(*sorting->lost));
	sorting->is_taken = calloc(n, sizeof(*sorting->is_taken));
	if (sorting->lost == NULL || sorting->is_taken == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < sorting->info->internal_nlba; i++) {
		if (claimed[i / 64] == UINT64_MAX)
			i |= 63;
		if (has_bit(claimed, i))
			continue;
		if (sorting->nlost == n)
			return -EUCLEAN;
		sorting->lost[sorting->nlost++] = i;
	}
	return sorting->nlost == n ? 0 : -EUCLEAN;
}

static int
compare_blocks(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Give the owner that block, if nobody has it. */
static bool
take(struct sorting *sorting, struct repair_owner *owner, uint32_t block)
{
	const uint32_t *found = bsearch(&block, sorting->lost, sorting->nlost,
	    sizeof(*sorting->lost), compare_blocks);

	if (found == NULL || sorting->is_taken[found - sorting->lost])
		return false;
	sorting->is_taken[found - sorting->lost] = true;
	owner->block = block;
	return true;
}

static void
take_candidates(struct sorting *sorting, struct repair_owner *owner)
{
	const struct check_pair *pair = &sorting->log->pair[owner->number];

	for (unsigned i = 0; i < pair->ncandidate; i++) {
		if (take(sorting, owner, pair->candidate[i]))
			return;
	}
}

/* Whoever has none yet of owners from to to - 1, next in the list. */
static void
take_rest(
    struct sorting *sorting, uint32_t from, uint32_t to, uint32_t *next_lost)
{
	for (uint32_t i = from; i < to; i++) {
		struct repair_owner *owner = &sorting->owners->owner[i];

		if (owner->block != CHECK_NO_BLOCK)
			continue;
		while (sorting->is_taken[*next_lost])
			++*next_lost;
		owner->block = sorting->lost[(*next_lost)++];
	}
}

static void
give_blocks(struct sorting *sorting)
{
	const struct btt_info *info = sorting->info;
	struct repair_owners *owners = sorting->owners;
	uint32_t next_lost = 0;
	uint32_t npair = 0;

	for (uint32_t i = 0; i < owners->n; i++) {
		owners->owner[i].block = CHECK_NO_BLOCK;
		npair += owners->owner[i].number < info->nfree;
	}
	for (uint32_t i = 0; i < npair; i++)
		take_candidates(sorting, &owners->owner[i]);
	for (uint32_t i = 0; i < npair; i++) {
		struct repair_owner *owner = &owners->owner[i];

		if (owner->block == CHECK_NO_BLOCK)
			(void)take(sorting, owner,
			    info->external_nlba + owner->number);
	}
	take_rest(sorting, npair, owners->n, &next_lost);
	take_rest(sorting, 0, npair, &next_lost);
}

/* Owners without a block, and claims where there are several. */
static int
sort_owners(struct sorting *sorting)
{
	struct check *check = &sorting->repairing->check;
	int r;

	r = check_scan(check, sorting->log, &sorting->bits, &sorting->tally);
	if (r < 0 || (r = sort_pairs(sorting)) < 0)
		return r;
	if (sorting->tally.nrange + sorting->tally.ntwice > 0) {
		check->total +=
		    (uint64_t)sorting->info->external_nlba * MAP_ENTRY_BYTES;
		r = check_entries(check, sorting->log, sort_entry, sorting);
	}
	if (r < 0 || (r = settle_claims(sorting)) < 0)
		return r;
	if (sorting->owners->n == 0)
		return 0;
	qsort(sorting->owners->owner, sorting->owners->n,
	    sizeof(*sorting->owners->owner), compare_owners);
	if ((r = collect_lost(sorting)) == 0)
		give_blocks(sorting);
	return r;
}

int
repair_find_owners(struct repairing *repairing, const struct check_log *log,
    struct repair_owners *ret_owners)
{
	const struct btt_info *info = &repairing->check.place->info;
	struct sorting sorting = {
		.repairing = repairing,
		.info = info,
		.log = log,
		.owners = ret_owners,
		.nword = (size_t)info->internal_nlba / 64 + 1,
	};
	int r = -ENOMEM;

	memset(ret_owners, 0, sizeof(*ret_owners));
	sorting.bits.claimed = calloc(sorting.nword, sizeof(uint64_t));
	sorting.bits.twice = calloc(sorting.nword, sizeof(uint64_t));
	sorting.record = calloc(info->nfree, sizeof(*sorting.record));
	if (sorting.bits.claimed == NULL || sorting.bits.twice == NULL ||
	    sorting.record == NULL)
		goto out;
	collect_records(&sorting);
	r = sort_owners(&sorting);
out:
	free(sorting.is_taken);
	free(sorting.lost);
	free(sorting.claim);
	free(sorting.record);
	free(sorting.bits.twice);
	free(sorting.bits.claimed);
	return r;
}

void
repair_owners_fini(struct repair_owners *owners)
{
	free(owners->owner);
	memset(owners, 0, sizeof(*owners));
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_map -- findings in an arena's map, and who owns which block (I1).
 *
 * One scan counts what there is to count, and leaves one bit a block that says
 * whether it has an owner (check_scan.c).  Only if something is wrong with the
 * owners they are gone through again, in their order: the log's pairs, then
 * the map's entries as recovery will leave them.  A block that is claimed again
 * tells its second owner only; for as many of those as are reported the first
 * is looked for in one more pass.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_impl.h"
#include "layout.h"

/* Map entries that are copied at once. */
#define CHUNK_ENTRIES 16384u

/* Blocks whose first owner is looked for, a coarse set of them in front. */
#define FILTER_BITS 4096u

/* A block with two owners, which are numbers as above. */
struct double_claim {
	uint32_t block;
	uint64_t first; /* UINT64_MAX: not found yet */
	uint64_t second;
};

struct map_survey {
	struct check *check;
	const struct btt_info *info;
	const struct check_log *log; /* NULL: unknown */
	struct map_bits bits;
	size_t nword; /* of bits */
	struct map_tally tally;

	struct double_claim twice[CHECK_REPORT_MAX];
	uint32_t ntwice; /* of those above */
	uint64_t nmore;  /* beyond them */
	uint32_t nknown; /* of which first is known */
	uint64_t filter[FILTER_BITS / 64];
};

static uint64_t
entry_off(const struct map_survey *survey, uint32_t premap)
{
	return survey->check->place->off + survey->info->mapoff +
	    (uint64_t)premap * MAP_ENTRY_BYTES;
}

static uint64_t
block_off(const struct map_survey *survey, uint32_t block)
{
	return survey->check->place->off + survey->info->dataoff +
	    (uint64_t)block * survey->info->internal_lbasize;
}

/* Where an owner's number of a block lies. */
static uint64_t
owner_off(const struct map_survey *survey, uint64_t owner)
{
	uint32_t nfree = survey->info->nfree;

	if (owner >= nfree)
		return entry_off(survey, (uint32_t)(owner - nfree));
	return survey->check->place->off + survey->info->logoff +
	    owner * FLOG_GROUP_BYTES;
}

#define OWNER_TEXT_BYTES 40u

static void
owner_text(const struct map_survey *survey, uint64_t owner,
    char ret_text[OWNER_TEXT_BYTES])
{
	uint32_t nfree = survey->info->nfree;

	if (owner == UINT64_MAX)
		strcpy(ret_text, "another");
	else if (owner < nfree)
		snprintf(
		    ret_text, OWNER_TEXT_BYTES, "log pair %" PRIu64, owner);
	else
		snprintf(ret_text, OWNER_TEXT_BYTES, "map entry %" PRIu64,
		    owner - nfree);
}

/* First pass: is the block claimed already? */
static void
claim(struct map_survey *survey, uint64_t owner, uint32_t block)
{
	uint64_t *word = &survey->bits.claimed[block / 64];
	uint64_t bit = UINT64_C(1) << block % 64;

	if (!(*word & bit)) {
		*word |= bit;
		return;
	}
	if (survey->ntwice == CHECK_REPORT_MAX) {
		survey->nmore++;
		return;
	}
	survey->twice[survey->ntwice++] = (struct double_claim){
		.block = block, .first = UINT64_MAX, .second = owner
	};
	survey->filter[block % FILTER_BITS / 64] |= bit;
}

/* Second pass: is this the first owner of a block that has another? */
static void
find_first(struct map_survey *survey, uint64_t owner, uint32_t block)
{
	if (!(survey->filter[block % FILTER_BITS / 64] >> block % 64 & 1))
		return;
	for (uint32_t i = 0; i < survey->ntwice; i++) {
		struct double_claim *twice = &survey->twice[i];

		if (twice->block != block || twice->first != UINT64_MAX)
			continue;
		twice->first = owner;
		survey->nknown++;
	}
}

static int
claim_entry(void *arg, uint32_t premap, uint32_t raw, uint32_t recovered)
{
	struct map_survey *survey = arg;
	const struct btt_info *info = survey->info;
	uint32_t block = map_entry_block(recovered, premap);

	(void)raw;
	if (block < info->internal_nlba)
		claim(survey, (uint64_t)info->nfree + premap, block);
	else
		check_found(survey->check, CHECK_MAP_RANGE, premap,
		    entry_off(survey, premap), "entry %#x names block %u of %u",
		    recovered, block, info->internal_nlba);
	return 0;
}

/* 1 once there is nothing more to find. */
static int
find_first_entry(void *arg, uint32_t premap, uint32_t raw, uint32_t recovered)
{
	struct map_survey *survey = arg;

	(void)raw;
	find_first(survey, (uint64_t)survey->info->nfree + premap,
	    map_entry_block(recovered, premap));
	return survey->nknown == survey->ntwice ? 1 : 0;
}

/* Call fn with each pair that has a block, and with the block. */
static void
for_pairs(struct map_survey *survey,
    void (*fn)(struct map_survey *survey, uint64_t owner, uint32_t block))
{
	for (uint32_t i = 0; survey->log != NULL && i < survey->info->nfree;
	     i++) {
		if (survey->log->pair[i].free_block != CHECK_NO_BLOCK)
			fn(survey, i, survey->log->pair[i].free_block);
	}
}

/* Entries under way, with those that recovery will store among them. */
struct entry_pass {
	const struct check_log *log;
	check_entry_fn *fn;
	void *arg;
	uint32_t npassed; /* of the pending ones */
	uint32_t entry[CHUNK_ENTRIES];
};

/* One chunk that is loaded, first to n entries further. */
static int
pass_chunk(struct entry_pass *pass, uint32_t first, uint32_t n)
{
	const struct check_log *log = pass->log;
	int r = 0;

	for (uint32_t i = 0; i < n && r == 0; i++) {
		uint32_t raw = le32_decode((struct le32){ pass->entry[i] });
		uint32_t recovered = raw;

		if (log != NULL && pass->npassed < log->npending &&
		    log->pending[pass->npassed].premap == first + i)
			recovered = log->pending[pass->npassed++].entry;
		r = pass->fn(pass->arg, first + i, raw, recovered);
	}
	return r;
}

int
check_entries(struct check *check, const struct check_log *log,
    check_entry_fn *fn, void *arg)
{
	const struct btt_info *info = &check->place->info;
	const uint64_t map_off = check->place->off + info->mapoff;
	struct entry_pass *pass;
	int r = 0;

	if ((pass = malloc(sizeof(*pass))) == NULL)
		return -ENOMEM;
	pass->npassed = 0;
	pass->log = log;
	pass->fn = fn;
	pass->arg = arg;
	for (uint32_t at = 0; at < info->external_nlba && r == 0;) {
		uint32_t n = info->external_nlba - at;

		if (n > CHUNK_ENTRIES)
			n = CHUNK_ENTRIES;
		r = check_read(check, map_off + (uint64_t)at * MAP_ENTRY_BYTES,
		    pass->entry, n * sizeof(*pass->entry));
		if (r == 0)
			r = pass_chunk(pass, at, n);
		/* If they have heard enough the rest is done as well. */
		if (r != 0)
			n = info->external_nlba - at;
		check_progress(check, (uint64_t)n * MAP_ENTRY_BYTES);
		at += n;
	}
	free(pass);
	return r;
}

/* Go through the owners again, and say which are wrong. */
static int
report_owners(struct map_survey *survey)
{
	struct check *check = survey->check;
	const uint64_t map_bytes =
	    (uint64_t)survey->info->external_nlba * MAP_ENTRY_BYTES;
	int r;

	if (survey->tally.nrange + survey->tally.ntwice == 0)
		return 0;
	check->total += map_bytes;
	memset(survey->bits.claimed, 0,
	    survey->nword * sizeof(*survey->bits.claimed));
	for_pairs(survey, claim);
	if ((r = check_entries(check, survey->log, claim_entry, survey)) < 0)
		return r;
	if (survey->ntwice == 0)
		return 0;
	check->total += map_bytes;
	for_pairs(survey, find_first);
	r = check_entries(check, survey->log, find_first_entry, survey);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < survey->ntwice; i++) {
		const struct double_claim *twice = &survey->twice[i];
		uint32_t nfree = survey->info->nfree;
		char first[OWNER_TEXT_BYTES];
		char second[OWNER_TEXT_BYTES];

		owner_text(survey, twice->first, first);
		owner_text(survey, twice->second, second);
		check_found(check, CHECK_BLOCK_TWICE,
		    twice->second < nfree ? twice->second
					  : twice->second - nfree,
		    owner_off(survey, twice->second),
		    "block %u is owned by %s and by %s", twice->block, first,
		    second);
	}
	check_more(check, CHECK_BLOCK_TWICE, survey->nmore);
	return 0;
}

static void
report_lost(struct map_survey *survey)
{
	uint32_t nblock = survey->info->internal_nlba;

	for (uint32_t i = 0; i < nblock; i++) {
		uint64_t word = survey->bits.claimed[i / 64];

		if (word == UINT64_MAX)
			i |= 63;
		if (word >> i % 64 & 1)
			continue;
		check_found(survey->check, CHECK_BLOCK_LOST, BTT_NO_ENTRY,
		    block_off(survey, i),
		    "block %u is owned by no map entry and no log pair", i);
	}
}

static void
report_states(struct map_survey *survey)
{
	struct check *check = survey->check;
	const struct map_tally *tally = &survey->tally;

	if (tally->nstate[MAP_STATE_ERROR] > 0)
		check_found(check, CHECK_MAP_ERROR,
		    tally->first[MAP_STATE_ERROR],
		    entry_off(survey, tally->first[MAP_STATE_ERROR]),
		    "%" PRIu64 " sectors are marked bad, this one first",
		    tally->nstate[MAP_STATE_ERROR]);
	if (tally->nbits > 0)
		check_found(check, CHECK_MAP_BITS, tally->first_bits,
		    entry_off(survey, tally->first_bits),
		    "%" PRIu64 " initial entries are not 0, this one first",
		    tally->nbits);
	/* A page of the kernel's is one sector, or eight. */
	if (tally->nstate[MAP_STATE_ZERO] > 0 &&
	    check->layout != BTT_LAYOUT_POOL &&
	    btt_sector_data_bytes(survey->info->external_lbasize) == 512)
		check_found(check, CHECK_MAP_ZERO, tally->first[MAP_STATE_ZERO],
		    entry_off(survey, tally->first[MAP_STATE_ZERO]),
		    "%" PRIu64 " sectors of 512 bytes are marked zero, this "
		    "one first",
		    tally->nstate[MAP_STATE_ZERO]);
}

static void
count_states(struct map_survey *survey)
{
	struct btt_check_result *result = survey->check->result;
	const uint64_t *nstate = survey->tally.nstate;

	result->ninitial += nstate[MAP_STATE_INITIAL];
	result->nerror += nstate[MAP_STATE_ERROR];
	result->nzero += nstate[MAP_STATE_ZERO];
	result->nnormal += nstate[MAP_STATE_NORMAL];
}

int
check_map(struct check *check, const struct check_log *log)
{
	struct map_survey survey = {
		.check = check,
		.info = &check->place->info,
		.log = log,
	};
	int r = -ENOMEM;

	survey.nword = (size_t)survey.info->internal_nlba / 64 + 1;
	survey.bits.claimed =
	    calloc(survey.nword, sizeof(*survey.bits.claimed));
	if (survey.bits.claimed == NULL)
		return r;
	if ((r = check_scan(check, log, &survey.bits, &survey.tally)) < 0)
		goto out;
	count_states(&survey);
	if ((r = report_owners(&survey)) < 0)
		goto out;
	/* Without the log nobody knows which blocks are free. */
	if (log != NULL)
		report_lost(&survey);
	report_states(&survey);
out:
	free(survey.bits.claimed);
	return r;
}

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
	uint32_t *entry; /* CHUNK_ENTRIES, host order */

	struct double_claim twice[CHECK_REPORT_MAX];
	uint32_t ntwice;  /* of those above */
	uint64_t nmore;   /* beyond them */
	uint32_t nknown;  /* of which first is known */
	uint32_t npassed; /* pending entries already met in this pass */
	uint64_t filter[FILTER_BITS / 64];
};

/* Called with each owner of a pass and its block. */
typedef void
owner_fn(struct map_survey *survey, uint64_t owner, uint32_t block);

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

/* The entry as recovery will leave it; asked for in ascending order. */
static uint32_t
recovered_entry(struct map_survey *survey, uint32_t premap, uint32_t entry)
{
	const struct check_log *log = survey->log;

	if (log == NULL || survey->npassed == log->npending ||
	    log->pending[survey->npassed].premap != premap)
		return entry;
	return log->pending[survey->npassed++].entry;
}

/* First pass: is the block's bit set already? */
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

static void
pass_pairs(struct map_survey *survey, owner_fn *fn)
{
	for (uint32_t i = 0; survey->log != NULL && i < survey->info->nfree;
	     i++) {
		if (survey->log->pair[i].free_block != CHECK_NO_BLOCK)
			fn(survey, i, survey->log->pair[i].free_block);
	}
}

/* One chunk, first to n entries further. */
static void
pass_entries(
    struct map_survey *survey, uint32_t first, uint32_t n, owner_fn *fn)
{
	const struct btt_info *info = survey->info;
	bool is_first_pass = fn == claim;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t premap = first + i;
		uint32_t entry = survey->entry[i];
		uint32_t block;

		entry = recovered_entry(survey, premap, entry);
		block = map_entry_block(entry, premap);
		if (block < info->internal_nlba)
			fn(survey, (uint64_t)info->nfree + premap, block);
		else if (is_first_pass)
			check_found(survey->check, CHECK_MAP_RANGE, premap,
			    entry_off(survey, premap),
			    "entry %#x names block %u of %u", entry, block,
			    info->internal_nlba);
	}
}

static int
pass(struct map_survey *survey, owner_fn *fn)
{
	const uint32_t nentry = survey->info->external_nlba;
	uint32_t n;
	int r;

	survey->npassed = 0;
	pass_pairs(survey, fn);
	for (uint32_t at = 0; at < nentry; at += n) {
		n = nentry - at;
		if (n > CHUNK_ENTRIES)
			n = CHUNK_ENTRIES;
		r = check_read(survey->check, entry_off(survey, at),
		    survey->entry, n * sizeof(*survey->entry));
		if (r < 0)
			return r;
		for (uint32_t i = 0; i < n; i++)
			survey->entry[i] =
			    le32_decode((struct le32){ survey->entry[i] });
		pass_entries(survey, at, n, fn);
		/* The rest of the map has nothing more to tell. */
		if (fn == find_first && survey->nknown == survey->ntwice)
			n = nentry - at;
		check_progress(
		    survey->check, (uint64_t)n * sizeof(*survey->entry));
	}
	return 0;
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
	if ((r = pass(survey, claim)) < 0)
		return r;
	if (survey->ntwice == 0)
		return 0;
	check->total += map_bytes;
	if ((r = pass(survey, find_first)) < 0)
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
	survey.entry = calloc(CHUNK_ENTRIES, sizeof(*survey.entry));
	if (survey.bits.claimed == NULL || survey.entry == NULL)
		goto out;
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
	free(survey.entry);
	free(survey.bits.claimed);
	return r;
}

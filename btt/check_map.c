/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_map -- findings in an arena's map, and who owns which block (I1).
 *
 * The map is read once, front to back, and one bit a block remembers whether
 * it has an owner.  Owners are numbered: the log's pairs, then the map's
 * entries as recovery will leave them.  A block that is claimed again tells
 * its second owner only; for as many of those as are reported the owners are
 * gone through a second time to find the first.
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
	uint64_t *claimed;           /* a bit a block */
	uint32_t *entry;             /* CHUNK_ENTRIES, host order */

	struct double_claim twice[CHECK_REPORT_MAX];
	uint32_t ntwice;  /* of those above */
	uint64_t nmore;   /* beyond them */
	uint32_t nknown;  /* of which first is known */
	uint32_t npassed; /* pending entries already met in this pass */
	uint64_t filter[FILTER_BITS / 64];

	uint64_t nerror; /* entries with E, Z, or bits that do not count */
	uint64_t nzero;
	uint64_t nbits;
	uint32_t first_error;
	uint32_t first_zero;
	uint32_t first_bits;
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

static void
count_state(struct map_survey *survey, uint32_t premap, uint32_t entry)
{
	struct btt_check_result *result = survey->check->result;

	switch (map_entry_state(entry)) {
	case MAP_STATE_INITIAL:
		result->ninitial++;
		if (entry != 0 && survey->nbits++ == 0)
			survey->first_bits = premap;
		break;
	case MAP_STATE_ERROR:
		result->nerror++;
		if (survey->nerror++ == 0)
			survey->first_error = premap;
		break;
	case MAP_STATE_ZERO:
		result->nzero++;
		if (survey->nzero++ == 0)
			survey->first_zero = premap;
		break;
	case MAP_STATE_NORMAL:
		result->nnormal++;
		break;
	}
}

/* First pass: is the block's bit set already? */
static void
claim(struct map_survey *survey, uint64_t owner, uint32_t block)
{
	uint64_t *word = &survey->claimed[block / 64];
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
		if (survey->log->free_block[i] != CHECK_NO_BLOCK)
			fn(survey, i, survey->log->free_block[i]);
	}
}

/* One chunk, first to n entries further; the first pass has findings. */
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

		if (is_first_pass)
			count_state(survey, premap, entry);
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
	uint32_t n;
	int r;

	survey->npassed = 0;
	pass_pairs(survey, fn);
	for (uint32_t at = 0; at < survey->info->external_nlba; at += n) {
		n = survey->info->external_nlba - at;
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
		check_progress(survey->check, n * sizeof(*survey->entry));
		if (fn == find_first && survey->nknown == survey->ntwice)
			return 0;
	}
	return 0;
}

static int
report_twice(struct map_survey *survey)
{
	struct check *check = survey->check;
	int r;

	if (survey->ntwice == 0)
		return 0;
	check->total += (uint64_t)survey->info->external_nlba * MAP_ENTRY_BYTES;
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
		if (i % 64 == 0 && survey->claimed[i / 64] == UINT64_MAX) {
			i += 63;
			continue;
		}
		if (survey->claimed[i / 64] >> i % 64 & 1)
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

	if (survey->nerror > 0)
		check_found(check, CHECK_MAP_ERROR, survey->first_error,
		    entry_off(survey, survey->first_error),
		    "%" PRIu64 " sectors are marked bad, this one first",
		    survey->nerror);
	if (survey->nbits > 0)
		check_found(check, CHECK_MAP_BITS, survey->first_bits,
		    entry_off(survey, survey->first_bits),
		    "%" PRIu64 " initial entries are not 0, this one first",
		    survey->nbits);
	/* A page of the kernel's is one sector, or eight. */
	if (survey->nzero > 0 && check->layout != BTT_LAYOUT_POOL &&
	    btt_sector_data_bytes(survey->info->external_lbasize) == 512)
		check_found(check, CHECK_MAP_ZERO, survey->first_zero,
		    entry_off(survey, survey->first_zero),
		    "%" PRIu64 " sectors of 512 bytes are marked zero, this "
		    "one first",
		    survey->nzero);
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

	survey.claimed = calloc((size_t)survey.info->internal_nlba / 64 + 1,
	    sizeof(*survey.claimed));
	survey.entry = calloc(CHUNK_ENTRIES, sizeof(*survey.entry));
	if (survey.claimed == NULL || survey.entry == NULL)
		goto out;
	if ((r = pass(&survey, claim)) < 0)
		goto out;
	if ((r = report_twice(&survey)) < 0)
		goto out;
	/* Without the log nobody knows which blocks are free. */
	if (log != NULL)
		report_lost(&survey);
	report_states(&survey);
out:
	free(survey.entry);
	free(survey.claimed);
	return r;
}

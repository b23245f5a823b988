/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * repair_text -- a plan in words.  Changes are kept as numbers, since there can
 * be a million of them.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "layout.h"
#include "repair_impl.h"

void
btt_repair_get_summary(
    const struct btt_repair *plan, struct btt_repair_summary *ret_summary)
{
	struct btt_repair_summary summary = {
		.nchange = plan->nchange,
		.nrefusal = plan->nrefusal,
		.nwrite = plan->nwrite,
	};

	for (uint32_t i = 0; i < plan->nchange; i++) {
		summary.nwithheld += plan->change[i].is_withheld;
		summary.nloss += plan->change[i].loses_data;
	}
	*ret_summary = summary;
}

static const char *
rank_text(uint32_t rank)
{
	switch ((enum repair_rank)rank) {
	case REPAIR_RANK_NONE:
		break;
	case REPAIR_RANK_PAIR_TWICE:
		return "which names it twice";
	case REPAIR_RANK_CONFIRMED:
		return "as the log confirms";
	case REPAIR_RANK_NORMAL:
		return "which was written";
	case REPAIR_RANK_INITIAL:
		return "which was never written";
	case REPAIR_RANK_UNREAD:
		return "which is not read";
	case REPAIR_RANK_PAIR:
		return "which comes first";
	}
	return "";
}

#define OWNER_TEXT_BYTES 64u

/* "map entry 12, as the log confirms" */
static void
owner_text(uint32_t nfree, const struct repair_change *change,
    char ret_text[OWNER_TEXT_BYTES])
{
	bool is_pair = change->other < nfree;

	(void)snprintf(ret_text, OWNER_TEXT_BYTES, "%s %u, %s",
	    is_pair ? "log pair" : "map entry",
	    is_pair ? change->other : change->other - nfree,
	    rank_text(change->rank));
}

static const char *
state_text(uint8_t state)
{
	switch ((enum map_state)state) {
	case MAP_STATE_ERROR:
		return "reads fail until it is written";
	case MAP_STATE_ZERO:
		return "reads as zeroes, as before";
	case MAP_STATE_INITIAL:
	case MAP_STATE_NORMAL:
		break;
	}
	return "is read";
}

/* Name and text; the rest is filled in. */
static void
describe(const struct btt_repair *plan, const struct repair_change *change,
    struct btt_repair_change *ret)
{
	uint32_t nfree =
	    (uint32_t)(plan->log[change->arena].bytes / FLOG_GROUP_BYTES);
	char owner[OWNER_TEXT_BYTES];

	owner_text(nfree, change, owner);
	switch ((enum repair_kind)change->kind) {
	case REPAIR_INFO:
		ret->name = "info";
		strcpy(ret->text, "the info block is restored from its backup");
		break;
	case REPAIR_INFO2:
		ret->name = "info2";
		strcpy(ret->text, "the backup is restored from the info block");
		break;
	case REPAIR_INFO_FLAG:
		ret->name = "info2";
		strcpy(ret->text, "the error flag is set as in the other copy");
		break;
	case REPAIR_PENDING:
		ret->name = "log-map";
		(void)snprintf(ret->text, sizeof(ret->text),
		    "sector %u gets block %u instead of %u, as the log says",
		    change->entry, change->block, change->other);
		break;
	case REPAIR_MAP_RANGE:
		ret->name = "map-range";
		(void)snprintf(ret->text, sizeof(ret->text),
		    "sector %u gets block %u, since there is no block %u, and "
		    "%s",
		    change->entry, change->block, change->other,
		    state_text(change->state));
		break;
	case REPAIR_MAP_TWICE:
		ret->name = "bitmap";
		(void)snprintf(ret->text, sizeof(ret->text),
		    "sector %u gets block %u and %s; its block stays with %s",
		    change->entry, change->block, state_text(change->state),
		    owner);
		break;
	case REPAIR_PAIR:
		ret->name = check_kind_name((enum check_kind)change->state);
		(void)snprintf(ret->text, sizeof(ret->text),
		    "the pair is made anew, with block %u", change->block);
		break;
	case REPAIR_PAIR_TWICE:
		ret->name = "bitmap";
		(void)snprintf(ret->text, sizeof(ret->text),
		    "the pair is made anew, with block %u; its block stays "
		    "with %s",
		    change->block, owner);
		break;
	case REPAIR_LOG:
		ret->name = "log-pad";
		(void)snprintf(ret->text, sizeof(ret->text),
		    "%u pairs are rewritten, in slots 0 and 1 and without "
		    "flags",
		    change->block);
		break;
	case REPAIR_CLEAR_FLAG:
		ret->name = "error-flag";
		strcpy(ret->text, "the error flag is cleared in both copies");
		break;
	}
}

static bool
has_entry(const struct repair_change *change)
{
	switch ((enum repair_kind)change->kind) {
	case REPAIR_PENDING:
	case REPAIR_MAP_RANGE:
	case REPAIR_MAP_TWICE:
	case REPAIR_PAIR:
	case REPAIR_PAIR_TWICE:
		return true;
	case REPAIR_INFO:
	case REPAIR_INFO2:
	case REPAIR_INFO_FLAG:
	case REPAIR_LOG:
	case REPAIR_CLEAR_FLAG:
		break;
	}
	return false;
}

void
btt_repair_get_change(const struct btt_repair *plan, uint32_t index,
    struct btt_repair_change *ret_change)
{
	const struct repair_change *change = &plan->change[index];

	assert(index < plan->nchange);
	*ret_change = (struct btt_repair_change){
		.arena = change->arena,
		.entry = has_entry(change) ? change->entry : BTT_NO_ENTRY,
		.off = change->off,
		.loses_data = change->loses_data,
		.is_withheld = change->is_withheld,
	};
	describe(plan, change, ret_change);
}

void
btt_repair_get_refusal(const struct btt_repair *plan, uint32_t index,
    struct btt_repair_refusal *ret_refusal)
{
	assert(index < plan->nrefusal);
	*ret_refusal = plan->refusal[index];
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * repair_log -- what is written to a log: pairs that get a block, and pairs that
 * are only made to look like fresh ones.
 *
 * A group is eight words of 8 bytes, two a slot: lba and old_map, new_map and
 * sequence number.  Each is stored whole or not at all, which is all that the
 * engine relies on, too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "repair_impl.h"

#define GROUP_WORDS (FLOG_GROUP_BYTES / sizeof(uint64_t))

/* A group as it is after the writes that are planned so far. */
struct group {
	uint64_t off; /* on the medium */
	uint64_t word[GROUP_WORDS];
};

/* The log of the arena at hand being planned. */
struct log_plan {
	struct repairing *repairing;
	const struct check_log *log;
	struct flog_media *media; /* a copy */
	uint32_t nrewritten;
	int r; /* the first error */
};

static uint64_t
word_of(uint32_t first, uint32_t second)
{
	return (uint64_t)second << 32 | first;
}

static void
set_word(struct log_plan *log_plan, struct group *group, uint32_t round,
    unsigned index, uint64_t value)
{
	if (group->word[index] == value || log_plan->r < 0)
		return;
	log_plan->r = repair_add_word(log_plan->repairing->plan, round,
	    group->off + index * sizeof(uint64_t), sizeof(uint64_t),
	    group->word[index], value);
	group->word[index] = value;
}

static void
load_group(
    const struct log_plan *log_plan, uint32_t index, struct group *ret_group)
{
	const struct btt_arena_place *place = log_plan->repairing->check.place;

	ret_group->off = place->off + place->info.logoff +
	    (uint64_t)index * FLOG_GROUP_BYTES;
	for (unsigned i = 0; i < FLOG_GROUP_SLOTS; i++) {
		struct flog_entry entry = flog_decode(
		    &log_plan->media[(size_t)index * FLOG_GROUP_SLOTS + i]);

		ret_group->word[2 * i] = word_of(entry.lba, entry.old_map);
		ret_group->word[2 * i + 1] = word_of(entry.new_map, entry.seq);
	}
}

/* The entry of a fresh pair, but for its block. */
static struct flog_entry
fresh_entry(const struct log_plan *log_plan, uint32_t index, uint32_t block)
{
	const struct check *check = &log_plan->repairing->check;
	struct flog_entry entry = flog_initial(
	    index, check->place->info.external_nlba, check->layout);

	entry.old_map = (entry.old_map & ~MAP_BLOCK_MASK) | block;
	entry.new_map = entry.old_map;
	return entry;
}

/* Does the pair use those slots that make the log's what they are? */
static bool
is_of_majority(const struct log_plan *log_plan, uint32_t index)
{
	unsigned used =
	    flog_used_slots(&log_plan->media[(size_t)index * FLOG_GROUP_SLOTS]);

	return used == (1u | 1u << log_plan->log->slots.slot[1]);
}

/*
 * The pair gets a block that its entries may say nothing about.  With the first
 * store it means that block and nothing else, and nobody opens the BTT until the
 * last one is made.
 */
static void
reset_pair(struct log_plan *log_plan, uint32_t index, uint32_t block)
{
	struct flog_entry entry = fresh_entry(log_plan, index, block);
	struct group group;

	load_group(log_plan, index, &group);
	set_word(log_plan, &group,
	    is_of_majority(log_plan, index) ? REPAIR_ROUND_MARK2
					    : REPAIR_ROUND_MARK,
	    1, word_of(block, CHECK_SEQ_REPAIR));
	set_word(log_plan, &group, REPAIR_ROUND_CLEAR, 0,
	    word_of(entry.lba, entry.old_map));
	for (unsigned i = 2; i < GROUP_WORDS; i++)
		set_word(log_plan, &group, REPAIR_ROUND_CLEAR, i, 0);
	set_word(log_plan, &group, REPAIR_ROUND_COMMIT, 1,
	    word_of(entry.new_map, entry.seq));
}

/*
 * A sound pair, to be a fresh one that keeps its block.  Entries that move
 * nothing are written as the engine writes entries, to the older half each
 * time, until the newer one is slot 0's with number 1; then the other half can
 * go, its number first.  At every point of it the pair says the same, and in
 * slots that go with those of all others.
 */
static void
rotate_pair(struct log_plan *log_plan, uint32_t index)
{
	const struct check_pair *pair = &log_plan->log->pair[index];
	const unsigned other = 2u * log_plan->log->slots.slot[1];
	struct flog_entry entry =
	    fresh_entry(log_plan, index, pair->free_block);
	uint32_t round = REPAIR_ROUND_ROTATE;
	uint32_t seq = pair->newest.seq;
	unsigned newer = pair->newer;
	struct group group;
	struct group before;

	load_group(log_plan, index, &group);
	before = group;
	while (round == REPAIR_ROUND_ROTATE || newer != 0 || seq != 1) {
		unsigned at;

		/*
		 * If it is where it should be it is changed in place: its old
		 * block stays, which no map entry has, so whatever it says of
		 * a sector does not count.
		 */
		if (newer != 0 || seq != 1) {
			newer ^= 1;
			seq = flog_next_seq(seq);
		}
		at = newer == 0 ? 0 : other;
		set_word(log_plan, &group, round, at,
		    word_of(entry.lba, entry.old_map));
		set_word(log_plan, &group, round + 1, at + 1,
		    word_of(entry.new_map, seq));
		round += 2;
	}
	set_word(log_plan, &group, REPAIR_ROUND_RETIRE, other + 1, 0);
	set_word(log_plan, &group, REPAIR_ROUND_ERASE, other, 0);
	log_plan->nrewritten +=
	    memcmp(&group, &before, sizeof(group)) != 0 ? 1 : 0;
}

static int
add_change(struct log_plan *log_plan)
{
	const struct check *check = &log_plan->repairing->check;

	if (log_plan->nrewritten == 0)
		return 0;
	return repair_add_change(log_plan->repairing->plan,
	    &(struct repair_change){ .kind = REPAIR_LOG,
		.arena = check->arena,
		.block = log_plan->nrewritten,
		.off = check->place->off + check->place->info.logoff });
}

int
repair_log(struct repairing *repairing, const struct check_log *log,
    const struct repair_owners *owners)
{
	struct check *check = &repairing->check;
	const struct btt_info *info = &check->place->info;
	struct log_plan log_plan = { .repairing = repairing, .log = log };
	const size_t bytes = (size_t)info->nfree * FLOG_GROUP_BYTES;
	uint32_t at = 0; /* in owners, pairs come first */

	if ((log_plan.media = malloc(bytes)) == NULL)
		return -ENOMEM;
	log_plan.r = check_read(
	    check, check->place->off + info->logoff, log_plan.media, bytes);
	for (uint32_t i = 0; i < info->nfree && log_plan.r == 0; i++) {
		if (at < owners->n && owners->owner[at].number == i)
			reset_pair(&log_plan, i, owners->owner[at++].block);
		else if (repairing->options->rewrite_log)
			rotate_pair(&log_plan, i);
	}
	if (log_plan.r == 0)
		log_plan.r = add_change(&log_plan);
	free(log_plan.media);
	return log_plan.r;
}

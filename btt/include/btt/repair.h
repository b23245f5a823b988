/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_REPAIR_H
#define BTT_REPAIR_H

/*
 * repair -- mends what a check finds (check.h), in three steps that the caller
 * takes one by one: a plan is made in memory and can be shown, what it will
 * overwrite is saved (undo), it is carried out.  Nothing is written before the
 * last of them (P7).
 *
 * What it keeps to:
 *
 *  - No sector reads anything else afterwards than before, but for sectors that
 *    read as errors from then on, and for interrupted writes, which are
 *    completed as opening would.
 *  - Whatever would turn a sector that can be read into an error is withheld,
 *    with all changes to map and log of that arena, unless the caller allows
 *    the loss.
 *  - A crash at any point of it leaves what a second repair, with the same
 *    options, brings to the same end, byte for byte.
 *  - Afterwards every block has one owner (I1), and a check has no more to say
 *    than what was refused.  What is sound is not touched.
 *
 * Info blocks: a copy that is unusable or differs is replaced by the one that is
 * in use, which is the primary if that is valid.  If only the error flag
 * differs it gets set in both.
 *
 * Blocks: if several claim one, it stays with the first of
 *
 *	1. a log pair whose newest entry names it twice: one that was never
 *	   used since it was made or repaired
 *	2. a map entry that a log pair's newest entry confirms
 *	3. any other normal map entry
 *	4. a map entry that was never written: the block of its own number
 *	5. a map entry that is marked zero or bad, through which nothing is read
 *	6. any other log pair
 *
 * and of equals with the lowest number.  The others, map entries that name no
 * block of the arena, and pairs that say nothing or nonsense get the blocks that
 * nobody claims, of which there are as many.  A pair gets one that its entries
 * name, else the one that it was made with, if it is among them; what is left
 * goes to map entries and then to pairs in ascending order.
 *
 * A map entry that gets another block is marked bad, so that reads fail instead
 * of lying, until the sector is written.  One that was marked zero stays so, and
 * in a pool, where they read as zeroes, one that was never written becomes it.
 * Nothing is copied: if the damage was to one entry only, the block that it gets
 * is the one with its data.
 *
 * Pairs become fresh ones (btt-format.md 3.4) with their block.  While that is
 * under way a pair carries a mark for the next repair.
 */
#include <stdbool.h>
#include <stdint.h>

#include <btt/error.h>
#include <btt/format.h>
#include <btt/media.h>

struct btt_repair_options {
	const char *namespace; /* of several (label.h); NULL: the only one */
	/* Turn readable sectors into errors where there is no other way. */
	bool allow_data_loss;
	/*
	 * Make all pairs of the log fresh ones: slots 0 and 1, no flags.  The
	 * log is valid for every implementation at each point of it.
	 */
	bool rewrite_log;
	/* Clear error flags, if nothing else is wrong or left to be. */
	bool clear_error_flag;
	/* As in check.h. */
	unsigned nthread;
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *progress_arg;
};

/* A plan.  Immutable but for btt_repair_free. */
struct btt_repair;

/* Changes that a plan can hold; more damage than that is refused. */
#define BTT_REPAIR_CHANGE_MAX (UINT32_C(1) << 20)

/* One thing that is mended.  Strings live as long as the program but for text. */
struct btt_repair_change {
	const char *name; /* of the finding that it mends */
	uint32_t arena;
	uint64_t entry;   /* map entry or log pair, or BTT_NO_ENTRY */
	uint64_t off;     /* where: bytes from the start of the medium */
	bool loses_data;  /* a sector that can be read will not be any more */
	bool is_withheld; /* will not be done, see allow_data_loss */
	char text[200];
};

/* Why something stays as it is. */
struct btt_repair_refusal {
	uint32_t arena;
	char text[256];
};

/*
 * Find out what there is to mend, reading only.  The medium must not be in use
 * by an engine, nor change until the plan was carried out.
 *
 * Returns: 0, also if nothing is wrong or nothing can be mended; else as
 * btt_check, -EIO where the medium could not be read, -ENOMEM.
 */
int btt_repair_plan(const struct media *media,
    const struct btt_repair_options *options, struct btt_repair **ret_plan,
    struct btt_error *error) BTT_MUST_CHECK;
/* NULL is fine. */
void btt_repair_free(struct btt_repair *plan);

struct btt_repair_summary {
	uint32_t nchange; /* withheld ones and all */
	uint32_t nwithheld;
	uint32_t nloss; /* that lose data, withheld or not */
	uint32_t nrefusal;
	uint32_t nwrite; /* words and info blocks that will be overwritten */
};
void btt_repair_get_summary(
    const struct btt_repair *plan, struct btt_repair_summary *ret_summary);
/* index is below nchange, or nrefusal. */
void btt_repair_get_change(const struct btt_repair *plan, uint32_t index,
    struct btt_repair_change *ret_change);
void btt_repair_get_refusal(const struct btt_repair *plan, uint32_t index,
    struct btt_repair_refusal *ret_refusal);

/*
 * Carry the plan out, in ordered steps with fences between.  Durable on return.
 * Each byte is compared with what the plan has seen before it is overwritten.
 *
 * Errors: -EUCLEAN if the medium is not what it was when the plan was made (of
 * another size: before anything is written), -EROFS, -EIO and the like.  After
 * an error the image is one that a repair mends, as after a crash.
 */
int btt_repair_apply(const struct btt_repair *plan, struct media *media,
    struct btt_error *error) BTT_MUST_CHECK;

#endif

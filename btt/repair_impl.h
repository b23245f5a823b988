/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_REPAIR_IMPL_H
#define BTT_REPAIR_IMPL_H

/*
 * repair -- what the files repair*.c share: a plan and how it is made.
 *
 * A plan has changes, which are for people, and writes, which are done.  Each
 * write has a round; all of a round are durable before the first of the next.
 * The order of the rounds is the whole argument of why a crash does no harm:
 *
 *	INFO		One copy of an info block at most is touched in each
 *			arena, the other one is valid.
 *	MAP		Single words.  Each one alone is right: what a block is
 *			given to depends on the log, which has not changed yet,
 *			and on two ascending lists, which stay in step when a
 *			pair of them is gone.
 *	MARK, MARK2,	Pairs get their blocks.  From the mark on a pair means
 *	CLEAR, COMMIT	that block whatever else is in it, so the next repair
 *			comes to the same; the rest of it is in order before the
 *			mark is replaced.  What pairs without a mark mean depends
 *			on the slots that most of them use: so those that use
 *			them are marked last, and none without is left that
 *			another majority would be read by.
 *	ROTATE ...	Sound pairs, rewritten: each write is one that the
 *			engine might do, a record that moves nothing.
 *	FLAG2, FLAG	The error flag, as it was set: backup first.
 */
#include <stdbool.h>
#include <stdint.h>

#include <btt/repair.h>

#include "check_impl.h"

/* Writes that bring a pair to any of its six states, body and commit each. */
#define REPAIR_NROTATE 12u

enum repair_round {
	REPAIR_ROUND_INFO,
	REPAIR_ROUND_MAP,
	REPAIR_ROUND_MARK,
	REPAIR_ROUND_MARK2,
	REPAIR_ROUND_CLEAR,
	REPAIR_ROUND_COMMIT,
	REPAIR_ROUND_ROTATE,
	/* The older half is taken away: its number, then the rest. */
	REPAIR_ROUND_RETIRE = REPAIR_ROUND_ROTATE + REPAIR_NROTATE,
	REPAIR_ROUND_ERASE,
	REPAIR_ROUND_FLAG2,
	REPAIR_ROUND_FLAG,
};

enum repair_kind {
	REPAIR_INFO,       /* primary := backup */
	REPAIR_INFO2,      /* backup := primary */
	REPAIR_INFO_FLAG,  /* the error flag of one copy is set in the other */
	REPAIR_PENDING,    /* entry := block, instead of other */
	REPAIR_MAP_RANGE,  /* entry named other, gets block */
	REPAIR_MAP_TWICE,  /* entry's block is the owner other's, gets block */
	REPAIR_PAIR,       /* a pair that is damaged gets block */
	REPAIR_PAIR_TWICE, /* a pair's block is the owner other's */
	REPAIR_LOG,        /* block pairs are rewritten */
	REPAIR_CLEAR_FLAG,
};

struct repair_change {
	uint8_t kind;
	uint8_t state; /* of map entries: enum map_state after the change */
	bool loses_data;
	bool is_withheld;
	uint32_t arena;
	uint32_t entry; /* map entry or pair */
	uint32_t block;
	uint32_t other; /* as kind says; owners are numbered pairs first */
	uint32_t rank;  /* of the owner other, see repair_owners.c */
	uint64_t off;
};

/* A whole info block, before and after. */
struct repair_block {
	uint8_t before[BTT_INFO_BYTES];
	uint8_t after[BTT_INFO_BYTES];
};

/* bytes is 4 or 8 with the words in host order, or BTT_INFO_BYTES. */
struct repair_write {
	uint64_t off;
	uint32_t round;
	uint32_t bytes;
	union {
		struct {
			uint64_t before;
			uint64_t after;
		};
		struct repair_block *block; /* owned */
	};
};

struct repair_log_place {
	uint64_t off;
	uint64_t bytes;
};

struct btt_repair {
	uint64_t media_bytes;
	uint8_t uuid[BTT_UUID_BYTES];
	uint64_t uuid_off; /* where it is, and stays while this is done */

	struct repair_change *change;
	uint32_t nchange, change_room;
	struct repair_write *write; /* in the order in which they are done */
	uint32_t nwrite, write_room;
	struct btt_repair_refusal *refusal;
	uint32_t nrefusal, refusal_room;
	struct repair_log_place *log; /* of all arenas */
	uint32_t nlog;
};

/* A plan being made. */
struct repairing {
	struct check check;
	const struct btt_repair_options *options;
	struct btt_repair *plan;
};

/*
 * Room for one more than the n elements of a growing array.  Returns 0, -ENOMEM,
 * or -E2BIG if there are limit of them already.
 */
int repair_reserve(void **array, uint32_t n, uint32_t *room, size_t bytes,
    uint32_t limit) BTT_MUST_CHECK;

/* These return 0, -ENOMEM, or -E2BIG beyond BTT_REPAIR_CHANGE_MAX. */
int repair_add_change(
    struct btt_repair *plan, const struct repair_change *change) BTT_MUST_CHECK;
int repair_add_word(struct btt_repair *plan, uint32_t round, uint64_t off,
    uint32_t bytes, uint64_t before, uint64_t after) BTT_MUST_CHECK;
/* A whole info block; the bytes are copied. */
int repair_add_block(struct btt_repair *plan, uint32_t round, uint64_t off,
    const uint8_t before[BTT_INFO_BYTES], const uint8_t after[BTT_INFO_BYTES])
    BTT_MUST_CHECK;
int repair_add_refusal(struct btt_repair *plan, uint32_t arena, const char *fmt,
    ...) BTT_PRINTF(3, 4) BTT_MUST_CHECK;

/* The copies of the info block of the arena at hand.  0 or an error. */
int repair_infos(struct repairing *repairing) BTT_MUST_CHECK;
/* Clear the error flag of all arenas that have one. */
int repair_flags(struct repairing *repairing, const struct btt_probe *probe)
    BTT_MUST_CHECK;

/* An owner without a block, or that must give up the one it has. */
struct repair_owner {
	uint32_t number; /* pairs first, then map entries */
	uint32_t raw;    /* map entries: the word on the medium */
	uint32_t block;  /* that it gets */
	uint32_t other;  /* who keeps the block that it claims, or ... */
	uint32_t rank;   /* ... with which right; 0: it claims none */
	uint8_t state;   /* map entries: enum map_state that it gets */
	bool loses_data;
};

/* What of an arena's map and log is wrong, and who gets which block. */
struct repair_owners {
	struct repair_owner *owner; /* ascending number */
	uint32_t n, room;
	bool loses_data; /* one of them does */
};

/* The right of an owner to a block, best first. */
enum repair_rank {
	REPAIR_RANK_NONE,
	REPAIR_RANK_PAIR_TWICE,
	REPAIR_RANK_CONFIRMED,
	REPAIR_RANK_NORMAL,
	REPAIR_RANK_INITIAL,
	REPAIR_RANK_UNREAD,
	REPAIR_RANK_PAIR,
};

/* Returns 0, -EIO, -ENOMEM, -E2BIG; -EUCLEAN if the map has changed. */
int repair_find_owners(struct repairing *repairing, const struct check_log *log,
    struct repair_owners *ret_owners) BTT_MUST_CHECK;
void repair_owners_fini(struct repair_owners *owners);

/*
 * Log writes of the arena at hand: those pairs of owners get their blocks, and
 * with options.rewrite_log all others are rewritten too.
 */
int repair_log(struct repairing *repairing, const struct check_log *log,
    const struct repair_owners *owners) BTT_MUST_CHECK;

#endif

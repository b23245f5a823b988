/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_SIM_MEDIA_H
#define CRASH_SIM_MEDIA_H

/*
 * sim_media -- a medium in memory that knows what a crash could leave of it.
 *
 * The engine runs on it as on any other medium.  What it changes is visible at
 * once (the view), and is written down as deltas of units: a unit is what
 * reaches the persistent medium independently of all others, its deltas in
 * their order are what has been done to it since it was last known to be
 * durable.  A crash leaves of each unit some prefix of its deltas; every
 * combination of prefixes is a legal image (reliability.md 2.3):
 *
 *	kind	  unit		   a fence makes durable
 *	LINE	  64-byte line of  what the calling thread had flushed
 *		  stores; 8-byte
 *		  word of a copy
 *	LINE_TEMPORAL  the same, but copies are stores in address order with
 *		  a flush behind them: a line persists by prefix
 *	BYTE	  all stores as	   the calling thread's stores and all before
 *		  one sequence;	   the last of them; its copies
 *		  words of copies
 *	PAGE512, PAGE4096, PAGE64
 *		  so many bytes	   what anybody had copied or flushed before
 *				   the fence began
 *
 * Poison: each 512 bytes, a spot, may be poisoned, which is one more byte of
 * the view, behind the medium, and a unit of its own.  Touching one raises a
 * fault as a machine check does; clearing it, or writing all of it where the
 * medium has no call for that, is a change like any other: durable with the
 * next fence and not before (sim_poison.c).
 *
 * A delta carries the bytes it replaced, so images are made in the view itself
 * by taking deltas back and putting them on again; nothing is copied whole.
 */
#include <stdbool.h>
#include <stdint.h>

#include <btt/media.h>

#include "random.h"

enum sim_kind {
	SIM_LINE,
	SIM_LINE_TEMPORAL,
	SIM_BYTE,
	SIM_PAGE512,
	SIM_PAGE4096,
	SIM_PAGE64,
	SIM_NKIND,
};

#define SIM_THREADS 8
/* The thread number under which recovery runs: nobody else's fence is its. */
#define SIM_THREAD_RECOVERY 7
#define SIM_PIECE 64u /* most bytes of a delta */
#define SIM_SPOT 512u /* bytes that are poisoned together */

struct sim_delta {
	uint32_t off;
	uint8_t len;
	uint8_t thread;
	uint8_t old_bytes[SIM_PIECE];
	uint8_t new_bytes[SIM_PIECE];
};

/* Positions in a unit's history count from the start of the run. */
struct sim_unit {
	uint32_t ndurable; /* deltas that are durable and forgotten */
	uint32_t ndelta;   /* deltas that are not */
	uint32_t room;
	uint32_t named; /* page kinds: flushed or copied up to here */
	bool unflushed; /* stored to since the last flush: for I12 */
	bool dirty;     /* in the list of dirty units */
	bool touched;   /* in the list of units to reset */
	struct sim_delta *delta;
};

/* "This unit up to this position": what a fence will make durable. */
struct sim_claim {
	struct sim_unit *unit;
	uint32_t upto;
};

struct sim_claims {
	unsigned n, room;
	struct sim_claim *claim;
};

/* Bytes before a change, for taking back everything at once. */
struct sim_undo {
	uint32_t off;
	uint32_t len;
	uint8_t old_bytes[SIM_PIECE];
};

enum sim_fault {
	SIM_FAULT_NONE,
	SIM_FAULT_ERROR,
	SIM_FAULT_SIGNAL
};

struct sim {
	struct media media; /* first: a struct media * is a struct sim * */
	enum sim_kind kind;
	uint8_t *view; /* size bytes, then one for each spot */
	uint64_t size;
	uint64_t view_bytes;
	uint32_t unit_bytes;
	struct sim_unit *unit; /* by address: lines or pages */
	struct sim_unit *word; /* by address: 8-byte words of copies */
	struct sim_unit *spot; /* by address: poison */
	struct sim_unit order; /* SIM_BYTE: all stores */
	uint32_t order_last[SIM_THREADS]; /* SIM_BYTE: position after mine */
	unsigned ndirty, ntouched;
	struct sim_unit **dirty; /* in the order of becoming dirty */
	struct sim_unit **touched;
	struct sim_claims claims[SIM_THREADS]; /* flushed, not fenced */

	bool recording;  /* else changes are durable at once */
	bool keeps_undo; /* fill undo[] */
	unsigned nundo, undo_room;
	struct sim_undo *undo;

	/*
	 * Map and log: never changed by copies, which may tear them (P1).  In
	 * each part of the medium of words_every bytes, 0: there is no such.
	 */
	uint64_t words_every, words_start, words_end;
	uint64_t map_end; /* where of the two the log begins */

	/* Fault plan: the n-th fence or change from now on, 1 is the next. */
	unsigned fail_fence_in, fail_change_in;
	enum sim_fault fail_change_how;
	/* When a fence fails, pages go back to some older state of theirs. */
	bool lose_on_failure;
	uint64_t lose_seed;

	uint64_t nfence, nflush, nredundant_flush;
	uint64_t mend_seed; /* of what is there when poison is cleared */

	/* Called before each fence takes effect, and between recovery steps. */
	void (*at_fence)(struct sim *sim, void *arg);
	void *arg;
	/* Called for what no engine may do; does not return. */
	void (*complain)(struct sim *sim, void *arg, const char *text);
};

/* Of kinds with and without a call that clears poison. */
extern const struct media_ops sim_ops, sim_page_ops;

/* view may be given (shared) or NULL (owned). */
struct sim *sim_new(enum sim_kind kind, uint64_t size, uint8_t *view);
void sim_free(struct sim *sim);
/* Forget all history: the view is what the medium holds. */
void sim_reset(struct sim *sim);
/* Take back everything since the last sim_reset or sim_undo_all. */
void sim_undo_all(struct sim *sim);

/* Deltas of the i-th dirty unit, and moving a unit to a prefix of them. */
static inline uint32_t
sim_ndelta(const struct sim *sim, unsigned i)
{
	return sim->dirty[i]->ndelta;
}
void sim_delta_apply(struct sim *sim, unsigned i, uint32_t k);
void sim_delta_revert(struct sim *sim, unsigned i, uint32_t k);

/* One indivisible change of a unit: in its history and in the view. */
void sim_change(struct sim *sim, struct sim_unit *unit, uint64_t off,
    const void *src, size_t len);
/* The calling thread's next fence makes durable what the unit is now. */
void sim_claim(struct sim *sim, struct sim_unit *unit);
/* Whatever the unit is now is durable. */
void sim_settle(struct sim *sim, struct sim_unit *unit);
static inline uint32_t
sim_position(const struct sim_unit *unit)
{
	return unit->ndurable + unit->ndelta;
}

/* ---- sim_poison.c ---- */

static inline uint32_t
sim_nspot(const struct sim *sim)
{
	return (uint32_t)((sim->size + SIM_SPOT - 1) / SIM_SPOT);
}

/* Is any byte of the range poisoned? */
bool sim_poisoned(const struct sim *sim, uint64_t off, uint64_t len);
/* Poison the spot of this byte, now and for good: what was there is lost. */
void sim_poison(struct sim *sim, uint64_t off);
/* Begin the engine's list: with all that is poisoned, or with nothing. */
void sim_poison_list(struct sim *sim, bool all);
void sim_poison_unlist(struct sim *sim);
/* From now on, loads from this view fault where it is poisoned. */
void sim_poison_watch(struct sim *sim);
void sim_poison_unwatch(struct sim *sim);
/* For the operations. */
void sim_poison_meets_copy(struct sim *sim, uint64_t off, uint64_t len);
void sim_poison_clear(struct sim *sim, uint64_t off, uint64_t len);
void sim_poison_was_none(void);
/* Was all of the range poisoned until just now, or is it? */
bool sim_poison_is_new(const struct sim *sim, uint64_t off, uint64_t len);
/* sim_media.c: what a call of the system leaves in a spot. */
void sim_mend(struct sim *sim, uint64_t off);

const char *sim_kind_name(enum sim_kind kind);
enum media_granularity sim_kind_granularity(enum sim_kind kind);
static inline bool
sim_kind_is_page(enum sim_kind kind)
{
	return kind >= SIM_PAGE512;
}

/*
 * SIM_BYTE, for locks: how far the caller's stores go in the order of all, and
 * that the caller has seen the effect of the store there: what can be seen has
 * left its store buffer and is durable.
 */
uint32_t sim_stores(void);
void sim_have_seen(uint32_t upto);
extern struct sim *sim_running; /* the medium of the threads */

/* Who calls: the running coroutine, or recovery (sched.c, explore.c). */
extern unsigned sim_thread;

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_RTT_H
#define BTT_RTT_H

/*
 * rtt -- read tracking table: which blocks are being read, by whom.
 *
 * A reader takes no lock, so a block may be freed while it is read.  It is not
 * written again until no slot of this table names it (I3).
 *
 *	reader			writer that reuses block b
 *	  look the map up	  (earlier) map entry := other block
 *	  slot := b		  wait until no slot names b
 *	  look the map up again	  write to b
 *	  same? read b
 *	  slot := nothing
 *
 * Either the writer sees the slot and waits, or the reader sees the new map
 * entry and starts over.  For that the reader's store and load and the writer's
 * load are sequentially consistent operations, and whoever changed the map
 * makes a sequentially consistent fence, rtt_block_is_free, before the lane of
 * the block can be anybody's next.  (Acquire and release would allow both to
 * miss: a processor lets a load pass an earlier store.)
 *
 * The table has one slot a worker, on cache lines of its own, and serves all
 * devices of a pool; a name is an arena's number with a block's.  A writer
 * looks at the slots up to the last one that was ever used.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <btt/btt.h>
#include <lanes/annotations.h>

#include "hook.h"

/* No arena has number 0, so 0 names nothing. */
#define RTT_NOTHING UINT64_C(0)

/* Keys: a atomic, R written by the slot's reader only. */
struct rtt_slot {
	/* [a, R] names that count; pairs with rtt_wait's load. */
	_Alignas(LANES_CACHE_LINE) _Atomic uint32_t nname;
	bool is_used;      /* [R] the table knows it */
	struct rtt *table; /* [I] */
	/* [a, R] pairs with rtt_wait's loads. */
	_Atomic uint64_t name[BTT_READ_SECTORS];
};

struct rtt {
	unsigned nslot;              /* [I] */
	struct rtt_slot *slot;       /* [I] nslot of them */
	_Atomic unsigned nused;      /* [a] the slots behind were never used */
	_Atomic uint32_t last_arena; /* [a] numbers given out */
};

static inline uint64_t
rtt_name(uint32_t arena_number, uint32_t block)
{
	return (uint64_t)arena_number << 32 | block;
}

int rtt_init(struct rtt *rtt, unsigned nslot) BTT_MUST_CHECK;
void rtt_fini(struct rtt *rtt);
/* A number that no other arena of the table has. */
uint32_t rtt_new_arena(struct rtt *rtt);

/* Reader: note the i-th name; it counts from rtt_publish on. */
static inline void
rtt_note(struct rtt_slot *slot, unsigned i, uint64_t name)
{
	/*
	 * Nobody looks before rtt_publish, whose store releases this one.  It
	 * must not be seen before the reads of the slot's last use are done,
	 * hence release and not relaxed.
	 */
	atomic_store_explicit(&slot->name[i], name, memory_order_release);
}

/* The slot's first use, before its names count. */
void rtt_note_used(struct rtt_slot *slot);

/* Reader: make the first n names count, before the map is looked up again. */
static inline void
rtt_publish(struct rtt_slot *slot, unsigned n)
{
	if (!slot->is_used && !MUTANT(89))
		rtt_note_used(slot);
	HOOK_POINT("rtt publish");
	HOOK_STORE32(&slot->nname, n);
	if (!MUTANT(12))
		HOOK_DRAIN();
}

/* Reader: replace a published name, before the map is looked up again. */
void rtt_replace(struct rtt_slot *slot, unsigned i, uint64_t name);
/* Reader: nothing is read any more.  On every exit. */
static inline void
rtt_clear(struct rtt_slot *slot)
{
	HOOK_POINT("rtt clear");
	/*
	 * Release is enough: a writer that sees the slot empty must see our
	 * reads done; nothing of ours that follows must be seen after it.
	 */
	atomic_store_explicit(&slot->nname, 0, memory_order_release);
}

/*
 * Writer: map entries no longer name blocks, which may be written to from now
 * on, by anybody who has waited for their readers.  A fence and not four
 * stronger stores, since it is one for a whole batch; what it orders is no
 * data, so checkers of data races need not know of it.
 */
static inline void
rtt_block_is_free(void)
{
	if (MUTANT(105))
		return;
	HOOK_DRAIN();
	atomic_thread_fence(memory_order_seq_cst);
}

/*
 * Writer: sleep until no slot names any of the n names.  Spins a little,
 * yields, then sleeps in growing steps (LN-8): the reader may be off the
 * processor.  Returns for how many nanoseconds, 0 if it had not to wait.
 */
uint64_t rtt_wait(struct rtt *rtt, const uint64_t *names, unsigned n);

#endif

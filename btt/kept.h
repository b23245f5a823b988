/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_KEPT_H
#define BTT_KEPT_H

/*
 * kept -- what groups have not committed yet, in memory that outlives a crash
 * of the process (P6): one record a flog pair, which says that the newest data
 * of a sector lies in the pair's free block.
 *
 * The data itself is with the system, which a crash of ours does not touch.
 * What would be lost are the map entries in the overlays, and with them writes
 * that were acknowledged and seen.  Whoever opens the device next, with the
 * same memory, first lets recovery complete what the medium says, and then adds
 * to its active group each record that still names its pair's free block: if
 * the pair's log entry was committed, another block is its free one by now.
 *
 * A crash between two stores of one change:
 *	the record is set, then the overlay	both: the data is placed, so the
 *						newer content is a whole one
 *	a sector is written again: its new	both name the sector: the later
 *	record is set, the overlay changed,	one counts, which is the one
 *	the old record cleared			that a reader may have seen
 *	the pair is given back			its record was cleared before
 *
 * A power failure takes the memory with it, and leaves what the last commit
 * made durable: nothing in here is needed for P1 and P2.
 */
#include <stdatomic.h>
#include <stdint.h>

#include <btt/btt.h>

#include "arena.h"

struct btt;
struct kept_header;

/*
 * Keys: a atomic, as flog_pair.premap and .group of the pair.  The order of the
 * stores is the order in which a crash leaves them; other processors see
 * nothing of it.
 */
struct kept_record {
	_Atomic uint64_t serial; /* of the change, 0: none; stored last */
	_Atomic uint32_t premap;
	_Atomic uint32_t block; /* the pair's free block, with the data */
};

/*
 * Get the memory and take over what is in it.  Groups are open, recovery is
 * done, nobody else knows the device.
 * Errors: -ENOMEM; -EUCLEAN with the reason if the memory is another device's;
 * the failure that the predecessor had seen is noted, not returned.
 */
int kept_open(struct btt *btt, const struct btt_open_options *options,
    struct btt_error *error) BTT_MUST_CHECK;

/* What every later open with this memory shall know (I7).  NULL is fine. */
void kept_note_failure(struct kept_header *kept, int failure);
/* 0, or what was noted. */
int kept_failure(struct kept_header *kept);

/* A number for the next change of the device, above all before. */
uint64_t kept_next_serial(struct kept_header *kept);

/* The arena's pair has this change from now on.  NULL records: nothing. */
static inline void
kept_set(struct arena *arena, uint32_t pair, uint64_t serial, uint32_t premap,
    uint32_t block)
{
	struct kept_record *record;

	if (arena->kept == NULL)
		return;
	record = &arena->kept[pair];
	atomic_store_explicit(&record->premap, premap, memory_order_relaxed);
	atomic_store_explicit(&record->block, block, memory_order_relaxed);
	atomic_store_explicit(&record->serial, serial, memory_order_release);
}

/* The pair has no change any more. */
static inline void
kept_clear(struct arena *arena, uint32_t pair)
{
	if (arena->kept != NULL)
		atomic_store_explicit(
		    &arena->kept[pair].serial, 0, memory_order_release);
}

#endif

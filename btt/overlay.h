/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_OVERLAY_H
#define BTT_OVERLAY_H

/*
 * overlay -- map entries that are ahead of the medium, in memory.
 *
 * A hash table of a fixed size with one atomic 64-bit word an entry, so that
 * a reader needs no lock and sees an entry wholly or not at all.  Entries are
 * added and changed under the map lock of their sector and leave all at once.
 *
 * An arena has two of them where writes are committed in groups: the active
 * group's and the committing one's.  Which is which is one atomic index.  A
 * read-only device with an interrupted write uses one for what recovery would
 * have stored.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <btt/error.h>

/* Keys: I immutable after init, a atomic, M map lock of the entry's sector. */
struct overlay {
	uint32_t mask;          /* [I] table size - 1, a power of two */
	_Atomic uint32_t nset;  /* [a] calls since clear; 0: pass by */
	_Atomic uint64_t *word; /* [a, M] 0: unused */
	uint32_t *owner;        /* [M] flog pair that holds the new block */
};

struct overlay_pair {
	struct overlay table[2];
	_Atomic unsigned active; /* [a] which one takes new entries */
};

/* Room for nentry different sectors.  Returns 0 or -ENOMEM. */
int overlay_pair_new(uint32_t nentry, struct overlay_pair **ret_pair)
    BTT_MUST_CHECK;
void overlay_pair_free(struct overlay_pair *pair);

/* Raw map entry of premap in the active table, else in the other. */
bool overlay_pair_find(
    const struct overlay_pair *pair, uint32_t premap, uint32_t *ret_entry);

/* The same in one table, with its owner (caller holds the map lock). */
bool overlay_find(
    const struct overlay *overlay, uint32_t premap, uint32_t *ret_entry);
uint32_t overlay_owner(const struct overlay *overlay, uint32_t premap);

/*
 * Set the entry of premap and its owner; true if one was there before, whose
 * owner is in *ret_owner then.  Caller holds the map lock.  The table must not
 * hold nentry other sectors already (an assertion: pairs bound it).
 */
bool overlay_set(struct overlay *overlay, uint32_t premap, uint32_t entry,
    uint32_t owner, uint32_t *ret_owner);

/* Forget everything.  The medium must hold all of it (or nothing is lost). */
void overlay_clear(struct overlay *overlay);

#endif

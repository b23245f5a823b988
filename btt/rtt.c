/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rtt -- see rtt.h for the protocol and why it is sequentially consistent.
 */
#include "rtt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lanes/clock.h>

#include "backoff.h"
#include "hook.h"

int
rtt_init(struct rtt *rtt, unsigned nslot)
{
	size_t bytes;

	bytes = nslot * sizeof(struct rtt_slot);
	if ((rtt->slot = aligned_alloc(LANES_CACHE_LINE, bytes)) == NULL)
		return -ENOMEM;
	/* Touch it all now: the read path must not fault pages in. */
	memset(rtt->slot, 0, bytes);
	for (unsigned i = 0; i < nslot; i++)
		rtt->slot[i].table = rtt;
	rtt->nslot = nslot;
	atomic_init(&rtt->nused, 0);
	atomic_init(&rtt->last_arena, 0);
	return 0;
}

void
rtt_fini(struct rtt *rtt)
{
	free(rtt->slot);
	rtt->slot = NULL;
}

uint32_t
rtt_new_arena(struct rtt *rtt)
{
	return atomic_fetch_add(&rtt->last_arena, 1) + 1;
}

/*
 * The slot's first use, noted before the map is looked up again.  A writer that
 * looks too early to see it has changed the map before that, and the reader
 * sees the change.
 */
void
rtt_note_used(struct rtt_slot *slot)
{
	struct rtt *rtt = slot->table;
	unsigned need = (unsigned)(slot - rtt->slot) + 1;
	unsigned nused = atomic_load(&rtt->nused);

	HOOK_POINT("rtt used");
	while (nused < need &&
	    !atomic_compare_exchange_weak(&rtt->nused, &nused, need))
		;
	slot->is_used = true;
}

void
rtt_replace(struct rtt_slot *slot, unsigned i, uint64_t name)
{
	HOOK_POINT("rtt replace");
	HOOK_STORE64(&slot->name[i], name);
	if (!MUTANT(12))
		HOOK_DRAIN();
}

static bool
slot_names_any(struct rtt_slot *slot, const uint64_t *names, unsigned n)
{
	uint64_t name;
	uint32_t nname;

	if ((nname = atomic_load(&slot->nname)) == 0)
		return false;
	for (uint32_t i = 0; i < nname; i++) {
		if ((name = atomic_load(&slot->name[i])) == RTT_NOTHING)
			continue;
		for (unsigned k = 0; k < n; k++) {
			if (name == names[k])
				return true;
		}
	}
	return false;
}

uint64_t
rtt_wait(struct rtt *rtt, const uint64_t *names, unsigned n)
{
	struct backoff backoff = BACKOFF_INIT;
	uint64_t begun_ns = 0;
	unsigned nused;

	if (MUTANT(1))
		return 0;
	nused = atomic_load(&rtt->nused);
	for (unsigned i = 0; i < MUTATE(24, nused, nused > 0); i++) {
		HOOK_POINT("rtt scan");
		while (slot_names_any(&rtt->slot[i], names, n)) {
			if (backoff.nwait == 0)
				begun_ns = clock_ns();
			backoff_wait(&backoff);
		}
	}
	return backoff.nwait > 0 ? clock_ns() - begun_ns + 1 : 0;
}

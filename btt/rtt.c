/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rtt -- see rtt.h for the protocol and why it is sequentially consistent.
 */
#include "rtt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backoff.h"
#include "clock.h"
#include "hook.h"

#ifdef BTT_TEST_HOOKS
#define RTT_STORE32(word, value) btt_hook_store32((word), (value))
#define RTT_STORE64(word, value) btt_hook_store64((word), (value))
#define RTT_DRAIN() btt_hook_drain()
#else
#define RTT_STORE32(word, value) atomic_store((word), (value))
#define RTT_STORE64(word, value) atomic_store((word), (value))
#define RTT_DRAIN() ((void)0) /* atomic_store has done it */
#endif

int
rtt_init(struct rtt *rtt, unsigned nslot)
{
	size_t bytes;

	bytes = nslot * sizeof(struct rtt_slot);
	if ((rtt->slot = aligned_alloc(LANES_CACHE_LINE, bytes)) == NULL)
		return -ENOMEM;
	/* Touch it all now: the read path must not fault pages in. */
	memset(rtt->slot, 0, bytes);
	rtt->nslot = nslot;
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

void
rtt_note(struct rtt_slot *slot, unsigned i, uint64_t name)
{
	/*
	 * Nobody looks before rtt_publish, whose store releases this one.  It
	 * must not be seen before the reads of the slot's last use are done,
	 * hence release and not relaxed.
	 */
	atomic_store_explicit(&slot->name[i], name, memory_order_release);
}

void
rtt_publish(struct rtt_slot *slot, unsigned n)
{
	HOOK_POINT("rtt publish");
	RTT_STORE32(&slot->nname, n);
	if (!MUTANT(12))
		RTT_DRAIN();
}

void
rtt_replace(struct rtt_slot *slot, unsigned i, uint64_t name)
{
	HOOK_POINT("rtt replace");
	RTT_STORE64(&slot->name[i], name);
	if (!MUTANT(12))
		RTT_DRAIN();
}

void
rtt_clear(struct rtt_slot *slot)
{
	HOOK_POINT("rtt clear");
	/*
	 * Release is enough: a writer that sees the slot empty must see our
	 * reads done; nothing of ours that follows must be seen after it.
	 */
	atomic_store_explicit(&slot->nname, 0, memory_order_release);
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

	if (MUTANT(1))
		return 0;
	for (unsigned i = 0; i < MUTATE(24, rtt->nslot, 1); i++) {
		HOOK_POINT("rtt scan");
		while (slot_names_any(&rtt->slot[i], names, n)) {
			if (backoff.nwait == 0)
				begun_ns = clock_ns();
			backoff_wait(&backoff);
		}
	}
	return backoff.nwait > 0 ? clock_ns() - begun_ns + 1 : 0;
}

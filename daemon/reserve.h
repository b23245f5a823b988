/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_RESERVE_H
#define BTTFS_RESERVE_H

/*
 * reserve -- of many workers a few wait for requests, and the others stay aside
 * until all of these are busy.
 *
 * The kernel gives a request to who has waited longest.  With 32 workers, of
 * which most are there for the time when others sleep in a sync, each request
 * would find a thread whose stack and buffer have left the processor's cache.
 *
 * A worker waits, is busy, or stays aside.  The first and the last are counted
 * in one word, which changes at once: whenever the last one that waits gets a
 * request, one that stays aside begins to wait.  So somebody waits, or all are
 * busy.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <lanes/sync.h>

/* Keys: I immutable after reserve_init, a atomic, R lock. */
struct reserve {
	uint32_t nmost;        /* [I] that wait */
	_Atomic uint64_t word; /* [a] waiting, and above them those aside */
	struct mutex lock;
	struct cond changed;
	uint32_t ncalled; /* [R] aside no more, but do not know it yet */
	bool is_over;     /* [R] */
};

/* At most nmost are to wait, one at least. */
void reserve_init(struct reserve *reserve, uint32_t nmost);
/* Nobody uses it any more. */
void reserve_fini(struct reserve *reserve);

/*
 * Before a worker waits for a request; stays aside until it shall wait.
 * Returns false if there is nothing to be waited for any more.
 */
bool reserve_enter(struct reserve *reserve);

/* It has waited, for whatever came. */
void reserve_leave(struct reserve *reserve);

/* Whoever stays aside is called, and nobody does so from now on. */
void reserve_end(struct reserve *reserve);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_SCRUB_IMPL_H
#define BTT_SCRUB_IMPL_H

/*
 * scrub -- what scrub.c (life, data) and scrub_meta.c (info blocks, log, map)
 * share.
 */
#include <btt/bad.h>
#include <btt/scrub.h>

#include "badlist.h"
#include "check_impl.h"
#include "engine.h"
#include "map.h"

/* In the order in which they are done. */
enum scrub_stage {
	SCRUB_INFO,
	SCRUB_LOG,
	SCRUB_MAP,
	SCRUB_OWNERS, /* the map again, where somebody is suspected */
	SCRUB_DATA,
	SCRUB_END,
};

/*
 * Findings that are told when nothing is held any more: a unit of the map has
 * as many entries, and may be bad besides.
 */
#define SCRUB_PENDING_MAX (MAP_UNIT_ENTRIES + 2u)
/* Pairs of the log of one step, with as many blocks; one lane's. */
#define SCRUB_PAIRS 8u
/* How often pairs are tried that a group has at the moment. */
#define SCRUB_TRIES 3u
/* Entries of one step: 8 KiB of the map. */
#define SCRUB_ENTRIES 2048u

#define SCRUB_SUSPECTS_MAX 1024u

/* A block that was met twice. */
struct scrub_suspect {
	uint32_t arena, block;
	uint32_t premap; /* OWNERS: the owner met last, UINT32_MAX: none yet */
};

/* Whoever steps it. */
struct btt_scrub {
	struct btt *btt;
	struct btt_scrub_options options;
	struct btt_scrub_result result;
	enum scrub_stage stage;
	uint32_t arena;  /* INFO, LOG */
	uint32_t pair;   /* LOG: next one of the arena */
	unsigned ntry;   /* LOG: of these pairs */
	uint64_t sector; /* MAP, OWNERS, DATA: next one of the range */
	/* MAP: a bit a block of the arena at hand, or NULL. */
	uint64_t *seen;
	uint32_t seen_arena;
	unsigned nsuspect;
	struct scrub_suspect suspect[SCRUB_SUSPECTS_MAX];
	bool is_first_look; /* DATA: findings will be met again */
	/* For check_found: */
	struct check check;
	struct btt_check_options check_options;
	struct btt_check_result check_result;
	struct btt_error error;
	unsigned npending;
	struct btt_finding pending[SCRUB_PENDING_MAX];
};

/*
 * Touch bytes of the medium that nobody writes to meanwhile; what is poisoned
 * or planted there is listed.  True if any of it is known to be bad now, or
 * cannot be read.
 */
bool scrub_touch(struct btt_scrub *scrub, uint64_t off, uint64_t len);

/* One step each; they return the bytes that they looked at. */
uint64_t scrub_info(struct btt_scrub *scrub);
uint64_t scrub_log(struct btt_scrub *scrub, struct btt_worker *worker);
uint64_t scrub_map(struct btt_scrub *scrub, uint64_t max_bytes);
uint64_t scrub_owners(struct btt_scrub *scrub, struct btt_worker *worker);

/* Entries that have been read for the first time, and the end of that. */
void scrub_see_owners(struct btt_scrub *scrub, const struct arena *arena,
    uint32_t premap, uint32_t end);
void scrub_begin_owners(struct btt_scrub *scrub);

/* Tell what was found.  Nothing is held. */
void scrub_deliver(struct btt_scrub *scrub);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUZZ_ORACLE_H
#define FUZZ_ORACLE_H

/*
 * oracle -- what an arena must come to, by other code than btt/'s: the
 * kernel's recovery (tests/crash/reference_recovery.h), the bounds that the
 * kernel does not look at, and who owns which block.
 */
#include <assert.h>
#include <stdint.h>

#include <btt/format.h>

#include "packed.h"

#include "../crash/reference_recovery.h"

/* As many as an image has room for; fuzz.cmake sets them. */
static_assert(REFERENCE_LBAS >= PACKED_IMAGE_MAX / 512, "sectors");
static_assert(REFERENCE_LANES >= PACKED_IMAGE_MAX / 64, "log pairs");

struct oracle {
	struct reference after; /* recovery; undefined where refused says so */
	const char *refused;    /* NULL: the log is sound */
	/* Owners are all map entries after recovery and all free blocks. */
	uint32_t nrange; /* map entries without a block that exists */
	uint32_t ntwice; /* blocks that were somebody's already */
	uint32_t nlost;  /* blocks that are nobody's */
};

/* Look at the arena at place in an image that has room for it. */
void oracle_look(const uint8_t *image, const struct btt_arena_place *place,
    struct oracle *ret);

/* Has every block one owner? */
static inline bool
oracle_is_sound(const struct oracle *oracle)
{
	return oracle->refused == NULL && oracle->nrange == 0 &&
	    oracle->ntwice == 0 && oracle->nlost == 0;
}

#endif

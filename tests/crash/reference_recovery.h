/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_REFERENCE_RECOVERY_H
#define CRASH_REFERENCE_RECOVERY_H

/*
 * reference_recovery -- what the kernel would make of an arena at attach,
 * written from btt-format.md 3.2, 3.3 and 4.1 and from nothing of btt/, to be
 * a second opinion (I7).  Reads the image, changes nothing.
 */
#include <stdint.h>

/* Room for what the explorer has; tests/fuzz has more. */
#ifndef REFERENCE_LBAS
#define REFERENCE_LBAS 192
#define REFERENCE_LANES 64
#endif

struct reference {
	uint32_t map[REFERENCE_LBAS];   /* raw entries after recovery */
	uint32_t free[REFERENCE_LANES]; /* block of each lane, 30 bits */
	/* The newest entry of each lane: its sector, and the block it got. */
	uint32_t lba[REFERENCE_LANES];
	uint32_t new_block[REFERENCE_LANES];
	const char *error; /* it would not attach, and why */
};

/*
 * map: nlba entries; log: nfree groups of 64 bytes.  nblock is the number of
 * internal blocks; the kernel does not compare with it, we do so as not to
 * read beyond the map.
 */
void reference_recover(const uint8_t *map, uint32_t nlba, const uint8_t *log,
    uint32_t nfree, struct reference *ret);

#endif

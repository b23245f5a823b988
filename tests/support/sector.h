/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SECTOR_H
#define TESTS_SECTOR_H

/*
 * sector -- self-identifying sectors: they say which sector they are, which
 * write of it, and show it if they are parts of two.  The kernel's images in
 * shared/fixtures hold the same ones.  Little endian:
 *
 *	  0  "BTTSECT1"
 *	  8  number of the sector
 *	 16  generation: how often it has been written
 *	 24  writer, 28 bytes of a sector (both 4 bytes)
 *	 32  one word made from number and generation, repeated
 *	end  last 4 bytes: CRC-32 of all before
 */
#include <stddef.h>
#include <stdint.h>

#define SECTOR_BYTES_MAX 65536u

enum sector_kind {
	SECTOR_ZERO,  /* all bytes are */
	SECTOR_WHOLE, /* exactly as it was made */
	SECTOR_TORN,  /* begins like one of ours, and does not go on so */
	SECTOR_ALIEN, /* nothing of ours */
};

struct sector_id {
	uint64_t lba;
	uint64_t generation;
	uint32_t writer;
};

/* bytes is a multiple of 8. */
void sector_make(uint8_t *buf, uint32_t bytes, const struct sector_id *id);
/* ret_id is what the sector says of itself, if it is WHOLE or TORN. */
enum sector_kind
sector_judge(const uint8_t *buf, uint32_t bytes, struct sector_id *ret_id);

/* A good mix of both, also a random number from a seed and a counter. */
uint64_t sector_mix(uint64_t a, uint64_t b);

#endif

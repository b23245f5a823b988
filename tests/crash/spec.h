/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_SPEC_H
#define CRASH_SPEC_H

/*
 * spec -- what sectors may hold, said without knowing how the engine does it.
 *
 * Every sector is a register of its own (P1 promises no more), of two halves
 * that only a write in part sets apart.  A write fills what it covers with
 * tags, one each 8 bytes, that name sector, writing and position, so what is
 * read names whoever wrote it or shows that nobody did (I1).
 *
 * The history of a run is a list of operations with the times of their calls
 * and returns.  A value is legal where some order of the operations, which
 * keeps that of any two of which one returned before the other was called,
 * leads to it:
 *	live	after a prefix with all that returned before (I8)
 *	crash	after a prefix with all that was promised to be durable (I2):
 *		for BTT_DURABLE_WRITE what returned, for BTT_DURABLE_FLUSH what
 *		returned before the call of a flush that returned
 * An operation that failed, or has not returned, may have happened or not.
 */
#include <stdbool.h>
#include <stdint.h>

#define SPEC_OPS 48
#define SPEC_LBAS 20
#define SPEC_CODES 64
#define SPEC_LEGAL 128
#define SPEC_NEVER UINT32_MAX

/* Codes of a half: 0 zeroes, 1 .. SPEC_CODES - 1 a writing's tags. */
#define SPEC_ERROR 0xffu /* the sector reads as an error */

struct spec_value {
	uint8_t half[2];
};

enum spec_kind {
	SPEC_WRITE,
	SPEC_READ,
	SPEC_FLUSH,
	SPEC_CLEAR /* SPEC_ERROR becomes zeroes, or stays: who knew of it? */
};

struct spec_op {
	enum spec_kind kind;
	uint8_t part; /* writes: bit 0 first half, bit 1 second half */
	uint8_t code; /* of the tags, 0: zeroes */
	uint32_t lba, n;
	uint32_t called, returned; /* times; SPEC_NEVER */
	/* Reads: what was seen of each sector. */
	struct spec_value seen[SPEC_LBAS];
};

struct spec_legal {
	unsigned n;
	struct spec_value value[SPEC_LEGAL];
};

struct spec {
	uint32_t nlba;
	uint32_t sector_bytes;
	bool durable_on_return;
	bool reads_persist; /* what was read is as good as acknowledged */
	uint32_t now;
	unsigned nop;
	struct spec_op op[SPEC_OPS];
	struct spec_value start[SPEC_LBAS];
	uint8_t next_code;
	uint8_t *pattern; /* SPEC_CODES x nlba sectors, made when needed */
	bool made[SPEC_CODES][SPEC_LBAS];
};

void spec_init(struct spec *spec, uint32_t nlba, uint32_t sector_bytes);
void spec_fini(struct spec *spec);
/* Forget the history; the sectors hold these values, durably. */
void spec_start(struct spec *spec, const struct spec_value *start);

/* Note the call; returns a number for spec_return. */
unsigned spec_call(struct spec *spec, enum spec_kind kind, uint32_t lba,
    uint32_t n, unsigned part, bool zeroes);
/* Note the return; failed operations never return. */
void spec_return(struct spec *spec, unsigned op);
/* Bytes of a sector as a writing leaves them. */
const uint8_t *spec_pattern(struct spec *spec, unsigned code, uint32_t lba);

/* What are these bytes? false: no value at all (torn, foreign, mixed). */
bool spec_decode(struct spec *spec, uint32_t lba, const uint8_t *bytes,
    struct spec_value *ret_value);

/* All that a crash now may leave of a sector. */
void spec_crash_legal(
    const struct spec *spec, uint32_t lba, struct spec_legal *ret_legal);
/* Is there an order for all that has returned, what was read included? */
bool spec_live_ok(const struct spec *spec, uint32_t lba);
/* The values a sector may have when nothing runs. */
void spec_live_legal(
    const struct spec *spec, uint32_t lba, struct spec_legal *ret_legal);

static inline bool
spec_same(struct spec_value a, struct spec_value b)
{
	return a.half[0] == b.half[0] && a.half[1] == b.half[1];
}

static inline bool
spec_is_legal(const struct spec_legal *legal, struct spec_value value)
{
	for (unsigned i = 0; i < legal->n; i++) {
		if (spec_same(legal->value[i], value))
			return true;
	}
	return false;
}

#endif

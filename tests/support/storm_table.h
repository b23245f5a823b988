/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_STORM_TABLE_H
#define TESTS_STORM_TABLE_H

/*
 * storm_table -- what a storm has asked for and been promised, sector by
 * sector, in a file that outlives both the storm and the server.
 *
 * Generations of one sector are given out by its only writer, ascending.  Some
 * of them stand for zeroes instead of data (table_generation_is_zero).
 * A crash can lose generations; none of those may come back later, so that
 * table_settle remembers which they were.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Keys: W its writer, a atomic, S written by table_settle only. */
struct table_entry {
	_Atomic uint32_t intent; /* [W,a] highest that was sent */
	_Atomic uint32_t acked;  /* [W,a] highest that was answered */
	_Atomic uint32_t synced; /* [a] highest of those before a sync */
	uint32_t settled;        /* [S] found after the last crash */
	uint32_t base;           /* [S] highest sent before it */
};

struct table {
	struct table_header *header;
	struct table_entry *entries;
	uint64_t nsector;
	uint32_t sector_bytes;
};

/* Open, or make; all generations are 0 then.  Negative errno. */
int table_open(const char *path, uint64_t nsector, uint32_t sector_bytes,
    struct table *ret_table);
void table_close(struct table *table);
/* The sector size of an existing table; 0 if it is none. */
uint32_t table_sector_bytes(const char *path);

bool table_generation_is_zero(uint64_t lba, uint32_t generation);
/* Send the next generation, one of zeroes if so wanted. */
uint32_t table_intend(struct table *table, uint64_t lba, bool zero);

/*
 * May sector lba hold these bytes, if generations below low have been
 * overwritten and those above high not been sent?  NULL if so, with the
 * generation that it holds, else what is wrong.
 */
const char *table_judge(const struct table *table, uint64_t lba,
    const uint8_t *buf, uint32_t low, uint32_t high, uint32_t *ret_generation);

/* The generation is what a crash has left. */
void table_settle(struct table *table, uint64_t lba, uint32_t generation);

#endif

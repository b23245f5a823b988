/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_SCRUB_H
#define BTT_SCRUB_H

/*
 * scrub -- reading all of a BTT that is in use, to find damage before somebody
 * needs what is damaged: info blocks, the log, the map (blocks with two owners,
 * too), and the data of every sector and free block.
 *
 * Uses a bit of memory a block of the largest arena while it reads the map.
 *
 * It works in steps that the caller paces, and holds nothing between them.  In
 * a step it reads a sector as any reader does, a pair of the log with its
 * free block as the holder of their lane, an info block under the lock of who
 * changes it; so what it finds is so, whatever others write meanwhile, and a
 * writer waits for it no longer than for another writer or reader.
 *
 * Nothing is mended.  Poison is entered in the list of bad ranges (media.h),
 * and a sector that has it gets its mark in the map, as by any read.  A page
 * that cannot be read for another reason is told and not listed: a disk or a
 * network may be better tomorrow, a mark is for good.  What the system has in
 * its page cache is not read from the disk again.
 *
 * BTT has no checksums of data: data that can be read is not known to be right.
 */
#include <stdbool.h>
#include <stdint.h>

#include <btt/btt.h>
#include <btt/check.h>
#include <btt/error.h>

struct btt_scrub;

struct btt_scrub_options {
	uint64_t first, count; /* sectors whose map entries and data are read */
	/*
	 * Hears of findings, with nothing held, by the thread that runs a
	 * step; at most 100 of a kind.  May be NULL.
	 */
	btt_report_fn *report;
	void *report_arg;
};

struct btt_scrub_result {
	uint64_t bytes;       /* looked at */
	uint64_t nsector;     /* of the range, read or tried */
	uint64_t nunreadable; /* of them: EIO, for whatever reason */
	uint64_t nmarked;     /* of them: marked in the map, found now or not */
	uint64_t nbad;      /* units of 512 bytes that were not listed before */
	uint64_t nmetadata; /* findings in info blocks, log and map */
	uint64_t nskipped;  /* pairs that were in use each time */
};

/* Errors: -ERANGE, -ENOMEM. */
int btt_scrub_new(struct btt *btt, const struct btt_scrub_options *options,
    struct btt_scrub **ret_scrub) BTT_MUST_CHECK;
void btt_scrub_free(struct btt_scrub *scrub);

/*
 * Go on, for about max_bytes (at least one thing is looked at; sectors in
 * windows of 64 KiB at most).  Returns whether there is more; *ret_bytes is
 * what was read.  The worker is the caller's for the call.
 */
bool btt_scrub_step(struct btt_scrub *scrub, struct btt_worker *worker,
    uint64_t max_bytes, uint64_t *ret_bytes);

/* "info", "log", "map", "data": what the next step is about. */
const char *btt_scrub_stage(const struct btt_scrub *scrub);
/* Sectors of the range that are done: where a later scrub may go on. */
uint64_t btt_scrub_done(const struct btt_scrub *scrub);
void btt_scrub_get_result(
    const struct btt_scrub *scrub, struct btt_scrub_result *ret_result);

#endif

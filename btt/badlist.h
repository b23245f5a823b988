/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_BADLIST_H
#define BTT_BADLIST_H

/*
 * badlist -- a set of ranges with marks: ascending, disjoint, neighbours of
 * one kind joined, so that a list says the same however it came about.
 *
 * Pure: no lock, no medium.  media_bad.c has one for each medium.
 */
#include <stdbool.h>
#include <stdint.h>

#include <btt/error.h>

/* The unit in which media fail and are cleared (btt-format.md 4.4). */
#define BAD_UNIT 512u
#define BADLIST_MAX 256u

/* Marks of a range.  A latent one is planted and nobody has met it yet. */
#define BAD_FOUND 1u
#define BAD_INJECTED 2u
#define BAD_LATENT 4u
/* Those that make a range a known bad one. */
#define BAD_KNOWN (BAD_FOUND | BAD_INJECTED)

struct bad_run {
	uint64_t off, end; /* multiples of BAD_UNIT, off < end */
	unsigned marks;    /* never 0 */
};

struct badlist {
	unsigned nrun;
	struct bad_run run[BADLIST_MAX];
};

/* What becomes of the marks of a place; 0 for one that is not listed. */
typedef unsigned bad_marks_fn(unsigned marks);

bad_marks_fn badlist_find, badlist_inject, badlist_inject_latent,
    badlist_uninject, badlist_notice, badlist_clear;

/*
 * Apply fn to every place in [off, end), both multiples of BAD_UNIT, and put
 * the outcome into ret_list, which is another one.
 * Errors: -ENOSPC if that would have too many runs.
 */
int badlist_apply(const struct badlist *list, uint64_t off, uint64_t end,
    bad_marks_fn *fn, struct badlist *ret_list) BTT_MUST_CHECK;

/*
 * The lowest places at or after off and before end at which a list has one of
 * these marks; false if there are none.
 */
bool badlist_next(const struct badlist *list, uint64_t off, uint64_t end,
    unsigned marks, uint64_t *ret_off, uint64_t *ret_end);

/* Is that a list at all, of a medium of so many bytes? */
bool badlist_is_valid(const struct badlist *list, uint64_t size);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_COLOUR_H
#define BTTFS_COLOUR_H

/*
 * colour -- words that must catch the eye do so on a terminal; in a file or a
 * pipe they are words.  No colour either if the environment has NO_COLOR, or
 * TERM is dumb or missing.
 */
#include <stdio.h>

/* What switches a colour on, and all of them off; "" where there are none. */
struct colour {
	const char *good;
	const char *doubtful;
	const char *bad;
	const char *faint;
	const char *off;
};

const struct colour *colour_of(FILE *file);

#endif

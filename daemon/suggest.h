/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_SUGGEST_H
#define BTTFS_SUGGEST_H

/*
 * suggest -- which word did they mean?
 */

/*
 * How many characters must be inserted, removed, changed or swapped with their
 * neighbour to turn one word into the other; SUGGEST_FAR for long words.
 */
unsigned suggest_distance(const char *a, const char *b);
#define SUGGEST_FAR 1000u

/* Is word close enough to candidate that asking makes sense? */
unsigned suggest_limit(const char *word);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_MUTANTS_H
#define CRASH_MUTANTS_H

/*
 * mutants -- defects that are built into the engine's test build, each behind
 * its number (btt/hook.h), to prove that the explorer sees.  1 to 35 are those
 * of reliability.md 2.7; 36 and up are ours, most of them of groups.
 *
 * Each of M1 to M35 has a row; those that are not built say why.
 */

#include <stdbool.h>
#include <stddef.h>

/* The one that is not in btt/ but in the locks below it. */
enum {
	MUTANT_NO_MAP_LOCK = 2
};

struct mutant {
	unsigned number;
	const char *what;
	/*
	 * Scenarios, or scenario:medium, that kill it; first to last.  NULL: it
	 * is not built.
	 */
	const char *killers;
	/*
	 * NULL: it must die.  Else why not: nothing can tell it from the
	 * engine; or why it is not built.
	 */
	const char *why_not;
};

static inline bool
mutant_is_built(const struct mutant *mutant)
{
	return mutant->killers != NULL;
}

extern const struct mutant mutants[];
extern const unsigned nmutant;

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_MUTANTS_H
#define CRASH_MUTANTS_H

/*
 * mutants -- defects that are built into the engine's test build, each behind
 * its number (btt/hook.h), to prove that the explorer sees.  1 to 35 are those
 * of reliability.md 2.7; 36 and up are ours, most of them of groups.
 *
 * Of M1 to M35 not here: M13 and M17 are M28 and M4 where data and log share a
 * fence, M21 is M6; M35 is about detaching, which the explorer does not run.
 */

/* The one that is not in btt/ but in the locks below it. */
enum {
	MUTANT_NO_MAP_LOCK = 2
};

struct mutant {
	unsigned number;
	const char *what;
	/* Scenarios, or scenario:medium, that kill it; first to last. */
	const char *killers;
	/* Why nothing can tell it from the engine; NULL: it must die. */
	const char *equivalent;
};

extern const struct mutant mutants[];
extern const unsigned nmutant;

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_HOOK_H
#define BTT_HOOK_H

/*
 * hook -- what the crash explorer needs of the engine, and nothing in any
 * other build.
 *
 * BTT_TEST_HOOKS is defined for one library only, that of tests/crash: there
 * every access that other threads can see is a point where the scheduler may
 * switch, and MUTANT(n) is true while defect number n of the table in
 * tests/crash/mutants.h is switched on.  Elsewhere both vanish.
 */
#include <stdbool.h>

#ifdef BTT_TEST_HOOKS
extern unsigned btt_hook_mutant;
void btt_hook_point(const char *what);

#define HOOK_POINT(what) btt_hook_point(what)
#define MUTANT(n) (btt_hook_mutant == (n))
#else
#define HOOK_POINT(what) ((void)0)
#define MUTANT(n) false
#endif

/* right, but for mutant n */
#define MUTATE(n, right, wrong) (MUTANT(n) ? (wrong) : (right))

#endif

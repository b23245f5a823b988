/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_FAULT_H
#define TESTS_SUPPORT_FAULT_H

/*
 * fault -- calls of the system and of libraries that fail when they are told to.
 *
 * A program that links fault.c with the options of fault.cmake has its own and
 * the layers' calls pass through here.  They are counted in threads that have
 * asked for it, and the one whose turn it is fails as it can; all allocations
 * are accounted for.
 */
#include <stdbool.h>

/* From now on the call of that number, from 1, fails; 0: none. */
void fault_arm(unsigned long turn);
/* The name of the call that has failed since, or NULL: there are fewer. */
const char *fault_fired(void);

/* Calls of this thread count. */
void fault_enter(void);
void fault_leave(void);

/* Allocations of any thread that have not been given back. */
long fault_nalloc(void);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_SYNC_SIM_H
#define CRASH_SYNC_SIM_H

/*
 * sync_sim -- the system's mutexes and condition variables over the scheduler.
 * lanes/ runs on them unchanged, its validator included.
 */
#include "held.h"

/* Report what the validator finds as a violation of the run. */
void sync_sim_catch(struct held_stack *held);
/* Set by the explorer; does not return. */
extern void (*sync_sim_report)(const char *report);

#endif

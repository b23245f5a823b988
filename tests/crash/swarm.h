/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_SWARM_H
#define CRASH_SWARM_H

/*
 * swarm -- programs and shapes that nobody thought of: all by the seed.
 */
#include "world.h"

#define SWARM_PROGRAM_BYTES 128

/*
 * Make a program (into program) and a shape for it; now and then a fault.
 * Kind, plan and the like of run stay as they are.
 */
void
swarm_make(uint64_t seed, struct run *run, char program[SWARM_PROGRAM_BYTES]);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_MEND_H
#define CRASH_MEND_H

/*
 * mend -- crashes while damage is being repaired (repair.h): whatever a crash
 * leaves, the next repair with the same options comes to the same end, in
 * which every block has one owner and no sector reads what it did not read.
 */
#include "world.h"

/* Is it this program: "mend"? */
bool mend_is_program(const char *program);
/* Damage and options follow from the seed. */
void mend_explore(const struct run *run, struct tally *tally);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_SIM_MEMORY_H
#define CRASH_SIM_MEMORY_H

/*
 * sim_memory -- stores to memory that only their own thread can see yet.
 *
 * A stored read tracking word waits in its thread's store buffer, one word a
 * thread, until the next store, a locked operation, btt_hook_drain, or whenever
 * the scheduler likes.
 *
 * A stored map entry may be late to be seen, too, though not to be durable, if
 * no group hands it on: by those who take a lock that its thread has released
 * no longer than that, by a reader, who takes none, until btt_hook_drain or the
 * end of the request.  So locks acquire and release, and are no fence.
 */
#include <stdbool.h>

void sim_memory_reset(void);

/* Is there something in the thread's store buffer?  Out with it. */
bool sim_memory_is_full(unsigned thread);
void sim_memory_drain(unsigned thread);

/* Others have synchronised with that thread: they see its map entry. */
void sim_memory_show(unsigned thread);

#endif

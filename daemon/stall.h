/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_STALL_H
#define BTTFS_STALL_H

/*
 * stall -- who holds a lock of a device for too long is an event of that device
 * (LK-11: lane, owner, place).
 */
#include <lanes/watch.h>

/* A sync_stall_fn; arg is the manager.  Waits for no device. */
void stall_tell(void *arg, const struct sync_stall *stall);

#endif

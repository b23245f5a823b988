/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_CARETAKER_H
#define BTTFS_CARETAKER_H

/*
 * caretaker -- the thread that looks after all devices once a second: it has
 * what was written made durable every so often, where writes become durable at
 * a flush only (commit=), and notices a device that has begun to refuse writes:
 * the log, the service manager and whoever listens to events hear of it once,
 * with the reason (P4).
 *
 * It does no I/O itself and so hangs with no device: flushes are work for the
 * manager's threads, of which there are more while some are stuck.  Requests
 * neither wait for it nor tell it anything.
 */
#include "manager.h"

struct caretaker;

/* For the devices of the manager, from now on. */
int caretaker_start(struct manager *manager, struct caretaker **ret_caretaker)
    BTT_MUST_CHECK;
/* Before the manager is freed.  NULL is fine. */
void caretaker_stop(struct caretaker *caretaker);

#endif

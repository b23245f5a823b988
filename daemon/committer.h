/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_COMMITTER_H
#define BTTFS_COMMITTER_H

/*
 * committer -- a thread that makes what was written durable every so often,
 * where writes become durable at a flush only, and that looks after the
 * device's health: when it starts to refuse writes, the log and the service
 * manager hear of it once, with the reason, within a second (P4).
 *
 * Requests neither wait for this thread nor tell it anything.
 */
#include "device.h"
#include "log.h"

struct committer;

/* How often a device is flushed unless commit= says otherwise. */
#define COMMITTER_SECONDS 5u
#define COMMITTER_SECONDS_MAX 3600u

/*
 * Watch device, which must outlive the committer, and flush it every seconds.
 * worker is the committer's own.  Returns 0, -ENOMEM or what starting a thread
 * says.
 */
int committer_start(struct device *device, struct btt_worker *worker,
    unsigned seconds, const struct log *log, struct committer **ret_committer)
    BTT_MUST_CHECK;
/* NULL is fine. */
void committer_stop(struct committer *committer);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_SCRUB_H
#define BTTFS_SCRUB_H

/*
 * scrub -- reading devices in the background, at most one scrub a device.
 *
 * A scrub is a job that goes on in slices of a few milliseconds: between two
 * of them it holds nothing, not even the device open, so it can be cancelled,
 * a device be detached, and a few threads do for many devices.  After each
 * slice it pauses for as long as its rate asks for.
 *
 * A scrub that is cut short by a detach or a cancel says how far it came.  One
 * whose server crashed goes on in the next server where it was (device_kept.h).
 * What is found is in the list of bad blocks (badblock-added), in the log and
 * an event each (arena-error), and in sum in the job's result (scrub-finished).
 */
#include "manager.h"

/* Bytes a second unless it is said otherwise: a tenth of what a disk does. */
#define SCRUB_RATE_DEFAULT (UINT64_C(64) << 20)
#define SCRUB_RATE_MIN (UINT64_C(4) << 10)

struct scrub_options {
	uint64_t rate;         /* bytes a second; 0: the default */
	uint64_t first, count; /* sectors; count 0: to the end */
};

/*
 * Begin a scrub; a reference to its job is returned.
 * Errors: -ENODEV for none that is attached; -EBUSY with the job of the scrub
 * that is under way; -EINVAL for a rate that is too low; -ERANGE; -ENOMEM.
 */
int scrub_start(struct manager *manager, const char *name,
    const struct scrub_options *options, struct job **ret_job,
    struct manager_owner *ret_owner, struct btt_error *error) BTT_MUST_CHECK;

/*
 * A device is shown: begin, if it is to be scrubbed from the start, or go on
 * where a predecessor was.
 */
void scrub_shown(struct manager *manager, struct device *device);

/* A reference to the job of the scrub that was begun last, or NULL. */
struct job *scrub_last_job(struct device *device);

#endif

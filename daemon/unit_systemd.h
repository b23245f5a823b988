/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_UNIT_SYSTEMD_H
#define BTTFS_UNIT_SYSTEMD_H

/*
 * unit_systemd -- what systemd is about to do with a unit of ours.  It is
 * systemctl(1) that is asked: it needs no bus, and so works however early or
 * late in the life of the system.
 */
#include <stdbool.h>

/* How many descriptors systemd keeps for the unit; 0 if it does not say. */
unsigned long unit_count_stored(char *unit);

enum unit_job {
	UNIT_NO_JOB,
	UNIT_STOP,
	UNIT_START, /* it is started, or started again */
};

enum unit_job unit_get_job(char *unit);

/* Stop the loop devices on top of it, and what is on top of these. */
void unit_stop_loops(const char *unit);

/* Does the unit say that it is never started again by itself? */
bool unit_stays_down(char *unit);

#endif

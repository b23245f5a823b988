/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_CONFINE_H
#define BTTFS_CONFINE_H

/*
 * confine -- a server that serves needs few of the kernel's calls, and loses
 * the others for good: whoever makes it do what it should not can start no
 * program, make no connection, mount nothing and look into no other process.
 *
 * The keeper is not confined by this: it mounts, and starts servers.
 */
#include <btt/error.h>

enum confine {
	CONFINE_DENY, /* other calls do not exist: ENOSYS */
	CONFINE_KILL, /* other calls end the server: for tests */
	CONFINE_NO,
};

/* Of the list; reliability.md B34 wants no more. */
#define CONFINE_CALLS_MAX 64u

/*
 * All threads that there are, and those that they start.  After everything that
 * is done once: devices open, the socket bound, threads running.
 *
 * Errors: -ECANCELED with CONFINE_NO; -ENOTSUP in a build with sanitizers, whose
 * reports need everything; -ENOMEM; what seccomp(2) says.
 */
int confine(enum confine how) BTT_MUST_CHECK;

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_KEEPER_H
#define BTTFS_KEEPER_H

/*
 * keeper -- the small process that outlives the server (DESIGN.md 6.1, P6).
 *
 *	keeper: mounts, unmounts, takes the signals,	no threads, no I/O,
 *	        keeps descriptors (kept_fds.h)		nothing of a device
 *	   |
 *	server: all that bttfs is for (server.h)	started again as often
 *						 	as it crashes
 *
 * A server that crashes leaves its requests with the kernel, its memory of what
 * is not durable yet in what the keeper keeps, and all else on the media.  The
 * next one takes these over, asks the kernel for the requests again and goes
 * on: who uses the mount has seen a pause.  One that is asked to yield (an
 * upgrade) answers what it has read and makes all durable first.
 *
 * Not for ever: a server that crashes before it has served, or too often, or
 * whose requests the kernel would not give out again, ends the mount.  One that
 * hangs is killed after a time; if that does not help either, the kernel is
 * told to fail all requests, since who waits for them cannot be killed.
 *
 * A server does not outlive its keeper.
 */
#include "options.h"

/*
 * Serve as the options say, until the mount is gone; argv is to be given to
 * servers.  Returns the exit status.
 */
int keeper_run(const struct options *options, int argc, char *argv[]);

#endif

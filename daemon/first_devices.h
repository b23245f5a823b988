/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_FIRST_DEVICES_H
#define BTTFS_FIRST_DEVICES_H

/*
 * first_devices -- what a server has before its mount is shown: the device of
 * the command line, those of the configuration, or those of its predecessor.
 */
#include <stdbool.h>

#include "keeper_client.h"
#include "manager.h"
#include "options.h"

struct first_devices {
	const struct options *options;
	const struct log *log;
	struct manager *manager;
	struct keeper_client *keeper;
	bool follows; /* another server that has got as far as the kernel */
	/* Is there no time to wait for a store that hangs?  Asked meanwhile. */
	bool (*is_hurried)(void *arg);
	void *arg;
};

/*
 * Attach them side by side, and wait until they can be shown.  -EINTR if there
 * is no time.
 *
 * The only device of a command line must be there: else a negative errno.  Of
 * several, also of a predecessor, one that cannot be attached is told of, and
 * stays to be seen; one that takes long is attached later: the others have
 * nothing to do with that.
 */
int first_devices_attach(const struct first_devices *first) BTT_MUST_CHECK;

#endif

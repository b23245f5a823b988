/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_WORKERS_H
#define BTTFS_WORKERS_H

/*
 * workers -- how many threads serve a mount, and by which way requests come to
 * them, as far as its options leave that open.
 */
#include "keeper_client.h"
#include "options.h"

struct workers {
	unsigned n; /* in all */
	unsigned
	    nring; /* get requests over io_uring, if the kernel offers it */
};

/*
 * Looks at the devices' media, those that the keeper has open where it has
 * (their paths may not be ours to open), and believes nothing of those to come.
 */
void workers_choose(const struct options *options, struct keeper_client *keeper,
    struct workers *ret_workers);

#endif

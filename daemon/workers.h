/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_WORKERS_H
#define BTTFS_WORKERS_H

/*
 * workers -- how many threads serve a mount, and by which way requests come to
 * them, as far as its options leave that open.
 */
#include "options.h"

/*
 * How many in all; and how many of them get requests over io_uring, if the
 * kernel offers it.  Both look at the devices' media, and believe nothing of
 * those to come.
 */
unsigned workers_choose(const struct options *options);
unsigned workers_with_ring(const struct options *options);

#endif

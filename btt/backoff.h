/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_BACKOFF_H
#define BTT_BACKOFF_H

/*
 * backoff -- waiting for another thread to finish something short, without a
 * lock between us: spin a little, yield, then sleep in growing steps, since
 * the other thread may be off the processor or asleep in I/O.
 */
struct backoff {
	unsigned nwait; /* steps so far, for statistics */
};

#define BACKOFF_INIT \
	{            \
		0    \
	}

void backoff_wait(struct backoff *backoff);

#endif

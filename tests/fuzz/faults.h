/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUZZ_FAULTS_H
#define FUZZ_FAULTS_H

/*
 * faults -- memory that runs out, and a medium that cannot be read, when a
 * target says so.  By the linker: what is linked with fuzz_image calls these
 * functions instead of malloc(3) and its kin, and of media_try().
 */
#include <stdbool.h>

enum fault_kind {
	FAULT_MEMORY, /* an allocation returns NULL */
	FAULT_MEDIA,  /* media_try returns -EIO, without a call */
};

/* The n-th from now on fails, counted from 1, and no other one. */
void fault_arm(enum fault_kind kind, unsigned n);
/* No more faults.  Returns whether it came to the one that was due. */
bool fault_disarm(void);

/*
 * Did r come of the fault, once disarmed?  A page that cannot be read may look
 * like one that is not there.
 */
bool fault_explains(int r);

#endif

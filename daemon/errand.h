/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_ERRAND_H
#define BTTFS_ERRAND_H

/*
 * errand -- jobs on bad blocks of an attached device: planting and clearing
 * them (btt/bad.h).  Both wait for map locks, and so perhaps for a medium, which
 * the thread of the control socket must not.
 *
 * A device that is being detached waits for an errand to end, which it soon
 * does.
 */
#include <btt/bad.h>

#include "manager.h"

struct errand_inject {
	bool raw; /* first and count are units of 512 bytes of the medium */
	enum btt_area area;    /* if not raw */
	uint64_t first, count; /* as btt_inject_bad; raw and count 0: all */
	enum btt_inject how;
};

struct errand_clear {
	uint64_t first, count; /* sectors; count 0: to the end */
};

/*
 * A reference to the job is returned.
 * Errors: -ENODEV for none that is attached; -ENOMEM.
 */
int errand_inject(struct manager *manager, const char *name,
    const struct errand_inject *options, struct job **ret_job,
    struct btt_error *error) BTT_MUST_CHECK;
int errand_clear(struct manager *manager, const char *name,
    const struct errand_clear *options, struct job **ret_job,
    struct btt_error *error) BTT_MUST_CHECK;

#endif

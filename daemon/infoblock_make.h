/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_INFOBLOCK_MAKE_H
#define BTTFS_INFOBLOCK_MAKE_H

/*
 * infoblock_make -- an info block from numbers: those that were given, and for
 * the rest those of a block of the same BTT, or the usual ones.
 */
#include <stdint.h>

#include <btt/inspect.h>

#include "ctl.h"

/* As given on the command line. */
struct infoblock_numbers {
	struct ctl_size size;
	struct ctl_number sector;
	struct ctl_number nfree;
	struct ctl_choice layout; /* of infoblock_layouts */
	struct ctl_uuid uuid;
	struct ctl_uuid parent_uuid;
};

/* In the order of enum btt_layout; ended by NULL. */
extern const char *const infoblock_layouts[];

/*
 * The block of arena number index in a namespace of the given size; off is
 * that of its primary, relative to the namespace.  inspect, of the medium, has
 * what was not given, and may be NULL.
 * Returns: 0; -EINVAL, -ENOSPC or -ERANGE with the reason.
 */
int infoblock_make(const struct infoblock_numbers *numbers, uint64_t size,
    const struct btt_inspect *inspect, uint32_t index, uint64_t *ret_off,
    struct btt_info *ret_info, struct btt_error *error) BTT_MUST_CHECK;

#endif

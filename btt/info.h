/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_INFO_H
#define BTT_INFO_H

/*
 * info -- does an info block make sense?
 */
#include <stdint.h>

#include <btt/format.h>

/* code is -EUCLEAN or -ENOTSUP; text lives as long as the call. */
typedef void info_problem_fn(void *arg, int code, const char *text);

/*
 * Call fn for everything that is wrong with the numbers in themselves and
 * against each other, whatever the medium is.  What only makes sense once
 * something else is right is not looked at before.
 *
 * Without a problem these hold, and so do all sums of them in 64 bits:
 *
 *	BTT_INFO_BYTES <= dataoff <= mapoff <= logoff <= info2off, multiples of
 *	BTT_ALIGN, and each part has its room before the next one
 *	BTT_ARENA_MIN_BYTES <= info_arena_bytes <= BTT_ARENA_MAX_BYTES
 *	nextoff is 0 or info_arena_bytes
 *	external_nlba >= 1, 1 <= nfree <= BTT_NFREE_MAX,
 *	internal_nlba == external_nlba + nfree <= MAP_NBLOCK_MAX
 *	internal_lbasize >= external_lbasize, which is one that we know
 */
void
info_find_problems(const struct btt_info *info, info_problem_fn *fn, void *arg);

/* From the primary info block to the backup's end. */
static inline uint64_t
info_arena_bytes(const struct btt_info *info)
{
	return info->info2off + BTT_INFO_BYTES;
}

#endif

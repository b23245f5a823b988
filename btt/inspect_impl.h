/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_INSPECT_IMPL_H
#define BTT_INSPECT_IMPL_H

/*
 * inspect -- what its files share: the way from a number to the medium.
 */
#include <btt/inspect.h>

/*
 * The range of len bytes that lies rel bytes behind off, as an offset on the
 * medium; BTT_NOWHERE unless all of it is there.
 */
uint64_t inspect_range(
    const struct media *media, uint64_t off, uint64_t rel, uint64_t len);

#endif

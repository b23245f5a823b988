/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_CLEAR_H
#define BTT_CLEAR_H

/*
 * clear -- what clear.c (sectors, free blocks), clear_map.c and clear_meta.c
 * share.
 */
#include <btt/bad.h>

#include "badlist.h"
#include "engine.h"

/* A clearing under way; its caller's own. */
struct clear {
	struct btt *btt;
	struct btt_worker *worker;
	const struct btt_clear_options *options;
	struct btt_clear_result *result;
};

/* Tell of progress, and ask whether to go on: 0 or -ECANCELED. */
int clear_may_go_on(const struct clear *clear, uint64_t done) BTT_MUST_CHECK;

/* Bytes in the place of what is bad there, durable, then good. */
int clear_replace(struct media *media, uint64_t off, const void *bytes,
    size_t len) BTT_MUST_CHECK;

/*
 * Lost units of maps, if a sector of the range is in one: their sectors are
 * marked after that.  Errors: of the medium; -ENOMEM; -ECANCELED.
 */
int clear_maps(struct clear *clear) BTT_MUST_CHECK;
/* Log, info blocks, and what is between them.  Errors: of the medium. */
int clear_metadata(struct clear *clear) BTT_MUST_CHECK;

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_CHECK_IMPL_H
#define BTT_CHECK_IMPL_H

/*
 * check -- what the files check*.c share.  (The name: tests include Check's
 * own check.h.)
 *
 * Findings are reported as they come and none is kept; the callback never
 * runs inside media_try().
 */
#include <stdint.h>

#include <btt/check.h>

#include "flog.h"
#include "probe.h"

/*
 * What can be found.  Several kinds may have one name: a name says where to
 * look, for scripts, a kind what is wrong there.
 */
enum check_kind {
	CHECK_INFO,
	CHECK_INFO_LOST,
	CHECK_INFO2,
	CHECK_INFO_NUMBERS,
	CHECK_INFO_UNUSUAL,
	CHECK_INFO_MISMATCH,
	CHECK_INFO_RESERVED,
	CHECK_ERROR_FLAG,
	CHECK_SHORT,
	CHECK_TAIL,
	CHECK_NFREE,
	CHECK_LOG_PAD,
	CHECK_LOG_LAYOUT,
	CHECK_LOG_SEQ,
	CHECK_LOG_RANGE,
	CHECK_LOG_SAME,
	CHECK_LOG_FLAGS,
	CHECK_LOG_MAP,
	CHECK_MAP_RANGE,
	CHECK_MAP_BITS,
	CHECK_MAP_ERROR,
	CHECK_MAP_ZERO,
	CHECK_BLOCK_TWICE,
	CHECK_BLOCK_LOST,
	CHECK_NKIND,
};

/*
 * Findings of one kind that are reported for an arena; a random map has
 * millions.  All are counted.
 */
#define CHECK_REPORT_MAX 100u

/* A check under way, and the arena at hand. */
struct check {
	const struct media *media;
	const struct btt_check_options *options;
	struct btt_check_result *result;
	struct btt_error *error;
	enum btt_layout layout;
	uint64_t end;  /* of the namespace, on the medium */
	uint64_t done; /* bytes of logs and maps */
	uint64_t total;

	uint32_t arena;
	const struct btt_arena_place *place;
	uint64_t nfound[CHECK_NKIND]; /* in this arena */
};

/* Go on to an arena; nothing was found in it so far. */
void check_enter(
    struct check *check, uint32_t index, const struct btt_arena_place *place);
/* entry may be BTT_NO_ENTRY; off is bytes from the start of the medium. */
void check_found(struct check *check, enum check_kind kind, uint64_t entry,
    uint64_t off, const char *fmt, ...) BTT_PRINTF(5, 6);
/* n more, after CHECK_REPORT_MAX were reported: these are only counted. */
void check_more(struct check *check, enum check_kind kind, uint64_t n);
void check_progress(struct check *check, uint64_t bytes);
/* Copy bytes off the medium.  Returns 0 or -EIO with the reason. */
int check_read(struct check *check, uint64_t off, void *ret_bytes, size_t len)
    BTT_MUST_CHECK;

/*
 * The info blocks of all arenas, and how they go together.  Returns 0 or -EIO;
 * a walk that has ended early is reported.
 */
int
check_infos(struct check *check, const struct probe_walk *walk) BTT_MUST_CHECK;

/* A map entry that recovery will store. */
struct check_pending {
	uint32_t premap;
	uint32_t entry;
};

/* The block of a pair that does not tell. */
#define CHECK_NO_BLOCK UINT32_MAX

/* What the log of an arena says, as far as the map needs to know. */
struct check_log {
	uint32_t *free_block;          /* by pair */
	struct check_pending *pending; /* ascending premap, each once */
	uint32_t npending;
};

/* The log of the arena at hand.  Returns 0, -EIO or -ENOMEM. */
int check_log(struct check *check, struct check_log *ret_log) BTT_MUST_CHECK;
void check_log_fini(struct check_log *log);

/*
 * The map of the arena at hand, and with the log who owns which block.  log is
 * NULL if it is beyond the medium.  Returns 0, -EIO or -ENOMEM.
 */
int check_map(struct check *check, const struct check_log *log) BTT_MUST_CHECK;

#endif

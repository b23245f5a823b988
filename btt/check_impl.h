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
	CHECK_INFO_PARENT,
	CHECK_INFO_FOREIGN,
	CHECK_INFO_RESERVED,
	CHECK_INFO_STALE,
	CHECK_POOL,
	CHECK_BAD_METADATA,
	CHECK_BAD_BLOCK,
	CHECK_ERROR_FLAG,
	CHECK_SHORT,
	CHECK_TAIL,
	CHECK_NFREE,
	CHECK_NFREE_POOL,
	CHECK_LOG_PAD,
	CHECK_LOG_LAYOUT,
	CHECK_LOG_SEQ,
	CHECK_LOG_RANGE,
	CHECK_LOG_SAME,
	CHECK_LOG_FLAGS,
	CHECK_LOG_OLDER,
	CHECK_LOG_MAP,
	CHECK_LOG_MAP_POOL,
	CHECK_MAP_RANGE,
	CHECK_MAP_BITS,
	CHECK_MAP_ERROR,
	CHECK_MAP_ZERO,
	CHECK_BLOCK_TWICE,
	CHECK_BLOCK_LOST,
	/* Of a scrub, which looks while others write: */
	CHECK_UNREADABLE,
	CHECK_LOG_CHANGED,
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
	/*
	 * Complete interrupted writes until nothing changes any more.  Opening
	 * goes over the pairs once, which is not enough where a damaged entry
	 * looks like the one before several of its sector's last writes.
	 */
	bool recovers_fully;
	uint64_t end;     /* of the namespace, on the medium */
	uint64_t nsector; /* of all arenas whose numbers are sound */
	uint64_t done;    /* bytes of logs and maps */
	uint64_t total;

	uint32_t arena;
	const struct btt_arena_place *place; /* NULL: none was found */
	uint64_t nfound[CHECK_NKIND];        /* in this arena */
};

/* Go on to an arena; nothing was found in it so far. */
void check_enter(
    struct check *check, uint32_t index, const struct btt_arena_place *place);
/* entry may be BTT_NO_ENTRY; off is bytes from the start of the medium. */
void check_found(struct check *check, enum check_kind kind, uint64_t entry,
    uint64_t off, const char *fmt, ...) BTT_PRINTF(5, 6);
/* The stable name of the findings of a kind. */
const char *check_kind_name(enum check_kind kind);
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

/*
 * Not one arena was found.  Reports it and returns 0 if it is known that there
 * was a BTT, else returns the walk's verdict.
 */
int check_nothing(struct check *check, const struct probe_walk *walk,
    struct btt_error *error) BTT_MUST_CHECK;

/* A map entry that recovery will store. */
struct check_pending {
	uint32_t premap;
	uint32_t entry;
};

/* The block of a pair that does not tell. */
#define CHECK_NO_BLOCK UINT32_MAX

/* A pair of the log. */
struct check_pair {
	struct flog_entry newest; /* if is_sound */
	uint32_t free_block;      /* below internal_nlba, or CHECK_NO_BLOCK */
	uint8_t newer;            /* the half that newest is, if is_sound */
	bool is_sound;   /* newest is there and in range: recovery uses it */
	bool is_damaged; /* there is a finding that is damage: */
	enum check_kind kind;
	/* If it is damaged: blocks that it may own, the likeliest first. */
	uint8_t ncandidate;
	uint32_t candidate[2];
};

/* What the log of an arena says, as far as the map needs to know. */
struct check_log {
	struct flog_slots slots;
	struct check_pair *pair;       /* nfree of them */
	struct check_pending *pending; /* ascending premap, each once */
	uint32_t npending;
};

/*
 * A repair that was cut short has left this sequence number in slot 0 of a
 * pair, and in new_map the block that the pair is about to get.  All others
 * take it for damage, as it is: no sum of two numbers makes sense with it.
 */
#define CHECK_SEQ_REPAIR UINT32_C(0x42545452)

/* The log of the arena at hand.  Returns 0, -EIO or -ENOMEM. */
int check_log(struct check *check, struct check_log *ret_log) BTT_MUST_CHECK;
void check_log_fini(struct check_log *log);

#define CHECK_NSTATE 4u /* of enum map_state */

/* What there is to count in a map. */
struct map_tally {
	uint64_t nstate[CHECK_NSTATE]; /* as entries are on the medium */
	uint32_t first[CHECK_NSTATE];  /* premap, where there are any */
	uint64_t nbits; /* initial entries with bits that do not count */
	uint32_t first_bits;
	/* Entries as recovery leaves them, and free blocks: */
	uint64_t nrange; /* beyond the arena */
	uint64_t ntwice; /* owners of blocks, beyond the first of each */
};

/* Sets of blocks, a bit each; internal_nlba / 64 + 1 words. */
struct map_bits {
	uint64_t *claimed; /* have an owner */
	uint64_t *twice;   /* have several; NULL: not wanted */
};

/*
 * Read the map of the arena at hand once, and count.  bits are all clear
 * before.  log is NULL if it is unknown.  Uses threads (options.nthread).
 * Returns 0, -EIO or -ENOMEM.
 */
int check_scan(struct check *check, const struct check_log *log,
    const struct map_bits *bits, struct map_tally *ret_tally) BTT_MUST_CHECK;

/*
 * Call fn with every entry of the map of the arena at hand, in ascending order:
 * the word on the medium, and that which recovery will leave (the same where
 * log is NULL).  It never runs inside media_try().  Goes on as long as fn
 * returns 0; returns what fn returned, -EIO or -ENOMEM.
 */
typedef int
check_entry_fn(void *arg, uint32_t premap, uint32_t raw, uint32_t recovered);
int check_entries(struct check *check, const struct check_log *log,
    check_entry_fn *fn, void *arg) BTT_MUST_CHECK;

/*
 * The map of the arena at hand, and with the log who owns which block.  log is
 * NULL if it is beyond the medium.  Returns 0, -EIO or -ENOMEM.
 */
int check_map(struct check *check, const struct check_log *log) BTT_MUST_CHECK;

#endif

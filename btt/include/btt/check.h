/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_CHECK_H
#define BTT_CHECK_H

/*
 * check -- what is wrong with a BTT, finding by finding, without changing a
 * byte (P7).  Covers btt-format.md 7.1 and 7.2 and what both miss (7.3).
 */
#include <stdbool.h>
#include <stdint.h>

#include <btt/error.h>
#include <btt/media.h>

enum btt_severity {
	BTT_NOTE,   /* legal, but worth knowing; does not spoil the verdict */
	BTT_DAMAGE, /* the format's promises do not hold here */
};

#define BTT_NO_ENTRY UINT64_MAX

/* One thing found.  Strings live as long as the program but for text. */
struct btt_finding {
	const char *name; /* stable, for scripts: "map-range" */
	enum btt_severity severity;
	uint32_t arena;
	uint64_t entry;        /* map entry or log pair, or BTT_NO_ENTRY */
	uint64_t off;          /* where: bytes from the start of the medium */
	bool repairable;       /* would a repair mend it without losing data? */
	const char *endangers; /* what is at stake, one phrase */
	char text[200];        /* expected and found, one line */
};

/* Called by the thread that runs the check or the open, and no other. */
typedef void btt_report_fn(void *arg, const struct btt_finding *finding);

struct btt_check_options {
	btt_report_fn *report; /* may be NULL */
	void *report_arg;
	const char *namespace; /* of several (label.h); NULL: the only one */
	/* Called now and then; may be NULL. */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *progress_arg;
	/* Threads for reading large maps; 0: as many as processors. */
	unsigned nthread;
};

struct btt_check_result {
	uint64_t nnote;
	uint64_t ndamage;
	uint64_t nrepairable;                      /* of ndamage */
	uint64_t nsector;                          /* sectors of all arenas */
	uint64_t nnormal, ninitial, nzero, nerror; /* map entries by state */
	uint64_t npending; /* writes that recovery would complete */
};

/*
 * Check all arenas, all findings, to the end.  Uses one bit of memory a block
 * of the largest arena, and reads a map once where it is sound (where blocks
 * have several owners twice more, to name them).  The medium must not be in
 * use by an engine.
 *
 * Returns: 0 with the verdict in ret_result (clean means ndamage is 0), also
 * where info blocks are damaged but arenas could be found; else as
 * btt_probe_namespace, -ENOMEM, or -EIO where the medium could not be read.
 */
int
btt_check(const struct media *media, const struct btt_check_options *options,
    struct btt_check_result *ret_result, struct btt_error *error)
    BTT_MUST_CHECK;

#endif

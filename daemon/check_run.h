/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_CHECK_RUN_H
#define BTTFS_CHECK_RUN_H

/*
 * check_run -- what the files of bttctl check share: ctl_check.c runs it,
 * check_output.c says what was found, check_repair.c mends it.
 */
#include <stdbool.h>

#include <btt/check.h>
#include <btt/media.h>
#include <btt/repair.h>

#include "ctl.h"
#include "json_stream.h"
#include "progress.h"

struct check_options {
	struct ctl_common common;
	const char *namespace;
	struct ctl_number threads;
	bool repair;
	bool yes;
	bool rewrite_log;
	bool clear_error_flag;
	bool allow_data_loss;
	const char *undo;
};

/* One run; findings are printed as they come, none is kept. */
struct checking {
	const struct check_options *options;
	const char *path;
	struct progress progress;
	struct json_stream json; /* within the object of the file */
	bool begun;              /* the head of the output is printed */
};

/* Exit statuses, as fsck(8) has them. */
enum {
	CHECK_CLEAN = 0,
	CHECK_REPAIRED = 1,
};

/* A btt_report_fn; arg is the run. */
void check_print_finding(void *arg, const struct btt_finding *finding);
/*
 * Findings are over, with that error or none: what they amount to.  In JSON the
 * file's object stays open for more members.
 */
void check_print_result(struct checking *checking,
    const struct btt_check_result *result, int r,
    const struct btt_error *error);
/* Ends the object: the verdict that goes with the exit status. */
void check_print_verdict(struct checking *checking, int status);

/* Check without a word, but for progress. */
int check_again(struct checking *checking, const struct media *media,
    struct btt_check_result *ret_result, struct btt_error *error)
    BTT_MUST_CHECK;

/* Will the medium be written to, if there is a reason? */
bool check_will_write(const struct check_options *options);
/*
 * Plan a repair of what was found, show it, and carry it out if asked to.
 * Returns the exit status.
 */
int check_repair(struct checking *checking, struct media *media,
    const struct btt_check_result *result);

#endif

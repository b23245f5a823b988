/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <err.h>
#include <errno.h>

#include "check_run.h"

#define AT(member) offsetof(struct check_options, member)
static const struct ctl_option options_table[] = {
	{ 0, "repair", CTL_SWITCH, AT(repair), NULL, NULL,
	    "plan how to mend it, and ask whether to" },
	{ 'y', "yes", CTL_SWITCH, AT(yes), NULL, NULL,
	    "carry the plan out without asking" },
	{ 0, "undo", CTL_PATH, AT(undo), "FILE", NULL,
	    "save what is overwritten, for bttctl undo" },
	{ 0, "rewrite-log", CTL_SWITCH, AT(rewrite_log), NULL, NULL,
	    "also bring all log entries into the form of today" },
	{ 0, "clear-error-flag", CTL_SWITCH, AT(clear_error_flag), NULL, NULL,
	    "also allow writes again, if all else is sound" },
	{ 0, "allow-data-loss", CTL_SWITCH, AT(allow_data_loss), NULL, NULL,
	    "also mend what costs sectors that can be read" },
	{ 0, "threads", CTL_NUMBER, AT(threads), "N", NULL,
	    "threads for large maps (one a processor)" },
	CTL_OPTION_NAMESPACE(AT(namespace)),
	CTL_OPTION_JSON,
	CTL_OPTION_QUIET,
	CTL_OPTION_VERBOSE,
	CTL_OPTION_END,
};

static int
run_check(struct checking *checking, const struct media *media,
    btt_report_fn *report, struct btt_check_result *ret_result,
    struct btt_error *error)
{
	const struct btt_check_options options = {
		.report = report,
		.report_arg = checking,
		.namespace = checking->options->namespace,
		.progress = progress_callback,
		.progress_arg = &checking->progress,
		.nthread = checking->options->threads.value,
	};
	int r;

	progress_begin(&checking->progress, "Checking", PROGRESS_STEPS,
	    !checking->options->common.quiet);
	r = btt_check(media, &options, ret_result, error);
	progress_end(&checking->progress);
	return r;
}

int
check_again(struct checking *checking, const struct media *media,
    struct btt_check_result *ret_result, struct btt_error *error)
{
	return run_check(checking, media, NULL, ret_result, error);
}

static int
check_media(struct checking *checking, struct media *media)
{
	struct btt_check_result result = { 0 };
	struct btt_error error = { "" };
	int r, status;

	r = run_check(checking, media, check_print_finding, &result, &error);
	check_print_result(checking, &result, r, &error);
	if (r < 0) {
		ctl_fail(checking->path, r, &error);
		status = r == -EUCLEAN ? CTL_FSCK_DAMAGE : CTL_FSCK_CANNOT;
	} else if (checking->options->repair) {
		status = check_repair(checking, media, &result);
	} else {
		status = result.ndamage > 0 ? CTL_FSCK_DAMAGE : CHECK_CLEAN;
	}
	check_print_verdict(checking, status);
	return status;
}

/* Options that say how to repair say nothing if nobody wants to. */
static const char *
misplaced_option(const struct check_options *options)
{
	if (options->repair)
		return NULL;
	return options->yes             ? "--yes"
	    : options->undo != NULL     ? "--undo"
	    : options->rewrite_log      ? "--rewrite-log"
	    : options->clear_error_flag ? "--clear-error-flag"
	    : options->allow_data_loss  ? "--allow-data-loss"
					: NULL;
}

static int
run(const void *options, char *const operands[])
{
	struct checking checking = {
		.options = options,
		.path = operands[0],
	};
	const struct media_options media_options = {
		.read_only = !check_will_write(options),
		.allow_sparse = true,
	};
	struct btt_error error = { "" };
	struct media *media;
	const char *misplaced;
	int r, status;

	if ((misplaced = misplaced_option(options)) != NULL) {
		warnx("check: %s goes with --repair only", misplaced);
		return CTL_FSCK_USAGE;
	}
	r = media_open(checking.path, &media_options, &media, &error);
	if (r < 0) {
		ctl_fail(checking.path, r, &error);
		return CTL_FSCK_CANNOT;
	}
	status = check_media(&checking, media);
	media_close(media);
	return status;
}

static_assert(sizeof(struct check_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_check = {
	.name = "check",
	.operands = "PATH",
	.summary = "Look for damage in the metadata of a BTT, and mend it",
	.options = options_table,
	.options_bytes = sizeof(struct check_options),
	.min_operands = 1,
	.max_operands = 1,
	.fsck_status = true,
	.run = run,
};

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl_scrub -- having a running daemon read its devices for damage.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <err.h>

#include "ctl_online.h"
#include "size.h"

struct scrub_options {
	struct ctl_online online;
	struct ctl_size rate;
	struct ctl_number timeout;
	const char *range;
	bool wait;
};

static const struct ctl_option start_table[] = {
	{ 0, "rate", CTL_SIZE, offsetof(struct scrub_options, rate), "SIZE",
	    NULL, "read at most so much a second (default: 64M)" },
	{ 0, "range", CTL_TEXT, offsetof(struct scrub_options, range),
	    "FIRST[+COUNT]", NULL,
	    "only these sectors, besides what is no data" },
	{ 'w', "wait", CTL_SWITCH, offsetof(struct scrub_options, wait), NULL,
	    NULL, "wait for the end, and say what was found" },
	{ 't', "timeout", CTL_NUMBER, offsetof(struct scrub_options, timeout),
	    "SECONDS", NULL, "wait no longer than that; the work goes on" },
	CTL_OPTION_SOCKET,
	CTL_OPTION_JSON,
	CTL_OPTION_QUIET,
	CTL_OPTION_END,
};

static const struct ctl_option wait_table[] = {
	{ 't', "timeout", CTL_NUMBER, offsetof(struct scrub_options, timeout),
	    "SECONDS", NULL, "wait no longer than that" },
	CTL_OPTION_SOCKET,
	CTL_OPTION_JSON,
	CTL_OPTION_QUIET,
	CTL_OPTION_END,
};

static void
tell_scrub(
    const struct ctl_call *call, struct json_object *result, const void *arg)
{
	struct json_object *job = json_get(result, "job");

	(void)arg;
	if (result == NULL)
		printf("%s: cancelled\n", call->operand);
	else if (job == NULL)
		printf("%s: has not been scrubbed\n", call->operand);
	else if (strcmp(json_get_text(job, "state"), "done") == 0)
		printf(
		    "%s: %s\n", call->operand, json_get_text(job, "message"));
	else
		printf("%s: job %" PRIu64 "\n", call->operand,
		    json_get_number(job, "job"));
}

/* A scrub that somebody has stopped is over, as was waited for. */
static bool
accepts_cancelled(
    const struct ctl_call *call, struct json_object *error, const void *arg)
{
	(void)call, (void)arg;
	return strcmp(json_get_text(error, "errno"), "ECANCELED") == 0;
}

/* "FIRST" or "FIRST+COUNT". */
static int
parse_range(const char *text, uint64_t *ret_first, uint64_t *ret_count)
{
	const char *plus = strchr(text, '+');
	char *first;
	int r;

	first =
	    plus == NULL ? strdup(text) : strndup(text, (size_t)(plus - text));
	if (first == NULL)
		ctl_die_of_memory();
	*ret_count = 0;
	r = size_parse(first, ret_first);
	free(first);
	if (r == 0 && plus != NULL) {
		r = size_parse(plus + 1, ret_count);
		if (r == 0 && *ret_count == 0)
			r = -EINVAL;
	}
	return r;
}

/* What start-scrub asks for. */
struct start {
	const struct scrub_options *options;
	uint64_t first, count;
};

static int
fill_start(struct ctl_call *call, const void *arg)
{
	const struct start *start = arg;

	ctl_add_text(call->args, "name", call->operand);
	ctl_add_timeout(call->args, &start->options->timeout);
	ctl_add_bool(call->args, "wait", start->options->wait);
	ctl_add_size(call->args, "rate", &start->options->rate);
	ctl_add_number(call->args, "lba", start->first);
	ctl_add_number(call->args, "count", start->count);
	return 0;
}

static int
run_start(const void *arg, char *const operands[])
{
	const struct scrub_options *options = arg;
	struct start start = { .options = options };
	struct ctl_calls calls = {
		.command = "start-scrub",
		.verb = "start-scrub",
		.fill = fill_start,
		.tell = tell_scrub,
		.arg = &start,
	};

	if (options->range != NULL &&
	    parse_range(options->range, &start.first, &start.count) < 0) {
		warnx("start-scrub: --range %s: not FIRST or FIRST+COUNT",
		    options->range);
		return CTL_EXIT_USAGE;
	}
	return ctl_online_run_operands(
	    &options->online, &calls, operands, CTL_NAMES_OPEN);
}

static int
fill_wait(struct ctl_call *call, const void *arg)
{
	const struct scrub_options *options = arg;

	ctl_add_text(call->args, "name", call->operand);
	ctl_add_timeout(call->args, &options->timeout);
	return 0;
}

static int
run_wait(const void *arg, char *const operands[])
{
	const struct scrub_options *options = arg;
	struct ctl_calls calls = {
		.command = "wait-scrub",
		.verb = "wait-scrub",
		.fill = fill_wait,
		.accepts = accepts_cancelled,
		.tell = tell_scrub,
		.arg = options,
	};

	return ctl_online_run_operands(
	    &options->online, &calls, operands, CTL_NAMES_OPEN);
}

static_assert(sizeof(struct scrub_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_start_scrub = {
	.name = "start-scrub",
	.operands = "[NAME ...|all]",
	.summary = "Read devices in the background, to find damage",
	.options = start_table,
	.options_bytes = sizeof(struct scrub_options),
	.min_operands = 0,
	.max_operands = CTL_OPERANDS_MANY,
	.run = run_start,
};

const struct ctl_command ctl_wait_scrub = {
	.name = "wait-scrub",
	.operands = "[NAME ...|all]",
	.summary = "Wait until that has ended, and say what was found",
	.options = wait_table,
	.options_bytes = sizeof(struct scrub_options),
	.min_operands = 0,
	.max_operands = CTL_OPERANDS_MANY,
	.run = run_wait,
};

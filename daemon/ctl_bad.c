/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl_bad -- planting bad blocks in devices of a running daemon, and clearing
 * bad blocks, planted or not.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <err.h>

#include "ctl_online.h"

static const char *const areas[] = { "data", "map", "log", "info", NULL };

struct inject_options {
	struct ctl_online online;
	struct ctl_size block;
	struct ctl_size count;
	struct ctl_choice area;
	bool raw;
	bool uninject;
	bool status;
	bool no_notify;
};

static const struct ctl_option inject_table[] = {
	{ 'B', "block", CTL_SIZE, offsetof(struct inject_options, block), "N",
	    NULL, "the first sector, or what AREA counts" },
	{ 'n', "count", CTL_SIZE, offsetof(struct inject_options, count), "N",
	    NULL, "so many from there on (default: 1)" },
	{ 'a', "area", CTL_CHOICE, offsetof(struct inject_options, area),
	    "AREA", areas,
	    "what to lose: sectors' data, sectors' map entries,\n"
	    "pairs of the log, info blocks" },
	{ 0, "raw", CTL_SWITCH, offsetof(struct inject_options, raw), NULL,
	    NULL, "N counts blocks of 512 bytes of the backing store" },
	{ 'd', "uninject", CTL_SWITCH,
	    offsetof(struct inject_options, uninject), NULL, NULL,
	    "take them back; all of them without --block" },
	{ 't', "status", CTL_SWITCH, offsetof(struct inject_options, status),
	    NULL, NULL, "show what is injected" },
	{ 'N', "no-notify", CTL_SWITCH,
	    offsetof(struct inject_options, no_notify), NULL, NULL,
	    "let nobody know before a scrub finds them" },
	CTL_OPTION_SOCKET,
	CTL_OPTION_JSON,
	CTL_OPTION_QUIET,
	CTL_OPTION_END,
};

static void
print_ranges(struct json_object *ranges, const char *note)
{
	struct json_object *range;
	size_t i;

	for (i = 0; ranges != NULL && i < json_object_array_length(ranges);
	     i++) {
		range = json_object_array_get_idx(ranges, i);
		printf("    %s blocks of 512 bytes from %s, %s%s\n",
		    json_get_text(range, "length"),
		    json_get_text(range, "offset"),
		    json_get_text(range, "area"), note);
	}
}

static void
tell_injected(
    const struct ctl_call *call, struct json_object *result, const void *arg)
{
	const struct inject_options *options = arg;

	if (!options->status) {
		printf("%s: %s\n", call->operand,
		    options->uninject ? "taken back" : "injected");
		return;
	}
	printf("%s:\n", call->operand);
	print_ranges(json_get(result, "badblocks"), "");
	print_ranges(json_get(result, "latent"), ", not noticed yet");
}

static struct json_object *
inject_args(const struct inject_options *options, const char *name)
{
	struct json_object *args;

	args = ctl_new_object();
	ctl_add_text(args, "name", name);
	if (options->status)
		return args;
	/* All of it, wherever it is. */
	if (options->uninject && !options->block.given) {
		ctl_add_text(args, "area", "raw");
		ctl_add_number(args, "count", 0);
	} else {
		ctl_add_text(args, "area",
		    options->raw ? "raw" : areas[options->area.index]);
		ctl_add_number(args, "block", options->block.bytes);
		if (options->count.given)
			ctl_add_number(args, "count", options->count.bytes);
	}
	if (options->uninject)
		ctl_add_bool(args, "uninject", true);
	if (options->no_notify)
		ctl_add_bool(args, "latent", true);
	return args;
}

/* What does not go together. */
static const char *
find_mistake(const struct inject_options *options)
{
	if (options->raw && options->area.given)
		return "--raw and --area exclude each other";
	if (options->status &&
	    (options->block.given || options->count.given ||
		options->area.given || options->raw || options->uninject ||
		options->no_notify))
		return "--status is for looking only";
	if (options->uninject && options->no_notify)
		return "--no-notify is for what is injected";
	/* Nothing but --uninject means all there is. */
	if (!options->status && !options->block.given &&
	    (!options->uninject || options->count.given ||
		options->area.given || options->raw))
		return "where? --block is missing";
	return NULL;
}

static int
run_inject(const void *arg, char *const operands[])
{
	const struct inject_options *options = arg;
	const char *mistake = find_mistake(options);
	struct ctl_call call = { .operand = operands[0] };
	struct ctl_calls calls = {
		.command = "inject-error",
		.verb = options->status ? "injected" : "inject-error",
		.calls = &call,
		.ncall = 1,
		.tell = tell_injected,
		.arg = options,
	};

	if (mistake != NULL) {
		warnx("inject-error: %s", mistake);
		return CTL_EXIT_USAGE;
	}
	call.args = inject_args(options, operands[0]);
	return ctl_online_run(&options->online, &calls);
}

static_assert(sizeof(struct inject_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_inject_error = {
	.name = "inject-error",
	.operands = "NAME",
	.summary = "Make blocks of a device bad, to see what comes of it",
	.options = inject_table,
	.options_bytes = sizeof(struct inject_options),
	.min_operands = 1,
	.max_operands = 1,
	.run = run_inject,
};

struct clear_options {
	struct ctl_online online;
	struct ctl_size lba;
	struct ctl_size count;
	struct ctl_number timeout;
	bool scrub;
	bool no_wait;
};

static const struct ctl_option clear_table[] = {
	{ 'B', "lba", CTL_SIZE, offsetof(struct clear_options, lba), "N", NULL,
	    "the first sector to clear (default: 0)" },
	{ 'n', "count", CTL_SIZE, offsetof(struct clear_options, count), "N",
	    NULL, "so many from there on (default: to the end)" },
	{ 's', "scrub", CTL_SWITCH, offsetof(struct clear_options, scrub), NULL,
	    NULL, "look for bad blocks first" },
	{ 0, "no-wait", CTL_SWITCH, offsetof(struct clear_options, no_wait),
	    NULL, NULL, "say which job does it, and do not wait" },
	{ 't', "timeout", CTL_NUMBER, offsetof(struct clear_options, timeout),
	    "SECONDS", NULL, "wait no longer than that; the work goes on" },
	CTL_OPTION_SOCKET,
	CTL_OPTION_JSON,
	CTL_OPTION_QUIET,
	CTL_OPTION_END,
};

static void
tell_cleared(
    const struct ctl_call *call, struct json_object *result, const void *arg)
{
	const struct clear_options *options = arg;
	struct json_object *job = json_get(result, "job");

	if (options->no_wait)
		printf("%s: job %" PRIu64 "\n", call->operand,
		    json_get_number(job, "job"));
	else
		printf(
		    "%s: %s\n", call->operand, json_get_text(job, "message"));
}

/* One verb for all names. */
static int
ask_all(const struct clear_options *options, const char *verb,
    const char **names, size_t n)
{
	struct ctl_calls calls = {
		.command = "clear-errors",
		.verb = verb,
		.ncall = n,
		.tell = tell_cleared,
		.arg = options,
	};
	bool scrub = strcmp(verb, "start-scrub") == 0;
	struct ctl_online online = options->online;
	int status;
	size_t i;

	if ((calls.calls = calloc(n + 1, sizeof(*calls.calls))) == NULL)
		ctl_die_of_memory();
	for (i = 0; i < n; i++) {
		struct json_object *args = ctl_new_object();

		calls.calls[i].operand = names[i];
		calls.calls[i].args = args;
		ctl_add_text(args, "name", names[i]);
		if (options->lba.given)
			ctl_add_number(args, "lba", options->lba.bytes);
		if (options->count.given)
			ctl_add_number(args, "count", options->count.bytes);
		if (options->timeout.given)
			ctl_add_number(args, "timeout_ms",
			    ctl_timeout_ms(&options->timeout));
		ctl_add_bool(args, "wait", scrub || !options->no_wait);
	}
	if (scrub) { /* a step on the way: there is one answer */
		calls.tell = NULL;
		online.common.json = false;
	}
	status = ctl_online_run(&online, &calls);
	free(calls.calls);
	return status;
}

static int
run_clear(const void *arg, char *const operands[])
{
	const struct clear_options *options = arg;
	struct json_object *list;
	const char **names;
	int status = 0;
	size_t n;

	if (options->count.given && options->count.bytes == 0) {
		warnx("clear-errors: --count 0: nothing to do");
		return CTL_EXIT_USAGE;
	}
	names = ctl_online_names(
	    &options->online, operands, CTL_NAMES_OPEN, &n, &list, &status);
	if (names == NULL)
		return status;
	if (options->scrub)
		status = ask_all(options, "start-scrub", names, n);
	if (status == 0)
		status = ask_all(options, "clear-errors", names, n);
	free(names);
	json_object_put(list);
	return status;
}

static_assert(sizeof(struct clear_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_clear_errors = {
	.name = "clear-errors",
	.operands = "NAME ...|all",
	.summary = "Make bad blocks good again; what was on them is lost",
	.options = clear_table,
	.options_bytes = sizeof(struct clear_options),
	.min_operands = 1,
	.max_operands = CTL_OPERANDS_MANY,
	.run = run_clear,
};

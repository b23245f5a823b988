/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl_bad -- planting bad blocks in devices of a running daemon, and clearing
 * bad blocks, planted or not.
 */
#include <assert.h>
#include <inttypes.h>

#include <err.h>

#include "ctl_online.h"

/* --- inject-error --- */

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

/* Which options were given. */
enum {
	GIVEN_BLOCK = 1u << 0,
	GIVEN_COUNT = 1u << 1,
	GIVEN_AREA = 1u << 2,
	GIVEN_RAW = 1u << 3,
	GIVEN_UNINJECT = 1u << 4,
	GIVEN_STATUS = 1u << 5,
	GIVEN_NO_NOTIFY = 1u << 6,
};

static unsigned
what_is_given(const struct inject_options *options)
{
	return (options->block.given ? GIVEN_BLOCK : 0) |
	    (options->count.given ? GIVEN_COUNT : 0) |
	    (options->area.given ? GIVEN_AREA : 0) |
	    (options->raw ? GIVEN_RAW : 0) |
	    (options->uninject ? GIVEN_UNINJECT : 0) |
	    (options->status ? GIVEN_STATUS : 0) |
	    (options->no_notify ? GIVEN_NO_NOTIFY : 0);
}

/* An option, and those that it cannot be given with. */
static const struct {
	unsigned option, others;
	const char *why;
} exclusions[] = {
	{ GIVEN_RAW, GIVEN_AREA, "--raw and --area exclude each other" },
	{ GIVEN_STATUS, ~(unsigned)GIVEN_STATUS,
	    "--status is for looking only" },
	{ GIVEN_UNINJECT, GIVEN_NO_NOTIFY,
	    "--no-notify is for what is injected" },
};
#define NEXCLUSION (sizeof(exclusions) / sizeof(exclusions[0]))

/* NULL if all is well. */
static const char *
find_mistake(unsigned given)
{
	for (size_t i = 0; i < NEXCLUSION; i++) {
		if ((given & exclusions[i].option) != 0 &&
		    (given & exclusions[i].others) != 0)
			return exclusions[i].why;
	}
	/* Nothing but --uninject means all there is. */
	if ((given & (GIVEN_BLOCK | GIVEN_STATUS)) != 0 ||
	    given == GIVEN_UNINJECT)
		return NULL;
	return "where? --block is missing";
}

static void
add_where(struct json_object *args, const struct inject_options *options)
{
	/* Without --block it is all, wherever it is. */
	if (!options->block.given) {
		ctl_add_text(args, "area", "raw");
		ctl_add_number(args, "count", 0);
		return;
	}
	ctl_add_text(
	    args, "area", options->raw ? "raw" : areas[options->area.index]);
	ctl_add_size(args, "block", &options->block);
	ctl_add_size(args, "count", &options->count);
}

static int
fill_inject(struct ctl_call *call, const void *arg)
{
	const struct inject_options *options = arg;

	ctl_add_text(call->args, "name", call->operand);
	if (options->status)
		return 0;
	add_where(call->args, options);
	if (options->uninject)
		ctl_add_bool(call->args, "uninject", true);
	if (options->no_notify)
		ctl_add_bool(call->args, "latent", true);
	return 0;
}

static int
run_inject(const void *arg, char *const operands[])
{
	const struct inject_options *options = arg;
	const char *mistake = find_mistake(what_is_given(options));
	const char *name = operands[0]; /* one, and "all" is none */
	const struct ctl_names names = { .n = 1, .name = &name };
	struct ctl_calls calls = {
		.command = "inject-error",
		.verb = options->status ? "injected" : "inject-error",
		.fill = fill_inject,
		.tell = tell_injected,
		.arg = options,
	};

	if (mistake != NULL) {
		warnx("inject-error: %s", mistake);
		return CTL_EXIT_USAGE;
	}
	return ctl_online_run_names(&options->online, &calls, &names);
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

/* --- clear-errors --- */

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

static void
add_range(struct json_object *args, const struct clear_options *options)
{
	ctl_add_size(args, "lba", &options->lba);
	ctl_add_size(args, "count", &options->count);
	ctl_add_timeout(args, &options->timeout);
}

static int
fill_scrub(struct ctl_call *call, const void *arg)
{
	ctl_add_text(call->args, "name", call->operand);
	add_range(call->args, arg);
	ctl_add_bool(call->args, "wait", true);
	return 0;
}

static int
fill_clear(struct ctl_call *call, const void *arg)
{
	const struct clear_options *options = arg;

	ctl_add_text(call->args, "name", call->operand);
	add_range(call->args, options);
	ctl_add_bool(call->args, "wait", !options->no_wait);
	return 0;
}

/* A step on the way: nothing is told but its failures. */
static int
scrub(const struct clear_options *options, const struct ctl_names *names)
{
	struct ctl_online online = options->online;
	struct ctl_calls calls = {
		.command = "clear-errors",
		.verb = "start-scrub",
		.fill = fill_scrub,
		.arg = options,
	};

	online.common.json = false;
	return ctl_online_run_names(&online, &calls, names);
}

static int
run_clear(const void *arg, char *const operands[])
{
	const struct clear_options *options = arg;
	struct ctl_calls calls = {
		.command = "clear-errors",
		.verb = "clear-errors",
		.fill = fill_clear,
		.tell = tell_cleared,
		.arg = options,
	};
	struct ctl_names names;
	int status;

	if (options->count.given && options->count.bytes == 0) {
		warnx("clear-errors: --count 0: nothing to do");
		return CTL_EXIT_USAGE;
	}
	status = ctl_online_names(
	    &options->online, operands, CTL_NAMES_OPEN, &names);
	if (status == 0 && options->scrub)
		status = scrub(options, &names);
	if (status == 0)
		status = ctl_online_run_names(&options->online, &calls, &names);
	ctl_names_fini(&names);
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

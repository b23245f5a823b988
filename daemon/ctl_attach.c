/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl_attach -- devices of a running daemon: attach, detach, and the names that
 * users of ndctl know them by.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <err.h>

#include "ctl_online.h"
#include "size.h"

struct change_options {
	struct ctl_online online;
	struct ctl_number timeout;
	bool no_wait;
	bool idempotent;
	bool force;
	bool read_only;
	bool scrub;
	const char *name;
	const char *words;
	const char *test;
};

#define OPTION_TIMEOUT                                                         \
	{                                                                      \
		't', "timeout", CTL_NUMBER,                                    \
		    offsetof(struct change_options, timeout), "SECONDS", NULL, \
		    "wait no longer than that; the work goes on"               \
	}
#define OPTION_NO_WAIT                                                    \
	{                                                                 \
		0, "no-wait", CTL_SWITCH,                                 \
		    offsetof(struct change_options, no_wait), NULL, NULL, \
		    "say which job does it, and do not wait"              \
	}
#define OPTION_IDEMPOTENT                                                    \
	{                                                                    \
		0, "idempotent", CTL_SWITCH,                                 \
		    offsetof(struct change_options, idempotent), NULL, NULL, \
		    "succeed if that is so already"                          \
	}

static const struct ctl_option attach_table[] = {
	{ 'n', "name", CTL_TEXT, offsetof(struct change_options, name), "NAME",
	    NULL, "the device's name (default: PATH's last component)" },
	{ 'o', "options", CTL_TEXT, offsetof(struct change_options, words),
	    "OPTIONS", NULL, "options of the device, as bttfs has them" },
	{ 'r', "read-only", CTL_SWITCH,
	    offsetof(struct change_options, read_only), NULL, NULL,
	    "never write to PATH" },
	{ 's', "scrub", CTL_SWITCH, offsetof(struct change_options, scrub),
	    NULL, NULL, "then read all of it, to find damage" },
	OPTION_IDEMPOTENT,
	OPTION_NO_WAIT,
	OPTION_TIMEOUT,
	CTL_OPTION_SOCKET,
	CTL_OPTION_JSON,
	CTL_OPTION_QUIET,
	{ 0, "test", CTL_TEXT, offsetof(struct change_options, test), "JSON",
	    NULL, "for tests only: arguments that plant trouble" },
	CTL_OPTION_END,
};

static const struct ctl_option detach_table[] = {
	{ 'f', "force", CTL_SWITCH, offsetof(struct change_options, force),
	    NULL, NULL, "also if it is open: who uses it gets ENODEV" },
	OPTION_IDEMPOTENT,
	OPTION_NO_WAIT,
	OPTION_TIMEOUT,
	CTL_OPTION_SOCKET,
	CTL_OPTION_JSON,
	CTL_OPTION_QUIET,
	CTL_OPTION_END,
};

static void
add_waiting(struct json_object *args, const struct change_options *options)
{
	ctl_add_bool(args, "wait", !options->no_wait);
	ctl_add_timeout(args, &options->timeout);
}

/* "ro,scrub,WORDS", each only where it was asked for. */
static void
add_words(struct json_object *args, const struct change_options *options)
{
	const char *given = options->words != NULL ? options->words : "";
	char *words;

	if (!options->read_only && !options->scrub && given[0] == '\0')
		return;
	/* What is empty between commas is no word. */
	if (asprintf(&words, "%s%s%s", options->read_only ? "ro," : "",
		options->scrub ? "scrub," : "", given) < 0)
		ctl_die_of_memory();
	ctl_add_text(args, "options", words);
	free(words);
}

/* Arguments that no user needs, as they are. */
static bool
add_test(struct json_object *args, const char *test)
{
	struct json_object *object;

	if (test == NULL)
		return true;
	object = json_tokener_parse(test);
	if (!json_object_is_type(object, json_type_object)) {
		json_object_put(object);
		return false;
	}
	json_object_object_foreach(object, key, value)
	{
		ctl_add(args, key, json_object_get(value));
	}
	json_object_put(object);
	return true;
}

static int
complete_attach(struct json_object *args, const struct change_options *options)
{
	add_words(args, options);
	add_waiting(args, options);
	return add_test(args, options->test) ? 0 : -EINVAL;
}

/* A name that the daemon's configuration has. */
static int
fill_enable(struct ctl_call *call, const void *arg)
{
	ctl_add_text(call->args, "name", call->operand);
	return complete_attach(call->args, arg);
}

/*
 * The daemon follows no links on others' behalf, and does not know our
 * directory: so both are resolved here, with our own rights.
 */
static int
fill_attach(struct ctl_call *call, const void *arg)
{
	const struct change_options *options = arg;

	if ((call->path = realpath(call->operand, NULL)) == NULL) {
		/* What is no file may be a name all the same. */
		if (errno != ENOENT || strchr(call->operand, '/') != NULL ||
		    options->name != NULL)
			return -errno;
		return fill_enable(call, arg);
	}
	ctl_add_text(call->args, "path", call->path);
	if (options->name != NULL)
		ctl_add_text(call->args, "name", options->name);
	return complete_attach(call->args, options);
}

/* "It is there already", if it is what was asked for. */
static bool
accepts_attached(
    const struct ctl_call *call, struct json_object *error, const void *arg)
{
	const struct change_options *options = arg;
	struct json_object *owner;
	const char *state;

	owner = json_get(error, "owner");
	if (!options->idempotent || owner == NULL)
		return false;
	state = json_get_text(owner, "state");
	return (strcmp(state, "live") == 0 || strcmp(state, "readonly") == 0) &&
	    (call->path == NULL ||
		strcmp(json_get_text(owner, "backing"), call->path) == 0);
}

static void
tell_attached(
    const struct ctl_call *call, struct json_object *result, const void *arg)
{
	const struct change_options *options = arg;
	struct json_object *device, *job;
	char size[SIZE_TEXT_BYTES];

	if (result == NULL) {
		printf("%s: attached already\n", call->operand);
		return;
	}
	device = json_get(result, "device");
	job = json_get(result, "job");
	if (options->no_wait || device == NULL) {
		printf("%s: job %" PRIu64 "\n", json_get_text(job, "dev"),
		    json_get_number(job, "job"));
		return;
	}
	size_format(json_get_number(device, "size"), size);
	printf("%s: attached, %s in sectors of %" PRIu64 " bytes, %s%s%s\n",
	    json_get_text(device, "dev"), size,
	    json_get_number(device, "sector_size"),
	    json_get_bool(device, "read_only") ? "read-only" : "read-write",
	    json_get(device, "blockdev") != NULL ? ": " : "",
	    json_get_text(device, "blockdev"));
}

static int
run_attach(const void *arg, char *const operands[])
{
	const struct change_options *options = arg;
	struct ctl_calls calls = {
		.command = "attach",
		.verb = "attach",
		.accepts = accepts_attached,
		.tell = tell_attached,
		.arg = options,
	};
	struct ctl_names names;
	int status;

	status = ctl_online_names(
	    &options->online, operands, CTL_NAMES_DISABLED, &names);
	if (status == 0 && options->name != NULL && names.n > 1) {
		warnx("attach: --name is for one PATH");
		status = CTL_EXIT_USAGE;
	}
	if (status == 0) {
		calls.fill = names.list != NULL ? fill_enable : fill_attach;
		status = ctl_online_run_names(&options->online, &calls, &names);
	}
	ctl_names_fini(&names);
	return status;
}

static bool
accepts_detached(
    const struct ctl_call *call, struct json_object *error, const void *arg)
{
	const struct change_options *options = arg;

	(void)call;
	return options->idempotent &&
	    strcmp(json_get_text(error, "errno"), "ENODEV") == 0;
}

static void
tell_detached(
    const struct ctl_call *call, struct json_object *result, const void *arg)
{
	const struct change_options *options = arg;
	uint64_t job;

	if (result == NULL) {
		printf("%s: there is none\n", call->operand);
		return;
	}
	job = json_get_number(json_get(result, "job"), "job");
	if (options->no_wait)
		printf("%s: job %" PRIu64 "\n", call->operand, job);
	else if (!json_get_bool(result, "won"))
		printf("%s: detached, by job %" PRIu64 " of somebody else\n",
		    call->operand, job);
	else
		printf("%s: detached\n", call->operand);
}

static int
fill_detach(struct ctl_call *call, const void *arg)
{
	const struct change_options *options = arg;

	ctl_add_text(call->args, "name", call->operand);
	if (options->force)
		ctl_add_bool(call->args, "force", true);
	add_waiting(call->args, options);
	return 0;
}

static int
run_detach(const void *arg, char *const operands[])
{
	const struct change_options *options = arg;
	struct ctl_calls calls = {
		.command = "detach",
		.verb = "detach",
		.fill = fill_detach,
		.accepts = accepts_detached,
		.tell = tell_detached,
		.arg = options,
	};

	return ctl_online_run_operands(
	    &options->online, &calls, operands, CTL_NAMES_LISTED);
}

static_assert(sizeof(struct change_options) <= CTL_OPTIONS_MAX, "room");

#define ATTACH(command_name, text)                                       \
	{                                                                \
		.name = (command_name), .operands = "PATH|NAME ...|all", \
		.summary = (text), .options = attach_table,              \
		.options_bytes = sizeof(struct change_options),          \
		.min_operands = 1, .max_operands = CTL_OPERANDS_MANY,    \
		.run = run_attach,                                       \
	}
#define DETACH(command_name, text)                                    \
	{                                                             \
		.name = (command_name), .operands = "NAME ...|all",   \
		.summary = (text), .options = detach_table,           \
		.options_bytes = sizeof(struct change_options),       \
		.min_operands = 1, .max_operands = CTL_OPERANDS_MANY, \
		.run = run_detach,                                    \
	}

const struct ctl_command ctl_attach =
    ATTACH("attach", "Have a running daemon serve a BTT");
const struct ctl_command ctl_detach =
    DETACH("detach", "Have it serve a device no more");
const struct ctl_command ctl_enable = ATTACH("enable", "The same as attach");
const struct ctl_command ctl_disable = DETACH("disable", "The same as detach");

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl_job -- waiting for jobs of a running daemon, and stopping them.
 */
#include <assert.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_online.h"

struct settle_options {
	struct ctl_online online;
	struct ctl_number timeout;
};

static const struct ctl_option settle_table[] = {
	{ 't', "timeout", CTL_NUMBER, offsetof(struct settle_options, timeout),
	    "SECONDS", NULL, "wait no longer than that" },
	CTL_OPTION_SOCKET,
	CTL_OPTION_END,
};

static int
run_settle(const void *arg, char *const operands[])
{
	const struct settle_options *options = arg;
	struct json_object *args, *result;
	struct remote *remote;
	int status = 0;

	(void)operands;
	remote = ctl_online_open(&options->online, &status);
	if (remote == NULL)
		return status;
	args = ctl_new_object();
	ctl_add_timeout(args, &options->timeout);
	result = ctl_online_ask(remote, "settle", "settle", args, &status);
	remote_close(remote);
	json_object_put(result);
	return status;
}

const struct ctl_command ctl_settle = {
	.name = "settle",
	.operands = "",
	.summary = "Wait until all has ended that a daemon has begun so far",
	.options = settle_table,
	.options_bytes = sizeof(struct settle_options),
	.min_operands = 0,
	.max_operands = 0,
	.run = run_settle,
};

static const struct ctl_option cancel_table[] = {
	CTL_OPTION_SOCKET,
	CTL_OPTION_JSON,
	CTL_OPTION_QUIET,
	CTL_OPTION_END,
};

/* A job that was cancelled ends with just that. */
static bool
accepts_cancelled(
    const struct ctl_call *call, struct json_object *error, const void *arg)
{
	(void)call, (void)arg;
	return strcmp(json_get_text(error, "errno"), "ECANCELED") == 0;
}

static void
tell_cancelled(
    const struct ctl_call *call, struct json_object *result, const void *arg)
{
	(void)arg;
	printf("job %s: %s\n", call->operand,
	    result == NULL ? "cancelled" : "has ended by itself");
}

static int
parse_job(const char *text, uint64_t *ret_id)
{
	char *end;

	errno = 0;
	*ret_id = strtoull(text, &end, 10);
	return text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0
	    ? -EINVAL
	    : 0;
}

static int
run_cancel(const void *arg, char *const operands[])
{
	struct ctl_calls calls = {
		.command = "cancel",
		.verb = "cancel",
		.accepts = accepts_cancelled,
		.tell = tell_cancelled,
	};
	uint64_t id;
	int status;
	size_t n;

	for (n = 0; operands[n] != NULL; n++) {
		if (parse_job(operands[n], &id) < 0) {
			warnx("cancel: %s is no number of a job", operands[n]);
			return CTL_EXIT_USAGE;
		}
	}
	if ((calls.calls = calloc(n, sizeof(*calls.calls))) == NULL)
		ctl_die_of_memory();
	for (; calls.ncall < n; calls.ncall++) {
		struct ctl_call *call = &calls.calls[calls.ncall];

		(void)parse_job(operands[calls.ncall], &id); /* see above */
		call->operand = operands[calls.ncall];
		call->args = ctl_new_object();
		ctl_add_number(call->args, "job", id);
	}
	status = ctl_online_run(arg, &calls);
	free(calls.calls);
	return status;
}

const struct ctl_command ctl_cancel = {
	.name = "cancel",
	.operands = "JOB ...",
	.summary = "Stop jobs of a running daemon",
	.options = cancel_table,
	.options_bytes = sizeof(struct ctl_online),
	.min_operands = 1,
	.max_operands = CTL_OPERANDS_MANY,
	.run = run_cancel,
};

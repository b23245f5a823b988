/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl_upgrade -- have another server, of the program that is installed now, go
 * on in the place of the one that runs (keeper.h).
 *
 * The one that runs answers that it will, and is gone; whoever listens there
 * next with another number is the other one.
 */
#include <assert.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <time.h>

#include "ctl_online.h"

#define TIMEOUT_SECONDS 60u
#define RETRY_MS 20

struct upgrade_options {
	struct ctl_online online;
	struct ctl_number timeout;
};

static const struct ctl_option table[] = {
	{ 't', "timeout", CTL_NUMBER, offsetof(struct upgrade_options, timeout),
	    "SECONDS", NULL, "wait no longer than that (default: 60)" },
	CTL_OPTION_SOCKET,
	CTL_OPTION_JSON,
	CTL_OPTION_QUIET,
	CTL_OPTION_END,
};

/* Who listens there at the moment, or NULL: nobody, or one who is leaving. */
static struct json_object *
ask_version(const char *socket)
{
	struct btt_error error = { "" };
	struct json_object *message, *version = NULL;
	struct remote *remote;

	if (remote_open(socket, &remote, &error) < 0)
		return NULL;
	if (remote_send(remote, 1, "version", NULL) == 0 &&
	    remote_receive(remote, &message) == 0) {
		version = json_object_get(ctl_reply_result(message));
		json_object_put(message);
	}
	remote_close(remote);
	return version;
}

static struct json_object *
await_other(const struct upgrade_options *options, uint64_t pid)
{
	time_t end = time(NULL) +
	    (options->timeout.given ? options->timeout.value : TIMEOUT_SECONDS);
	struct json_object *version;

	do {
		version = ask_version(options->online.socket);
		if (version != NULL && json_get_number(version, "pid") != pid)
			return version;
		json_object_put(version);
		(void)poll(NULL, 0, RETRY_MS);
	} while (time(NULL) <= end);
	return NULL;
}

static void
tell(const struct upgrade_options *options, struct json_object *old,
    struct json_object *new)
{
	struct json_object *object;

	if (options->online.common.json) {
		object = ctl_new_object();
		ctl_add(object, "before", json_object_get(old));
		ctl_add(object, "after", json_object_get(new));
		ctl_print_json(object);
	} else if (!options->online.common.quiet)
		printf("bttfs %s (pid %s) goes on after bttfs %s (pid %s)\n",
		    json_get_text(new, "server"), json_get_text(new, "pid"),
		    json_get_text(old, "server"), json_get_text(old, "pid"));
}

static int
run(const void *arg, char *const operands[])
{
	const struct upgrade_options *options = arg;
	struct json_object *old, *new = NULL;
	struct remote *remote;
	int status = 0;

	(void)operands;
	remote = ctl_online_open(&options->online, &status);
	if (remote == NULL)
		return status;
	old = ctl_online_ask(remote, "upgrade", "upgrade", NULL, &status);
	remote_close(remote);
	if (old == NULL)
		return status;
	new = await_other(options, json_get_number(old, "pid"));
	if (new != NULL)
		tell(options, old, new);
	else
		warnx("upgrade: no other server has come; the log of bttfs "
		      "says why");
	json_object_put(old);
	json_object_put(new);
	return new != NULL ? 0 : ctl_exit_status(-ETIMEDOUT);
}

static_assert(sizeof(struct upgrade_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_upgrade = {
	.name = "upgrade",
	.operands = "",
	.summary = "Replace a running server by the program that is installed",
	.options = table,
	.options_bytes = sizeof(struct upgrade_options),
	.min_operands = 0,
	.max_operands = 0,
	.run = run,
};

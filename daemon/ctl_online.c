/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_online.h"
#include "system_error.h"

/* So many questions are under way at once; the daemon takes more. */
#define WINDOW 64u

struct json_object *
ctl_reply_result(struct json_object *reply)
{
	return json_get(reply, "result");
}

struct json_object *
ctl_reply_error(struct json_object *reply)
{
	return json_get(reply, "error");
}

uint64_t
ctl_timeout_ms(const struct ctl_number *seconds)
{
	return seconds->given ? (uint64_t)seconds->value * 1000 : 0;
}

struct remote *
ctl_online_open(const struct ctl_online *options, int *ret_status)
{
	struct btt_error error = { "" };
	struct remote *remote;
	int r;

	if ((r = remote_open(options->socket, &remote, &error)) == 0)
		return remote;
	warnx("%s", error.text);
	*ret_status = ctl_exit_status(r);
	return NULL;
}

static int
lost(int r)
{
	warnx("the daemon: %s",
	    r == -ECONNRESET || r == -EPIPE ? "it has gone"
					    : system_error_text(r));
	return ctl_exit_status(r);
}

static int
error_code(struct json_object *error)
{
	return -(int)json_get_number(error, "code");
}

/* Why, where, and who is in the way (UI-5). */
static void
say_error(const char *operand, struct json_object *error)
{
	struct json_object *owner;
	char where[80] = "", who[400] = "";

	if (json_get(error, "stage") != NULL)
		snprintf(where, sizeof(where), " (stage %s)",
		    json_get_text(error, "stage"));
	if ((owner = json_get(error, "owner")) != NULL)
		snprintf(who, sizeof(who),
		    "; see job %llu, %s of %s, %.1f s ago",
		    (unsigned long long)json_get_number(owner, "job"),
		    json_get_text(owner, "verb"), json_get_text(owner, "dev"),
		    json_object_get_double(json_get(owner, "age")));
	warnx(
	    "%s: %s%s%s", operand, json_get_text(error, "message"), where, who);
}

struct json_object *
ctl_online_ask(struct remote *remote, const char *what, const char *verb,
    struct json_object *args, int *ret_status)
{
	struct json_object *message, *result, *error;
	int r;

	if ((r = remote_send(remote, 1, verb, args)) < 0 ||
	    (r = remote_receive(remote, &message)) < 0) {
		*ret_status = lost(r);
		return NULL;
	}
	result = json_object_get(ctl_reply_result(message));
	if (result == NULL) {
		error = ctl_reply_error(message);
		say_error(what, error);
		*ret_status = ctl_exit_status(error_code(error));
	}
	json_object_put(message);
	return result;
}

static int
receive_one(struct remote *remote, const struct ctl_calls *calls)
{
	struct json_object *message;
	uint64_t id;
	int r;

	if ((r = remote_receive(remote, &message)) < 0)
		return r;
	id = remote_message_id(message);
	if (id < 1 || id > calls->ncall || calls->calls[id - 1].reply != NULL) {
		json_object_put(message);
		return -EPROTO;
	}
	calls->calls[id - 1].reply = message;
	return 0;
}

static int
ask_all(struct remote *remote, const struct ctl_calls *calls)
{
	size_t nsent = 0, nreceived = 0;
	int r = 0;

	while (nreceived < calls->ncall && r == 0) {
		if (nsent < calls->ncall && nsent - nreceived < WINDOW) {
			r = remote_send(remote, nsent + 1, calls->verb,
			    calls->calls[nsent].args);
			calls->calls[nsent++].args = NULL;
		} else {
			r = receive_one(remote, calls);
			nreceived++;
		}
	}
	return r;
}

/* {"operand":"vol0", and what the daemon says} */
static struct json_object *
call_to_json(const struct ctl_call *call)
{
	struct json_object *object, *result;

	object = ctl_new_object();
	ctl_add_text(object, "operand", call->operand);
	result = ctl_reply_result(call->reply);
	if (result == NULL) {
		ctl_add(object, "error",
		    json_object_get(ctl_reply_error(call->reply)));
		return object;
	}
	json_object_object_foreach(result, key, value)
	{
		ctl_add(object, key, json_object_get(value));
	}
	return object;
}

static void
print_calls(const struct ctl_calls *calls)
{
	struct json_object *array;
	size_t i;

	array = ctl_new_array();
	for (i = 0; i < calls->ncall; i++)
		ctl_append(array, call_to_json(&calls->calls[i]));
	ctl_print_json_array(array);
}

static bool
is_accepted(const struct ctl_calls *calls, const struct ctl_call *call)
{
	struct json_object *error;

	error = ctl_reply_error(call->reply);
	return error != NULL && calls->accepts != NULL &&
	    calls->accepts(call, error, calls->arg);
}

/* Each failure to standard error, successes to people; the exit status. */
static int
judge(const struct ctl_online *options, const struct ctl_calls *calls)
{
	const struct ctl_call *call;
	struct json_object *error;
	int status = 0;
	size_t i;

	for (i = 0; i < calls->ncall; i++) {
		call = &calls->calls[i];
		error = ctl_reply_error(call->reply);
		if (error != NULL && !is_accepted(calls, call)) {
			say_error(call->operand, error);
			if (status == 0)
				status = ctl_exit_status(error_code(error));
		} else if (!options->common.json && !options->common.quiet &&
		    calls->tell != NULL)
			calls->tell(
			    call, ctl_reply_result(call->reply), calls->arg);
	}
	return status;
}

static void
release(const struct ctl_calls *calls)
{
	size_t i;

	for (i = 0; i < calls->ncall; i++) {
		json_object_put(calls->calls[i].args);
		json_object_put(calls->calls[i].reply);
		free(calls->calls[i].path);
	}
}

int
ctl_online_run(const struct ctl_online *options, const struct ctl_calls *calls)
{
	struct remote *remote;
	int r, status;

	if ((remote = ctl_online_open(options, &status)) == NULL) {
		release(calls);
		return status;
	}
	if ((r = ask_all(remote, calls)) < 0) {
		status = lost(r);
	} else {
		if (options->common.json)
			print_calls(calls);
		status = judge(options, calls);
	}
	remote_close(remote);
	release(calls);
	return status;
}

static bool
is_of_kind(struct json_object *device, enum ctl_names kind)
{
	const char *state = json_get_text(device, "state");

	switch (kind) {
	case CTL_NAMES_OPEN:
		return strcmp(state, "live") == 0 ||
		    strcmp(state, "readonly") == 0;
	case CTL_NAMES_DISABLED:
		return strcmp(state, "disabled") == 0;
	case CTL_NAMES_LISTED:
		break;
	}
	return true;
}

/* The names in the daemon's list, which they live as long as. */
static const char **
list_names(struct json_object *list, enum ctl_names kind, size_t *ret_n)
{
	struct json_object *device;
	const char **names;
	size_t i;

	names = calloc(json_object_array_length(list) + 1, sizeof(*names));
	if (names == NULL)
		ctl_die_of_memory();
	*ret_n = 0;
	for (i = 0; i < json_object_array_length(list); i++) {
		device = json_object_array_get_idx(list, i);
		if (is_of_kind(device, kind))
			names[(*ret_n)++] = json_get_text(device, "dev");
	}
	return names;
}

const char **
ctl_online_names(const struct ctl_online *options, char *const operands[],
    enum ctl_names kind, size_t *ret_n, struct json_object **ret_list,
    int *ret_status)
{
	struct json_object *args;
	struct remote *remote;
	const char **names;
	size_t i, n;

	*ret_list = NULL;
	for (n = 0; operands[n] != NULL; n++)
		;
	if (n == 0 || (n == 1 && strcmp(operands[0], "all") == 0)) {
		if ((remote = ctl_online_open(options, ret_status)) == NULL)
			return NULL;
		args = ctl_new_object();
		ctl_add_bool(args, "idle", kind == CTL_NAMES_DISABLED);
		*ret_list =
		    ctl_online_ask(remote, "all", "list", args, ret_status);
		remote_close(remote);
		return *ret_list == NULL ? NULL
					 : list_names(*ret_list, kind, ret_n);
	}
	if ((names = calloc(n + 1, sizeof(*names))) == NULL)
		ctl_die_of_memory();
	for (i = 0; i < n; i++)
		names[i] = operands[i];
	*ret_n = n;
	return names;
}

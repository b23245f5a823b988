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

void
ctl_add_timeout(struct json_object *args, const struct ctl_number *seconds)
{
	if (seconds->given)
		ctl_add_number(args, "timeout_ms", ctl_timeout_ms(seconds));
}

void
ctl_add_size(
    struct json_object *args, const char *key, const struct ctl_size *size)
{
	if (size->given)
		ctl_add_number(args, key, size->bytes);
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
release_one(const struct ctl_call *call)
{
	json_object_put(call->args);
	json_object_put(call->reply);
	free(call->path);
}

static void
release(const struct ctl_calls *calls)
{
	size_t i;

	for (i = 0; i < calls->ncall; i++)
		release_one(&calls->calls[i]);
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
is_of_kind(struct json_object *device, enum ctl_names_kind kind)
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

static void
reserve(struct ctl_names *names, size_t n)
{
	if ((names->name = calloc(n + 1, sizeof(*names->name))) == NULL)
		ctl_die_of_memory();
}

/* Those in the daemon's list. */
static int
list_names(const struct ctl_online *options, enum ctl_names_kind kind,
    struct ctl_names *names)
{
	struct json_object *args, *device;
	struct remote *remote;
	int status = 0;
	size_t i;

	if ((remote = ctl_online_open(options, &status)) == NULL)
		return status;
	args = ctl_new_object();
	ctl_add_bool(args, "idle", kind == CTL_NAMES_DISABLED);
	names->list = ctl_online_ask(remote, "all", "list", args, &status);
	remote_close(remote);
	if (names->list == NULL)
		return status;
	reserve(names, json_object_array_length(names->list));
	for (i = 0; i < json_object_array_length(names->list); i++) {
		device = json_object_array_get_idx(names->list, i);
		if (is_of_kind(device, kind))
			names->name[names->n++] = json_get_text(device, "dev");
	}
	return 0;
}

int
ctl_online_names(const struct ctl_online *options, char *const operands[],
    enum ctl_names_kind kind, struct ctl_names *ret_names)
{
	size_t n;

	*ret_names = (struct ctl_names){ .n = 0 };
	for (n = 0; operands[n] != NULL; n++)
		;
	if (n == 0 || (n == 1 && strcmp(operands[0], "all") == 0))
		return list_names(options, kind, ret_names);
	reserve(ret_names, n);
	for (; ret_names->n < n; ret_names->n++)
		ret_names->name[ret_names->n] = operands[ret_names->n];
	return 0;
}

void
ctl_names_fini(struct ctl_names *names)
{
	free(names->name);
	json_object_put(names->list);
}

/* Those that can be asked; of the others it is said, and the status returned. */
static int
fill_calls(struct ctl_calls *calls, const struct ctl_names *names)
{
	struct ctl_call *call;
	int r, status = 0;
	size_t i;

	for (i = 0; i < names->n; i++) {
		call = &calls->calls[calls->ncall];
		*call = (struct ctl_call){
			.operand = names->name[i],
			.args = ctl_new_object(),
		};
		if ((r = calls->fill(call, calls->arg)) == 0) {
			calls->ncall++;
			continue;
		}
		release_one(call);
		r = ctl_fail(names->name[i], r, NULL);
		if (status == 0)
			status = r;
	}
	return status;
}

int
ctl_online_run_names(const struct ctl_online *options, struct ctl_calls *calls,
    const struct ctl_names *names)
{
	int status, run_status = 0;

	calls->ncall = 0;
	calls->calls = calloc(names->n + 1, sizeof(*calls->calls));
	if (calls->calls == NULL)
		ctl_die_of_memory();
	status = fill_calls(calls, names);
	if (calls->ncall > 0)
		run_status = ctl_online_run(options, calls);
	else if (status == 0 && options->common.json)
		ctl_print_json_array(ctl_new_array());
	free(calls->calls);
	return status != 0 ? status : run_status;
}

int
ctl_online_run_operands(const struct ctl_online *options,
    struct ctl_calls *calls, char *const operands[], enum ctl_names_kind kind)
{
	struct ctl_names names;
	int status;

	status = ctl_online_names(options, operands, kind, &names);
	if (status == 0)
		status = ctl_online_run_names(options, calls, &names);
	ctl_names_fini(&names);
	return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control_verbs -- what can be asked and told.
 *
 * A request is parsed as a whole and strictly: what is not known is refused, so
 * that a client finds out that it was misunderstood.  All that belongs to it is
 * on the stack or in its own JSON.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control_impl.h"
#include "control_verbs.h"
#include "device_words.h"
#include "system_error.h"

/* Nested deeper than any request is. */
#define JSON_DEPTH 8

static bool
has_nul(struct json_object *text)
{
	return strlen(json_object_get_string(text)) !=
	    (size_t)json_object_get_string_len(text);
}

static struct json_object *
find_arg(const struct request *request, const char *key)
{
	struct json_object *value;

	if (request->args == NULL ||
	    !json_object_object_get_ex(request->args, key, &value))
		return NULL;
	return value;
}

int
request_bad_arg(struct failure *failure, const char *key, const char *want)
{
	failure->r = btt_error_set(
	    &failure->error, -EINVAL, "%s: must be %s", key, want);
	return failure->r;
}

int
request_text(const struct request *request, const char *key,
    const char **ret_text, struct failure *failure)
{
	struct json_object *value;

	if ((value = find_arg(request, key)) == NULL)
		return 0;
	if (!json_object_is_type(value, json_type_string) || has_nul(value))
		return request_bad_arg(failure, key, "a text");
	*ret_text = json_object_get_string(value);
	return 0;
}

int
request_bool(const struct request *request, const char *key, bool *ret_is,
    struct failure *failure)
{
	struct json_object *value;

	if ((value = find_arg(request, key)) == NULL)
		return 0;
	if (!json_object_is_type(value, json_type_boolean))
		return request_bad_arg(failure, key, "true or false");
	*ret_is = json_object_get_boolean(value);
	return 0;
}

int
request_number(const struct request *request, const char *key,
    uint64_t *ret_number, struct failure *failure)
{
	struct json_object *value;

	if ((value = find_arg(request, key)) == NULL)
		return 0;
	/* A negative one is the only kind that differs between the two. */
	if (!json_object_is_type(value, json_type_int) ||
	    json_object_get_int64(value) < 0)
		return request_bad_arg(failure, key, "a number, 0 or above");
	*ret_number = json_object_get_uint64(value);
	return 0;
}

int
request_missing(struct failure *failure, const char *key)
{
	failure->r =
	    btt_error_set(&failure->error, -EINVAL, "%s is missing", key);
	return failure->r;
}

static void
answer_failure(const struct request *request, const struct failure *failure)
{
	client_answer_failure(
	    request->control, request->client, request->id, failure);
}

static int
do_version(const struct request *request, struct failure *failure)
{
	struct json_object *result;
	struct jsonb jsonb = { false };

	(void)failure;
	result = jsonb_object(&jsonb);
	jsonb_add_text(&jsonb, result, "server", BTTFS_VERSION);
	jsonb_add_number(&jsonb, result, "protocol", PROTOCOL_VERSION);
	jsonb_add_number(&jsonb, result, "pid", (uint64_t)getpid());
	if (request->control->options.mountpoint != NULL)
		jsonb_add_text(&jsonb, result, "mountpoint",
		    request->control->options.mountpoint);
	jsonb_add_bool(
	    &jsonb, result, "may_change", request->client->may_change);
	client_answer(request->client, request->id, &jsonb, result);
	return 0;
}

/* The device that args name, referenced, or NULL if they name none. */
static int
named_device(const struct request *request, struct device **ret_device,
    struct failure *failure)
{
	const char *name = NULL;

	*ret_device = NULL;
	if (request_text(request, "name", &name, failure) < 0)
		return failure->r;
	if (name == NULL)
		return 0;
	failure->r = manager_find(
	    request->control->manager, name, ret_device, &failure->error);
	return failure->r;
}

/* The device in an array of its own.  Takes the reference. */
static struct json_object *
list_one(const struct request *request, struct jsonb *jsonb,
    struct device *device, unsigned flags, struct failure *failure)
{
	struct json_object *array, *object;

	array = jsonb_array(jsonb);
	object = control_device_json(
	    jsonb, device, request->control->options.mountpoint, flags);
	if (object != NULL)
		jsonb_append(jsonb, array, object);
	else if (!jsonb->failed) {
		failure->r = btt_error_set(&failure->error, -ENODEV,
		    "'%s' is gone already", device->name);
		json_object_put(array);
		array = NULL;
	}
	device_unref(device);
	return array;
}

static int
do_list(const struct request *request, struct failure *failure)
{
	struct control *control = request->control;
	bool arenas = false, media_errors = false, idle = false;
	struct json_object *result;
	struct jsonb jsonb = { false };
	struct device *device;
	unsigned flags;

	if (request_bool(request, "arenas", &arenas, failure) < 0 ||
	    request_bool(request, "media_errors", &media_errors, failure) < 0 ||
	    request_bool(request, "idle", &idle, failure) < 0 ||
	    named_device(request, &device, failure) < 0)
		return failure->r;
	flags = (arenas ? CONTROL_ARENAS : 0) |
	    (media_errors ? CONTROL_MEDIA_ERRORS : 0);
	if (device == NULL) {
		result = control_snapshot(control, &jsonb, flags);
		if (idle)
			control_append_disabled(control, &jsonb, result);
	} else {
		result = list_one(request, &jsonb, device, flags, failure);
		if (failure->r < 0)
			return failure->r;
	}
	client_answer(request->client, request->id, &jsonb, result);
	return 0;
}

static void
append_stats(struct jsonb *jsonb, struct json_object *array,
    struct device *device, bool buckets)
{
	struct json_object *stats;

	stats = control_stats_json(jsonb, device, buckets);
	if (stats != NULL)
		jsonb_append(jsonb, array, stats);
}

static int
do_stats(const struct request *request, struct failure *failure)
{
	struct registry_list list;
	struct json_object *result;
	struct jsonb jsonb = { false };
	struct device *device;
	bool buckets = false;
	size_t i;

	if (request_bool(request, "buckets", &buckets, failure) < 0 ||
	    named_device(request, &device, failure) < 0)
		return failure->r;
	result = jsonb_array(&jsonb);
	if (device != NULL) {
		append_stats(&jsonb, result, device, buckets);
		device_unref(device);
	} else if (registry_list(request->control->manager->registry, &list) <
	    0) {
		jsonb.failed = true;
	} else {
		for (i = 0; i < list.ndevice; i++)
			append_stats(&jsonb, result, list.devices[i], buckets);
		registry_list_fini(&list);
	}
	client_answer(request->client, request->id, &jsonb, result);
	return 0;
}

static int
do_jobs(const struct request *request, struct failure *failure)
{
	struct json_object *result;
	struct jsonb jsonb = { false };
	struct job_info *infos;
	size_t i, n;

	failure->r = job_list(request->control->manager->jobs, &infos, &n);
	if (failure->r < 0)
		return failure->r;
	result = jsonb_array(&jsonb);
	for (i = 0; i < n; i++)
		jsonb_append(
		    &jsonb, result, control_job_json(&jsonb, &infos[i]));
	free(infos);
	client_answer(request->client, request->id, &jsonb, result);
	return 0;
}

static int
do_cancel(const struct request *request, struct failure *failure)
{
	struct manager *manager = request->control->manager;
	uint64_t id = 0;
	struct job *job;

	if (request_number(request, "job", &id, failure) < 0)
		return failure->r;
	if (id == 0)
		return request_missing(failure, "job");
	if ((job = job_find(manager->jobs, id)) == NULL)
		return failure->r = btt_error_set(&failure->error, -ENOENT,
			   "there is no job %llu", (unsigned long long)id);
	failure->r = manager_cancel(manager, job, &failure->error);
	if (failure->r == 0)
		control_wait_job(request->control, request->client, request->id,
		    job_ref(job), false, 0);
	job_unref(job);
	return failure->r;
}

static int
do_settle(const struct request *request, struct failure *failure)
{
	uint64_t timeout_ms = 0;

	if (request_number(request, "timeout_ms", &timeout_ms, failure) < 0)
		return failure->r;
	control_wait_settled(
	    request->control, request->client, request->id, timeout_ms);
	return 0;
}

static int
do_monitor(const struct request *request, struct failure *failure)
{
	(void)failure;
	control_monitor(request->control, request->client, request->id);
	return 0;
}

/* What a test wants a probe to meet. */
static int
get_trial(const struct request *request, struct device_trial *trial,
    struct failure *failure)
{
	uint64_t delay_ms = 0, error = 0;
	const char *stage = NULL;

	if (request_text(request, "test_stage", &stage, failure) < 0 ||
	    request_number(request, "test_delay_ms", &delay_ms, failure) < 0 ||
	    request_number(request, "test_errno", &error, failure) < 0 ||
	    request_number(request, "test_bad_off", &trial->bad_off, failure) <
		0 ||
	    request_number(request, "test_bad_len", &trial->bad_len, failure) <
		0)
		return failure->r;
	if (stage == NULL && trial->bad_len == 0)
		return 0;
	if (!request->control->options.inject)
		return failure->r = btt_error_set(&failure->error, -EPERM,
			   "the daemon was not started with 'inject'");
	if (delay_ms > 3600000 || error > 4095)
		return request_bad_arg(failure, "test_delay_ms", "sensible");
	trial->delay_ms = (unsigned)delay_ms;
	trial->error = -(int)error;
	if (stage == NULL)
		return 0;
	if ((trial->stage = manager_stage(stage)) == NULL)
		return request_bad_arg(
		    failure, "test_stage", "a stage of a probe");
	return 0;
}

/* The words of "options", as on the command line. */
static int
set_words(const struct request *request, char *list,
    struct device_options *options, struct failure *failure)
{
	const struct word_table table = device_words(options);
	char *word;

	while ((word = words_next(&list)) != NULL && failure->r == 0) {
		if (word[0] == '\0')
			continue;
		failure->r = words_set_text(&table, 1, word, &failure->error);
		if (failure->r == 0 && device_word_is_for_tests(word) &&
		    !request->control->options.inject)
			failure->r = btt_error_set(&failure->error, -EPERM,
			    "%s: the daemon was not started with 'inject'",
			    word);
	}
	return failure->r;
}

static int
begin_attach(const struct request *request,
    const struct device_options *options, struct failure *failure)
{
	uint64_t timeout_ms = 0;
	bool wait = true;
	struct job *job;

	if (request_bool(request, "wait", &wait, failure) < 0 ||
	    request_number(request, "timeout_ms", &timeout_ms, failure) < 0)
		return failure->r;
	failure->r = manager_attach(request->control->manager, options, &job,
	    &failure->owner, &failure->error);
	if (failure->r < 0)
		return failure->r;
	if (wait) {
		control_wait_job(request->control, request->client, request->id,
		    job, true, timeout_ms);
	} else {
		control_answer_job(
		    request->control, request->client, request->id, job, true);
		job_unref(job);
	}
	return 0;
}

/* Those of a path, or those that the configuration has of a name. */
static int
begin_options(const struct request *request, const char *path, const char *name,
    struct device_options *ret_options, struct failure *failure)
{
	const struct device_options *configured;

	if (path == NULL && name == NULL)
		return request_missing(failure, "path");
	if (path == NULL) {
		configured = control_find_configured(request->control, name);
		if (configured == NULL)
			return failure->r =
				   btt_error_set(&failure->error, -ENODEV,
				       "the configuration has no '%s'", name);
		*ret_options = *configured;
		return 0;
	}
	if (path[0] != '/')
		return request_bad_arg(failure, "path", "absolute");
	device_options_init(ret_options);
	ret_options->no_links = true;
	ret_options->path = path;
	return 0;
}

static int
do_attach(const struct request *request, struct failure *failure)
{
	struct device_options options;
	const char *path = NULL, *name = NULL, *words = NULL;
	char *list = NULL;

	if (request_text(request, "path", &path, failure) < 0 ||
	    request_text(request, "name", &name, failure) < 0 ||
	    request_text(request, "options", &words, failure) < 0 ||
	    begin_options(request, path, name, &options, failure) < 0 ||
	    get_trial(request, &options.trial, failure) < 0)
		return failure->r;
	if (words != NULL && (list = strdup(words)) == NULL)
		return failure->r = -ENOMEM;
	if (set_words(request, list, &options, failure) == 0) {
		if (name != NULL)
			options.name = name;
		(void)begin_attach(request, &options, failure);
	}
	free(list); /* the device has copies */
	return failure->r;
}

static int
detach(const struct request *request, bool wipe, struct failure *failure)
{
	struct manager_detach_options options = { .wipe = wipe };
	uint64_t timeout_ms = 0;
	const char *name = NULL;
	bool wait = true, won;
	struct job *job;

	if (request_text(request, "name", &name, failure) < 0 ||
	    request_bool(request, "force", &options.force, failure) < 0 ||
	    request_bool(request, "wait", &wait, failure) < 0 ||
	    request_number(request, "timeout_ms", &timeout_ms, failure) < 0)
		return failure->r;
	if (name == NULL)
		return request_missing(failure, "name");
	failure->r = manager_detach(request->control->manager, name, &options,
	    &job, &won, &failure->error);
	if (failure->r == -EBUSY) {
		control_wait_closed(request->control, request->client,
		    request->id, name, wipe, wait, timeout_ms);
		return failure->r = 0;
	}
	if (failure->r < 0)
		return failure->r;
	if (wait) {
		control_wait_job(request->control, request->client, request->id,
		    job, won, timeout_ms);
	} else {
		control_answer_job(
		    request->control, request->client, request->id, job, won);
		job_unref(job);
	}
	return 0;
}

static int
do_detach(const struct request *request, struct failure *failure)
{
	return detach(request, false, failure);
}

static int
do_destroy(const struct request *request, struct failure *failure)
{
	return detach(request, true, failure);
}

#define ARGS_MAX 12u

static const struct verb {
	const char *name;
	bool changes;
	/* Answers, now or later, and returns 0; or says in failure why not. */
	int (*run)(const struct request *request, struct failure *failure);
	const char *args[ARGS_MAX]; /* those it knows, ended by NULL */
} verbs[] = {
	{ "version", false, do_version, { NULL } },
	{ "list", false, do_list,
	    { "name", "arenas", "media_errors", "idle", NULL } },
	{ "stats", false, do_stats, { "buckets", "name", NULL } },
	{ "jobs", false, do_jobs, { NULL } },
	{ "settle", false, do_settle, { "timeout_ms", NULL } },
	{ "monitor", false, do_monitor, { NULL } },
	{ "attach", true, do_attach,
	    { "path", "name", "options", "wait", "timeout_ms", "test_stage",
		"test_delay_ms", "test_errno", "test_bad_off", "test_bad_len",
		NULL } },
	{ "detach", true, do_detach,
	    { "name", "force", "wait", "timeout_ms", NULL } },
	{ "destroy", true, do_destroy,
	    { "name", "force", "wait", "timeout_ms", NULL } },
	{ "upgrade", true, control_upgrade, { NULL } },
	{ "cancel", true, do_cancel, { "job", NULL } },
	{ "inject-error", true, control_inject_error,
	    { "name", "area", "block", "count", "uninject", "latent", "wait",
		"timeout_ms", NULL } },
	{ "injected", false, control_injected, { "name", NULL } },
	{ "clear-errors", true, control_clear_errors,
	    { "name", "lba", "count", "wait", "timeout_ms", NULL } },
	{ "start-scrub", true, control_start_scrub,
	    { "name", "rate", "lba", "count", "wait", "timeout_ms", NULL } },
	{ "wait-scrub", false, control_wait_scrub,
	    { "name", "timeout_ms", NULL } },
};
#define NVERB (sizeof(verbs) / sizeof(verbs[0]))

static const struct verb *
find_verb(const char *name)
{
	size_t i;

	for (i = 0; i < NVERB; i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

static bool
knows_arg(const struct verb *verb, const char *key)
{
	size_t i;

	for (i = 0; verb->args[i] != NULL; i++) {
		if (strcmp(verb->args[i], key) == 0)
			return true;
	}
	return false;
}

static int
check_args(const struct verb *verb, const struct request *request,
    struct failure *failure)
{
	if (request->args == NULL)
		return 0;
	if (!json_object_is_type(request->args, json_type_object))
		return request_bad_arg(failure, "args", "an object");
	json_object_object_foreach(request->args, key, value)
	{
		(void)value;
		if (!knows_arg(verb, key))
			return failure->r = btt_error_set(&failure->error,
				   -EINVAL, "%s knows no argument '%s'",
				   verb->name, key);
	}
	return 0;
}

static int
run_verb(const struct request *request, struct json_object *name,
    struct failure *failure)
{
	const struct verb *verb = NULL;

	if (name == NULL || !json_object_is_type(name, json_type_string))
		return request_missing(failure, "verb");
	if ((verb = find_verb(json_object_get_string(name))) == NULL)
		return failure->r = btt_error_set(&failure->error, -ENOTSUP,
			   "there is no verb '%s'",
			   json_object_get_string(name));
	if (verb->changes && !request->client->may_change)
		return failure->r = btt_error_set(&failure->error, -EPERM,
			   "you may look, but not %s", verb->name);
	if (check_args(verb, request, failure) < 0)
		return failure->r;
	return verb->run(request, failure);
}

/* What an answer can be told by. */
static bool
is_id(struct json_object *id)
{
	if (json_object_is_type(id, json_type_int))
		return true;
	return json_object_is_type(id, json_type_string) &&
	    json_object_get_string_len(id) <= (int)PROTOCOL_ID_MAX;
}

static void
serve_message(
    struct control *control, struct client *client, struct json_object *message)
{
	struct request request = { control, client, NULL, NULL };
	struct failure failure = { 0 };
	struct json_object *name = NULL;

	if (!json_object_is_type(message, json_type_object)) {
		(void)request_bad_arg(&failure, "a request", "an object");
		answer_failure(&request, &failure);
		return;
	}
	if (!json_object_object_get_ex(message, "id", &request.id) ||
	    !is_id(request.id)) {
		request.id = NULL;
		(void)request_bad_arg(
		    &failure, "id", "a number, or a text of 64 bytes");
		answer_failure(&request, &failure);
		return;
	}
	(void)json_object_object_get_ex(message, "args", &request.args);
	(void)json_object_object_get_ex(message, "verb", &name);
	if (run_verb(&request, name, &failure) < 0)
		answer_failure(&request, &failure);
}

void
control_request(
    struct control *control, struct client *client, char *line, size_t len)
{
	struct json_tokener *tokener;
	struct json_object *message;
	struct failure failure = { 0 };
	enum json_tokener_error error;

	if ((tokener = json_tokener_new_ex(JSON_DEPTH)) == NULL) {
		client->gone = true;
		return;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	/* With its end: a number is complete only when something follows. */
	message = json_tokener_parse_ex(tokener, line, (int)len + 1);
	error = json_tokener_get_error(tokener);
	json_tokener_free(tokener);
	if (memchr(line, '\0', len) != NULL)
		error = json_tokener_error_parse_unexpected;
	if (error == json_tokener_success) {
		serve_message(control, client, message);
	} else {
		failure.r = btt_error_set(&failure.error, -EBADMSG,
		    "this is no JSON: %s",
		    error == json_tokener_continue
			? "it ends too early"
			: json_tokener_error_desc(error));
		client_answer_failure(control, client, NULL, &failure);
	}
	json_object_put(message);
}

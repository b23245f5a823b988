/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control_bad -- requests about bad blocks: planting and clearing them, and
 * scrubs.
 */
#include <errno.h>
#include <string.h>

#include <btt/bad.h>

#include "control_verbs.h"
#include "errand.h"
#include "scrub.h"

/* Sectors, or whatever it is, that one request may hit: it is not stopped. */
#define INJECT_MAX 65536u

/* Every verb here is about one device. */
static int
get_name(const struct request *request, const char **ret_name,
    struct failure *failure)
{
	*ret_name = NULL;
	if (request_text(request, "name", ret_name, failure) < 0)
		return failure->r;
	return *ret_name == NULL ? request_missing(failure, "name") : 0;
}

/* How long somebody wants to wait for an answer. */
struct patience {
	bool wait;
	uint64_t timeout_ms; /* 0: for ever */
};

/* Looked at before anything is begun, as all of a request is. */
static int
get_patience(const struct request *request, bool wait,
    struct patience *ret_patience, struct failure *failure)
{
	*ret_patience = (struct patience){ .wait = wait };
	if (request_bool(request, "wait", &ret_patience->wait, failure) < 0 ||
	    request_number(
		request, "timeout_ms", &ret_patience->timeout_ms, failure) < 0)
		return failure->r;
	return 0;
}

/* Answer when the job has ended, or at once where nobody wants to wait. */
static void
answer_with(const struct request *request, struct job *job,
    const struct patience *patience)
{
	if (patience->wait) {
		control_wait_job(request->control, request->client, request->id,
		    job, true, patience->timeout_ms);
		return;
	}
	control_answer_job(
	    request->control, request->client, request->id, job, true);
	job_unref(job);
}

/* "data" is the default, "raw" the medium as it is. */
static int
get_area(const struct request *request, struct errand_inject *inject,
    struct failure *failure)
{
	const char *name = "data";
	unsigned i;

	if (request_text(request, "area", &name, failure) < 0)
		return failure->r;
	if ((inject->raw = strcmp(name, "raw") == 0))
		return 0;
	for (i = BTT_AREA_DATA; i <= BTT_AREA_INFO; i++) {
		inject->area = (enum btt_area)i;
		if (strcmp(btt_area_name(inject->area), name) == 0)
			return 0;
	}
	return request_bad_arg(
	    failure, "area", "one of data, map, log, info and raw");
}

static int
get_inject(const struct request *request, struct errand_inject *ret_inject,
    struct failure *failure)
{
	struct errand_inject inject = { .count = 1, .how = BTT_INJECT };
	bool uninject = false, latent = false;

	if (get_area(request, &inject, failure) < 0 ||
	    request_number(request, "block", &inject.first, failure) < 0 ||
	    request_number(request, "count", &inject.count, failure) < 0 ||
	    request_bool(request, "uninject", &uninject, failure) < 0 ||
	    request_bool(request, "latent", &latent, failure) < 0)
		return failure->r;
	/* All of what is planted can be taken back at once. */
	if (!(uninject && inject.raw) &&
	    (inject.count == 0 || inject.count > INJECT_MAX))
		return request_bad_arg(
		    failure, "count", "a number from 1 to 65536");
	if (uninject)
		inject.how = BTT_UNINJECT;
	else if (latent)
		inject.how = BTT_INJECT_LATENT;
	*ret_inject = inject;
	return 0;
}

int
control_inject_error(const struct request *request, struct failure *failure)
{
	struct errand_inject inject;
	struct patience patience;
	const char *name;
	struct job *job;

	if (!request->control->options.inject)
		return failure->r = btt_error_set(&failure->error, -EPERM,
			   "the daemon was not started with 'inject'");
	if (get_name(request, &name, failure) < 0 ||
	    get_inject(request, &inject, failure) < 0 ||
	    get_patience(request, true, &patience, failure) < 0)
		return failure->r;
	failure->r = errand_inject(
	    request->control->manager, name, &inject, &job, &failure->error);
	if (failure->r < 0)
		return failure->r;
	answer_with(request, job, &patience);
	return 0;
}

static struct json_object *
injected_json(struct jsonb *jsonb, const struct device *device, bool latent)
{
	struct media_range ranges[MEDIA_BAD_MAX];
	struct json_object *array, *object;
	struct btt_place place;
	size_t i, n;

	array = jsonb_array(jsonb);
	n = media_list_injected(device->media, latent, ranges, MEDIA_BAD_MAX);
	for (i = 0; i < n; i++) {
		btt_find_place(device->btt, ranges[i].off, &place);
		object =
		    control_range_json(jsonb, ranges[i].off, ranges[i].len);
		jsonb_add_text(
		    jsonb, object, "area", btt_area_name(place.area));
		jsonb_append(jsonb, array, object);
	}
	return array;
}

int
control_injected(const struct request *request, struct failure *failure)
{
	struct json_object *result;
	struct jsonb jsonb = { false };
	struct device *device;
	const char *name;

	if (get_name(request, &name, failure) < 0)
		return failure->r;
	failure->r = manager_find(
	    request->control->manager, name, &device, &failure->error);
	if (failure->r < 0)
		return failure->r;
	if (!device_pin(device)) {
		device_unref(device);
		return failure->r = btt_error_set(
			   &failure->error, -ENODEV, "it is not attached");
	}
	result = jsonb_object(&jsonb);
	jsonb_add_text(&jsonb, result, "dev", device->name);
	jsonb_add(
	    &jsonb, result, "badblocks", injected_json(&jsonb, device, false));
	jsonb_add(
	    &jsonb, result, "latent", injected_json(&jsonb, device, true));
	device_unpin(device);
	device_unref(device);
	client_answer(request->client, request->id, &jsonb, result);
	return 0;
}

int
control_clear_errors(const struct request *request, struct failure *failure)
{
	struct errand_clear clear = { .count = 0 };
	struct patience patience;
	const char *name;
	struct job *job;

	if (get_name(request, &name, failure) < 0 ||
	    request_number(request, "lba", &clear.first, failure) < 0 ||
	    request_number(request, "count", &clear.count, failure) < 0 ||
	    get_patience(request, true, &patience, failure) < 0)
		return failure->r;
	failure->r = errand_clear(
	    request->control->manager, name, &clear, &job, &failure->error);
	if (failure->r < 0)
		return failure->r;
	answer_with(request, job, &patience);
	return 0;
}

int
control_start_scrub(const struct request *request, struct failure *failure)
{
	struct scrub_options scrub = { .rate = 0 };
	struct patience patience;
	const char *name;
	struct job *job;

	if (get_name(request, &name, failure) < 0 ||
	    request_number(request, "rate", &scrub.rate, failure) < 0 ||
	    request_number(request, "lba", &scrub.first, failure) < 0 ||
	    request_number(request, "count", &scrub.count, failure) < 0 ||
	    get_patience(request, false, &patience, failure) < 0)
		return failure->r;
	failure->r = scrub_start(request->control->manager, name, &scrub, &job,
	    &failure->owner, &failure->error);
	if (failure->r < 0)
		return failure->r;
	answer_with(request, job, &patience);
	return 0;
}

/* The answer for a device that never was scrubbed says no more than its name. */
static void
answer_idle(const struct request *request, const char *name)
{
	struct json_object *result;
	struct jsonb jsonb = { false };

	result = jsonb_object(&jsonb);
	jsonb_add_text(&jsonb, result, "dev", name);
	client_answer(request->client, request->id, &jsonb, result);
}

int
control_wait_scrub(const struct request *request, struct failure *failure)
{
	struct patience patience;
	struct device *device;
	const char *name;
	struct job *job;

	if (get_name(request, &name, failure) < 0 ||
	    get_patience(request, true, &patience, failure) < 0)
		return failure->r;
	failure->r = manager_find(
	    request->control->manager, name, &device, &failure->error);
	if (failure->r < 0)
		return failure->r;
	job = scrub_last_job(device);
	device_unref(device);
	if (job != NULL)
		answer_with(request, job, &patience);
	else
		answer_idle(request, name);
	return 0;
}

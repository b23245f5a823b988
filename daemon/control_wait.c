/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control_wait -- requests that are answered later.  The end of every job is an
 * event, so all waiters are looked at when one has come.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control_impl.h"

/* How often and how long it is tried to detach what may be closed by now. */
#define RETRY_MS 10u
#define GIVE_UP_MS 250u

static void
waiter_free(struct control *control, struct waiter *waiter)
{
	TAILQ_REMOVE(&control->waiters, waiter, link);
	waiter->client->nwaiter--;
	json_object_put(waiter->id);
	job_unref(waiter->job);
	free(waiter->device);
	free(waiter);
}

/*
 * NULL if there can be no more of them, which has been answered.  What was to
 * be waited for goes on all the same.
 */
static struct waiter *
waiter_new(struct control *control, struct client *client,
    struct json_object *id, enum waiter_kind kind, uint64_t timeout_ms)
{
	struct failure failure = { .r = -ENOMEM };
	struct waiter *waiter = NULL;

	if (client->nwaiter == CLIENT_WAITER_MAX)
		failure.r = btt_error_set(&failure.error, -EAGAIN,
		    "%u requests are waiting already", CLIENT_WAITER_MAX);
	else
		waiter = calloc(1, sizeof(*waiter));
	if (waiter == NULL) {
		client_answer_failure(control, client, id, &failure);
		return NULL;
	}
	waiter->kind = kind;
	waiter->client = client;
	waiter->id = json_object_get(id);
	if (timeout_ms != 0)
		waiter->deadline_ms = control_now_ms() + timeout_ms;
	client->nwaiter++;
	TAILQ_INSERT_TAIL(&control->waiters, waiter, link);
	return waiter;
}

void
control_wait_job(struct control *control, struct client *client,
    struct json_object *id, struct job *job, bool won, uint64_t timeout_ms)
{
	struct waiter *waiter;

	waiter = waiter_new(control, client, id, WAIT_JOB, timeout_ms);
	if (waiter == NULL) {
		job_unref(job);
		return;
	}
	waiter->job = job;
	waiter->won = won;
}

void
control_wait_settled(struct control *control, struct client *client,
    struct json_object *id, uint64_t timeout_ms)
{
	struct waiter *waiter;

	waiter = waiter_new(control, client, id, WAIT_SETTLED, timeout_ms);
	if (waiter != NULL)
		waiter->up_to = job_last_id(control->manager->jobs);
}

void
control_wait_closed(struct control *control, struct client *client,
    struct json_object *id, const char *device, bool wipe, bool want_end,
    uint64_t timeout_ms)
{
	const struct failure failure = { .r = -ENOMEM };
	struct waiter *waiter;
	char *name;

	if ((name = strdup(device)) == NULL) {
		client_answer_failure(control, client, id, &failure);
		return;
	}
	waiter = waiter_new(control, client, id, WAIT_CLOSED, timeout_ms);
	if (waiter == NULL) {
		free(name);
		return;
	}
	waiter->device = name;
	waiter->wipe = wipe;
	waiter->want_end = want_end;
	waiter->retry_ms = control_now_ms() + RETRY_MS;
	waiter->give_up_ms = control_now_ms() + GIVE_UP_MS;
}

/* What an attach has led to so far. */
static void
add_device(struct control *control, struct jsonb *jsonb,
    struct json_object *object, const char *name)
{
	struct json_object *found;
	struct device *device;

	device = registry_find(control->manager->registry, name);
	if (device == NULL)
		return;
	found =
	    control_device_json(jsonb, device, control->options.mountpoint, 0);
	if (found != NULL)
		jsonb_add(jsonb, object, "device", found);
	device_unref(device);
}

void
control_answer_job(struct control *control, struct client *client,
    struct json_object *id, struct job *job, bool won)
{
	struct failure failure = { 0 };
	struct json_object *result;
	struct jsonb jsonb = { false };
	struct job_info info;

	job_get_info(job, &info);
	if (info.error != 0) {
		failure.r = info.error;
		failure.stage = info.stage;
		failure.owner_job = info.owner;
		(void)btt_error_set(
		    &failure.error, info.error, "%s", info.message);
		client_answer_failure(control, client, id, &failure);
		return;
	}
	result = jsonb_object(&jsonb);
	jsonb_add(&jsonb, result, "job", control_job_json(&jsonb, &info));
	jsonb_add_bool(&jsonb, result, "won", won);
	if (info.verb == JOB_ATTACH)
		add_device(control, &jsonb, result, info.device);
	client_answer(client, id, &jsonb, result);
}

static void
answer_settled(struct waiter *waiter)
{
	struct json_object *result;
	struct jsonb jsonb = { false };

	result = jsonb_object(&jsonb);
	jsonb_add_number(&jsonb, result, "up_to", waiter->up_to);
	client_answer(waiter->client, waiter->id, &jsonb, result);
}

static bool
try_job(struct control *control, struct waiter *waiter)
{
	struct job_info info;

	job_get_info(waiter->job, &info);
	if (!job_has_ended(&info))
		return false;
	control_answer_job(
	    control, waiter->client, waiter->id, waiter->job, waiter->won);
	return true;
}

static bool
try_settled(struct control *control, struct waiter *waiter)
{
	if (!job_is_settled(control->manager->jobs, waiter->up_to))
		return false;
	answer_settled(waiter);
	return true;
}

static bool
try_closed(struct control *control, struct waiter *waiter)
{
	const struct manager_detach_options options = { .wipe = waiter->wipe };
	struct failure failure = { 0 };
	uint64_t now;

	now = control_now_ms();
	if (waiter->retry_ms > now)
		return false;
	failure.r = manager_detach(control->manager, waiter->device, &options,
	    &waiter->job, &waiter->won, &failure.error);
	if (failure.r == -EBUSY && now < waiter->give_up_ms) {
		waiter->retry_ms = now + RETRY_MS;
		return false;
	}
	if (failure.r < 0) {
		client_answer_failure(
		    control, waiter->client, waiter->id, &failure);
		return true;
	}
	if (waiter->want_end) {
		waiter->kind = WAIT_JOB;
		return try_job(control, waiter);
	}
	control_answer_job(
	    control, waiter->client, waiter->id, waiter->job, waiter->won);
	return true;
}

static bool
try_timeout(struct control *control, struct waiter *waiter)
{
	struct failure failure = { .r = -ETIMEDOUT };

	if (waiter->deadline_ms == 0 || waiter->deadline_ms > control_now_ms())
		return false;
	if (waiter->job != NULL)
		failure.owner_job = job_id(waiter->job);
	(void)btt_error_set(
	    &failure.error, failure.r, "it takes longer, and goes on");
	client_answer_failure(control, waiter->client, waiter->id, &failure);
	return true;
}

/* True if there is no more to wait for: then it was answered. */
static bool
try_answer(struct control *control, struct waiter *waiter)
{
	bool answered = false;

	switch (waiter->kind) {
	case WAIT_JOB:
		answered = try_job(control, waiter);
		break;
	case WAIT_SETTLED:
		answered = try_settled(control, waiter);
		break;
	case WAIT_CLOSED:
		answered = try_closed(control, waiter);
		break;
	}
	return answered || try_timeout(control, waiter);
}

void
control_serve_waiters(struct control *control)
{
	struct waiter *waiter, *next;

	for (waiter = TAILQ_FIRST(&control->waiters); waiter != NULL;
	     waiter = next) {
		next = TAILQ_NEXT(waiter, link);
		if (waiter->client->gone || try_answer(control, waiter))
			waiter_free(control, waiter);
	}
}

void
control_drop_waiters(struct control *control, const struct client *client)
{
	struct waiter *waiter, *next;

	for (waiter = TAILQ_FIRST(&control->waiters); waiter != NULL;
	     waiter = next) {
		next = TAILQ_NEXT(waiter, link);
		if (waiter->client == client)
			waiter_free(control, waiter);
	}
}

static void
take_earlier(uint64_t *first, uint64_t deadline)
{
	if (deadline != 0 && deadline < *first)
		*first = deadline;
}

uint64_t
control_next_deadline(const struct control *control)
{
	const struct waiter *waiter;
	uint64_t first = UINT64_MAX;

	TAILQ_FOREACH(waiter, &control->waiters, link)
	{
		take_earlier(&first, waiter->deadline_ms);
		take_earlier(&first, waiter->retry_ms);
	}
	return first;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <btt/bad.h>
#include <btt/scrub.h>
#include <lanes/clock.h>

#include "device_kept.h"
#include "manager_impl.h"
#include "scrub.h"
#include "size.h"

#define MS_NS UINT64_C(1000000)

/* A slice ends after that time, and so does a wait for the next one. */
#define SLICE_NS (20 * MS_NS)
#define NAP_MS 10u
/* What a scrub may catch up on after it was held up. */
#define BURST_NS (100 * MS_NS)
/* A step is at most so much, and at most this part of a second. */
#define STEP_BYTES_MAX (UINT64_C(1) << 20)
#define STEP_PART 64u

/* One scrub; its slices' own. */
struct scrub {
	struct work work;
	struct manager *manager;
	struct device *device; /* a reference */
	struct job *job;       /* a reference */
	struct scrub_options options;
	struct btt_scrub *scrub;
	uint64_t due_ns; /* when the next slice may begin, monotonic */
};

/* By the thread that runs the slice, with nothing held. */
static void
on_finding(void *arg, const struct btt_finding *finding)
{
	struct scrub *scrub = arg;
	struct device *device = scrub->device;
	struct event event = {
		.kind = EVENT_ARENA_ERROR,
		.job = job_id(scrub->job),
		.finding = finding->name,
	};
	struct btt_place place;

	log_say(scrub->manager->log, LOG_WARNING, "%s: scrub: %s: %s",
	    device->path, finding->name, finding->text);
	/* Pinned: the device stays open for the slice. */
	btt_find_place(device->btt, finding->off, &place);
	event.area = btt_area_name(place.area);
	(void)snprintf(event.text, sizeof(event.text), "%.*s",
	    (int)sizeof(event.text) - 1, finding->text);
	device_fill_event(device, &event);
	event_append(device->events, &event);
}

static void
free_scrub(struct scrub *scrub)
{
	btt_scrub_free(scrub->scrub);
	job_unref(scrub->job);
	device_unref(scrub->device);
	free(scrub);
}

static void
tell_started(struct scrub *scrub)
{
	struct event event = {
		.kind = EVENT_SCRUB_STARTED,
		.job = job_id(scrub->job),
		.count = scrub->options.count,
	};

	device_fill_event(scrub->device, &event);
	event_append(scrub->device->events, &event);
}

/* "1.2 GiB read; 1 sector unreadable", and where it stopped if it did. */
static void
describe(const struct scrub *scrub, const struct btt_scrub_result *result,
    int r, struct btt_error *ret_text)
{
	char size[SIZE_TEXT_BYTES], where[96] = "";

	size_format(result->bytes, size);
	if (r < 0)
		(void)snprintf(where, sizeof(where),
		    "%s before sector %" PRIu64 "; ",
		    r == -ENODEV ? "ended by a detach" : "stopped",
		    scrub->options.first + btt_scrub_done(scrub->scrub));
	(void)snprintf(ret_text->text, sizeof(ret_text->text),
	    "%s%s read, %" PRIu64 " sector%s unreadable, %" PRIu64
	    " new bad block%s, %" PRIu64 " finding%s in metadata",
	    where, size, result->nunreadable,
	    result->nunreadable == 1 ? "" : "s", result->nbad,
	    result->nbad == 1 ? "" : "s", result->nmetadata,
	    result->nmetadata == 1 ? "" : "s");
}

static void
tell_finished(struct scrub *scrub, const struct btt_scrub_result *result, int r,
    const struct btt_error *text)
{
	struct event event = {
		.kind = EVENT_SCRUB_FINISHED,
		.job = job_id(scrub->job),
		.count = result->nunreadable + result->nmetadata,
		.error = r < 0 ? -ECANCELED : 0,
	};

	device_fill_event(scrub->device, &event);
	(void)snprintf(event.text, sizeof(event.text), "%.*s",
	    (int)sizeof(event.text) - 1, text->text);
	event_append(scrub->device->events, &event);
}

/* r is 0, -ECANCELED, or -ENODEV where the device is going. */
static void
end_scrub(struct scrub *scrub, int r)
{
	struct device *device = scrub->device;
	struct btt_scrub_result result;
	struct btt_error text;

	btt_scrub_get_result(scrub->scrub, &result);
	describe(scrub, &result, r, &text);
	const struct job_number numbers[] = {
		{ "bytes", result.bytes },
		{ "sectors", result.nsector },
		{ "unreadable", result.nunreadable },
		{ "marked", result.nmarked },
		{ "badblocks", result.nbad },
		{ "metadata", result.nmetadata },
		{ "skipped", result.nskipped },
	};
	job_set_numbers(
	    scrub->job, numbers, sizeof(numbers) / sizeof(*numbers));
	device_kept_set_scrub(
	    device->kept, &(struct device_kept_scrub){ .count = 0 });
	/* Who hears of the end can begin the next one. */
	mutex_lock(&device->lock);
	device->scrubbing = false;
	mutex_unlock(&device->lock);
	tell_finished(scrub, &result, r, &text);
	job_end(scrub->job, r < 0 ? -ECANCELED : 0, &text, 0);
}

static bool
is_unwanted(const struct scrub *scrub)
{
	return job_is_unwanted(scrub->job) ||
	    pins_is_closed(&scrub->device->pins);
}

/* With the device pinned and a worker.  True if there is more to do. */
static bool
run_steps(struct scrub *scrub, struct btt_worker *worker)
{
	const uint64_t rate = scrub->options.rate;
	uint64_t step = rate / STEP_PART, begun = clock_ns(), now;
	uint64_t bytes;
	bool more;

	if (step > STEP_BYTES_MAX)
		step = STEP_BYTES_MAX;
	if (scrub->due_ns + BURST_NS < begun)
		scrub->due_ns = begun - BURST_NS;
	do {
		more = btt_scrub_step(scrub->scrub, worker, step, &bytes);
		scrub->due_ns += bytes * CLOCK_SECOND_NS / rate;
		now = clock_ns();
	} while (more && now - begun < SLICE_NS && scrub->due_ns <= now &&
	    !is_unwanted(scrub));
	return more;
}

static void
note_progress(struct scrub *scrub)
{
	uint64_t done = btt_scrub_done(scrub->scrub);
	const struct device_kept_scrub kept = {
		.rate = scrub->options.rate,
		.first = scrub->options.first + done,
		.count = scrub->options.count - done,
	};

	job_set_stage(scrub->job, btt_scrub_stage(scrub->scrub));
	job_set_progress(scrub->job, done, scrub->options.count);
	device_kept_set_scrub(scrub->device->kept, &kept);
}

/* Returns 1 if there is to be another slice; else how it ended. */
static int
try_slice(struct scrub *scrub)
{
	struct manager *manager = scrub->manager;
	struct btt_worker *worker;
	uint64_t now = clock_ns();
	bool more;

	if (job_is_unwanted(scrub->job))
		return -ECANCELED;
	if (pins_is_closed(&scrub->device->pins))
		return -ENODEV;
	if (scrub->due_ns > now) {
		now = (scrub->due_ns - now) / MS_NS + 1;
		manager_sleep_ms(now < NAP_MS ? (unsigned)now : NAP_MS);
		return 1;
	}
	if ((worker = manager_take_worker(manager)) == NULL) {
		manager_sleep_ms(NAP_MS);
		return 1;
	}
	if (!device_pin(scrub->device)) {
		manager_give_worker(manager, worker);
		return -ENODEV;
	}
	more = run_steps(scrub, worker);
	note_progress(scrub);
	device_unpin(scrub->device);
	manager_give_worker(manager, worker);
	return more ? 1 : 0;
}

static void
run_slice(struct work *work)
{
	struct scrub *scrub = (struct scrub *)(void *)((char *)work -
	    offsetof(struct scrub, work));
	struct manager *manager = scrub->manager;
	int r;

	job_work_begin(manager->jobs);
	if ((r = try_slice(scrub)) != 1)
		end_scrub(scrub, r);
	job_work_end(manager->jobs);
	/* To the end of the queue: others are due as well. */
	if (r == 1)
		workqueue_add(manager->scrubs, &scrub->work);
	else
		free_scrub(scrub);
}

/* Of a device that is pinned. */
static int
new_scrub(struct manager *manager, struct device *device,
    const struct scrub_options *options, struct scrub **ret_scrub,
    struct btt_error *error)
{
	uint64_t nsector = device->geometry.nsector;
	struct btt_scrub_options engine;
	struct scrub *scrub;
	int r;

	if ((scrub = calloc(1, sizeof(*scrub))) == NULL)
		return -ENOMEM;
	scrub->work.fn = run_slice;
	scrub->manager = manager;
	scrub->device = device_ref(device);
	scrub->options = *options;
	if (options->rate == 0)
		scrub->options.rate = SCRUB_RATE_DEFAULT;
	if (options->count == 0 && options->first < nsector)
		scrub->options.count = nsector - options->first;
	engine = (struct btt_scrub_options){
		.first = options->first,
		.count = scrub->options.count,
		.report = on_finding,
		.report_arg = scrub,
	};
	if ((r = btt_scrub_new(device->btt, &engine, &scrub->scrub)) == 0)
		r = job_new(
		    manager->jobs, JOB_SCRUB, device->name, &scrub->job);
	if (r < 0) {
		free_scrub(scrub);
		return r == -ERANGE
		    ? btt_error_set(
			  error, r, "it has sectors 0 to %" PRIu64, nsector - 1)
		    : r;
	}
	*ret_scrub = scrub;
	return 0;
}

/* One at a time; the device's record is that of the newest. */
static int
claim(struct scrub *scrub, struct job **ret_old)
{
	struct device *device = scrub->device;
	int r = 0;

	mutex_lock(&device->lock);
	if (device->scrubbing) {
		r = -EBUSY;
	} else {
		device->scrubbing = true;
		*ret_old = device->scrub_job;
		device->scrub_job = job_ref(scrub->job);
		(void)job_begin(scrub->job);
	}
	mutex_unlock(&device->lock);
	return r;
}

static int
start_pinned(struct manager *manager, struct device *device,
    const struct scrub_options *options, struct job **ret_job,
    struct manager_owner *ret_owner, struct btt_error *error)
{
	struct job *old = NULL, *owner;
	struct scrub *scrub = NULL;
	int r;

	if ((r = new_scrub(manager, device, options, &scrub, error)) < 0)
		return r;
	if ((r = claim(scrub, &old)) < 0) {
		free_scrub(scrub);
		manager_fill_owner(device, ret_owner);
		if ((owner = scrub_last_job(device)) != NULL)
			ret_owner->job = job_id(owner);
		job_unref(owner);
		return btt_error_set(error, r, "it is being scrubbed already");
	}
	job_unref(old);
	*ret_job = job_ref(scrub->job);
	/* What is told has begun, also for a server after this one. */
	note_progress(scrub);
	tell_started(scrub);
	workqueue_add(manager->scrubs, &scrub->work);
	return 0;
}

static int
start(struct manager *manager, struct device *device,
    const struct scrub_options *options, struct job **ret_job,
    struct manager_owner *ret_owner, struct btt_error *error)
{
	int r;

	if (!device_pin(device))
		return btt_error_set(error, -ENODEV, "it is not attached");
	r = start_pinned(manager, device, options, ret_job, ret_owner, error);
	device_unpin(device);
	return r;
}

int
scrub_start(struct manager *manager, const char *name,
    const struct scrub_options *options, struct job **ret_job,
    struct manager_owner *ret_owner, struct btt_error *error)
{
	struct device *device;
	int r;

	if (options->rate != 0 && options->rate < SCRUB_RATE_MIN)
		return btt_error_set(error, -EINVAL,
		    "a rate of %" PRIu64 " bytes a second is below %" PRIu64,
		    options->rate, SCRUB_RATE_MIN);
	if ((r = manager_find(manager, name, &device, error)) < 0)
		return r;
	r = start(manager, device, options, ret_job, ret_owner, error);
	device_unref(device);
	return r;
}

void
scrub_shown(struct manager *manager, struct device *device)
{
	struct device_kept_scrub kept;
	struct scrub_options options;
	struct btt_error error = { "" };
	struct manager_owner owner;
	struct job *job;
	int r;

	/* Options of a device that was there before are no new wish. */
	if (device->options.scrub)
		options = (struct scrub_options){ .rate = 0 };
	else if (device_kept_get_scrub(device->kept, &kept) && kept.count > 0 &&
	    kept.rate >= SCRUB_RATE_MIN)
		options = (struct scrub_options){
			.rate = kept.rate,
			.first = kept.first,
			.count = kept.count,
		};
	else
		return;
	r = start(manager, device, &options, &job, &owner, &error);
	if (r == 0)
		job_unref(job);
	else
		log_say(manager->log, LOG_WARNING, "%s: it is not scrubbed: %s",
		    device->path, error.text);
}

struct job *
scrub_last_job(struct device *device)
{
	struct job *job;

	mutex_lock(&device->lock);
	job = device->scrub_job != NULL ? job_ref(device->scrub_job) : NULL;
	mutex_unlock(&device->lock);
	return job;
}

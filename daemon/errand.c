/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "errand.h"
#include "manager_impl.h"

/* In which media fail, and ranges are given. */
#define UNIT_BYTES 512u
/* How often a worker is looked for. */
#define NAP_MS 5u

struct errand {
	struct work work;
	struct manager *manager;
	struct device *device; /* a reference */
	struct job *job;       /* a reference */
	/* The device is pinned.  error says why not, or what was done. */
	int (*run)(struct errand *errand, struct btt_error *error);
	struct errand_inject inject;
	struct errand_clear clear;
};

/* --- planting --- */

static int
inject_raw(struct device *device, const struct errand_inject *inject)
{
	struct media *media = device->media;
	uint64_t nunit = (media->size + UNIT_BYTES - 1) / UNIT_BYTES;
	uint64_t count = inject->count;
	uint64_t off, len;
	int r;

	if (inject->first > nunit || count > nunit - inject->first)
		return -ERANGE;
	if (count == 0)
		count = nunit - inject->first;
	off = inject->first * UNIT_BYTES;
	len = count * UNIT_BYTES;
	if (len > media->size - off)
		len = media->size - off;
	if (inject->how == BTT_UNINJECT) {
		if ((r = btt_begin_clearing(device->btt)) < 0)
			return r;
		r = media_uninject_bad(media, off, (size_t)len);
		btt_end_clearing(device->btt);
		return r;
	}
	return media_inject_bad(
	    media, off, (size_t)len, inject->how == BTT_INJECT_LATENT);
}

static int
run_inject(struct errand *errand, struct btt_error *error)
{
	const struct errand_inject *inject = &errand->inject;
	int r;

	job_set_stage(errand->job, "inject");
	if (inject->raw)
		r = inject_raw(errand->device, inject);
	else
		r = btt_inject_bad(errand->device->btt, inject->area,
		    inject->first, inject->count, inject->how);
	if (r == -ERANGE)
		return btt_error_set(error, r,
		    "%" PRIu64 " from %" PRIu64 " on are beyond the end",
		    inject->count, inject->first);
	if (r == -EBUSY)
		return btt_error_set(error, r, "it is being cleared");
	if (r == -ENOSPC)
		return btt_error_set(error, r,
		    "the list of bad blocks has no room for more ranges");
	return r;
}

/* --- clearing --- */

static bool
is_unwanted(void *arg)
{
	const struct errand *errand = arg;

	return job_is_unwanted(errand->job) ||
	    pins_is_closed(&errand->device->pins);
}

static void
on_progress(void *arg, uint64_t done, uint64_t total)
{
	const struct errand *errand = arg;

	job_set_progress(errand->job, done, total);
}

/* What was done, and above all what was lost. */
static void
describe(const struct btt_clear_result *result, int r, struct btt_error *text)
{
	char lost[80] = "nothing lost";

	if (result->nlost == 1)
		(void)snprintf(lost, sizeof(lost),
		    "sector %" PRIu64 " lost, zeroes now", result->first_lost);
	else if (result->nlost > 1)
		(void)snprintf(lost, sizeof(lost),
		    "%" PRIu64 " sectors lost, zeroes now, the first %" PRIu64,
		    result->nlost, result->first_lost);
	if (r == 0)
		(void)snprintf(text->text, sizeof(text->text),
		    "%s; %" PRIu64 " bad block%s left", lost, result->nleft,
		    result->nleft == 1 ? "" : "s");
	else if (result->nlost > 0)
		(void)btt_error_set(text, r, "not ended: %s", lost);
}

static struct btt_worker *
wait_for_worker(struct errand *errand)
{
	struct btt_worker *worker;

	while ((worker = manager_take_worker(errand->manager)) == NULL &&
	    !is_unwanted(errand))
		manager_sleep_ms(NAP_MS);
	return worker;
}

static int
run_clear(struct errand *errand, struct btt_error *error)
{
	struct device *device = errand->device;
	struct btt_clear_options options = {
		.first = errand->clear.first,
		.count = errand->clear.count,
		.is_unwanted = is_unwanted,
		.progress = on_progress,
		.arg = errand,
	};
	struct btt_clear_result result;
	struct btt_worker *worker;
	int r;

	job_set_stage(errand->job, "clear");
	if (options.count == 0 && options.first < device->geometry.nsector)
		options.count = device->geometry.nsector - options.first;
	if ((worker = wait_for_worker(errand)) == NULL)
		return -ECANCELED;
	r = btt_clear_bad(device->btt, worker, &options, &result);
	manager_give_worker(errand->manager, worker);
	const struct job_number numbers[] = {
		{ "lost", result.nlost },
		{ "sectors", result.nsector },
		{ "blocks", result.nblock },
		{ "map", result.nmap },
		{ "log", result.nlog },
		{ "info", result.ninfo },
		{ "unused", result.nunused },
		{ "left", result.nleft },
	};
	job_set_numbers(
	    errand->job, numbers, sizeof(numbers) / sizeof(*numbers));
	/* Nobody has asked for it: the device is going. */
	if (r == -ECANCELED && !job_is_unwanted(errand->job))
		r = -ENODEV;
	if (r == -ERANGE)
		return btt_error_set(error, r, "it has sectors 0 to %" PRIu64,
		    device->geometry.nsector - 1);
	if (r == 0)
		job_set_progress(errand->job, options.count, options.count);
	describe(&result, r, error);
	return r;
}

/* --- both --- */

static void
run_errand(struct work *work)
{
	struct errand *errand = (struct errand *)(void *)((char *)work -
	    offsetof(struct errand, work));
	struct manager *manager = errand->manager;
	struct btt_error error = { "" };
	int r;

	job_work_begin(manager->jobs);
	if (!device_pin(errand->device)) {
		r = btt_error_set(&error, -ENODEV, "it is being detached");
	} else {
		r = errand->run(errand, &error);
		device_unpin(errand->device);
	}
	job_end(errand->job, r, &error, 0);
	job_work_end(manager->jobs);
	job_unref(errand->job);
	device_unref(errand->device);
	free(errand);
}

static int
new_errand(struct manager *manager, struct device *device, enum job_verb verb,
    struct errand **ret_errand)
{
	struct errand *errand;

	if ((errand = calloc(1, sizeof(*errand))) == NULL)
		return -ENOMEM;
	if (job_new(manager->jobs, verb, device->name, &errand->job) < 0) {
		free(errand);
		return -ENOMEM;
	}
	errand->work.fn = run_errand;
	errand->manager = manager;
	errand->device = device_ref(device);
	*ret_errand = errand;
	return 0;
}

static int
prepare(struct manager *manager, const char *name, enum job_verb verb,
    struct errand **ret_errand, struct btt_error *error)
{
	struct device_status status;
	struct device *device;
	int r;

	if ((r = manager_find(manager, name, &device, error)) < 0)
		return r;
	device_get_status(device, &status);
	if (!device_state_is_shown(status.state))
		r = btt_error_set(error, -ENODEV, "it is not attached");
	else
		r = new_errand(manager, device, verb, ret_errand);
	device_unref(device);
	return r;
}

static void
begin(struct errand *errand, struct job **ret_job)
{
	*ret_job = job_ref(errand->job);
	(void)job_begin(errand->job);
	workqueue_add(errand->manager->queue, &errand->work);
}

int
errand_inject(struct manager *manager, const char *name,
    const struct errand_inject *options, struct job **ret_job,
    struct btt_error *error)
{
	struct errand *errand;
	int r;

	r = prepare(manager, name, JOB_INJECT_ERROR, &errand, error);
	if (r < 0)
		return r;
	errand->run = run_inject;
	errand->inject = *options;
	begin(errand, ret_job);
	return 0;
}

int
errand_clear(struct manager *manager, const char *name,
    const struct errand_clear *options, struct job **ret_job,
    struct btt_error *error)
{
	struct errand *errand;
	int r;

	r = prepare(manager, name, JOB_CLEAR_ERRORS, &errand, error);
	if (r < 0)
		return r;
	errand->run = run_clear;
	errand->clear = *options;
	begin(errand, ret_job);
	return 0;
}

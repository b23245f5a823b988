/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "device_kept.h"
#include "first_devices.h"
#include "system_error.h"

#define DAY_MS 86400000u

/* For the devices of a configuration, before the mount is shown without them. */
#define ATTACH_MS 30000u

/* Say why a device is not there, and return r. */
static int
fail(const struct first_devices *first, const char *what, int r,
    const struct btt_error *error)
{
	log_say(first->log, LOG_ERR, "%s: %s", what,
	    error != NULL && error->text[0] != '\0' ? error->text
						    : system_error_text(r));
	return r;
}

static uint64_t
now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Attach a device, and wait until it can be shown. */
static int
attach_device(const struct first_devices *first,
    const struct device_options *options, struct device_kept *kept)
{
	struct btt_error error = { "" };
	struct manager_owner owner;
	struct job_info info;
	struct job *job;
	int r;

	r = manager_attach_again(
	    first->manager, options, kept, &job, &owner, &error);
	if (r < 0)
		return fail(first, options->path, r, &error);
	while (!job_wait(job, DAY_MS))
		;
	job_get_info(job, &info);
	job_unref(job);
	if (info.error < 0) {
		(void)btt_error_set(&error, info.error, "%s", info.message);
		return fail(first, options->path, info.error, &error);
	}
	return 0;
}

/* The name of a device that is kept, or NULL: it is something else. */
static const char *
kept_device(const struct kept_fd *kept)
{
	static const char prefix[] = "device/";
	const size_t n = sizeof(prefix) - 1;

	return strncmp(kept->name, prefix, n) == 0 ? kept->name + n : NULL;
}

/*
 * Attach what the predecessor had.  One that cannot be attached any more stays,
 * FAILED: the others have nothing to do with that.
 */
static int
attach_kept_devices(const struct first_devices *first)
{
	struct kept_fds *inherited = keeper_client_inherited(first->keeper);
	struct btt_error error = { "" };
	struct device_options options;
	struct device_kept *kept;
	char name[NAME_MAX + 1];
	const char *found;
	size_t i;
	int r;

	for (i = 0; i < inherited->n;) {
		if ((found = kept_device(&inherited->fd[i])) == NULL) {
			i++;
			continue;
		}
		(void)snprintf(name, sizeof(name), "%s", found);
		/* Takes it out of what is inherited. */
		r = device_kept_take(
		    first->keeper, name, &options, &kept, &error);
		if (r == 0)
			(void)attach_device(first, &options, kept);
		else
			(void)fail(first, name, r, &error);
	}
	return 0;
}

/*
 * The only device of a command line.  As those of a configuration, its backing
 * store may have been opened before us, by who may (keeper_held.c).
 */
static int
attach_only(const struct first_devices *first)
{
	struct device_options options = first->options->device;

	options.fd = device_kept_take_backing(
	    first->keeper, device_options_name(&options));
	return attach_device(first, &options, NULL);
}

/* Begin with all devices of the configuration; jobs[i] may be NULL. */
static void
begin_configured(const struct first_devices *first, struct job **jobs)
{
	const struct config *config = &first->options->config;
	struct btt_error error = { "" };
	struct device_options options;
	struct manager_owner owner;
	size_t i;
	int r;

	for (i = 0; i < config->ndevice; i++) {
		error.text[0] = '\0';
		options = config->devices[i];
		options.fd = device_kept_take_backing(
		    first->keeper, device_options_name(&options));
		r = manager_attach(
		    first->manager, &options, &jobs[i], &owner, &error);
		if (r < 0) {
			jobs[i] = NULL;
			(void)fail(first, config->devices[i].path, r, &error);
		}
	}
}

/* Say how it ended, if it did before end_ms. */
static void
await_configured(const struct first_devices *first,
    const struct device_options *options, struct job *job, uint64_t end_ms)
{
	struct btt_error error = { "" };
	const uint64_t now = now_ms();
	struct job_info info;

	if (!job_wait(job, end_ms > now ? end_ms - now : 0)) {
		log_say(first->log, LOG_WARNING,
		    "%s: takes long to attach, and is attached later",
		    options->path);
		return;
	}
	job_get_info(job, &info);
	if (info.error == 0)
		return;
	(void)btt_error_set(&error, info.error, "%s", info.message);
	(void)fail(first, options->path, info.error, &error);
}

/*
 * Attach what the configuration lists, side by side.  One that cannot be
 * attached stays, FAILED, and one that takes long is not waited for: the others
 * have nothing to do with that.
 */
static int
attach_configured(const struct first_devices *first)
{
	const struct config *config = &first->options->config;
	struct job **jobs;
	uint64_t end_ms;
	size_t i;

	if ((jobs = calloc(config->ndevice + 1, sizeof(struct job *))) == NULL)
		return fail(first, "starting", -ENOMEM, NULL);
	begin_configured(first, jobs);
	end_ms = now_ms() + ATTACH_MS;
	for (i = 0; i < config->ndevice; i++) {
		if (jobs[i] == NULL)
			continue;
		await_configured(first, &config->devices[i], jobs[i], end_ms);
		job_unref(jobs[i]);
	}
	free(jobs);
	return 0;
}

int
first_devices_attach(const struct first_devices *first)
{
	if (first->follows)
		return attach_kept_devices(first);
	if (first->options->has_config)
		return attach_configured(first);
	return attach_only(first);
}

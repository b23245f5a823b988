/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <lanes/clock.h>

#include "device_kept.h"
#include "first_devices.h"
#include "system_error.h"

/* For several devices, before the mount is shown without those that hang. */
#define ATTACH_MS 30000u
/* How often it is asked whether there is time to wait. */
#define POLL_MS 100u

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

/* Devices that are being attached, side by side. */
struct beginning {
	const char *what; /* for people */
	struct job *job;
};
struct beginnings {
	size_t n;
	struct beginning *all;
};

/* With options and kept, if that is not NULL, given away. */
static int
begin(const struct first_devices *first, struct beginnings *beginnings,
    const char *what, const struct device_options *options,
    struct device_kept *kept)
{
	struct beginning *beginning = &beginnings->all[beginnings->n];
	struct btt_error error = { "" };
	struct manager_owner owner;
	int r;

	r = manager_attach_again(
	    first->manager, options, kept, &beginning->job, &owner, &error);
	if (r < 0)
		return fail(first, what, r, &error);
	beginning->what = what;
	beginnings->n++;
	return 0;
}

/* Say how it ended, if it did before end_ms; what is said is returned. */
static int
await(const struct first_devices *first, const struct beginning *beginning,
    uint64_t end_ms)
{
	struct btt_error error = { "" };
	struct job_info info;

	while (!job_wait(beginning->job, POLL_MS)) {
		if (first->is_hurried(first->arg))
			return fail(first, beginning->what, -EINTR, NULL);
		if (clock_ms() < end_ms)
			continue;
		log_say(first->log, LOG_WARNING,
		    "%s: takes long to attach, and is attached later",
		    beginning->what);
		return 0;
	}
	job_get_info(beginning->job, &info);
	if (info.error == 0)
		return 0;
	(void)btt_error_set(&error, info.error, "%s", info.message);
	return fail(first, beginning->what, info.error, &error);
}

/* -EINTR if there is no time; what becomes of each of them is its own affair. */
static int
await_all(
    const struct first_devices *first, const struct beginnings *beginnings)
{
	const uint64_t end_ms = clock_ms() + ATTACH_MS;
	size_t i;
	int r = 0;

	for (i = 0; i < beginnings->n; i++) {
		if (r != -EINTR)
			r = await(first, &beginnings->all[i], end_ms);
		job_unref(beginnings->all[i].job);
	}
	return r == -EINTR ? r : 0;
}

/* Take one over, and begin with it. */
static void
begin_kept(const struct first_devices *first, struct beginnings *beginnings,
    const char *name)
{
	struct btt_error error = { "" };
	struct device_options options;
	struct device_kept *kept;
	int r;

	/* Takes it out of what is inherited. */
	r = device_kept_take(first->keeper, name, &options, &kept, &error);
	if (r < 0)
		(void)fail(first, name, r, &error);
	else
		(void)begin(first, beginnings, name, &options, kept);
}

/* Attach what the predecessor had. */
static int
attach_kept_devices(const struct first_devices *first)
{
	struct kept_fds *inherited = keeper_client_inherited(first->keeper);
	struct beginnings beginnings = { 0 };
	const size_t most = inherited->n;
	char(*names)[NAME_MAX + 1];
	const char *found;
	size_t i, n = 0;
	int r = -ENOMEM;

	beginnings.all = calloc(most + 1, sizeof(*beginnings.all));
	names = calloc(most + 1, sizeof(*names));
	if (beginnings.all == NULL || names == NULL)
		goto out;
	for (i = 0; i < most; i++) {
		found = device_kept_name(&inherited->fd[i]);
		if (found != NULL)
			(void)snprintf(names[n++], sizeof(*names), "%s", found);
	}
	for (i = 0; i < n; i++)
		begin_kept(first, &beginnings, names[i]);
	r = await_all(first, &beginnings);
out:
	free(names);
	free(beginnings.all);
	return r == -ENOMEM ? fail(first, "starting", r, NULL) : r;
}

/*
 * The only device of a command line.  As those of a configuration, its backing
 * store may have been opened before us, by who may (keeper_held.c).
 */
static int
attach_only(const struct first_devices *first)
{
	struct device_options options = first->options->device;
	struct beginning only;
	struct beginnings beginnings = { .all = &only };
	int r;

	options.fd = device_kept_take_backing(
	    first->keeper, device_options_name(&options));
	r = begin(first, &beginnings, options.path, &options, NULL);
	if (r < 0)
		return r;
	r = await(first, &only, UINT64_MAX);
	job_unref(only.job);
	return r;
}

/* Attach what the configuration lists. */
static int
attach_configured(const struct first_devices *first)
{
	const struct config *config = &first->options->config;
	struct beginnings beginnings = { 0 };
	struct device_options options;
	size_t i;
	int r;

	beginnings.all = calloc(config->ndevice + 1, sizeof(*beginnings.all));
	if (beginnings.all == NULL)
		return fail(first, "starting", -ENOMEM, NULL);
	for (i = 0; i < config->ndevice; i++) {
		options = config->devices[i];
		options.fd = device_kept_take_backing(
		    first->keeper, device_options_name(&options));
		(void)begin(first, &beginnings, options.path, &options, NULL);
	}
	r = await_all(first, &beginnings);
	free(beginnings.all);
	return r;
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

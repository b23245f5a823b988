/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl_list -- devices and jobs, as a running daemon tells them.  None of it
 * waits for a device.
 */
#include <assert.h>
#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "colour.h"
#include "ctl_online.h"
#include "size.h"

static const char *const states[] = { "probing", "live", "readonly", "draining",
	"failed", "disabled", NULL };

/* As ndctl has them; all of ours are of the first kind. */
static const char *const modes[] = { "sector", "raw", "fsdax", "devdax", NULL };

struct list_options {
	struct ctl_online online;
	const char *filter;
	struct ctl_choice state, mode;
	struct ctl_uuid uuid;
	unsigned verbosity;
	bool idle;
	bool namespaces;
	bool jobs;
	bool arenas;
	bool media_errors;
	bool human;
	bool names;
};

static const struct ctl_option list_table[] = {
	{ 'n', "name", CTL_TEXT, offsetof(struct list_options, filter), "NAMES",
	    NULL, "only devices of these names (a,b,...)" },
	{ 'm', "mode", CTL_CHOICE, offsetof(struct list_options, mode), "MODE",
	    modes, "only devices of that mode, which is sector" },
	{ 's', "state", CTL_CHOICE, offsetof(struct list_options, state),
	    "STATE", states, "only devices in that state" },
	{ 'U', "uuid", CTL_UUID, offsetof(struct list_options, uuid), "UUID",
	    NULL, "only the device with that UUID" },
	{ 'i', "idle", CTL_SWITCH, offsetof(struct list_options, idle), NULL,
	    NULL, "also those of the configuration that are not attached" },
	{ 'N', "namespaces", CTL_SWITCH,
	    offsetof(struct list_options, namespaces), NULL, NULL,
	    "list devices (the default)" },
	{ 'J', "jobs", CTL_SWITCH, offsetof(struct list_options, jobs), NULL,
	    NULL, "list jobs instead, as the command jobs does" },
	{ 'A', "arenas", CTL_SWITCH, offsetof(struct list_options, arenas),
	    NULL, NULL, "show their arenas too" },
	{ 'M', "media-errors", CTL_SWITCH,
	    offsetof(struct list_options, media_errors), NULL, NULL,
	    "show their bad blocks too" },
	{ 'u', "human", CTL_SWITCH, offsetof(struct list_options, human), NULL,
	    NULL, "in JSON, write sizes as people do" },
	{ 0, "names", CTL_SWITCH, offsetof(struct list_options, names), NULL,
	    NULL, "print names only" },
	CTL_OPTION_SOCKET,
	CTL_OPTION_JSON,
	{ 'v', "verbose", CTL_COUNT, offsetof(struct list_options, verbosity),
	    NULL, NULL, "say more; twice: arenas too, thrice: bad blocks too" },
	CTL_OPTION_END,
};

/* As ndctl writes sizes for people. */
static void
humanize(struct json_object *object, const char *key)
{
	char text[96];
	uint64_t bytes;
	double units;

	if (json_get(object, key) == NULL)
		return;
	bytes = json_get_number(object, key);
	units = (double)bytes;
	if (bytes < 5000 * 1024ull)
		return;
	if (bytes < 2ull << 30)
		snprintf(text, sizeof(text), "%.2f MiB (%.2f MB)",
		    units / (1 << 20), units / 1e6);
	else if (bytes < 2ull << 40)
		snprintf(text, sizeof(text), "%.2f GiB (%.2f GB)",
		    units / (1 << 30), units / 1e9);
	else
		snprintf(text, sizeof(text), "%.2f TiB (%.2f TB)",
		    units / (double)(1ull << 40), units / 1e12);
	ctl_add_text(object, key, text);
}

static bool
is_wanted(const struct list_options *options, struct json_object *device)
{
	char uuid[BTT_UUID_TEXT_BYTES];

	if (!ctl_is_listed(options->filter, json_get_text(device, "dev")))
		return false;
	if (options->mode.given &&
	    strcmp(json_get_text(device, "mode"), modes[options->mode.index]) !=
		0)
		return false;
	if (options->state.given &&
	    strcmp(json_get_text(device, "state"),
		states[options->state.index]) != 0)
		return false;
	if (!options->uuid.given)
		return true;
	btt_uuid_format(options->uuid.uuid, uuid);
	return strcmp(json_get_text(device, "uuid"), uuid) == 0;
}

/* Devices of result that are wanted, in a new array. */
static struct json_object *
select_devices(const struct list_options *options, struct json_object *result)
{
	struct json_object *array, *device;
	size_t i;

	array = ctl_new_array();
	for (i = 0; i < json_object_array_length(result); i++) {
		device = json_object_array_get_idx(result, i);
		if (is_wanted(options, device))
			ctl_append(array, json_object_get(device));
	}
	return array;
}

static const char *
state_colour(const struct colour *colour, const char *state)
{
	if (strcmp(state, "live") == 0)
		return colour->good;
	return strcmp(state, "failed") == 0 ? colour->bad : colour->doubtful;
}

static void
print_row(const struct colour *colour, struct json_object *device, int width)
{
	char size[SIZE_TEXT_BYTES] = "-", sector[24] = "-";
	const char *state;

	if (json_get(device, "size") != NULL) {
		size_format(json_get_number(device, "size"), size);
		snprintf(sector, sizeof(sector), "%" PRIu64,
		    json_get_number(device, "sector_size"));
	}
	state = json_get_text(device, "state");
	printf("%-*s  %s%-8s%s  %12s  %6s  %4" PRIu64 "  %s\n", width,
	    json_get_text(device, "dev"), state_colour(colour, state), state,
	    colour->off, size, sector, json_get_number(device, "open_handles"),
	    json_get_text(device, "backing"));
	if (json_get(device, "errno") != NULL)
		printf("    %s: %s (stage %s)\n",
		    json_get_text(device, "errno"),
		    json_get_text(device, "message"),
		    json_get_text(device, "stage"));
}

static void
print_details(struct json_object *device)
{
	static const char *const keys[] = { "uuid", "raw_uuid", "blockdev",
		"layout", "durability", "lanes", "badblock_count", "generation",
		"job" };
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (json_get(device, keys[i]) != NULL)
			printf("    %-12s %s\n", keys[i],
			    json_get_text(device, keys[i]));
	}
}

static void
print_arenas(struct json_object *device)
{
	struct json_object *arenas, *arena;
	size_t i;

	arenas = json_get(device, "arenas");
	for (i = 0; arenas != NULL && i < json_object_array_length(arenas);
	     i++) {
		arena = json_object_array_get_idx(arenas, i);
		printf("    arena %s: %s, %s sectors, %s free blocks, at %s\n",
		    json_get_text(arena, "id"), json_get_text(arena, "state"),
		    json_get_text(arena, "external_nlba"),
		    json_get_text(arena, "nfree"),
		    json_get_text(arena, "offset"));
	}
}

static void
print_badblocks(struct json_object *device)
{
	struct json_object *ranges, *range;
	size_t i;

	ranges = json_get(device, "badblocks");
	for (i = 0; ranges != NULL && i < json_object_array_length(ranges);
	     i++) {
		range = json_object_array_get_idx(ranges, i);
		printf("    bad: %s blocks of 512 bytes from %s\n",
		    json_get_text(range, "length"),
		    json_get_text(range, "offset"));
	}
}

static int
name_width(struct json_object *devices)
{
	size_t i, n, width = strlen("NAME");

	for (i = 0; i < json_object_array_length(devices); i++) {
		n = strlen(json_get_text(
		    json_object_array_get_idx(devices, i), "dev"));
		if (n > width)
			width = n;
	}
	return width < 40 ? (int)width : 40;
}

static void
print_table(const struct list_options *options, struct json_object *devices)
{
	struct json_object *device;
	size_t i;
	int width;

	width = name_width(devices);
	if (json_object_array_length(devices) > 0)
		printf("%-*s  %-8s  %12s  %6s  %4s  %s\n", width, "NAME",
		    "STATE", "SIZE", "SECTOR", "OPEN", "BACKING");
	for (i = 0; i < json_object_array_length(devices); i++) {
		device = json_object_array_get_idx(devices, i);
		print_row(colour_of(stdout), device, width);
		if (options->verbosity > 0)
			print_details(device);
		print_arenas(device);
		print_badblocks(device);
	}
}

static void
print_names(struct json_object *devices)
{
	size_t i;

	for (i = 0; i < json_object_array_length(devices); i++)
		puts(json_get_text(
		    json_object_array_get_idx(devices, i), "dev"));
}

static void
print_devices(const struct list_options *options, struct json_object *devices)
{
	size_t i;

	if (options->names) {
		print_names(devices);
	} else if (!options->online.common.json) {
		print_table(options, devices);
	} else {
		for (i = 0;
		     options->human && i < json_object_array_length(devices);
		     i++)
			humanize(json_object_array_get_idx(devices, i), "size");
		ctl_print_json_array(json_object_get(devices));
	}
}

/* One name, or NULL for all. */
static int
list_one(const struct list_options *options, struct remote *remote,
    const char *name, struct json_object *devices)
{
	struct json_object *args, *result, *wanted;
	int status = 0;
	size_t i;

	args = ctl_new_object();
	if (name != NULL)
		ctl_add_text(args, "name", name);
	ctl_add_bool(args, "arenas", options->arenas || options->verbosity > 1);
	ctl_add_bool(args, "media_errors",
	    options->media_errors || options->verbosity > 2);
	ctl_add_bool(args, "idle", options->idle);
	result = ctl_online_ask(
	    remote, name != NULL ? name : "list", "list", args, &status);
	if (result == NULL)
		return status;
	wanted = select_devices(options, result);
	for (i = 0; i < json_object_array_length(wanted); i++)
		ctl_append(devices,
		    json_object_get(json_object_array_get_idx(wanted, i)));
	json_object_put(wanted);
	json_object_put(result);
	return 0;
}

static int
run_list(const void *arg, char *const operands[])
{
	const struct list_options *options = arg;
	struct json_object *devices;
	struct remote *remote;
	int status, r;
	size_t i;

	if (options->jobs && operands[0] != NULL) {
		warnx("list: --jobs are all devices' jobs");
		return CTL_EXIT_USAGE;
	}
	if (options->jobs)
		return ctl_jobs.run(options, operands);
	remote = ctl_online_open(&options->online, &status);
	if (remote == NULL)
		return status;
	devices = ctl_new_array();
	status = 0;
	if (operands[0] == NULL)
		status = list_one(options, remote, NULL, devices);
	for (i = 0; operands[i] != NULL; i++) {
		r = list_one(options, remote, operands[i], devices);
		if (status == 0)
			status = r;
	}
	print_devices(options, devices);
	json_object_put(devices);
	remote_close(remote);
	return status;
}

static_assert(sizeof(struct list_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_list = {
	.name = "list",
	.operands = "[NAME ...]",
	.summary = "List the devices of a running daemon",
	.options = list_table,
	.options_bytes = sizeof(struct list_options),
	.min_operands = 0,
	.max_operands = CTL_OPERANDS_MANY,
	.run = run_list,
};

static const struct ctl_option plain_table[] = {
	CTL_OPTION_SOCKET,
	CTL_OPTION_JSON,
	CTL_OPTION_END,
};

static void
print_job(struct json_object *job)
{
	struct json_object *progress;

	printf("%6s  %-12s  %-9s  %8.1f s  %s", json_get_text(job, "job"),
	    json_get_text(job, "verb"), json_get_text(job, "state"),
	    json_object_get_double(json_get(job, "age")),
	    json_get_text(job, "dev"));
	/* Of one that has ended well the last stage says nothing. */
	if (json_get(job, "stage") != NULL &&
	    strcmp(json_get_text(job, "state"), "done") != 0)
		printf(": %s", json_get_text(job, "stage"));
	if ((progress = json_get(job, "progress")) != NULL)
		printf(" %.0f %%", json_object_get_double(progress) * 100);
	if (json_get(job, "message") != NULL)
		printf(": %s", json_get_text(job, "message"));
	putchar('\n');
}

/* Ask, and print each element of what comes. */
static int
show(const struct ctl_online *options, const char *verb,
    struct json_object *args, void (*print)(struct json_object *element))
{
	struct json_object *result;
	struct remote *remote;
	int status = 0;
	size_t i;

	if ((remote = ctl_online_open(options, &status)) == NULL) {
		json_object_put(args);
		return status;
	}
	result = ctl_online_ask(remote, verb, verb, args, &status);
	remote_close(remote);
	if (result == NULL)
		return status;
	if (options->common.json) {
		ctl_print_json_array(result);
		return 0;
	}
	for (i = 0; i < json_object_array_length(result); i++)
		print(json_object_array_get_idx(result, i));
	json_object_put(result);
	return 0;
}

static int
run_jobs(const void *arg, char *const operands[])
{
	(void)operands;
	return show(arg, "jobs", NULL, print_job);
}

const struct ctl_command ctl_jobs = {
	.name = "jobs",
	.operands = "",
	.summary = "List what a running daemon is doing, and has done lately",
	.options = plain_table,
	.options_bytes = sizeof(struct ctl_online),
	.min_operands = 0,
	.max_operands = 0,
	.run = run_jobs,
};

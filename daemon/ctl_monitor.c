/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl_monitor -- follow what happens to the devices of a running daemon.
 */
#include <assert.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl_online.h"
#include "size.h"
#include "system_error.h"

struct monitor_options {
	struct ctl_online online;
	const char *names;
	const char *events;
	struct ctl_number count;
	bool snapshot;
};

static const struct ctl_option table[] = {
	{ 'n', "name", CTL_TEXT, offsetof(struct monitor_options, names),
	    "NAMES", NULL, "only events of these devices (a,b,...)" },
	{ 'e', "event", CTL_TEXT, offsetof(struct monitor_options, events),
	    "EVENTS", NULL, "only these events (namespace-failed,...)" },
	{ 'c', "count", CTL_NUMBER, offsetof(struct monitor_options, count),
	    "N", NULL, "end after so many" },
	{ 0, "snapshot", CTL_SWITCH, offsetof(struct monitor_options, snapshot),
	    NULL, NULL, "begin with how everything is" },
	CTL_OPTION_SOCKET,
	CTL_OPTION_JSON,
	CTL_OPTION_END,
};

/* Is text one of a list with commas?  NULL has all. */
static bool
is_listed(const char *list, const char *text)
{
	size_t n, part;

	if (list == NULL)
		return true;
	n = strlen(text);
	for (;; list += part + 1) {
		part = strcspn(list, ",");
		if (part == n && strncmp(list, text, n) == 0)
			return true;
		if (list[part] == '\0')
			return false;
	}
}

/* The one key of "event". */
static const char *
event_name(struct json_object *frame)
{
	struct json_object_iterator at, end;
	struct json_object *event;

	event = ctl_get(frame, "event");
	if (!json_object_is_type(event, json_type_object))
		return "";
	at = json_object_iter_begin(event);
	end = json_object_iter_end(event);
	return json_object_iter_equal(&at, &end)
	    ? ""
	    : json_object_iter_peek_name(&at);
}

static bool
is_wanted(const struct monitor_options *options, struct json_object *frame)
{
	struct json_object *device;
	const char *name;

	name = event_name(frame);
	/* That there is something to be missed concerns everybody. */
	if (strcmp(name, "events-lost") == 0)
		return true;
	if (!is_listed(options->events, name))
		return false;
	if (options->names == NULL)
		return true;
	device = ctl_get(frame, "namespace");
	return device != NULL &&
	    is_listed(options->names, ctl_get_text(device, "dev"));
}

static void
print_line(struct json_object *object)
{
	puts(json_object_to_json_string_ext(
	    object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* "12:01:02.123", local time; the timestamp is seconds and nanoseconds. */
static void
print_time(const char *timestamp)
{
	struct tm parts;
	char text[16];
	time_t seconds;
	char *dot;

	seconds = (time_t)strtoll(timestamp, &dot, 10);
	if (localtime_r(&seconds, &parts) == NULL ||
	    strftime(text, sizeof(text), "%H:%M:%S", &parts) == 0)
		return;
	printf("%s%.4s  ", text, dot);
}

static void
print_detail(struct json_object *frame)
{
	static const char *const keys[] = { "cause", "finding", "area", "stage",
		"errno", "count", "job", "verb", "state" };
	struct json_object *detail, *ranges, *range;
	size_t i;

	if (ctl_get(frame, "count") != NULL)
		printf(", count %s", ctl_get_text(frame, "count"));
	if ((detail = ctl_get(frame, "detail")) == NULL)
		return;
	ranges = ctl_get(detail, "badblocks");
	for (i = 0; ranges != NULL && i < json_object_array_length(ranges);
	     i++) {
		range = json_object_array_get_idx(ranges, i);
		printf(", %s blocks of 512 bytes from %s",
		    ctl_get_text(range, "length"),
		    ctl_get_text(range, "offset"));
	}
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (ctl_get(detail, keys[i]) != NULL)
			printf(
			    ", %s %s", keys[i], ctl_get_text(detail, keys[i]));
	}
	if (ctl_get(detail, "message") != NULL)
		printf(": %s", ctl_get_text(detail, "message"));
}

static void
print_event(struct json_object *frame)
{
	struct json_object *device;

	print_time(ctl_get_text(frame, "timestamp"));
	device = ctl_get(frame, "namespace");
	printf("%-20s  %s", device != NULL ? ctl_get_text(device, "dev") : "-",
	    event_name(frame));
	print_detail(frame);
	putchar('\n');
}

static void
print_snapshot(
    const struct monitor_options *options, struct json_object *message)
{
	struct json_object *snapshot, *device;
	size_t i;

	if (!options->snapshot)
		return;
	if (options->online.common.json) {
		json_object_object_del(message, "id");
		print_line(message);
		return;
	}
	snapshot = ctl_get(message, "snapshot");
	for (i = 0; i < json_object_array_length(snapshot); i++) {
		device = json_object_array_get_idx(snapshot, i);
		printf("now           %-20s  %s\n", ctl_get_text(device, "dev"),
		    ctl_get_text(device, "state"));
	}
}

/* Prints what a message says, if it is wanted; true if it was an event. */
static bool
show(const struct monitor_options *options, struct json_object *message)
{
	struct json_object *frame;

	if (ctl_get(message, "snapshot") != NULL) {
		print_snapshot(options, message);
		return false;
	}
	frame = ctl_get(message, "event");
	if (frame == NULL || !is_wanted(options, frame))
		return false;
	if (options->online.common.json)
		print_line(frame);
	else
		print_event(frame);
	return true;
}

static int
follow(const struct monitor_options *options, struct remote *remote)
{
	struct json_object *message;
	uint32_t n = 0;
	int r;

	if ((r = remote_send(remote, 1, "monitor", NULL)) < 0)
		return r;
	while (!options->count.given || n < options->count.value) {
		if ((r = remote_receive(remote, &message)) < 0)
			return r;
		if (ctl_reply_error(message) != NULL)
			r = -EPROTO;
		else if (show(options, message))
			n++;
		json_object_put(message);
		/* Whoever reads a pipe wants it now, or has gone. */
		if (r == 0 && (fflush(stdout) != 0 || ferror(stdout)))
			r = -EPIPE;
		if (r < 0)
			return r;
	}
	return 0;
}

static int
run(const void *arg, char *const operands[])
{
	const struct monitor_options *options = arg;
	struct remote *remote;
	int status, r;

	(void)operands;
	remote = ctl_online_open(&options->online, &status);
	if (remote == NULL)
		return status;
	r = follow(options, remote);
	remote_close(remote);
	if (r < 0)
		warnx("monitor: %s",
		    r == -ECONNRESET ? "the daemon has gone"
				     : system_error_text(r));
	return ctl_exit_status(r);
}

static_assert(sizeof(struct monitor_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_monitor = {
	.name = "monitor",
	.operands = "",
	.summary = "Follow what happens to the devices of a running daemon",
	.options = table,
	.options_bytes = sizeof(struct monitor_options),
	.min_operands = 0,
	.max_operands = 0,
	.run = run,
};

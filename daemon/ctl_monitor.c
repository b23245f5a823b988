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
#include <syslog.h>
#include <time.h>

#include "ctl_online.h"
#include "monitor_config.h"
#include "system_error.h"

struct monitor_options {
	struct ctl_online online;
	const char *names;
	const char *events;
	const char *log;
	const char *config;
	struct ctl_number count;
	bool snapshot;
};

/* Options, or else configuration, and where lines go. */
struct monitor {
	const struct monitor_options *options;
	const char *names;
	const char *events;
	const char *log;
	FILE *out; /* NULL: syslog */
};

static const struct ctl_option table[] = {
	{ 'n', "name", CTL_TEXT, offsetof(struct monitor_options, names),
	    "NAMES", NULL, "only events of these devices (a,b,...)" },
	{ 'e', "event", CTL_TEXT, offsetof(struct monitor_options, events),
	    "EVENTS", NULL, "only these events (namespace-failed,...)" },
	{ 'l', "log", CTL_PATH, offsetof(struct monitor_options, log), "FILE",
	    NULL, "append to FILE, or to 'syslog', or 'standard' output" },
	{ 'c', "config-file", CTL_PATH,
	    offsetof(struct monitor_options, config), "FILE", NULL,
	    "take the rest from FILE, not from " MONITOR_CONFIG_DIRECTORY },
	{ 0, "count", CTL_NUMBER, offsetof(struct monitor_options, count), "N",
	    NULL, "end after so many" },
	{ 0, "snapshot", CTL_SWITCH, offsetof(struct monitor_options, snapshot),
	    NULL, NULL, "begin with how everything is" },
	CTL_OPTION_SOCKET,
	CTL_OPTION_JSON,
	CTL_OPTION_END,
};

/* The one key of "event". */
static const char *
event_name(struct json_object *frame)
{
	struct json_object_iterator at, end;
	struct json_object *event;

	event = json_get(frame, "event");
	if (!json_object_is_type(event, json_type_object))
		return "";
	at = json_object_iter_begin(event);
	end = json_object_iter_end(event);
	return json_object_iter_equal(&at, &end)
	    ? ""
	    : json_object_iter_peek_name(&at);
}

static bool
is_wanted(const struct monitor *monitor, struct json_object *frame)
{
	struct json_object *device;
	const char *name;

	name = event_name(frame);
	/* That there is something to be missed concerns everybody. */
	if (strcmp(name, "events-lost") == 0)
		return true;
	if (!ctl_is_listed(monitor->events, name))
		return false;
	if (monitor->names == NULL)
		return true;
	device = json_get(frame, "namespace");
	return device != NULL &&
	    ctl_is_listed(monitor->names, json_get_text(device, "dev"));
}

static void
print_line(FILE *out, struct json_object *object)
{
	fprintf(out, "%s\n",
	    json_object_to_json_string_ext(object,
		JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* "12:01:02.123", local time; the timestamp is seconds and nanoseconds. */
static void
print_time(FILE *out, const char *timestamp)
{
	struct tm parts;
	char text[16];
	time_t seconds;
	char *dot;

	seconds = (time_t)strtoll(timestamp, &dot, 10);
	if (localtime_r(&seconds, &parts) == NULL ||
	    strftime(text, sizeof(text), "%H:%M:%S", &parts) == 0)
		return;
	fprintf(out, "%s%.4s  ", text, dot);
}

static void
print_detail(FILE *out, struct json_object *frame)
{
	static const char *const keys[] = { "cause", "finding", "area", "stage",
		"errno", "count", "job", "verb", "state" };
	struct json_object *detail, *ranges, *range;
	size_t i;

	if (json_get(frame, "count") != NULL)
		fprintf(out, ", count %s", json_get_text(frame, "count"));
	if ((detail = json_get(frame, "detail")) == NULL)
		return;
	ranges = json_get(detail, "badblocks");
	for (i = 0; ranges != NULL && i < json_object_array_length(ranges);
	     i++) {
		range = json_object_array_get_idx(ranges, i);
		fprintf(out, ", %s blocks of 512 bytes from %s",
		    json_get_text(range, "length"),
		    json_get_text(range, "offset"));
	}
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (json_get(detail, keys[i]) != NULL)
			fprintf(out, ", %s %s", keys[i],
			    json_get_text(detail, keys[i]));
	}
	if (json_get(detail, "message") != NULL)
		fprintf(out, ": %s", json_get_text(detail, "message"));
}

static void
print_event(FILE *out, struct json_object *frame)
{
	struct json_object *device;

	print_time(out, json_get_text(frame, "timestamp"));
	device = json_get(frame, "namespace");
	fprintf(out, "%-20s  %s",
	    device != NULL ? json_get_text(device, "dev") : "-",
	    event_name(frame));
	print_detail(out, frame);
	fputc('\n', out);
}

static void
print_snapshot(
    const struct monitor *monitor, FILE *out, struct json_object *message)
{
	const struct monitor_options *options = monitor->options;
	struct json_object *snapshot, *device;
	size_t i;

	if (!options->snapshot)
		return;
	if (options->online.common.json) {
		json_object_object_del(message, "id");
		print_line(out, message);
		return;
	}
	snapshot = json_get(message, "snapshot");
	for (i = 0; i < json_object_array_length(snapshot); i++) {
		device = json_object_array_get_idx(snapshot, i);
		if (ctl_is_listed(monitor->names, json_get_text(device, "dev")))
			fprintf(out, "now           %-20s  %s\n",
			    json_get_text(device, "dev"),
			    json_get_text(device, "state"));
	}
}

/* Prints what a message says, if it is wanted; true if it was an event. */
static bool
show(const struct monitor *monitor, FILE *out, struct json_object *message)
{
	struct json_object *frame;

	if (json_get(message, "snapshot") != NULL) {
		print_snapshot(monitor, out, message);
		return false;
	}
	frame = json_get(message, "event");
	if (frame == NULL || !is_wanted(monitor, frame))
		return false;
	if (monitor->options->online.common.json)
		print_line(out, frame);
	else
		print_event(out, frame);
	return true;
}

/* The same to the system's log, a message a line. */
static bool
show_in_syslog(const struct monitor *monitor, struct json_object *message)
{
	char *text = NULL, *rest, *line;
	size_t bytes;
	FILE *out;
	bool is;

	if ((out = open_memstream(&text, &bytes)) == NULL)
		ctl_die_of_memory();
	is = show(monitor, out, message);
	if (fclose(out) != 0)
		ctl_die_of_memory();
	rest = text;
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (line[0] != '\0')
			syslog(LOG_DAEMON | LOG_NOTICE, "%s", line);
	}
	free(text);
	return is;
}

static int
follow(const struct monitor *monitor, struct remote *remote)
{
	const struct monitor_options *options = monitor->options;
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
		else if (monitor->out == NULL)
			n += show_in_syslog(monitor, message);
		else
			n += show(monitor, monitor->out, message);
		json_object_put(message);
		/* Whoever reads a pipe wants it now, or has gone. */
		if (r == 0 && monitor->out != NULL &&
		    (fflush(monitor->out) != 0 || ferror(monitor->out)))
			r = -EPIPE;
		if (r < 0)
			return r;
	}
	return 0;
}

/* Where lines are to go; 0 or a negative errno. */
static int
open_log(struct monitor *monitor)
{
	monitor->out = stdout;
	if (monitor->log == NULL || strcmp(monitor->log, "standard") == 0)
		return 0;
	if (strcmp(monitor->log, "syslog") == 0) {
		openlog("bttctl", LOG_PID, LOG_DAEMON);
		monitor->out = NULL;
		return 0;
	}
	monitor->out = fopen(monitor->log, "ae");
	return monitor->out == NULL ? -errno : 0;
}

static int
open_and_follow(struct monitor *monitor)
{
	struct remote *remote;
	int status, r;

	remote = ctl_online_open(&monitor->options->online, &status);
	if (remote == NULL)
		return status;
	if ((r = open_log(monitor)) < 0) {
		remote_close(remote);
		return ctl_fail(monitor->log, r, NULL);
	}
	r = follow(monitor, remote);
	remote_close(remote);
	if (monitor->out != NULL && monitor->out != stdout)
		(void)fclose(monitor->out); /* was flushed after each line */
	if (r < 0)
		warnx("monitor: %s",
		    r == -ECONNRESET ? "the daemon has gone"
				     : system_error_text(r));
	return ctl_exit_status(r);
}

/* What no option says the configuration may (UI-11). */
static int
run(const void *arg, char *const operands[])
{
	const struct monitor_options *options = arg;
	struct monitor monitor = { .options = options };
	struct btt_error error = { "" };
	struct monitor_config config;
	int r;

	(void)operands;
	r = monitor_config_read(options->config, &config, &error);
	if (r < 0) {
		warnx("%s", error.text);
		monitor_config_fini(&config);
		return ctl_exit_status(r);
	}
	monitor.names = options->names != NULL ? options->names : config.names;
	monitor.events =
	    options->events != NULL ? options->events : config.events;
	monitor.log = options->log != NULL ? options->log : config.log;
	r = open_and_follow(&monitor);
	monitor_config_fini(&config);
	return r;
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

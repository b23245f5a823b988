/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl_top -- a live table of the devices of a running daemon.
 *
 * On a terminal each reading is drawn over the last one, with the two sequences
 * that every terminal knows; a library for more is not worth its weight here.
 */
#include <sys/ioctl.h>

#include <assert.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl_online.h"
#include "top.h"

#define DELAY_MS 2000u
/* To the upper left corner; and what is from here on, away. */
#define HOME "\033[H"
#define CLEAR_REST "\033[J"
/* While a server is replaced. */
#define RETRY_MS 100
#define NRETRY 50

struct top_options {
	struct ctl_online online;
	bool batch;
	struct ctl_number count, delay;
};

static const struct ctl_option table[] = {
	{ 'b', "batch", CTL_SWITCH, offsetof(struct top_options, batch), NULL,
	    NULL, "one table after the other, as without a terminal" },
	{ 'd', "delay", CTL_NUMBER, offsetof(struct top_options, delay),
	    "SECONDS", NULL, "between two readings (default: 2)" },
	{ 'n', "count", CTL_NUMBER, offsetof(struct top_options, count), "N",
	    NULL, "end after so many tables" },
	CTL_OPTION_SOCKET,
	CTL_OPTION_JSON,
	CTL_OPTION_END,
};

struct reading {
	struct json_object *stats; /* array, or NULL */
	struct timespec time;
};

/*
 * Ending is what users do with it, and no failure.  Each table is flushed, the
 * terminal is as it was, and nothing of ours needs more, whatever we wait for.
 */
static void
on_stop(int signal_number)
{
	(void)signal_number;
	_exit(0);
}

static void
take_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_stop };
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		(void)sigaction(numbers[i], &action, NULL);
}

static void
wait_ms(uint64_t ms)
{
	(void)poll(NULL, 0, ms < INT_MAX ? (int)ms : INT_MAX);
}

static double
seconds_between(const struct timespec *from, const struct timespec *to)
{
	return (double)(to->tv_sec - from->tv_sec) +
	    (double)(to->tv_nsec - from->tv_nsec) / 1e9;
}

/* A server that is being replaced is waited for, but not the first one. */
static struct remote *
connect_again(const struct top_options *options, int *ret_status)
{
	struct btt_error error = { "" };
	struct remote *remote;
	unsigned i;

	for (i = 0; i < NRETRY; i++) {
		if (remote_open(options->online.socket, &remote, &error) == 0)
			return remote;
		wait_ms(RETRY_MS);
	}
	return ctl_online_open(&options->online, ret_status);
}

/*
 * Each time anew: the server may be another one by now, and nobody's place is
 * taken in between.  The stats are NULL with a status.
 */
static int
read_stats(const struct top_options *options, const char *name, bool again,
    struct reading *ret_reading)
{
	struct json_object *args = ctl_new_object();
	struct remote *remote;
	int status = 0;

	ctl_add_bool(args, "buckets", true);
	if (name != NULL)
		ctl_add_text(args, "name", name);
	remote = again ? connect_again(options, &status)
		       : ctl_online_open(&options->online, &status);
	ret_reading->stats = NULL;
	if (remote == NULL) {
		json_object_put(args);
		return status;
	}
	ret_reading->stats =
	    ctl_online_ask(remote, "top", "stats", args, &status);
	(void)clock_gettime(CLOCK_MONOTONIC, &ret_reading->time);
	remote_close(remote);
	return ret_reading->stats != NULL ? 0 : status;
}

static struct json_object *
find(struct json_object *stats, const char *name)
{
	size_t i;

	for (i = 0; stats != NULL && i < json_object_array_length(stats); i++) {
		struct json_object *one = json_object_array_get_idx(stats, i);

		if (strcmp(json_get_text(one, "dev"), name) == 0)
			return one;
	}
	return NULL;
}

/* Lines of devices that fit; the last one of a terminal stays empty. */
static size_t
count_rows(bool drawn)
{
	struct winsize size;

	if (!drawn || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 ||
	    size.ws_row < 4)
		return SIZE_MAX;
	return size.ws_row - 3u;
}

static void
show(const struct top_options *options, const struct reading *before,
    const struct reading *now, bool drawn)
{
	double seconds = seconds_between(&before->time, &now->time);
	size_t i, n = json_object_array_length(now->stats);
	size_t nrow = count_rows(drawn);
	struct json_object *array = ctl_new_array();
	struct top_device device;

	if (drawn)
		fputs(HOME CLEAR_REST, stdout);
	if (!options->online.common.json)
		top_print_head(stdout);
	for (i = 0; i < n; i++) {
		struct json_object *one =
		    json_object_array_get_idx(now->stats, i);

		top_compare(find(before->stats, json_get_text(one, "dev")), one,
		    seconds, &device);
		if (options->online.common.json)
			ctl_append(array, top_json(&device, seconds));
		else if (i < nrow)
			top_print(stdout, &device);
	}
	if (n > nrow)
		printf("and %zu more\n", n - nrow);
	if (options->online.common.json)
		ctl_print_json_array(array);
	else
		json_object_put(array);
}

static int
follow(const struct top_options *options, const char *name)
{
	const bool drawn = !options->batch && !options->online.common.json &&
	    isatty(STDOUT_FILENO);
	uint64_t delay_ms = options->delay.given && options->delay.value > 0
	    ? ctl_timeout_ms(&options->delay)
	    : DELAY_MS;
	struct reading before = { 0 }, now = { 0 };
	uint32_t n = 0;
	int status;

	status = read_stats(options, name, false, &before);
	while (status == 0 &&
	    (!options->count.given || n < options->count.value)) {
		wait_ms(delay_ms);
		status = read_stats(options, name, true, &now);
		if (now.stats == NULL)
			break;
		show(options, &before, &now, drawn);
		json_object_put(before.stats);
		before = now;
		n++;
		/* Whoever reads a pipe wants it now, or has gone. */
		if (fflush(stdout) != 0 || ferror(stdout))
			break;
	}
	json_object_put(before.stats);
	return status;
}

static int
run(const void *arg, char *const operands[])
{
	take_signals();
	return follow(arg, operands[0]);
}

static_assert(sizeof(struct top_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_top = {
	.name = "top",
	.operands = "[NAME]",
	.summary = "Show what devices of a running daemon do, again and again",
	.options = table,
	.options_bytes = sizeof(struct top_options),
	.min_operands = 0,
	.max_operands = 1,
	.run = run,
};

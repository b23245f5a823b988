/* SPDX-License-Identifier: BSD-3-Clause */
/* ctl_stats -- what the devices of a running daemon have counted. */
#include <assert.h>
#include <stdlib.h>

#include "ctl_online.h"
#include "stats_text.h"

struct stats_options {
	struct ctl_online online;
	bool prometheus;
};

static const struct ctl_option stats_table[] = {
	{ 0, "prometheus", CTL_SWITCH,
	    offsetof(struct stats_options, prometheus), NULL, NULL,
	    "print what Prometheus reads, with histograms" },
	CTL_OPTION_SOCKET,
	CTL_OPTION_JSON,
	CTL_OPTION_END,
};

static void
show(const struct stats_options *options, struct json_object *array)
{
	if (options->online.common.json) {
		ctl_print_json_array(json_object_get(array));
	} else if (options->prometheus) {
		stats_print_prometheus(stdout, array);
	} else {
		for (size_t i = 0; i < json_object_array_length(array); i++)
			stats_print(
			    stdout, json_object_array_get_idx(array, i));
	}
}

static int
run_stats(const void *arg, char *const operands[])
{
	const struct stats_options *options = arg;
	struct json_object *args, *array;
	struct remote *remote;
	int status = 0;

	if ((remote = ctl_online_open(&options->online, &status)) == NULL)
		return status;
	args = ctl_new_object();
	if (operands[0] != NULL)
		ctl_add_text(args, "name", operands[0]);
	if (options->prometheus)
		ctl_add_bool(args, "buckets", true);
	array = ctl_online_ask(remote, "stats", "stats", args, &status);
	remote_close(remote);
	if (array == NULL)
		return status;
	show(options, array);
	json_object_put(array);
	return 0;
}

static_assert(sizeof(struct stats_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_stats = {
	.name = "stats",
	.operands = "[NAME]",
	.summary = "Show what the devices of a running daemon have counted",
	.options = stats_table,
	.options_bytes = sizeof(struct stats_options),
	.min_operands = 0,
	.max_operands = 1,
	.run = run_stats,
};

/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include <btt/inspect.h>
#include <btt/media.h>

#include "colour.h"
#include "ctl.h"
#include "infoblock.h"
#include "label_list.h"
#include "size.h"

struct info_options {
	struct ctl_common common;
	const char *namespace;
};

static const struct ctl_option options_table[] = {
	CTL_OPTION_NAMESPACE(offsetof(struct info_options, namespace)),
	CTL_OPTION_JSON,
	CTL_OPTION_END,
};

/* What info has to say about one path. */
struct report {
	const char *path;
	struct media *media;
	bool has_labels;
	struct btt_labels labels; /* if so */
	struct btt_inspect inspect;
	bool is_degraded; /* if usable: something is not as it should be */
};

static bool
is_usable(const struct report *report)
{
	return report->inspect.verdict == 0;
}

/* Is there an arena with a bad or different copy, or an error flag? */
static bool
is_degraded(const struct report *report)
{
	const struct btt_inspect_arena *arena;
	struct infoblock_pair pair;
	uint32_t i;

	for (i = 0; i < report->inspect.narena; i++) {
		arena = &report->inspect.arena[i];
		infoblock_read(report->media, arena, &pair);
		if (!infoblock_is_same(&pair) || arena->info.flags != 0)
			return true;
	}
	return false;
}

static void
print_human(const struct report *report)
{
	const struct btt_info *info;
	char uuid[BTT_UUID_TEXT_BYTES], text[SIZE_TEXT_BYTES];
	char name[BTT_NAMESPACE_TEXT_BYTES];
	const struct colour *colour;
	uint64_t nsector;

	colour = colour_of(stdout);
	printf("%s\n", report->path);
	size_format_full(report->media->size, text);
	printf("  medium             %s\n", text);
	if (report->has_labels) {
		label_list_print(&report->labels);
		putchar('\n');
	}
	if (report->inspect.label != NULL) {
		btt_namespace_format(report->inspect.label, name);
		printf("  namespace          %s\n", name);
	}
	if (!is_usable(report)) {
		printf("  state              %sunusable: %s%s\n", colour->bad,
		    report->inspect.reason.text, colour->off);
		return;
	}
	info = &report->inspect.arena[0].info;
	nsector = btt_inspect_nsector(&report->inspect);
	btt_uuid_format(info->uuid, uuid);
	printf("  state              %s%s%s\n",
	    report->is_degraded ? colour->doubtful : colour->good,
	    report->is_degraded ? "usable, but see below" : "ok", colour->off);
	printf("  uuid               %s\n", uuid);
	printf("  layout             %s\n",
	    ctl_layout_name(report->inspect.arena[0].layout));
	printf("  arenas             %u\n", report->inspect.narena);
	printf("  sectors            %" PRIu64 " of %u bytes\n", nsector,
	    info->external_lbasize);
	size_format_full(
	    nsector * btt_sector_data_bytes(info->external_lbasize), text);
	printf("  usable             %s\n", text);
}

static void
print_json(const struct report *report)
{
	const struct btt_info *info;
	struct json_object *object, *arenas;
	uint64_t nsector;
	uint32_t i;

	object = ctl_new_object();
	ctl_add_text(object, "file", report->path);
	ctl_add_text(object, "mode", "sector");
	ctl_add_number(object, "backing_size", report->media->size);
	if (report->has_labels)
		ctl_add(object, "labels", label_list_json(&report->labels));
	if (report->inspect.label != NULL)
		ctl_add(object, "namespace",
		    label_namespace_json(report->inspect.label));
	if (!is_usable(report)) {
		ctl_add_text(object, "state", "unusable");
		ctl_add_text(object, "message", report->inspect.reason.text);
	} else {
		info = &report->inspect.arena[0].info;
		nsector = btt_inspect_nsector(&report->inspect);
		ctl_add_text(
		    object, "state", report->is_degraded ? "degraded" : "ok");
		ctl_add_number(object, "size",
		    nsector * btt_sector_data_bytes(info->external_lbasize));
		ctl_add_uuid(object, "uuid", info->uuid);
		ctl_add_uuid(object, "raw_uuid", info->parent_uuid);
		ctl_add_number(object, "sector_size", info->external_lbasize);
		ctl_add_number(object, "sectors", nsector);
		ctl_add_text(object, "layout",
		    ctl_layout_name(report->inspect.arena[0].layout));
	}
	arenas = ctl_new_array();
	for (i = 0; i < report->inspect.narena; i++)
		ctl_append(arenas,
		    infoblock_arena_json(
			report->media, &report->inspect.arena[i]));
	ctl_add(object, "arenas", arenas);
	ctl_print_json(object);
}

/* Where there is nothing of a BTT the error says all there is. */
static void
print_report(const struct report *report, bool json)
{
	uint32_t i;

	if (report->inspect.narena == 0 && !report->has_labels)
		return;
	if (json) {
		print_json(report);
		return;
	}
	print_human(report);
	for (i = 0; i < report->inspect.narena; i++)
		infoblock_print_arena(report->media, &report->inspect.arena[i]);
}

static int
run(const void *arg, char *const operands[])
{
	const struct info_options *options;
	const struct media_options media_options = {
		.read_only = true,
		.allow_sparse = true,
	};
	struct report report = { .path = operands[0] };
	struct btt_error error = { "" };
	int r;

	options = arg;
	r = media_open(report.path, &media_options, &report.media, &error);
	if (r < 0)
		return ctl_fail(report.path, r, &error);
	r = btt_labels_read(report.media, &report.labels);
	report.has_labels = r == 0;
	if (r == 0 || r == -ENOENT)
		r = btt_inspect_find(
		    report.media, options->namespace, &report.inspect);
	if (r == 0) {
		report.is_degraded = is_degraded(&report);
		print_report(&report, options->common.json);
		r = report.inspect.verdict;
		error = report.inspect.reason;
		btt_inspect_fini(&report.inspect);
	}
	btt_labels_fini(&report.labels);
	media_close(report.media);
	return r < 0 ? ctl_fail(report.path, r, &error) : 0;
}

static_assert(sizeof(struct info_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_info = {
	.name = "info",
	.operands = "PATH",
	.summary = "Show what the info blocks of a BTT say, damaged or not",
	.options = options_table,
	.options_bytes = sizeof(struct info_options),
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};

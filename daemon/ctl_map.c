/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <btt/inspect.h>
#include <btt/media.h>

#include "ctl.h"
#include "json_stream.h"
#include "map_run.h"

struct map_options {
	struct ctl_common common;
	const char *namespace;
};

static const struct ctl_option options_table[] = {
	CTL_OPTION_NAMESPACE(offsetof(struct map_options, namespace)),
	CTL_OPTION_JSON,
	CTL_OPTION_END,
};

/* Sectors of the device. */
struct range {
	uint64_t first, last;
};

/* One run of the command. */
struct mapping {
	const struct map_options *options;
	const char *path;
	struct media *media;
	struct btt_inspect inspect;
	uint64_t nsector;
	/* That of one arena at a time: together they may be large. */
	struct btt_inspect_log log;
	bool has_log;
	uint32_t log_arena;
	struct map_view view;
	struct map_total total;
	struct json_stream json;
	int r; /* the first failure */
};

/* A failure that ends nothing: what can be shown is. */
static void
note_failure(struct mapping *mapping, int r, const struct btt_error *error)
{
	(void)ctl_fail(mapping->path, r, error);
	if (mapping->r == 0)
		mapping->r = r;
}

/* The log of the arena, or NULL with a word that it cannot be had. */
static const struct btt_inspect_log *
log_of(struct mapping *mapping, uint32_t arena)
{
	struct btt_error error = { "" };
	int r;

	if (mapping->has_log && mapping->log_arena == arena)
		return mapping->log.npair > 0 ? &mapping->log : NULL;
	btt_inspect_log_fini(&mapping->log);
	mapping->has_log = true;
	mapping->log_arena = arena;
	r = btt_inspect_log(mapping->media, &mapping->inspect.arena[arena],
	    &mapping->log, &error);
	if (r == 0)
		return &mapping->log;
	note_failure(mapping, r, &error);
	return NULL;
}

static void
print_run(void *arg, const struct map_run *run)
{
	struct mapping *mapping;

	mapping = arg;
	if (mapping->options->common.json)
		json_stream_add(
		    &mapping->json, NULL, map_run_to_json(&mapping->view, run));
	else
		map_run_print(&mapping->view, run);
}

/* Sectors of the device, which may be of several arenas. */
static void
print_range(struct mapping *mapping, const struct range *range)
{
	const struct btt_inspect_log *log;
	struct btt_error error = { "" };
	const struct btt_inspect_arena *arena;
	uint32_t index, premap, n;
	uint64_t lba;
	int r;

	for (lba = range->first; lba <= range->last; lba += n) {
		if (!btt_inspect_locate(
			&mapping->inspect, lba, &index, &premap))
			return;
		arena = &mapping->inspect.arena[index];
		n = arena->info.external_nlba - premap;
		if (n > range->last - lba + 1)
			n = (uint32_t)(range->last - lba + 1);
		mapping->view.arena = index;
		mapping->view.first_lba = lba - premap;
		log = log_of(mapping, index);
		r = map_run_each(mapping->media, arena, log, premap, n,
		    mapping->view.is_single, print_run, mapping,
		    &mapping->total, &error);
		if (r < 0)
			note_failure(mapping, r, &error);
	}
}

static void
begin_output(struct mapping *mapping)
{
	struct json_stream *json;

	if (!mapping->options->common.json) {
		map_run_print_heading(&mapping->view);
		return;
	}
	json = &mapping->json;
	json_stream_array(json, NULL);
	json_stream_object(json, NULL);
	json_stream_add_text(json, "file", mapping->path);
	json_stream_add_number(json, "sector_size",
	    mapping->inspect.arena[0].info.external_lbasize);
	json_stream_add_number(json, "sectors", mapping->nsector);
	json_stream_array(json, "map");
}

static void
end_output(struct mapping *mapping)
{
	struct json_stream *json;

	if (!mapping->options->common.json) {
		if (!mapping->view.is_single)
			map_total_print(&mapping->total, mapping->view.colour);
		return;
	}
	json = &mapping->json;
	json_stream_end(json);
	json_stream_add(json, "total", map_total_to_json(&mapping->total));
	json_stream_end(json);
	json_stream_end(json);
}

static void
print_map(struct mapping *mapping, const struct range *ranges, size_t nrange)
{
	const struct range all = { 0, mapping->nsector - 1 };
	size_t i;

	mapping->view.is_single = nrange > 0;
	begin_output(mapping);
	if (nrange == 0)
		print_range(mapping, &all);
	for (i = 0; i < nrange; i++)
		print_range(mapping, &ranges[i]);
	end_output(mapping);
}

/* A number, decimal or with 0x; ret_end is what follows it. */
static bool
parse_lba(const char *text, uint64_t *ret_lba, const char **ret_end)
{
	char *end;

	/* strtoull takes blanks and signs too, and octal; we do not. */
	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*ret_lba =
	    strtoull(text, &end, text[0] == '0' && text[1] == 'x' ? 16 : 10);
	*ret_end = end;
	return errno == 0;
}

/* "5" or "5-9" */
static bool
parse_range(const char *text, struct range *ret_range)
{
	const char *end;

	if (!parse_lba(text, &ret_range->first, &end))
		return false;
	ret_range->last = ret_range->first;
	if (*end == '-' && !parse_lba(end + 1, &ret_range->last, &end))
		return false;
	return *end == '\0' && ret_range->first <= ret_range->last;
}

/* All ranges that end within the device; of others it is said. */
static size_t
check_ranges(struct mapping *mapping, struct range *ranges, size_t nrange)
{
	struct btt_error error;
	size_t i, n;

	n = 0;
	for (i = 0; i < nrange; i++) {
		if (ranges[i].last < mapping->nsector) {
			ranges[n++] = ranges[i];
			continue;
		}
		note_failure(mapping,
		    btt_error_set(&error, -ERANGE,
			"sector %" PRIu64 " is beyond the last one, %" PRIu64,
			ranges[i].last, mapping->nsector - 1),
		    &error);
	}
	return n;
}

/* What there is, and then why it may not be all. */
static void
map_media(struct mapping *mapping, struct range *ranges, size_t nrange)
{
	size_t n;
	int r;

	r = btt_inspect_find(
	    mapping->media, mapping->options->namespace, &mapping->inspect);
	if (r < 0) {
		note_failure(mapping, r, NULL);
		return;
	}
	mapping->nsector = btt_inspect_nsector(&mapping->inspect);
	if (mapping->inspect.verdict < 0)
		note_failure(mapping, mapping->inspect.verdict,
		    &mapping->inspect.reason);
	if (mapping->nsector > 0) {
		n = check_ranges(mapping, ranges, nrange);
		if (n > 0 || nrange == 0)
			print_map(mapping, ranges, n);
	}
	btt_inspect_log_fini(&mapping->log);
	btt_inspect_fini(&mapping->inspect);
}

static int
run(const void *options, char *const operands[])
{
	const struct media_options media_options = {
		.read_only = true,
		.allow_sparse = true,
	};
	struct mapping mapping = {
		.options = options,
		.path = operands[0],
		.view = { .colour = colour_of(stdout) },
	};
	struct btt_error error = { "" };
	struct range *ranges;
	size_t i, nrange;
	int r;

	for (nrange = 0; operands[1 + nrange] != NULL; nrange++)
		;
	if ((ranges = calloc(nrange + 1, sizeof(*ranges))) == NULL)
		ctl_die_of_memory();
	for (i = 0; i < nrange; i++) {
		if (parse_range(operands[1 + i], &ranges[i]))
			continue;
		warnx("map: %s: not a sector number or a range such as 0-15",
		    operands[1 + i]);
		free(ranges);
		return CTL_EXIT_USAGE;
	}
	r = media_open(mapping.path, &media_options, &mapping.media, &error);
	if (r < 0) {
		note_failure(&mapping, r, &error);
	} else {
		map_media(&mapping, ranges, nrange);
		media_close(mapping.media);
	}
	free(ranges);
	return ctl_exit_status(mapping.r);
}

static_assert(sizeof(struct map_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_map = {
	.name = "map",
	.operands = "PATH [LBA ...]",
	.summary = "Show where sectors lie, and what recovery will change",
	.options = options_table,
	.options_bytes = sizeof(struct map_options),
	.min_operands = 1,
	.max_operands = CTL_OPERANDS_MANY,
	.run = run,
};

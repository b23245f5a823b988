/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include <btt/inspect.h>
#include <btt/media.h>

#include "ctl.h"
#include "infoblock.h"
#include "json_stream.h"
#include "log_text.h"
#include "map_run.h"
#include "size.h"

struct dump_options {
	struct ctl_common common;
	bool info, log, map;
	struct ctl_number arena;
	const char *namespace;
};

#define AT(member) offsetof(struct dump_options, member)
static const struct ctl_option options_table[] = {
	{ 0, "info", CTL_SWITCH, AT(info), NULL, NULL,
	    "info blocks (all parts, if none is named)" },
	{ 0, "log", CTL_SWITCH, AT(log), NULL, NULL, "log pairs" },
	{ 0, "map", CTL_SWITCH, AT(map), NULL, NULL, "map entries, as runs" },
	{ 0, "arena", CTL_NUMBER, AT(arena), "N", NULL, "only arena N" },
	CTL_OPTION_NAMESPACE(AT(namespace)),
	CTL_OPTION_JSON,
	CTL_OPTION_END,
};

/* One run of the command. */
struct dump {
	const struct dump_options *options;
	bool info, log, map; /* what is shown */
	const char *path;
	struct media *media;
	struct btt_inspect inspect;
	struct map_view view;
	struct json_stream json;
	uint32_t nshown; /* arenas */
	int r;           /* the first failure */
};

static void
note_failure(struct dump *dump, int r, const struct btt_error *error)
{
	(void)ctl_fail(dump->path, r, error);
	if (dump->r == 0)
		dump->r = r;
}

static void
dump_info(struct dump *dump, const struct btt_inspect_arena *arena)
{
	if (!dump->options->common.json)
		infoblock_print_arena(dump->media, arena);
	else
		json_stream_add(&dump->json, "infoblocks",
		    infoblock_copies_json(dump->media, arena));
}

static void
print_run(void *arg, const struct map_run *run)
{
	struct dump *dump;

	dump = arg;
	if (dump->options->common.json)
		json_stream_add(
		    &dump->json, NULL, map_run_to_json(&dump->view, run));
	else
		map_run_print(&dump->view, run);
}

static void
dump_map(struct dump *dump, const struct btt_inspect_arena *arena,
    const struct btt_inspect_log *log)
{
	struct map_total total = { .nrun = 0 };
	struct btt_error error = { "" };
	struct json_stream *json;
	int r;

	json = &dump->json;
	if (dump->options->common.json) {
		json_stream_array(json, "map");
	} else {
		printf("\nmap of arena %u\n", arena->index);
		map_run_print_heading(&dump->view);
	}
	r = map_run_each(dump->media, arena, log, 0, arena->info.external_nlba,
	    false, print_run, dump, &total, &error);
	if (dump->options->common.json) {
		json_stream_end(json);
		json_stream_add(json, "total", map_total_to_json(&total));
	} else {
		map_total_print(&total, dump->view.colour);
	}
	if (r < 0)
		note_failure(dump, r, &error);
}

/* The log is needed for the map as well, which shows what is pending. */
static void
dump_log_and_map(struct dump *dump, const struct btt_inspect_arena *arena)
{
	struct btt_inspect_log log = { .npair = 0 };
	struct btt_error error = { "" };
	int r;

	r = btt_inspect_log(dump->media, arena, &log, &error);
	if (r < 0)
		note_failure(dump, r, &error);
	if (dump->log && r == 0) {
		if (dump->options->common.json)
			log_text_stream(&dump->json, &log);
		else
			log_text_print(&log, arena->index, dump->view.colour);
	}
	if (dump->map)
		dump_map(dump, arena, r == 0 ? &log : NULL);
	btt_inspect_log_fini(&log);
}

static void
dump_arena(struct dump *dump, uint32_t i)
{
	const struct btt_inspect_arena *arena;
	struct json_stream *json;
	uint32_t k;

	arena = &dump->inspect.arena[i];
	if (dump->options->arena.given &&
	    arena->index != dump->options->arena.value)
		return;
	dump->nshown++;
	/* Behind a gap nobody knows which sectors of the device these are. */
	dump->view.arena = arena->index;
	dump->view.first_lba = 0;
	for (k = 0; i < dump->inspect.nsequence && k < i; k++)
		dump->view.first_lba +=
		    dump->inspect.arena[k].info.external_nlba;
	json = &dump->json;
	if (dump->options->common.json) {
		json_stream_object(json, NULL);
		json_stream_add_number(json, "id", arena->index);
		json_stream_add_number(json, "offset", arena->off);
		json_stream_add_text(
		    json, "layout", ctl_layout_name(arena->layout));
		json_stream_add_bool(
		    json, "in_sequence", i < dump->inspect.nsequence);
	}
	if (dump->info)
		dump_info(dump, arena);
	if (dump->log || dump->map)
		dump_log_and_map(dump, arena);
	if (dump->options->common.json)
		json_stream_end(json);
}

static void
begin_output(struct dump *dump)
{
	char text[SIZE_TEXT_BYTES];
	struct json_stream *json;

	if (!dump->options->common.json) {
		size_format_full(dump->media->size, text);
		printf("%s: %s\n", dump->path, text);
		return;
	}
	json = &dump->json;
	json_stream_array(json, NULL);
	json_stream_object(json, NULL);
	json_stream_add_text(json, "file", dump->path);
	json_stream_add_number(json, "backing_size", dump->media->size);
	if (dump->inspect.verdict < 0)
		json_stream_add_text(
		    json, "message", dump->inspect.reason.text);
	json_stream_array(json, "arenas");
}

static void
end_output(struct dump *dump)
{
	if (!dump->options->common.json)
		return;
	json_stream_end(&dump->json);
	json_stream_end(&dump->json);
	json_stream_end(&dump->json);
}

static void
dump_media(struct dump *dump)
{
	struct btt_error error;
	uint32_t i;
	int r;

	r = btt_inspect_find(
	    dump->media, dump->options->namespace, &dump->inspect);
	if (r < 0) {
		note_failure(dump, r, NULL);
		return;
	}
	/* Where there is nothing of a BTT this says all there is. */
	if (dump->inspect.verdict < 0)
		note_failure(
		    dump, dump->inspect.verdict, &dump->inspect.reason);
	if (dump->inspect.narena > 0) {
		begin_output(dump);
		for (i = 0; i < dump->inspect.narena; i++)
			dump_arena(dump, i);
		end_output(dump);
	}
	if (dump->inspect.narena > 0 && dump->nshown == 0)
		note_failure(dump,
		    btt_error_set(&error, -ENOENT, "has no arena %u",
			dump->options->arena.value),
		    &error);
	btt_inspect_fini(&dump->inspect);
}

static int
run(const void *arg, char *const operands[])
{
	const struct dump_options *options;
	const struct media_options media_options = {
		.read_only = true,
		.allow_sparse = true,
	};
	struct dump dump = {
		.path = operands[0],
		.view = { .colour = colour_of(stdout) },
	};
	struct btt_error error = { "" };
	bool all;
	int r;

	options = arg;
	all = !options->info && !options->log && !options->map;
	dump.options = options;
	dump.info = all || options->info;
	dump.log = all || options->log;
	dump.map = all || options->map;
	r = media_open(dump.path, &media_options, &dump.media, &error);
	if (r < 0)
		return ctl_fail(dump.path, r, &error);
	dump_media(&dump);
	media_close(dump.media);
	return ctl_exit_status(dump.r);
}

static_assert(sizeof(struct dump_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_dump = {
	.name = "dump",
	.operands = "PATH",
	.summary = "Show all metadata: info blocks, log and map, damaged or "
		   "not",
	.options = options_table,
	.options_bytes = sizeof(struct dump_options),
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};

/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <btt/check.h>
#include <btt/media.h>

#include "colour.h"
#include "ctl.h"
#include "progress.h"

struct check_options {
	struct ctl_common common;
	const char *namespace;
};

static const struct ctl_option options_table[] = {
	CTL_OPTION_NAMESPACE(offsetof(struct check_options, namespace)),
	CTL_OPTION_JSON,
	CTL_OPTION_QUIET,
	CTL_OPTION_VERBOSE,
	CTL_OPTION_END,
};

/* One run; findings are printed as they come, none is kept. */
struct checking {
	const struct check_options *options;
	const char *path;
	struct progress progress;
	bool begun; /* the head of the output is printed */
};

static const char *
severity_name(enum btt_severity severity)
{
	return severity == BTT_DAMAGE ? "damage" : "note";
}

static void
print_finding(struct checking *checking, const struct btt_finding *finding)
{
	char entry[24];

	if (!checking->begun)
		printf("%-20s %-8s %5s %12s %16s %-6s %s\n", "KIND", "SEVERITY",
		    "ARENA", "ENTRY", "BYTE", "REPAIR", "WHAT");
	checking->begun = true;
	strcpy(entry, "-");
	if (finding->entry != BTT_NO_ENTRY)
		snprintf(entry, sizeof(entry), "%" PRIu64, finding->entry);
	printf("%-20s %-8s %5u %12s %16" PRIu64 " %-6s %s\n", finding->name,
	    severity_name(finding->severity), finding->arena, entry,
	    finding->off,
	    finding->severity != BTT_DAMAGE ? "-"
		: finding->repairable       ? "yes"
					    : "no",
	    finding->text);
	if (checking->options->common.verbose && finding->endangers != NULL)
		printf("%73s %s\n", "endangers:", finding->endangers);
}

/*
 * The JSON is written piece by piece, so that memory does not depend on how
 * many findings a hostile image asks for.
 */
static void
begin_json(struct checking *checking)
{
	struct json_object *path;

	if (checking->begun)
		return;
	checking->begun = true;
	if ((path = json_object_new_string(checking->path)) == NULL)
		ctl_die_of_memory();
	printf("[\n  {\n    \"file\": %s,\n    \"findings\": [",
	    json_object_to_json_string_ext(
		path, JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(path);
}

static void
print_finding_json(struct checking *checking, const struct btt_finding *finding)
{
	struct json_object *object;
	bool first;

	first = !checking->begun;
	begin_json(checking);
	object = ctl_new_object();
	ctl_add_text(object, "kind", finding->name);
	ctl_add_text(object, "severity", severity_name(finding->severity));
	ctl_add_number(object, "arena", finding->arena);
	if (finding->entry != BTT_NO_ENTRY)
		ctl_add_number(object, "entry", finding->entry);
	ctl_add_number(object, "offset", finding->off);
	ctl_add_bool(object, "repairable", finding->repairable);
	if (finding->endangers != NULL)
		ctl_add_text(object, "endangers", finding->endangers);
	ctl_add_text(object, "message", finding->text);
	printf("%s\n      %s", first ? "" : ",",
	    json_object_to_json_string_ext(object,
		JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

static void
report(void *arg, const struct btt_finding *finding)
{
	struct checking *checking;

	checking = arg;
	if (checking->options->common.json) {
		print_finding_json(checking, finding);
	} else if (!checking->options->common.quiet) {
		progress_clear(&checking->progress);
		print_finding(checking, finding);
	}
}

/*
 * Metadata that contradicts itself to the point that the arenas cannot be
 * found is damage like any other, though the library has nothing more to list.
 */
static const char *
verdict(const struct btt_check_result *result, int r)
{
	if (r == -EUCLEAN || (r == 0 && result->ndamage > 0))
		return "damaged";
	return r < 0 ? "unknown" : "clean";
}

static void
end_json(struct checking *checking, const struct btt_check_result *result,
    int r, const struct btt_error *error)
{
	const struct {
		const char *key;
		uint64_t number;
	} counts[] = {
		{ "damage", result->ndamage },
		{ "repairable", result->nrepairable },
		{ "notes", result->nnote },
		{ "sectors", result->nsector },
		{ "map_normal", result->nnormal },
		{ "map_initial", result->ninitial },
		{ "map_zero", result->nzero },
		{ "map_error", result->nerror },
		{ "pending_writes", result->npending },
	};
	struct json_object *text;
	size_t i;

	printf("%s],\n", checking->begun ? "\n    " : "");
	if (r < 0) {
		if ((text = json_object_new_string(error->text)) == NULL)
			ctl_die_of_memory();
		printf(
		    "    \"message\": %s,\n", json_object_to_json_string(text));
		json_object_put(text);
	}
	for (i = 0; r == 0 && i < sizeof(counts) / sizeof(counts[0]); i++)
		printf("    \"%s\": %" PRIu64 ",\n", counts[i].key,
		    counts[i].number);
	printf("    \"verdict\": \"%s\"\n  }\n]\n", verdict(result, r));
}

static void
print_verdict(
    const struct checking *checking, const struct btt_check_result *result)
{
	const struct colour *colour;

	if (checking->begun)
		putchar('\n');
	colour = colour_of(stdout);
	printf("%s: %s%s%s", checking->path,
	    result->ndamage > 0 ? colour->bad : colour->good,
	    verdict(result, 0), colour->off);
	if (result->ndamage > 0)
		printf(", %" PRIu64 " finding%s, %" PRIu64
		       " of them repairable",
		    result->ndamage, result->ndamage == 1 ? "" : "s",
		    result->nrepairable);
	if (result->nnote > 0)
		printf(", %" PRIu64 " note%s", result->nnote,
		    result->nnote == 1 ? "" : "s");
	printf("\n  %" PRIu64 " sectors: %" PRIu64 " written, %" PRIu64
	       " never written, %" PRIu64 " zero, %" PRIu64 " error\n",
	    result->nsector, result->nnormal, result->ninitial, result->nzero,
	    result->nerror);
	if (result->npending > 0)
		printf(
		    "  interrupted writes, completed at the next open: %" PRIu64
		    "\n",
		    result->npending);
}

static int
check_media(struct checking *checking, const struct media *media)
{
	const struct ctl_common *common;
	struct btt_check_result result = { 0 };
	const struct btt_check_options options = {
		.report = report,
		.report_arg = checking,
		.namespace = checking->options->namespace,
		.progress = progress_callback,
		.progress_arg = &checking->progress,
	};
	struct btt_error error = { "" };
	int r;

	common = &checking->options->common;
	progress_begin(
	    &checking->progress, "Checking", PROGRESS_STEPS, !common->quiet);
	r = btt_check(media, &options, &result, &error);
	progress_end(&checking->progress);
	if (common->json && (r == 0 || r == -EUCLEAN || checking->begun)) {
		begin_json(checking);
		end_json(checking, &result, r, &error);
	} else if (r == 0 && !common->quiet) {
		print_verdict(checking, &result);
	}
	if (r < 0) {
		ctl_fail(checking->path, r, &error);
		return r == -EUCLEAN ? CTL_FSCK_DAMAGE : CTL_FSCK_CANNOT;
	}
	return result.ndamage > 0 ? CTL_FSCK_DAMAGE : 0;
}

static int
run(const void *options, char *const operands[])
{
	const struct media_options media_options = {
		.read_only = true,
		.allow_sparse = true,
	};
	struct checking checking = {
		.options = options,
		.path = operands[0],
	};
	struct btt_error error = { "" };
	struct media *media;
	int r, status;

	r = media_open(checking.path, &media_options, &media, &error);
	if (r < 0) {
		ctl_fail(checking.path, r, &error);
		return CTL_FSCK_CANNOT;
	}
	status = check_media(&checking, media);
	media_close(media);
	return status;
}

static_assert(sizeof(struct check_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_check = {
	.name = "check",
	.operands = "PATH",
	.summary = "Look for damage in the metadata of a BTT, changing nothing",
	.options = options_table,
	.options_bytes = sizeof(struct check_options),
	.min_operands = 1,
	.max_operands = 1,
	.fsck_status = true,
	.run = run,
};

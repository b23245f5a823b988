/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_output -- findings and what they amount to, as a table or as JSON.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "check_run.h"
#include "colour.h"

static const char *
severity_name(enum btt_severity severity)
{
	return severity == BTT_DAMAGE ? "damage" : "note";
}

static void
print_row(struct checking *checking, const struct btt_finding *finding)
{
	const struct colour *colour = colour_of(stdout);
	bool is_damage = finding->severity == BTT_DAMAGE;
	char entry[24];

	if (!checking->begun)
		printf("%-20s %-8s %5s %12s %16s %-6s %s\n", "KIND", "SEVERITY",
		    "ARENA", "ENTRY", "BYTE", "REPAIR", "WHAT");
	checking->begun = true;
	strcpy(entry, "-");
	if (finding->entry != BTT_NO_ENTRY)
		snprintf(entry, sizeof(entry), "%" PRIu64, finding->entry);
	printf("%-20s %s%-8s%s %5u %12s %16" PRIu64 " %-6s %s\n", finding->name,
	    is_damage ? colour->bad : colour->faint,
	    severity_name(finding->severity), colour->off, finding->arena,
	    entry, finding->off,
	    !is_damage                ? "-"
		: finding->repairable ? "yes"
				      : "no",
	    finding->text);
	if (checking->options->common.verbose && finding->endangers != NULL)
		printf("%73s %s\n", "endangers:", finding->endangers);
}

/* The array of findings is there even if it is empty. */
static void
begin_json(struct checking *checking)
{
	struct json_stream *json = &checking->json;

	if (checking->begun)
		return;
	checking->begun = true;
	json_stream_array(json, NULL);
	json_stream_object(json, NULL);
	json_stream_add_text(json, "file", checking->path);
	json_stream_array(json, "findings");
}

static void
print_json(struct checking *checking, const struct btt_finding *finding)
{
	struct json_object *object;

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
	json_stream_add(&checking->json, NULL, object);
}

void
check_print_finding(void *arg, const struct btt_finding *finding)
{
	struct checking *checking;

	checking = arg;
	if (checking->options->common.json) {
		print_json(checking, finding);
	} else if (!checking->options->common.quiet) {
		progress_clear(&checking->progress);
		print_row(checking, finding);
	}
}

static void
print_counts_json(struct checking *checking,
    const struct btt_check_result *result, int r, const struct btt_error *error)
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
	size_t i;

	begin_json(checking);
	json_stream_end(&checking->json);
	if (r < 0)
		json_stream_add_text(&checking->json, "message", error->text);
	for (i = 0; r == 0 && i < sizeof(counts) / sizeof(counts[0]); i++)
		json_stream_add_number(
		    &checking->json, counts[i].key, counts[i].number);
}

static void
print_counts(
    const struct checking *checking, const struct btt_check_result *result)
{
	const struct colour *colour = colour_of(stdout);

	if (checking->begun)
		putchar('\n');
	printf("%s: %s%s%s", checking->path,
	    result->ndamage > 0 ? colour->bad : colour->good,
	    result->ndamage > 0 ? "damaged" : "clean", colour->off);
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

void
check_print_result(struct checking *checking,
    const struct btt_check_result *result, int r, const struct btt_error *error)
{
	const struct ctl_common *common = &checking->options->common;

	/* What could not be looked at has no findings, and no object. */
	if (common->json && (r == 0 || r == -EUCLEAN || checking->begun))
		print_counts_json(checking, result, r, error);
	else if (r == 0 && !common->json && !common->quiet)
		print_counts(checking, result);
}

void
check_print_verdict(struct checking *checking, int status)
{
	static const char *const verdicts[] = {
		[CHECK_CLEAN] = "clean",
		[CHECK_REPAIRED] = "repaired",
		[CTL_FSCK_DAMAGE] = "damaged",
		[CTL_FSCK_CANNOT] = "unknown",
	};

	if (!checking->options->common.json || !checking->begun)
		return;
	json_stream_add_text(&checking->json, "verdict", verdicts[status]);
	json_stream_end(&checking->json);
	json_stream_end(&checking->json);
}

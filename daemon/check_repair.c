/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_repair -- from a plan to its end: it is shown, somebody says yes, what
 * it overwrites is saved, it is carried out, and the BTT is checked once more.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <btt/undo.h>
#include <lanes/sync.h>

#include "check_run.h"
#include "colour.h"
#include "interrupt.h"

/* Rows of the table for people, unless they want to see more. */
#define ROWS_MAX 100u

static bool
can_ask(const struct check_options *options)
{
	return !options->common.json && !options->common.quiet &&
	    isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

bool
check_will_write(const struct check_options *options)
{
	return options->repair && (options->yes || can_ask(options));
}

static void
print_row(const struct btt_repair_change *change)
{
	const struct colour *colour = colour_of(stdout);
	char entry[24];

	strcpy(entry, "-");
	if (change->entry != BTT_NO_ENTRY)
		snprintf(entry, sizeof(entry), "%" PRIu64, change->entry);
	printf("%-20s %s%-8s%s %5u %12s %16" PRIu64 " %-6s %s\n", change->name,
	    change->is_withheld ? colour->doubtful : "",
	    change->is_withheld ? "withheld" : "mend", colour->off,
	    change->arena, entry, change->off, change->loses_data ? "yes" : "-",
	    change->text);
}

static void
print_table(const struct checking *checking, const struct btt_repair *plan,
    const struct btt_repair_summary *summary)
{
	uint32_t nrow = summary->nchange;
	uint32_t i;

	if (nrow > ROWS_MAX && !checking->options->common.verbose)
		nrow = ROWS_MAX;
	if (nrow > 0)
		printf("\n%-20s %-8s %5s %12s %16s %-6s %s\n", "KIND", "REPAIR",
		    "ARENA", "ENTRY", "BYTE", "LOSS", "WHAT");
	for (i = 0; i < nrow; i++) {
		struct btt_repair_change change;

		btt_repair_get_change(plan, i, &change);
		print_row(&change);
	}
	if (nrow < summary->nchange)
		printf("and %u more; --verbose shows them\n",
		    summary->nchange - nrow);
	for (i = 0; i < summary->nrefusal; i++) {
		struct btt_repair_refusal refusal;

		btt_repair_get_refusal(plan, i, &refusal);
		printf("%sarena %u: %s\n", i == 0 ? "\n" : "", refusal.arena,
		    refusal.text);
	}
	if (summary->nwithheld > 0)
		printf("--allow-data-loss mends that as well\n");
}

static struct json_object *
change_object(const struct btt_repair_change *change)
{
	struct json_object *object;

	object = ctl_new_object();
	ctl_add_text(object, "kind", change->name);
	ctl_add_number(object, "arena", change->arena);
	if (change->entry != BTT_NO_ENTRY)
		ctl_add_number(object, "entry", change->entry);
	ctl_add_number(object, "offset", change->off);
	ctl_add_bool(object, "loses_data", change->loses_data);
	ctl_add_bool(object, "withheld", change->is_withheld);
	ctl_add_text(object, "message", change->text);
	return object;
}

/* The object "repair" stays open. */
static void
print_json(struct checking *checking, const struct btt_repair *plan,
    const struct btt_repair_summary *summary)
{
	struct json_stream *json = &checking->json;
	uint32_t i;

	json_stream_array(json, "changes");
	for (i = 0; i < summary->nchange; i++) {
		struct btt_repair_change change;

		btt_repair_get_change(plan, i, &change);
		json_stream_add(json, NULL, change_object(&change));
	}
	json_stream_end(json);
	json_stream_array(json, "refusals");
	for (i = 0; i < summary->nrefusal; i++) {
		struct btt_repair_refusal refusal;
		struct json_object *object;

		btt_repair_get_refusal(plan, i, &refusal);
		object = ctl_new_object();
		ctl_add_number(object, "arena", refusal.arena);
		ctl_add_text(object, "message", refusal.text);
		json_stream_add(json, NULL, object);
	}
	json_stream_end(json);
	json_stream_add_number(json, "withheld", summary->nwithheld);
	json_stream_add_number(json, "lossy", summary->nloss);
}

/* Only a line that begins with y is a yes. */
static bool
ask(uint32_t nchange)
{
	char line[16];

	fflush(stdout);
	fprintf(stderr, "Carry out %s %u change%s? [y/N] ",
	    nchange == 1 ? "this" : "these", nchange, nchange == 1 ? "" : "s");
	if (fgets(line, sizeof(line), stdin) == NULL)
		return false;
	return line[0] == 'y' || line[0] == 'Y';
}

/* The name of a file is durable once its directory is. */
static int
sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory;
	int fd, r = 0;

	directory = slash == NULL ? strdup(".")
	    : slash == path       ? strdup("/")
				  : strndup(path, (size_t)(slash - path));
	if (directory == NULL)
		return -ENOMEM;
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || SYNC_SLEEPS(fsync(fd)) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	free(directory);
	return r;
}

/* All of it is on the medium before the image changes, or nothing does. */
static int
save_undo(const char *path, const struct btt_repair *plan,
    const struct media *media, struct btt_error *error)
{
	int fd, r;

	if ((fd = interrupt_create(path)) < 0)
		return fd;
	if ((r = btt_undo_write(plan, media, fd, error)) == 0)
		r = sync_directory(path);
	if (r == 0)
		interrupt_keep();
	else
		interrupt_remove();
	close(fd);
	return r;
}

/* What it came to, by a second look. */
static int
check_result(
    struct checking *checking, const struct media *media, uint32_t nchange)
{
	const struct ctl_common *common = &checking->options->common;
	struct btt_check_result result = { 0 };
	struct btt_error error = { "" };
	int r;

	if ((r = check_again(checking, media, &result, &error)) < 0) {
		ctl_fail(checking->path, r, &error);
		return r == -EUCLEAN ? CTL_FSCK_DAMAGE : CTL_FSCK_CANNOT;
	}
	if (common->json)
		json_stream_add_number(
		    &checking->json, "damage_left", result.ndamage);
	else if (!common->quiet)
		printf("%s: %s, %u change%s\n", checking->path,
		    result.ndamage > 0 ? "repaired in part" : "repaired",
		    nchange, nchange == 1 ? "" : "s");
	return result.ndamage > 0 ? CTL_FSCK_DAMAGE : CHECK_REPAIRED;
}

static int
carry_out(struct checking *checking, struct media *media,
    const struct btt_repair *plan, uint32_t nchange)
{
	const struct check_options *options = checking->options;
	struct btt_error error = { "" };
	int r = 0;

	if (options->undo != NULL)
		r = save_undo(options->undo, plan, media, &error);
	if (options->common.json)
		json_stream_add_bool(&checking->json, "written", r == 0);
	if (r < 0) {
		ctl_fail(options->undo, r, &error);
		return CTL_FSCK_CANNOT;
	}
	if ((r = btt_repair_apply(plan, media, &error)) < 0) {
		ctl_fail(checking->path, r, &error);
		return CTL_FSCK_CANNOT;
	}
	return check_result(checking, media, nchange);
}

/* Nothing was written: what is left of the damage is all of it. */
static int
leave(struct checking *checking, const struct btt_check_result *result,
    uint32_t nchange)
{
	const struct ctl_common *common = &checking->options->common;

	if (common->json) {
		json_stream_add_bool(&checking->json, "written", false);
	} else if (!common->quiet) {
		if (nchange > 0)
			printf("\n%s: nothing was written; --yes carries out "
			       "%u change%s\n",
			    checking->path, nchange, nchange == 1 ? "" : "s");
		else
			printf("%s: nothing %s\n", checking->path,
			    result->ndamage > 0 ? "can be repaired"
						: "is to be repaired");
	}
	return result->ndamage > 0 ? CTL_FSCK_DAMAGE : CHECK_CLEAN;
}

static int
run_plan(struct checking *checking, struct media *media,
    const struct btt_repair *plan, const struct btt_check_result *result)
{
	const struct check_options *options = checking->options;
	struct btt_repair_summary summary;
	uint32_t nchange;

	btt_repair_get_summary(plan, &summary);
	nchange = summary.nchange - summary.nwithheld;
	if (options->common.json)
		print_json(checking, plan, &summary);
	else if (!options->common.quiet)
		print_table(checking, plan, &summary);
	if (nchange > 0 && (options->yes || (can_ask(options) && ask(nchange))))
		return carry_out(checking, media, plan, nchange);
	return leave(checking, result, nchange);
}

int
check_repair(struct checking *checking, struct media *media,
    const struct btt_check_result *result)
{
	const struct check_options *options = checking->options;
	const struct btt_repair_options repair_options = {
		.namespace = options->namespace,
		.allow_data_loss = options->allow_data_loss,
		.rewrite_log = options->rewrite_log,
		.clear_error_flag = options->clear_error_flag,
		.nthread = options->threads.value,
		.progress = progress_callback,
		.progress_arg = &checking->progress,
	};
	struct btt_error error = { "" };
	struct btt_repair *plan;
	int r, status;

	progress_begin(&checking->progress, "Planning", PROGRESS_STEPS,
	    !options->common.quiet);
	r = btt_repair_plan(media, &repair_options, &plan, &error);
	progress_end(&checking->progress);
	if (r < 0) {
		ctl_fail(checking->path, r, &error);
		return CTL_FSCK_CANNOT;
	}
	if (options->common.json)
		json_stream_object(&checking->json, "repair");
	status = run_plan(checking, media, plan, result);
	if (options->common.json)
		json_stream_end(&checking->json);
	btt_repair_free(plan);
	return status;
}

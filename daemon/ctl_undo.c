/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <btt/media.h>
#include <btt/undo.h>

#include "ctl.h"

struct undo_options {
	struct ctl_common common;
	bool force;
};

static const struct ctl_option options_table[] = {
	{ 'f', "force", CTL_SWITCH, offsetof(struct undo_options, force), NULL,
	    NULL, "take it on trust that this is the image" },
	CTL_OPTION_JSON,
	CTL_OPTION_QUIET,
	CTL_OPTION_VERBOSE,
	CTL_OPTION_END,
};

static int
read_file(const char *path, struct btt_undo **ret_undo)
{
	struct btt_error error = { "" };
	int fd, r;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)) < 0)
		return ctl_fail(path, -errno, NULL);
	r = btt_undo_read(fd, ret_undo, &error);
	close(fd);
	return r < 0 ? ctl_fail(path, r, &error) : 0;
}

/* The time of the repair, as ISO 8601 has it. */
static void
print_time(uint64_t created)
{
	time_t seconds;
	struct tm tm;
	char text[32];

	seconds = (time_t)created;
	if (gmtime_r(&seconds, &tm) != NULL &&
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		printf("  saved  %s\n", text);
}

static void
print_result(const struct undo_options *options, const char *path,
    const struct btt_undo_summary *summary, uint32_t nwrite)
{
	char uuid[BTT_UUID_TEXT_BYTES];
	struct json_object *object;

	if (options->common.json) {
		object = ctl_new_object();
		ctl_add_text(object, "file", path);
		ctl_add_uuid(object, "uuid", summary->uuid);
		ctl_add_number(object, "saved", summary->created);
		ctl_add_number(object, "writes", summary->nwrite);
		ctl_add_number(object, "restored", nwrite);
		ctl_print_json(object);
		return;
	}
	if (options->common.quiet)
		return;
	printf("%s: ", path);
	if (nwrite == 0)
		printf("as before the repair already\n");
	else
		printf("as before the repair, %u place%s put back\n", nwrite,
		    nwrite == 1 ? "" : "s");
	if (!options->common.verbose)
		return;
	btt_uuid_format(summary->uuid, uuid);
	printf("  uuid   %s\n", uuid);
	print_time(summary->created);
}

static int
apply(const struct undo_options *options, const struct btt_undo *undo,
    const char *path)
{
	const struct media_options media_options = { .allow_sparse = true };
	struct btt_undo_summary summary;
	struct btt_error error = { "" };
	struct media *media;
	uint32_t nwrite;
	int r;

	if ((r = media_open(path, &media_options, &media, &error)) < 0)
		return ctl_fail(path, r, &error);
	r = btt_undo_apply(undo, media, options->force, &nwrite, &error);
	media_close(media);
	if (r < 0)
		return ctl_fail(path, r, &error);
	btt_undo_get_summary(undo, &summary);
	print_result(options, path, &summary, nwrite);
	return 0;
}

static int
run(const void *options, char *const operands[])
{
	struct btt_undo *undo;
	int status;

	if ((status = read_file(operands[0], &undo)) != 0)
		return status;
	status = apply(options, undo, operands[1]);
	btt_undo_free(undo);
	return status;
}

static_assert(sizeof(struct undo_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_undo = {
	.name = "undo",
	.operands = "FILE PATH",
	.summary = "Put back what a repair has overwritten",
	.options = options_table,
	.options_bytes = sizeof(struct undo_options),
	.min_operands = 2,
	.max_operands = 2,
	.run = run,
};

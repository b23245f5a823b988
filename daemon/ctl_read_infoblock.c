/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <btt/inspect.h>
#include <btt/label.h>
#include <btt/media.h>

#include "ctl.h"
#include "infoblock.h"
#include "system_error.h"

struct read_options {
	struct ctl_common common;
	const char *output;
	const char *input;
	bool verify, human;
	struct ctl_number arena;
	struct ctl_choice copy;
	const char *namespace;
};

/* In the order of enum infoblock_which. */
static const char *const copies[] = { "1", "2", NULL };

#define AT(member) offsetof(struct read_options, member)
static const struct ctl_option options_table[] = {
	{ 'o', "output", CTL_PATH, AT(output), "FILE", NULL,
	    "write the blocks there as they are" },
	{ 'i', "input", CTL_PATH, AT(input), "FILE", NULL,
	    "read blocks that were written with -o" },
	{ 'V', "verify", CTL_SWITCH, AT(verify), NULL, NULL,
	    "fail if a block is damaged or out of place" },
	{ 0, "arena", CTL_NUMBER, AT(arena), "N", NULL,
	    "only that of arena N" },
	{ 0, "copy", CTL_CHOICE, AT(copy), "1|2", copies,
	    "the primary (1) or the backup" },
	CTL_OPTION_NAMESPACE(AT(namespace)),
	{ 'u', "human", CTL_SWITCH, AT(human), NULL, NULL,
	    "as --json, flags and offsets in hexadecimal" },
	CTL_OPTION_JSON,
	CTL_OPTION_END,
};

/* One run of the command. */
struct reading {
	const struct read_options *options;
	const char *name; /* of the medium or file */
	struct media *media;
	struct btt_inspect inspect;
	FILE *raw;                  /* where blocks go as they are, or NULL */
	struct json_object *blocks; /* or what is said of them */
	struct btt_info first;      /* that all others must agree with */
	bool has_first;
	uint32_t nblock;
	int r; /* the first failure */

	/* The block at hand: */
	char where[64];
	struct json_object *problems;
	bool is_verified;
};

static void
note_failure(struct reading *reading, int r, const struct btt_error *error)
{
	(void)ctl_fail(reading->name, r, error);
	if (reading->r == 0)
		reading->r = r;
}

/* Something that --verify does not let pass. */
BTT_PRINTF(2, 3)
static void
problem(struct reading *reading, const char *fmt, ...)
{
	struct btt_error text, line;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text.text, sizeof(text.text), fmt, args);
	va_end(args);
	reading->is_verified = false;
	ctl_append(reading->problems, json_object_new_string(text.text));
	(void)btt_error_set(
	    &line, -EUCLEAN, "%s: %s", reading->where, text.text);
	note_failure(reading, -EUCLEAN, &line);
}

static void
info_problem(void *arg, const char *text)
{
	problem(arg, "%s", text);
}

/* What all blocks of a BTT have in common. */
static void
verify_kinship(struct reading *reading, const struct btt_info *info)
{
	const struct btt_info *first;

	if (!reading->has_first) {
		reading->first = *info;
		reading->has_first = true;
		return;
	}
	first = &reading->first;
	if (memcmp(first->uuid, info->uuid, BTT_UUID_BYTES) != 0)
		problem(reading, "uuid is not that of the first block");
	if (memcmp(first->parent_uuid, info->parent_uuid, BTT_UUID_BYTES) != 0)
		problem(reading, "parent_uuid is not that of the first block");
	if (first->major != info->major || first->minor != info->minor)
		problem(reading, "version is not that of the first block");
	if (first->external_lbasize != info->external_lbasize)
		problem(
		    reading, "external_lbasize is not that of the first block");
	if (first->nfree != info->nfree)
		problem(reading, "nfree is not that of the first block");
}

static void
verify(struct reading *reading, const struct btt_info_copy *copy)
{
	if (!btt_info_copy_has_fields(copy)) {
		problem(reading, "%s", infoblock_state_name(copy->state));
		return;
	}
	if (copy->state != BTT_INFO_VALID)
		problem(reading,
		    "checksum is 0x%016" PRIx64
		    ", that of its bytes 0x%016" PRIx64,
		    copy->info.checksum, btt_info_checksum(copy->block));
	(void)btt_inspect_info_problems(&copy->info, info_problem, reading);
	verify_kinship(reading, &copy->info);
}

/* What can be said only of a block in its place. */
static void
verify_place(struct reading *reading, const struct btt_info_copy *copy,
    const struct btt_inspect_arena *arena)
{
	const struct btt_info *info;
	const struct btt_namespace *label;
	struct infoblock_pair pair;
	uint64_t end;

	if (!btt_info_copy_has_fields(copy))
		return;
	info = &copy->info;
	label = reading->inspect.label;
	end = label == NULL ? reading->media->size : label->off + label->bytes;
	if (info->info2off > end - arena->off ||
	    BTT_INFO_BYTES > end - arena->off - info->info2off)
		problem(reading, "info2off %" PRIu64 " is beyond the end",
		    info->info2off);
	else if (copy->off != arena->off &&
	    copy->off != arena->off + info->info2off)
		problem(reading,
		    "info2off %" PRIu64 " is not where the block is",
		    info->info2off);
	infoblock_read(reading->media, arena, &pair);
	if (!infoblock_is_same(&pair))
		problem(reading, "the copies are not the same");
	if (label != NULL && !ctl_uuid_is_null(info->parent_uuid) &&
	    memcmp(label->uuid, info->parent_uuid, BTT_UUID_BYTES) != 0)
		problem(reading, "parent_uuid is not that of the namespace");
}

/* ndctl's keys, and then ours. */
static struct json_object *
block_to_json(struct reading *reading, const struct btt_info_copy *copy,
    const struct btt_inspect_arena *arena)
{
	struct json_object *object;

	object = ctl_new_object();
	ctl_add_text(object, "file", reading->name);
	if (btt_info_copy_has_fields(copy))
		infoblock_add_json(
		    object, &copy->info, reading->options->human);
	ctl_add_text(object, "state", infoblock_state_name(copy->state));
	ctl_add_number(object, "offset", copy->off);
	if (arena != NULL) {
		ctl_add_number(object, "arena", arena->index);
		ctl_add_text(object, "layout", ctl_layout_name(arena->layout));
		ctl_add_text(object, "copy",
		    infoblock_copy_name(copy->off == arena->off
			    ? INFOBLOCK_PRIMARY
			    : INFOBLOCK_BACKUP));
	}
	if (reading->options->verify) {
		ctl_add_bool(object, "verified", reading->is_verified);
		ctl_add(object, "problems", json_object_get(reading->problems));
	}
	return object;
}

/* arena is NULL in a file of blocks. */
static void
take_block(struct reading *reading, const struct btt_info_copy *copy,
    const struct btt_inspect_arena *arena)
{
	struct btt_error error;

	if (arena != NULL)
		snprintf(reading->where, sizeof(reading->where),
		    "arena %u, copy %s at %" PRIu64, arena->index,
		    copies[copy->off == arena->off ? 0 : 1], copy->off);
	else
		snprintf(reading->where, sizeof(reading->where),
		    "block at %" PRIu64, copy->off);
	reading->problems = ctl_new_array();
	reading->is_verified = true;
	if (reading->options->verify) {
		verify(reading, copy);
		if (arena != NULL)
			verify_place(reading, copy, arena);
	} else if (!btt_info_copy_has_fields(copy)) {
		note_failure(reading,
		    btt_error_set(&error,
			copy->state == BTT_INFO_UNREADABLE ? -EIO : -EUCLEAN,
			"%s: %s", reading->where,
			infoblock_state_name(copy->state)),
		    &error);
	}
	if (reading->raw != NULL && copy->state != BTT_INFO_UNREADABLE)
		/* Errors are sticky and looked at when it is closed. */
		(void)fwrite(copy->block, BTT_INFO_BYTES, 1, reading->raw);
	if (reading->blocks != NULL)
		ctl_append(
		    reading->blocks, block_to_json(reading, copy, arena));
	if (btt_info_copy_has_fields(copy))
		reading->nblock++;
	json_object_put(reading->problems);
}

static void
take_from_stream(void *arg, const struct btt_info_copy *copy)
{
	take_block(arg, copy, NULL);
}

static void
read_stream(struct reading *reading)
{
	struct btt_error error = { "" };
	int fd, r;

	fd = STDIN_FILENO;
	if (reading->options->input != NULL &&
	    (fd = open(reading->options->input, O_RDONLY | O_CLOEXEC)) < 0) {
		note_failure(reading, -errno, NULL);
		return;
	}
	r = infoblock_each_in_stream(fd, take_from_stream, reading);
	if (r == 0 && reading->nblock == 0)
		r = btt_error_set(
		    &error, -EMEDIUMTYPE, "there is no info block");
	if (r < 0)
		note_failure(reading, r, &error);
	if (fd != STDIN_FILENO)
		close(fd);
}

static void
read_media(struct reading *reading)
{
	const struct read_options *options;
	const struct btt_inspect_arena *arena;
	struct btt_info_copy copy;
	struct btt_error error;
	uint32_t i, nfound;

	options = reading->options;
	/* That nobody would open it is no failure to read it. */
	if (reading->inspect.verdict < 0) {
		(void)ctl_fail(reading->name, reading->inspect.verdict,
		    &reading->inspect.reason);
		if (options->verify || reading->inspect.narena == 0)
			reading->r = reading->inspect.verdict;
	}
	nfound = 0;
	for (i = 0; i < reading->inspect.narena; i++) {
		arena = &reading->inspect.arena[i];
		if (options->arena.given &&
		    arena->index != options->arena.value)
			continue;
		nfound++;
		btt_inspect_info(reading->media,
		    options->copy.index == INFOBLOCK_PRIMARY
			? arena->off
			: arena->backup_off,
		    &copy);
		take_block(reading, &copy, arena);
	}
	if (nfound == 0 && reading->inspect.narena > 0)
		note_failure(reading,
		    btt_error_set(&error, -ENOENT, "has no arena %u",
			options->arena.value),
		    &error);
}

static bool
wants_json(const struct read_options *options)
{
	return options->common.json || options->human;
}

/* Where the blocks go; what comes out of read_all is complete or has failed. */
static int
open_output(struct reading *reading, struct btt_error *error)
{
	if (wants_json(reading->options))
		reading->blocks = ctl_new_array();
	if (reading->options->output == NULL && reading->blocks != NULL)
		return 0;
	return infoblock_create_file(reading->options->output, true,
	    reading->media, &reading->raw, error);
}

static void
close_output(struct reading *reading)
{
	if (reading->blocks != NULL)
		ctl_print_json_array(reading->blocks);
	/* Standard output is looked at by main. */
	if (reading->raw == NULL || reading->raw == stdout)
		return;
	if (ferror(reading->raw) | fclose(reading->raw)) {
		warnx("%s: cannot be written", reading->options->output);
		if (reading->r == 0)
			reading->r = -EIO;
	}
}

static void
read_all(struct reading *reading)
{
	struct btt_error error = { "" };
	int r;

	if ((r = open_output(reading, &error)) < 0) {
		json_object_put(reading->blocks);
		warnx("%s", error.text);
		reading->r = r;
		return;
	}
	if (reading->media != NULL)
		read_media(reading);
	else
		read_stream(reading);
	close_output(reading);
	fprintf(stderr, "read %u infoblock%s\n", reading->nblock,
	    reading->nblock == 1 ? "" : "s");
}

static int
run_media(struct reading *reading)
{
	const struct media_options media_options = {
		.read_only = true,
		.allow_sparse = true,
	};
	struct btt_error error = { "" };
	int r;

	r = media_open(reading->name, &media_options, &reading->media, &error);
	if (r < 0)
		return ctl_fail(reading->name, r, &error);
	r = btt_inspect_find(
	    reading->media, reading->options->namespace, &reading->inspect);
	if (r == 0) {
		read_all(reading);
		btt_inspect_fini(&reading->inspect);
	} else {
		note_failure(reading, r, NULL);
	}
	media_close(reading->media);
	return ctl_exit_status(reading->r);
}

static int
run(const void *arg, char *const operands[])
{
	const struct read_options *options;
	struct reading reading = { .options = arg };

	options = arg;
	if (operands[0] != NULL && options->input != NULL) {
		warnx("read-infoblock: PATH or --input, not both");
		return CTL_EXIT_USAGE;
	}
	if (operands[0] != NULL) {
		reading.name = operands[0];
		return run_media(&reading);
	}
	if (options->arena.given || options->copy.given ||
	    options->namespace != NULL) {
		warnx("read-infoblock: --arena, --copy and --namespace are "
		      "for a PATH");
		return CTL_EXIT_USAGE;
	}
	if (options->input == NULL && isatty(STDIN_FILENO)) {
		warnx("read-infoblock: PATH is missing, and nothing is piped "
		      "in");
		return CTL_EXIT_USAGE;
	}
	reading.name = options->input != NULL ? options->input : "<stdin>";
	read_all(&reading);
	return ctl_exit_status(reading.r);
}

static_assert(sizeof(struct read_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_read_infoblock = {
	.name = "read-infoblock",
	.operands = "[PATH]",
	.summary = "Copy or decode info blocks, as ndctl does",
	.options = options_table,
	.options_bytes = sizeof(struct read_options),
	.min_operands = 0,
	.max_operands = 1,
	.run = run,
};

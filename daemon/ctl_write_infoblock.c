/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * write-infoblock -- put an info block where it belongs: for whoever has lost
 * one and knows better than the programs what it was.  It comes from the
 * numbers given, from a file, or from the other copy.
 *
 * The backup is written and made durable before the primary is touched, so
 * that a crash leaves at least one whole copy if there was one.  Nothing else
 * is changed: a wrong block does not harm what it describes wrongly, as long
 * as nobody writes through it.
 */
#include <assert.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include <btt/inspect.h>
#include <btt/label.h>
#include <btt/media.h>

#include "ctl.h"
#include "infoblock.h"
#include "infoblock_make.h"
#include "system_error.h"

struct write_options {
	struct ctl_common common;
	struct infoblock_numbers numbers;
	const char *output;
	const char *input;
	bool to_stdout, from_copy, force;
	struct ctl_choice mode;
	struct ctl_number arena;
	struct ctl_choice copy;
	const char *namespace;
};

/* In the order of enum infoblock_which, and of enum btt_layout. */
static const char *const copies[] = { "1", "2", NULL };
static const char *const modes[] = { "sector", NULL };

#define AT(member) offsetof(struct write_options, member)
static const struct ctl_option options_table[] = {
	{ 0, "arena", CTL_NUMBER, AT(arena), "N", NULL, "of arena N (0)" },
	{ 0, "copy", CTL_CHOICE, AT(copy), "1|2", copies,
	    "the primary (1) or the backup only (both)" },
	{ 0, "from-copy", CTL_SWITCH, AT(from_copy), NULL, NULL,
	    "what the other copy says" },
	{ 'i', "input", CTL_PATH, AT(input), "FILE", NULL,
	    "a block that was written with read-infoblock -o" },
	{ 's', "size", CTL_SIZE, AT(numbers.size), "SIZE", NULL,
	    "size of the namespace (what there is)" },
	{ 0, "sector", CTL_NUMBER, AT(numbers.sector), "N", NULL,
	    "bytes of a sector (as other blocks say, or 4096)" },
	{ 0, "nfree", CTL_NUMBER, AT(numbers.nfree), "N", NULL,
	    "free blocks of each arena (the same, or 256)" },
	{ 0, "layout", CTL_CHOICE, AT(numbers.layout), "1.1|2.0",
	    infoblock_layouts, "version of the format (the same, or 1.1)" },
	{ 'u', "uuid", CTL_UUID, AT(numbers.uuid), "U", NULL,
	    "identity of the BTT (the same, or random)" },
	{ 'p', "parent-uuid", CTL_UUID, AT(numbers.parent_uuid), "U", NULL,
	    "identity of the namespace (its own, or null)" },
	{ 'm', "mode", CTL_CHOICE, AT(mode), "sector", modes,
	    "for users of ndctl; there is no other" },
	{ 'o', "output", CTL_PATH, AT(output), "FILE", NULL,
	    "write the block to FILE" },
	{ 'c', "stdout", CTL_SWITCH, AT(to_stdout), NULL, NULL,
	    "write the block to standard output" },
	CTL_OPTION_NAMESPACE(AT(namespace)),
	{ 'f', "force", CTL_SWITCH, AT(force), NULL, NULL,
	    "replace what is valid, or no info block at all" },
	CTL_OPTION_QUIET,
	CTL_OPTION_END,
};

/* One run of the command. */
struct writing {
	const struct write_options *options;
	const char *path; /* NULL: there is no medium */
	struct media *media;
	struct btt_inspect inspect;
	uint64_t base, end; /* of the namespace, on the medium */
	uint8_t block[BTT_INFO_BYTES];
	struct btt_info info;
	uint64_t off[INFOBLOCK_NCOPY]; /* of both copies, on the medium */
	bool is_wanted[INFOBLOCK_NCOPY];
	bool is_same[INFOBLOCK_NCOPY]; /* as what is there already */
};

static uint32_t
arena_index(const struct write_options *options)
{
	return options->arena.given ? options->arena.value : 0;
}

/* The first one that was found of that number, or NULL. */
static const struct btt_inspect_arena *
find_arena(const struct writing *writing)
{
	uint32_t i;

	for (i = 0; i < writing->inspect.narena; i++) {
		if (writing->inspect.arena[i].index ==
		    arena_index(writing->options))
			return &writing->inspect.arena[i];
	}
	return NULL;
}

/* Both copies belong where the block says, from where its arena begins. */
static int
place_copies(
    struct writing *writing, uint64_t arena_off, struct btt_error *error)
{
	uint64_t room;

	room = arena_off > writing->end ? 0 : writing->end - arena_off;
	if (writing->info.info2off < BTT_INFO_BYTES ||
	    writing->info.info2off > room ||
	    BTT_INFO_BYTES > room - writing->info.info2off)
		return btt_error_set(error, -ERANGE,
		    "an arena at %" PRIu64 " whose backup is at %" PRIu64
		    " does not fit",
		    arena_off, writing->info.info2off);
	writing->off[INFOBLOCK_PRIMARY] = arena_off;
	writing->off[INFOBLOCK_BACKUP] = arena_off + writing->info.info2off;
	return 0;
}

/* What the other copy says, which must be whole and in its place. */
static int
take_copy(struct writing *writing, struct btt_error *error)
{
	const struct btt_inspect_arena *arena;
	const struct btt_info_copy *other;
	struct infoblock_pair pair;

	if ((arena = find_arena(writing)) == NULL)
		return btt_error_set(error, -ENOENT, "has no arena %u",
		    arena_index(writing->options));
	infoblock_read(writing->media, arena, &pair);
	other = &pair.copy[INFOBLOCK_NCOPY - 1 - writing->options->copy.index];
	if (other->state != BTT_INFO_VALID)
		return btt_error_set(error, -EUCLEAN,
		    "the %s at %" PRIu64 " is %s as well",
		    infoblock_copy_name((enum infoblock_which)(
			INFOBLOCK_NCOPY - 1 - writing->options->copy.index)),
		    other->off, infoblock_state_name(other->state));
	memcpy(writing->block, other->block, BTT_INFO_BYTES);
	writing->info = other->info;
	if (arena->backup_off - arena->off != other->info.info2off)
		return btt_error_set(error, -EUCLEAN,
		    "the backup is at %" PRIu64 ", and not where info2off "
		    "says, at %" PRIu64,
		    arena->backup_off, arena->off + other->info.info2off);
	return place_copies(writing, arena->off, error);
}

/* The one block of a file. */
struct input {
	struct btt_info_copy copy;
	uint32_t nblock;
};

static void
take_block(void *arg, const struct btt_info_copy *copy)
{
	struct input *input;

	input = arg;
	input->copy = *copy;
	input->nblock++;
}

static int
read_input(const char *path, struct input *input, struct btt_error *error)
{
	int fd, r;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return system_error(error, -errno, path);
	r = infoblock_each_in_stream(fd, take_block, input);
	close(fd);
	if (r < 0)
		return system_error(error, r, path);
	if (input->nblock != 1)
		return btt_error_set(error, -EINVAL,
		    "%s has %u info blocks, not one", path, input->nblock);
	return 0;
}

static void
set_error(void *arg, const char *text)
{
	(void)btt_error_set(arg, -EUCLEAN, "%s", text);
}

static int
take_input(struct writing *writing, struct btt_error *error)
{
	const struct btt_inspect_arena *arena;
	struct input input = { .nblock = 0 };
	uint64_t off;
	int r;

	if ((r = read_input(writing->options->input, &input, error)) < 0)
		return r;
	memcpy(writing->block, input.copy.block, BTT_INFO_BYTES);
	writing->info = input.copy.info;
	if (input.copy.state != BTT_INFO_VALID && !writing->options->force)
		return btt_error_set(error, -EUCLEAN,
		    "%s has a wrong checksum; --force writes it all the same",
		    writing->options->input);
	if (btt_inspect_info_problems(&writing->info, set_error, error) > 0 &&
	    !writing->options->force)
		return -EUCLEAN;
	if (writing->media == NULL)
		return 0;
	if ((arena = find_arena(writing)) != NULL)
		return place_copies(writing, arena->off, error);
	off = writing->info.major == 1 ? BTT_V11_OFFSET : 0;
	return place_copies(writing,
	    writing->base + off +
		arena_index(writing->options) * BTT_ARENA_MAX_BYTES,
	    error);
}

static int
take_numbers(struct writing *writing, struct btt_error *error)
{
	uint64_t off;
	int r;

	r = infoblock_make(&writing->options->numbers,
	    writing->end - writing->base,
	    writing->media == NULL ? NULL : &writing->inspect,
	    arena_index(writing->options), &off, &writing->info, error);
	if (r < 0)
		return r;
	btt_info_encode(&writing->info, writing->block);
	if (writing->media == NULL)
		return 0;
	return place_copies(writing, writing->base + off, error);
}

static bool
is_zero(const uint8_t block[BTT_INFO_BYTES])
{
	static const uint8_t zero[BTT_INFO_BYTES];

	return memcmp(block, zero, BTT_INFO_BYTES) == 0;
}

/* Does a sound BTT have something else there? */
static bool
is_within_sound_btt(const struct writing *writing, uint64_t off)
{
	const struct btt_inspect_arena *arena;
	uint32_t i;

	if (writing->inspect.verdict < 0)
		return false;
	for (i = 0; i < writing->inspect.narena; i++) {
		arena = &writing->inspect.arena[i];
		if (off == arena->off || off == arena->backup_off)
			return false;
	}
	return true;
}

/* May this copy be written?  Nobody's data is replaced unasked. */
static int
check_target(struct writing *writing, enum infoblock_which which,
    struct btt_error *error)
{
	struct btt_info_copy there;
	const char *why;

	btt_inspect_info(writing->media, writing->off[which], &there);
	writing->is_same[which] = there.state != BTT_INFO_UNREADABLE &&
	    memcmp(there.block, writing->block, BTT_INFO_BYTES) == 0;
	if (writing->is_same[which] || writing->options->force)
		return 0;
	why = NULL;
	if (there.state == BTT_INFO_VALID)
		why = "is valid";
	else if (is_within_sound_btt(writing, writing->off[which]))
		why = "would be within a valid BTT";
	else if (there.state == BTT_INFO_NO_SIGNATURE &&
	    !is_zero(there.block) && !writing->options->from_copy)
		why = "would replace what is no info block";
	if (why == NULL)
		return 0;
	return btt_error_set(error, -EEXIST,
	    "the %s at %" PRIu64 " %s; --force writes it all the same",
	    infoblock_copy_name(which), writing->off[which], why);
}

/* Write a copy, and believe it only when it can be read back. */
static int
write_copy(struct writing *writing, enum infoblock_which which,
    struct btt_error *error)
{
	struct btt_info_copy there;
	struct media *media = writing->media;
	uint64_t off = writing->off[which];
	int r = 0;

	if (media_is_bad(media, off, BTT_INFO_BYTES))
		r = media_clear_bad(media, off, BTT_INFO_BYTES);
	if (r == 0)
		r = media_try_copy(media, off, writing->block, BTT_INFO_BYTES);
	if (r == 0)
		r = media_fence(media);
	if (r == 0) {
		btt_inspect_info(media, off, &there);
		if (memcmp(there.block, writing->block, BTT_INFO_BYTES) != 0)
			r = -EIO;
	}
	if (r < 0)
		return btt_error_set(error, r,
		    "the %s at %" PRIu64 " cannot be written: %s",
		    infoblock_copy_name(which), off, system_error_text(r));
	return 0;
}

static const enum infoblock_which in_order[INFOBLOCK_NCOPY] = {
	INFOBLOCK_BACKUP, INFOBLOCK_PRIMARY
};

static int
write_medium(struct writing *writing, struct btt_error *error)
{
	enum infoblock_which which;
	unsigned i, nwritten;
	int r;

	for (i = 0; i < INFOBLOCK_NCOPY; i++) {
		if (writing->is_wanted[i] &&
		    (r = check_target(
			 writing, (enum infoblock_which)i, error)) < 0)
			return r;
	}
	nwritten = 0;
	for (i = 0; i < INFOBLOCK_NCOPY; i++) {
		which = in_order[i];
		if (!writing->is_wanted[which])
			continue;
		if (!writing->is_same[which]) {
			if ((r = write_copy(writing, which, error)) < 0)
				return r;
			nwritten++;
		}
		if (!writing->options->common.quiet)
			printf("%s: arena %u: %s at %" PRIu64 " %s\n",
			    writing->path, arena_index(writing->options),
			    infoblock_copy_name(which), writing->off[which],
			    writing->is_same[which] ? "is this already"
						    : "written");
	}
	if (!writing->options->common.quiet)
		fprintf(stderr, "wrote %u infoblock%s\n", nwritten,
		    nwritten == 1 ? "" : "s");
	return 0;
}

static bool
is_to_file(const struct write_options *options)
{
	return options->output != NULL || options->to_stdout;
}

static int
write_file(struct writing *writing, struct btt_error *error)
{
	const struct write_options *options;
	FILE *file;
	bool failed;
	int r;

	options = writing->options;
	r = infoblock_create_file(
	    options->output, options->force, writing->media, &file, error);
	if (r < 0)
		return r;
	failed = fwrite(writing->block, BTT_INFO_BYTES, 1, file) != 1;
	if (file == stdout)
		return failed ? system_error(error, -EIO, "standard output")
			      : 0;
	if (fclose(file) != 0 || failed)
		return system_error(error, -EIO, options->output);
	return 0;
}

static int
make_and_write(struct writing *writing, struct btt_error *error)
{
	const struct write_options *options;
	int r;

	options = writing->options;
	if (arena_index(options) >= BTT_ARENA_MAX)
		r = btt_error_set(error, -ERANGE,
		    "arena %u: there are at most "
		    "%u",
		    arena_index(options), BTT_ARENA_MAX);
	else if (options->from_copy)
		r = take_copy(writing, error);
	else if (options->input != NULL)
		r = take_input(writing, error);
	else
		r = take_numbers(writing, error);
	if (r < 0)
		return r;
	return is_to_file(options) ? write_file(writing, error)
				   : write_medium(writing, error);
}

static int
run_media(struct writing *writing, struct btt_error *error)
{
	const struct media_options media_options = {
		.read_only = is_to_file(writing->options),
		.allow_sparse = true,
	};
	const struct btt_namespace *label;
	int r;

	r = media_open(writing->path, &media_options, &writing->media, error);
	if (r < 0)
		return r;
	r = btt_inspect_find(
	    writing->media, writing->options->namespace, &writing->inspect);
	if (r == 0) {
		label = writing->inspect.label;
		writing->base = label == NULL ? 0 : label->off;
		writing->end = label == NULL ? writing->media->size
					     : label->off + label->bytes;
		r = make_and_write(writing, error);
		btt_inspect_fini(&writing->inspect);
	}
	media_close(writing->media);
	return r;
}

/* What does not go together, or NULL. */
static const char *
find_misuse(const struct write_options *options, bool has_path)
{
	if (options->output != NULL && options->to_stdout)
		return "--output or --stdout, not both";
	if (options->from_copy && options->input != NULL)
		return "--from-copy or --input, not both";
	if (options->from_copy && !options->copy.given)
		return "--from-copy needs --copy, the one that is written";
	if (has_path)
		return NULL;
	if (!is_to_file(options))
		return "PATH is missing, or --output, or --stdout";
	if (options->from_copy)
		return "--from-copy needs PATH";
	if (!options->numbers.size.given && options->input == NULL)
		return "--size is missing, or PATH";
	return NULL;
}

static int
run(const void *options, char *const operands[])
{
	struct writing writing = {
		.options = options,
		.path = operands[0],
		.is_wanted = { true, true },
	};
	struct btt_error error = { "" };
	const char *misuse;
	int r;

	misuse = find_misuse(options, writing.path != NULL);
	if (misuse != NULL) {
		warnx("write-infoblock: %s", misuse);
		return CTL_EXIT_USAGE;
	}
	if (writing.options->copy.given)
		writing.is_wanted[INFOBLOCK_NCOPY - 1 -
		    writing.options->copy.index] = false;
	r = writing.path == NULL ? make_and_write(&writing, &error)
				 : run_media(&writing, &error);
	if (r < 0)
		return ctl_fail(
		    writing.path != NULL ? writing.path : "write-infoblock", r,
		    &error);
	return 0;
}

static_assert(sizeof(struct write_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_write_infoblock = {
	.name = "write-infoblock",
	.operands = "[PATH]",
	.summary =
	    "Put an info block where it belongs, from numbers, a file or "
	    "the other copy",
	.options = options_table,
	.options_bytes = sizeof(struct write_options),
	.min_operands = 0,
	.max_operands = 1,
	.run = run,
};

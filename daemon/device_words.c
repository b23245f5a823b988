/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "device_words.h"

static int
set_name(void *target, const char *value, struct btt_error *error)
{
	struct device_options *options = target;

	if (!device_name_valid(value))
		return btt_error_set(error, -EINVAL,
		    "name=%s: this cannot be the name of a file", value);
	options->name = value;
	return 0;
}

static int
set_mode(void *target, const char *value, struct btt_error *error)
{
	struct device_options *options = target;
	unsigned long mode;

	if (words_parse_number(value, 8, 0777, &mode) < 0)
		return btt_error_set(error, -EINVAL,
		    "mode=%s: must be octal and at most 777", value);
	options->mode = (mode_t)mode;
	return 0;
}

static int
set_durability(void *target, const char *value, struct btt_error *error)
{
	struct device_options *options = target;

	if (strcmp(value, "write") == 0)
		options->durability = BTT_DURABLE_WRITE;
	else if (strcmp(value, "flush") == 0)
		options->durability = BTT_DURABLE_FLUSH;
	else
		return btt_error_set(error, -EINVAL,
		    "durability=%s: must be 'write' or 'flush'", value);
	return 0;
}

static int
set_granularity(void *target, const char *value, struct btt_error *error)
{
	struct device_options *options = target;

	if (strcmp(value, "byte") == 0)
		options->force = MEDIA_FORCE_BYTE;
	else if (strcmp(value, "cacheline") == 0)
		options->force = MEDIA_FORCE_CACHE_LINE;
	else if (strcmp(value, "page") == 0)
		options->force = MEDIA_FORCE_PAGE;
	else
		return btt_error_set(error, -EINVAL,
		    "granularity=%s: must be 'byte', 'cacheline' or 'page'",
		    value);
	return 0;
}

static int
set_uid(void *target, const char *value, struct btt_error *error)
{
	struct device_options *options = target;

	return words_parse_user("uid", value, &options->uid, error);
}

static int
set_gid(void *target, const char *value, struct btt_error *error)
{
	struct device_options *options = target;

	return words_parse_group("gid", value, &options->gid, error);
}

static const struct word words[] = {
	WORD_ROW_SWITCH("ro", struct device_options, read_only, true,
	    "read only; nothing is ever written to BACKING"),
	WORD_ROW_SWITCH("rw", struct device_options, read_only, false,
	    "read and write (the default)"),
	WORD_ROW_CALL("name", "NAME", set_name,
	    "the file's name (default: BACKING's last component)"),
	WORD_ROW_TEXT("namespace", "NAME|UUID|N", struct device_options,
	    namespace,
	    "the namespace to serve, of several that have a BTT\n"
	    "(bttctl info lists them)"),
	WORD_ROW_CALL("mode", "MODE", set_mode,
	    "the file's permissions, octal (default: 600)"),
	WORD_ROW_CALL(
	    "uid", "USER", set_uid, "the file's owner (default: you)"),
	WORD_ROW_CALL(
	    "gid", "GROUP", set_gid, "the file's group (default: yours)"),
	WORD_ROW_CALL("durability", "write|flush", set_durability,
	    "when a write is safe from power loss: when it returns,\n"
	    "or when a later fsync does (default: write where that\n"
	    "costs a CPU flush, flush where it costs a disk's)"),
	WORD_ROW_COUNT("commit", "SECONDS", struct device_options,
	    commit_seconds, 1, DEVICE_COMMIT_SECONDS_MAX, " seconds",
	    "with durability=flush, flush at least this often\n"
	    "(default: 5)"),
	WORD_ROW_SWITCH("sparse", struct device_options, allow_sparse, true,
	    "accept a BACKING with holes or copy-on-write, where a\n"
	    "full disk fails writes"),
	WORD_ROW_SWITCH("scrub", struct device_options, scrub, true,
	    "read all of it in the background, to find damage"),
	WORD_ROW_CALL("granularity", "byte|cacheline|page", set_granularity,
	    "for tests only: pretend that this is how the medium\n"
	    "becomes durable; wrong values lose data"),
};

struct word_table
device_words(struct device_options *options)
{
	return (struct word_table){
		.words = words,
		.nword = sizeof(words) / sizeof(words[0]),
		.target = options,
	};
}

bool
device_word_is_for_tests(const char *name)
{
	return strcmp(name, "granularity") == 0;
}

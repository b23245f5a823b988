/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "device_words.h"

static int
set_ro(void *target, const char *value, struct btt_error *error)
{
	struct device_options *options = target;

	(void)value, (void)error;
	options->read_only = true;
	return 0;
}

static int
set_rw(void *target, const char *value, struct btt_error *error)
{
	struct device_options *options = target;

	(void)value, (void)error;
	options->read_only = false;
	return 0;
}

static int
set_sparse(void *target, const char *value, struct btt_error *error)
{
	struct device_options *options = target;

	(void)value, (void)error;
	options->allow_sparse = true;
	return 0;
}

static int
set_scrub(void *target, const char *value, struct btt_error *error)
{
	struct device_options *options = target;

	(void)value, (void)error;
	options->scrub = true;
	return 0;
}

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
set_namespace(void *target, const char *value, struct btt_error *error)
{
	struct device_options *options = target;

	(void)error;
	options->namespace = value;
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
set_commit(void *target, const char *value, struct btt_error *error)
{
	struct device_options *options = target;
	unsigned long n;

	if (words_parse_number(value, 10, DEVICE_COMMIT_SECONDS_MAX, &n) < 0 ||
	    n < 1)
		return btt_error_set(error, -EINVAL,
		    "commit=%s: must be from 1 to %u seconds", value,
		    DEVICE_COMMIT_SECONDS_MAX);
	options->commit_seconds = (unsigned)n;
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
	{ "ro", NULL, set_ro, "read only; nothing is ever written to BACKING" },
	{ "rw", NULL, set_rw, "read and write (the default)" },
	{ "name", "NAME", set_name,
	    "the file's name (default: BACKING's last component)" },
	{ "namespace", "NAME|UUID|N", set_namespace,
	    "the namespace to serve, of several that have a BTT\n"
	    "(bttctl info lists them)" },
	{ "mode", "MODE", set_mode,
	    "the file's permissions, octal (default: 600)" },
	{ "uid", "USER", set_uid, "the file's owner (default: you)" },
	{ "gid", "GROUP", set_gid, "the file's group (default: yours)" },
	{ "durability", "write|flush", set_durability,
	    "when a write is safe from power loss: when it returns,\n"
	    "or when a later fsync does (default: write where that\n"
	    "costs a CPU flush, flush where it costs a disk's)" },
	{ "commit", "SECONDS", set_commit,
	    "with durability=flush, flush at least this often\n"
	    "(default: 5)" },
	{ "sparse", NULL, set_sparse,
	    "accept a BACKING with holes or copy-on-write, where a\n"
	    "full disk fails writes" },
	{ "scrub", NULL, set_scrub,
	    "read all of it in the background, to find damage" },
	{ "granularity", "byte|cacheline|page", set_granularity,
	    "for tests only: pretend that this is how the medium\n"
	    "becomes durable; wrong values lose data" },
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

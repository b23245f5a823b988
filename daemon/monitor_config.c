/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <glob.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ini_file.h"
#include "monitor_config.h"

struct reading {
	struct monitor_config *config;
	bool is_core;
	bool has_names; /* [monitor] of this file says whose */
};

static int
set(char **text, const char *value, struct btt_error *error)
{
	char *copy;

	if ((copy = strdup(value)) == NULL)
		return btt_error_set(error, -ENOMEM, "out of memory");
	free(*text);
	*text = copy;
	return 0;
}

static int
on_section(void *arg, unsigned line, const char *name, struct btt_error *error)
{
	struct reading *reading = arg;

	(void)line;
	reading->is_core = strcmp(name, "core") == 0;
	if (!reading->is_core && strcmp(name, "monitor") != 0)
		return btt_error_set(error, -EINVAL,
		    "the sections are [core] and [monitor], not [%s]", name);
	return 0;
}

static int
on_key(void *arg, const char *key, const char *value, struct btt_error *error)
{
	struct reading *reading = arg;

	if (value[0] == '\0')
		return btt_error_set(error, -EINVAL, "%s needs a value", key);
	if (strcmp(key, "namespace") == 0) {
		if (reading->is_core && reading->has_names)
			return 0;
		reading->has_names = !reading->is_core;
		return set(&reading->config->names, value, error);
	}
	if (!reading->is_core && strcmp(key, "event") == 0)
		return set(&reading->config->events, value, error);
	if (!reading->is_core && strcmp(key, "log") == 0)
		return set(&reading->config->log, value, error);
	return btt_error_set(error, -EINVAL, "[%s] has no key '%s'",
	    reading->is_core ? "core" : "monitor", key);
}

static int
on_end(void *arg, struct btt_error *error)
{
	(void)arg, (void)error;
	return 0;
}

static int
read_one(
    const char *path, struct monitor_config *config, struct btt_error *error)
{
	static const struct ini_file_handler handler = { on_section, on_key,
		on_end };
	struct reading reading = { .config = config };
	size_t size;
	char *text;
	int r;

	if ((r = ini_file_read(path, -1, &text, &size, error)) == 0)
		r = ini_file_parse(text, size, path, &handler, &reading, error);
	free(text);
	return r;
}

int
monitor_config_read(const char *path, struct monitor_config *ret_config,
    struct btt_error *error)
{
	glob_t files;
	size_t i;
	int r;

	*ret_config = (struct monitor_config){ .names = NULL };
	if (path != NULL)
		return read_one(path, ret_config, error);
	r = glob(MONITOR_CONFIG_DIRECTORY "/*.conf", 0, NULL, &files);
	if (r == GLOB_NOMATCH)
		return 0;
	if (r != 0)
		return btt_error_set(error, r == GLOB_NOSPACE ? -ENOMEM : -EIO,
		    "%s cannot be read", MONITOR_CONFIG_DIRECTORY);
	for (i = 0; i < files.gl_pathc && r == 0; i++)
		r = read_one(files.gl_pathv[i], ret_config, error);
	globfree(&files);
	return r;
}

void
monitor_config_fini(struct monitor_config *config)
{
	free(config->names);
	free(config->events);
	free(config->log);
	*config = (struct monitor_config){ .names = NULL };
}

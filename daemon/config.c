/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/mman.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lanes/sync.h>

#include "config.h"
#include "device_words.h"
#include "ini_file.h"
#include "registry.h"

/* What a value is copied to. */
struct config_string {
	struct config_string *next;
	char text[];
};

/* A configuration that is being read. */
struct reading {
	struct config *config;
	const struct word_table *daemon;
	size_t ndaemon;
	bool is_daemon; /* the section at hand */
	bool has_daemon;
};

/* A copy that lives as long as the configuration, or NULL. */
static const char *
keep(struct reading *reading, const char *text, struct btt_error *error)
{
	struct config_string *string;
	size_t n = strlen(text) + 1;

	if ((string = malloc(sizeof(*string) + n)) == NULL) {
		(void)btt_error_set(error, -ENOMEM, "out of memory");
		return NULL;
	}
	memcpy(string->text, text, n);
	string->next = reading->config->strings;
	reading->config->strings = string;
	return string->text;
}

/* --- Keys --- */

/* What to say instead of "WORD = no", where leaving it out is not enough. */
static const struct {
	const char *word, *opposite;
} opposites[] = {
	{ "ro", "rw" },
	{ "rw", "ro" },
	{ "sync", "async" },
	{ "async", "sync" },
};

static const char *
opposite_of(const char *word)
{
	size_t i;

	for (i = 0; i < sizeof(opposites) / sizeof(opposites[0]); i++) {
		if (strcmp(opposites[i].word, word) == 0)
			return opposites[i].opposite;
	}
	return NULL;
}

/* 1, 0, or -EINVAL. */
static int
parse_switch(const char *value)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };
	size_t i;

	for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcasecmp(value, yes[i]) == 0)
			return 1;
		if (strcasecmp(value, no[i]) == 0)
			return 0;
	}
	return -EINVAL;
}

static int
set_key(const struct word_table *tables, size_t ntable, const char *name,
    const char *value, struct btt_error *error)
{
	const struct word *word;
	int is;

	word = words_find(tables, ntable, name);
	if (word == NULL || word->value != NULL)
		return words_set(tables, ntable, name, value, error);
	if ((is = parse_switch(value)) < 0)
		return btt_error_set(error, is,
		    "%s: must be 'yes' or 'no', not '%s'", name, value);
	if (is == 0 && (name = opposite_of(name)) == NULL)
		return 0; /* as it is */
	return words_set(tables, ntable, name, NULL, error);
}

static int
set_backing(void *target, const char *value, struct btt_error *error)
{
	struct device_options *options = target;

	if (value[0] != '/')
		return btt_error_set(
		    error, -EINVAL, "backing=%s: must be absolute", value);
	options->path = value;
	return 0;
}

static const struct word backing_word[] = {
	WORD_ROW_CALL("backing", "PATH", set_backing, "where the BTT is"),
};

static int
on_key(void *arg, const char *name, const char *value, struct btt_error *error)
{
	struct reading *reading = arg;
	struct config *config = reading->config;
	const char *kept;

	if ((kept = keep(reading, value, error)) == NULL)
		return -ENOMEM;
	if (!reading->is_daemon) {
		struct device_options *device =
		    &config->devices[config->ndevice - 1];
		const struct word_table tables[] = {
			{ backing_word, 1, device },
			device_words(device),
		};

		return set_key(tables, 2, name, kept, error);
	}
	return set_key(reading->daemon, reading->ndaemon, name, kept, error);
}

/* --- Sections --- */

static int
add_device(struct reading *reading, unsigned line, const char *section,
    struct btt_error *error)
{
	struct config *config = reading->config;
	struct device_options *devices, *device;
	unsigned *lines;
	const size_t n = config->ndevice + 1;

	if (n > REGISTRY_DEVICE_MAX)
		return btt_error_set(error, -EINVAL,
		    "there are more devices than a daemon can have");
	if (!device_name_valid(section))
		return btt_error_set(error, -EINVAL,
		    "the section's name cannot be the name of a file");
	devices = realloc(config->devices, n * sizeof(*devices));
	if (devices != NULL)
		config->devices = devices;
	lines = realloc(config->lines, n * sizeof(*lines));
	if (lines != NULL)
		config->lines = lines;
	if (devices == NULL || lines == NULL)
		return btt_error_set(error, -ENOMEM, "out of memory");
	device = &devices[config->ndevice];
	device_options_init(device);
	if ((device->name = keep(reading, section, error)) == NULL)
		return -ENOMEM;
	lines[config->ndevice++] = line;
	return 0;
}

static int
on_section(void *arg, unsigned line, const char *name, struct btt_error *error)
{
	struct reading *reading = arg;

	reading->is_daemon = strcmp(name, CONFIG_DAEMON) == 0;
	if (!reading->is_daemon)
		return add_device(reading, line, name, error);
	if (reading->has_daemon)
		return btt_error_set(error, -EINVAL,
		    "the section [" CONFIG_DAEMON "] is there for the second "
		    "time");
	reading->has_daemon = true;
	return 0;
}

static int
on_end(void *arg, struct btt_error *error)
{
	const struct reading *reading = arg;
	const struct config *config = reading->config;

	if (reading->is_daemon ||
	    config->devices[config->ndevice - 1].path != NULL)
		return 0;
	return btt_error_set(error, -EINVAL, "the device has no 'backing'");
}

static const struct ini_file_handler handler = { on_section, on_key, on_end };

struct named {
	const char *name;
	unsigned line;
};

static int
compare_names(const void *a, const void *b)
{
	const struct named *one = a, *other = b;
	int order = strcmp(one->name, other->name);

	return order != 0 ? order : one->line < other->line ? -1 : 1;
}

/* Two devices of one name, be it the sections' or one of name=. */
static int
check_names(
    const struct config *config, const char *path, struct btt_error *error)
{
	struct named *named;
	size_t i;
	int r = 0;

	if (config->ndevice == 0)
		return 0;
	if ((named = calloc(config->ndevice, sizeof(*named))) == NULL)
		return btt_error_set(error, -ENOMEM, "out of memory");
	for (i = 0; i < config->ndevice; i++) {
		named[i].name = config->devices[i].name;
		named[i].line = config->lines[i];
	}
	qsort(named, config->ndevice, sizeof(*named), compare_names);
	for (i = 1; i < config->ndevice && r == 0; i++) {
		if (strcmp(named[i - 1].name, named[i].name) == 0)
			r = btt_error_set(error, -EINVAL,
			    "%s:%u: the device of line %u has the name '%s' "
			    "already",
			    path, named[i].line, named[i - 1].line,
			    named[i].name);
	}
	free(named);
	return r;
}

/* --- The file --- */

static int
parse(struct config *config, const char *path, const struct word_table *tables,
    size_t ntable, struct btt_error *error)
{
	struct reading reading = {
		.config = config,
		.daemon = tables,
		.ndaemon = ntable,
	};
	int r;

	r = ini_file_parse(
	    config->text, config->size, path, &handler, &reading, error);
	return r < 0 ? r : check_names(config, path, error);
}

int
config_parse(const char *text, size_t size, const char *path,
    const struct word_table *tables, size_t ntable, struct config *ret_config,
    struct btt_error *error)
{
	*ret_config = (struct config){ .size = size };
	if (size > INI_FILE_BYTES_MAX)
		return btt_error_set(error, -EFBIG, "%s: is too long", path);
	if ((ret_config->text = malloc(size + 1)) == NULL)
		return btt_error_set(error, -ENOMEM, "out of memory");
	if (size > 0)
		memcpy(ret_config->text, text, size);
	ret_config->text[size] = '\0';
	return parse(ret_config, path, tables, ntable, error);
}

int
config_read(const char *path, int fd, const struct word_table *tables,
    size_t ntable, struct config *ret_config, struct btt_error *error)
{
	int r;

	*ret_config = (struct config){ 0 };
	r = ini_file_read(
	    path, fd, &ret_config->text, &ret_config->size, error);
	return r < 0 ? r : parse(ret_config, path, tables, ntable, error);
}

void
config_fini(struct config *config)
{
	struct config_string *string;

	while ((string = config->strings) != NULL) {
		config->strings = string->next;
		free(string);
	}
	free(config->devices);
	free(config->lines);
	free(config->text);
	*config = (struct config){ 0 };
}

int
config_share(const struct config *config)
{
	size_t done = 0;
	ssize_t n;
	int fd, r;

	if ((fd = memfd_create("bttfs.conf", MFD_CLOEXEC)) < 0)
		return -errno;
	while (done < config->size) {
		n = SYNC_SLEEPS(
		    write(fd, config->text + done, config->size - done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r = -errno;
			(void)close(fd);
			return r;
		}
		done += (size_t)n;
	}
	return fd;
}

const char *
config_name(const char *path, size_t *ret_len)
{
	static const char suffix[] = ".conf";
	const size_t nsuffix = sizeof(suffix) - 1;
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	size_t n = strlen(name);

	if (n > nsuffix && strcmp(name + n - nsuffix, suffix) == 0)
		n -= nsuffix;
	*ret_len = n;
	return name;
}

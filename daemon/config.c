/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/mman.h>
#include <sys/stat.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ini.h>
#include <lanes/sync.h>

#include "config.h"
#include "device_words.h"
#include "registry.h"
#include "system_error.h"

#define READ_BYTES 65536u

/* What a value is copied to. */
struct config_string {
	struct config_string *next;
	char text[];
};

/* A file on its way through libinih. */
struct reading {
	struct config *config;
	const char *path;
	const struct word_table *daemon;
	size_t ndaemon;
	struct btt_error *error;
	int r;           /* of the first thing that is wrong */
	size_t at;       /* in the text: the next line */
	unsigned line;   /* the one that libinih has */
	unsigned opened; /* that of the section; 0 before the first */
	bool is_empty;   /* no key of the section was seen yet */
	bool is_daemon;
	bool has_daemon;
	size_t first_key;  /* of the section, among keys */
	size_t nkey, room; /* what was set so far, to refuse it twice */
	const char **keys;
};

/* Note what is wrong, the first time. */
static int
refuse(struct reading *reading, unsigned line, int r, const char *what)
{
	if (reading->r == 0)
		reading->r = btt_error_set(
		    reading->error, r, "%s:%u: %s", reading->path, line, what);
	return reading->r;
}

static int
refuse_memory(struct reading *reading)
{
	return refuse(reading, reading->line, -ENOMEM, "out of memory");
}

/* A copy that lives as long as the configuration, or NULL. */
static const char *
keep(struct reading *reading, const char *text)
{
	struct config_string *string;
	size_t n = strlen(text) + 1;

	if ((string = malloc(sizeof(*string) + n)) == NULL) {
		(void)refuse_memory(reading);
		return NULL;
	}
	memcpy(string->text, text, n);
	string->next = reading->config->strings;
	reading->config->strings = string;
	return string->text;
}

/* --- Lines --- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The line of a section is a name in brackets, and perhaps a comment. */
static const char *
check_section(const char *line, size_t len)
{
	const char *end;
	size_t after;

	if ((end = memchr(line, ']', len)) == NULL)
		return "']' is missing";
	if (end == line + 1)
		return "the section has no name";
	if ((size_t)(end - line) - 1 > CONFIG_NAME_MAX)
		return "the section's name is longer than 49 bytes; give it a "
		       "shorter one, and the device its own with name=";
	if (is_blank(line[1]) || is_blank(end[-1]))
		return "the section's name begins or ends with a blank";
	for (after = (size_t)(end - line) + 1; after < len; after++) {
		if (line[after] == ';' || line[after] == '#')
			break;
		if (!is_blank(line[after]))
			return "there is something after ']'";
	}
	return NULL;
}

/* What libinih would not tell us. */
static const char *
check_line(const char *line, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (iscntrl((unsigned char)line[i]) && !is_blank(line[i]))
			return "there is a control character";
	}
	if (len > 0 && line[0] == '[')
		return check_section(line, len);
	return NULL;
}

/* A section that says nothing would be passed over. */
static int
end_section(struct reading *reading)
{
	struct config *config = reading->config;

	if (reading->opened == 0 || reading->r < 0)
		return reading->r;
	if (reading->is_empty)
		return refuse(
		    reading, reading->opened, -EINVAL, "the section is empty");
	if (!reading->is_daemon &&
	    config->devices[config->ndevice - 1].path == NULL)
		return refuse(reading, reading->opened, -EINVAL,
		    "the device has no 'backing'");
	return 0;
}

/*
 * Cut the next line off the text, without blanks at its beginning, which to
 * libinih would make it a part of the line above.  False at the end.
 */
static bool
cut_line(struct reading *reading, const char **ret_line, size_t *ret_len)
{
	static const char mark[] = "\xef\xbb\xbf"; /* some editors' */
	const size_t nmark = sizeof(mark) - 1;
	const char *line, *end;
	size_t len, left;

	left = reading->config->size - reading->at;
	if (left == 0)
		return false;
	line = reading->config->text + reading->at;
	end = memchr(line, '\n', left);
	len = end != NULL ? (size_t)(end - line) : left;
	reading->at += end != NULL ? len + 1 : len;
	if (reading->line++ == 0 && len >= nmark &&
	    memcmp(line, mark, nmark) == 0) {
		line += nmark;
		len -= nmark;
	}
	for (; len > 0 && is_blank(*line); len--)
		line++;
	*ret_line = line;
	*ret_len = len;
	return true;
}

/* The next line, for libinih; the file ends with the first error. */
static char *
next_line(char *ret_line, int bytes, void *arg)
{
	struct reading *reading = arg;
	const char *line, *why;
	size_t len;

	if (reading->r < 0 || !cut_line(reading, &line, &len))
		return NULL;
	why = len < (size_t)bytes ? check_line(line, len)
				  : "the line is too long";
	if (why != NULL) {
		(void)refuse(reading, reading->line, -EINVAL, why);
		return NULL;
	}
	if (len > 0 && line[0] == '[') {
		if (end_section(reading) < 0)
			return NULL;
		reading->opened = reading->line;
		reading->is_empty = true;
	}
	memcpy(ret_line, line, len);
	ret_line[len] = '\0';
	return ret_line;
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
set_key(struct reading *reading, const struct word_table *tables, size_t ntable,
    const char *name, const char *value)
{
	struct btt_error why = { "" };
	const struct word *word;
	int is, r;

	word = words_find(tables, ntable, name);
	if (word != NULL && word->value == NULL) {
		if ((is = parse_switch(value)) < 0) {
			(void)btt_error_set(&why, is,
			    "%s: must be 'yes' or 'no', not '%s'", name, value);
			return refuse(
			    reading, reading->line, -EINVAL, why.text);
		}
		if (is == 0 && (name = opposite_of(name)) == NULL)
			return 0; /* as it is */
		value = NULL;
	}
	if ((r = words_set(tables, ntable, name, value, &why)) < 0)
		return refuse(reading, reading->line, r, why.text);
	return 0;
}

/* What was set twice was hardly meant so. */
static int
note_key(struct reading *reading, const char *name)
{
	struct btt_error why;
	const char **keys;
	size_t i;

	for (i = reading->first_key; i < reading->nkey; i++) {
		if (strcmp(reading->keys[i], name) == 0) {
			(void)btt_error_set(&why, -EINVAL,
			    "'%s' is there for the second time", name);
			return refuse(
			    reading, reading->line, -EINVAL, why.text);
		}
	}
	if (reading->nkey == reading->room) {
		reading->room = reading->room * 2 + 16;
		keys = realloc(reading->keys, reading->room * sizeof(*keys));
		if (keys == NULL)
			return refuse_memory(reading);
		reading->keys = keys;
	}
	if ((reading->keys[reading->nkey] = keep(reading, name)) == NULL)
		return reading->r;
	reading->nkey++;
	return 0;
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
	{ "backing", "PATH", set_backing, "where the BTT is" },
};

static int
set_device_key(struct reading *reading, const char *name, const char *value)
{
	struct config *config = reading->config;
	struct device_options *device = &config->devices[config->ndevice - 1];
	const struct word_table tables[] = {
		{ backing_word, 1, device },
		device_words(device),
	};

	return set_key(reading, tables, 2, name, value);
}

/* --- Sections --- */

static int
add_device(struct reading *reading, const char *section)
{
	struct config *config = reading->config;
	struct device_options *devices, *device;
	unsigned *lines;
	const size_t n = config->ndevice + 1;

	if (n > REGISTRY_DEVICE_MAX)
		return refuse(reading, reading->opened, -EINVAL,
		    "there are more devices than a daemon can have");
	if (!device_name_valid(section))
		return refuse(reading, reading->opened, -EINVAL,
		    "the section's name cannot be the name of a file");
	devices = realloc(config->devices, n * sizeof(*devices));
	if (devices != NULL)
		config->devices = devices;
	lines = realloc(config->lines, n * sizeof(*lines));
	if (lines != NULL)
		config->lines = lines;
	if (devices == NULL || lines == NULL)
		return refuse_memory(reading);
	device = &devices[config->ndevice];
	device_options_init(device);
	if ((device->name = keep(reading, section)) == NULL)
		return reading->r;
	lines[config->ndevice++] = reading->opened;
	return 0;
}

static int
begin_section(struct reading *reading, const char *section)
{
	reading->is_empty = false;
	reading->first_key = reading->nkey;
	reading->is_daemon = strcmp(section, CONFIG_DAEMON) == 0;
	if (!reading->is_daemon)
		return add_device(reading, section);
	if (reading->has_daemon)
		return refuse(reading, reading->opened, -EINVAL,
		    "the section [" CONFIG_DAEMON "] is there for the second "
		    "time");
	reading->has_daemon = true;
	return 0;
}

/* libinih's: 0 is a failure. */
static int
on_key(void *arg, const char *section, const char *name, const char *value)
{
	struct reading *reading = arg;
	const char *kept;

	if (reading->r < 0)
		return 0;
	if (reading->opened == 0)
		return refuse(reading, reading->line, -EINVAL,
			   "there is no section above") == 0;
	if (reading->is_empty && begin_section(reading, section) < 0)
		return 0;
	if (note_key(reading, name) < 0 ||
	    (kept = keep(reading, value)) == NULL)
		return 0;
	return (reading->is_daemon ? set_key(reading, reading->daemon,
					 reading->ndaemon, name, kept)
				   : set_device_key(reading, name, kept)) == 0;
}

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
check_names(struct reading *reading)
{
	const struct config *config = reading->config;
	struct btt_error why;
	struct named *named;
	size_t i;

	if (config->ndevice == 0)
		return 0;
	if ((named = calloc(config->ndevice, sizeof(*named))) == NULL)
		return refuse_memory(reading);
	for (i = 0; i < config->ndevice; i++) {
		named[i].name = config->devices[i].name;
		named[i].line = config->lines[i];
	}
	qsort(named, config->ndevice, sizeof(*named), compare_names);
	for (i = 1; i < config->ndevice; i++) {
		if (strcmp(named[i - 1].name, named[i].name) != 0)
			continue;
		(void)btt_error_set(&why, -EINVAL,
		    "the device of line %u has the name '%s' already",
		    named[i - 1].line, named[i].name);
		(void)refuse(reading, named[i].line, -EINVAL, why.text);
		break;
	}
	free(named);
	return reading->r;
}

/* --- The file --- */

static int
parse(struct config *config, const char *path, const struct word_table *tables,
    size_t ntable, struct btt_error *error)
{
	struct reading reading = {
		.config = config,
		.path = path,
		.daemon = tables,
		.ndaemon = ntable,
		.error = error,
	};
	int line;

	line = ini_parse_stream(next_line, &reading, on_key, &reading);
	/* Of several only the first is known by its line. */
	if (line < 0)
		(void)refuse_memory(&reading);
	else if (line > 0)
		(void)refuse(&reading, (unsigned)line, -EINVAL,
		    "neither [SECTION] nor KEY = VALUE");
	(void)end_section(&reading);
	if (reading.r == 0)
		(void)check_names(&reading);
	free(reading.keys);
	return reading.r;
}

int
config_parse(const char *text, size_t size, const char *path,
    const struct word_table *tables, size_t ntable, struct config *ret_config,
    struct btt_error *error)
{
	*ret_config = (struct config){ .size = size };
	if (size > CONFIG_BYTES_MAX)
		return btt_error_set(error, -EFBIG, "%s: is too long", path);
	if ((ret_config->text = malloc(size + 1)) == NULL)
		return btt_error_set(error, -ENOMEM, "out of memory");
	if (size > 0)
		memcpy(ret_config->text, text, size);
	ret_config->text[size] = '\0';
	return parse(ret_config, path, tables, ntable, error);
}

/* All of a file that nobody need have told the size of; from its beginning. */
static int
read_all(int fd, struct config *config)
{
	size_t room = 0;
	char *text;
	ssize_t n;

	for (;;) {
		if (config->size == room) {
			room += READ_BYTES;
			if ((text = realloc(config->text, room)) == NULL)
				return -ENOMEM;
			config->text = text;
		}
		n = SYNC_SLEEPS(pread(fd, config->text + config->size,
		    room - config->size, (off_t)config->size));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		config->size += (size_t)n;
		if (config->size > CONFIG_BYTES_MAX)
			return -EFBIG;
	}
}

int
config_read(const char *path, int fd, const struct word_table *tables,
    size_t ntable, struct config *ret_config, struct btt_error *error)
{
	int own = -1, r;

	*ret_config = (struct config){ 0 };
	/* Not to hang on a FIFO. */
	if (fd < 0)
		fd = own = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	r = fd < 0 ? -errno : read_all(fd, ret_config);
	if (own >= 0)
		(void)close(own); /* was read only */
	if (r < 0)
		return btt_error_set(
		    error, r, "%s: %s", path, system_error_text(r));
	return parse(ret_config, path, tables, ntable, error);
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

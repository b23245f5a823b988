/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ini.h>
#include <lanes/sync.h>

#include "ini_file.h"
#include "system_error.h"

#define READ_BYTES 65536u

/* A file on its way through libinih. */
struct reading {
	const char *text;
	size_t size;
	const char *path;
	const struct ini_file_handler *handler;
	void *arg;
	struct btt_error *error;
	int r;             /* of the first thing that is wrong */
	size_t at;         /* in the text: the next line */
	unsigned line;     /* the one that libinih has */
	unsigned opened;   /* that of the section; 0 before the first */
	bool is_empty;     /* no key of the section was seen yet */
	size_t nkey, room; /* of the section, to refuse them twice */
	char **keys;
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
	if ((size_t)(end - line) - 1 > INI_FILE_NAME_MAX)
		return "the section's name is longer than 49 bytes";
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

static void
forget_keys(struct reading *reading)
{
	while (reading->nkey > 0)
		free(reading->keys[--reading->nkey]);
}

/* A section that says nothing would be passed over. */
static int
end_section(struct reading *reading)
{
	struct btt_error why = { "" };
	int r;

	if (reading->opened == 0 || reading->r < 0)
		return reading->r;
	if (reading->is_empty)
		return refuse(
		    reading, reading->opened, -EINVAL, "the section is empty");
	forget_keys(reading);
	if ((r = reading->handler->end(reading->arg, &why)) < 0)
		return refuse(reading, reading->opened, r, why.text);
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

	left = reading->size - reading->at;
	if (left == 0)
		return false;
	line = reading->text + reading->at;
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

/* What was set twice was hardly meant so. */
static int
note_key(struct reading *reading, const char *name)
{
	struct btt_error why;
	char **keys;
	size_t i;

	for (i = 0; i < reading->nkey; i++) {
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
	if ((reading->keys[reading->nkey] = strdup(name)) == NULL)
		return refuse_memory(reading);
	reading->nkey++;
	return 0;
}

static int
begin_section(struct reading *reading, const char *name)
{
	struct btt_error why = { "" };
	int r;

	reading->is_empty = false;
	r = reading->handler->section(
	    reading->arg, reading->opened, name, &why);
	return r < 0 ? refuse(reading, reading->opened, r, why.text) : 0;
}

/* libinih's: 0 is a failure. */
static int
on_key(void *arg, const char *section, const char *name, const char *value)
{
	struct reading *reading = arg;
	struct btt_error why = { "" };
	int r;

	if (reading->r < 0)
		return 0;
	if (reading->opened == 0) {
		(void)refuse(reading, reading->line, -EINVAL,
		    "there is no section above");
		return 0;
	}
	if ((reading->is_empty && begin_section(reading, section) < 0) ||
	    note_key(reading, name) < 0)
		return 0;
	if ((r = reading->handler->key(reading->arg, name, value, &why)) < 0)
		(void)refuse(reading, reading->line, r, why.text);
	return r == 0;
}

/* --- The file --- */

int
ini_file_parse(const char *text, size_t size, const char *path,
    const struct ini_file_handler *handler, void *arg, struct btt_error *error)
{
	struct reading reading = {
		.text = text,
		.size = size,
		.path = path,
		.handler = handler,
		.arg = arg,
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
	forget_keys(&reading);
	free(reading.keys);
	return reading.r;
}

/* All of a file that nobody need have told the size of; from its beginning. */
static int
read_all(int fd, char **text, size_t *size)
{
	size_t room = 0;
	char *larger, *to;
	ssize_t n;

	for (;;) {
		if (*size == room) {
			room += READ_BYTES;
			if ((larger = realloc(*text, room)) == NULL)
				return -ENOMEM;
			*text = larger;
		}
		to = *text + *size;
		n = SYNC_SLEEPS(pread(fd, to, room - *size, (off_t)*size));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		*size += (size_t)n;
		if (*size > INI_FILE_BYTES_MAX)
			return -EFBIG;
	}
}

int
ini_file_read(const char *path, int fd, char **ret_text, size_t *ret_size,
    struct btt_error *error)
{
	int own = -1, r;

	*ret_text = NULL;
	*ret_size = 0;
	/* Not to hang on a FIFO. */
	if (fd < 0)
		fd = own = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	r = fd < 0 ? -errno : read_all(fd, ret_text, ret_size);
	if (own >= 0)
		(void)close(own); /* was read only */
	if (r < 0)
		return btt_error_set(
		    error, r, "%s: %s", path, system_error_text(r));
	return 0;
}

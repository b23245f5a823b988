/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_config -- a configuration file.
 *
 * Claims: it is accepted, or refused with a line that exists and a reason; what
 * is accepted names an absolute backing store and a file name for each device,
 * no two the same, and there are as many of them as lines that begin a section
 * other than the daemon's, so that none was passed over.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "medium.h"
#include "target.h"

static int
set_any(void *target, const char *value, struct btt_error *error)
{
	(void)target, (void)value, (void)error;
	return 0;
}

static const struct word words[] = {
	WORD_ROW_CALL("mountpoint", "DIRECTORY", set_any, ""),
	WORD_ROW_CALL("allow_other", NULL, set_any, ""),
	WORD_ROW_CALL("sync", NULL, set_any, ""),
	WORD_ROW_CALL("async", NULL, set_any, ""),
};

/* The line that is blamed is one of the text's. */
static void
check_refusal(int r, const struct btt_error *error, const char *text)
{
	unsigned line, nline = 1;

	FUZZ_CHECK(r == -EINVAL);
	FUZZ_CHECK(strncmp(error->text, "F:", 2) == 0);
	line = (unsigned)strtoul(error->text + 2, NULL, 10);
	for (; *text != '\0'; text++)
		nline += *text == '\n';
	FUZZ_CHECK_MSG(
	    line >= 1 && line <= nline, "line %u of %u", line, nline);
	FUZZ_CHECK(strchr(error->text, '\n') == NULL);
}

static void
check_device(const struct config *config, size_t i)
{
	const struct device_options *device = &config->devices[i];
	size_t j;

	FUZZ_CHECK(device->path != NULL && device->path[0] == '/');
	FUZZ_CHECK(device->name != NULL && device_name_valid(device->name));
	FUZZ_CHECK((device->mode & ~(mode_t)0777) == 0);
	for (j = 0; j < i; j++)
		FUZZ_CHECK(strcmp(device->name, config->devices[j].name) != 0);
}

/* Lines whose first character that is not blank is a bracket. */
static size_t
count_sections(const char *text)
{
	const char *line, *next;
	size_t n = 0;

	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	for (line = text; line != NULL; line = next) {
		if ((next = strchr(line, '\n')) != NULL)
			next++;
		line += strspn(line, " \t\r");
		n += *line == '[' && strncmp(line, "[bttfs]", 7) != 0;
	}
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct word_table table = { words, 4, NULL };
	struct btt_error error = { "" };
	struct config config;
	size_t i;
	int r;

	r = config_parse(
	    (const char *)data, size, "F", &table, 1, &config, &error);
	if (r < 0 && memchr(data, '\0', size) == NULL)
		check_refusal(r, &error, config.text);
	if (r == 0) {
		for (i = 0; i < config.ndevice; i++)
			check_device(&config, i);
		FUZZ_CHECK(config.ndevice == count_sections(config.text));
	}
	config_fini(&config);
	return 0;
}

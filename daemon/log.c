/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/stat.h>

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

/* Is this descriptor the stream that the journal gave us?  systemd.exec(5) */
static bool
is_journal(int fd)
{
	const char *stream;
	struct stat st;
	uintmax_t dev, ino;

	if ((stream = getenv("JOURNAL_STREAM")) == NULL)
		return false;
	if (sscanf(stream, "%" SCNuMAX ":%" SCNuMAX, &dev, &ino) != 2)
		return false;
	return fstat(fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void
log_open(struct log *ret_log, bool debug)
{
	atomic_init(&ret_log->sink,
	    is_journal(STDERR_FILENO) ? LOG_SINK_JOURNAL : LOG_SINK_PLAIN);
	ret_log->level = debug ? LOG_DEBUG : LOG_INFO;
}

void
log_use_syslog(struct log *log)
{
	openlog("bttfs", LOG_PID, LOG_DAEMON);
	atomic_store(&log->sink, LOG_SINK_SYSLOG);
}

/* A name with a line break in it must not look like two lines of ours. */
static void
make_printable(char *text)
{
	for (; *text != '\0'; text++) {
		if (iscntrl((unsigned char)*text))
			*text = '?';
	}
}

void
log_say(const struct log *log, int level, const char *fmt, ...)
{
	char text[LOG_LINE_BYTES];
	va_list args;

	if (level > log->level)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	make_printable(text);

	switch (atomic_load(&log->sink)) {
	case LOG_SINK_PLAIN:
		dprintf(STDERR_FILENO, "bttfs: %s\n", text);
		break;
	case LOG_SINK_JOURNAL:
		dprintf(STDERR_FILENO, "<%d>%s\n", level, text);
		break;
	case LOG_SINK_SYSLOG:
		syslog(level, "%s", text);
		break;
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_LOG_H
#define BTTFS_LOG_H

/*
 * log -- one line for each thing that people should know.
 *
 * Levels are those of syslog(3): LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO,
 * LOG_DEBUG.  Lines go to standard error until log_use_syslog: plainly, or
 * with the "<N>" in front that tells the journal the level where standard
 * error is the journal (and nowhere else: whoever catches the text of an error
 * wants the text).
 *
 * Never called from a thread that serves requests.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <syslog.h>

#include <btt/error.h>

enum log_sink {
	LOG_SINK_PLAIN,
	LOG_SINK_JOURNAL,
	LOG_SINK_SYSLOG,
};

/* Keys: I immutable after log_open, a atomic: other threads may be writing. */
struct log {
	_Atomic(enum log_sink) sink; /* [a] */
	int level;                   /* [I] the last one that is shown */
};

/* Longest line; what is longer is cut. */
#define LOG_LINE_BYTES 1024u

void log_open(struct log *ret_log, bool debug);
/* From now on to syslog(3): standard error is about to go away. */
void log_use_syslog(struct log *log);

void log_say(const struct log *log, int level, const char *fmt, ...)
    BTT_PRINTF(3, 4);

#endif

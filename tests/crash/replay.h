/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_REPLAY_H
#define CRASH_REPLAY_H

/* replay -- the line that makes a failure again, written and read (report.c). */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "world.h"

struct text {
	char *bytes;
	size_t room;
	size_t len;
};

static inline void __attribute__((format(printf, 2, 3)))
text_add(struct text *text, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text->bytes + text->len, text->room - text->len, fmt, ap);
	va_end(ap);
	text->len += (size_t)n;
	if (text->len >= text->room)
		text->len = text->room - 1;
}

#define REPLAY_LINE sizeof(((struct tally *)0)->replay)

/* A line in parts.  Refers to itself: copy it with replay_copy. */
struct replay {
	struct run run;
	char program[256];
	unsigned mutant;
	bool has_trace, has_choice;
	struct sched_trace trace;
	struct enum_choice choice;
};

void replay_print(const struct world *world, struct text *out);
void replay_parse(const char *line, struct replay *ret_replay);
void replay_copy(struct replay *to, const struct replay *from);
/* Run it: returns if nothing is violated. */
void replay_run(const struct replay *replay, struct tally *tally);

#endif

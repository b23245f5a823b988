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

struct replay {
	struct run run;
	char program[256];
	bool has_trace;
	struct sched_trace trace;
	struct enum_choice choice;
};

void replay_print(const struct world *world, struct text *out);
void replay_parse(int nword, char **word, struct replay *ret_replay);

#endif

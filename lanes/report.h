/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LANES_REPORT_H
#define LANES_REPORT_H

/* report -- the words about one violation, in the memory of who found it. */
#include <stddef.h>

/* Room for a message, a cycle and SYNC_HELD_MAX lines of what is held. */
#define REPORT_BYTES 4096

struct report {
	size_t len;
	char text[REPORT_BYTES];
};

struct held_stack;

/* What has no room is left out. */
void report_begin(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void report_add(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Add what the thread holds, count the violation, act on it as sync.h says. */
void report_end(struct report *report, struct held_stack *self);

#endif

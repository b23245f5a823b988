/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "held.h"

/*
 * Mutable and the process's: a count that belonged to an object would be lost
 * with it, and whoever hears of violations hears of all.
 */
static _Atomic(uint64_t) nviolation;
static sync_violation_fn *process_fn; /* set before there are threads */
static void *process_arg;

static void
write_error(const char *text)
{
	size_t len = strlen(text);
	ssize_t n;

	while (len > 0 && (n = write(STDERR_FILENO, text, len)) > 0) {
		text += n;
		len -= (size_t)n;
	}
}

void
held_die(const char *what, int error)
{
	char text[128];

	snprintf(text, sizeof(text), "lanes: %s failed: %s\n", what,
	    strerrorname_np(error));
	write_error(text);
	abort();
}

/* There is always room for the zero at the end. */
static void __attribute__((format(printf, 2, 0)))
add(struct report *report, const char *format, va_list ap)
{
	size_t room = sizeof(report->text) - report->len;
	int n = vsnprintf(report->text + report->len, room, format, ap);

	if (n > 0)
		report->len += (size_t)n < room ? (size_t)n : room - 1;
}

void
report_begin(struct report *report, const char *format, ...)
{
	va_list ap;

	report->len = 0;
	report_add(report, "lanes: ");
	va_start(ap, format);
	add(report, format, ap);
	va_end(ap);
}

void
report_add(struct report *report, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	add(report, format, ap);
	va_end(ap);
}

/* What happens at a violation if the thread has not asked to hear of it. */
static void
act_by_default(const char *report)
{
	if (process_fn != NULL)
		process_fn(process_arg, report);
#ifdef LANES_ABORT_ON_VIOLATION
	write_error(report);
	abort();
#endif
}

static void
add_held(struct report *report, const struct held_lock *lock)
{
	const struct lock_class *class = held_class(lock);

	if ((class->flags & (LOCK_UNRANKED | LOCK_IDLE)) != 0)
		report_add(report, "\n  held: '%s' taken at %s", class->name,
		    lock->place);
	else
		report_add(report, "\n  held: '%s' (rank %u) taken at %s",
		    class->name, class->rank, lock->place);
}

void
report_end(struct report *report, struct held_stack *self)
{
	atomic_fetch_add(&nviolation, 1);
	/* Whoever writes the report down may take locks: no loop of reports. */
	if (self->is_reporting)
		return;
	self->is_reporting = true;

	for (unsigned i = self->nlock; i-- > 0;)
		add_held(report, &self->lock[i]);
	if (report->len > sizeof(report->text) - 2)
		report->len = sizeof(report->text) - 2;
	memcpy(report->text + report->len, "\n", 2);

	if (self->violation_fn != NULL)
		self->violation_fn(self->violation_arg, report->text);
	else
		act_by_default(report->text);
	self->is_reporting = false;
}

void
held_report(struct held_stack *self, const char *format, ...)
{
	struct report report;
	va_list ap;

	report.len = 0;
	report_add(&report, "lanes: ");
	va_start(ap, format);
	add(&report, format, ap);
	va_end(ap);
	report_end(&report, self);
}

uint64_t
sync_violations(void)
{
	return atomic_load(&nviolation);
}

void
sync_on_violation(sync_violation_fn *fn, void *arg)
{
	process_fn = fn;
	process_arg = arg;
}

void
sync_catch_violations(sync_violation_fn *fn, void *arg)
{
	struct held_stack *self = held_self();

	self->violation_fn = fn;
	self->violation_arg = arg;
}

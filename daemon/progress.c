/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <lanes/clock.h>

#include "interrupt.h"
#include "progress.h"
#include "size.h"

#define REDRAW_MS 100u
#define COLUMNS_DEFAULT 80u
#define BAR_MIN 8u
#define BAR_MAX 40u
/* Before this much time has passed a guess at the rest is worth nothing. */
#define GUESS_MS 1000u

static unsigned
terminal_columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return COLUMNS_DEFAULT;
	return size.ws_col;
}

/* a * b / c, at most UINT64_MAX; exact enough for a line that is gone soon. */
static uint64_t
scale(uint64_t a, uint64_t b, uint64_t c)
{
	long double result;

	result = (long double)a * (long double)b / (long double)c;
	return result < (long double)UINT64_MAX ? (uint64_t)result : UINT64_MAX;
}

/* " 42%  1.2 GiB/s  0:12 left" */
static void
render_numbers(enum progress_unit unit, uint64_t done, uint64_t total,
    uint64_t elapsed_ms, char *ret_text, size_t size)
{
	char rate[SIZE_TEXT_BYTES];
	uint64_t left_s;
	int n;

	n = snprintf(ret_text, size, " %3u%%",
	    total == 0 ? 100u : (unsigned)scale(done, 100, total));
	if (elapsed_ms < GUESS_MS || done == 0 || n < 0)
		return;
	if (unit == PROGRESS_BYTES) {
		size_format(scale(done, 1000, elapsed_ms), rate);
		n +=
		    snprintf(ret_text + n, size - (size_t)n, "  %.20s/s", rate);
	}
	left_s = scale(total - done, elapsed_ms, done) / 1000;
	if (left_s < 3600)
		snprintf(ret_text + n, size - (size_t)n, "  %u:%02u left",
		    (unsigned)(left_s / 60), (unsigned)(left_s % 60));
	else if (left_s < 100 * 3600)
		snprintf(ret_text + n, size - (size_t)n, "  %u:%02u:%02u left",
		    (unsigned)(left_s / 3600), (unsigned)(left_s / 60 % 60),
		    (unsigned)(left_s % 60));
}

void
progress_render(const char *label, enum progress_unit unit, uint64_t done,
    uint64_t total, uint64_t elapsed_ms, unsigned columns,
    char ret_text[PROGRESS_TEXT_BYTES])
{
	char numbers[80], bar[BAR_MAX + 3], line[PROGRESS_TEXT_BYTES];
	size_t used, width, filled;

	if (done > total)
		done = total;
	if (columns >= PROGRESS_TEXT_BYTES)
		columns = PROGRESS_TEXT_BYTES - 1;
	render_numbers(unit, done, total, elapsed_ms, numbers, sizeof(numbers));

	/* The bar gets what label, numbers and its own frame leave. */
	used = strlen(label) + strlen(numbers) + 3;
	width = columns > used ? columns - used : 0;
	if (width > BAR_MAX)
		width = BAR_MAX;
	bar[0] = '\0';
	if (width >= BAR_MIN) {
		filled = total == 0 ? width : (size_t)scale(done, width, total);
		bar[0] = '[';
		memset(bar + 1, '#', filled);
		memset(bar + 1 + filled, ' ', width - filled);
		bar[width + 1] = ']';
		bar[width + 2] = '\0';
	}
	snprintf(line, sizeof(line), "%.100s %s%s", label, bar, numbers);
	snprintf(ret_text, PROGRESS_TEXT_BYTES, "%.*s", (int)columns, line);
}

void
progress_begin(struct progress *progress, const char *label,
    enum progress_unit unit, bool wanted)
{
	const char *term;

	term = getenv("TERM");
	*progress = (struct progress){
		.enabled = wanted && isatty(STDERR_FILENO) && term != NULL &&
		    strcmp(term, "dumb") != 0,
		.label = label,
		.unit = unit,
		.start_ms = clock_ms(),
	};
}

void
progress_update(struct progress *progress, uint64_t done, uint64_t total)
{
	char text[PROGRESS_TEXT_BYTES];
	uint64_t now;

	if (!progress->enabled)
		return;
	now = clock_ms();
	if (progress->drawn && now - progress->drawn_ms < REDRAW_MS)
		return;
	/* One column less: a full line would wrap on some terminals. */
	progress_render(progress->label, progress->unit, done, total,
	    now - progress->start_ms, terminal_columns() - 1, text);
	interrupt_line(true);
	progress->drawn = true;
	progress->drawn_ms = now;
	fprintf(stderr, INTERRUPT_ERASE "%s", text);
	fflush(stderr);
}

void
progress_callback(void *arg, uint64_t done, uint64_t total)
{
	progress_update(arg, done, total);
}

void
progress_clear(struct progress *progress)
{
	if (!progress->drawn)
		return;
	fputs(INTERRUPT_ERASE, stderr);
	fflush(stderr);
	progress->drawn = false;
	interrupt_line(false);
}

void
progress_end(struct progress *progress)
{
	progress_clear(progress);
	progress->enabled = false;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_PROGRESS_H
#define BTTFS_PROGRESS_H

/*
 * progress -- one line on a terminal that says how far long work has come:
 * label, bar, percent, rate, time left.  Where standard error is no terminal
 * nothing is written at all.  The line is erased when the work ends, also by a
 * signal (interrupt.h).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum progress_unit {
	PROGRESS_BYTES, /* a rate makes sense */
	PROGRESS_STEPS,
};

struct progress {
	bool enabled;
	bool drawn; /* the line is on the terminal now */
	const char *label;
	enum progress_unit unit;
	uint64_t start_ms;
	uint64_t drawn_ms;
};

/* Nothing is shown unless wanted is set.  label is not copied. */
void progress_begin(struct progress *progress, const char *label,
    enum progress_unit unit, bool wanted);
/* Draws at most ten times a second; total may be 0, done may exceed it. */
void progress_update(struct progress *progress, uint64_t done, uint64_t total);
/* Make room for other output; the next update draws again. */
void progress_clear(struct progress *progress);
void progress_end(struct progress *progress);

/* progress_update for callbacks of the library; arg is the progress. */
void progress_callback(void *arg, uint64_t done, uint64_t total);

#define PROGRESS_TEXT_BYTES 256u
/*
 * The text of the line in at most columns characters, without control
 * characters.  Pure, for tests.
 */
void progress_render(const char *label, enum progress_unit unit, uint64_t done,
    uint64_t total, uint64_t elapsed_ms, unsigned columns,
    char ret_text[PROGRESS_TEXT_BYTES]);

#endif

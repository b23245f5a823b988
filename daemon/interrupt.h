/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_INTERRUPT_H
#define BTTFS_INTERRUPT_H

/*
 * interrupt -- what a command line program owes to who stops it: SIGINT,
 * SIGTERM and SIGHUP take a half-made file and a half-drawn line away, then end
 * the process by that same signal.  The work is done in the handler, so it
 * does not depend on anybody looking at a flag in the middle of a long call.
 *
 * One thread, one file.
 */
#include <stdbool.h>

#include <btt/error.h>

/* Call once, before the functions below. */
void interrupt_install(void);

/*
 * Create a file, mode 0600, that goes away if the process is interrupted from
 * now on.  path is not copied.
 * Returns: a descriptor, or a negative errno as open(2) has them.
 */
int interrupt_create(const char *path) BTT_MUST_CHECK;
/* The file is complete: it stays.  Without a file, nothing. */
void interrupt_keep(void);
/* The file is not wanted: remove it now.  Without a file, nothing. */
void interrupt_remove(void);

/* There is, or is no longer, a line on the terminal to be cleared first. */
void interrupt_line(bool drawn);

/* What erases the line the cursor is on, and returns to its start. */
#define INTERRUPT_ERASE "\r\033[K"

#endif

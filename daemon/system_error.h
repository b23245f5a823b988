/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_SYSTEM_ERROR_H
#define BTTFS_SYSTEM_ERROR_H

/*
 * system_error -- the system's words for its errors, from where threads do not
 * share them.
 */
#include <string.h>

#include <btt/error.h>

/* For a negative errno; never NULL, and lives as long as the program. */
static inline const char *
system_error_text(int r)
{
	const char *text;

	text = strerrordesc_np(-r);
	return text != NULL ? text : "unknown error";
}

/* Note "WHAT: the system's words" and return r, a negative errno. */
static inline int
system_error(struct btt_error *error, int r, const char *what)
{
	return btt_error_set(error, r, "%s: %s", what, system_error_text(r));
}

#endif

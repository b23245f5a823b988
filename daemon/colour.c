/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "colour.h"

static bool
is_wanted(FILE *file)
{
	const char *no_color, *term;

	no_color = getenv("NO_COLOR");
	term = getenv("TERM");
	return (no_color == NULL || no_color[0] == '\0') && term != NULL &&
	    strcmp(term, "dumb") != 0 && isatty(fileno(file));
}

const struct colour *
colour_of(FILE *file)
{
	static const struct colour none = { "", "", "", "", "" };
	/* The eight that every terminal has, as its owner has set them. */
	static const struct colour ansi = {
		.good = "\033[32m",
		.doubtful = "\033[33m",
		.bad = "\033[1;31m",
		.faint = "\033[2m",
		.off = "\033[0m",
	};

	return is_wanted(file) ? &ansi : &none;
}

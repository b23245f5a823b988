/* SPDX-License-Identifier: BSD-3-Clause */
#include <btt/error.h>

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

int
btt_error_set(struct btt_error *error, int code, const char *fmt, ...)
{
	struct btt_error made;
	va_list args;

	assert(code < 0);
	if (error == NULL)
		return code;
	/* Made aside: the arguments may include what error said so far. */
	va_start(args, fmt);
	(void)vsnprintf(made.text, sizeof(made.text), fmt, args);
	va_end(args);
	*error = made;
	return code;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_MEDIA_OPEN_H
#define TESTS_SUPPORT_MEDIA_OPEN_H

/* media_open -- backing stores that a test cannot go on without. */
#include <check.h>
#include <string.h>

#include <btt/media.h>

/* Open, or fail the test with what media_open says. */
static inline struct media *
media_must_open(const char *path, const struct media_options *options)
{
	struct btt_error error = { "" };
	struct media *media = NULL;
	int r = media_open(path, options, &media, &error);

	ck_assert_msg(r == 0, "%s: %s: %s", path, strerror(-r), error.text);
	return media;
}

/* A file that may have holes. */
static inline struct media *
media_must_open_sparse(const char *path, enum media_force force, bool read_only)
{
	const struct media_options options = {
		.read_only = read_only,
		.allow_sparse = true,
		.force = force,
	};

	return media_must_open(path, &options);
}

#endif

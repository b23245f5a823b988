/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_PROBE_FIXTURE_H
#define TESTS_SUPPORT_PROBE_FIXTURE_H

/* probe_fixture -- what probe must find, or refuse. */
#include <check.h>
#include <string.h>

#include <btt/format.h>

#include "image_fixture.h"

/* Probe must fail like this, with a text that has this in it. */
static inline void
assert_refused(const struct media_fake *fake, int code, const char *text)
{
	struct btt_probe probe;
	struct btt_probe before;
	struct btt_error error = { "" };
	int r;

	memset(&probe, 0x5a, sizeof(probe));
	before = probe;
	r = btt_probe(&fake->media, &probe, &error);
	ck_assert_msg(r == code, "%d (%s), not %d: %s", r, strerror(-r), code,
	    error.text);
	ck_assert_msg(strstr(error.text, text) != NULL, "no '%s' in '%s'", text,
	    error.text);
	ck_assert_mem_eq(&probe, &before, sizeof(probe));
}

/* Probe must find one arena at off; returns its place. */
static inline struct btt_arena_place
assert_found(
    const struct media_fake *fake, enum btt_layout layout, uint64_t off)
{
	struct btt_arena_place place;
	struct btt_error error = { "" };
	struct btt_probe probe;
	int r;

	r = btt_probe(&fake->media, &probe, &error);
	ck_assert_msg(r == 0, "%d: %s", r, error.text);
	ck_assert_int_eq(probe.layout, layout);
	ck_assert_uint_eq(probe.narena, 1);
	place = probe.arena[0];
	ck_assert_uint_eq(place.off, off);
	btt_probe_fini(&probe);
	return place;
}

#endif

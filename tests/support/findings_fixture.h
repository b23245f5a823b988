/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_FINDINGS_FIXTURE_H
#define TESTS_SUPPORT_FINDINGS_FIXTURE_H

/* findings_fixture -- what a check finds. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include <btt/check.h>

#include "image_fixture.h"

#define FINDINGS_MAX 4096u

struct findings {
	struct btt_check_result result;
	struct btt_error error;
	struct btt_finding finding[FINDINGS_MAX];
	size_t n;
	uint64_t done; /* of the last progress */
	uint64_t total;
};

static inline void
findings_add(void *arg, const struct btt_finding *finding)
{
	struct findings *findings = arg;

	ck_assert_uint_lt(findings->n, FINDINGS_MAX);
	ck_assert_ptr_nonnull(finding->name);
	ck_assert_ptr_nonnull(finding->endangers);
	ck_assert_uint_gt(strlen(finding->text), 0);
	findings->finding[findings->n++] = *finding;
}

static inline void
findings_progress(void *arg, uint64_t done, uint64_t total)
{
	struct findings *findings = arg;

	ck_assert_uint_ge(done, findings->done);
	ck_assert_uint_le(done, total);
	findings->done = done;
	findings->total = total;
}

/* Check any medium, with so many threads. */
static inline int
findings_of_medium(
    const struct media *media, unsigned nthread, struct findings *ret_findings)
{
	const struct btt_check_options options = {
		.report = findings_add,
		.report_arg = ret_findings,
		.progress = findings_progress,
		.progress_arg = ret_findings,
		.nthread = nthread,
	};

	memset(ret_findings, 0, sizeof(*ret_findings));
	return btt_check(
	    media, &options, &ret_findings->result, &ret_findings->error);
}

/* Check, changing no byte; findings that are not wanted are shown. */
static inline int
findings_of(struct media_fake *fake, struct findings *ret_findings)
{
	int r;

	fake_forget(fake);
	r = findings_of_medium(&fake->media, 0, ret_findings);
	ck_assert_uint_eq(fake->nop, 0);
	return r;
}

static inline size_t
findings_count(const struct findings *findings, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < findings->n; i++)
		n += strcmp(findings->finding[i].name, name) == 0;
	return n;
}

static inline const struct btt_finding *
findings_first(const struct findings *findings, const char *name)
{
	for (size_t i = 0; i < findings->n; i++) {
		if (strcmp(findings->finding[i].name, name) == 0)
			return &findings->finding[i];
	}
	ck_abort_msg("no finding '%s'", name);
	return NULL;
}

/* "name name ..." of all findings, a name once if several follow. */
static inline const char *
findings_names(const struct findings *findings)
{
	static char text[1024];
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < findings->n; i++) {
		const char *name = findings->finding[i].name;

		if (i > 0 && strcmp(name, findings->finding[i - 1].name) == 0)
			continue;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
		    len > 0 ? " " : "", name);
		ck_assert_uint_lt(len, sizeof(text));
	}
	return text;
}

/* The whole list of names, and the number of findings that are damage. */
#define ck_assert_findings(findings, names, damage)                      \
	do {                                                             \
		ck_assert_str_eq(findings_names(findings), (names));     \
		ck_assert_uint_eq((findings)->result.ndamage, (damage)); \
	} while (0)

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_REPAIR_FIXTURE_H
#define TESTS_SUPPORT_REPAIR_FIXTURE_H

/* repair_fixture -- repairing the image of damage_fixture. */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <btt/repair.h>

#include "damage_fixture.h"

/* All that is allowed, but for rewriting the log. */
static const struct btt_repair_options repair_all = {
	.allow_data_loss = true,
	.clear_error_flag = true,
};

static inline struct btt_repair *
plan_of(const struct media *media, const struct btt_repair_options *options)
{
	struct btt_error error = { "" };
	struct btt_repair *plan = NULL;
	int r = btt_repair_plan(media, options, &plan, &error);

	ck_assert_msg(r == 0, "plan: %d %s", r, error.text);
	return plan;
}

/* Plan without changing a byte, carry out; returns what apply returned. */
static inline int
repair(struct media_fake *medium, const struct btt_repair_options *options,
    struct btt_repair_summary *ret_summary)
{
	unsigned nop = medium->nop;
	struct btt_repair *plan = plan_of(&medium->media, options);
	struct btt_error error = { "" };
	int r;

	ck_assert_uint_eq(medium->nop, nop);
	btt_repair_get_summary(plan, ret_summary);
	r = btt_repair_apply(plan, &medium->media, &error);
	ck_assert(r == 0 || error.text[0] != '\0');
	btt_repair_free(plan);
	return r;
}

/* "name name ..." of the changes of a plan, a name once if several follow. */
static inline const char *
change_names(const struct btt_repair *plan)
{
	static char text[1024];
	struct btt_repair_summary summary;
	struct btt_repair_change before = { .name = "" };
	size_t len = 0;

	text[0] = '\0';
	btt_repair_get_summary(plan, &summary);
	for (uint32_t i = 0; i < summary.nchange; i++) {
		struct btt_repair_change change;

		btt_repair_get_change(plan, i, &change);
		ck_assert_uint_gt(strlen(change.text), 0);
		if (strcmp(change.name, before.name) != 0)
			len += (size_t)snprintf(text + len, sizeof(text) - len,
			    "%s%s", len > 0 ? " " : "", change.name);
		ck_assert_uint_lt(len, sizeof(text));
		before = change;
	}
	return text;
}

/* These changes and so many refusals, then nothing to be found but notes. */
static inline void
assert_repair(
    const struct btt_repair_options *options, const char *names, unsigned nleft)
{
	struct btt_repair_summary summary;
	struct btt_repair *plan = plan_of(&fake->media, options);
	struct btt_error error = { "" };
	int r;

	ck_assert_str_eq(change_names(plan), names);
	btt_repair_get_summary(plan, &summary);
	ck_assert_uint_eq(summary.nrefusal, nleft);
	r = btt_repair_apply(plan, &fake->media, &error);
	ck_assert_msg(r == 0, "apply: %d %s", r, error.text);
	btt_repair_free(plan);
	ck_assert_int_eq(findings_of(fake, &findings), 0);
	if (nleft == 0)
		ck_assert_msg(findings.result.ndamage == 0, "left: %s, %s",
		    findings_names(&findings), findings.finding[0].text);
	else
		ck_assert_uint_gt(findings.result.ndamage, 0);
	/* and no more the second time */
	plan = plan_of(&fake->media, options);
	btt_repair_get_summary(plan, &summary);
	ck_assert_uint_eq(summary.nchange - summary.nwithheld, 0);
	ck_assert_uint_eq(summary.nwrite, 0);
	ck_assert_uint_eq(summary.nrefusal, nleft);
	btt_repair_free(plan);
}

/* The first change with that name. */
static inline struct btt_repair_change
change_named(const struct btt_repair_options *options, const char *name)
{
	struct btt_repair *plan = plan_of(&fake->media, options);
	struct btt_repair_change change = { .name = NULL };
	struct btt_repair_summary summary;

	btt_repair_get_summary(plan, &summary);
	for (uint32_t i = summary.nchange; i-- > 0;) {
		struct btt_repair_change other;

		btt_repair_get_change(plan, i, &other);
		if (strcmp(other.name, name) == 0)
			change = other;
	}
	btt_repair_free(plan);
	ck_assert_msg(change.name != NULL, "no change '%s'", name);
	return change;
}

static inline uint32_t
map_entry(uint32_t premap)
{
	struct le32 word;

	memcpy(&word, fake->bytes + map_off(premap), sizeof(word));
	return le32_decode(word);
}

/* Has the pair become a fresh one with that block? */
static inline void
assert_fresh(uint32_t pair, uint32_t block)
{
	struct le32 group[16] = { le32_encode(pair), le32_encode(block),
		le32_encode(block), le32_encode(1) };

	ck_assert_mem_eq(fake->bytes + log_off(pair), group, sizeof(group));
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_IMAGE_FIXTURE_H
#define TESTS_SUPPORT_IMAGE_FIXTURE_H

/*
 * image_fixture -- BTTs in memory, damaged on purpose, and what a check finds
 * in them.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include <btt/check.h>
#include <btt/format.h>

#include "layout.h"
#include "media_fake.h"

/* The least arena, in a v1.1 namespace: 3829 sectors of 4096 bytes. */
#define IMAGE_BYTES (BTT_ARENA_MIN_BYTES + BTT_V11_OFFSET)

static const uint8_t image_uuid[BTT_UUID_BYTES] = { 0x01, 0x23, 0x45, 0x67,
	0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd,
	0xef };

static inline struct btt_create_options
image_options(enum btt_layout layout, uint32_t sector_bytes)
{
	struct btt_create_options options = {
		.layout = layout,
		.sector_bytes = sector_bytes,
		.nfree = BTT_NFREE_DEFAULT,
		.medium_is_zero = true,
	};

	memcpy(options.uuid, image_uuid, sizeof(options.uuid));
	return options;
}

static inline void
image_create(struct media_fake *fake, const struct btt_create_options *options)
{
	struct btt_error error = { "" };
	int r = btt_create(&fake->media, options, &error);

	ck_assert_msg(r == 0, "create: %d %s", r, error.text);
}

static inline struct media_fake *
image_new(uint64_t bytes, enum btt_layout layout, uint32_t sector_bytes)
{
	struct btt_create_options options = image_options(layout, sector_bytes);
	struct media_fake *fake = fake_new(bytes);

	image_create(fake, &options);
	return fake;
}

/* The usual image, and its numbers. */
static inline struct media_fake *
image_small(struct btt_info *ret_info)
{
	struct media_fake *fake = image_new(IMAGE_BYTES, BTT_LAYOUT_V11, 4096);

	ck_assert_int_eq(
	    btt_info_decode(fake->bytes + BTT_V11_OFFSET, ret_info),
	    BTT_INFO_VALID);
	return fake;
}

static inline void
image_put_info(
    struct media_fake *fake, uint64_t off, const struct btt_info *info)
{
	btt_info_encode(info, fake->bytes + off);
}

/* Both copies, where the backup was. */
static inline void
image_put_both(
    struct media_fake *fake, uint64_t backup_off, const struct btt_info *info)
{
	image_put_info(fake, BTT_V11_OFFSET, info);
	image_put_info(fake, backup_off, info);
}

static inline void
image_put_map(struct media_fake *fake, const struct btt_info *info,
    uint32_t premap, uint32_t entry)
{
	struct le32 word = le32_encode(entry);

	memcpy(fake->bytes + BTT_V11_OFFSET + info->mapoff +
		(uint64_t)premap * MAP_ENTRY_BYTES,
	    &word, sizeof(word));
}

static inline void
image_put_log(struct media_fake *fake, const struct btt_info *info,
    uint32_t pair, unsigned slot, const uint32_t entry[4])
{
	for (unsigned i = 0; i < 4; i++) {
		struct le32 word = le32_encode(entry[i]);

		memcpy(fake->bytes + BTT_V11_OFFSET + info->logoff +
			(uint64_t)pair * FLOG_GROUP_BYTES +
			slot * sizeof(struct flog_media) + i * sizeof(word),
		    &word, sizeof(word));
	}
}

/* lba, old_map, new_map, seq */
#define LOG_ENTRY(...) ((const uint32_t[4]){ __VA_ARGS__ })

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

/* Check, changing no byte; findings that are not wanted are shown. */
static inline int
findings_of(struct media_fake *fake, struct findings *ret_findings)
{
	const struct btt_check_options options = {
		.report = findings_add,
		.report_arg = ret_findings,
		.progress = findings_progress,
		.progress_arg = ret_findings,
	};
	int r;

	memset(ret_findings, 0, sizeof(*ret_findings));
	fake_forget(fake);
	r = btt_check(&fake->media, &options, &ret_findings->result,
	    &ret_findings->error);
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

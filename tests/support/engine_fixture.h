/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_ENGINE_FIXTURE_H
#define TESTS_ENGINE_FIXTURE_H

/*
 * A device in RAM for tests of the engine, made and torn down in one call, and
 * self-identifying sectors: each 8-byte word of a sector names the sector and
 * the version, so that a torn, mixed or misplaced one shows.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <btt/btt.h>
#include <btt/check.h>
#include <btt/format.h>
#include <btt/media.h>

struct fixture {
	struct media *media;
	struct btt_worker_pool *pool;
	struct btt *btt; /* owns media while open */
	struct btt_geometry_info geometry;
};

struct fixture_options {
	uint64_t bytes;
	uint32_t sector;
	uint32_t nfree;
	enum media_granularity granularity;
	enum btt_durability durability;
	unsigned nlane;
	unsigned nworker;
};

#define FIXTURE_BYTES (UINT64_C(17) << 20)

static inline void
fixture_open(struct fixture *fixture, const struct fixture_options *options)
{
	struct btt_open_options open_options = {
		.durability = options->durability, .nlane = options->nlane
	};
	struct btt_error error = { "" };
	int r;

	r = btt_open(fixture->media, fixture->pool, &open_options,
	    &fixture->btt, &error);
	ck_assert_msg(r == 0, "open: %d %s", r, error.text);
	btt_get_geometry(fixture->btt, &fixture->geometry);
}

static inline void
fixture_new(struct fixture *fixture, const struct fixture_options *options)
{
	struct btt_create_options create = {
		.layout = BTT_LAYOUT_V11,
		.sector_bytes = options->sector,
		.nfree = options->nfree,
		.uuid = { 1, 2, 3 },
		.medium_is_zero = true,
	};
	struct btt_error error = { "" };

	ck_assert_int_eq(media_install_sigbus(), 0);
	ck_assert_int_eq(media_ram_new(options->bytes, options->granularity,
			     &fixture->media),
	    0);
	ck_assert_msg(
	    btt_create(fixture->media, &create, &error) == 0, "%s", error.text);
	ck_assert_int_eq(
	    btt_worker_pool_new(
		options->nworker ? options->nworker : 1, &fixture->pool),
	    0);
	fixture_open(fixture, options);
}

static inline struct btt_worker *
fixture_worker(struct fixture *fixture, unsigned index)
{
	return btt_worker_pool_get(fixture->pool, index);
}

static inline void
fixture_free(struct fixture *fixture)
{
	ck_assert_int_eq(btt_close(fixture->btt), 0);
	btt_worker_pool_free(fixture->pool);
}

/* Fill a sector with its name. */
static inline void
sector_fill(void *buf, size_t bytes, uint64_t lba, uint64_t version)
{
	uint64_t *word = buf;

	for (size_t i = 0; i < bytes / 8; i++)
		word[i] = lba << 32 | version;
}

/*
 * The version of a sector, or -1 if its words differ or name another sector.
 * All zero is version 0 of any sector.
 */
static inline int64_t
sector_version(const void *buf, size_t bytes, uint64_t lba)
{
	const uint64_t *word = buf;

	for (size_t i = 1; i < bytes / 8; i++) {
		if (word[i] != word[0])
			return -1;
	}
	if (word[0] == 0)
		return 0;
	if (word[0] >> 32 != lba)
		return -1;
	return (int64_t)(word[0] & UINT32_MAX);
}

/* Close the engine, check the medium, open it again. */
static inline void
fixture_check(struct media *media)
{
	struct btt_check_options options = { 0 };
	struct btt_check_result result;
	struct btt_error error = { "" };
	int r;

	r = btt_check(media, &options, &result, &error);
	ck_assert_msg(r == 0, "check: %d %s", r, error.text);
	ck_assert_msg(result.ndamage == 0, "%llu findings",
	    (unsigned long long)result.ndamage);
}

#endif

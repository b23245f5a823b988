/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_ENGINE_VARIANTS_H
#define TESTS_ENGINE_VARIANTS_H

/*
 * Devices of the fixture in all the ways of becoming durable, with few lanes
 * and many, for tests that say the same of each of them.
 */
#include "engine_fixture.h"

#define VARIANT_SECTOR 4096u

static const struct {
	enum media_granularity granularity;
	enum btt_durability durability;
	unsigned nlane;
} variants[] = {
	{ MEDIA_CACHE_LINE, BTT_DURABLE_WRITE, 1 },
	{ MEDIA_CACHE_LINE, BTT_DURABLE_FLUSH, 32 },
	{ MEDIA_PAGE, BTT_DURABLE_WRITE, 256 },
	{ MEDIA_PAGE, BTT_DURABLE_FLUSH, 7 },
};
#define NVARIANT ((int)(sizeof(variants) / sizeof(variants[0])))

static inline struct fixture_options
variant_options(int variant)
{
	return (struct fixture_options){ .bytes = FIXTURE_BYTES,
		.sector = VARIANT_SECTOR,
		.nfree = 256,
		.granularity = variants[variant].granularity,
		.durability = variants[variant].durability,
		.nlane = variants[variant].nlane,
		.nworker = 4 };
}

static inline void
variant_write(struct fixture *fixture, struct btt_worker *worker,
    uint64_t sector, uint64_t version)
{
	uint8_t bytes[VARIANT_SECTOR];

	sector_fill(bytes, sizeof(bytes), sector, version);
	ck_assert_int_eq(btt_write(fixture->btt, worker,
			     sector * VARIANT_SECTOR, sizeof(bytes), bytes),
	    0);
}

/*
 * A new one, whose first sectors have version 1, durably, and blocks that are
 * not where they were at first.  Returns the first worker.
 */
static inline struct btt_worker *
variant_new(struct fixture *fixture, int variant, uint64_t nsector)
{
	struct fixture_options options = variant_options(variant);
	struct btt_worker *worker;

	fixture_new(fixture, &options);
	worker = fixture_worker(fixture, 0);
	for (uint64_t i = 0; i < nsector; i++)
		variant_write(fixture, worker, i, 1);
	ck_assert_int_eq(btt_flush(fixture->btt, worker), 0);
	return worker;
}

#endif

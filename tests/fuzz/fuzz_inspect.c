/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_inspect -- what is shown of whole images, damaged or not.
 *
 * Claims: nothing is changed; the verdict is that of btt_probe; every offset
 * that is shown is on the medium; where the oracle takes the log, what will be
 * completed and the block of every sector are what the oracle says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <btt/inspect.h>

#include "faults.h"
#include "layout.h"
#include "medium.h"
#include "oracle.h"
#include "target.h"

/* Sectors that are translated at once. */
#define CHUNK 64u

static struct oracle oracle;
static const struct media *media;

static void
problem(void *arg, const char *text)
{
	unsigned *nproblem = arg;

	FUZZ_CHECK(text[0] != '\0');
	++*nproblem;
}

static void
expect_copy(uint64_t off)
{
	struct btt_info_copy copy;
	unsigned nproblem = 0;

	btt_inspect_info(media, off, &copy);
	if (!btt_info_copy_has_fields(&copy))
		return;
	FUZZ_CHECK(off <= media->size - BTT_INFO_BYTES);
	FUZZ_CHECK(btt_inspect_info_problems(&copy.info, problem, &nproblem) ==
	    nproblem);
}

static void
expect_on_medium(uint64_t off, uint64_t bytes)
{
	FUZZ_CHECK(off == BTT_NOWHERE ||
	    (off <= media->size && bytes <= media->size - off));
}

static void
expect_sector(const struct btt_translation *at, uint64_t stride, bool is_sound)
{
	uint32_t after = is_sound ? oracle.after.map[at->premap] : 0;
	uint32_t block = at->is_pending ? at->pending_block : at->block;

	expect_on_medium(at->off, at->off == BTT_NOWHERE ? 0 : stride);
	if (at->is_pending)
		expect_on_medium(at->pending_off,
		    at->pending_off == BTT_NOWHERE ? 0 : stride);
	if (is_sound)
		FUZZ_CHECK(map_entry_block(after, at->premap) == block);
}

static void
look_at_map(const struct btt_inspect_arena *arena,
    const struct btt_inspect_log *log, bool is_sound)
{
	struct btt_translation sector[CHUNK];
	struct btt_error error = { "" };
	uint32_t all = arena->info.external_nlba;
	uint32_t n;

	/* A wrong number may say that there are billions. */
	if (all > REFERENCE_LBAS)
		all = REFERENCE_LBAS;
	for (uint32_t at = 0; at < all; at += n) {
		n = all - at < CHUNK ? all - at : CHUNK;
		if (btt_inspect_map(media, arena, log, at, n, sector, &error) <
		    0) {
			FUZZ_CHECK(error.text[0] != '\0' && !is_sound);
			return;
		}
		for (uint32_t i = 0; i < n; i++)
			expect_sector(
			    &sector[i], arena->info.internal_lbasize, is_sound);
	}
	FUZZ_CHECK(btt_inspect_map(media, arena, log, arena->info.external_nlba,
		       1, sector, &error) < 0);
}

static void
look_at_log(const struct btt_inspect_arena *arena, bool is_sound)
{
	struct btt_error error = { "" };
	struct btt_inspect_log log;
	int r = btt_inspect_log(media, arena, &log, &error);

	if (r < 0) {
		FUZZ_CHECK(error.text[0] != '\0' && !is_sound);
		look_at_map(arena, NULL, false);
		return;
	}
	FUZZ_CHECK(log.npair == arena->info.nfree);
	for (uint32_t i = 0; i < log.npair; i++) {
		const struct btt_log_pair *pair = &log.pair[i];

		FUZZ_CHECK((pair->state == BTT_PAIR_DAMAGED) ==
		    (pair->problem != NULL));
		if (is_sound)
			FUZZ_CHECK(pair->has_newest &&
			    pair->free_block == oracle.after.free[i]);
	}
	for (uint32_t i = 0; i < log.npending; i++)
		FUZZ_CHECK(i == 0 ||
		    log.pending[i - 1].premap < log.pending[i].premap);
	look_at_map(arena, &log, is_sound);
	btt_inspect_log_fini(&log);
}

static void
look_at_arena(const struct btt_inspect *inspect, uint32_t i)
{
	const struct btt_inspect_arena *arena = &inspect->arena[i];
	const struct btt_arena_place place = { .off = arena->off,
		.info = arena->info };
	bool is_sound = false;

	if (inspect->verdict == 0) {
		oracle_look(media->base, &place, &oracle);
		is_sound = oracle.refused == NULL;
	}
	expect_copy(arena->off);
	expect_copy(arena->backup_off);
	look_at_log(arena, is_sound);
}

/* The same in need: what cannot be had is told. */
static void
inspect_with_fault(size_t dice)
{
	struct btt_error error = { "" };
	struct btt_inspect_log log;
	struct btt_inspect inspect;
	int r;

	fault_arm(dice % 2 ? FAULT_MEMORY : FAULT_MEDIA,
	    1 + (unsigned)(dice / 2 % 24));
	r = btt_inspect_find(media, NULL, &inspect);
	for (uint32_t i = 0; r == 0 && i < inspect.narena; i++) {
		if (btt_inspect_log(media, &inspect.arena[i], &log, &error) ==
		    0)
			btt_inspect_log_fini(&log);
		else
			FUZZ_CHECK(error.text[0] != '\0');
	}
	(void)fault_disarm();
	if (r == 0)
		btt_inspect_fini(&inspect);
	else
		FUZZ_CHECK(fault_explains(r));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct btt_error error = { "" };
	struct btt_inspect inspect;
	struct btt_probe probe;
	struct medium *medium;
	uint32_t arena, premap;
	uint8_t *bytes;
	size_t n;
	int r;

	if ((bytes = packed_open(data, size, &n)) == NULL)
		return 0;
	medium = medium_new(bytes, n, MEDIA_CACHE_LINE);
	medium->forbidden = true;
	media = &medium->media;
	inspect_with_fault(size + data[size - 1]);
	FUZZ_CHECK(btt_inspect_find(media, NULL, &inspect) == 0);
	if ((r = btt_probe(media, &probe, &error)) == 0)
		btt_probe_fini(&probe);
	FUZZ_CHECK(inspect.verdict == r);
	FUZZ_CHECK(inspect.nsequence <= inspect.narena);
	FUZZ_CHECK(r < 0 || inspect.nsequence == inspect.narena);
	FUZZ_CHECK(r == 0 || inspect.reason.text[0] != '\0');
	for (uint32_t i = 0; i < inspect.narena; i++)
		look_at_arena(&inspect, i);
	FUZZ_CHECK(!btt_inspect_locate(
	    &inspect, btt_inspect_nsector(&inspect), &arena, &premap));
	btt_inspect_fini(&inspect);
	media_close(&medium->media);
	return 0;
}

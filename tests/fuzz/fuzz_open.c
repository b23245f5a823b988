/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_open -- whole images: opened for reading, opened for writing, written,
 * opened again.
 *
 * Claims: opening for reading succeeds wherever arenas are found, and changes
 * nothing; neither does an open that fails.  Opening for writing succeeds where
 * the oracle finds one owner for every block, and both info blocks are one; it
 * changes map entries only, to what the kernel's recovery says, or nothing if
 * there is an error flag; also where memory runs out or the medium cannot be
 * read.  Both see the same sectors, each readable or -EIO; every block has one
 * owner afterwards, and what was written is there in the end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "faults.h"
#include "medium.h"
#include "oracle.h"
#include "target.h"

#define SECTOR_COUNT_MAX (PACKED_IMAGE_MAX / 512)
#define ARENA_COUNT_MAX (PACKED_IMAGE_MAX / BTT_ARENA_MIN_BYTES)
#define WRITE_COUNT 12

/* What a device shows. */
struct contents {
	uint64_t nsector;
	int r[SECTOR_COUNT_MAX];
	uint8_t bytes[PACKED_IMAGE_MAX];
};

static struct {
	uint8_t *bytes; /* of the image, ours between two media */
	size_t size;
	struct medium *medium; /* the one that has them now */
	struct btt_probe probe;
	struct btt_worker_pool *pool;
	struct btt_worker *worker;
	bool sound;
	uint64_t dice;
	enum fault_kind fault;
	unsigned fault_at; /* when it comes; 0: never */
	uint64_t fail_op;  /* medium.h */
	struct contents shown, found;
} run;
static struct oracle oracle[ARENA_COUNT_MAX];

static uint32_t
dice(uint32_t sides)
{
	run.dice = run.dice * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(run.dice >> 33) % sides;
}

static void
heard(void *arg, const struct btt_finding *finding)
{
	(void)arg;
	FUZZ_CHECK(finding->text[0] != '\0' && finding->endangers[0] != '\0');
	FUZZ_CHECK(finding->off <= run.size);
}

static void
take_back(void)
{
	run.bytes = medium_keep(run.medium);
}

/* Opening for writing stores map entries, nothing else. */
static void
expect_map(void *arg, uint64_t off, size_t len)
{
	(void)arg;
	for (uint32_t i = 0; i < run.probe.narena; i++) {
		const struct btt_arena_place *place = &run.probe.arena[i];
		uint64_t map = place->off + place->info.mapoff;

		if (off >= map && len == sizeof(struct le32) &&
		    off - map < 4 * (uint64_t)place->info.external_nlba)
			return;
	}
	fuzz_fail(__FILE__, __LINE__, "%zu bytes at %llu changed by opening",
	    len, (unsigned long long)off);
}

static int
open_image(bool read_only, struct btt **ret_btt)
{
	static const enum media_granularity granularity[] = { MEDIA_CACHE_LINE,
		MEDIA_PAGE };
	struct btt_open_options options = {
		.read_only = read_only,
		.durability = dice(2) ? BTT_DURABLE_WRITE : BTT_DURABLE_FLUSH,
		.nlane = dice(5),
		.report = heard,
	};
	struct btt_error error = { "" };
	int r;

	run.medium = medium_new(run.bytes, run.size, granularity[dice(2)]);
	run.medium->forbidden = run.medium->media.read_only = read_only;
	run.medium->watch = expect_map;
	run.medium->fail_op = run.fail_op;
	fault_arm(run.fault, run.fault_at);
	r = btt_open(&run.medium->media, run.pool, &options, ret_btt, &error);
	(void)fault_disarm();
	run.medium->fail_op = 0;
	run.medium->watch = NULL;
	if (r == 0)
		return 0;
	/* What is refused is left alone, and told why; not so what fails. */
	FUZZ_CHECK(error.text[0] != '\0' || fault_explains(r));
	FUZZ_CHECK(
	    run.medium->nstore == 0 || fault_explains(r) || run.fail_op > 0);
	take_back();
	media_close(&run.medium->media);
	return r;
}

static void
close_image(struct btt *btt)
{
	FUZZ_CHECK(btt_flush(btt, run.worker) == 0);
	take_back();
	/* Nothing is left to be done, or it would be done to nothing. */
	run.medium->forbidden = true;
	FUZZ_CHECK(btt_close(btt) == 0);
}

static void
look_at_arenas(void)
{
	run.sound = true;
	for (uint32_t i = 0; i < run.probe.narena; i++) {
		oracle_look(run.bytes, &run.probe.arena[i], &oracle[i]);
		run.sound = run.sound && oracle_is_sound(&oracle[i]);
	}
}

static bool
is_flagged(void)
{
	for (uint32_t i = 0; i < run.probe.narena; i++) {
		if (run.probe.arena[i].has_error_flag)
			return true;
	}
	return false;
}

static bool
must_be_refused(void)
{
	if (!run.sound)
		return true;
	for (uint32_t i = 0; i < run.probe.narena; i++) {
		if (run.probe.arena[i].copies_differ &&
		    !run.probe.arena[i].are_kin)
			return true;
	}
	return false;
}

static void
read_all(struct btt *btt, struct contents *ret)
{
	struct btt_geometry_info geometry;
	uint32_t sector;

	btt_get_geometry(btt, &geometry);
	sector = geometry.sector_bytes;
	FUZZ_CHECK(geometry.size_bytes <= run.size);
	ret->nsector = geometry.nsector;
	for (uint64_t i = 0; i < geometry.nsector; i++) {
		uint8_t *to = ret->bytes + i * sector;

		ret->r[i] = btt_read(btt, run.worker, i * sector, sector, to);
		FUZZ_CHECK(ret->r[i] == 0 || ret->r[i] == -EIO);
		if (ret->r[i] < 0)
			memset(to, 0, sector);
	}
	FUZZ_CHECK(btt_read(btt, run.worker, geometry.size_bytes, 1,
		       run.found.bytes) == -ERANGE);
}

static void
expect_contents(struct btt *btt)
{
	uint32_t sector = btt->geometry.sector_bytes;

	read_all(btt, &run.found);
	FUZZ_CHECK(run.found.nsector == run.shown.nsector);
	for (uint64_t i = 0; i < run.shown.nsector; i++)
		FUZZ_CHECK_MSG(run.found.r[i] == run.shown.r[i] &&
			memcmp(run.found.bytes + i * sector,
			    run.shown.bytes + i * sector, sector) == 0,
		    "sector %llu is not what it was", (unsigned long long)i);
}

/* Maps and free blocks are what the kernel would have made of them. */
static void
expect_recovered(const struct btt *btt)
{
	for (uint32_t i = 0; i < btt->narena; i++) {
		const struct arena *arena = &btt->arena[i];
		const struct reference *after = &oracle[i].after;

		for (uint32_t k = 0; k < arena->external_nlba; k++)
			FUZZ_CHECK(after->map[k] ==
			    media_load32(arena->media, arena->map_off + 4 * k));
		for (uint32_t k = 0; k < arena->nfree; k++)
			FUZZ_CHECK(after->free[k] == arena->pair[k].free_block);
	}
}

static void
write_some_sectors(struct btt *btt)
{
	const uint32_t sector = btt->geometry.sector_bytes;

	for (unsigned i = 0; i < WRITE_COUNT; i++) {
		uint64_t first = dice((uint32_t)run.shown.nsector);
		uint64_t n = 1 + dice(3);
		uint8_t *to = run.shown.bytes + first * sector;
		bool zero = dice(4) == 0;
		int r;

		if (n > run.shown.nsector - first)
			n = run.shown.nsector - first;
		memset(
		    run.found.bytes, zero ? 0 : 1 + (int)dice(255), n * sector);
		if (zero)
			r = btt_zero(
			    btt, run.worker, first * sector, n * sector);
		else
			r = btt_write(btt, run.worker, first * sector,
			    n * sector, run.found.bytes);
		FUZZ_CHECK(r == 0);
		memcpy(to, run.found.bytes, n * sector);
		memset(&run.shown.r[first], 0, n * sizeof(run.shown.r[0]));
	}
}

/* One that wants no more writes gets none, whoever asks. */
static void
open_flagged(void)
{
	struct btt *btt;

	FUZZ_CHECK(open_image(false, &btt) == 0);
	FUZZ_CHECK(btt->geometry.read_only && run.medium->nstore == 0);
	run.medium->forbidden = true;
	expect_contents(btt);
	FUZZ_CHECK(btt_write(btt, run.worker, 0, 1, run.found.bytes) == -EROFS);
	close_image(btt);
}

/* The same image as often as it takes; false: it is not to be written to. */
static bool
open_and_compare(void)
{
	struct btt *btt;
	int r;

	FUZZ_CHECK(open_image(true, &btt) == 0);
	read_all(btt, &run.shown);
	close_image(btt);
	if (is_flagged()) {
		open_flagged();
		return false;
	}
	r = open_image(false, &btt);
	FUZZ_CHECK(r == (must_be_refused() ? -EUCLEAN : 0));
	if (r < 0)
		return false;
	expect_recovered(btt);
	expect_contents(btt);
	write_some_sectors(btt);
	expect_contents(btt);
	close_image(btt);
	return true;
}

static void
open_again(void)
{
	struct btt *btt;

	look_at_arenas();
	FUZZ_CHECK(run.sound);
	FUZZ_CHECK(open_image(dice(2) == 0, &btt) == 0);
	expect_contents(btt);
	close_image(btt);
}

static void
set_up(const uint8_t *data, size_t size)
{
	if (run.pool == NULL) {
		FUZZ_CHECK(btt_worker_pool_new(1, &run.pool) == 0);
		run.worker = btt_worker_pool_get(run.pool, 0);
	}
	run.dice = size;
	for (size_t i = 0; i < size; i++)
		run.dice = (run.dice ^ data[i]) * 1099511628211u;
}

/* An open on which something fails that is none of the image's doing. */
static void
open_with_fault(void)
{
	uint8_t *image = run.bytes;
	struct btt *btt;
	void *copy = NULL;
	int r;

	FUZZ_CHECK(posix_memalign(&copy, BTT_ALIGN, run.size) == 0);
	memcpy(copy, image, run.size);
	run.bytes = copy;
	run.fault = dice(2) ? FAULT_MEMORY : FAULT_MEDIA;
	run.fault_at = 1 + dice(24);
	/* Or what recovery does to the medium fails. */
	if (dice(3) == 0) {
		run.fail_op = 1 + dice(6);
		run.fault_at = 0;
	}
	r = open_image(dice(2) == 0, &btt);
	if (r == 0)
		close_image(btt);
	FUZZ_CHECK(r == 0 || fault_explains(r) || must_be_refused() ||
	    (r == -EIO && run.fail_op > 0));
	run.fault_at = 0;
	run.fail_op = 0;
	free(run.bytes);
	run.bytes = image;
}

/* Is there a BTT?  Its places are what everything else is held against. */
static bool
probe_image(void)
{
	struct btt_error error = { "" };
	struct medium *medium;
	int r;

	medium = medium_new(run.bytes, run.size, MEDIA_CACHE_LINE);
	medium->forbidden = true;
	r = btt_probe(&medium->media, &run.probe, &error);
	run.bytes = medium_keep(medium);
	media_close(&medium->media);
	if (r == 0)
		return true;
	FUZZ_CHECK(r == -EMEDIUMTYPE || r == -ENOTSUP || r == -EUCLEAN);
	FUZZ_CHECK(error.text[0] != '\0');
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct btt *btt;

	set_up(data, size);
	if ((run.bytes = packed_open(data, size, &run.size)) == NULL)
		return 0;
	if (probe_image()) {
		look_at_arenas();
		open_with_fault();
		if (open_and_compare())
			open_again();
		btt_probe_fini(&run.probe);
	} else {
		FUZZ_CHECK(open_image(true, &btt) < 0);
		FUZZ_CHECK(open_image(false, &btt) < 0);
	}
	free(run.bytes);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_repair -- the repair of whole images.
 *
 * Claims: a plan changes nothing; carried out without a refusal and with
 * nothing withheld it leaves nothing for check to find and nothing for a second
 * plan to do, an image that opens, and one owner for every block; no sector
 * that could be read before reads otherwise afterwards, but as an error where
 * the plan says that data is lost; cut short at any operation on the medium, or
 * where the medium cannot be read, and planned anew, it comes to the same end,
 * byte for byte; a plan for which there is no memory, or that meets a page that
 * cannot be read, fails with a reason or is one of what can be read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <btt/btt.h>
#include <btt/repair.h>

#include "faults.h"
#include "medium.h"
#include "oracle.h"
#include "target.h"

#define SECTOR_COUNT_MAX (PACKED_IMAGE_MAX / 512)

struct contents {
	bool is_open;
	uint64_t nsector;
	uint32_t sector_bytes;
	int r[SECTOR_COUNT_MAX];
	uint8_t bytes[PACKED_IMAGE_MAX];
};

static struct {
	size_t size;
	uint64_t dice;
	struct btt_repair_options options;
	struct btt_worker_pool *pool;
	struct btt_worker *worker;
	struct contents before, after;
} run;

static uint32_t
dice(uint32_t sides)
{
	run.dice = run.dice * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(run.dice >> 33) % sides;
}

static uint8_t *
copy_of(const uint8_t *image)
{
	void *copy = NULL;

	FUZZ_CHECK(posix_memalign(&copy, BTT_ALIGN, run.size) == 0);
	memcpy(copy, image, run.size);
	return copy;
}

/* The medium around bytes that stay the caller's. */
static struct medium *
wrap(uint8_t *image)
{
	return medium_new(image, run.size, MEDIA_CACHE_LINE);
}

static void
unwrap(struct medium *medium)
{
	(void)medium_keep(medium);
	media_close(&medium->media);
}

static void
note_damage(void *arg, const struct btt_finding *finding)
{
	bool *is_damaged = arg;

	/* Of info blocks it has another copy, and reads the same. */
	*is_damaged |= finding->severity == BTT_DAMAGE &&
	    strncmp(finding->name, "info", 4) != 0;
}

/*
 * What a reader sees; nothing where it does not open, or only in spite of
 * damage of the log or map: then interrupted writes are shown undone that a
 * repair completes.
 */
static void
read_contents(uint8_t *image, struct contents *ret)
{
	bool is_damaged = false;
	const struct btt_open_options options = {
		.read_only = true,
		.report = note_damage,
		.report_arg = &is_damaged,
	};
	struct medium *medium = wrap(image);
	struct btt_geometry_info geometry;
	struct btt *btt;

	medium->forbidden = medium->media.read_only = true;
	ret->is_open = false;
	if (btt_open(&medium->media, run.pool, &options, &btt, NULL) < 0) {
		unwrap(medium);
		return;
	}
	ret->is_open = !is_damaged;
	btt_get_geometry(btt, &geometry);
	ret->nsector = geometry.nsector;
	ret->sector_bytes = geometry.sector_bytes;
	for (uint64_t i = 0; i < geometry.nsector; i++)
		ret->r[i] = btt_read(btt, run.worker, i * geometry.sector_bytes,
		    geometry.sector_bytes,
		    ret->bytes + i * geometry.sector_bytes);
	(void)medium_keep(medium);
	FUZZ_CHECK(btt_close(btt) == 0);
}

static uint64_t
damage_of(uint8_t *image)
{
	const struct btt_check_options options = { 0 };
	struct medium *medium = wrap(image);
	struct btt_check_result result = { 0 };

	medium->forbidden = true;
	FUZZ_CHECK(btt_check(&medium->media, &options, &result, NULL) == 0);
	unwrap(medium);
	return result.ndamage;
}

static void
expect_texts(
    const struct btt_repair *plan, const struct btt_repair_summary *summary)
{
	struct btt_repair_refusal refusal;
	struct btt_repair_change change;
	uint32_t nwithheld = 0;
	uint32_t nloss = 0;

	for (uint32_t i = 0; i < summary->nchange; i++) {
		btt_repair_get_change(plan, i, &change);
		FUZZ_CHECK(change.name[0] != '\0' && change.text[0] != '\0');
		FUZZ_CHECK(change.off < run.size);
		nwithheld += change.is_withheld;
		nloss += change.loses_data;
	}
	FUZZ_CHECK(nwithheld == summary->nwithheld);
	FUZZ_CHECK(nloss == summary->nloss);
	FUZZ_CHECK(!run.options.allow_data_loss || nwithheld == 0);
	for (uint32_t i = 0; i < summary->nrefusal; i++) {
		btt_repair_get_refusal(plan, i, &refusal);
		FUZZ_CHECK(refusal.text[0] != '\0');
	}
}

/* Where an attempt to repair ends before its time. */
struct cut {
	uint64_t op;    /* operations on the medium fail from this one on */
	unsigned fault; /* media_try() fails for the so manieth time */
};
static const struct cut uncut;

/*
 * Plan and carry out, until it is cut short.  Returns what the first of the two
 * returns that fails.
 */
static int
repair(uint8_t *image, const struct cut *cut,
    struct btt_repair_summary *ret_summary, uint64_t *ret_nop)
{
	struct medium *medium = wrap(image);
	struct btt_error error = { "" };
	struct btt_repair *plan;
	int r;

	medium->forbidden = true;
	r = btt_repair_plan(&medium->media, &run.options, &plan, &error);
	medium->forbidden = false;
	if (r == 0) {
		btt_repair_get_summary(plan, ret_summary);
		expect_texts(plan, ret_summary);
		medium->fail_op = cut->op;
		medium->fail_on = true;
		if (cut->fault > 0)
			fault_arm(FAULT_MEDIA, cut->fault);
		r = btt_repair_apply(plan, &medium->media, &error);
		(void)fault_disarm();
		btt_repair_free(plan);
	}
	FUZZ_CHECK(r == 0 || error.text[0] != '\0');
	*ret_nop = medium->nop;
	unwrap(medium);
	return r;
}

/* whole_r is what planning comes to without a fault. */
static void
plan_with_fault(uint8_t *image, int whole_r)
{
	const unsigned n = 1 + dice(dice(2) ? 16 : 160);
	struct medium *medium = wrap(image);
	struct btt_error error = { "" };
	struct btt_repair_summary summary;
	struct btt_repair *plan;
	int r;

	medium->forbidden = true;
	fault_arm(dice(2) ? FAULT_MEMORY : FAULT_MEDIA, n);
	r = btt_repair_plan(&medium->media, &run.options, &plan, &error);
	(void)fault_disarm();
	if (r == 0) {
		btt_repair_get_summary(plan, &summary);
		expect_texts(plan, &summary);
		btt_repair_free(plan);
	} else {
		FUZZ_CHECK(error.text[0] != '\0');
		FUZZ_CHECK_MSG(r == whole_r || fault_explains(r),
		    "a fault makes it fail with %d", r);
	}
	unwrap(medium);
}

static void
expect_same_sectors(const struct btt_repair_summary *summary)
{
	uint32_t nlost = 0;

	if (!run.before.is_open)
		return;
	FUZZ_CHECK(run.after.is_open);
	FUZZ_CHECK(run.after.nsector == run.before.nsector);
	for (uint64_t i = 0; i < run.before.nsector; i++) {
		uint64_t at = i * run.before.sector_bytes;

		if (run.after.r[i] < 0) {
			nlost += run.before.r[i] == 0;
			continue;
		}
		FUZZ_CHECK_MSG(run.before.r[i] == 0,
		    "sector %llu could not be read, now it can",
		    (unsigned long long)i);
		FUZZ_CHECK_MSG(
		    memcmp(run.before.bytes + at, run.after.bytes + at,
			run.before.sector_bytes) == 0,
		    "sector %llu reads otherwise", (unsigned long long)i);
	}
	FUZZ_CHECK(nlost <= summary->nloss - summary->nwithheld);
}

/* All of it was done: is all well? */
static void
expect_whole(uint8_t *image)
{
	static struct oracle oracle;
	struct btt_repair_summary summary;
	struct btt_probe probe;
	struct medium *medium;
	uint64_t nop;

	FUZZ_CHECK(run.after.is_open);
	medium = wrap(image);
	FUZZ_CHECK(btt_probe(&medium->media, &probe, NULL) == 0);
	for (uint32_t i = 0; i < probe.narena; i++) {
		oracle_look(image, &probe.arena[i], &oracle);
		FUZZ_CHECK(oracle_is_sound(&oracle));
	}
	btt_probe_fini(&probe);
	unwrap(medium);
	FUZZ_CHECK(repair(image, &uncut, &summary, &nop) == 0);
	FUZZ_CHECK(summary.nchange == 0 && summary.nwrite == 0);
}

static void
expect_same_end(const uint8_t *found, const uint8_t *wanted)
{
	for (size_t i = 0; i < run.size; i++)
		FUZZ_CHECK_MSG(found[i] == wanted[i],
		    "cut short and begun again it leaves %#x at %zu, not %#x",
		    found[i], i, wanted[i]);
}

static void
repair_interrupted(const uint8_t *image, const uint8_t *whole, uint64_t nop)
{
	struct btt_repair_summary summary;
	uint8_t *copy = copy_of(image);
	struct cut cut = { 0 };
	uint64_t ignored;

	if (nop > 0) {
		if (dice(4) == 0)
			cut.fault = 1 + dice((uint32_t)nop);
		else
			cut.op = 1 + dice((uint32_t)nop);
		(void)repair(copy, &cut, &summary, &ignored);
		FUZZ_CHECK(repair(copy, &uncut, &summary, &ignored) == 0);
		expect_same_end(copy, whole);
	}
	free(copy);
}

static void
try_repair(uint8_t *image)
{
	struct btt_repair_summary summary;
	uint8_t *whole = copy_of(image);
	uint64_t nop;
	int r;

	read_contents(image, &run.before);
	r = repair(whole, &uncut, &summary, &nop);
	if (r == 0) {
		read_contents(whole, &run.after);
		expect_same_sectors(&summary);
		if (summary.nrefusal == 0 && summary.nwithheld == 0) {
			FUZZ_CHECK(damage_of(whole) == 0);
			expect_whole(whole);
		}
		repair_interrupted(image, whole, nop);
	}
	free(whole);
	plan_with_fault(image, r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *image;

	if (run.pool == NULL) {
		FUZZ_CHECK(btt_worker_pool_new(1, &run.pool) == 0);
		run.worker = btt_worker_pool_get(run.pool, 0);
	}
	if ((image = packed_open(data, size, &run.size)) == NULL)
		return 0;
	run.dice = size;
	for (size_t i = 0; i < size; i++)
		run.dice = (run.dice ^ data[i]) * 1099511628211u;
	run.options = (struct btt_repair_options){
		.allow_data_loss = dice(3) > 0,
		.rewrite_log = dice(4) == 0,
		.clear_error_flag = dice(3) > 0,
		.nthread = 1,
	};
	try_repair(image);
	free(image);
	return 0;
}

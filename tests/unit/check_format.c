/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * format -- creating a BTT: what is written, in which order, and what a crash
 * or an error in the middle leaves.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <btt/check.h>
#include <btt/format.h>

#include "support/check_main.h"
#include "support/findings_fixture.h"

#define NELEM(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const uint8_t old_uuid[BTT_UUID_BYTES] = { 0xaa };

static const struct {
	enum btt_layout layout;
	uint32_t sector;
	uint32_t nfree;
} variants[] = {
	{ BTT_LAYOUT_V11, 512, 256 },
	{ BTT_LAYOUT_V11, 520, 256 },
	{ BTT_LAYOUT_V11, 528, 256 },
	{ BTT_LAYOUT_V11, 1024, 256 },
	{ BTT_LAYOUT_V11, 4096, 256 },
	{ BTT_LAYOUT_V11, 4096, 300 },
	{ BTT_LAYOUT_V11, 4096, 2500 }, /* more than there are sectors */
	{ BTT_LAYOUT_V11, 4104, 256 },
	{ BTT_LAYOUT_V11, 4160, 256 },
	{ BTT_LAYOUT_V11, 4224, 256 },
	{ BTT_LAYOUT_V11, 32768, 256 },
	{ BTT_LAYOUT_V20, 512, 256 },
	{ BTT_LAYOUT_V20, 512, 4096 },
	{ BTT_LAYOUT_V20, 4096, 256 },
	{ BTT_LAYOUT_V20, 4224, 256 },
};

/* The log area is rounded up; no pair is behind the last. */
static void
assert_zero_behind_log(
    const struct media_fake *fake, const struct btt_arena_place *place)
{
	const uint64_t end = place->off + place->info.info2off;
	uint64_t off = place->off + place->info.logoff +
	    (uint64_t)place->info.nfree * FLOG_GROUP_BYTES;

	for (; off < end; off++)
		ck_assert_uint_eq(fake->bytes[off], 0);
}

/* What is made is found, has no findings, and holds what was announced. */
START_TEST(create__makes_what_check_finds_clean)
{
	struct btt_create_options options =
	    image_options(variants[_i].layout, variants[_i].sector);
	struct media_fake *fake = fake_new(IMAGE_BYTES + 3 * 4096 + 5);
	static struct findings findings;
	struct btt_error error = { "" };
	struct btt_probe probe;
	uint64_t nsector;

	options.nfree = variants[_i].nfree;
	options.medium_is_zero = false;
	memset(fake->bytes, 0xee, fake->media.size);
	nsector = btt_create_nsector(fake->media.size, &options, &error);
	ck_assert_uint_gt(nsector, 0);
	image_create(fake, &options);
	ck_assert_msg(
	    btt_probe(&fake->media, &probe, &error) == 0, "%s", error.text);
	ck_assert_int_eq(probe.layout, variants[_i].layout);
	ck_assert_uint_eq(probe.narena, 1);
	ck_assert_int_eq(probe.arena[0].primary, BTT_INFO_VALID);
	ck_assert_int_eq(probe.arena[0].backup, BTT_INFO_VALID);
	ck_assert(!probe.arena[0].copies_differ);
	ck_assert(!probe.arena[0].from_backup);
	ck_assert_uint_eq(probe.arena[0].info.nfree, variants[_i].nfree);
	ck_assert_uint_eq(probe.arena[0].info.external_nlba, nsector);
	ck_assert_mem_eq(
	    probe.arena[0].info.uuid, image_uuid, sizeof(image_uuid));
	assert_zero_behind_log(fake, &probe.arena[0]);
	btt_probe_fini(&probe);
	ck_assert_int_eq(findings_of(fake, &findings), 0);
	ck_assert_findings(&findings, "", 0);
	ck_assert_uint_eq(findings.result.ninitial, nsector);
	ck_assert_uint_eq(findings.result.nsector, nsector);
	ck_assert_uint_eq(findings.done, findings.total);
	media_close(&fake->media);
}
END_TEST

/* A medium that is known to be zero needs less work and comes out the same. */
START_TEST(create__on_zeroes_skips_only_what_is_zero)
{
	struct btt_create_options options =
	    image_options(variants[_i].layout, variants[_i].sector);
	struct media_fake *one = fake_new(IMAGE_BYTES);
	struct media_fake *other = fake_new(IMAGE_BYTES);

	options.nfree = variants[_i].nfree;
	image_create(one, &options);
	options.medium_is_zero = false;
	image_create(other, &options);
	ck_assert_uint_lt(one->nop, other->nop);
	ck_assert_mem_eq(one->bytes, other->bytes, IMAGE_BYTES);
	media_close(&one->media);
	media_close(&other->media);
}
END_TEST

START_TEST(create__refuses_what_it_cannot_make)
{
	static const struct {
		int code;
		enum btt_layout layout;
		uint64_t bytes;
		uint32_t sector;
		uint32_t nfree;
		const char *text;
	} rows[] = {
		{ -EINVAL, (enum btt_layout)7, IMAGE_BYTES, 4096, 256,
		    "layout" },
		{ -EINVAL, BTT_LAYOUT_V11, IMAGE_BYTES, 1000, 256,
		    "1000 bytes" },
		{ -EINVAL, BTT_LAYOUT_V11, IMAGE_BYTES, 0, 256, "0 bytes" },
		{ -EINVAL, BTT_LAYOUT_V11, IMAGE_BYTES, 4096, 255, "255 free" },
		{ -EINVAL, BTT_LAYOUT_V11, IMAGE_BYTES, 4096, 65537,
		    "65537 free" },
		/* btt-format.md 1.7: the kernel refuses the same size */
		{ -ENOSPC, BTT_LAYOUT_V11, 16777216, 4096, 256, "16781312" },
		{ -ENOSPC, BTT_LAYOUT_V20, 16777215, 4096, 256, "16777216" },
		{ -ENOSPC, BTT_LAYOUT_V11, 1, 4096, 256, "16781312" },
		{ -ENOSPC, BTT_LAYOUT_V11, IMAGE_BYTES, 65536, 256, "need" },
	};

	for (int i = 0; i < NELEM(rows); i++) {
		struct btt_create_options options =
		    image_options(rows[i].layout, rows[i].sector);
		struct media_fake *fake = fake_new(rows[i].bytes);
		struct btt_error error = { "" };

		options.nfree = rows[i].nfree;
		ck_assert_int_eq(
		    btt_create(&fake->media, &options, &error), rows[i].code);
		ck_assert_msg(strstr(error.text, rows[i].text) != NULL,
		    "row %d: '%s'", i, error.text);
		ck_assert_uint_eq(fake->nop, 0);
		ck_assert_uint_eq(
		    btt_create_nsector(rows[i].bytes, &options, NULL), 0);
		media_close(&fake->media);
	}
}
END_TEST

/* What is written can be told before. */
START_TEST(create_info__is_the_block_that_create_writes)
{
	struct btt_create_options options =
	    image_options(variants[_i].layout, variants[_i].sector);
	struct media_fake *fake = fake_new(IMAGE_BYTES + 3 * 4096 + 5);
	uint8_t block[BTT_INFO_BYTES];
	struct btt_error error = { "" };
	struct btt_info info;
	uint64_t off;

	options.nfree = variants[_i].nfree;
	image_create(fake, &options);
	ck_assert_int_eq(
	    btt_create_info(fake->media.size, &options, 0, &off, &info, &error),
	    0);
	btt_info_encode(&info, block);
	ck_assert_mem_eq(fake->bytes + off, block, sizeof(block));
	ck_assert_mem_eq(
	    fake->bytes + off + info.info2off, block, sizeof(block));
	ck_assert_int_eq(
	    btt_create_info(fake->media.size, &options, 1, &off, &info, &error),
	    -ERANGE);
	media_close(&fake->media);
}
END_TEST

/* The size that the refusal names is enough, and one byte less is not. */
START_TEST(create__names_the_least_size)
{
	for (int i = 0; i < NELEM(variants); i++) {
		struct btt_create_options options =
		    image_options(variants[i].layout, variants[i].sector);
		struct btt_error error = { "" };
		unsigned long long bytes;
		const char *number;

		options.nfree = variants[i].nfree;
		ck_assert_uint_eq(btt_create_nsector(0, &options, &error), 0);
		ck_assert_ptr_nonnull(number = strstr(error.text, "need "));
		ck_assert_int_eq(sscanf(number, "need %llu", &bytes), 1);
		ck_assert_uint_gt(btt_create_nsector(bytes, &options, NULL), 0);
		ck_assert_uint_eq(
		    btt_create_nsector(bytes - 1, &options, NULL), 0);
	}
}
END_TEST

START_TEST(create__of_a_read_only_medium_is_erofs)
{
	struct btt_create_options options = image_options(BTT_LAYOUT_V11, 4096);
	struct media_fake *fake = fake_new(IMAGE_BYTES);
	struct btt_error error = { "" };

	fake->media.read_only = true;
	ck_assert_int_eq(btt_create(&fake->media, &options, &error), -EROFS);
	ck_assert_str_eq(error.text, "medium is read-only");
	ck_assert_uint_eq(fake->nop, 0);
	media_close(&fake->media);
}
END_TEST

/* Long enough for a backup in front of a label area to be thinkable. */
#define OLD_BYTES (IMAGE_BYTES + 2 * 131072)

/*
 * An older BTT: another UUID, another log, every sector written once, so that
 * nothing of it is what a new one has in the same place.
 */
static struct media_fake *
old_image(enum btt_layout layout)
{
	const uint64_t start = layout == BTT_LAYOUT_V11 ? BTT_V11_OFFSET : 0;
	struct btt_create_options options = image_options(layout, 4096);
	struct media_fake *fake = fake_new(OLD_BYTES);
	struct btt_info info;

	memcpy(options.uuid, old_uuid, sizeof(options.uuid));
	options.nfree = 300;
	image_create(fake, &options);
	ck_assert_int_eq(
	    btt_info_decode(fake->bytes + start, &info), BTT_INFO_VALID);
	for (uint32_t i = 0; i < info.external_nlba; i++) {
		struct le32 entry =
		    le32_encode(MAP_NORMAL | (info.external_nlba - 1 - i));

		memcpy(fake->bytes + start + info.mapoff + 4ull * i, &entry,
		    sizeof(entry));
	}
	memset(fake->bytes + start + info.dataoff, 0xda,
	    info.mapoff - info.dataoff);
	fake_forget(fake);
	return fake;
}

/* Each error is passed on, none is overlooked, and nothing is done after it. */
START_TEST(create__stops_at_every_error)
{
	struct btt_create_options options = image_options(BTT_LAYOUT_V11, 4096);
	struct media_fake *fake = old_image(BTT_LAYOUT_V20);
	struct btt_error error = { "" };
	unsigned nop;

	options.medium_is_zero = false;
	image_create(fake, &options);
	nop = fake->nop;
	ck_assert_uint_gt(nop, 10);
	media_close(&fake->media);
	for (unsigned fail = 1; fail <= nop; fail++) {
		struct btt_probe probe;

		fake = old_image(BTT_LAYOUT_V20);
		fake->fail_op = fail;
		ck_assert_int_eq(
		    btt_create(&fake->media, &options, &error), -EIO);
		ck_assert_uint_gt(strlen(error.text), 0);
		ck_assert_uint_eq(fake->nop, fail);
		if (btt_probe(&fake->media, &probe, NULL) == 0)
			btt_probe_fini(&probe);
		media_close(&fake->media);
	}
}
END_TEST

struct progress {
	uint64_t done;
	uint64_t total;
	unsigned ncall;
};

static void
count_progress(void *arg, uint64_t done, uint64_t total)
{
	struct progress *progress = arg;

	ck_assert_uint_ge(done, progress->done);
	ck_assert_uint_le(done, total);
	if (progress->ncall++ > 0)
		ck_assert_uint_eq(total, progress->total);
	progress->done = done;
	progress->total = total;
}

START_TEST(create__reports_progress_to_the_end)
{
	struct btt_create_options options = image_options(BTT_LAYOUT_V11, 512);
	struct media_fake *fake = fake_new(UINT64_C(1) << 30);

	for (int zero = 0; zero < 2; zero++) {
		struct progress progress = { 0 };

		options.medium_is_zero = zero;
		options.progress = count_progress;
		options.progress_arg = &progress;
		image_create(fake, &options);
		ck_assert_uint_gt(progress.total, 0);
		ck_assert_uint_eq(progress.done, progress.total);
		/* a map of 8 MiB, in pieces */
		ck_assert_uint_ge(progress.ncall, zero ? 2 : 5);
	}
	media_close(&fake->media);
}
END_TEST

/*
 * What a power cut may leave: all that was fenced, and of what came later any
 * subset of lines.
 */
struct cut {
	const struct media_fake *fake; /* with what was done */
	struct media_fake *after;      /* the medium after the cut */
	uint64_t random;
};

static bool
coin(struct cut *cut)
{
	cut->random = cut->random * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return cut->random >> 63;
}

/* How much of what was not fenced yet the cut lets through. */
enum fate {
	FATE_NOTHING,
	FATE_ALL,
	FATE_SOME_LINES,
	FATE_SOME_OPERATIONS,
};

static void
apply_fate(struct cut *cut, const struct fake_op *op, enum fate fate)
{
	if (fate == FATE_SOME_OPERATIONS)
		fate = coin(cut) ? FATE_ALL : FATE_NOTHING;
	for (size_t at = 0; at < op->len; at += 64) {
		size_t len = op->len - at < 64 ? op->len - at : 64;
		uint8_t *to = cut->after->bytes + op->off + at;

		if (fate == FATE_NOTHING ||
		    (fate == FATE_SOME_LINES && !coin(cut)))
			continue;
		if (op->kind == FAKE_ZERO)
			memset(to, 0, len);
		else if (op->bytes != NULL)
			memcpy(to, op->bytes + at, len);
	}
}

/* Where the last fence before operation i was, and the next one after it. */
static unsigned
fence_before(const struct media_fake *fake, unsigned i)
{
	while (i > 0 && fake->op[i - 1].kind != FAKE_FENCE)
		i--;
	return i;
}

static unsigned
fence_after(const struct media_fake *fake, unsigned i)
{
	while (i < fake->nop && fake->op[i].kind != FAKE_FENCE)
		i++;
	return i;
}

static void
make_cut(struct cut *cut, const uint8_t *before, unsigned at, enum fate fate)
{
	const struct media_fake *fake = cut->fake;
	unsigned fence = fence_before(fake, at);

	memcpy(cut->after->bytes, before, OLD_BYTES);
	for (unsigned i = 0; i < fence; i++)
		fake_apply(&fake->op[i], cut->after->bytes);
	for (unsigned i = fence; i <= at; i++)
		apply_fate(cut, &fake->op[i], fate);
}

/* The data of an old BTT that is still found: all there. */
static void
assert_old_data(const struct media_fake *fake, const struct btt_arena_place *at)
{
	const uint8_t *data = fake->bytes + at->off + at->info.dataoff;

	ck_assert_uint_eq(data[0], 0xda);
	ck_assert_msg(
	    memcmp(data, data + 1, at->info.mapoff - at->info.dataoff - 1) == 0,
	    "the old BTT is found, but not its data");
}

/*
 * The states between two crashes of one creation: the old BTT, whole, until
 * its info blocks are gone; then nothing; and as soon as anything of the new
 * one is found, all of it is there.
 */
static void
assert_old_or_none_or_new(struct cut *cut, unsigned at, unsigned first_fence)
{
	static struct findings findings;
	struct btt_error error = { "" };
	struct btt_probe probe;

	if (btt_probe(&cut->after->media, &probe, &error) < 0)
		return;
	if (memcmp(probe.arena[0].info.uuid, old_uuid, sizeof(old_uuid)) == 0) {
		ck_assert_msg(at <= first_fence,
		    "the old BTT is found after operation %u", at);
		assert_old_data(cut->after, &probe.arena[0]);
	}
	btt_probe_fini(&probe);
	ck_assert_int_eq(findings_of(cut->after, &findings), 0);
	for (size_t i = 0; i < findings.n; i++) {
		const struct btt_finding *finding = &findings.finding[i];

		ck_assert_msg(strncmp(finding->name, "info", 4) == 0,
		    "cut at operation %u: %s: %s", at, finding->name,
		    finding->text);
	}
}

static bool
has_valid_primary(const struct media_fake *fake, uint64_t off)
{
	struct btt_info info;

	return btt_info_decode(fake->bytes + off, &info) == BTT_INFO_VALID &&
	    memcmp(info.uuid, image_uuid, sizeof(info.uuid)) == 0;
}

START_TEST(create__leaves_no_half_a_btt_at_a_power_cut)
{
	const enum btt_layout to = _i % 2 ? BTT_LAYOUT_V20 : BTT_LAYOUT_V11;
	const enum btt_layout from = _i / 2 ? BTT_LAYOUT_V20 : BTT_LAYOUT_V11;
	const uint64_t start = to == BTT_LAYOUT_V11 ? BTT_V11_OFFSET : 0;
	struct btt_create_options options = image_options(to, 4096);
	struct media_fake *fake = old_image(from);
	struct cut cut = { .fake = fake, .after = fake_new(OLD_BYTES) };
	uint8_t *before = malloc(OLD_BYTES);
	unsigned first_fence;
	unsigned last_fence;

	ck_assert_ptr_nonnull(before);
	cut.random = (uint64_t)_i + 1;
	memcpy(before, fake->bytes, OLD_BYTES);
	options.medium_is_zero = false;
	fake->remember = true;
	image_create(fake, &options);
	ck_assert_int_eq(fake->op[fake->nop - 1].kind, FAKE_FENCE);
	first_fence = fence_after(fake, 0);
	/* Layouts are erased one after the other, a fence behind each. */
	if (from == BTT_LAYOUT_V11)
		first_fence = fence_after(fake, first_fence + 1);
	last_fence = fence_before(fake, fake->nop - 1);
	for (unsigned at = 0; at < fake->nop; at++) {
		for (int trial = 0; trial < 14; trial++) {
			enum fate fate = trial < 2 ? (enum fate)trial
			    : trial < 6            ? FATE_SOME_LINES
						   : FATE_SOME_OPERATIONS;

			make_cut(&cut, before, at, fate);
			assert_old_or_none_or_new(&cut, at, first_fence);
			if (at < last_fence)
				ck_assert(!has_valid_primary(cut.after, start));
		}
	}
	ck_assert(has_valid_primary(fake, start));
	free(before);
	media_close(&cut.after->media);
	media_close(&fake->media);
}
END_TEST

/* Whatever layout was there before, and with or without a label area. */
START_TEST(create__leaves_nothing_of_an_older_one_to_be_found)
{
	static const enum btt_layout layouts[] = { BTT_LAYOUT_V11,
		BTT_LAYOUT_V20 };
	struct media_fake *fake = fake_new(IMAGE_BYTES + 131072);
	struct btt_info info;

	for (int i = 0; i < 4; i++) {
		struct btt_create_options options =
		    image_options(layouts[i / 2], 4096);
		uint64_t old_start = i % 2 ? 0 : BTT_V11_OFFSET;
		uint64_t new_start = i / 2 ? 0 : BTT_V11_OFFSET;
		struct btt_probe probe;

		/* an older BTT that ends before a label area */
		fake->media.size = IMAGE_BYTES;
		memset(fake->bytes, 0, IMAGE_BYTES + 131072);
		options.layout = layouts[i % 2];
		image_create(fake, &options);
		fake->media.size = IMAGE_BYTES + 131072;
		strcpy((char *)fake->bytes + IMAGE_BYTES, "NAMESPACE_INDEX");

		options.layout = layouts[i / 2];
		options.medium_is_zero = false;
		image_create(fake, &options);
		/* lose the new one, and the old one must not come back */
		ck_assert_int_eq(
		    btt_info_decode(fake->bytes + new_start, &info),
		    BTT_INFO_VALID);
		memset(fake->bytes + new_start, 0, BTT_INFO_BYTES);
		memset(
		    fake->bytes + new_start + info.info2off, 0, BTT_INFO_BYTES);
		ck_assert_msg(
		    btt_probe(&fake->media, &probe, NULL) == -EMEDIUMTYPE,
		    "an older BTT at %llu was found",
		    (unsigned long long)old_start);
	}
	media_close(&fake->media);
}
END_TEST

/* Three arenas and a remainder that is too small for one. */
START_TEST(create__makes_several_arenas)
{
	const uint64_t max = BTT_ARENA_MAX_BYTES;
	struct btt_create_options options =
	    image_options(_i ? BTT_LAYOUT_V20 : BTT_LAYOUT_V11, 65536);
	const uint64_t start = _i ? 0 : BTT_V11_OFFSET;
	struct media_fake *fake =
	    fake_new(start + 3 * max + BTT_ARENA_MIN_BYTES - 4096);
	static struct findings findings;
	struct btt_error error = { "" };
	struct btt_probe probe;
	uint64_t nsector = 0;

	image_create(fake, &options);
	ck_assert_msg(
	    btt_probe(&fake->media, &probe, &error) == 0, "%s", error.text);
	ck_assert_uint_eq(probe.narena, 3);
	for (uint32_t i = 0; i < 3; i++) {
		const struct btt_arena_place *place = &probe.arena[i];

		ck_assert_uint_eq(place->off, start + i * max);
		ck_assert_uint_eq(place->info.nextoff, i < 2 ? max : 0);
		ck_assert_uint_eq(place->info.info2off, max - 4096);
		ck_assert_mem_eq(
		    place->info.uuid, image_uuid, sizeof(image_uuid));
		ck_assert(!place->copies_differ);
		nsector += place->info.external_nlba;
	}
	ck_assert_uint_eq(
	    btt_create_nsector(fake->media.size, &options, NULL), nsector);
	btt_probe_fini(&probe);
	ck_assert_int_eq(findings_of(fake, &findings), 0);
	ck_assert_findings(&findings, "", 0);
	ck_assert_uint_eq(findings.result.ninitial, nsector);
	media_close(&fake->media);
}
END_TEST

/* Whatever is left of old arenas is gone before anything new is written. */
START_TEST(create__erases_the_info_blocks_of_all_arenas_first)
{
	const uint64_t last = 2 * BTT_ARENA_MAX_BYTES;
	struct btt_create_options options =
	    image_options(BTT_LAYOUT_V20, 65536);
	struct media_fake *fake = fake_new(last + (UINT64_C(64) << 20));
	struct btt_info info;
	unsigned nop;

	image_create(fake, &options);
	ck_assert_int_eq(
	    btt_info_decode(fake->bytes + last, &info), BTT_INFO_VALID);
	fake_forget(fake);
	options.medium_is_zero = false;
	/* until the first operation that erases no info block */
	fake->remember = true;
	image_create(fake, &options);
	for (nop = 0; fake->op[nop].kind == FAKE_FENCE ||
	     fake->op[nop].len == BTT_INFO_BYTES;
	     nop++)
		ck_assert_int_ne(fake->op[nop].kind, FAKE_COPY);
	ck_assert_int_eq(fake->op[nop - 1].kind, FAKE_FENCE);
	fake_forget(fake);
	/* as it was, and stop there */
	fake->remember = false;
	options.medium_is_zero = true;
	image_create(fake, &options);
	fake_forget(fake);
	fake->fail_op = nop + 1;
	options.medium_is_zero = false;
	ck_assert_int_eq(btt_create(&fake->media, &options, NULL), -EIO);
	for (uint64_t off = 0; off <= last; off += BTT_ARENA_MAX_BYTES)
		ck_assert_int_eq(btt_info_decode(fake->bytes + off, &info),
		    BTT_INFO_NO_SIGNATURE);
	ck_assert_int_eq(
	    btt_info_decode(
		fake->bytes + fake->media.size - BTT_INFO_BYTES, &info),
	    BTT_INFO_NO_SIGNATURE);
	media_close(&fake->media);
}
END_TEST

/* Last arena first, its backup first: what is found last completes it. */
START_TEST(create__writes_info_blocks_from_the_last_to_the_first)
{
	const uint64_t max = BTT_ARENA_MAX_BYTES;
	const uint64_t last = UINT64_C(64) << 20;
	struct btt_create_options options =
	    image_options(BTT_LAYOUT_V20, 65536);
	struct media_fake *fake = fake_new(2 * max + last);
	const uint64_t expected[] = { 2 * max + last - 4096, 2 * max,
		2 * max - 4096, max, max - 4096, 0 };
	unsigned at;

	fake->remember = true;
	image_create(fake, &options);
	/* the last twelve: six blocks, a fence after each */
	ck_assert_uint_gt(fake->nop, 12);
	at = fake->nop - 12;
	ck_assert_int_eq(fake->op[at - 1].kind, FAKE_FENCE);
	for (int i = 0; i < 6; i++) {
		const struct fake_op *op = &fake->op[at + 2 * (unsigned)i];

		ck_assert_int_eq(op[0].kind, FAKE_COPY);
		ck_assert_uint_eq(op[0].len, BTT_INFO_BYTES);
		ck_assert_int_eq(op[1].kind, FAKE_FENCE);
		ck_assert_uint_eq(op[0].off, expected[i]);
	}
	media_close(&fake->media);
}
END_TEST

/* A last arena may be long enough, but not for so many free blocks. */
START_TEST(create__leaves_out_a_last_arena_without_room)
{
	struct btt_create_options options =
	    image_options(BTT_LAYOUT_V20, 65536);
	struct media_fake *fake =
	    fake_new(BTT_ARENA_MAX_BYTES + BTT_ARENA_MIN_BYTES);
	struct btt_probe probe;

	image_create(fake, &options);
	ck_assert_int_eq(btt_probe(&fake->media, &probe, NULL), 0);
	ck_assert_uint_eq(probe.narena, 1);
	ck_assert_uint_eq(probe.arena[0].info.nextoff, 0);
	btt_probe_fini(&probe);
	media_close(&fake->media);
}
END_TEST

static Suite *
format_suite(void)
{
	Suite *suite = suite_create("format");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 100);
	tcase_add_loop_test(
	    tc, create__makes_what_check_finds_clean, 0, NELEM(variants));
	tcase_add_loop_test(
	    tc, create__on_zeroes_skips_only_what_is_zero, 0, NELEM(variants));
	tcase_add_loop_test(tc, create_info__is_the_block_that_create_writes, 0,
	    NELEM(variants));
	tcase_add_test(tc, create__refuses_what_it_cannot_make);
	tcase_add_test(tc, create__names_the_least_size);
	tcase_add_test(tc, create__of_a_read_only_medium_is_erofs);
	tcase_add_test(tc, create__stops_at_every_error);
	tcase_add_test(tc, create__reports_progress_to_the_end);
	tcase_add_loop_test(
	    tc, create__leaves_no_half_a_btt_at_a_power_cut, 0, 4);
	tcase_add_test(tc, create__leaves_nothing_of_an_older_one_to_be_found);
	if (MEDIA_FAKE_MAY_BE_HUGE)
		tcase_add_loop_test(tc, create__makes_several_arenas, 0, 2);
	tcase_add_test(tc, create__erases_the_info_blocks_of_all_arenas_first);
	if (MEDIA_FAKE_MAY_BE_HUGE)
		tcase_add_test(
		    tc, create__writes_info_blocks_from_the_last_to_the_first);
	tcase_add_test(tc, create__leaves_out_a_last_arena_without_room);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(format_suite());
}

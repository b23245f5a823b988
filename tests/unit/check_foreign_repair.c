/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * foreign_repair -- damaged images on which the kernel and ndctl were tried: the
 * place of each damage, what a repair makes of it, and that the sectors are those
 * of the image before it was damaged.  SHARED is where they are, beside the tree;
 * without them the program is skipped.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/check_main.h"
#include "support/patch.h"
#include "support/repair_fixture.h"
#include "support/unpack.h"

/* Of the base image, which has sectors of 4096 bytes. */
#define INFO_OFF UINT64_C(0x1000)
#define INFO2_OFF UINT64_C(0x3fff000)
#define MAP_OFF UINT64_C(0x3feb000)
#define LOG_OFF UINT64_C(0x3ffb000)
#define MAP_AT(premap) (MAP_OFF + 4 * (premap))
#define LOG_AT(pair) (LOG_OFF + 64 * (pair))
#define NOTHING_FOUND UINT64_MAX

/* What becomes of a case. */
enum fate {
	FATE_MENDED,  /* no damage is left */
	FATE_REFUSED, /* nothing is written, and it says why */
	FATE_LEGAL,   /* the numbers are those of another image: not ours */
	FATE_UNKNOWN, /* it is none that we know */
};

static const struct {
	const char *name;
	uint64_t entry; /* of the first finding */
	uint64_t off;
	const char *text; /* that it has in it */
	enum fate fate;
	const char *changes;
	bool loses_data;
	uint32_t differs; /* the one sector that is not as it was, or NONE */
} cases[] = {
#define NONE UINT32_MAX
	{ "both-csum", BTT_NO_ENTRY, INFO_OFF, "wrong checksum at 4096",
	    FATE_REFUSED, "", false, NONE },
	{ "dataoff-8192", BTT_NO_ENTRY, INFO_OFF, "formula has it: dataoff",
	    FATE_LEGAL, "", false, NONE },
	{ "ext-nlba-small", BTT_NO_ENTRY, INFO_OFF, "external_nlba 16000",
	    FATE_REFUSED, "", false, NONE },
	{ "flags-error", BTT_NO_ENTRY, INFO_OFF, "error flag is set",
	    FATE_MENDED, "error-flag", false, NONE },
	{ "info1-csum", BTT_NO_ENTRY, INFO_OFF, "wrong checksum; its backup",
	    FATE_MENDED, "info", false, NONE },
	{ "info1-pad", BTT_NO_ENTRY, INFO_OFF, "wrong checksum; its backup",
	    FATE_MENDED, "info", false, NONE },
	{ "info1-zero", BTT_NO_ENTRY, INFO_OFF, "no info block; its backup",
	    FATE_MENDED, "info", false, NONE },
	{ "info2-other-uuid", BTT_NO_ENTRY, INFO2_OFF,
	    "differs from the primary in uuid", FATE_MENDED, "info2", false,
	    NONE },
	{ "info2off-wrong", BTT_NO_ENTRY, INFO_OFF, "info2off", FATE_REFUSED,
	    "", false, NONE },
	{ "int-nlba-big", BTT_NO_ENTRY, INFO_OFF, "internal_nlba 116360",
	    FATE_REFUSED, "", false, NONE },
	{ "lbasize-512", BTT_NO_ENTRY, INFO_OFF, "internal_lbasize", FATE_LEGAL,
	    "", false, NONE },
	{ "log-all-zero", 0, LOG_AT(0), "pair is empty", FATE_MENDED,
	    "log-layout", false, NONE },
	{ "log-equal-seq", 250, LOG_AT(250), "numbers 1 and 1", FATE_MENDED,
	    "log-seq", false, NONE },
	{ "log-free-oob-lanes01", 0, LOG_AT(0), "old_map is out of range",
	    FATE_MENDED, "log-range", false, NONE },
	{ "log-lba-oob-pending", 250, LOG_AT(250), "lba is out of range",
	    FATE_MENDED, "log-range", false, NONE },
	{ "log-mixed-padding", 7, LOG_AT(7), "uses slots 0 2", FATE_MENDED,
	    "log-layout", false, NONE },
	{ "log-old-E", 250, LOG_AT(250), "1 pairs have flags", FATE_MENDED, "",
	    false, NONE },
	{ "log-old-oob", 250, LOG_AT(250), "old_map is out of range",
	    FATE_MENDED, "log-range", false, NONE },
	{ "log-pad-slot2", 250, LOG_AT(250), "uses slots 0 2", FATE_MENDED,
	    "log-layout", false, NONE },
	{ "log-seq-4", 250, LOG_AT(250), "numbers 4 and 0", FATE_MENDED,
	    "log-seq", false, NONE },
	{ "logoff-beyond", BTT_NO_ENTRY, INFO_OFF, "logoff", FATE_REFUSED, "",
	    false, NONE },
	{ "long-2M", BTT_NO_ENTRY, UINT64_C(0x4000000), "2097152 bytes",
	    FATE_MENDED, "", false, NONE },
	/* reads as zeroes: legal, and nobody can know better */
	{ "map-Z", BTT_NO_ENTRY, NOTHING_FOUND, "", FATE_MENDED, "", false, 5 },
	{ "map-initial-bits", 106, MAP_AT(106), "1 initial entries",
	    FATE_MENDED, "", false, NONE },
	{ "map-oob-1", 5, MAP_AT(5), "names block 16360 of 16360", FATE_MENDED,
	    "map-range", false, 5 },
	{ "map-points-at-free", 5, MAP_AT(5),
	    "block 16304 is owned by log pair 200 and by map entry 5",
	    FATE_MENDED, "bitmap", true, 5 },
	{ "nextoff-garbage", BTT_NO_ENTRY, INFO_OFF, "nextoff", FATE_REFUSED,
	    "", false, NONE },
	{ "nfree-128", BTT_NO_ENTRY, INFO_OFF, "nfree 128", FATE_REFUSED, "",
	    false, NONE },
	{ "pad-nonzero", BTT_NO_ENTRY, INFO_OFF + 1000, "byte 1000",
	    FATE_MENDED, "", false, NONE },
	{ "pend-map", 0, LOG_AT(0), "sector 4777: the map says block 4777",
	    FATE_MENDED, "log-map", false, NONE },
	{ "pend-map-two", 1, LOG_AT(1), "sector 91", FATE_MENDED, "log-map",
	    false, NONE },
	{ "short-1M", BTT_NO_ENTRY, UINT64_C(66060288), "too short",
	    FATE_REFUSED, "", false, NONE },
	{ "short-4K", BTT_NO_ENTRY, UINT64_C(67104768), "too short",
	    FATE_REFUSED, "", false, NONE },
	{ "torn-virgin", BTT_NO_ENTRY, NOTHING_FOUND, "", FATE_MENDED, "",
	    false, NONE },
	{ "ver-1.2", BTT_NO_ENTRY, NOTHING_FOUND, "", FATE_UNKNOWN, "", false,
	    NONE },
};

static struct media_fake *base;
static const struct btt_repair_options careful = { .clear_error_flag = true };

static void
foreign_set_up(void)
{
	base = unpack(SHARED "/kernel", "b-4096-64M.img");
	ck_assert_int_eq(
	    btt_info_decode(base->bytes + INFO_OFF, &info), BTT_INFO_VALID);
	fake = fake_new(base->media.size + (2 << 20));
	memcpy(fake->bytes, base->bytes, base->media.size);
}

static void
foreign_tear_down(void)
{
	fake->media.size = base->media.size + (2 << 20);
	media_close(&fake->media);
	media_close(&base->media);
}

/* Each case has a process of its own, and so an image that is still whole. */
static void
start_case(int i)
{
	if (!check_forks())
		memcpy(fake->bytes, base->bytes, base->media.size);
	fake->media.size = base->media.size;
	patch_apply(fake, SHARED "/damaged", cases[i].name);
}

/* The data of a sector, or NULL if it reads as zeroes or fails. */
static const uint8_t *
sector_of(const struct media_fake *medium, uint32_t sector)
{
	struct le32 word;
	uint32_t entry;

	memcpy(&word, medium->bytes + MAP_AT(sector), sizeof(word));
	entry = le32_decode(word);
	if (entry >> 30 == 1 || entry >> 30 == 2)
		return NULL;
	return medium->bytes + INFO_OFF + info.dataoff +
	    4096ull * (entry >> 30 == 0 ? sector : entry & 0x3fffffff);
}

static void
assert_contents(int i)
{
	for (uint32_t sector = 0; sector < info.external_nlba; sector++) {
		const uint8_t *before = sector_of(base, sector);
		const uint8_t *after = sector_of(fake, sector);
		bool is_same = before == NULL
		    ? after == NULL
		    : after != NULL && memcmp(before, after, 4096) == 0;

		if (is_same == (sector == cases[i].differs))
			ck_abort_msg("%s: sector %u %s", cases[i].name, sector,
			    is_same ? "is as it was" : "is another");
	}
}

START_TEST(check__tells_the_place)
{
	const struct btt_finding *finding = &findings.finding[0];

	start_case(_i);
	if (cases[_i].fate == FATE_UNKNOWN) {
		ck_assert_int_eq(findings_of(fake, &findings), -ENOTSUP);
		return;
	}
	ck_assert_int_eq(findings_of(fake, &findings), 0);
	if (cases[_i].off == NOTHING_FOUND) {
		ck_assert_uint_eq(findings.n, 0);
		return;
	}
	ck_assert_msg(findings.n > 0 && finding->arena == 0 &&
		finding->entry == cases[_i].entry &&
		finding->off == cases[_i].off &&
		strstr(finding->text, cases[_i].text) != NULL,
	    "%s: %s, entry %lld, byte %#llx: %s", cases[_i].name, finding->name,
	    (long long)finding->entry, (unsigned long long)finding->off,
	    finding->text);
}
END_TEST

START_TEST(repair__mends_what_can_be_mended)
{
	const struct btt_repair_options *options =
	    cases[_i].loses_data ? &repair_all : &careful;
	struct btt_repair_summary summary;
	struct btt_repair *plan;

	start_case(_i);
	if (cases[_i].fate == FATE_UNKNOWN) {
		ck_assert_int_eq(
		    btt_repair_plan(&fake->media, options, &plan, NULL),
		    -ENOTSUP);
		return;
	}
	plan = plan_of(&fake->media, &careful);
	btt_repair_get_summary(plan, &summary);
	ck_assert_str_eq(change_names(plan), cases[_i].changes);
	ck_assert(cases[_i].loses_data == (summary.nloss > 0));
	ck_assert(cases[_i].loses_data == (summary.nwithheld > 0));
	ck_assert((cases[_i].fate == FATE_REFUSED || cases[_i].loses_data) ==
	    (summary.nrefusal > 0));
	btt_repair_free(plan);
	fake_forget(fake);
	ck_assert_int_eq(repair(fake, options, &summary), 0);
	ck_assert((summary.nwrite > 0) == (fake->nop > 0));
	ck_assert_int_eq(findings_of(fake, &findings), 0);
	ck_assert(
	    (cases[_i].fate == FATE_REFUSED) == (findings.result.ndamage > 0));
	if (cases[_i].fate == FATE_MENDED)
		assert_contents(_i);
}
END_TEST

/* The same, and a log that ndctl takes: slots 0 and 1, no flags. */
START_TEST(rewrite_log__leaves_nothing_to_be_said_of_the_log)
{
	struct btt_repair_options options = repair_all;
	struct btt_repair_summary summary;

	options.rewrite_log = true;
	start_case(_i);
	if (cases[_i].fate != FATE_MENDED)
		return;
	ck_assert_int_eq(repair(fake, &options, &summary), 0);
	ck_assert_int_eq(findings_of(fake, &findings), 0);
	ck_assert_uint_eq(findings.result.ndamage, 0);
	for (size_t i = 0; i < findings.n; i++)
		ck_assert_int_ne(
		    strncmp(findings.finding[i].name, "log-", 4), 0);
	assert_contents(_i);
}
END_TEST

static Suite *
foreign_repair_suite(void)
{
	const int ncase = (int)(sizeof(cases) / sizeof(cases[0]));
	Suite *suite = suite_create("foreign_repair");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	/* The image is unpacked once. */
	tcase_add_unchecked_fixture(tc, foreign_set_up, foreign_tear_down);
	tcase_add_loop_test(tc, check__tells_the_place, 0, ncase);
	tcase_add_loop_test(tc, repair__mends_what_can_be_mended, 0, ncase);
	tcase_add_loop_test(
	    tc, rewrite_log__leaves_nothing_to_be_said_of_the_log, 0, ncase);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	if (!unpack_is_possible())
		check_skip("xz is missing");
	if (access(SHARED "/kernel/b-4096-64M.img.xz", R_OK) < 0)
		check_skip("there is no " SHARED);
	return check_main(foreign_repair_suite());
}

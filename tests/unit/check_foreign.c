/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * foreign -- larger images of Linux, and what Linux and ndctl were tried on
 * with damage.  SHARED is where they are, beside the tree; without them the
 * program is skipped.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/check_main.h"
#include "support/findings_fixture.h"
#include "support/patch.h"
#include "support/unpack.h"

static struct findings findings;

START_TEST(probe__finds_the_namespace_that_the_labels_name)
{
	struct media_fake *fake = unpack(SHARED "/kernel", "c-v11-labels.img");
	struct btt_error error = { "" };
	struct btt_probe probe;

	for (int i = 0; i < 2; i++) {
		ck_assert_msg(btt_probe(&fake->media, &probe, &error) == 0,
		    "%s", error.text);
		ck_assert_int_eq(probe.layout, BTT_LAYOUT_V11);
		ck_assert_uint_eq(probe.off, 0);
		ck_assert_uint_eq(probe.bytes, 67108864);
		ck_assert_uint_eq(probe.arena[0].info.external_nlba, 16104);
		ck_assert_uint_eq(probe.arena[0].info.info2off, 67100672);
		ck_assert(probe.arena[0].from_backup == (i == 1));
		btt_probe_fini(&probe);
		/* again without the primary */
		memset(fake->bytes + BTT_V11_OFFSET, 0, BTT_INFO_BYTES);
	}
	media_close(&fake->media);
}
END_TEST

START_TEST(check__finds_written_images_clean)
{
	static const struct {
		const char *name;
		const char *names;
		uint64_t ninitial, nnormal, npending;
	} images[] = {
		{ "a-512-32M.img", "", 55509, 9199, 0 },
		{ "b-4096-64M.img", "", 12718, 3386, 0 },
		{ "c-v11-labels.img", "", 15358, 746, 0 },
		{ "d-crash-4096-64M.pre-recovery.img", "log-map", 32, 16072,
		    1 },
	};

	for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
		struct media_fake *fake =
		    unpack(SHARED "/kernel", images[i].name);

		ck_assert_int_eq(findings_of(fake, &findings), 0);
		ck_assert_findings(&findings, images[i].names, 0);
		ck_assert_uint_eq(findings.result.ninitial, images[i].ninitial);
		ck_assert_uint_eq(findings.result.nnormal, images[i].nnormal);
		ck_assert_uint_eq(findings.result.npending, images[i].npending);
		media_close(&fake->media);
	}
}
END_TEST

/*
 * What there is beside each patch says what the kernel and ndctl made of it;
 * where they are silent or wrong, the comment says so.
 */
static const struct {
	const char *name;
	int r;
	uint64_t ndamage;
	const char *names;
} damaged[] = {
	{ "both-csum", 0, 1, "info" },
	/* ndctl says clean, the kernel reads every sector wrong */
	{ "dataoff-8192", 0, 0, "info-geometry" },
	{ "ext-nlba-small", 0, 1, "info-geometry" },
	{ "flags-error", 0, 1, "error-flag" },
	{ "info1-csum", 0, 1, "info" },
	{ "info1-pad", 0, 1, "info" },
	{ "info1-zero", 0, 1, "info" },
	/* ndctl: exit status 0 */
	{ "info2-other-uuid", 0, 1, "info2" },
	{ "info2off-wrong", 0, 1, "info-geometry" },
	{ "int-nlba-big", 0, 2, "info-geometry" },
	{ "lbasize-512", 0, 0, "info-geometry" },
	{ "log-all-zero", 0, 512, "log-layout bitmap log-layout bitmap" },
	{ "log-equal-seq", 0, 2, "log-seq bitmap" },
	{ "log-free-oob-lanes01", 0, 4, "log-range bitmap" },
	{ "log-lba-oob-pending", 0, 1, "log-range" },
	{ "log-mixed-padding", 0, 1, "log-layout" },
	/* ndctl: out of bounds */
	{ "log-old-E", 0, 0, "log-flags" },
	{ "log-old-oob", 0, 2, "log-range bitmap" },
	{ "log-pad-slot2", 0, 1, "log-layout" },
	{ "log-seq-4", 0, 2, "log-seq bitmap" },
	{ "logoff-beyond", 0, 1, "info-geometry" },
	{ "long-2M", 0, 0, "tail" },
	{ "map-Z", 0, 0, "" },
	{ "map-initial-bits", 0, 0, "map-bits" },
	{ "map-oob-1", 0, 2, "map-range bitmap" },
	{ "map-points-at-free", 0, 2, "bitmap" },
	{ "nextoff-garbage", 0, 1, "info-geometry" },
	{ "nfree-128", 0, 1, "info-geometry" },
	{ "pad-nonzero", 0, 0, "info-reserved" },
	/* ndctl: bitmap error, as if the write were lost */
	{ "pend-map", 0, 0, "log-map" },
	{ "pend-map-two", 0, 0, "log-map" },
	{ "short-1M", 0, 1, "short" },
	/* ndctl: SIGBUS */
	{ "short-4K", 0, 1, "short" },
	{ "torn-virgin", 0, 0, "" },
	{ "ver-1.2", -ENOTSUP, 0, "" },
};

START_TEST(check__names_the_damage)
{
	struct media_fake *base = unpack(SHARED "/kernel", "b-4096-64M.img");
	struct media_fake *fake = fake_new(base->media.size + (2 << 20));

	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		int r;

		memset(fake->bytes, 0, base->media.size + (2 << 20));
		memcpy(fake->bytes, base->bytes, base->media.size);
		fake->media.size = base->media.size;
		patch_apply(fake, SHARED "/damaged", damaged[i].name);
		r = findings_of(fake, &findings);
		ck_assert_msg(r == damaged[i].r &&
			strcmp(findings_names(&findings), damaged[i].names) ==
			    0 &&
			findings.result.ndamage == damaged[i].ndamage,
		    "%s: %d, %llu times damage: %s (%s)", damaged[i].name, r,
		    (unsigned long long)findings.result.ndamage,
		    findings_names(&findings),
		    findings.n > 0 ? findings.finding[0].text
				   : findings.error.text);
	}
	fake->media.size = base->media.size + (2 << 20);
	media_close(&fake->media);
	media_close(&base->media);
}
END_TEST

static Suite *
foreign_suite(void)
{
	Suite *suite = suite_create("foreign");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, probe__finds_the_namespace_that_the_labels_name);
	tcase_add_test(tc, check__finds_written_images_clean);
	tcase_add_test(tc, check__names_the_damage);
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
	return check_main(foreign_suite());
}

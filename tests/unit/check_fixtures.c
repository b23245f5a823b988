/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fixtures -- images that Linux and libpmemblk made, those that lie in the
 * tree.  FIXTURES is where.
 */
#include <errno.h>
#include <string.h>

#include <btt/label.h>

#include "support/check_main.h"
#include "support/findings_fixture.h"
#include "support/unpack.h"

static const struct {
	const char *name;
	uint32_t sector;
} fresh[] = {
	{ "fresh-512-16781312.img", 512 },
	{ "fresh-512-33554432.img", 512 },
	{ "fresh-4096-33554432.img", 4096 },
	{ "fresh-4096-34615296.img", 4096 },
	{ "fresh-4104-33554432.img", 4104 },
};

/* What the kernel makes of an empty namespace, byte by byte. */
START_TEST(create__makes_the_bytes_of_the_kernel)
{
	struct media_fake *kernel = unpack(FIXTURES, fresh[_i].name);
	struct media_fake *ours = fake_new(kernel->media.size);
	struct btt_create_options options =
	    image_options(BTT_LAYOUT_V11, fresh[_i].sector);
	struct btt_info info;

	ck_assert_int_eq(btt_info_decode(kernel->bytes + BTT_V11_OFFSET, &info),
	    BTT_INFO_VALID);
	memcpy(options.uuid, info.uuid, sizeof(options.uuid));
	image_create(ours, &options);
	ck_assert_mem_eq(ours->bytes, kernel->bytes, kernel->media.size);
	/* and of one where something was, but for its data */
	memset(ours->bytes, 0xff, ours->media.size);
	options.medium_is_zero = false;
	image_create(ours, &options);
	ck_assert_mem_eq(
	    ours->bytes, kernel->bytes, BTT_V11_OFFSET + BTT_INFO_BYTES + 4096);
	ck_assert_mem_eq(ours->bytes + BTT_V11_OFFSET + info.mapoff,
	    kernel->bytes + BTT_V11_OFFSET + info.mapoff,
	    kernel->media.size - BTT_V11_OFFSET - info.mapoff);
	media_close(&ours->media);
	media_close(&kernel->media);
}
END_TEST

START_TEST(check__finds_the_kernels_images_clean)
{
	struct media_fake *kernel = unpack(FIXTURES, fresh[_i].name);
	static struct findings findings;

	ck_assert_int_eq(findings_of(kernel, &findings), 0);
	ck_assert_findings(&findings, "", 0);
	ck_assert_uint_eq(findings.result.ninitial, findings.result.nsector);
	media_close(&kernel->media);
}
END_TEST

/* Its decoded header, map and log are in the pool's description. */
START_TEST(check__reads_a_pool_of_libpmemblk)
{
	struct media_fake *pool = unpack(FIXTURES, "pmemblk-4096-clean.pool");
	static struct findings findings;
	struct btt_error error = { "" };
	struct btt_probe probe;
	const struct btt_info *info;

	ck_assert_msg(
	    btt_probe(&pool->media, &probe, &error) == 0, "%s", error.text);
	ck_assert_int_eq(probe.layout, BTT_LAYOUT_POOL);
	ck_assert_uint_eq(probe.narena, 1);
	ck_assert_uint_eq(probe.arena[0].off, BTT_POOL_OFFSET);
	info = &probe.arena[0].info;
	ck_assert_uint_eq(info->external_nlba, 16103);
	ck_assert_uint_eq(info->mapoff, 67014656);
	ck_assert_uint_eq(info->checksum, UINT64_C(0x14f83288f39086d3));
	btt_probe_fini(&probe);

	ck_assert_int_eq(findings_of(pool, &findings), 0);
	ck_assert_findings(&findings, "map-error", 0);
	ck_assert_uint_eq(findings.result.ninitial, 15074);
	ck_assert_uint_eq(findings.result.nerror, 12);
	ck_assert_uint_eq(findings.result.nzero, 18);
	ck_assert_uint_eq(findings.result.nnormal, 999);
	ck_assert_uint_eq(findings.result.npending, 0);
	media_close(&pool->media);
}
END_TEST

/* What the kernel made in namespaces of an NVDIMM with labels, by ndctl. */
static const struct {
	const char *image;
	const char *namespace;
	int r;
	uint64_t off;
	uint64_t bytes;
	enum btt_layout layout;
	uint32_t sector;
	uint32_t nsector;
} namespaces[] = {
	{ "labels-v11.img", "alpha", 0, 0, 33554432, BTT_LAYOUT_V11, 4096,
	    7920 },
	/* 16 MiB are too few for v1.1: the kernel has failed to make it */
	{ "labels-v11.img", "beta", -EMEDIUMTYPE, 0, 0, 0, 0, 0 },
	{ "labels-v12.img", "alpha", 0, 0, 33554432, BTT_LAYOUT_V20, 4096,
	    7921 },
	{ "labels-v12.img", "beta", 0, 33554432, 16777216, BTT_LAYOUT_V20, 512,
	    32202 },
	/* of mode raw */
	{ "labels-v12.img", "gamma", -EMEDIUMTYPE, 0, 0, 0, 0, 0 },
};

START_TEST(probe__finds_what_the_kernel_made_in_namespaces)
{
	struct media_fake *fake = unpack(FIXTURES, namespaces[_i].image);
	const char *namespace = namespaces[_i].namespace;
	const struct btt_check_options options = { .namespace = namespace };
	struct btt_check_result result;
	struct btt_error error = { "" };
	struct btt_probe probe;
	int r;

	r = btt_probe_namespace(&fake->media, namespace, &probe, &error);
	ck_assert_msg(r == namespaces[_i].r, "%d: %s", r, error.text);
	if (r == 0) {
		ck_assert_uint_eq(probe.off, namespaces[_i].off);
		ck_assert_uint_eq(probe.bytes, namespaces[_i].bytes);
		ck_assert_int_eq(probe.layout, namespaces[_i].layout);
		ck_assert_str_eq(probe.label->name, namespace);
		ck_assert_mem_eq(probe.arena[0].info.parent_uuid,
		    probe.label->uuid, BTT_UUID_BYTES);
		ck_assert_uint_eq(probe.arena[0].info.external_lbasize,
		    namespaces[_i].sector);
		btt_probe_fini(&probe);
		ck_assert_int_eq(
		    btt_check(&fake->media, &options, &result, &error), 0);
		ck_assert_uint_eq(result.ndamage + result.nnote, 0);
		ck_assert_uint_eq(result.nsector, namespaces[_i].nsector);
		ck_assert_uint_eq(result.nnormal, 40);
	}
	media_close(&fake->media);
}
END_TEST

START_TEST(probe__wants_a_choice_among_the_kernels_namespaces)
{
	struct media_fake *fake = unpack(FIXTURES, "labels-v12.img");
	struct btt_error error = { "" };
	struct btt_probe probe;

	ck_assert_int_eq(btt_probe(&fake->media, &probe, &error), -ENOTUNIQ);
	ck_assert_str_eq(error.text,
	    "2 namespaces have a BTT, choose one: 0 'alpha', 1 'beta'");
	media_close(&fake->media);
	fake = unpack(FIXTURES, "labels-v11.img");
	ck_assert_int_eq(btt_probe(&fake->media, &probe, &error), 0);
	ck_assert_str_eq(probe.label->name, "alpha");
	btt_probe_fini(&probe);
	media_close(&fake->media);
}
END_TEST

static Suite *
fixtures_suite(void)
{
	Suite *suite = suite_create("fixtures");
	TCase *tc = tcase_create("all");
	int nfresh = (int)(sizeof(fresh) / sizeof(fresh[0]));

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(
	    tc, create__makes_the_bytes_of_the_kernel, 0, nfresh);
	tcase_add_loop_test(
	    tc, check__finds_the_kernels_images_clean, 0, nfresh);
	tcase_add_test(tc, check__reads_a_pool_of_libpmemblk);
	tcase_add_loop_test(tc, probe__finds_what_the_kernel_made_in_namespaces,
	    0, (int)(sizeof(namespaces) / sizeof(namespaces[0])));
	tcase_add_test(tc, probe__wants_a_choice_among_the_kernels_namespaces);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	if (!unpack_is_possible())
		check_skip("xz is missing");
	return check_main(fixtures_suite());
}

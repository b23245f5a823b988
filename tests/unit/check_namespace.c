/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * namespace -- BTTs in the namespaces that labels tell of.
 */
#include <errno.h>
#include <string.h>

#include <btt/inspect.h>

#include "support/check_main.h"
#include "support/findings_fixture.h"
#include "support/label_fixture.h"
#include "support/probe_fixture.h"

#define MIB (UINT64_C(1) << 20)
/* Room for a v1.1 BTT of the least size, and to spare. */
#define NS_BYTES (17 * MIB)
#define NNS 3u
#define DATA_BYTES (NNS * NS_BYTES)

static const struct label usual[NNS] = {
	{ .name = "one", .uuid = 0x11, .off = 0, .bytes = NS_BYTES },
	{ .name = "two", .uuid = 0x22, .off = NS_BYTES, .bytes = NS_BYTES },
	{ .uuid = 0x33, .off = 2 * NS_BYTES, .bytes = NS_BYTES },
};

/* Labels, and nothing in their namespaces yet. */
static struct media_fake *
medium(unsigned minor, const struct label *label, uint32_t n)
{
	struct media_fake *fake = fake_new(DATA_BYTES + BTT_LABEL_AREA_MIN);

	(void)label_area(fake, BTT_LABEL_AREA_MIN, minor, label, n);
	return fake;
}

/* A BTT at off; every byte of its uuid and of its parent's as told. */
static struct btt_info
put_btt(struct media_fake *fake, uint64_t off, enum btt_layout layout,
    uint8_t uuid, uint8_t parent)
{
	struct btt_create_options options = image_options(layout, 4096);
	struct media_fake *alone = fake_new(NS_BYTES);
	struct btt_info info;

	memset(options.uuid, uuid, sizeof(options.uuid));
	memset(options.parent_uuid, parent, sizeof(options.parent_uuid));
	image_create(alone, &options);
	memcpy(fake->bytes + off, alone->bytes, NS_BYTES);
	ck_assert_int_eq(
	    btt_info_decode(
		alone->bytes + (layout == BTT_LAYOUT_V20 ? 0 : BTT_V11_OFFSET),
		&info),
	    BTT_INFO_VALID);
	media_close(&alone->media);
	return info;
}

/* Number of the namespace whose BTT is found. */
static void
assert_in(const struct media_fake *fake, const char *namespace, uint32_t number,
    enum btt_layout layout)
{
	uint64_t start = layout == BTT_LAYOUT_V20 ? 0 : BTT_V11_OFFSET;
	struct btt_error error = { "" };
	struct btt_probe probe;
	int r;

	r = btt_probe_namespace(&fake->media, namespace, &probe, &error);
	ck_assert_msg(r == 0, "%d: %s", r, error.text);
	ck_assert_uint_eq(probe.off, number * NS_BYTES);
	ck_assert_uint_eq(probe.bytes, NS_BYTES);
	ck_assert_int_eq(probe.layout, layout);
	ck_assert_uint_eq(probe.narena, 1);
	ck_assert_uint_eq(probe.arena[0].off, probe.off + start);
	ck_assert_ptr_nonnull(probe.label);
	ck_assert_uint_eq(probe.label->off, probe.off);
	btt_probe_fini(&probe);
}

static void
assert_none(const struct media_fake *fake, const char *namespace, int code,
    const char *text)
{
	struct btt_error error = { "" };
	struct btt_probe probe;
	int r;

	r = btt_probe_namespace(&fake->media, namespace, &probe, &error);
	ck_assert_msg(r == code, "%d, not %d: %s", r, code, error.text);
	ck_assert_msg(strstr(error.text, text) != NULL, "no '%s' in '%s'", text,
	    error.text);
}

START_TEST(probe__takes_the_only_namespace_that_has_a_btt)
{
	for (uint32_t i = 0; i < NNS; i++) {
		struct media_fake *fake = medium(1, usual, NNS);

		assert_none(fake, NULL, -EMEDIUMTYPE,
		    "none in 0 'one', 1 'two', 2 33333333-3333");
		(void)put_btt(
		    fake, i * NS_BYTES, BTT_LAYOUT_V11, 1, usual[i].uuid);
		assert_in(fake, NULL, i, BTT_LAYOUT_V11);
		media_close(&fake->media);
	}
}
END_TEST

START_TEST(probe__of_several_wants_to_be_told_which)
{
	struct media_fake *fake = medium(1, usual, NNS);

	(void)put_btt(fake, 0, BTT_LAYOUT_V11, 1, 0x11);
	(void)put_btt(fake, 2 * NS_BYTES, BTT_LAYOUT_V11, 2, 0x33);
	assert_none(fake, NULL, -ENOTUNIQ,
	    "2 namespaces have a BTT, choose one: 0 'one', 2 33333333-3333-");
	assert_in(fake, "one", 0, BTT_LAYOUT_V11);
	assert_in(fake, "0", 0, BTT_LAYOUT_V11);
	assert_in(fake, "2", 2, BTT_LAYOUT_V11);
	assert_in(
	    fake, "33333333-3333-3333-3333-333333333333", 2, BTT_LAYOUT_V11);
	assert_none(fake, "two", -EMEDIUMTYPE, "namespace 1 'two': not a BTT");
	assert_none(fake, "three", -ENOENT, "'three'");
	assert_none(fake, "3", -ENOENT, "'3'");
	/* no number at all, not that of the first */
	assert_none(fake, "4294967296", -ENOENT, "'4294967296'");
	media_close(&fake->media);
}
END_TEST

/* Whoever looks for damage sees what is in each of them. */
START_TEST(inspect__shows_the_arenas_of_all_namespaces)
{
	static const uint64_t starts[] = { 0, 2 * NS_BYTES };
	struct media_fake *fake = medium(1, usual, NNS);
	struct btt_inspect inspect;

	(void)put_btt(fake, starts[0], BTT_LAYOUT_V11, 1, 0x11);
	(void)put_btt(fake, starts[1], BTT_LAYOUT_V11, 2, 0x33);
	ck_assert_int_eq(btt_inspect_find(&fake->media, NULL, &inspect), 0);
	ck_assert_int_eq(inspect.verdict, -ENOTUNIQ);
	ck_assert_uint_eq(inspect.narena, 2);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(
		    inspect.arena[i].off, starts[i] + BTT_V11_OFFSET);
		ck_assert(inspect.arena[i].is_valid);
	}
	btt_inspect_fini(&inspect);
	/* one of them, of which one copy is left that nobody believes */
	memset(fake->bytes + BTT_V11_OFFSET, 0, BTT_INFO_BYTES);
	memset(fake->bytes + starts[0] + NS_BYTES - 4090, 1, 1);
	ck_assert_int_eq(btt_inspect_find(&fake->media, "one", &inspect), 0);
	ck_assert_int_lt(inspect.verdict, 0);
	for (uint32_t i = 0; i < inspect.narena; i++)
		ck_assert_uint_lt(inspect.arena[i].off, NS_BYTES);
	btt_inspect_fini(&inspect);
	media_close(&fake->media);
}
END_TEST

/* As many as an error's text has no room for. */
START_TEST(probe__of_very_many_names_some)
{
	struct media_fake *fake;
	struct label label[LABEL_SLOTS];
	char name[64];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (unsigned i = 0; i < LABEL_SLOTS; i++)
		label[i] = (struct label){ .name = name,
			.uuid = (uint8_t)(i + 1),
			.off = i * NS_BYTES,
			.bytes = NS_BYTES };
	fake = fake_new(LABEL_SLOTS * NS_BYTES + BTT_LABEL_AREA_MIN);
	(void)label_area(fake, BTT_LABEL_AREA_MIN, 1, label, LABEL_SLOTS);
	for (unsigned i = 0; i < LABEL_SLOTS; i++)
		(void)put_btt(fake, i * NS_BYTES, BTT_LAYOUT_V11, 1, 0);
	assert_none(fake, NULL, -ENOTUNIQ, "8 namespaces");
	assert_none(fake, NULL, -ENOTUNIQ, " and 6 more");
	media_close(&fake->media);
}
END_TEST

/* btt-format.md 1.4: valid if the parent is null or the namespace. */
START_TEST(probe__wants_the_parent_that_the_label_names)
{
	struct media_fake *fake = medium(1, usual, NNS);

	(void)put_btt(fake, 0, BTT_LAYOUT_V11, 1, 0);
	assert_in(fake, NULL, 0, BTT_LAYOUT_V11);
	(void)put_btt(fake, 0, BTT_LAYOUT_V11, 1, 0x22);
	assert_none(fake, "one", -EUCLEAN, "belongs to another namespace");
	/* what was left behind there is not what is looked for */
	assert_none(fake, NULL, -EMEDIUMTYPE, "none in");
	(void)put_btt(fake, NS_BYTES, BTT_LAYOUT_V11, 1, 0x22);
	assert_in(fake, NULL, 1, BTT_LAYOUT_V11);
	/* nor is its backup */
	memset(fake->bytes + NS_BYTES + BTT_V11_OFFSET, 0, BTT_INFO_BYTES);
	assert_in(fake, NULL, 1, BTT_LAYOUT_V11);
	(void)put_btt(fake, NS_BYTES, BTT_LAYOUT_V11, 1, 0x11);
	memset(fake->bytes + NS_BYTES + BTT_V11_OFFSET, 0, BTT_INFO_BYTES);
	assert_none(fake, "two", -EMEDIUMTYPE, "not a BTT");
	media_close(&fake->media);
}
END_TEST

/* The other place is never looked at. */
START_TEST(probe__looks_where_the_claim_says)
{
	static const struct {
		const uint8_t *claim;
		enum btt_layout layout;
		int r;
		const char *text;
	} cases[] = {
		{ NULL, BTT_LAYOUT_V11, 0, NULL },
		{ NULL, BTT_LAYOUT_V20, -EMEDIUMTYPE, "none in 0 'one'" },
		{ label_claim_btt, BTT_LAYOUT_V11, 0, NULL },
		{ label_claim_btt, BTT_LAYOUT_V20, -EMEDIUMTYPE, "none in" },
		{ label_claim_btt2, BTT_LAYOUT_V20, 0, NULL },
		{ label_claim_btt2, BTT_LAYOUT_V11, -EMEDIUMTYPE, "none in" },
		{ label_claim_dax, BTT_LAYOUT_V11, -EMEDIUMTYPE, "none in" },
		{ label_claim_dax, BTT_LAYOUT_V20, -EMEDIUMTYPE, "none in" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct label label = usual[0];
		struct media_fake *fake;

		label.claim = cases[i].claim;
		fake = medium(2, &label, 1);
		(void)put_btt(fake, 0, cases[i].layout, 1, 0x11);
		if (cases[i].r == 0)
			assert_in(fake, NULL, 0, cases[i].layout);
		else
			assert_none(fake, NULL, cases[i].r, cases[i].text);
		media_close(&fake->media);
	}
}
END_TEST

/* A damaged BTT is one; a namespace is not chosen by what is sound. */
START_TEST(probe__counts_what_is_damaged)
{
	struct media_fake *fake = medium(1, usual, NNS);
	struct btt_info info;

	info = put_btt(fake, 0, BTT_LAYOUT_V11, 1, 0x11);
	(void)put_btt(fake, NS_BYTES, BTT_LAYOUT_V11, 2, 0x22);
	info.nfree = 0;
	image_put_info(fake, BTT_V11_OFFSET, &info);
	assert_none(fake, NULL, -ENOTUNIQ, "0 'one', 1 'two'");
	assert_none(fake, "one", -EUCLEAN, "namespace 0 'one': arena 0: nfree");
	media_close(&fake->media);
}
END_TEST

START_TEST(probe__finds_the_backup_at_the_end_of_the_namespace)
{
	for (uint32_t i = 0; i < NNS; i++) {
		struct media_fake *fake = medium(1, usual, NNS);
		struct btt_probe probe;

		(void)put_btt(
		    fake, i * NS_BYTES, BTT_LAYOUT_V11, 1, usual[i].uuid);
		memset(fake->bytes + i * NS_BYTES + BTT_V11_OFFSET, 0,
		    BTT_INFO_BYTES);
		assert_in(fake, NULL, i, BTT_LAYOUT_V11);
		ck_assert_int_eq(btt_probe(&fake->media, &probe, NULL), 0);
		ck_assert(probe.arena[0].from_backup);
		btt_probe_fini(&probe);
		media_close(&fake->media);
	}
}
END_TEST

/* Whose numbers reach into a neighbour would write to it. */
START_TEST(probe__of_a_btt_that_leaves_its_namespace_is_euclean)
{
	struct label label[2] = { usual[0], usual[1] };
	struct media_fake *fake;

	label[0].bytes -= 4096;
	fake = medium(1, label, 2);
	(void)put_btt(fake, 0, BTT_LAYOUT_V11, 1, 0x11);
	assert_none(fake, NULL, -EUCLEAN, "the namespace is too short");
	media_close(&fake->media);
	/* and its backup is none there */
	label[0].bytes = BTT_V11_OFFSET;
	fake = medium(1, label, 2);
	(void)put_btt(fake, 0, BTT_LAYOUT_V11, 1, 0x11);
	assert_none(fake, "one", -EMEDIUMTYPE, "not a BTT");
	media_close(&fake->media);
}
END_TEST

START_TEST(probe__says_why_a_namespace_cannot_be_served)
{
	struct label label[2] = { usual[0], usual[1] };
	struct media_fake *fake;

	label[0].nlabel = 4;
	fake = medium(1, label, 1);
	(void)put_btt(fake, 0, BTT_LAYOUT_V11, 1, 0x11);
	assert_none(
	    fake, NULL, -ENOTSUP, "namespace 0 'one': it is interleaved");
	assert_none(fake, "0", -ENOTSUP, "interleaved");
	media_close(&fake->media);
	/* it is no reason against another one */
	fake = medium(1, label, 2);
	(void)put_btt(fake, NS_BYTES, BTT_LAYOUT_V11, 1, 0x22);
	assert_in(fake, NULL, 1, BTT_LAYOUT_V11);
	assert_none(fake, "one", -ENOTSUP, "interleaved");
	media_close(&fake->media);
	/* no label at all, or none that is one */
	fake = medium(1, label, 0);
	(void)put_btt(fake, 0, BTT_LAYOUT_V11, 1, 0x11);
	assert_none(fake, NULL, -EMEDIUMTYPE, "without a namespace");
	media_close(&fake->media);
	label[0].slot_and_one = 5;
	fake = medium(1, label, 1);
	assert_none(fake, NULL, -EUCLEAN, "damaged");
	media_close(&fake->media);
}
END_TEST

START_TEST(probe__without_labels_knows_no_namespaces)
{
	struct btt_info info;
	struct media_fake *fake = image_small(&info);

	assert_none(fake, "0", -ENOENT, "no labels");
	media_close(&fake->media);
}
END_TEST

/* What Linux takes for an NVDIMM without labels is one. */
START_TEST(probe__without_a_valid_index_takes_all_of_the_medium)
{
	struct media_fake *fake = medium(1, usual, NNS);
	struct btt_probe probe;

	(void)put_btt(fake, 0, BTT_LAYOUT_V11, 1, 0x77);
	memset(fake->bytes + DATA_BYTES, 0xff, BTT_LABEL_AREA_MIN);
	ck_assert_int_eq(btt_probe(&fake->media, &probe, NULL), 0);
	ck_assert_uint_eq(probe.off, 0);
	ck_assert_uint_eq(probe.bytes, fake->media.size);
	ck_assert_ptr_null(probe.label);
	btt_probe_fini(&probe);
	media_close(&fake->media);
}
END_TEST

/*
 * Who stores sectors must not decide what is opened.  In a BTT that fills the
 * medium the last 128 KiB begin with sectors of 4096 bytes if it is small.
 */
START_TEST(probe__is_not_led_astray_by_labels_among_sectors)
{
	struct label label = {
		.name = "fake", .uuid = 0x11, .off = MIB, .bytes = 14 * MIB
	};
	struct media_fake *fake = image_new(IMAGE_BYTES, BTT_LAYOUT_V11, 4096);
	struct media_fake *labels = fake_new(IMAGE_BYTES);
	uint64_t off = IMAGE_BYTES - BTT_LABEL_AREA_MIN;
	struct btt_info info;
	struct btt_probe probe;

	ck_assert_int_eq(btt_info_decode(fake->bytes + BTT_V11_OFFSET, &info),
	    BTT_INFO_VALID);
	ck_assert_uint_lt(off, BTT_V11_OFFSET + info.mapoff - 2 * 4096);
	(void)label_area(labels, BTT_LABEL_AREA_MIN, 1, &label, 1);
	memcpy(fake->bytes + off, labels->bytes + off, 2 * 4096);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(btt_probe(&fake->media, &probe, NULL), 0);
		ck_assert_ptr_null(probe.label);
		ck_assert_uint_eq(probe.arena[0].off, BTT_V11_OFFSET);
		btt_probe_fini(&probe);
		assert_none(fake, "fake", -ENOENT, "fills the medium");
		/* also if the medium has damaged its info block */
		memset(fake->bytes + BTT_V11_OFFSET, 0xee, BTT_INFO_BYTES);
	}
	/* but not if it was the spare one */
	image_put_info(fake, BTT_V11_OFFSET, &info);
	memset(fake->bytes + BTT_V11_OFFSET + info.info2off, 0, BTT_INFO_BYTES);
	assert_none(fake, NULL, -EUCLEAN, "no telling which");
	assert_none(fake, "fake", -EMEDIUMTYPE, "namespace 0 'fake'");
	/* or if it is another's */
	info.uuid[0] ^= 1;
	image_put_info(fake, BTT_V11_OFFSET + info.info2off, &info);
	assert_none(fake, NULL, -EUCLEAN, "no telling which");
	media_close(&labels->media);
	media_close(&fake->media);
}
END_TEST

/* Nor if they are stored in a later arena of it. */
START_TEST(probe__is_not_led_astray_by_labels_in_a_later_arena)
{
	const uint64_t bytes = BTT_ARENA_MAX_BYTES + 64 * MIB;
	struct label label = {
		.name = "fake", .uuid = 0x11, .off = MIB, .bytes = 14 * MIB
	};
	struct media_fake *fake = image_new(bytes, BTT_LAYOUT_V20, 65536);
	struct media_fake *labels = fake_new(bytes);
	uint64_t off = bytes - BTT_LABEL_AREA_MIN;
	struct btt_info info;
	struct btt_probe probe;

	ck_assert_int_eq(
	    btt_info_decode(fake->bytes + BTT_ARENA_MAX_BYTES, &info),
	    BTT_INFO_VALID);
	ck_assert_uint_lt(off, BTT_ARENA_MAX_BYTES + info.mapoff - 2 * 4096);
	(void)label_area(labels, BTT_LABEL_AREA_MIN, 1, &label, 1);
	memcpy(fake->bytes + off, labels->bytes + off, 2 * 4096);
	ck_assert_int_eq(btt_probe(&fake->media, &probe, NULL), 0);
	ck_assert_ptr_null(probe.label);
	ck_assert_uint_eq(probe.narena, 2);
	btt_probe_fini(&probe);
	assert_none(fake, "fake", -ENOENT, "fills the medium");
	media_close(&labels->media);
	media_close(&fake->media);
}
END_TEST

/* Nor must who has one namespace to himself decide about the others. */
START_TEST(probe__is_not_led_astray_by_what_a_namespace_claims)
{
	struct media_fake *fake = medium(1, usual, NNS);
	struct btt_info info;

	info = put_btt(fake, 0, BTT_LAYOUT_V11, 1, 0x11);
	(void)put_btt(fake, NS_BYTES, BTT_LAYOUT_V11, 2, 0x22);
	/* a BTT over all of the medium; its spare block is out of reach */
	ck_assert_int_eq(btt_geometry(fake->media.size - BTT_V11_OFFSET, 4096,
			     256, 64, &info),
	    0);
	image_put_info(fake, BTT_V11_OFFSET, &info);
	assert_none(fake, NULL, -EUCLEAN, "no telling which");
	assert_in(fake, "two", 1, BTT_LAYOUT_V11);
	assert_none(fake, "one", -EUCLEAN, "namespace is too short");
	media_close(&fake->media);
}
END_TEST

/* The engine and the check go where the probe goes. */
START_TEST(check__stays_in_its_namespace)
{
	struct media_fake *fake = medium(1, usual, NNS);
	const struct btt_check_options by_name = { .namespace = "two" };
	static struct findings findings;
	struct btt_check_result result;
	struct btt_error error = { "" };

	(void)put_btt(fake, NS_BYTES, BTT_LAYOUT_V11, 1, 0x22);
	ck_assert_int_eq(findings_of(fake, &findings), 0);
	ck_assert_findings(&findings, "", 0);
	(void)put_btt(fake, 0, BTT_LAYOUT_V11, 1, 0x11);
	ck_assert_int_eq(findings_of(fake, &findings), -ENOTUNIQ);
	ck_assert_int_eq(btt_check(&fake->media, &by_name, &result, &error), 0);
	ck_assert_uint_eq(result.ndamage, 0);
	ck_assert_uint_gt(result.nsector, 0);
	media_close(&fake->media);
}
END_TEST

static void
note_finding(void *arg, const struct btt_finding *finding)
{
	struct btt_finding *first = arg;

	if (first->name == NULL)
		*first = *finding;
}

/* The place is where the BTT says whose it is. */
START_TEST(check__finds_the_btt_of_another_namespace)
{
	struct media_fake *fake = medium(1, usual, NNS);
	struct btt_finding first = { .name = NULL };
	const struct btt_check_options options = {
		.namespace = "two", .report = note_finding, .report_arg = &first
	};
	struct btt_check_result result = { 0 };
	struct btt_error error = { "" };

	(void)put_btt(fake, NS_BYTES, BTT_LAYOUT_V11, 1, 0x11);
	ck_assert_int_eq(btt_check(&fake->media, &options, &result, &error), 0);
	ck_assert_uint_eq(result.ndamage, 1);
	ck_assert_str_eq(first.name, "info-parent");
	ck_assert_uint_eq(first.off, NS_BYTES + BTT_V11_OFFSET + 32);
	ck_assert(!first.repairable);
	media_close(&fake->media);
}
END_TEST

START_TEST(create__leaves_no_labels_behind)
{
	struct btt_create_options options = image_options(BTT_LAYOUT_V11, 4096);
	struct media_fake *fake = medium(1, usual, NNS);
	struct btt_probe probe;
	struct btt_labels labels;

	(void)put_btt(fake, NS_BYTES, BTT_LAYOUT_V11, 1, 0x22);
	options.medium_is_zero = false;
	image_create(fake, &options);
	ck_assert_int_eq(btt_labels_read(&fake->media, &labels), -ENOENT);
	ck_assert_int_eq(btt_probe(&fake->media, &probe, NULL), 0);
	ck_assert_uint_eq(probe.arena[0].off, BTT_V11_OFFSET);
	ck_assert_ptr_null(probe.label);
	btt_probe_fini(&probe);
	media_close(&fake->media);
}
END_TEST

static Suite *
namespace_suite(void)
{
	Suite *suite = suite_create("namespace");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, probe__takes_the_only_namespace_that_has_a_btt);
	tcase_add_test(tc, probe__of_several_wants_to_be_told_which);
	tcase_add_test(tc, inspect__shows_the_arenas_of_all_namespaces);
	tcase_add_test(tc, probe__of_very_many_names_some);
	tcase_add_test(tc, probe__wants_the_parent_that_the_label_names);
	tcase_add_test(tc, probe__looks_where_the_claim_says);
	tcase_add_test(tc, probe__counts_what_is_damaged);
	tcase_add_test(tc, probe__finds_the_backup_at_the_end_of_the_namespace);
	tcase_add_test(
	    tc, probe__of_a_btt_that_leaves_its_namespace_is_euclean);
	tcase_add_test(tc, probe__says_why_a_namespace_cannot_be_served);
	tcase_add_test(tc, probe__without_labels_knows_no_namespaces);
	tcase_add_test(
	    tc, probe__without_a_valid_index_takes_all_of_the_medium);
	tcase_add_test(tc, probe__is_not_led_astray_by_labels_among_sectors);
	tcase_add_test(tc, probe__is_not_led_astray_by_what_a_namespace_claims);
	if (MEDIA_FAKE_MAY_BE_HUGE)
		tcase_add_test(
		    tc, probe__is_not_led_astray_by_labels_in_a_later_arena);
	tcase_add_test(tc, check__stays_in_its_namespace);
	tcase_add_test(tc, check__finds_the_btt_of_another_namespace);
	tcase_add_test(tc, create__leaves_no_labels_behind);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(namespace_suite());
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * label -- label areas: found, of two versions, and believed in nothing that
 * was not checked.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/check_main.h"
#include "support/label_fixture.h"

#define NELEM(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define MIB (UINT64_C(1) << 20)
#define DATA_BYTES (8 * MIB)
#define AREA_BYTES BTT_LABEL_AREA_MIN

static const struct label usual[] = {
	{ .name = "one", .uuid = 0x11, .off = 4 * MIB, .bytes = 2 * MIB },
	{ .name = "two", .uuid = 0x22, .off = 0, .bytes = 4 * MIB },
};

static struct media_fake *
medium(unsigned minor, const struct label *label, uint32_t n)
{
	struct media_fake *fake = fake_new(DATA_BYTES + AREA_BYTES);

	(void)label_area(fake, AREA_BYTES, minor, label, n);
	return fake;
}

static uint8_t *
area_of(const struct media_fake *fake)
{
	return fake->bytes + DATA_BYTES;
}

static struct btt_labels
read_labels(const struct media_fake *fake)
{
	struct btt_labels labels;

	ck_assert_int_eq(btt_labels_read(&fake->media, &labels), 0);
	return labels;
}

static void
assert_no_labels(const struct media_fake *fake)
{
	struct btt_labels labels;

	ck_assert_int_eq(btt_labels_read(&fake->media, &labels), -ENOENT);
}

START_TEST(labels__of_both_versions_are_listed_as_they_lie)
{
	unsigned minor = (unsigned)_i;
	struct media_fake *fake = medium(minor, usual, 2);
	struct btt_labels labels = read_labels(fake);

	ck_assert_uint_eq(labels.off, DATA_BYTES);
	ck_assert_uint_eq(labels.bytes, AREA_BYTES);
	ck_assert_uint_eq(labels.current, 1);
	ck_assert_uint_eq(labels.index[0].off, DATA_BYTES);
	ck_assert_uint_eq(labels.index[1].off, DATA_BYTES + LABEL_INDEX_BYTES);
	ck_assert_uint_eq(labels.index[0].minor, minor);
	ck_assert_uint_eq(labels.index[0].label_bytes, minor == 1 ? 128 : 256);
	ck_assert_uint_eq(labels.nslot, 2);
	ck_assert_uint_eq(labels.nbad, 0);
	ck_assert_uint_eq(labels.n, 2);
	ck_assert_str_eq(labels.ns[0].name, "two");
	ck_assert_uint_eq(labels.ns[0].slot, 1);
	ck_assert_uint_eq(labels.ns[0].off, 0);
	ck_assert_uint_eq(labels.ns[0].bytes, 4 * MIB);
	ck_assert_uint_eq(labels.ns[0].uuid[15], 0x22);
	ck_assert_uint_eq(labels.ns[0].nlabel, 1);
	ck_assert_uint_eq(labels.ns[0].cookie, 0x1234567890);
	ck_assert_uint_eq(labels.ns[0].lbasize, 4096);
	ck_assert_str_eq(labels.ns[1].name, "one");
	for (uint32_t i = 0; i < labels.n; i++) {
		ck_assert_int_eq(labels.ns[i].r, 0);
		ck_assert_ptr_null(labels.ns[i].problem);
		ck_assert_int_eq(labels.ns[i].claim, BTT_CLAIM_NONE);
	}
	btt_labels_fini(&labels);
	media_close(&fake->media);
}
END_TEST

START_TEST(labels__claim_by_guid_in_version_12_only)
{
	static const uint8_t other[16] = { 1 };
	const struct {
		const uint8_t *guid;
		enum btt_claim claim;
	} claims[] = {
		{ NULL, BTT_CLAIM_NONE },
		{ label_claim_btt, BTT_CLAIM_BTT },
		{ label_claim_btt2, BTT_CLAIM_BTT2 },
		{ label_claim_dax, BTT_CLAIM_DAX },
		{ other, BTT_CLAIM_UNKNOWN },
	};

	for (int i = 0; i < NELEM(claims); i++) {
		struct label label = usual[0];

		label.claim = claims[i].guid;
		for (unsigned minor = 1; minor <= 2; minor++) {
			struct media_fake *fake = medium(minor, &label, 1);
			struct btt_labels labels = read_labels(fake);

			ck_assert_int_eq(labels.ns[0].claim,
			    minor == 1 ? BTT_CLAIM_NONE : claims[i].claim);
			btt_labels_fini(&labels);
			media_close(&fake->media);
		}
	}
}
END_TEST

/* Virtual NVDIMMs can have a larger area than usual. */
START_TEST(labels__are_found_whatever_the_size_of_their_area)
{
	static const uint64_t sizes[] = { BTT_LABEL_AREA_MIN,
		BTT_LABEL_AREA_MIN + 4096, 2 * BTT_LABEL_AREA_MIN,
		BTT_LABEL_AREA_MAX };

	for (int i = 0; i < NELEM(sizes); i++) {
		struct media_fake *fake = fake_new(DATA_BYTES + sizes[i]);
		struct btt_labels labels;

		(void)label_area(fake, sizes[i], 2, usual, 2);
		labels = read_labels(fake);
		ck_assert_uint_eq(labels.off, DATA_BYTES);
		ck_assert_uint_eq(labels.bytes, sizes[i]);
		ck_assert_uint_eq(labels.n, 2);
		btt_labels_fini(&labels);
		media_close(&fake->media);
	}
}
END_TEST

START_TEST(labels__are_nowhere_where_there_is_no_index)
{
	static const uint64_t sizes[] = { 1, 4096, AREA_BYTES - 1, AREA_BYTES,
		AREA_BYTES + 1, AREA_BYTES + 4096 };
	struct media_fake *fake = fake_new(DATA_BYTES);

	assert_no_labels(fake);
	memset(fake->bytes, 0xff, DATA_BYTES);
	assert_no_labels(fake);
	media_close(&fake->media);
	for (int i = 0; i < NELEM(sizes); i++) {
		fake = fake_new(sizes[i]);
		assert_no_labels(fake);
		media_close(&fake->media);
	}
	/* too far from the end */
	fake = fake_new(DATA_BYTES + BTT_LABEL_AREA_MAX + 4096);
	(void)label_area(fake, BTT_LABEL_AREA_MAX + 4096, 2, usual, 2);
	assert_no_labels(fake);
	media_close(&fake->media);
}
END_TEST

/* The numbers run 1, 2, 3, 1 ...; each index has other slots in use. */
START_TEST(labels__are_those_of_the_newer_index)
{
	static const struct {
		uint32_t seq[2];
		unsigned newer;
	} cases[] = {
		{ { 1, 2 }, 1 },
		{ { 2, 3 }, 1 },
		{ { 3, 1 }, 1 },
		{ { 2, 1 }, 0 },
		{ { 3, 2 }, 0 },
		{ { 1, 3 }, 0 },
		/* as Linux has it */
		{ { 1, 1 }, 1 },
		{ { 2, 2 }, 1 },
		/* these never occur, so that index is damaged */
		{ { 0, 1 }, 1 },
		{ { 3, 0 }, 0 },
		{ { 4, 1 }, 1 },
		{ { 3, UINT32_MAX }, 0 },
	};

	for (int i = 0; i < NELEM(cases); i++) {
		struct media_fake *fake = medium(2, usual, 2);
		struct btt_labels labels;

		label_put_index(area_of(fake), 0, 2, cases[i].seq[0], 1);
		label_put_index(area_of(fake), 1, 2, cases[i].seq[1], 2);
		labels = read_labels(fake);
		ck_assert_uint_eq(labels.current, cases[i].newer);
		ck_assert_uint_eq(labels.n, cases[i].newer + 1);
		btt_labels_fini(&labels);
		media_close(&fake->media);
	}
}
END_TEST

START_TEST(labels__survive_the_loss_of_either_index)
{
	for (unsigned lost = 0; lost < 2; lost++) {
		for (unsigned how = 0; how < 3; how++) {
			struct media_fake *fake = medium(2, usual, 2);
			uint8_t *index =
			    area_of(fake) + lost * LABEL_INDEX_BYTES;
			struct btt_labels labels;

			if (how == 0)
				memset(index, 0, LABEL_INDEX_BYTES);
			else if (how == 1)
				memset(index, 0xff, LABEL_INDEX_BYTES);
			else
				index[72] ^= 0x80; /* its sum is wrong now */
			labels = read_labels(fake);
			ck_assert_uint_eq(labels.current, 1 - lost);
			ck_assert_ptr_nonnull(labels.index[lost].problem);
			ck_assert_ptr_null(labels.index[1 - lost].problem);
			ck_assert_uint_eq(labels.n, 2);
			btt_labels_fini(&labels);
			/* both */
			memset(area_of(fake), 0, 2 * LABEL_INDEX_BYTES);
			assert_no_labels(fake);
			media_close(&fake->media);
		}
	}
}
END_TEST

/* The index block's numbers, one by one; its checksum is right. */
static const struct {
	const char *what;
	size_t off;
	size_t bytes;
	uint64_t value;
} hostile_indexes[] = {
	{ "signature", 15, 1, 'X' },
	{ "label size of 128 bytes", 19, 1, 0 },
	{ "label size of 512 bytes", 19, 1, 2 },
	{ "label size beyond all", 19, 1, 255 },
	{ "seq", 20, 4, 0 },
	{ "seq", 20, 4, 4 },
	{ "myoff", 24, 8, 256 },
	{ "myoff", 24, 8, UINT64_MAX },
	{ "mysize", 32, 8, 0 },
	{ "mysize", 32, 8, 255 },
	{ "mysize", 32, 8, 257 },
	{ "mysize", 32, 8, AREA_BYTES },
	{ "mysize", 32, 8, UINT64_MAX - 255 },
	{ "mysize", 32, 8, UINT64_C(1) << 63 },
	{ "otheroff", 40, 8, 0 },
	{ "otheroff", 40, 8, UINT64_MAX },
	{ "labeloff", 48, 8, 0 },
	{ "labeloff", 48, 8, 511 },
	{ "labeloff", 48, 8, AREA_BYTES },
	{ "labeloff", 48, 8, AREA_BYTES + 1 },
	{ "labeloff", 48, 8, UINT64_MAX },
	{ "nslot", 56, 4, 0 },
	/* one more than there is room for */
	{ "nslot", 56, 4, 511 },
	{ "nslot", 56, 4, 0x80000000 },
	{ "nslot", 56, 4, UINT32_MAX },
	{ "major", 60, 2, 0 },
	{ "major", 60, 2, 2 },
	{ "minor", 62, 2, 0 },
	{ "minor", 62, 2, 3 },
	{ "minor", 62, 2, 0xffff },
};

START_TEST(labels__believe_no_hostile_index)
{
	struct media_fake *fake = medium(2, usual, 2);
	uint8_t *index = area_of(fake);
	struct btt_labels labels;

	label_put(index + hostile_indexes[_i].off, hostile_indexes[_i].value,
	    hostile_indexes[_i].bytes);
	label_seal_index(index);
	labels = read_labels(fake);
	ck_assert_msg(labels.index[0].problem != NULL, "%s is accepted",
	    hostile_indexes[_i].what);
	ck_assert_uint_eq(labels.current, 1);
	btt_labels_fini(&labels);
	/* nor alone */
	memset(index + LABEL_INDEX_BYTES, 0, LABEL_INDEX_BYTES);
	assert_no_labels(fake);
	media_close(&fake->media);
}
END_TEST

/* The largest numbers that are right: all slots that there is room for. */
START_TEST(labels__may_fill_their_area)
{
	struct media_fake *fake = medium(2, usual, 2);
	uint8_t *area = area_of(fake);
	struct btt_labels labels;
	struct label last = usual[0];

	for (unsigned i = 0; i < 2; i++) {
		uint8_t *index = area + i * LABEL_INDEX_BYTES;

		label_put(index + 56, 510, 4);
		memset(index + 72, 0xff, 64);
		index[72 + 509 / 8] &= (uint8_t) ~(1u << 509 % 8);
		label_seal_index(index);
	}
	label_encode(area + AREA_BYTES - 256, 2, 509, &last);
	labels = read_labels(fake);
	ck_assert_uint_eq(labels.n, 1);
	ck_assert_uint_eq(labels.ns[0].slot, 509);
	btt_labels_fini(&labels);
	media_close(&fake->media);
}
END_TEST

/* Who says that all slots are in use gets what they hold: nothing. */
START_TEST(labels__that_are_none_are_counted_and_not_listed)
{
	struct label label[3] = { usual[0], usual[1], usual[1] };
	struct media_fake *fake;
	struct btt_labels labels;

	label[1].slot_and_one = 1;
	label[2].bad_sum = true;
	fake = medium(2, label, 3);
	labels = read_labels(fake);
	ck_assert_uint_eq(labels.nslot, 3);
	ck_assert_uint_eq(labels.nbad, 2);
	ck_assert_uint_eq(labels.n, 1);
	ck_assert_str_eq(labels.ns[0].name, "one");
	btt_labels_fini(&labels);
	memset(area_of(fake) + 512, 0xa5, AREA_BYTES - 512);
	labels = read_labels(fake);
	ck_assert_uint_eq(labels.nbad, 3);
	ck_assert_uint_eq(labels.n, 0);
	btt_labels_fini(&labels);
	media_close(&fake->media);
}
END_TEST

static const uint8_t type_volatile[16] = { 0x4f, 0x94, 0x05, 0x73, 0xda, 0xfd,
	0xe3, 0x44, 0xb1, 0x6c, 0x3f, 0x22, 0xd2, 0x52, 0xe5, 0xd0 };

/* The numbers of a label, one or two at a time. */
static const struct {
	const char *what;
	struct label label;
	int r;
	const char *problem;
} hostile_labels[] = {
#define HOSTILE(r, problem, ...)                          \
	{                                                 \
#__VA_ARGS__, { __VA_ARGS__ }, r, problem \
	}
	HOSTILE(-EUCLEAN, "range", .uuid = 1, .off = 0, .bytes = 0),
	HOSTILE(-EUCLEAN, "range", .uuid = 1, .off = 0, .bytes = 1),
	HOSTILE(-EUCLEAN, "range", .uuid = 1, .off = 0, .bytes = MIB + 512),
	HOSTILE(-EUCLEAN, "range", .uuid = 1, .off = 0, .bytes = UINT64_MAX),
	HOSTILE(
	    -EUCLEAN, "range", .uuid = 1, .off = 0, .bytes = DATA_BYTES + 4096),
	HOSTILE(-EUCLEAN, "range", .uuid = 1, .off = 1, .bytes = MIB),
	HOSTILE(-EUCLEAN, "range", .uuid = 1, .off = 2048, .bytes = MIB),
	HOSTILE(-EUCLEAN, "range", .uuid = 1, .off = DATA_BYTES, .bytes = MIB),
	HOSTILE(-EUCLEAN, "range", .uuid = 1, .off = DATA_BYTES - MIB + 4096,
	    .bytes = MIB),
	HOSTILE(-EUCLEAN, "range", .uuid = 1, .off = UINT64_MAX - 4095,
	    .bytes = MIB),
	/* the sum is 4096 in 64 bits */
	HOSTILE(-EUCLEAN, "range", .uuid = 1, .off = UINT64_MAX - MIB + 4097,
	    .bytes = MIB),
	HOSTILE(-EUCLEAN, "range", .uuid = 1, .off = UINT64_C(1) << 63,
	    .bytes = UINT64_C(1) << 63),
	HOSTILE(-EUCLEAN, "uuid", .uuid = 0, .off = 0, .bytes = MIB),
	HOSTILE(
	    -EUCLEAN, "part", .uuid = 1, .off = 0, .bytes = MIB, .position = 1),
	HOSTILE(-EUCLEAN, "part", .uuid = 1, .off = 0, .bytes = MIB,
	    .nlabel = 2, .position = 2),
	HOSTILE(-EUCLEAN, "part", .uuid = 1, .off = 0, .bytes = MIB,
	    .position = 0xffff),
	HOSTILE(-ENOTSUP, "interleaved", .uuid = 1, .off = 0, .bytes = MIB,
	    .nlabel = 2),
	HOSTILE(-ENOTSUP, "interleaved", .uuid = 1, .off = 0, .bytes = MIB,
	    .nlabel = 0xffff, .position = 0xfffe),
	HOSTILE(-ENOTSUP, "persistent memory", .uuid = 1, .off = 0,
	    .bytes = MIB, .flags = 2),
	HOSTILE(-ENOTSUP, "persistent memory", .uuid = 1, .off = 0,
	    .bytes = MIB, .type = type_volatile),
	/* and what is as it should be */
	HOSTILE(0, NULL, .uuid = 1, .off = DATA_BYTES - MIB, .bytes = MIB),
	HOSTILE(0, NULL, .uuid = 1, .off = 0, .bytes = DATA_BYTES),
	HOSTILE(0, NULL, .uuid = 1, .off = 0, .bytes = MIB,
	    .flags = 8), /* an interrupted update */
#undef HOSTILE
};

START_TEST(labels__believe_no_hostile_label)
{
	struct media_fake *fake = medium(2, &hostile_labels[_i].label, 1);
	struct btt_labels labels = read_labels(fake);
	const struct btt_namespace *ns = &labels.ns[0];

	ck_assert_uint_eq(labels.n, 1);
	ck_assert_msg(ns->r == hostile_labels[_i].r, "%s: %d",
	    hostile_labels[_i].what, ns->r);
	if (ns->r < 0)
		ck_assert_msg(
		    strstr(ns->problem, hostile_labels[_i].problem) != NULL,
		    "%s: %s", hostile_labels[_i].what, ns->problem);
	btt_labels_fini(&labels);
	media_close(&fake->media);
}
END_TEST

/* Writing to one of them would be writing to the other. */
START_TEST(labels__that_overlap_are_all_refused)
{
	const struct label label[] = {
		{ .name = "a", .uuid = 1, .off = 0, .bytes = 4 * MIB },
		{ .name = "b", .uuid = 2, .off = MIB, .bytes = MIB },
		{ .name = "c", .uuid = 3, .off = 3 * MIB, .bytes = 2 * MIB },
		{ .name = "d", .uuid = 4, .off = 5 * MIB, .bytes = MIB },
		/* interleaved, and in the way all the same */
		{ .name = "e",
		    .uuid = 5,
		    .off = 6 * MIB,
		    .bytes = MIB,
		    .nlabel = 2 },
		{ .name = "f", .uuid = 6, .off = 6 * MIB, .bytes = 4096 },
	};
	struct media_fake *fake = medium(2, label, NELEM(label));
	struct btt_labels labels = read_labels(fake);

	ck_assert_uint_eq(labels.n, NELEM(label));
	for (uint32_t i = 0; i < labels.n; i++) {
		const struct btt_namespace *ns = &labels.ns[i];

		ck_assert_int_eq(ns->r,
		    ns->name[0] == 'd'       ? 0
			: ns->name[0] == 'e' ? -ENOTSUP
					     : -EUCLEAN);
		if (ns->r == -EUCLEAN)
			ck_assert_ptr_nonnull(strstr(ns->problem, "overlaps"));
	}
	btt_labels_fini(&labels);
	media_close(&fake->media);
}
END_TEST

START_TEST(labels__with_one_uuid_are_all_refused)
{
	const struct label label[] = {
		{ .name = "a", .uuid = 1, .off = 0, .bytes = MIB },
		{ .name = "b", .uuid = 2, .off = MIB, .bytes = MIB },
		{ .name = "c", .uuid = 1, .off = 2 * MIB, .bytes = MIB },
	};
	struct media_fake *fake = medium(1, label, NELEM(label));
	struct btt_labels labels = read_labels(fake);

	for (uint32_t i = 0; i < labels.n; i++)
		ck_assert_int_eq(
		    labels.ns[i].r, labels.ns[i].name[0] == 'b' ? 0 : -EUCLEAN);
	btt_labels_fini(&labels);
	media_close(&fake->media);
}
END_TEST

/* 64 bytes without a zero byte, and with what terminals obey. */
START_TEST(labels__have_names_that_can_be_printed)
{
	char long_name[65];
	struct label label[2] = { usual[0], usual[1] };
	char text[BTT_NAMESPACE_TEXT_BYTES];
	struct media_fake *fake;
	struct btt_labels labels;

	memset(long_name, 'x', 64);
	long_name[64] = '\0';
	label[0].name = "\033[2Ja\344b\n'";
	label[1].name = long_name;
	fake = medium(1, label, 2);
	labels = read_labels(fake);
	ck_assert_str_eq(labels.ns[0].name, long_name);
	ck_assert_str_eq(labels.ns[1].name, "?[2Ja?b?'");
	labels.ns[0].number = UINT32_MAX;
	btt_namespace_format(&labels.ns[0], text);
	ck_assert_uint_eq(strlen(text), 10 + 1 + 66);
	btt_labels_fini(&labels);
	media_close(&fake->media);
}
END_TEST

START_TEST(select__knows_names_uuids_and_numbers)
{
	const struct label label[] = {
		{ .name = "disk", .uuid = 1, .off = 0, .bytes = MIB },
		{ .name = "0", .uuid = 2, .off = MIB, .bytes = MIB },
		{ .uuid = 3, .off = 2 * MIB, .bytes = MIB },
		{ .name = "twice", .uuid = 4, .off = 3 * MIB, .bytes = MIB },
		{ .name = "twice", .uuid = 5, .off = 4 * MIB, .bytes = MIB },
	};
	static const struct {
		const char *text;
		int r;
		uint32_t number;
	} cases[] = {
		{ "disk", 0, 0 },
		{ "0", 0, 1 }, /* the name comes before the number */
		{ "1", 0, 1 },
		{ "2", 0, 2 },
		{ "4", 0, 4 },
		{ "03030303-0303-0303-0303-030303030303", 0, 2 },
		{ "04040404040404040404040404040404", 0, 3 },
		{ "twice", -ENOTUNIQ, 0 },
		{ "", -ENOENT, 0 },
		{ "5", -ENOENT, 0 },
		{ "-1", -ENOENT, 0 },
		{ " 1", -ENOENT, 0 },
		{ "1x", -ENOENT, 0 },
		{ "99999999999999999999", -ENOENT, 0 },
		{ "Disk", -ENOENT, 0 },
		{ "06060606-0606-0606-0606-060606060606", -ENOENT, 0 },
	};
	struct media_fake *fake = medium(1, label, NELEM(label));
	struct btt_labels labels = read_labels(fake);

	for (int i = 0; i < NELEM(cases); i++) {
		struct btt_error error = { "" };
		const struct btt_namespace *ns = NULL;
		int r;

		r = btt_labels_select(&labels, cases[i].text, &ns, &error);
		ck_assert_msg(r == cases[i].r, "'%s': %d", cases[i].text, r);
		if (r < 0)
			ck_assert_uint_gt(strlen(error.text), 0);
		else
			ck_assert_uint_eq(ns->number, cases[i].number);
	}
	btt_labels_fini(&labels);
	media_close(&fake->media);
}
END_TEST

/* A page of the area that is gone takes the labels with it, not the thread. */
START_TEST(labels__survive_pages_that_cannot_be_read)
{
	struct media_fake *fake = medium(2, usual, 2);
	const uint8_t *bytes = fake->bytes;
	int fd = memfd_create("label", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(media_install_sigbus(), 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)(DATA_BYTES + 4096)), 0);
	ck_assert_int_eq(
	    pwrite(fd, bytes + DATA_BYTES, 4096, (off_t)DATA_BYTES), 4096);
	fake->media.base =
	    mmap(NULL, fake->media.size, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(fake->media.base, MAP_FAILED);
	assert_no_labels(fake);
	(void)close(fd);
	fake->media.base = bytes;
	media_close(&fake->media);
}
END_TEST

static Suite *
label_suite(void)
{
	Suite *suite = suite_create("label");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(
	    tc, labels__of_both_versions_are_listed_as_they_lie, 1, 3);
	tcase_add_test(tc, labels__claim_by_guid_in_version_12_only);
	tcase_add_test(tc, labels__are_found_whatever_the_size_of_their_area);
	tcase_add_test(tc, labels__are_nowhere_where_there_is_no_index);
	tcase_add_test(tc, labels__are_those_of_the_newer_index);
	tcase_add_test(tc, labels__survive_the_loss_of_either_index);
	tcase_add_loop_test(
	    tc, labels__believe_no_hostile_index, 0, NELEM(hostile_indexes));
	tcase_add_test(tc, labels__may_fill_their_area);
	tcase_add_test(tc, labels__that_are_none_are_counted_and_not_listed);
	tcase_add_loop_test(
	    tc, labels__believe_no_hostile_label, 0, NELEM(hostile_labels));
	tcase_add_test(tc, labels__that_overlap_are_all_refused);
	tcase_add_test(tc, labels__with_one_uuid_are_all_refused);
	tcase_add_test(tc, labels__have_names_that_can_be_printed);
	tcase_add_test(tc, select__knows_names_uuids_and_numbers);
	tcase_add_test(tc, labels__survive_pages_that_cannot_be_read);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(label_suite());
}

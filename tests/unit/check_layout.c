/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * layout -- the info block as bytes, sector sizes, UUIDs, error texts.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <btt/format.h>

#include "layout.h"
#include "support/check_main.h"

/* The block of btt-format.md 13.1, which Linux 6.1 wrote. */
static const uint8_t kernel_head[120] = { 0x42, 0x54, 0x54, 0x5f, 0x41, 0x52,
	0x45, 0x4e, 0x41, 0x5f, 0x49, 0x4e, 0x46, 0x4f, 0x00, 0x00, 0x01, 0x23,
	0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
	0xcd, 0xef, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x00,
	0x00, 0x00, 0x01, 0x00, 0x01, 0x00, 0x00, 0x10, 0x00, 0x00, 0xf5, 0x0e,
	0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0xf5, 0x0f, 0x00, 0x00, 0x00, 0x01,
	0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x70,
	0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xb0, 0xff, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0xf0, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00 };
static const uint8_t kernel_sum[8] = { 0x09, 0x62, 0x09, 0xad, 0x48, 0xab, 0x5b,
	0xa6 };

static const struct btt_info kernel_info = {
	.uuid = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23,
	    0x45, 0x67, 0x89, 0xab, 0xcd, 0xef },
	.major = 1,
	.minor = 1,
	.external_lbasize = 4096,
	.external_nlba = 3829,
	.internal_lbasize = 4096,
	.internal_nlba = 4085,
	.nfree = 256,
	.infosize = 4096,
	.dataoff = 4096,
	.mapoff = 16740352,
	.logoff = 16756736,
	.info2off = 16773120,
	.checksum = UINT64_C(0xa65bab48ad096209),
};

static void
kernel_block(uint8_t ret_block[BTT_INFO_BYTES])
{
	memset(ret_block, 0, BTT_INFO_BYTES);
	memcpy(ret_block, kernel_head, sizeof(kernel_head));
	memcpy(ret_block + BTT_INFO_BYTES - sizeof(kernel_sum), kernel_sum,
	    sizeof(kernel_sum));
}

START_TEST(info_encode__gives_the_bytes_of_the_kernel)
{
	uint8_t expected[BTT_INFO_BYTES];
	uint8_t block[BTT_INFO_BYTES];

	kernel_block(expected);
	memset(block, 0xee, sizeof(block));
	btt_info_encode(&kernel_info, block);
	ck_assert_mem_eq(block, expected, sizeof(block));
}
END_TEST

START_TEST(info_decode__reads_the_bytes_of_the_kernel)
{
	uint8_t block[BTT_INFO_BYTES];
	struct btt_info info;

	kernel_block(block);
	memset(&info, 0, sizeof(info));
	ck_assert_int_eq(btt_info_decode(block, &info), BTT_INFO_VALID);
	ck_assert_mem_eq(&info, &kernel_info, sizeof(info));
}
END_TEST

/* No two fields share a byte: each has a value of its own in every byte. */
START_TEST(info_decode__undoes_encode_for_every_field)
{
	uint8_t block[BTT_INFO_BYTES];
	struct btt_info info;
	struct btt_info again;
	uint8_t *byte = (uint8_t *)&info;

	for (size_t i = 0; i < sizeof(info); i++)
		byte[i] = (uint8_t)(i + 1);
	btt_info_encode(&info, block);
	memset(&again, 0, sizeof(again));
	ck_assert_int_eq(btt_info_decode(block, &again), BTT_INFO_VALID);
	again.checksum = info.checksum;
	ck_assert_mem_eq(&again, &info, offsetof(struct btt_info, nextoff));
	ck_assert_uint_eq(again.nextoff, info.nextoff);
	ck_assert_uint_eq(again.dataoff, info.dataoff);
	ck_assert_uint_eq(again.mapoff, info.mapoff);
	ck_assert_uint_eq(again.logoff, info.logoff);
	ck_assert_uint_eq(again.info2off, info.info2off);
}
END_TEST

/* Any one bit, padding and the sum itself included. */
START_TEST(info_decode__notices_every_flipped_bit)
{
	uint8_t block[BTT_INFO_BYTES];
	struct btt_info info;

	kernel_block(block);
	for (size_t bit = 0; bit < BTT_INFO_BYTES * 8; bit++) {
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(btt_info_decode(block, &info),
		    bit / 8 < sizeof(info_signature) ? BTT_INFO_NO_SIGNATURE
						     : BTT_INFO_BAD_CHECKSUM);
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	ck_assert_int_eq(btt_info_decode(block, &info), BTT_INFO_VALID);
}
END_TEST

/* The zeroed words of the sum are not skipped: they add low to high. */
START_TEST(info_checksum__counts_its_own_words_as_zero)
{
	uint8_t block[BTT_INFO_BYTES] = { 1 };
	uint64_t sum;

	/* low becomes 1 with the first of 1024 words and stays so. */
	sum = btt_info_checksum(block);
	ck_assert_uint_eq(sum, UINT64_C(1024) << 32 | 1);
	memset(block + BTT_INFO_BYTES - 8, 0xff, 8);
	ck_assert_uint_eq(btt_info_checksum(block), sum);
}
END_TEST

START_TEST(sector_data_bytes__leaves_metadata_out)
{
	static const uint32_t sizes[][2] = { { 512, 512 }, { 520, 512 },
		{ 528, 512 }, { 1024, 1024 }, { 2048, 2048 }, { 4096, 4096 },
		{ 4104, 4096 }, { 4160, 4096 }, { 4224, 4096 }, { 8192, 8192 },
		{ 16384, 16384 }, { 32768, 32768 }, { 65536, 65536 } };
	uint32_t nknown = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		ck_assert_uint_eq(
		    btt_sector_data_bytes(sizes[i][0]), sizes[i][1]);
	for (uint32_t bytes = 0; bytes < 200000; bytes++) {
		ck_assert(btt_sector_size_known(bytes) ==
		    (btt_sector_data_bytes(bytes) != 0));
		nknown += btt_sector_size_known(bytes);
	}
	ck_assert_uint_eq(nknown, sizeof(sizes) / sizeof(sizes[0]));
	ck_assert(!btt_sector_size_known(UINT32_MAX));
}
END_TEST

START_TEST(uuid_parse__undoes_format)
{
	static const char text[] = "00112233-4455-6677-8899-aabbccddeeff";
	char again[BTT_UUID_TEXT_BYTES];
	uint8_t uuid[BTT_UUID_BYTES];

	ck_assert_int_eq(btt_uuid_parse(text, uuid), 0);
	for (unsigned i = 0; i < BTT_UUID_BYTES; i++)
		ck_assert_uint_eq(uuid[i], 0x11 * i);
	btt_uuid_format(uuid, again);
	ck_assert_str_eq(again, text);
	memset(uuid, 0, sizeof(uuid));
	ck_assert_int_eq(
	    btt_uuid_parse("00112233445566778899AABBCCDDEEFF", uuid), 0);
	btt_uuid_format(uuid, again);
	ck_assert_str_eq(again, text);
}
END_TEST

START_TEST(uuid_parse__accepts_nothing_else)
{
	static const char *const bad[] = { "", "0",
		"00112233-4455-6677-8899-aabbccddeef",
		"00112233-4455-6677-8899-aabbccddeefff",
		"0011223344556677-8899-aabbccddeeff",
		"00112233-44556677-8899-aabb-ccddeeff",
		"001122334455-6677-8899-aabbccddeeff-",
		"0011223344556677889-aabbccddeeff",
		"00112233-4455-6677-8899-aabbccddeefg",
		"g0112233445566778899aabbccddeeff",
		"0011223344556677 899aabbccddeeff",
		"00112233445566778899aabbccddeeff0",
		"{0112233-4455-6677-8899-aabbccddeeff" };
	uint8_t uuid[BTT_UUID_BYTES];
	uint8_t before[BTT_UUID_BYTES];

	memset(uuid, 0x5a, sizeof(uuid));
	memcpy(before, uuid, sizeof(uuid));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(btt_uuid_parse(bad[i], uuid) == -EINVAL,
		    "accepted '%s'", bad[i]);
		ck_assert_mem_eq(uuid, before, sizeof(uuid));
	}
}
END_TEST

START_TEST(error_set__cuts_what_is_too_long)
{
	struct btt_error error;
	char text[1000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(btt_error_set(&error, -EIO, "%s", text), -EIO);
	ck_assert_uint_eq(strlen(error.text), sizeof(error.text) - 1);
	ck_assert_int_eq(btt_error_set(NULL, -EIO, "%s", text), -EIO);
}
END_TEST

START_TEST(error_set__may_quote_the_text_so_far)
{
	struct btt_error error;

	(void)btt_error_set(&error, -EUCLEAN, "mapoff is %d", 7);
	(void)btt_error_set(&error, -EUCLEAN, "arena %u: %s", 1u, error.text);
	ck_assert_str_eq(error.text, "arena 1: mapoff is 7");
}
END_TEST

static Suite *
layout_suite(void)
{
	Suite *suite = suite_create("layout");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, info_encode__gives_the_bytes_of_the_kernel);
	tcase_add_test(tc, info_decode__reads_the_bytes_of_the_kernel);
	tcase_add_test(tc, info_decode__undoes_encode_for_every_field);
	tcase_add_test(tc, info_decode__notices_every_flipped_bit);
	tcase_add_test(tc, info_checksum__counts_its_own_words_as_zero);
	tcase_add_test(tc, sector_data_bytes__leaves_metadata_out);
	tcase_add_test(tc, uuid_parse__undoes_format);
	tcase_add_test(tc, uuid_parse__accepts_nothing_else);
	tcase_add_test(tc, error_set__cuts_what_is_too_long);
	tcase_add_test(tc, error_set__may_quote_the_text_so_far);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(layout_suite());
}

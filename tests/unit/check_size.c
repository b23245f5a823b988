/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * size -- amounts of bytes as people write them: what is meant is understood
 * exactly, what is not clear is refused.
 */
#include <errno.h>
#include <stdint.h>

#include "../../daemon/size.h"
#include "../support/check_main.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define TIB (GIB * 1024)

static const struct {
	const char *text;
	uint64_t bytes;
} good[] = {
	{ "0", 0 },
	{ "1", 1 },
	{ "4096", 4096 },
	{ "007", 7 },
	{ "512B", 512 },
	{ "1k", KIB },
	{ "1K", KIB },
	{ "512KiB", 512 * KIB },
	{ "100M", 100 * MIB },
	{ "512MiB", 512 * MIB },
	{ "512mib", 512 * MIB },
	{ "1G", GIB },
	{ "1.5G", GIB + 512 * MIB },
	{ "1.25GiB", GIB + 256 * MIB },
	{ "0.5T", 512 * GIB },
	{ "2T", 2 * TIB },
	{ "15E", 15 * TIB *MIB },
	{ "15.9999E", 15 * TIB *MIB + UINT64_C(1152806212456386291) },
	/* as fallocate(1) and dd(1) */
	{ "1kB", 1000 },
	{ "100MB", 100000000 },
	{ "1.5GB", 1500000000 },
	/* cut to whole bytes: 1.3 * 2^30 = 1395864371.2 */
	{ "1.3G", 1395864371 },
	{ "0.0001K", 0 },
	{ "18446744073709551615", UINT64_MAX },
	{ "0.99999999999999999999999999K", 1023 },
};

START_TEST(size_parse__understands_what_people_write)
{
	uint64_t bytes;

	bytes = 12345;
	ck_assert_int_eq(size_parse(good[_i].text, &bytes), 0);
	ck_assert_msg(bytes == good[_i].bytes, "%s: %ju, not %ju",
	    good[_i].text, (uintmax_t)bytes, (uintmax_t)good[_i].bytes);
}
END_TEST

static const char *const junk[] = { "", " ", "-1", "+1", " 1", "1 ", "1 G", "G",
	".5G", "1.G", "1..5G", "1.5", "1.5B", "0x10", "1e9", "1,5G", "1Gi",
	"1GG", "1Z", "1KiBs", "nan", "1.5.5G", "1\n", "\xc2\xb2" };

START_TEST(size_parse__refuses_junk)
{
	uint64_t bytes;

	bytes = 12345;
	ck_assert_msg(size_parse(junk[_i], &bytes) == -EINVAL,
	    "'%s' is taken for a size", junk[_i]);
	ck_assert_uint_eq(bytes, 12345);
}
END_TEST

static const char *const large[] = { "18446744073709551616", "16E", "17E",
	"16384P", "99999999999999999999T", "18446744073709551615K",
	"18446744073709551616000000B" };

START_TEST(size_parse__refuses_more_than_64_bits)
{
	uint64_t bytes;

	bytes = 12345;
	ck_assert_msg(size_parse(large[_i], &bytes) == -ERANGE,
	    "'%s' is not said to be too large", large[_i]);
	ck_assert_uint_eq(bytes, 12345);
}
END_TEST

static const struct {
	uint64_t bytes;
	const char *text;
	const char *full;
} shown[] = {
	{ 0, "0 bytes", "0 bytes" },
	{ 1023, "1023 bytes", "1023 bytes" },
	{ 1024, "1 KiB", "1 KiB (1024 bytes)" },
	{ 1025, "1.00 KiB", "1.00 KiB (1025 bytes)" },
	{ 1536, "1.50 KiB", "1.50 KiB (1536 bytes)" },
	{ 256 * MIB, "256 MiB", "256 MiB (268435456 bytes)" },
	/* down, never up: this is not 256 MiB */
	{ 256 * MIB - 1, "255.9 MiB", "255.9 MiB (268435455 bytes)" },
	{ GIB - 1, "1023.9 MiB", "1023.9 MiB (1073741823 bytes)" },
	{ UINT64_MAX, "15.9 EiB", "15.9 EiB (18446744073709551615 bytes)" },
};

START_TEST(size_format__is_short_and_rounds_down)
{
	char text[SIZE_TEXT_BYTES];

	size_format(shown[_i].bytes, text);
	ck_assert_str_eq(text, shown[_i].text);
	size_format_full(shown[_i].bytes, text);
	ck_assert_str_eq(text, shown[_i].full);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int
main(void)
{
	Suite *suite;
	TCase *tcase;

	suite = suite_create("size");
	tcase = tcase_create("parse");
	tcase_add_loop_test(
	    tcase, size_parse__understands_what_people_write, 0, COUNT(good));
	tcase_add_loop_test(tcase, size_parse__refuses_junk, 0, COUNT(junk));
	tcase_add_loop_test(
	    tcase, size_parse__refuses_more_than_64_bits, 0, COUNT(large));
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("format");
	tcase_add_loop_test(
	    tcase, size_format__is_short_and_rounds_down, 0, COUNT(shown));
	suite_add_tcase(suite, tcase);
	return check_main(suite);
}

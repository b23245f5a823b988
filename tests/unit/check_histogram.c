/* SPDX-License-Identifier: BSD-3-Clause */
/* Quantiles of a histogram against those of the sorted values themselves. */
#include <stdlib.h>
#include <string.h>

#include <btt/histogram.h>

#include "support/check_locks.h"
#include "support/check_main.h"

#define NVALUE 20000

static struct btt_histogram_counter counter;
static struct btt_histogram histogram;
static uint64_t values[NVALUE];

static void
setup(void)
{
	memset(&counter, 0, sizeof(counter));
	memset(&histogram, 0, sizeof(histogram));
}

/* ---- Buckets ---- */

START_TEST(bucket__each_value_lies_in_its_own)
{
	uint64_t value;
	unsigned bucket;

	for (unsigned bit = 0; bit < BTT_HISTOGRAM_BITS; bit++) {
		for (int64_t by = -9; by <= 9; by++) {
			value = (UINT64_C(1) << bit) + (uint64_t)by;
			if (value >> BTT_HISTOGRAM_BITS != 0)
				continue; /* below 0 */
			bucket = btt_histogram_bucket(value);
			ck_assert_uint_lt(bucket, BTT_HISTOGRAM_BUCKETS);
			ck_assert_uint_le(btt_histogram_lower(bucket), value);
			ck_assert_uint_gt(btt_histogram_upper(bucket), value);
		}
	}
}
END_TEST

START_TEST(bucket__follows_the_one_before_without_gap)
{
	ck_assert_uint_eq(btt_histogram_lower(0), 0);
	for (unsigned i = 1; i < BTT_HISTOGRAM_BUCKETS; i++)
		ck_assert_uint_eq(
		    btt_histogram_lower(i), btt_histogram_upper(i - 1));
	ck_assert_uint_eq(btt_histogram_upper(BTT_HISTOGRAM_BUCKETS - 1),
	    UINT64_C(1) << BTT_HISTOGRAM_BITS);
}
END_TEST

START_TEST(bucket__is_no_wider_than_an_eighth)
{
	for (unsigned i = BTT_HISTOGRAM_SUB; i < BTT_HISTOGRAM_BUCKETS; i++)
		ck_assert_uint_le(
		    (btt_histogram_upper(i) - btt_histogram_lower(i)) *
			BTT_HISTOGRAM_SUB,
		    btt_histogram_lower(i));
}
END_TEST

START_TEST(bucket__the_last_has_all_that_is_larger)
{
	static const uint64_t large[] = { UINT64_C(1) << BTT_HISTOGRAM_BITS,
		UINT64_C(1) << 63, UINT64_MAX };

	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(
		    btt_histogram_bucket(large[i]), BTT_HISTOGRAM_BUCKETS - 1);
}
END_TEST

/* ---- Quantiles ---- */

START_TEST(quantile__of_nothing_is_zero)
{
	btt_histogram_gather(&counter, &histogram);
	ck_assert_uint_eq(btt_histogram_quantile(&histogram, 50, 100), 0);
	ck_assert_uint_eq(histogram.n, 0);
}
END_TEST

START_TEST(quantile__of_one_value_is_that_value)
{
	static const uint64_t one[] = { 0, 1, 7, 8, 15, 1000, 123456789,
		UINT64_C(1) << 36, UINT64_C(1) << 50 };

	for (unsigned i = 0; i < sizeof(one) / sizeof(one[0]); i++) {
		setup();
		btt_histogram_add(&counter, one[i]);
		btt_histogram_gather(&counter, &histogram);
		for (unsigned part = 0; part <= 1000; part++) {
			uint64_t value =
			    btt_histogram_quantile(&histogram, part, 1000);

			ck_assert_uint_le(value, one[i]);
			ck_assert_uint_ge(value + one[i] / 16 + 1, one[i]);
		}
		ck_assert_uint_eq(histogram.max, one[i]);
		ck_assert_uint_eq(histogram.sum, one[i]);
	}
}
END_TEST

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Spread evenly, over many powers of two, and in two heaps far apart. */
static uint64_t
make_value(unsigned shape, uint32_t *state)
{
	uint64_t random = thread_random(state);

	switch (shape) {
	case 0:
		return random % 100000;
	case 1:
		return random >> (thread_random(state) % 32);
	case 2:
		return random % 100 == 0 ? 5000000 + random % 1000
					 : 20000 + random % 500;
	default:
		return random << (thread_random(state) % 4);
	}
}

START_TEST(quantile__is_that_of_the_sorted_values)
{
	static const struct {
		unsigned part, whole;
	} wanted[] = { { 0, 1 }, { 1, 100 }, { 50, 100 }, { 90, 100 },
		{ 99, 100 }, { 999, 1000 }, { 9999, 10000 }, { 1, 1 } };
	uint32_t state = 0x5eed1234u + (unsigned)_i;
	uint64_t sum = 0;

	for (unsigned i = 0; i < NVALUE; i++) {
		values[i] = make_value((unsigned)_i, &state);
		btt_histogram_add(&counter, values[i]);
		sum += values[i];
	}
	qsort(values, NVALUE, sizeof(values[0]), compare);
	btt_histogram_gather(&counter, &histogram);
	ck_assert_uint_eq(histogram.n, NVALUE);
	ck_assert_uint_eq(histogram.sum, sum);
	ck_assert_uint_eq(histogram.max, values[NVALUE - 1]);
	for (unsigned i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		uint64_t rank =
		    ((uint64_t)NVALUE * wanted[i].part + wanted[i].whole - 1) /
		    wanted[i].whole;
		uint64_t exact = values[rank > 0 ? rank - 1 : 0];
		uint64_t value = btt_histogram_quantile(
		    &histogram, wanted[i].part, wanted[i].whole);
		uint64_t off = value > exact ? value - exact : exact - value;

		/* Half a bucket of an eighth. */
		ck_assert_msg(off * 16 <= exact + 15, "%u of %u: %ju for %ju",
		    wanted[i].part, wanted[i].whole, (uintmax_t)value,
		    (uintmax_t)exact);
	}
}
END_TEST

START_TEST(gather__adds_up)
{
	for (unsigned i = 0; i < 1000; i++)
		btt_histogram_add(&counter, i);
	btt_histogram_gather(&counter, &histogram);
	setup();
	for (unsigned round = 0; round < 2; round++) {
		memset(&counter, 0, sizeof(counter));
		for (unsigned i = round; i < 1000; i += 2)
			btt_histogram_add(&counter, i);
		btt_histogram_gather(&counter, &histogram);
	}
	ck_assert_uint_eq(histogram.n, 1000);
	ck_assert_uint_eq(histogram.max, 999);
	ck_assert_uint_eq(histogram.sum, 999 * 1000 / 2);
}
END_TEST

static Suite *
histogram_suite(void)
{
	Suite *suite = suite_create("histogram");
	TCase *tcase = tcase_create("buckets");

	tcase_add_test(tcase, bucket__each_value_lies_in_its_own);
	tcase_add_test(tcase, bucket__follows_the_one_before_without_gap);
	tcase_add_test(tcase, bucket__is_no_wider_than_an_eighth);
	tcase_add_test(tcase, bucket__the_last_has_all_that_is_larger);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("quantiles");
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, quantile__of_nothing_is_zero);
	tcase_add_test(tcase, quantile__of_one_value_is_that_value);
	tcase_add_loop_test(
	    tcase, quantile__is_that_of_the_sorted_values, 0, 4);
	tcase_add_test(tcase, gather__adds_up);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return check_main(histogram_suite());
}

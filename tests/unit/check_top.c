/* SPDX-License-Identifier: BSD-3-Clause */
/* Rates and quantiles of the time between two readings of the counters. */
#include "support/check_main.h"
#include "top.h"

/* So many writes below 1023 ns, below 2047 ns, and below 4095 ns. */
static struct json_object *
reading(unsigned below1, unsigned below2, unsigned below4, unsigned bytes)
{
	char text[512];
	struct json_object *object;

	snprintf(text, sizeof(text),
	    "{\"dev\":\"vol\",\"write\":{\"requests\":%u,\"bytes\":%u,"
	    "\"errors\":%u,\"buckets\":[{\"le\":1023,\"count\":%u},"
	    "{\"le\":2047,\"count\":%u},{\"le\":4095,\"count\":%u}]}}",
	    below4, bytes, below1, below1, below2, below4);
	object = json_tokener_parse(text);
	ck_assert_ptr_nonnull(object);
	return object;
}

static void
compare(struct json_object *before, struct json_object *now, double seconds,
    struct top_device *ret_device)
{
	top_compare(before, now, seconds, ret_device);
	ck_assert_str_eq(ret_device->name, "vol");
	json_object_put(before);
}

START_TEST(top_compare__counts_what_is_between)
{
	struct json_object *now = reading(10, 110, 210, 2 * 4096);
	struct top_device device;

	compare(reading(10, 10, 10, 4096), now, 2, &device);
	ck_assert_double_eq_tol(device.kind[TOP_WRITE].requests_s, 100, 1e-9);
	ck_assert_double_eq_tol(device.kind[TOP_WRITE].bytes_s, 2048, 1e-9);
	/* 100 between 1 and 2 us, 100 between 2 and 4. */
	ck_assert_double_eq_tol(device.kind[TOP_WRITE].p50_us, 2.047, 1e-9);
	ck_assert_double_eq_tol(
	    device.kind[TOP_WRITE].p99_us, 2.047 + 0.98 * 2.048, 1e-9);
	ck_assert_uint_eq(device.nerror, 0);
	ck_assert_double_eq_tol(device.kind[TOP_READ].requests_s, 0, 1e-9);
	ck_assert_double_eq_tol(device.kind[TOP_READ].p99_us, 0, 1e-9);
	json_object_put(now);
}
END_TEST

/* Another server has begun to count: what it has counted is all there is. */
START_TEST(top_compare__begins_again_with_another_server)
{
	struct json_object *now = reading(4, 4, 4, 4096);
	struct top_device device;

	compare(reading(0, 500, 1000, 1u << 20), now, 1, &device);
	ck_assert_double_eq_tol(device.kind[TOP_WRITE].requests_s, 4, 1e-9);
	ck_assert_double_eq_tol(device.kind[TOP_WRITE].bytes_s, 4096, 1e-9);
	ck_assert_double_eq_tol(device.kind[TOP_WRITE].p50_us, 0.5115, 1e-9);
	json_object_put(now);
}
END_TEST

START_TEST(top_compare__of_a_new_device_is_all)
{
	struct json_object *now = reading(3, 3, 3, 512);
	struct top_device device;

	compare(NULL, now, 1, &device);
	ck_assert_double_eq_tol(device.kind[TOP_WRITE].requests_s, 3, 1e-9);
	ck_assert_uint_eq(device.nerror, 3);
	json_object_put(now);
}
END_TEST

/* A daemon of an earlier version says less; nobody must die of that. */
START_TEST(top_compare__bears_what_is_missing)
{
	struct json_object *now =
	    json_tokener_parse("{\"write\":{\"requests\":5}}");
	struct top_device device;

	top_compare(NULL, now, 1, &device);
	ck_assert_str_eq(device.name, "");
	ck_assert_double_eq_tol(device.kind[TOP_WRITE].requests_s, 5, 1e-9);
	ck_assert_double_eq_tol(device.kind[TOP_WRITE].p99_us, 0, 1e-9);
	json_object_put(now);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("top");
	TCase *tcase = tcase_create("compare");

	tcase_add_test(tcase, top_compare__counts_what_is_between);
	tcase_add_test(tcase, top_compare__begins_again_with_another_server);
	tcase_add_test(tcase, top_compare__of_a_new_device_is_all);
	tcase_add_test(tcase, top_compare__bears_what_is_missing);
	suite_add_tcase(suite, tcase);
	return check_main(suite);
}

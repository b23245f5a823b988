/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * T-B5 of control-plane.md B.6: whatever can be done wrong with a lane is told,
 * with the lane's name, by the validator of every build.
 */
#include <lanes/lane.h>

#include "support/check_locks.h"
#include "support/check_main.h"

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wthread-safety-analysis"
#endif

static const struct lock_class lane_class = { "lane", 40, LOCK_MAY_SLEEP };

static struct lane_set *set;
static struct lane_span span;
static struct caught caught;

static void
setup(void)
{
	ck_assert_int_eq(lane_set_new(8, &lane_class, &set), 0);
	caught_start(&caught);
	lane_span_enter_at(set, 3, &span, "P");
}

/* The lane is still ours, and can be given back. */
static void
teardown(void)
{
	ck_assert(lane_span_holds(&span, 3));
	lane_span_leave(&span);
	sync_assert_at_rest("teardown");
	ck_assert_quiet(&caught);
	lane_set_free(set);
	sync_catch_violations(NULL, NULL);
}

static void *
leave(void *arg)
{
	static struct caught theirs;
	struct lane_span *stolen = arg;

	caught_start(&theirs);
	lane_span_leave_at(stolen, "Q");
	return &theirs;
}

START_TEST(tb5__release_by_another_thread)
{
	struct lane_span stolen = span;
	struct caught *theirs = thread_run(leave, &stolen);

	ck_assert_reported(
	    theirs, "lane 3 of 'lane' left at Q by a stranger, taken at P");
}
END_TEST

START_TEST(tb5__double_release)
{
	struct lane_span copy;

	lane_span_leave(&span);
	copy = span;
	lane_span_leave_at(&copy, "Q");
	ck_assert_reported(&caught, "span of 'lane' left at Q is not held");
	/* By a copy that does not know that it was given back. */
	copy.nlane = 1;
	copy.lane[0] = 3;
	lane_span_leave_at(&copy, "R");
	ck_assert_reported(&caught,
	    "lane 3 of 'lane' left at R by a stranger, taken at nowhere");
	lane_span_enter_at(set, 3, &span, "P");
}
END_TEST

START_TEST(tb5__double_acquire)
{
	struct lane_span second;

	lane_span_enter_at(set, 5, &second, "Q");
	ck_assert_reported(
	    &caught, "recursion: 'lane' locked at Q, by us already at P");
	lane_span_leave(&second);
}
END_TEST

START_TEST(tb5__reply_with_the_lane_held)
{
	sync_assert_none_held("the reply");
	ck_assert_reported(&caught,
	    "held: at the reply nothing may be, but 'lane' taken at P is");
}
END_TEST

static Suite *
lane_misuse_suite(void)
{
	Suite *suite = suite_create("lane_misuse");
	TCase *tcase = tcase_create("rules");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, tb5__release_by_another_thread);
	tcase_add_test(tcase, tb5__double_release);
	tcase_add_test(tcase, tb5__double_acquire);
	tcase_add_test(tcase, tb5__reply_with_the_lane_held);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return check_main(lane_misuse_suite());
}

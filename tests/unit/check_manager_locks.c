/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's own locks under the validator: the deadlock that the kernel had
 * when it waited for probes (control-plane.md A.6), put back, and owners that
 * are stuck (LK-11).
 */
#include <lanes/lane.h>
#include <lanes/watch.h>

#include <stall.h>

#include "engine.h"
#include "support/check_locks.h"
#include "support/check_main.h"
#include "support/manager_fixture.h"

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wthread-safety-analysis"
#endif

static struct rig rig;
static struct caught caught;

static void
setup(void)
{
	rig_setup(&rig, 2);
	rig_image(&rig, "a");
	rig_image(&rig, "b");
	rig_attach(&rig, "a");
	rig_attach(&rig, "b");
	caught_start(&caught);
}

static void
teardown(void)
{
	ck_assert_quiet(&caught);
	sync_catch_violations(NULL, NULL);
	rig_teardown(&rig);
}

static struct device *
find(const char *name)
{
	struct device *device = registry_find(rig.manager->registry, name);

	ck_assert_ptr_nonnull(device);
	return device;
}

/* ---- wait_nvdimm_bus_probe_idle ---- */

/* Puts the order back that the kernel had: the device stays locked. */
static bool is_reversed;

static void
settle_device(struct device *device)
{
	struct job_table *jobs = rig.manager->jobs;

	mutex_lock(&device->lock);
	if (!is_reversed)
		mutex_unlock(&device->lock);
	(void)job_settle(jobs, job_last_id(jobs), 0);
	if (is_reversed)
		mutex_unlock(&device->lock);
}

START_TEST(settle__with_a_device_locked_is_reported)
{
	struct device *device = find("b");

	is_reversed = _i != 0;
	settle_device(device);
	if (is_reversed) {
		/* The attach of one device is enough to know of all. */
		ck_assert_uint_ge(caught.count, 1);
		caught.count = 0;
	}
	ck_assert_quiet(&caught);
	device_unref(device);
}
END_TEST

START_TEST(settle__reversed_names_both_orders)
{
	struct device *device = find("a");
	struct job_table *jobs = rig.manager->jobs;

	mutex_lock_at(&device->lock, "P");
	sync_catch_violations(caught_first, &caught);
	(void)job_settle(jobs, job_last_id(jobs), 0);
	sync_catch_violations(caught_add, &caught);
	mutex_unlock(&device->lock);
	ck_assert_ptr_nonnull(
	    strstr(caught.last, "order: 'jobs-idle' waited for at"));
	ck_assert_ptr_nonnull(strstr(caught.last,
	    "after 'device' taken at P; the other way round before:"));
	ck_assert_ptr_nonnull(strstr(caught.last, "'jobs-idle' from "));
	ck_assert_ptr_nonnull(strstr(caught.last, ", then 'device' at "));
	caught.count = 0;
	device_unref(device);
}
END_TEST

/* ---- lane-stall ---- */

static bool
last_event(enum event_kind kind, struct event *ret_event)
{
	struct event event;
	uint64_t seq = 1, lost;
	bool found = false;

	while (event_read(rig.manager->events, &seq, &event, &lost)) {
		if (event.kind != kind)
			continue;
		*ret_event = event;
		found = true;
	}
	return found;
}

/* Two looks, ten seconds apart, by who holds nothing. */
static void *
look_twice(void *arg)
{
	struct event event;

	sync_watch_look(arg, 1000, 10000, stall_tell, rig.manager);
	ck_assert(!last_event(EVENT_LANE_STALL, &event));
	sync_watch_look(arg, 12000, 10000, stall_tell, rig.manager);
	return NULL;
}

START_TEST(stall__of_a_lane_is_an_event_of_its_device)
{
	struct device *device = find("b");
	struct sync_watch *watch;
	struct lane_span span;
	struct event event;
	char text[64];

	ck_assert_int_eq(sync_watch_new(&watch), 0);
	lane_span_enter_at(device->btt->lanes, 3, &span, "P");
	thread_run(look_twice, watch);
	lane_span_leave(&span);
	ck_assert(last_event(EVENT_LANE_STALL, &event));
	ck_assert_str_eq(event.device, "b");
	ck_assert_uint_eq(event.count, 11000);
	snprintf(text, sizeof(text), "lane 3 is held by thread %d for 11000 ms",
	    gettid());
	ck_assert_msg(strstr(event.text, text) == event.text, "%s", event.text);
	ck_assert_ptr_nonnull(strstr(event.text, ", taken at P"));
	sync_watch_free(watch);
	device_unref(device);
}
END_TEST

START_TEST(stall__of_no_device_is_an_event_all_the_same)
{
	const struct lock_class class = { "lane", 40, LOCK_WATCHED };
	const struct sync_stall stall = { &class, &rig, 0, 1, "P", 5000 };
	struct event event;

	stall_tell(rig.manager, &stall);
	ck_assert(last_event(EVENT_LANE_STALL, &event));
	ck_assert_str_eq(event.device, "");
	ck_assert_uint_eq(event.count, 5000);
}
END_TEST

static Suite *
manager_locks_suite(void)
{
	Suite *suite = suite_create("manager_locks");
	TCase *tcase = tcase_create("locks");

	/* Each test in its own process, since what is learned stays. */
	if (!check_forks())
		check_skip("one process would learn from all tests");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(
	    tcase, settle__with_a_device_locked_is_reported, 0, 2);
	tcase_add_test(tcase, settle__reversed_names_both_orders);
	tcase_add_test(tcase, stall__of_a_lane_is_an_event_of_its_device);
	tcase_add_test(tcase, stall__of_no_device_is_an_event_all_the_same);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return check_main(manager_locks_suite());
}

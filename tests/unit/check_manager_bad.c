/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * manager_bad -- scrubs and errands as jobs: one scrub a device, paced, stopped
 * by a cancel and by a detach, whatever hangs beside it; and events of bad
 * blocks in the order in which they came about.
 */
#include <errno.h>

#include <errand.h>
#include <manager_impl.h>
#include <scrub.h>

#include "../support/check_locks.h"
#include "../support/check_main.h"
#include "../support/hands.h"
#include "../support/manager_fixture.h"

#define FAST (UINT64_C(1) << 40)

static struct rig rig;
static struct btt_error error;

static void
setup(void)
{
	rig_setup(&rig, 2);
	rig_image(&rig, "vol");
	rig_attach(&rig, "vol");
}

static void
teardown(void)
{
	rig_teardown(&rig);
}

static struct job *
start(const char *name, uint64_t rate)
{
	const struct scrub_options options = { .rate = rate };
	struct manager_owner owner;
	struct job *job;
	int r;

	r = scrub_start(rig.manager, name, &options, &job, &owner, &error);
	ck_assert_msg(r == 0, "scrub_start: %d %s", r, error.text);
	return job;
}

static uint64_t
number_of(const struct job_info *info, const char *name)
{
	for (unsigned i = 0; i < info->nnumber; i++) {
		if (strcmp(info->number[i].name, name) == 0)
			return info->number[i].value;
	}
	ck_abort_msg("there is no number '%s'", name);
}

static struct job_info
inject(enum btt_area area, uint64_t first, uint64_t n, enum btt_inject how)
{
	const struct errand_inject options = {
		.area = area, .first = first, .count = n, .how = how
	};
	struct job *job;

	ck_assert_int_eq(
	    errand_inject(rig.manager, "vol", &options, &job, &error), 0);
	return rig_end(job);
}

static struct job_info
clear(uint64_t first, uint64_t count)
{
	const struct errand_clear options = { first, count };
	struct job *job;

	ck_assert_int_eq(
	    errand_clear(rig.manager, "vol", &options, &job, &error), 0);
	return rig_end(job);
}

START_TEST(scrub__finds_what_is_planted_and_tells)
{
	struct job_info info;

	ck_assert_int_eq(
	    inject(BTT_AREA_DATA, 3, 2, BTT_INJECT_LATENT).error, 0);
	ck_assert_int_eq(
	    inject(BTT_AREA_MAP, 1000, 1, BTT_INJECT_LATENT).error, 0);
	info = rig_end(start("vol", FAST));
	ck_assert_int_eq(info.state, JOB_DONE);
	ck_assert_uint_eq(number_of(&info, "unreadable"), 2 + 128);
	ck_assert_uint_eq(number_of(&info, "badblocks"), 17);
	ck_assert_uint_eq(number_of(&info, "metadata"), 1);
	ck_assert_uint_eq(info.done, info.total);
	ck_assert_uint_eq(rig_nevent(&rig, EVENT_SCRUB_STARTED), 1);
	ck_assert_uint_eq(rig_nevent(&rig, EVENT_SCRUB_FINISHED), 1);
	ck_assert_uint_eq(rig_nevent(&rig, EVENT_ARENA_ERROR), 1);
	ck_assert_uint_eq(rig_nevent(&rig, EVENT_BADBLOCK_ADDED), 2);

	info = clear(0, 0);
	ck_assert_int_eq(info.state, JOB_DONE);
	ck_assert_uint_eq(number_of(&info, "lost"), 130);
	ck_assert_uint_eq(number_of(&info, "sectors"), 130);
	ck_assert_uint_eq(number_of(&info, "map"), 1);
	ck_assert_uint_eq(number_of(&info, "left"), 0);
	ck_assert_uint_ge(rig_nevent(&rig, EVENT_BADBLOCK_CLEARED), 1);
}
END_TEST

START_TEST(scrub__is_one_a_device)
{
	const struct scrub_options options = { .rate = SCRUB_RATE_MIN };
	struct manager_owner owner;
	struct job *job, *other;

	job = start("vol", SCRUB_RATE_MIN);
	ck_assert_int_eq(
	    scrub_start(rig.manager, "vol", &options, &other, &owner, &error),
	    -EBUSY);
	ck_assert(owner.found);
	ck_assert_uint_eq(owner.job, job_id(job));
	ck_assert_int_eq(manager_cancel(rig.manager, job, &error), 0);
	ck_assert_int_eq(rig_end(job).state, JOB_CANCELLED);
	/* Who has waited for the end can begin the next. */
	ck_assert_int_eq(rig_end(start("vol", FAST)).state, JOB_DONE);
}
END_TEST

START_TEST(scrub__is_refused_for_a_reason)
{
	struct scrub_options options = { .rate = SCRUB_RATE_MIN - 1 };
	struct manager_owner owner;
	struct job *job;

	ck_assert_int_eq(
	    scrub_start(rig.manager, "vol", &options, &job, &owner, &error),
	    -EINVAL);
	options = (struct scrub_options){ .first = UINT64_C(1) << 40 };
	ck_assert_int_eq(
	    scrub_start(rig.manager, "vol", &options, &job, &owner, &error),
	    -ERANGE);
	options.first = 0;
	ck_assert_int_eq(
	    scrub_start(rig.manager, "none", &options, &job, &owner, &error),
	    -ENODEV);
	ck_assert_int_eq(
	    inject(BTT_AREA_DATA, 1 << 30, 1, BTT_INJECT).error, -ERANGE);
	ck_assert_int_eq(clear(1 << 30, 1).error, -ERANGE);
}
END_TEST

/* 3.5 MiB of the data at 4 MiB a second, in no less than 0.7 s. */
START_TEST(scrub__keeps_to_its_rate)
{
	const struct scrub_options options = { .rate = 4 << 20, .count = 896 };
	struct manager_owner owner;
	struct job_info info;
	struct job *job;

	ck_assert_int_eq(
	    scrub_start(rig.manager, "vol", &options, &job, &owner, &error), 0);
	info = rig_end(job);
	ck_assert_int_eq(info.state, JOB_DONE);
	ck_assert_uint_ge(info.age_ms, 700);
	ck_assert_uint_eq(number_of(&info, "sectors"), 896);
}
END_TEST

START_TEST(detach__ends_a_scrub)
{
	struct job_info info;
	struct job *job;

	job = start("vol", SCRUB_RATE_MIN);
	ck_assert_int_eq(rig_detach(&rig, "vol", false).state, JOB_DONE);
	info = rig_end(job);
	ck_assert_int_eq(info.state, JOB_CANCELLED);
	ck_assert_ptr_nonnull(strstr(info.message, "ended by a detach"));
	/* And nothing of it is in the way of the next life. */
	rig_attach(&rig, "vol");
	ck_assert_int_eq(rig_end(start("vol", FAST)).state, JOB_DONE);
}
END_TEST

START_TEST(attach__can_begin_a_scrub)
{
	struct device_options options;
	char path[RIG_PATH_BYTES];
	struct device *device;
	struct job *job;

	rig_image(&rig, "other");
	rig_options(&rig, "other", path, &options);
	options.scrub = true;
	ck_assert_int_eq(rig_attach_with(&rig, &options).state, JOB_DONE);
	/* Who has waited for the attach finds it. */
	device = registry_find(rig.manager->registry, "other");
	job = scrub_last_job(device);
	device_unref(device);
	ck_assert_ptr_nonnull(job);
	ck_assert_int_eq(manager_cancel(rig.manager, job, &error), 0);
	ck_assert_int_eq(rig_end(job).state, JOB_CANCELLED);
}
END_TEST

/* What ends with the daemon does not hold it up, nor is it used after that. */
START_TEST(stop__ends_all_scrubs)
{
	char name[8];

	for (unsigned i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "disk%u", i);
		rig_image(&rig, name);
		rig_attach(&rig, name);
		job_unref(start(name, SCRUB_RATE_MIN << i));
	}
	/* teardown stops. */
}
END_TEST

/* More scrubs than threads and workers: all come to their end. */
START_TEST(scrub__of_many_devices_goes_side_by_side)
{
	struct job *jobs[12];
	char name[8];

	for (unsigned i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "disk%u", i);
		rig_image(&rig, name);
		rig_attach(&rig, name);
		jobs[i] = start(name, 64 << 20);
	}
	for (unsigned i = 0; i < 12; i++)
		ck_assert_int_eq(rig_end(jobs[i]).state, JOB_DONE);
	ck_assert_uint_eq(rig_nevent(&rig, EVENT_SCRUB_FINISHED), 12);
}
END_TEST

/* Several hands: attach, detach, scrub, plant, clear, cancel. */
static void
one_thing(unsigned what)
{
	const struct scrub_options options = { .rate = FAST };
	const struct errand_inject plant = { .area = BTT_AREA_DATA,
		.first = what % 100,
		.count = 3,
		.how = what % 3 == 0 ? BTT_INJECT_LATENT : BTT_INJECT };
	const struct errand_clear all = { 0, 0 };
	struct btt_error own = { "" };
	struct manager_owner owner;
	struct job *job = NULL;
	int r;

	switch (what % 5) {
	case 0:
	case 1:
		r = scrub_start(
		    rig.manager, "vol", &options, &job, &owner, &own);
		break;
	case 2:
		r = errand_clear(rig.manager, "vol", &all, &job, &own);
		break;
	default:
		r = errand_inject(rig.manager, "vol", &plant, &job, &own);
		break;
	}
	if (r < 0)
		return;
	if (what % 7 == 0)
		(void)!manager_cancel(rig.manager, job, &own);
	(void)job_wait(job, RIG_WAIT_MS);
	job_unref(job);
}

static void *
do_things(void *arg)
{
	struct hands *hands = arg;

	for (unsigned i = hands->index; hands_go_on(hands); i += 3)
		one_thing(i);
	return NULL;
}

START_TEST(errands__go_with_devices_that_come_and_go)
{
	struct hands hands[3];
	unsigned before;

	before = rig_nfd();
	hands_start(hands, 3, 0, do_things);
	for (unsigned i = 0; i < 30; i++) {
		manager_sleep_ms(10);
		(void)rig_detach(&rig, "vol", true);
		rig_attach(&rig, "vol");
	}
	hands_stop(hands, 3);
	ck_assert_uint_eq(rig_nfd(), before);
	ck_assert_int_eq(rig_end(start("vol", FAST)).state, JOB_DONE);
}
END_TEST

static Suite *
manager_bad_suite(void)
{
	Suite *suite = suite_create("manager_bad");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, scrub__finds_what_is_planted_and_tells);
	tcase_add_test(tc, scrub__is_one_a_device);
	tcase_add_test(tc, scrub__is_refused_for_a_reason);
	tcase_add_test(tc, scrub__keeps_to_its_rate);
	tcase_add_test(tc, detach__ends_a_scrub);
	tcase_add_test(tc, attach__can_begin_a_scrub);
	tcase_add_test(tc, stop__ends_all_scrubs);
	tcase_add_test(tc, scrub__of_many_devices_goes_side_by_side);
	tcase_add_test(tc, errands__go_with_devices_that_come_and_go);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(manager_bad_suite());
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Waiting for idle takes part in the order of locks (CP-15, LK-8 of
 * control-plane.md): what the work locks may not be held by who waits for it.
 */
#include <lanes/idle.h>

#include "support/check_main.h"
#include "support/held_fixture.h"

static const struct lock_class probe_class = { "probe-idle", 0, LOCK_IDLE };
static const struct lock_class ops_class = { "ops-idle", 0, LOCK_IDLE };

static struct idle probes;    /* of the daemon */
static struct idle ops, ops2; /* of two devices */

static void
setup(void)
{
	held_setup();
	idle_init(&probes, &probe_class);
	idle_init(&ops, &ops_class);
	idle_init(&ops2, &ops_class);
}

/* ---- What may be held: LK-8 ---- */

START_TEST(idle_wait__with_nothing_held_is_quiet)
{
	for (unsigned i = 0; i < 1000; i++) {
		idle_wait(&probes);
		mutex_lock(&dev);
		mutex_unlock(&dev);
		idle_wait(&ops);
	}
}
END_TEST

START_TEST(idle_wait__under_a_lock_is_reported)
{
	mutex_lock_at(&dev, "P");
	idle_wait_at(&probes, "Q");
	ck_assert_reported(
	    &caught, "wait: for 'probe-idle' at Q with 'dev' held, taken at P");
	mutex_unlock(&dev);
}
END_TEST

START_TEST(idle_wait__by_who_is_waited_for_is_reported)
{
	idle_enter_at(&ops, "P");
	idle_wait_at(&ops, "Q");
	ck_assert_reported(
	    &caught, "wait: for 'ops-idle' at Q by whom it waits for, since P");
	idle_leave(&ops);
	idle_wait(&ops);
}
END_TEST

/* Two devices, each with a request that waits for the other to be idle. */
START_TEST(idle_wait__for_another_of_its_class_is_reported)
{
	idle_enter_at(&ops, "P");
	idle_wait_at(&ops2, "Q");
	ck_assert_reported(&caught,
	    "class: 'ops-idle' locked at Q with another of its class held, "
	    "taken at P");
	idle_leave(&ops);
}
END_TEST

/* ---- Order: waits are locks ---- */

static void
probe(void)
{
	idle_enter_at(&probes, "P");
	mutex_lock_at(&dev, "Q");
	mutex_unlock(&dev);
	idle_leave(&probes);
}

static void
wait_under_dev(void)
{
	mutex_lock_at(&dev2, "R");
	idle_wait_at(&probes, "S");
	mutex_unlock(&dev2);
}

/* The kernel's deadlock of control-plane.md A.6, without it happening. */
START_TEST(idle_wait__under_what_a_probe_takes_is_a_cycle)
{
	probe();
	ck_assert_quiet(&caught);
	wait_under_dev();
	ck_assert_reported(&caught,
	    "order: 'probe-idle' waited for at S after 'dev' taken at R; "
	    "the other way round before:"
	    "\n  'probe-idle' from P on, then 'dev' at Q"
	    "\n  held: 'dev' (rank 20) taken at R\n");
}
END_TEST

START_TEST(idle_wait__the_cycle_is_found_from_either_side)
{
	wait_under_dev();
	ck_assert_reported(&caught, "wait: for 'probe-idle' at S");
	probe();
	ck_assert_reported(&caught,
	    "order: 'dev' waited for at Q after 'probe-idle' taken at P; "
	    "the other way round before:"
	    "\n  'dev' from R on, then 'probe-idle' at S");
}
END_TEST

/* Neither has a lock: a request that settles, and a probe that drains. */
START_TEST(idle_wait__of_two_kinds_of_work_for_each_other_is_a_cycle)
{
	idle_enter_at(&ops, "P");
	idle_wait_at(&probes, "Q");
	idle_leave(&ops);
	ck_assert_quiet(&caught);
	idle_enter_at(&probes, "R");
	idle_wait_at(&ops2, "S");
	ck_assert_reported(&caught,
	    "order: 'ops-idle' waited for at S after 'probe-idle' taken at R; "
	    "the other way round before:"
	    "\n  'ops-idle' from P on, then 'probe-idle' at Q");
	idle_leave(&probes);
}
END_TEST

START_TEST(idle_wait__a_cycle_through_a_lock_in_between_is_reported)
{
	/* Work that takes dev; under dev, work that is waited for by that. */
	probe();
	idle_enter_at(&ops, "T");
	idle_wait_at(&probes, "U");
	idle_leave(&ops);
	ck_assert_quiet(&caught);
	mutex_lock_at(&dev, "V");
	idle_wait_at(&ops, "W");
	ck_assert_reported(&caught,
	    "order: 'ops-idle' waited for at W after 'dev' taken at V; "
	    "the other way round before:"
	    "\n  'ops-idle' from T on, then 'probe-idle' at U"
	    "\n  'probe-idle' from P on, then 'dev' at Q");
	mutex_unlock(&dev);
}
END_TEST

/* ---- What counted work may do ---- */

START_TEST(idle_enter__is_no_lock)
{
	struct cond cond;

	cond_init(&cond);
	idle_enter(&ops);
	sync_may_sleep("A");
	sync_assert_none_held("reply");
	mutex_lock(&dev);
	mutex_lock(&lane);
	mutex_lock(&event);
	mutex_unlock(&event);
	mutex_unlock(&lane);
	ck_assert(!cond_wait_ms(&cond, &dev, 1));
	mutex_unlock(&dev);
	idle_leave(&ops);
	cond_fini(&cond);
}
END_TEST

/* Admission under the lock of the registry, and even under a leaf. */
START_TEST(idle_enter__may_be_done_under_any_lock)
{
	mutex_lock(&registry);
	mutex_lock(&event);
	idle_enter(&ops);
	mutex_unlock(&event);
	mutex_unlock(&registry);
	mutex_lock(&dev);
	mutex_unlock(&dev);
	idle_leave(&ops);
	ck_assert_quiet(&caught);
}
END_TEST

START_TEST(idle_enter__nests)
{
	idle_enter(&probes);
	idle_enter(&ops);
	idle_enter(&ops2);
	idle_leave(&ops);
	idle_leave(&probes);
	idle_leave(&ops2);
	ck_assert_quiet(&caught);
	sync_assert_at_rest("A");
}
END_TEST

START_TEST(sync_assert_at_rest__reports_work)
{
	idle_enter_at(&ops, "P");
	sync_assert_at_rest("Q");
	ck_assert_reported(&caught,
	    "rest: at Q nothing may be under way, but 'ops-idle' from P is");
	idle_leave(&ops);
	sync_assert_at_rest("R");
}
END_TEST

static NO_TSA void *
end_at_work(void *arg)
{
	caught_start(arg);
	idle_enter_at(&ops, "P");
	return NULL;
}

START_TEST(thread_exit__at_work_is_reported)
{
	struct caught theirs;

	thread_run(end_at_work, &theirs);
	ck_assert_reported(&theirs, "exit: the thread ends with 1 lock");
	ck_assert_ptr_nonnull(
	    strstr(theirs.last, "\n  held: 'ops-idle' taken at P\n"));
}
END_TEST

START_TEST(idle_leave__without_enter_is_reported)
{
	idle_leave_at(&ops, "P");
	ck_assert_reported(
	    &caught, "release: 'ops-idle' left at P, but not entered");
	idle_enter(&ops);
	idle_leave_at(&ops2, "Q");
	ck_assert_reported(
	    &caught, "release: 'ops-idle' left at Q, but not entered");
	idle_leave(&ops);
}
END_TEST

/* Work that a thread does before it ever took a lock counts too. */
static void *
work_first(void *arg)
{
	caught_start(arg);
	idle_enter_at(&ops, "P");
	idle_wait_at(&ops, "Q");
	idle_leave(&ops);
	return NULL;
}

START_TEST(idle_enter__as_the_first_of_a_thread)
{
	struct caught theirs;

	thread_run(work_first, &theirs);
	ck_assert_reported(&theirs, "wait: for 'ops-idle' at Q");
}
END_TEST

/* ---- A daemon in small: settle during attaches ---- */

/*
 * Puts the order back that the kernel had before its fix: settle then keeps
 * the device locked while it waits.
 */
static bool is_reversed;

struct daemon {
	struct mutex count_lock; /* of class event */
	struct cond none;
	unsigned nprobe; /* [count_lock] */
};

static void
count_probe(struct daemon *daemon, int by)
{
	mutex_lock(&daemon->count_lock);
	daemon->nprobe += (unsigned)by;
	if (daemon->nprobe == 0)
		cond_broadcast(&daemon->none);
	mutex_unlock(&daemon->count_lock);
}

static void
attach(struct daemon *daemon)
{
	count_probe(daemon, 1);
	idle_enter(&probes);
	mutex_lock(&dev);
	mutex_unlock(&dev);
	idle_leave(&probes);
	count_probe(daemon, -1);
}

static void *
attach_often(void *arg)
{
	for (unsigned i = 0; i < 200; i++)
		attach(arg);
	return NULL;
}

static void
settle(struct daemon *daemon)
{
	mutex_lock(&dev);
	if (!is_reversed)
		mutex_unlock(&dev);
	idle_wait(&probes);
	/* Reversed it would be the deadlock: it is told before it is had. */
	if (is_reversed) {
		mutex_unlock(&dev);
		return;
	}
	mutex_lock(&daemon->count_lock);
	while (daemon->nprobe > 0)
		cond_wait(&daemon->none, &daemon->count_lock);
	mutex_unlock(&daemon->count_lock);
}

START_TEST(settle__reversed_is_reported_each_time)
{
	struct daemon daemon = { .nprobe = 0 };
	pthread_t thread[2];

	is_reversed = _i != 0;
	mutex_init(&daemon.count_lock, &event_class);
	cond_init(&daemon.none);
	/* One probe, long ago, is enough to know. */
	attach(&daemon);
	for (unsigned i = 0; i < 2; i++)
		thread[i] = thread_start(attach_often, &daemon);
	for (unsigned i = 0; i < 100; i++)
		settle(&daemon);
	for (unsigned i = 0; i < 2; i++)
		thread_end(thread[i]);
	ck_assert_uint_eq(caught.count, is_reversed ? 100 : 0);
	if (is_reversed)
		ck_assert_ptr_nonnull(
		    strstr(caught.last, "order: 'probe-idle' waited for at"));
	caught.count = 0;
	cond_fini(&daemon.none);
	mutex_fini(&daemon.count_lock);
}
END_TEST

static Suite *
idle_suite(void)
{
	static const TTest *const *const tests[] = {
		&idle_wait__with_nothing_held_is_quiet,
		&idle_wait__under_a_lock_is_reported,
		&idle_wait__by_who_is_waited_for_is_reported,
		&idle_wait__for_another_of_its_class_is_reported,
		&idle_wait__under_what_a_probe_takes_is_a_cycle,
		&idle_wait__the_cycle_is_found_from_either_side,
		&idle_wait__of_two_kinds_of_work_for_each_other_is_a_cycle,
		&idle_wait__a_cycle_through_a_lock_in_between_is_reported,
		&idle_enter__is_no_lock,
		&idle_enter__may_be_done_under_any_lock,
		&idle_enter__nests,
		&sync_assert_at_rest__reports_work,
		&thread_exit__at_work_is_reported,
		&idle_leave__without_enter_is_reported,
		&idle_enter__as_the_first_of_a_thread,
	};
	Suite *suite = suite_create("idle");
	TCase *tcase = tcase_create("waits");

	/* Each test in its own process, since the graph is the process's. */
	if (!check_forks())
		check_skip("one process would learn from all tests");
	tcase_add_checked_fixture(tcase, setup, held_teardown);
	tcase_set_timeout(tcase, 60);
	for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tcase, *tests[i]);
	tcase_add_loop_test(
	    tcase, settle__reversed_is_reported_each_time, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return check_main(idle_suite());
}

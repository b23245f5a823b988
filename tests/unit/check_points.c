/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The points where locks are not to be held, or not these: replies, the end
 * of a thread, sleeping, waiting, destruction (control-plane.md E.4).
 */
#include <lanes/sync.h>

#include "support/check_main.h"
#include "support/held_fixture.h"

/* ---- Nothing held: LK-6, LN-5 ---- */

START_TEST(sync_assert_none_held__reports_what_is)
{
	sync_assert_none_held("A");
	ck_assert_quiet(&caught);
	mutex_lock_at(&lane, "B");
	sync_assert_none_held("reply");
	ck_assert_reported(
	    &caught, "held: at reply nothing may be, but 'lane' taken at B is");
	mutex_unlock(&lane);
	sync_assert_none_held("C");
}
END_TEST

static void *
end_holding(void *arg)
{
	caught_start(arg);
	mutex_lock_at(&registry, "A");
	return NULL;
}

START_TEST(thread_exit__holding_a_lock_is_reported)
{
	struct caught theirs;

	thread_run(end_holding, &theirs);
	ck_assert_reported(&theirs, "exit: the thread ends with 1 lock");
	ck_assert_ptr_nonnull(
	    strstr(theirs.last, "\n  held: 'registry' (rank 30) taken at A\n"));
}
END_TEST

static void *
end_clean(void *arg)
{
	caught_start(arg);
	mutex_lock(&registry);
	mutex_unlock(&registry);
	return NULL;
}

START_TEST(thread_exit__holding_nothing_is_quiet)
{
	struct caught theirs;

	thread_run(end_clean, &theirs);
	ck_assert_quiet(&theirs);
}
END_TEST

static pthread_key_t late_key;

static void
lock_late(void *arg)
{
	(void)arg;
	mutex_lock_at(&registry, "late");
}

static void *
end_late(void *arg)
{
	caught_start(arg);
	mutex_lock(&lane);
	mutex_unlock(&lane);
	pthread_setspecific(late_key, arg);
	return NULL;
}

/* Another destructor may run after ours, and lock. */
START_TEST(thread_exit__sees_locks_of_other_destructors)
{
	struct caught theirs;

	/* Our key exists already, so this one is destroyed after it. */
	mutex_lock(&lane);
	mutex_unlock(&lane);
	ck_assert_int_eq(pthread_key_create(&late_key, lock_late), 0);
	thread_run(end_late, &theirs);
	ck_assert_reported(&theirs, "exit: the thread ends with 1 lock");
}
END_TEST

static void *
never_lock(void *arg)
{
	(void)arg;
	sync_assert_none_held("A");
	sync_may_sleep("A");
	return held_self()->unheld == 0 ? &dev : NULL;
}

static void *
lock_once(void *arg)
{
	(void)arg;
	mutex_lock(&dev);
	mutex_unlock(&dev);
	return held_self()->unheld == HELD_NOTHING ? &dev : NULL;
}

/* The first lock registers the end of the thread, nothing else does. */
START_TEST(thread_exit__is_watched_after_the_first_lock_only)
{
	ck_assert_ptr_nonnull(thread_run(never_lock, NULL));
	ck_assert_ptr_nonnull(thread_run(lock_once, NULL));
}
END_TEST

/* ---- Sleeping: LK-7 ---- */

START_TEST(sync_may_sleep__with_a_class_that_must_not_is_reported)
{
	mutex_lock_at(&dev, "A");
	mutex_lock_at(&registry, "B");
	mutex_lock_at(&lane, "C");
	sync_may_sleep("pwrite");
	ck_assert_reported(
	    &caught, "sleep: at pwrite with 'registry' taken at B");
	mutex_unlock(&lane);
	mutex_unlock(&registry);
	mutex_unlock(&dev);
}
END_TEST

START_TEST(sync_may_sleep__with_classes_that_may_is_quiet)
{
	sync_may_sleep("A");
	mutex_lock(&dev);
	mutex_lock(&lane);
	sync_may_sleep("B");
	mutex_unlock(&lane);
	mutex_unlock(&dev);
}
END_TEST

/* ---- Conditions: LK-8, CP-16 ---- */

START_TEST(cond_wait__with_another_lock_is_reported)
{
	struct cond cond;

	cond_init(&cond);
	mutex_lock_at(&dev, "A");
	mutex_lock_at(&event, "B");
	ck_assert(!cond_wait_ms_at(&cond, &event, 1, "C"));
	ck_assert_reported(
	    &caught, "wait: on 'event' at C with 'dev' held, taken at A");
	mutex_unlock(&event);
	mutex_unlock(&dev);
	cond_fini(&cond);
}
END_TEST

START_TEST(cond_wait__with_a_newer_lock_is_reported)
{
	struct cond cond;

	cond_init(&cond);
	mutex_lock_at(&dev, "A");
	mutex_lock_at(&event, "B");
	ck_assert(!cond_wait_ms_at(&cond, &dev, 1, "C"));
	ck_assert_reported(
	    &caught, "wait: on 'dev' at C with 'event' held, taken at B");
	mutex_unlock(&event);
	mutex_unlock(&dev);
	cond_fini(&cond);
}
END_TEST

START_TEST(cond_wait__without_its_mutex_is_reported)
{
	struct cond cond;

	cond_init(&cond);
	/* It returns at once: without the mutex there is no waiting. */
	cond_wait_at(&cond, &dev, "A");
	ck_assert_reported(
	    &caught, "'dev' waited with at A, but nobody holds it");
	ck_assert(!cond_wait_ms_at(&cond, &dev, 60000, "B"));
	ck_assert_reported(&caught, "'dev' waited with at B");
	mutex_lock_at(&lane, "C");
	cond_wait_at(&cond, &dev, "D");
	ck_assert_reported(&caught, "'dev' waited with at D");
	mutex_unlock(&lane);
	cond_fini(&cond);
}
END_TEST

START_TEST(cond_wait__after_recursion_is_reported)
{
	struct cond cond;

	cond_init(&cond);
	mutex_lock_at(&dev, "A");
	mutex_lock_at(&dev, "B");
	ck_assert_reported(&caught, "recursion");
	ck_assert(!cond_wait_ms_at(&cond, &dev, 1, "C"));
	ck_assert_reported(&caught, "wait: on 'dev' at C");
	mutex_unlock(&dev);
	mutex_unlock(&dev);
	cond_fini(&cond);
}
END_TEST

struct probes {
	struct mutex lock; /* of class event: taken last */
	struct cond idle;
	unsigned nactive; /* [lock] */
	thread_note note; /* set before the waiter sleeps */
};

static void *
finish_probe(void *arg)
{
	struct probes *probes = arg;

	thread_wait_asleep(&probes->note);
	/* The probe wants the device: a barrier is a lock. */
	mutex_lock(&dev);
	mutex_unlock(&dev);
	mutex_lock(&probes->lock);
	probes->nactive--;
	cond_broadcast(&probes->idle);
	mutex_unlock(&probes->lock);
	return NULL;
}

/* wait_nvdimm_bus_probe_idle() before its fix: sleeps with dev held. */
START_TEST(cond_wait__for_probes_under_dev_is_reported)
{
	struct probes probes = { .nactive = 1 };

	mutex_init(&probes.lock, &event_class);
	cond_init(&probes.idle);
	mutex_lock_at(&dev, "A");
	mutex_lock_at(&probes.lock, "B");
	/* One wait only, cut short: for good it would be the deadlock. */
	ck_assert(!cond_wait_ms_at(&probes.idle, &probes.lock, 1, "C"));
	ck_assert_reported(
	    &caught, "wait: on 'event' at C with 'dev' held, taken at A");
	mutex_unlock(&probes.lock);
	mutex_unlock(&dev);
	cond_fini(&probes.idle);
	mutex_fini(&probes.lock);
}
END_TEST

/* And after it: everything is dropped first. */
START_TEST(cond_wait__for_probes_with_nothing_held_is_quiet)
{
	struct probes probes = { .nactive = 1 };
	pthread_t probe;

	mutex_init(&probes.lock, &event_class);
	cond_init(&probes.idle);
	probe = thread_start(finish_probe, &probes);
	mutex_lock(&dev);
	mutex_unlock(&dev);
	mutex_lock(&probes.lock);
	thread_note_self(&probes.note);
	while (probes.nactive > 0)
		cond_wait(&probes.idle, &probes.lock);
	mutex_unlock(&probes.lock);
	thread_end(probe);
	cond_fini(&probes.idle);
	mutex_fini(&probes.lock);
}
END_TEST

START_TEST(cond_wait__owns_the_mutex_again_from_there)
{
	struct cond cond;

	cond_init(&cond);
	mutex_lock_at(&dev, "A");
	ck_assert(!cond_wait_ms_at(&cond, &dev, 1, "B"));
	mutex_assert_held(&dev);
	ck_assert(!mutex_is_free(&dev));
	ck_assert_quiet(&caught);
	mutex_lock_at(&dev2, "C");
	ck_assert_reported(
	    &caught, "with another of its class held, taken at B");
	mutex_unlock(&dev2);
	mutex_unlock(&dev);
	cond_fini(&cond);
}
END_TEST

/* ---- Destruction: LK-10 ---- */

START_TEST(mutex_fini__of_a_held_one_is_reported_and_refused)
{
	mutex_lock_at(&dev, "A");
	mutex_fini_at(&dev, "B");
	ck_assert_reported(
	    &caught, "destroy: 'dev' at B, but it is held, taken at A");
	mutex_assert_held(&dev);
	mutex_unlock(&dev);
}
END_TEST

static void *
destroy(void *mutex)
{
	static struct caught theirs;

	caught_start(&theirs);
	mutex_fini_at((struct mutex *)mutex, "B");
	return &theirs;
}

START_TEST(mutex_fini__of_anothers_is_reported)
{
	struct caught *theirs;

	mutex_lock_at(&dev, "A");
	theirs = thread_run(destroy, &dev);
	ck_assert_reported(theirs, "destroy: 'dev' at B");
	mutex_unlock(&dev);
}
END_TEST

static Suite *
points_suite(void)
{
	static const TTest *const *const tests[] = {
		&sync_assert_none_held__reports_what_is,
		&thread_exit__holding_a_lock_is_reported,
		&thread_exit__holding_nothing_is_quiet,
		&thread_exit__sees_locks_of_other_destructors,
		&thread_exit__is_watched_after_the_first_lock_only,
		&sync_may_sleep__with_a_class_that_must_not_is_reported,
		&sync_may_sleep__with_classes_that_may_is_quiet,
		&cond_wait__with_another_lock_is_reported,
		&cond_wait__with_a_newer_lock_is_reported,
		&cond_wait__without_its_mutex_is_reported,
		&cond_wait__after_recursion_is_reported,
		&cond_wait__for_probes_under_dev_is_reported,
		&cond_wait__for_probes_with_nothing_held_is_quiet,
		&cond_wait__owns_the_mutex_again_from_there,
		&mutex_fini__of_a_held_one_is_reported_and_refused,
		&mutex_fini__of_anothers_is_reported,
	};
	Suite *suite = suite_create("points");
	TCase *tcase = tcase_create("rules");

	tcase_add_checked_fixture(tcase, held_setup, held_teardown);
	tcase_set_timeout(tcase, 30);
	for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tcase, *tests[i]);
	suite_add_tcase(suite, tcase);

	return suite;
}

int
main(void)
{
	return check_main(points_suite());
}

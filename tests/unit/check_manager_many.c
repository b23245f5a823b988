/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * manager -- devices come and go by several hands at once, and each time it is
 * clear who did it, and nothing is left.  Those tests bear the names of the
 * fixes to libnvdimm whose bugs they look for here (control-plane.md A).
 */
#include <errno.h>
#include <pthread.h>

#include "../support/check_locks.h"
#include "../support/check_main.h"
#include "../support/manager_fixture.h"

#define NTHREAD 8u

static struct rig rig;

static void
setup(void)
{
	rig_setup(&rig, 2);
}

static void
teardown(void)
{
	rig_teardown(&rig);
}

/* Several hands that reach for one device. */
struct hands {
	pthread_barrier_t start;
	_Atomic unsigned nwon;
	_Atomic uint64_t job;
	_Atomic unsigned nother; /* that were told another job */
};

static void *
detach_vol(void *arg)
{
	const struct manager_detach_options options = { .force = true };
	struct hands *hands = arg;
	struct btt_error error = { "" };
	uint64_t none = 0, id;
	struct job_info info;
	struct job *job;
	bool won;
	int r;

	(void)pthread_barrier_wait(&hands->start);
	r = manager_detach(rig.manager, "vol", &options, &job, &won, &error);
	if (r == -ENODEV)
		return NULL; /* it was over already */
	ck_assert_int_eq(r, 0);
	id = job_id(job);
	info = rig_end(job);
	ck_assert_int_eq(info.state, JOB_DONE);
	atomic_fetch_add(&hands->nwon, won);
	if (!atomic_compare_exchange_strong(&hands->job, &none, id) &&
	    none != id)
		atomic_fetch_add(&hands->nother, 1);
	/* Whoever won, it is gone by now (CP-4). */
	ck_assert(!rig_knows(&rig, "vol"));
	return NULL;
}

static void
detach_by_many(void)
{
	struct hands hands = { 0 };
	pthread_t threads[NTHREAD];
	unsigned i;

	ck_assert_int_eq(pthread_barrier_init(&hands.start, NULL, NTHREAD), 0);
	for (i = 0; i < NTHREAD; i++)
		threads[i] = thread_start(detach_vol, &hands);
	for (i = 0; i < NTHREAD; i++)
		thread_end(threads[i]);
	pthread_barrier_destroy(&hands.start);
	ck_assert_uint_eq(atomic_load(&hands.nwon), 1);
	ck_assert_uint_eq(atomic_load(&hands.nother), 0);
}

/* One does it, the others wait until he has, and are told so. */
START_TEST(kill_device__has_one_winner)
{
	unsigned before, i;

	rig_image(&rig, "vol");
	before = rig_nfd();
	for (i = 1; i <= 50; i++) {
		rig_attach(&rig, "vol");
		detach_by_many();
		ck_assert_uint_eq(rig_nfd(), before);
	}
	ck_assert_uint_eq(rig_nevent(&rig, EVENT_ATTACHED), i - 1);
	ck_assert_uint_eq(rig_nevent(&rig, EVENT_DETACHED), i - 1);
}
END_TEST

static void *
stop_manager(void *arg)
{
	struct hands *hands = arg;

	(void)pthread_barrier_wait(&hands->start);
	ck_assert_int_eq(manager_stop(rig.manager, NULL, NULL), 0);
	return NULL;
}

/*
 * By command, by the daemon's end, by a probe that fails or is refused at that
 * moment: a device is closed once, and a second manager finds it free.
 */
START_TEST(no_duplicate_unregister)
{
	static const char *const stages[] = { NULL, "claim", "recover",
		"show" };
	struct btt_error error = { "" };
	struct device_options options;
	struct manager_owner owner;
	char path[RIG_PATH_BYTES];
	pthread_t threads[NTHREAD];
	struct hands hands = { 0 };
	struct job *job;
	unsigned i;

	rig_image(&rig, "vol");
	rig_options(&rig, "vol", path, &options);
	options.trial.stage = stages[_i % 4];
	options.trial.delay_ms = _i < 4 ? 0 : 20;
	options.trial.error = _i % 2 == 0 ? 0 : -EIO;
	ck_assert_int_eq(
	    manager_attach(rig.manager, &options, &job, &owner, &error), 0);
	ck_assert_int_eq(pthread_barrier_init(&hands.start, NULL, NTHREAD), 0);
	for (i = 0; i < NTHREAD; i++)
		threads[i] =
		    thread_start(i < 6 ? detach_vol : stop_manager, &hands);
	for (i = 0; i < NTHREAD; i++)
		thread_end(threads[i]);
	pthread_barrier_destroy(&hands.start);
	(void)rig_end(job);
	ck_assert_uint_le(atomic_load(&hands.nwon), 1);
	ck_assert_uint_eq(atomic_load(&hands.nother), 0);
	ck_assert(!rig_knows(&rig, "vol"));
	ck_assert_uint_eq(rig_nevent(&rig, EVENT_DETACHED), 1);
}
END_TEST

/*
 * T-A3: a bad range that was known before is known to the first reader: nobody
 * gets in between, however long loading it takes.
 */
START_TEST(badblocks_before_namespaces)
{
	struct btt_error error = { "" };
	struct tree *tree = rig.manager->tree;
	struct device_options options;
	struct manager_owner owner;
	char path[RIG_PATH_BYTES];
	uint8_t sector[RIG_SECTOR];
	struct device *device;
	struct job *job;

	rig_image(&rig, "vol");
	rig_options(&rig, "vol", path, &options);
	options.trial.stage = "badblocks";
	options.trial.delay_ms = 100;
	/* The first sector's block of an empty BTT; see btt-format.md 1.4. */
	options.trial.bad_off = 8192;
	options.trial.bad_len = 512;
	ck_assert_int_eq(
	    manager_attach(rig.manager, &options, &job, &owner, &error), 0);
	/* No file, but the number that it is going to have. */
	do {
		device = tree_enter(tree, 0, TREE_ROOT_ID + 1, "READ");
	} while (device == NULL);
	ck_assert_int_eq(
	    btt_read(device->btt, btt_worker_pool_get(rig.manager->pool, 0), 0,
		sizeof(sector), sector),
	    -EIO);
	tree_leave(tree, 0);
	ck_assert_int_eq(rig_end(job).error, 0);
}
END_TEST

/* One is stuck: the others come and go as if it were not there. */
START_TEST(list_mutex_not_held_over_ioctl)
{
	struct registry_list list;
	struct job_info *infos;
	struct job *stuck;
	size_t n;

	stuck = rig_begin_slow(&rig, "stuck", "open", RIG_WAIT_MS);
	rig_image(&rig, "vol");
	rig_attach(&rig, "vol");
	ck_assert_int_eq(rig_status(&rig, "stuck").state, DEVICE_PROBING);
	ck_assert_int_eq(registry_list(rig.manager->registry, &list), 0);
	ck_assert_uint_eq(list.ndevice, 2);
	registry_list_fini(&list);
	ck_assert_int_eq(job_list(rig.manager->jobs, &infos, &n), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_int_eq(infos[0].state, JOB_RUNNING);
	ck_assert_str_eq(infos[0].stage, "open");
	free(infos);
	ck_assert_int_eq(rig_detach(&rig, "vol", false).error, 0);
	ck_assert_int_eq(rig_detach(&rig, "stuck", false).error, 0);
	ck_assert_int_eq(rig_end(stuck).state, JOB_CANCELLED);
}
END_TEST

/* All threads are stuck: then there are more. */
START_TEST(workqueue_relieve__outnumbers_who_is_stuck)
{
	enum {
		NSTUCK = 12
	};
	struct btt_error error = { "" };
	struct device_options options;
	struct manager_owner owner;
	char path[RIG_PATH_BYTES], name[16];
	struct job *stuck[NSTUCK], *job;
	unsigned i;

	for (i = 0; i < NSTUCK; i++) {
		snprintf(name, sizeof(name), "stuck%u", i);
		stuck[i] = rig_begin_slow(&rig, name, "open", RIG_WAIT_MS);
	}
	rig_image(&rig, "vol");
	rig_options(&rig, "vol", path, &options);
	ck_assert_int_eq(
	    manager_attach(rig.manager, &options, &job, &owner, &error), 0);
	ck_assert(!job_wait(job, 50));
	for (i = 0; i < 100 && !job_wait(job, 20); i++)
		workqueue_relieve(rig.manager->queue);
	ck_assert_int_eq(rig_end(job).error, 0);
	for (i = 0; i < NSTUCK; i++) {
		snprintf(name, sizeof(name), "stuck%u", i);
		ck_assert_int_eq(rig_detach(&rig, name, false).error, 0);
		(void)rig_end(stuck[i]);
	}
}
END_TEST

/* T-A8: what was begun before has ended, what is begun after may not have. */
START_TEST(job_settle__waits_for_what_was_begun_before)
{
	struct job_table *jobs = rig.manager->jobs;
	struct job_info info;
	struct job *first, *second;
	uint64_t up_to;

	first = rig_begin_slow(&rig, "one", "recover", 1000);
	up_to = job_last_id(jobs);
	second = rig_begin_slow(&rig, "two", "recover", RIG_WAIT_MS);
	ck_assert(!job_settle(jobs, up_to, 20));
	ck_assert(job_settle(jobs, up_to, RIG_WAIT_MS));
	job_get_info(first, &info);
	ck_assert_int_eq(info.state, JOB_DONE);
	ck_assert(!job_is_settled(jobs, job_last_id(jobs)));
	(void)rig_detach(&rig, "two", false);
	(void)rig_end(first);
	ck_assert_int_eq(rig_end(second).state, JOB_CANCELLED);
}
END_TEST

/*
 * T-A6: a thread that holds the device waits for its probe, whose last step
 * needs the device.  It would wait for ever, so the validator must speak up
 * before; run by itself, once, it does.
 */
START_TEST(wait_probe_idle_abba)
{
	struct device *device;
	struct caught caught;
	struct job *job;

	job = rig_begin_slow(&rig, "vol", "recover", 100);
	device = registry_find(rig.manager->registry, "vol");
	ck_assert_ptr_nonnull(device);
	/* The right order: a reference is no lock. */
	caught_start(&caught);
	ck_assert(!job_settle(rig.manager->jobs, job_id(job), 10));
	ck_assert_quiet(&caught);
	/* The wrong one. */
	mutex_lock(&device->lock);
	(void)job_settle(rig.manager->jobs, job_id(job), 1);
	mutex_unlock(&device->lock);
	sync_catch_violations(NULL, NULL);
	ck_assert_uint_gt(caught.count, 0);
	ck_assert_ptr_nonnull(strstr(caught.last, "'device'"));
	device_unref(device);
	ck_assert_int_eq(rig_end(job).error, 0);
}
END_TEST

/* T-A2: names that come and go while they are listed: always a whole device. */
static void *
come_and_go(void *arg)
{
	const char *name = arg;
	unsigned i;

	for (i = 0; i < 30; i++) {
		rig_attach(&rig, name);
		ck_assert_int_eq(rig_detach(&rig, name, false).error, 0);
	}
	return NULL;
}

START_TEST(list__shows_nothing_half_made)
{
	static char names[][8] = { "one", "two", "three", "four" };
	struct device_status status;
	struct registry_list list;
	pthread_t threads[4];
	unsigned i, round;

	for (i = 0; i < 4; i++)
		rig_image(&rig, names[i]);
	for (i = 0; i < 4; i++)
		threads[i] = thread_start(come_and_go, names[i]);
	for (round = 0; round < 2000; round++) {
		ck_assert_int_eq(
		    registry_list(rig.manager->registry, &list), 0);
		for (i = 0; i < list.ndevice; i++) {
			device_get_status(list.devices[i], &status);
			ck_assert_uint_gt(status.generation, 0);
			ck_assert_uint_gt(status.job, 0);
			if (status.state != DEVICE_LIVE)
				continue;
			ck_assert(status.has_geometry);
			ck_assert_uint_gt(status.nodeid, TREE_ROOT_ID);
			ck_assert_uint_gt(status.geometry.size_bytes, 0);
		}
		registry_list_fini(&list);
	}
	for (i = 0; i < 4; i++)
		thread_end(threads[i]);
}
END_TEST

/* A case of its own name, by which ctest runs it alone (daemon.cmake). */
static void
add_case(Suite *suite, const char *name, const TTest *test, int n)
{
	TCase *tcase;

	tcase = tcase_create(name);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 100);
	tcase_add_loop_test(tcase, test, 0, n);
	suite_add_tcase(suite, tcase);
}

int
main(void)
{
	Suite *suite;

	suite = suite_create("manager_many");
	add_case(suite, "kill_device", kill_device__has_one_winner, 1);
	add_case(suite, "no_duplicate_unregister", no_duplicate_unregister, 8);
	add_case(suite, "badblocks_before_namespaces",
	    badblocks_before_namespaces, 1);
	add_case(suite, "list_mutex_not_held_over_ioctl",
	    list_mutex_not_held_over_ioctl, 1);
	add_case(suite, "wait_probe_idle_abba", wait_probe_idle_abba, 1);
	add_case(
	    suite, "workqueue", workqueue_relieve__outnumbers_who_is_stuck, 1);
	add_case(
	    suite, "settle", job_settle__waits_for_what_was_begun_before, 1);
	add_case(suite, "list", list__shows_nothing_half_made, 1);
	return check_main(suite);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * manager -- devices come and go, wait for who uses them, and fail without a
 * trace.
 */
#include <errno.h>
#include <fcntl.h>

#include "../support/check_locks.h"
#include "../support/check_main.h"
#include "../support/manager_fixture.h"

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

START_TEST(attach__shows_and_detach__hides)
{
	uint64_t nodeid;
	unsigned before;

	rig_image(&rig, "vol");
	before = rig_nfd();
	rig_attach(&rig, "vol");
	ck_assert_int_eq(rig_status(&rig, "vol").state, DEVICE_LIVE);
	nodeid = rig_status(&rig, "vol").nodeid;
	ck_assert_uint_eq(nodeid, TREE_ROOT_ID + 1);
	ck_assert_ptr_nonnull(tree_enter(rig.manager->tree, 0, nodeid, "READ"));
	tree_leave(rig.manager->tree, 0);

	ck_assert_int_eq(rig_detach(&rig, "vol", false).state, JOB_DONE);
	ck_assert(!rig_knows(&rig, "vol"));
	ck_assert_ptr_null(tree_enter(rig.manager->tree, 0, nodeid, "READ"));
	ck_assert_ptr_null(tree_find(rig.manager->tree, nodeid));
	ck_assert_uint_eq(rig_nfd(), before);
	ck_assert_uint_eq(rig_nevent(&rig, EVENT_ATTACHING), 1);
	ck_assert_uint_eq(rig_nevent(&rig, EVENT_ATTACHED), 1);
	ck_assert_uint_eq(rig_nevent(&rig, EVENT_DETACHING), 1);
	ck_assert_uint_eq(rig_nevent(&rig, EVENT_DETACHED), 1);
	ck_assert_uint_eq(rig_nevent(&rig, EVENT_JOB_FINISHED), 2);
}
END_TEST

/* What the kernel remembers of the old file must not lead to the new one. */
START_TEST(attach__of_an_old_name_is_a_new_file)
{
	uint64_t first, second;

	rig_image(&rig, "vol");
	rig_attach(&rig, "vol");
	first = rig_status(&rig, "vol").nodeid;
	(void)rig_detach(&rig, "vol", false);
	rig_attach(&rig, "vol");
	second = rig_status(&rig, "vol").nodeid;
	ck_assert_uint_ne(first, second);
	ck_assert_ptr_null(tree_enter(rig.manager->tree, 0, first, "READ"));
	ck_assert_ptr_nonnull(tree_enter(rig.manager->tree, 0, second, "READ"));
	tree_leave(rig.manager->tree, 0);
}
END_TEST

START_TEST(attach__is_refused_while_the_name_is_taken)
{
	struct btt_error error = { "" };
	struct device_options options;
	struct manager_owner owner;
	char path[RIG_PATH_BYTES];
	struct job *job;

	rig_image(&rig, "vol");
	rig_image(&rig, "other");
	rig_attach(&rig, "vol");
	rig_options(&rig, "other", path, &options);
	options.name = "vol";
	ck_assert_int_eq(
	    manager_attach(rig.manager, &options, &job, &owner, &error),
	    -EEXIST);
	ck_assert(owner.found);
	ck_assert_str_eq(owner.device, "vol");
	ck_assert_int_eq(owner.state, DEVICE_LIVE);
	ck_assert_uint_eq(owner.job, rig_status(&rig, "vol").job);
	ck_assert_ptr_nonnull(strstr(error.text, "'vol'"));
}
END_TEST

/* A name is reserved from the first moment on, long before there is a file. */
START_TEST(attach__reserves_the_name_at_once)
{
	struct btt_error error = { "" };
	struct device_options options;
	struct manager_owner owner;
	char path[RIG_PATH_BYTES];
	struct job *job, *other;

	job = rig_begin_slow(&rig, "vol", "find", 200);
	rig_options(&rig, "vol", path, &options);
	ck_assert_int_eq(
	    manager_attach(rig.manager, &options, &other, &owner, &error),
	    -EEXIST);
	ck_assert_int_eq(owner.state, DEVICE_PROBING);
	ck_assert_uint_eq(owner.job, job_id(job));
	ck_assert_int_eq(rig_end(job).error, 0);
}
END_TEST

/* Neither the same file nor a copy of it, and nothing is left of the try. */
START_TEST(attach__is_refused_while_the_backing_is_taken)
{
	char path[RIG_PATH_BYTES], copy[RIG_PATH_BYTES], command[256];
	struct device_options options;
	struct job_info info;
	uint64_t owner;

	rig_image(&rig, "vol");
	rig_attach(&rig, "vol");
	owner = rig_status(&rig, "vol").job;

	rig_options(&rig, "vol", path, &options);
	options.name = "again";
	info = rig_attach_with(&rig, &options);
	ck_assert_int_eq(info.error, -EBUSY);
	ck_assert_uint_eq(info.owner, owner);
	ck_assert_ptr_nonnull(strstr(info.message, "'vol'"));
	ck_assert(!rig_knows(&rig, "again"));

	rig_options(&rig, "copy", copy, &options);
	snprintf(command, sizeof(command), "cp %s %s", path, copy);
	ck_assert_int_eq(system(command), 0);
	info = rig_attach_with(&rig, &options);
	ck_assert_int_eq(info.error, -EEXIST);
	ck_assert_uint_eq(info.owner, owner);
	ck_assert_ptr_nonnull(strstr(info.message, "UUID"));
	ck_assert(!rig_knows(&rig, "copy"));

	/* Once it is gone both may have it, one after the other. */
	(void)rig_detach(&rig, "vol", false);
	rig_attach(&rig, "copy");
	(void)rig_detach(&rig, "copy", false);
	rig_attach(&rig, "vol");
}
END_TEST

/* CP-8: what has failed is seen, holds nothing, and makes room for a retry. */
START_TEST(attach__that_fails_leaves_a_reason_only)
{
	static const char *const stages[] = { "find", "claim", "open",
		"badblocks", "identify", "recover", "show" };
	struct device_options options;
	struct device_status status;
	char path[RIG_PATH_BYTES];
	struct job_info info;
	unsigned before;

	rig_image(&rig, "vol");
	rig_options(&rig, "vol", path, &options);
	options.trial.stage = stages[_i];
	options.trial.error = -EIO;
	before = rig_nfd();
	info = rig_attach_with(&rig, &options);
	ck_assert_int_eq(info.error, -EIO);
	ck_assert_int_eq(info.state, JOB_FAILED);
	ck_assert_str_eq(info.stage, stages[_i]);
	status = rig_status(&rig, "vol");
	ck_assert_int_eq(status.state, DEVICE_FAILED);
	ck_assert_int_eq(status.error, -EIO);
	ck_assert_str_eq(status.stage, stages[_i]);
	ck_assert_str_ne(status.reason.text, "");
	ck_assert_uint_eq(status.nodeid, 0);
	ck_assert_uint_eq(rig_nfd(), before);

	rig_attach(&rig, "vol");
	ck_assert_uint_gt(rig_status(&rig, "vol").job, info.id);
	ck_assert_int_eq(rig_detach(&rig, "vol", false).error, 0);
}
END_TEST

START_TEST(detach__of_a_failed_device_forgets_it)
{
	struct device_options options;
	char path[RIG_PATH_BYTES];

	rig_options(&rig, "none", path, &options);
	ck_assert_int_eq(rig_attach_with(&rig, &options).error, -ENOENT);
	ck_assert(rig_knows(&rig, "none"));
	ck_assert_int_eq(rig_detach(&rig, "none", false).error, 0);
	ck_assert(!rig_knows(&rig, "none"));
}
END_TEST

/* A.9, rule 4: detach of a device that is being probed is its cancellation. */
START_TEST(detach__while_probing_cancels)
{
	static const char *const stages[] = { "find", "recover", "show" };
	struct job_info attach, detach;
	unsigned before;
	struct job *job;

	before = rig_nfd();
	job = rig_begin_slow(&rig, "vol", stages[_i], RIG_WAIT_MS);
	detach = rig_detach(&rig, "vol", false);
	ck_assert_int_eq(detach.state, JOB_DONE);
	attach = rig_end(job);
	ck_assert_int_eq(attach.state, JOB_CANCELLED);
	ck_assert(!rig_knows(&rig, "vol"));
	ck_assert_uint_eq(rig_nfd(), before);
	ck_assert_uint_eq(rig_nevent(&rig, EVENT_ATTACHED), 0);
	ck_assert_uint_eq(rig_nevent(&rig, EVENT_DETACHED), 1);
	rig_attach(&rig, "vol");
}
END_TEST

START_TEST(detach__of_an_open_device_needs_force)
{
	const struct manager_detach_options options = { .force = false };
	struct btt_error error = { "" };
	struct device *device;
	struct job *job;
	bool won;

	rig_image(&rig, "vol");
	rig_attach(&rig, "vol");
	device = registry_find(rig.manager->registry, "vol");
	ck_assert_int_eq(device_open_handle(device, true), 0);
	ck_assert_int_eq(device_open_handle(device, false), 0);
	ck_assert_int_eq(
	    manager_detach(rig.manager, "vol", &options, &job, &won, &error),
	    -EBUSY);
	ck_assert_ptr_nonnull(strstr(error.text, "2 open handles"));
	ck_assert_int_eq(rig_status(&rig, "vol").state, DEVICE_LIVE);

	ck_assert_int_eq(rig_detach(&rig, "vol", true).state, JOB_DONE);
	ck_assert_int_eq(device_open_handle(device, false), -ENODEV);
	device_close_handle(device);
	device_close_handle(device);
	device_unref(device);
}
END_TEST

/* A request that takes as long as it is told to. */
struct request {
	uint64_t nodeid;
	_Atomic bool inside, leave;
	int r; /* what reading its device says before it leaves */
};

static void *
serve_request(void *arg)
{
	struct request *request = arg;
	struct tree *tree = rig.manager->tree;
	uint8_t sector[RIG_SECTOR];
	struct device *device;

	device = tree_enter(tree, 0, request->nodeid, "READ");
	ck_assert_ptr_nonnull(device);
	atomic_store(&request->inside, true);
	while (!atomic_load(&request->leave))
		usleep(1000);
	request->r =
	    btt_read(device->btt, btt_worker_pool_get(rig.manager->pool, 0), 0,
		sizeof(sector), sector);
	tree_leave(tree, 0);
	return NULL;
}

/* Who is inside when a device goes ends what he does; nobody else comes in. */
START_TEST(detach__waits_for_who_is_inside)
{
	const struct manager_detach_options options = { .force = true };
	struct tree *tree = rig.manager->tree;
	struct request request = { .r = -1 };
	struct btt_error error = { "" };
	struct job_info info;
	pthread_t thread;
	struct job *job;
	bool won;

	rig_image(&rig, "vol");
	rig_attach(&rig, "vol");
	request.nodeid = rig_status(&rig, "vol").nodeid;
	thread = thread_start(serve_request, &request);
	while (!atomic_load(&request.inside))
		usleep(1000);
	ck_assert_int_eq(
	    manager_detach(rig.manager, "vol", &options, &job, &won, &error),
	    0);
	ck_assert(won);
	ck_assert(!job_wait(job, 100));
	job_get_info(job, &info);
	ck_assert_str_eq(info.stage, "drain");
	ck_assert_ptr_null(tree_enter(tree, 1, request.nodeid, "WRITE"));
	ck_assert_int_eq(rig_status(&rig, "vol").state, DEVICE_DRAINING);
	atomic_store(&request.leave, true);
	thread_end(thread);
	ck_assert_int_eq(request.r, 0);
	ck_assert_int_eq(rig_end(job).state, JOB_DONE);
}
END_TEST

/* Wait for the end of a destruction that must begin. */
static struct job_info
destroy_device(const char *name, bool force)
{
	const struct manager_detach_options options = {
		.force = force,
		.wipe = true,
	};
	struct btt_error error = { "" };
	struct job *job;
	bool won;
	int r;

	r = manager_detach(rig.manager, name, &options, &job, &won, &error);
	ck_assert_msg(r == 0, "manager_detach: %s", error.text);
	ck_assert(won);
	return rig_end(job);
}

static void
refuse_destroy(const char *name, int code, const char *why)
{
	const struct manager_detach_options options = { .wipe = true };
	struct btt_error error = { "" };
	struct job *job;
	bool won;

	ck_assert_int_eq(
	    manager_detach(rig.manager, name, &options, &job, &won, &error),
	    code);
	ck_assert_ptr_nonnull(strstr(error.text, why));
}

START_TEST(destroy__leaves_no_btt)
{
	struct device_options options;
	char path[RIG_PATH_BYTES];
	struct job_info info;

	rig_image(&rig, "vol");
	rig_attach(&rig, "vol");
	info = destroy_device("vol", false);
	ck_assert_int_eq(info.verb, JOB_DESTROY);
	ck_assert_int_eq(info.state, JOB_DONE);
	ck_assert(!rig_knows(&rig, "vol"));
	ck_assert_uint_eq(rig_nevent(&rig, EVENT_DETACHED), 1);

	rig_options(&rig, "vol", path, &options);
	info = rig_attach_with(&rig, &options);
	ck_assert_int_eq(info.error, -EMEDIUMTYPE);
	ck_assert_str_eq(info.stage, "identify");
	refuse_destroy("vol", -EINVAL, "it is failed");
}
END_TEST

START_TEST(destroy__is_refused_where_it_would_surprise)
{
	struct device_options options;
	char path[RIG_PATH_BYTES];
	struct device *device;

	rig_image(&rig, "vol");
	rig_options(&rig, "vol", path, &options);
	options.read_only = true;
	ck_assert_int_eq(rig_attach_with(&rig, &options).error, 0);
	refuse_destroy("vol", -EROFS, "for reading only");
	refuse_destroy("none", -ENODEV, "no device named");
	ck_assert_int_eq(rig_detach(&rig, "vol", false).error, 0);

	rig_attach(&rig, "vol");
	device = registry_find(rig.manager->registry, "vol");
	ck_assert_int_eq(device_open_handle(device, true), 0);
	refuse_destroy("vol", -EBUSY, "1 open handle");
	ck_assert_int_eq(rig_status(&rig, "vol").state, DEVICE_LIVE);
	ck_assert_int_eq(destroy_device("vol", true).error, 0);
	device_close_handle(device);
	device_unref(device);
}
END_TEST

/* The path leads to another file by now: that one is not touched. */
START_TEST(destroy__takes_no_other_file)
{
	char path[RIG_PATH_BYTES], other[RIG_PATH_BYTES];
	struct job_info info;

	rig_image(&rig, "vol");
	rig_image(&rig, "other");
	rig_attach(&rig, "vol");
	rig_path(&rig, "vol", path);
	rig_path(&rig, "other", other);
	ck_assert_int_eq(rename(other, path), 0);
	info = destroy_device("vol", false);
	ck_assert_int_eq(info.error, -ESTALE);
	ck_assert_str_eq(info.stage, "wipe");
	ck_assert(!rig_knows(&rig, "vol"));
	rig_attach(&rig, "vol");
}
END_TEST

/* What the daemon was given it can open again, whatever its path has become. */
START_TEST(destroy__takes_the_descriptor_it_was_given)
{
	char path[RIG_PATH_BYTES], moved[RIG_PATH_BYTES];
	struct device_options options;
	unsigned before;

	rig_image(&rig, "vol");
	rig_image(&rig, "other");
	rig_options(&rig, "vol", path, &options);
	rig_path(&rig, "moved", moved);
	before = rig_nfd();
	options.fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(options.fd, 0);
	ck_assert_int_eq(rig_attach_with(&rig, &options).error, 0);
	ck_assert_int_eq(rename(path, moved), 0);
	ck_assert_int_eq(destroy_device("vol", false).error, 0);
	ck_assert_uint_eq(rig_nfd(), before);
	rig_options(&rig, "moved", path, &options);
	ck_assert_int_eq(rig_attach_with(&rig, &options).error, -EMEDIUMTYPE);
}
END_TEST

/* Who detaches does not destroy, whoever else would like to. */
START_TEST(destroy__loses_to_a_detach)
{
	const struct manager_detach_options options = { .force = false };
	struct btt_error error;
	struct device *device;
	struct job *job;
	bool won;

	rig_image(&rig, "vol");
	rig_attach(&rig, "vol");
	device = registry_find(rig.manager->registry, "vol");
	ck_assert(device_pin(device));
	ck_assert_int_eq(
	    manager_detach(rig.manager, "vol", &options, &job, &won, &error),
	    0);
	refuse_destroy("vol", -EBUSY, "somebody else is detaching it");
	device_unpin(device);
	device_unref(device);
	ck_assert_int_eq(rig_end(job).error, 0);
	rig_attach(&rig, "vol");
}
END_TEST

/* The memory goes with the last reference, and ours is the last one. */
START_TEST(detach__leaves_no_reference)
{
	struct device_options options;
	char path[RIG_PATH_BYTES];
	struct device *device;
	unsigned i;

	rig_image(&rig, "vol");
	for (i = 0; i < 3; i++) {
		rig_options(&rig, "vol", path, &options);
		/* Detached after it was shown, has failed, or is replaced. */
		options.trial.stage = i == 0 ? NULL : "show";
		options.trial.error = -EIO;
		(void)rig_attach_with(&rig, &options);
		device = registry_find(rig.manager->registry, "vol");
		ck_assert_ptr_nonnull(device);
		if (i == 2)
			rig_attach(&rig, "vol");
		(void)rig_detach(&rig, "vol", false);
		/* The job drops its own after it has told its end. */
		while (atomic_load(&device->nref) > 1)
			usleep(1000);
		ck_assert_uint_eq(atomic_load(&device->nref), 1);
		device_unref(device);
	}
}
END_TEST

START_TEST(stop__refuses_what_comes_after)
{
	struct btt_error error = { "" };
	struct device_options options;
	struct manager_owner owner;
	char path[RIG_PATH_BYTES];
	struct job *job;

	rig_image(&rig, "vol");
	rig_attach(&rig, "vol");
	ck_assert_int_eq(manager_stop(rig.manager, NULL, NULL), 0);
	ck_assert(!rig_knows(&rig, "vol"));
	rig_options(&rig, "vol", path, &options);
	ck_assert_int_eq(
	    manager_attach(rig.manager, &options, &job, &owner, &error),
	    -ESHUTDOWN);
	ck_assert(!rig_knows(&rig, "vol"));
}
END_TEST

static void
add_case(Suite *suite, const char *name, const TTest *const *tests)
{
	TCase *tcase;

	tcase = tcase_create(name);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 100);
	for (; *tests != NULL; tests++)
		tcase_add_test(tcase, *tests);
	suite_add_tcase(suite, tcase);
}

static void
add_loop(Suite *suite, const char *name, const TTest *test, int n)
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
	const TTest *const alone[] = { attach__shows_and_detach__hides,
		attach__of_an_old_name_is_a_new_file,
		attach__is_refused_while_the_name_is_taken,
		attach__reserves_the_name_at_once,
		attach__is_refused_while_the_backing_is_taken,
		detach__of_a_failed_device_forgets_it,
		detach__of_an_open_device_needs_force,
		detach__waits_for_who_is_inside, detach__leaves_no_reference,
		destroy__leaves_no_btt,
		destroy__is_refused_where_it_would_surprise,
		destroy__takes_no_other_file,
		destroy__takes_the_descriptor_it_was_given,
		destroy__loses_to_a_detach, stop__refuses_what_comes_after,
		NULL };
	Suite *suite;

	suite = suite_create("manager");
	add_case(suite, "alone", alone);
	add_loop(suite, "fail", attach__that_fails_leaves_a_reason_only, 7);
	add_loop(suite, "cancel", detach__while_probing_cancels, 3);
	return check_main(suite);
}

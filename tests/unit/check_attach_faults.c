/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * attach_faults -- T-A7: each allocation and each call of the system and of a
 * library on the way from wanting a device to showing it fails in turn, and
 * nothing is left but a device that says why, which can be attached again.
 */
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <device_kept.h>
#include <keeper_client.h>

#include "support/check_locks.h"
#include "support/check_main.h"
#include "support/fault.h"
#include "support/manager_fixture.h"

/* More calls than a probe makes. */
#define NTURN_MAX 2000u

static struct rig rig;

/* A job's own calls count, as do those of whoever asks for it. */
void __real_job_work_begin(struct job_table *table);
void __real_job_work_end(struct job_table *table);
void __wrap_job_work_begin(struct job_table *table);
void __wrap_job_work_end(struct job_table *table);

void
__wrap_job_work_begin(struct job_table *table)
{
	__real_job_work_begin(table);
	fault_enter();
}

void
__wrap_job_work_end(struct job_table *table)
{
	fault_leave();
	__real_job_work_end(table);
}

/* --- A keeper that keeps, so that keeping can fail --- */

static struct keeper_client *client;
static pthread_t keeper_thread;
static int keeper_socket, other_socket;
static struct kept_fds kept;

static void *
keep(void *arg)
{
	struct link_message message;
	int fd, r;

	(void)arg;
	while (link_receive(keeper_socket, &message, &fd) == 0) {
		r = 0;
		if (message.kind == LINK_KEEP)
			r = kept_fds_put(&kept, message.text, fd);
		else if (message.kind == LINK_DROP)
			kept_fds_drop(&kept, message.text);
		(void)link_send(keeper_socket, LINK_DONE, r, NULL, -1);
	}
	return NULL;
}

static void
start_keeper(void)
{
	int ask[2], notice[2];

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ask), 0);
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, notice), 0);
	keeper_socket = ask[0];
	other_socket = notice[0];
	ck_assert_int_eq(
	    link_send(keeper_socket, LINK_BEGIN, LINK_VERSION, "0", -1), 0);
	ck_assert_int_eq(keeper_client_new(ask[1], notice[1], &client), 0);
	ck_assert_int_eq(pthread_create(&keeper_thread, NULL, keep, NULL), 0);
}

static void
stop_keeper(void)
{
	keeper_client_free(client);
	ck_assert_int_eq(pthread_join(keeper_thread, NULL), 0);
	kept_fds_fini(&kept);
	(void)close(keeper_socket);
	(void)close(other_socket);
}

/* --- Attaching --- */

/* A known bad range, so that noting it can fail; it lies in no metadata. */
static void
options_of(char path[RIG_PATH_BYTES], struct device_options *ret_options)
{
	rig_options(&rig, "vol", path, ret_options);
	ret_options->trial.bad_off = 8 << 20;
	ret_options->trial.bad_len = 512;
}

/* 0, or why not; a job's record tells the rest. */
static int
attach(struct job_info *ret_info)
{
	struct device_options options;
	struct btt_error error = { "" };
	struct manager_owner owner;
	char path[RIG_PATH_BYTES];
	struct job *job;
	int r;

	options_of(path, &options);
	memset(ret_info, 0, sizeof(*ret_info));
	fault_enter();
	r = manager_attach(rig.manager, &options, &job, &owner, &error);
	fault_leave();
	if (r < 0) {
		ck_assert_int_eq(r, -ENOMEM);
		ck_assert(!owner.found && error.text[0] != '\0');
		return r;
	}
	*ret_info = rig_end(job);
	return ret_info->error;
}

static void
check_failed(const struct job_info *info, const char *call)
{
	struct device_status status = rig_status(&rig, "vol");

	ck_assert_msg(status.state == DEVICE_FAILED, "%s fails, and it is %s",
	    call, device_state_name(status.state));
	ck_assert_int_eq(status.error, info->error);
	ck_assert_str_ne(status.reason.text, "");
	ck_assert_ptr_nonnull(status.stage);
	ck_assert_uint_eq(status.nodeid, 0);
}

/* Has such an event happened lately? */
static bool
has_happened(enum event_kind kind)
{
	struct event event;
	uint64_t seq = 1, lost;

	while (event_read(rig.manager->events, &seq, &event, &lost)) {
		if (event.kind == kind)
			return true;
	}
	return false;
}

/* The device is gone: is everything as it was? */
static void
check_nothing_left(const char *call, unsigned nfd, long nalloc)
{
	/* The last reference goes when a thread returns from a piece of work. */
	for (unsigned i = 0; i < 5000 && fault_nalloc() > nalloc; i++)
		(void)usleep(1000);
	ck_assert_msg(fault_nalloc() == nalloc, "%s: %ld allocations, not %ld",
	    call, fault_nalloc(), nalloc);
	ck_assert_msg(rig_nfd() == nfd, "%s: %u descriptors, not %u", call,
	    rig_nfd(), nfd);
	ck_assert_msg(kept.n == 0, "%s: something is kept", call);
}

/*
 * Jobs that have ended stay to be looked at, up to a number: so many that their
 * memory is no more growth.
 */
static void
fill_history(void)
{
	struct job_info info;

	for (unsigned i = 0; i < 200; i++) {
		ck_assert_int_eq(attach(&info), 0);
		ck_assert_int_eq(rig_detach(&rig, "vol", false).error, 0);
	}
}

/* The map entry of the first sector, as it was before that was written. */
static void
unfinish_write(void)
{
	uint8_t block[BTT_INFO_BYTES];
	static const uint8_t entry[4];
	char path[RIG_PATH_BYTES];
	struct btt_info info;
	int fd;

	rig_path(&rig, "vol", path);
	ck_assert_int_ge(fd = open(path, O_RDWR | O_CLOEXEC), 0);
	ck_assert_int_eq(
	    pread(fd, block, sizeof(block), BTT_V11_OFFSET), sizeof(block));
	ck_assert_int_eq(btt_info_decode(block, &info), BTT_INFO_VALID);
	ck_assert_int_eq(pwrite(fd, entry, sizeof(entry),
			     (off_t)(BTT_V11_OFFSET + info.mapoff)),
	    sizeof(entry));
	ck_assert_int_eq(close(fd), 0);
}

static void
write_sector(void)
{
	struct btt_worker *worker;
	uint8_t sector[RIG_SECTOR] = { 1 };
	struct device *device;
	struct job_info info;

	ck_assert_int_eq(attach(&info), 0);
	device = registry_find(rig.manager->registry, "vol");
	ck_assert(device_pin(device));
	worker = btt_worker_pool_get(rig.manager->pool, 0);
	ck_assert_int_eq(
	    btt_write(device->btt, worker, 0, sizeof(sector), sector), 0);
	device_unpin(device);
	device_unref(device);
	ck_assert_int_eq(rig_detach(&rig, "vol", false).error, 0);
}

/* Both without and with a write that a crash has cut short. */
START_TEST(attach__leaves_nothing_whichever_call_fails)
{
	const bool recovers = _i == 1;
	unsigned nfatal = 0, nborne = 0, nfd;
	unsigned long turn;
	struct job_info info;
	const char *call;
	long nalloc;
	int r;

	rig_image(&rig, "vol");
	fill_history();
	if (recovers)
		write_sector();
	(void)usleep(200000); /* for the last reference, as below */
	nalloc = fault_nalloc();
	nfd = rig_nfd();
	for (turn = 1; turn < NTURN_MAX; turn++) {
		if (recovers)
			unfinish_write();
		fault_arm(turn);
		r = attach(&info);
		call = fault_fired();
		fault_arm(0);
		if (call == NULL)
			break;
		if (info.id == 0) {
			ck_assert(!rig_knows(&rig, "vol"));
			nfatal++;
		} else if (r < 0) {
			check_failed(&info, call);
			nfatal++;
		} else
			nborne++;
		if (r == 0)
			ck_assert_int_eq(
			    rig_detach(&rig, "vol", false).error, 0);
		/* One that has failed makes room. */
		ck_assert_msg(
		    attach(&info) == 0, "after %s: %s", call, info.message);
		ck_assert_int_eq(rig_detach(&rig, "vol", false).error, 0);
		check_nothing_left(call, nfd, nalloc);
	}
	ck_assert_int_eq(r, 0);
	ck_assert(!recovers || has_happened(EVENT_ARENA_RECOVERED));
	ck_assert_uint_lt(turn, NTURN_MAX);
	printf("%lu calls, of which %u are fatal and %u are not\n", turn - 1,
	    nfatal, nborne);
	ck_assert_uint_gt(nfatal, 30);
}
END_TEST

static void
setup(void)
{
	start_keeper();
	rig_setup(&rig, 2);
	manager_set_keeper(rig.manager, client, 0);
}

static void
teardown(void)
{
	rig_teardown(&rig);
	stop_keeper();
}

int
main(void)
{
	Suite *suite;
	TCase *tcase;

	suite = suite_create("attach_faults");
	tcase = tcase_create("attach");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 110);
	tcase_add_loop_test(
	    tcase, attach__leaves_nothing_whichever_call_fails, 0, 2);
	suite_add_tcase(suite, tcase);
	return check_main(suite);
}

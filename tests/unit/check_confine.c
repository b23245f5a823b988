/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A confined process keeps what a server needs and has nothing else (B34): each
 * claim in a process of its own, since there is no way back.
 */
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "confine.h"
#include "support/check_main.h"

/* How a child ends that does nothing else than this; -1: confined by nobody. */
static int
status_of(enum confine how, int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (confine(how) < 0)
			_exit(100);
		_exit(fn());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static bool
is_denied(long result)
{
	return result == -1 && errno == ENOSYS;
}

static int
try_what_is_denied(void)
{
	char *const args[] = { NULL };
	pid_t child;

	if (!is_denied(socket(AF_UNIX, SOCK_STREAM, 0)))
		return 1;
	if (!is_denied(execve("/bin/true", args, args)))
		return 2;
	if (!is_denied(mount("none", "/", "tmpfs", MS_REMOUNT, NULL)))
		return 3;
	if (!is_denied(ptrace(PTRACE_TRACEME, 0, NULL, NULL)))
		return 4;
	/* The C library takes clone() where there is no clone3(). */
	if ((child = fork()) == 0)
		_exit(0);
	return is_denied(child) ? 0 : 5;
}

static void *
thread_main(void *arg)
{
	return arg;
}

static int
try_what_is_needed(void)
{
	static char there;
	pthread_t thread;
	void *back;
	int fd;

	if (pthread_create(&thread, NULL, thread_main, &there) != 0 ||
	    pthread_join(thread, &back) != 0 || back != &there)
		return 1;
	if ((fd = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0 ||
	    write(fd, "", 1) != 1 || close(fd) != 0)
		return 2;
	/* No program that it might get to start would gain anything. */
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 3;
}

static int
open_a_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) < 0;
}

static _Atomic int stage;

static void *
call_when_told(void *arg)
{
	while (stage == 0)
		(void)usleep(1000);
	*(bool *)arg = is_denied(socket(AF_UNIX, SOCK_STREAM, 0));
	return NULL;
}

START_TEST(confine__denies_what_a_server_does_not_do)
{
	ck_assert_int_eq(status_of(CONFINE_DENY, try_what_is_denied), 0);
}
END_TEST

START_TEST(confine__leaves_what_a_server_does)
{
	ck_assert_int_eq(status_of(CONFINE_DENY, try_what_is_needed), 0);
	ck_assert_int_eq(status_of(CONFINE_KILL, try_what_is_needed), 0);
}
END_TEST

START_TEST(confine__kills_if_told_to)
{
	int status = status_of(CONFINE_KILL, open_a_socket);

	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGSYS);
}
END_TEST

/* In a process of its own, as all tests are. */
START_TEST(confine__holds_for_threads_from_before)
{
	bool denied = false;
	pthread_t thread;

	ck_assert_int_eq(
	    pthread_create(&thread, NULL, call_when_told, &denied), 0);
	ck_assert_int_eq(confine(CONFINE_DENY), 0);
	stage = 1;
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert(denied);
}
END_TEST

START_TEST(confine__is_not_done_if_told_not_to)
{
	ck_assert_int_eq(confine(CONFINE_NO), -ECANCELED);
	ck_assert(!is_denied(socket(AF_UNIX, SOCK_STREAM, 0)));
}
END_TEST

int
main(void)
{
	Suite *suite;
	TCase *tcase;

	if (confine(CONFINE_NO) == -ENOTSUP) {
		(void)puts("sanitizers need all system calls");
		return 77;
	}
	suite = suite_create("confine");
	tcase = tcase_create("confine");
	tcase_add_test(tcase, confine__denies_what_a_server_does_not_do);
	tcase_add_test(tcase, confine__leaves_what_a_server_does);
	tcase_add_test(tcase, confine__kills_if_told_to);
	tcase_add_test(tcase, confine__holds_for_threads_from_before);
	tcase_add_test(tcase, confine__is_not_done_if_told_not_to);
	suite_add_tcase(suite, tcase);
	return check_main(suite);
}

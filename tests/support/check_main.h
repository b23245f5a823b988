/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_CHECK_MAIN_H
#define TESTS_SUPPORT_CHECK_MAIN_H

/*
 * check_main -- the main of every Check program.
 *
 * CK_FORK=no runs the tests in one process, for debuggers; CK_RUN_SUITE,
 * CK_RUN_CASE and CK_VERBOSITY are Check's own.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <fcntl.h>
#include <lanes/sync.h>
#include <unistd.h>

/* ctest reads it as "skipped". */
#define CHECK_SKIPPED 77

/* A prerequisite is missing: the whole program is skipped, and says why. */
static inline _Noreturn void
check_skip(const char *why)
{
	printf("skipped: %s\n", why);
	exit(CHECK_SKIPPED);
}

/* Has each test its own process?  Those that must die need one. */
static inline bool
check_forks(void)
{
	const char *fork_env = getenv("CK_FORK");

	return fork_env == NULL || strcmp(fork_env, "no") != 0;
}

/*
 * At the end of every test, which has a process of its own: nothing is held
 * (LK-6), and the orders of locks that were seen are noted where
 * tests/locks.cmake wants them (LK-12).
 */
static inline void
check_at_exit(void)
{
	static char text[65536];
	const char *path;
	size_t len;
	int fd;

	sync_assert_at_rest("the end of the test");
	if ((path = getenv("BTTFS_LOCK_ORDERS")) == NULL ||
	    (len = sync_order_format(text, sizeof(text))) == 0)
		return;
	/* One write, so that lines of several processes do not mix. */
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len) {
		perror(path);
		_exit(EXIT_FAILURE);
	}
	close(fd);
}

/* Runs and frees the suite.  A run of no test at all is no success. */
static inline int
check_main(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int nrun;
	int nfailed;

	if (atexit(check_at_exit) != 0)
		return EXIT_FAILURE;
	srunner_run_all(runner, CK_ENV);
	nrun = srunner_ntests_run(runner);
	nfailed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nrun > 0 && nfailed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif

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

/* Runs and frees the suite.  A run of no test at all is no success. */
static inline int
check_main(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int nrun;
	int nfailed;

	srunner_run_all(runner, CK_ENV);
	nrun = srunner_ntests_run(runner);
	nfailed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return nrun > 0 && nfailed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif

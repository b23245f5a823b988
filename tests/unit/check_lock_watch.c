/* SPDX-License-Identifier: BSD-3-Clause */
/* What the log has of locks that are misused or stuck. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include <lanes/sync.h>

#include "lock_watch.h"
#include "support/check_locks.h"
#include "support/check_main.h"

#define STALL_MS 200u

static const struct lock_class outer_class = { "outer", 10,
	LOCK_MAY_SLEEP | LOCK_WATCHED };
static const struct lock_class inner_class = { "inner", 20, 0 };

static struct mutex outer, inner;
static char text[65536];

/* Run it in a child; what it writes to stderr goes to text. */
static int
run_child(void (*run)(void))
{
	size_t len = 0;
	ssize_t n;
	int status;
	int ends[2];
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_ge(pid = fork(), 0);
	if (pid == 0) {
		struct rlimit none = { 0, 0 };

		(void)setrlimit(RLIMIT_CORE, &none);
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		run();
		_exit(0);
	}
	close(ends[1]);
	while (len < sizeof(text) - 1 &&
	    (n = read(ends[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(ends[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static struct log the_log;

static struct lock_watch *
start(unsigned stall_ms)
{
	struct lock_watch *watch;

	log_open(&the_log, false);
	if (lock_watch_start(&the_log, stall_ms, &watch) < 0)
		_exit(2);
	mutex_init(&outer, &outer_class);
	mutex_init(&inner, &inner_class);
	return watch;
}

static void
be_stuck(void)
{
	struct timespec some = { 0, 3 * STALL_MS * 1000000L };
	struct lock_watch *watch = start(STALL_MS);

	mutex_lock_at(&outer, "P");
	nanosleep(&some, NULL);
	mutex_unlock(&outer);
	lock_watch_stop(watch);
}

START_TEST(lock_watch__tells_of_an_owner_that_is_stuck)
{
	ck_assert_int_eq(run_child(be_stuck), 0);
	ck_assert_msg(strstr(text, "lane-stall: 'outer' 0 is held by thread "),
	    "%s", text);
	ck_assert_ptr_nonnull(strstr(text, " s, taken at P\n"));
}
END_TEST

/* On a busy machine a thread may be put aside for long with the lock. */
static void
be_quick(void)
{
	struct timespec some = { 0, 1000000 };
	struct lock_watch *watch = start(10 * STALL_MS);

	for (unsigned i = 0; i < 2 * STALL_MS; i++) {
		mutex_lock(&outer);
		mutex_lock(&inner);
		mutex_unlock(&inner);
		nanosleep(&some, NULL);
		mutex_unlock(&outer);
	}
	lock_watch_stop(watch);
}

START_TEST(lock_watch__has_nothing_to_say_of_good_locks)
{
	ck_assert_int_eq(run_child(be_quick), 0);
	ck_assert_str_eq(text, "");
}
END_TEST

static NO_TSA void
release_unheld(void)
{
	struct lock_watch *watch = start(STALL_MS);

	for (unsigned i = 0; i < 1000; i++)
		mutex_unlock_at(&outer, "P");
	lock_watch_stop(watch);
}

static unsigned
count(const char *what)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
}

START_TEST(lock_watch__tells_of_violations)
{
	int status = run_child(release_unheld);

#ifdef LANES_ABORT_ON_VIOLATION
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	ck_assert_uint_eq(count("'outer' released at P"), 1);
#else
	ck_assert_int_eq(status, 0);
	/* Some of them, and how many there were. */
	ck_assert_uint_ge(count("'outer' released at P"), 1);
	ck_assert_uint_le(count("'outer' released at P"), 8);
	ck_assert_uint_eq(count(" violations more, 1000 in all\n"), 1);
#endif
}
END_TEST

START_TEST(lock_watch__aborts_if_asked_to)
{
	int status;

	ck_assert_int_eq(setenv("BTTFS_LOCK_ABORT", "1", 1), 0);
	status = run_child(release_unheld);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	ck_assert_uint_eq(count("'outer' released at P"), 1);
}
END_TEST

START_TEST(lock_watch__saves_the_orders_it_saw)
{
	static char path[] = "/tmp/bttfs-orders-XXXXXX";
	FILE *file;
	int fd;

	ck_assert_int_ge(fd = mkstemp(path), 0);
	ck_assert_int_eq(setenv("BTTFS_LOCK_ORDERS", path, 1), 0);
	ck_assert_int_eq(run_child(be_quick), 0);
	ck_assert_ptr_nonnull(file = fdopen(fd, "r"));
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
	fclose(file);
	unlink(path);
	unsetenv("BTTFS_LOCK_ORDERS");
	ck_assert_ptr_eq(strstr(text, "\"outer\" -> \"inner\"; // "), text);
}
END_TEST

static Suite *
lock_watch_suite(void)
{
	Suite *suite = suite_create("lock_watch");
	TCase *tcase = tcase_create("log");

	unsetenv("BTTFS_LOCK_ABORT");
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, lock_watch__tells_of_an_owner_that_is_stuck);
	tcase_add_test(tcase, lock_watch__has_nothing_to_say_of_good_locks);
	tcase_add_test(tcase, lock_watch__tells_of_violations);
	tcase_add_test(tcase, lock_watch__aborts_if_asked_to);
	tcase_add_test(tcase, lock_watch__saves_the_orders_it_saw);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return check_main(lock_watch_suite());
}

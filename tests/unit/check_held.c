/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every shape that the validator must report, and every designed shape that
 * it must let pass (control-plane.md B.5, E.4).
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <lanes/sync.h>

#include "support/check_main.h"
#include "support/held_fixture.h"

/* ---- Who owns it: LN-1 ---- */

START_TEST(mutex_assert_held__is_quiet_for_the_owner)
{
	mutex_lock(&dev);
	mutex_assert_held(&dev);
	mutex_unlock(&dev);
}
END_TEST

START_TEST(mutex_assert_held__reports_others)
{
	mutex_assert_held_at(&dev, "A");
	ck_assert_reported(&caught, "'dev' assumed at A, but nobody holds it");
}
END_TEST

/* ---- Recursion: LK-3, LN-2 ---- */

START_TEST(mutex_lock__recursion_is_reported)
{
	mutex_lock_at(&dev, "A");
	mutex_lock_at(&dev, "B");
	ck_assert_reported(
	    &caught, "recursion: 'dev' locked at B, by us already at A");
	/* The inner release does not open the outer section. */
	mutex_unlock(&dev);
	ck_assert(!mutex_is_free(&dev));
	mutex_assert_held(&dev);
	mutex_unlock(&dev);
	ck_assert(mutex_is_free(&dev));
}
END_TEST

START_TEST(mutex_lock__recursion_is_found_deeper)
{
	mutex_lock_at(&dev, "A");
	mutex_lock_at(&lane, "B");
	mutex_lock_at(&dev, "C");
	ck_assert_reported(
	    &caught, "recursion: 'dev' locked at C, by us already at A");
	mutex_unlock(&dev);
	mutex_unlock(&dev);
	ck_assert(mutex_is_free(&dev));
	mutex_unlock(&lane);
}
END_TEST

START_TEST(mutex_trylock__recursion_is_reported)
{
	mutex_lock_at(&dev, "A");
	ck_assert(!mutex_trylock_at(&dev, "B"));
	ck_assert_reported(
	    &caught, "recursion: 'dev' tried at B, by us already at A");
	mutex_unlock(&dev);
}
END_TEST

START_TEST(mutex_trylock__recursion_under_a_leaf_is_one_report)
{
	mutex_lock_at(&event, "A");
	ck_assert(!mutex_trylock_at(&event, "B"));
	ck_assert_reported(&caught, "recursion: 'event'");
	mutex_unlock(&event);
}
END_TEST

/* ---- Release: LK-5, LN-6 ---- */

static void *
release(void *mutex)
{
	static struct caught theirs;

	caught_start(&theirs);
	mutex_unlock_at((struct mutex *)mutex, "B");
	return &theirs;
}

START_TEST(mutex_unlock__by_a_stranger_is_reported_and_refused)
{
	struct caught *theirs;

	mutex_lock_at(&dev, "A");
	theirs = thread_run(release, &dev);
	ck_assert_reported(
	    theirs, "'dev' released at B by a stranger, taken at A");
	ck_assert(!mutex_is_free(&dev));
	mutex_assert_held(&dev);
	mutex_unlock(&dev);
	ck_assert(mutex_is_free(&dev));
}
END_TEST

START_TEST(mutex_unlock__twice_is_reported)
{
	mutex_lock(&dev);
	mutex_unlock(&dev);
	mutex_unlock_at(&dev, "B");
	ck_assert_reported(&caught, "'dev' released at B, but nobody holds it");
	ck_assert(mutex_is_free(&dev));
}
END_TEST

START_TEST(mutex_unlock__of_a_fresh_one_is_reported)
{
	mutex_unlock_at(&map, "A");
	ck_assert_reported(&caught, "'map' released at A, but nobody holds it");
}
END_TEST

START_TEST(mutex_unlock__in_any_order_is_quiet)
{
	mutex_lock(&dev);
	mutex_lock(&registry);
	mutex_lock(&map);
	mutex_unlock(&registry);
	mutex_unlock(&dev);
	ck_assert(mutex_is_free(&registry));
	ck_assert(!mutex_is_free(&map));
	mutex_unlock(&map);
}
END_TEST

/* ---- Rank: LK-4, LK-9, and with it LK-1 and LK-2 ---- */

START_TEST(mutex_lock__lower_rank_is_reported)
{
	mutex_lock_at(&lane, "A");
	mutex_lock_at(&dev, "B");
	ck_assert_reported(&caught,
	    "rank: 'dev' (rank 20) locked at B after 'lane' (rank 40) "
	    "taken at A");
	mutex_unlock(&dev);
	mutex_unlock(&lane);
}
END_TEST

/* The instances differ, so tools that follow instances see nothing. */
START_TEST(mutex_lock__second_of_its_class_is_reported)
{
	mutex_lock_at(&lane, "A");
	mutex_lock_at(&lane2, "B");
	ck_assert_reported(&caught,
	    "class: 'lane' locked at B with another of its class held, "
	    "taken at A");
	mutex_unlock(&lane2);
	mutex_unlock(&lane);
}
END_TEST

START_TEST(mutex_lock__inversion_across_instances_is_reported)
{
	mutex_lock(&dev);
	mutex_lock(&registry);
	mutex_unlock(&registry);
	mutex_unlock(&dev);
	ck_assert_quiet(&caught);

	mutex_lock_at(&registry, "A");
	mutex_lock_at(&dev2, "B");
	ck_assert_reported(&caught, "rank: 'dev' (rank 20) locked at B");
	mutex_unlock(&dev2);
	mutex_unlock(&registry);
}
END_TEST

START_TEST(mutex_lock__designed_order_is_quiet)
{
	uint64_t before = sync_violations();

	for (unsigned i = 0; i < 1000; i++) {
		mutex_lock(&dev);
		mutex_lock(&registry);
		mutex_lock(&lane);
		mutex_lock(&map);
		mutex_lock(&event);
		mutex_unlock(&event);
		mutex_unlock(&map);
		mutex_unlock(&lane);
		mutex_unlock(&registry);
		mutex_unlock(&dev);
		/* Another instance in the same order. */
		mutex_lock(&dev2);
		mutex_lock(&registry);
		mutex_unlock(&registry);
		mutex_unlock(&dev2);
	}
	ck_assert_uint_eq(sync_violations(), before);
}
END_TEST

START_TEST(mutex_lock__highest_rank_there_is_works)
{
	mutex_lock(&dev);
	mutex_lock(&last);
	ck_assert_quiet(&caught);
	ck_assert(mutex_trylock(&map));
	ck_assert_quiet(&caught);
	mutex_unlock(&map);
	mutex_lock(&lane);
	ck_assert_reported(&caught, "rank: 'lane'");
	mutex_unlock(&lane);
	mutex_unlock(&last);
	mutex_unlock(&dev);
}
END_TEST

START_TEST(mutex_trylock__any_rank_is_quiet)
{
	mutex_lock(&map);
	ck_assert(mutex_trylock(&lane));
	ck_assert(mutex_trylock(&lane2));
	ck_assert(mutex_trylock(&dev));
	ck_assert_quiet(&caught);
	mutex_unlock(&dev);
	mutex_unlock(&lane2);
	mutex_unlock(&lane);
	mutex_unlock(&map);
}
END_TEST

START_TEST(mutex_trylock__later_locks_are_compared_with_it)
{
	ck_assert(mutex_trylock_at(&lane, "A"));
	mutex_lock_at(&dev, "B");
	ck_assert_reported(&caught,
	    "rank: 'dev' (rank 20) locked at B after 'lane' (rank 40) "
	    "taken at A");
	mutex_unlock(&dev);
	mutex_unlock(&lane);
}
END_TEST

/* The newest lock ranks low, but the map lock beneath it does not. */
START_TEST(mutex_lock__is_compared_with_all_not_the_newest)
{
	mutex_lock_at(&map, "A");
	ck_assert(mutex_trylock_at(&dev, "B"));
	mutex_lock_at(&lane, "C");
	ck_assert_reported(&caught,
	    "rank: 'lane' (rank 40) locked at C after 'map' (rank 60) "
	    "taken at A");
	mutex_unlock(&lane);
	mutex_unlock(&dev);
	mutex_unlock(&map);
}
END_TEST

/* What is compared follows releases out of order. */
START_TEST(mutex_lock__rank_is_of_what_is_still_held)
{
	mutex_lock(&dev);
	mutex_lock(&lane);
	mutex_lock(&map);
	mutex_unlock(&lane);
	mutex_unlock(&map);
	mutex_lock(&registry);
	ck_assert_quiet(&caught);
	mutex_unlock(&registry);

	mutex_lock(&map);
	mutex_unlock(&dev);
	mutex_lock(&registry);
	ck_assert_reported(&caught, "rank: 'registry'");
	mutex_unlock(&registry);
	mutex_unlock(&map);
	mutex_lock(&registry);
	mutex_unlock(&registry);
}
END_TEST

/* ---- Leaves ---- */

START_TEST(mutex_lock__under_a_leaf_is_reported)
{
	mutex_lock_at(&event, "A");
	mutex_lock_at(&last, "B");
	ck_assert_reported(
	    &caught, "leaf: 'last' locked at B under leaf 'event' taken at A");
	mutex_unlock(&last);
	mutex_unlock(&event);
	mutex_lock(&last);
	mutex_unlock(&last);
}
END_TEST

START_TEST(mutex_trylock__under_a_leaf_is_reported)
{
	mutex_lock_at(&event, "A");
	ck_assert(mutex_trylock_at(&dev, "B"));
	ck_assert_reported(&caught, "leaf: 'dev' locked at B");
	mutex_unlock(&event);
	/* The leaf went from beneath: what is left is no leaf. */
	ck_assert_uint_ne(held_self()->unheld & GRAPH_NO_LEAF, 0);
	mutex_lock(&lane);
	mutex_unlock(&lane);
	mutex_unlock(&dev);
}
END_TEST

START_TEST(mutex_unlock__beneath_a_leaf_leaves_it_a_leaf)
{
	mutex_lock(&dev);
	mutex_lock_at(&event, "A");
	mutex_unlock(&dev);
	mutex_lock_at(&last, "B");
	ck_assert_reported(&caught, "leaf: 'last' locked at B");
	mutex_unlock(&last);
	mutex_unlock(&event);
}
END_TEST

/* ---- Depth ---- */

START_TEST(mutex_lock__as_deep_as_allowed_is_quiet)
{
	for (unsigned i = 0; i < SYNC_HELD_MAX; i++)
		mutex_lock(&many[i]);
	for (unsigned i = SYNC_HELD_MAX; i-- > 0;)
		mutex_unlock(&many[i]);
}
END_TEST

START_TEST(mutex_lock__deeper_is_reported)
{
	struct mutex *lowest = &many[0];
	struct mutex *highest = &many[SYNC_HELD_MAX + 1];

	for (unsigned i = 1; i <= SYNC_HELD_MAX; i++)
		mutex_lock_at(&many[i], "A");
	mutex_lock_at(highest, "B");
	ck_assert_reported(&caught, "depth: 'many' locked at B is lock 17");
	/* Tried, so its rank is no matter. */
	ck_assert(mutex_trylock_at(lowest, "C"));
	ck_assert_reported(&caught, "depth: 'many' locked at C is lock 18");
	/* They are locks nevertheless, and can be given back. */
	ck_assert(!mutex_is_free(highest));
	for (unsigned i = 0; i < SYNC_HELD_MAX + 2; i++)
		mutex_unlock(&many[i]);
	ck_assert(mutex_is_free(highest));
	ck_assert(mutex_is_free(lowest));
}
END_TEST

/* ---- Reports ---- */

START_TEST(report__lists_everything_held)
{
	mutex_lock_at(&dev, "A");
	mutex_lock_at(&lane, "B");
	sync_assert_none_held("C");
	ck_assert_reported(&caught,
	    "\n  held: 'lane' (rank 40) taken at B"
	    "\n  held: 'dev' (rank 20) taken at A\n");
	mutex_unlock(&lane);
	mutex_unlock(&dev);
}
END_TEST

START_TEST(report__says_file_and_line)
{
	char place[128];

	snprintf(
	    place, sizeof(place), "taken at %s:%d", __FILE__, __LINE__ + 1);
	mutex_lock(&dev);
	sync_assert_none_held("A");
	ck_assert_reported(&caught, place);
	mutex_unlock(&dev);
}
END_TEST

/* Classes are named by others; a name too long must not run over. */
START_TEST(report__is_cut_to_its_room)
{
	static char name[8000];
	static const struct lock_class class = { name, 1, 0 };
	struct mutex mutex;

	memset(name, 'x', sizeof(name) - 1);
	mutex_init(&mutex, &class);
	mutex_lock(&mutex);
	sync_assert_none_held("A");
	ck_assert_reported(&caught, "xxxx");
	ck_assert_uint_lt(strlen(caught.last), sizeof(caught.last));
	ck_assert_int_eq(caught.last[strlen(caught.last) - 1], '\n');
	mutex_unlock(&mutex);
	mutex_fini(&mutex);
}
END_TEST

static void
violate_again(void *arg, const char *report)
{
	caught_add(arg, report);
	/* As a log would that is called with a lock held: not again. */
	mutex_lock(&dev);
	mutex_unlock(&dev);
}

START_TEST(report__within_a_report_is_only_counted)
{
	uint64_t before = sync_violations();

	sync_catch_violations(violate_again, &caught);
	mutex_lock(&map);
	sync_assert_none_held("A");
	ck_assert_reported(&caught, "held: at A");
	ck_assert_uint_eq(sync_violations(), before + 2);
	mutex_unlock(&map);
}
END_TEST

START_TEST(sync_violations__counts_them)
{
	uint64_t before = sync_violations();

	for (unsigned i = 0; i < 5; i++)
		mutex_unlock(&dev);
	ck_assert_uint_eq(sync_violations(), before + 5);
	caught.count = 0;
}
END_TEST

/* Catching is the thread's own: others go on with the default. */
static void *
has_no_handler(void *arg)
{
	(void)arg;
	return held_self()->violation_fn == NULL ? &dev : NULL;
}

START_TEST(sync_catch_violations__is_of_one_thread)
{
	ck_assert_ptr_nonnull(thread_run(has_no_handler, NULL));
}
END_TEST

/* Run it in a child; what it writes to stderr, and how it ended. */
static int
run_child(void (*run)(void), char *text, size_t size)
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
	while (len < size - 1 &&
	    (n = read(ends[0], text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(ends[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void
release_unhandled(void)
{
	uint64_t before = sync_violations();

	sync_catch_violations(NULL, NULL);
	mutex_unlock_at(&dev, "A");
	if (sync_violations() != before + 1)
		_exit(1);
	mutex_lock(&dev);
	mutex_unlock(&dev);
}

START_TEST(violation__default_is_that_of_the_build)
{
	char text[4096];
	int status = run_child(release_unhandled, text, sizeof(text));

#ifdef LANES_ABORT_ON_VIOLATION
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	ck_assert_ptr_nonnull(strstr(text, "'dev' released at A"));
#else
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_str_eq(text, "");
#endif
}
END_TEST

static Suite *
held_suite(void)
{
	static const TTest *const *const tests[] = {
		&mutex_assert_held__is_quiet_for_the_owner,
		&mutex_assert_held__reports_others,
		&mutex_lock__recursion_is_reported,
		&mutex_lock__recursion_is_found_deeper,
		&mutex_trylock__recursion_is_reported,
		&mutex_trylock__recursion_under_a_leaf_is_one_report,
		&mutex_unlock__by_a_stranger_is_reported_and_refused,
		&mutex_unlock__twice_is_reported,
		&mutex_unlock__of_a_fresh_one_is_reported,
		&mutex_unlock__in_any_order_is_quiet,
		&mutex_lock__lower_rank_is_reported,
		&mutex_lock__second_of_its_class_is_reported,
		&mutex_lock__inversion_across_instances_is_reported,
		&mutex_lock__designed_order_is_quiet,
		&mutex_lock__highest_rank_there_is_works,
		&mutex_trylock__any_rank_is_quiet,
		&mutex_trylock__later_locks_are_compared_with_it,
		&mutex_lock__is_compared_with_all_not_the_newest,
		&mutex_lock__rank_is_of_what_is_still_held,
		&mutex_lock__under_a_leaf_is_reported,
		&mutex_trylock__under_a_leaf_is_reported,
		&mutex_unlock__beneath_a_leaf_leaves_it_a_leaf,
		&mutex_lock__as_deep_as_allowed_is_quiet,
		&mutex_lock__deeper_is_reported,
		&report__lists_everything_held,
		&report__says_file_and_line,
		&report__is_cut_to_its_room,
		&report__within_a_report_is_only_counted,
		&sync_violations__counts_them,
		&sync_catch_violations__is_of_one_thread,
		&violation__default_is_that_of_the_build,
	};
	Suite *suite = suite_create("held");
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
	return check_main(held_suite());
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Orders of classes that contradict each other are reported when the second
 * of them is met, with the places of all; orders that do not are let pass
 * (LK-1, LK-2, LK-4 of control-plane.md E.4).  The classes have no rank, so
 * that nothing but the learned graph can see it.
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <lanes/sync.h>

#include "support/check_main.h"
#include "support/held_fixture.h"

enum {
	A,
	B,
	C,
	NKIND = 24
};

static char kind_name[NKIND][8];
static struct lock_class kind[NKIND];
/* Two of each class: what one teaches holds for the other. */
static struct mutex one[NKIND];
static struct mutex two[NKIND];

static void
setup(void)
{
	held_setup();
	for (unsigned i = 0; i < NKIND; i++) {
		snprintf(kind_name[i], sizeof(kind_name[i]), "%c",
		    (char)('a' + (int)i));
		kind[i] = (struct lock_class){ kind_name[i], 0, LOCK_UNRANKED };
		mutex_init(&one[i], &kind[i]);
		mutex_init(&two[i], &kind[i]);
	}
}

static void
teardown(void)
{
	for (unsigned i = 0; i < NKIND; i++) {
		mutex_fini(&one[i]);
		mutex_fini(&two[i]);
	}
	held_teardown();
}

/* Take the second while the first is held, at these places. */
static void
nest(struct mutex *first, const char *at, struct mutex *second,
    const char *then_at)
{
	mutex_lock_at(first, at);
	mutex_lock_at(second, then_at);
	mutex_unlock(second);
	mutex_unlock(first);
}

/* ---- LK-1: two classes in both orders ---- */

START_TEST(order__both_ways_in_one_thread_is_reported)
{
	nest(&one[A], "P", &one[B], "Q");
	ck_assert_quiet(&caught);
	nest(&one[B], "R", &one[A], "S");
	ck_assert_reported(&caught,
	    "order: 'a' waited for at S after 'b' taken at R; "
	    "the other way round before:"
	    "\n  'a' from P on, then 'b' at Q"
	    "\n  held: 'b' taken at R\n");
}
END_TEST

static void *
nest_backwards(void *arg)
{
	static struct caught theirs;

	(void)arg;
	caught_start(&theirs);
	nest(&one[B], "R", &one[A], "S");
	return &theirs;
}

START_TEST(order__both_ways_in_two_threads_is_reported)
{
	nest(&one[A], "P", &one[B], "Q");
	ck_assert_reported((struct caught *)thread_run(nest_backwards, NULL),
	    "order: 'a' waited for at S after 'b' taken at R");
	ck_assert_quiet(&caught);
}
END_TEST

/* dev1 then bus1 here, bus2 then dev2 there: no mutex is in both. */
START_TEST(order__both_ways_across_instances_is_reported)
{
	nest(&one[A], "P", &one[B], "Q");
	nest(&two[B], "R", &two[A], "S");
	ck_assert_reported(&caught, "\n  'a' from P on, then 'b' at Q");
}
END_TEST

START_TEST(order__that_was_refused_is_reported_each_time)
{
	nest(&one[A], "P", &one[B], "Q");
	for (unsigned i = 0; i < 3; i++) {
		nest(&one[B], "R", &one[A], "S");
		ck_assert_reported(&caught, "order: 'a' waited for at S");
		/* And the order that was first stays the right one. */
		nest(&one[A], "T", &one[B], "U");
		ck_assert_quiet(&caught);
	}
}
END_TEST

/* ---- LK-2: cycles of three and more ---- */

START_TEST(order__a_cycle_of_three_is_reported_with_every_edge)
{
	nest(&one[A], "P", &one[B], "Q");
	nest(&one[B], "R", &one[C], "S");
	ck_assert_quiet(&caught);
	nest(&one[C], "T", &one[A], "U");
	ck_assert_reported(&caught,
	    "order: 'a' waited for at U after 'c' taken at T; "
	    "the other way round before:"
	    "\n  'a' from P on, then 'b' at Q"
	    "\n  'b' from R on, then 'c' at S"
	    "\n  held: 'c'");
}
END_TEST

START_TEST(order__a_long_cycle_is_reported)
{
	for (unsigned i = 0; i + 1 < NKIND; i++)
		nest(i % 2 == 0 ? &one[i] : &two[i], "P",
		    i % 3 == 0 ? &one[i + 1] : &two[i + 1], "Q");
	ck_assert_quiet(&caught);
	nest(&one[NKIND - 1], "R", &one[A], "S");
	ck_assert_reported(&caught, "order: 'a' waited for at S after 'x'");
}
END_TEST

/* Of two ways round the report has the one that is quicker to read. */
START_TEST(order__the_shortest_cycle_is_told)
{
	for (unsigned i = 0; i < 5; i++)
		nest(&one[i], "P", &one[i + 1], "Q");
	nest(&one[A], "R", &one[5], "S");
	nest(&one[5], "T", &one[A], "U");
	ck_assert_reported(&caught, "\n  'a' from R on, then 'f' at S\n  held");
}
END_TEST

/* Every lock beneath counts, not only the newest. */
START_TEST(order__is_of_all_that_is_held)
{
	nest(&one[C], "P", &one[A], "Q");
	mutex_lock_at(&one[A], "R");
	ck_assert(mutex_trylock(&one[B]));
	mutex_lock_at(&one[C], "S");
	ck_assert_reported(
	    &caught, "order: 'c' waited for at S after 'a' taken at R");
	mutex_unlock(&one[C]);
	mutex_unlock(&one[B]);
	mutex_unlock(&one[A]);
}
END_TEST

/* ---- LK-4 ---- */

START_TEST(order__two_of_one_class_are_reported)
{
	mutex_lock_at(&one[A], "P");
	mutex_lock(&one[B]);
	mutex_lock_at(&two[A], "Q");
	ck_assert_reported(&caught,
	    "class: 'a' locked at Q with another of its class held, "
	    "taken at P");
	mutex_unlock(&two[A]);
	mutex_unlock(&one[B]);
	mutex_unlock(&one[A]);
}
END_TEST

/* ---- LK-9 with what has been seen ---- */

START_TEST(order__a_rank_violation_says_who_did_it_right)
{
	nest(&dev, "P", &registry, "Q");
	nest(&registry, "R", &lane, "S");
	nest(&lane, "T", &dev2, "U");
	ck_assert_reported(&caught,
	    "rank: 'dev' (rank 20) locked at U after 'lane' (rank 40) "
	    "taken at T; the other way round before:"
	    "\n  'dev' from P on, then 'registry' at Q"
	    "\n  'registry' from R on, then 'lane' at S");
}
END_TEST

/* ---- What is not waited for ---- */

START_TEST(order__trylock_is_no_wait)
{
	nest(&one[A], "P", &one[B], "Q");
	mutex_lock(&one[B]);
	ck_assert(mutex_trylock(&one[A]));
	ck_assert_quiet(&caught);
	mutex_unlock(&one[A]);
	mutex_unlock(&one[B]);
	/* It taught nothing either. */
	nest(&one[A], "R", &one[B], "S");
}
END_TEST

START_TEST(order__waits_under_a_tried_lock_are_orders)
{
	ck_assert(mutex_trylock_at(&one[A], "P"));
	mutex_lock_at(&one[B], "Q");
	mutex_unlock(&one[B]);
	mutex_unlock(&one[A]);
	nest(&one[B], "R", &one[A], "S");
	ck_assert_reported(&caught, "\n  'a' from P on, then 'b' at Q");
}
END_TEST

/* control-plane.md B.4: a scan for a free lane with another one held. */
START_TEST(order__a_scan_of_more_lanes_is_quiet)
{
	for (unsigned i = 0; i < 1000; i++) {
		mutex_lock(&lane);
		ck_assert(mutex_trylock(&lane2));
		mutex_lock(&map);
		mutex_unlock(&map);
		mutex_unlock(&lane2);
		mutex_unlock(&lane);
		mutex_lock(&lane2);
		ck_assert(mutex_trylock(&lane));
		mutex_unlock(&lane);
		mutex_unlock(&lane2);
	}
}
END_TEST

/* ---- What is right stays quiet ---- */

START_TEST(order__without_a_cycle_is_quiet)
{
	uint64_t before = sync_violations();

	for (unsigned round = 0; round < 100; round++)
		for (unsigned from = 0; from < NKIND; from++)
			for (unsigned to = from + 1; to < NKIND; to++)
				nest(&one[from], "P", &two[to], "Q");
	ck_assert_uint_eq(sync_violations(), before);
}
END_TEST

START_TEST(order__of_released_locks_is_quiet)
{
	mutex_lock(&one[A]);
	ck_assert(mutex_trylock(&one[B]));
	mutex_unlock(&one[A]);
	mutex_lock(&one[C]);
	mutex_unlock(&one[C]);
	mutex_unlock(&one[B]);
	/* a was not held when c was waited for. */
	nest(&one[C], "P", &one[A], "Q");
}
END_TEST

/* ---- What has been seen ---- */

struct seen {
	unsigned n;
	char text[4][100];
};

static void
note_order(void *arg, const struct lock_class *from,
    const struct lock_class *to, const char *held_from, const char *waited_at)
{
	struct seen *seen = arg;

	ck_assert_uint_lt(seen->n, 4);
	snprintf(seen->text[seen->n++], sizeof(seen->text[0]), "%s(%s) %s(%s)",
	    from->name, held_from, to->name, waited_at);
}

START_TEST(sync_order_visit__has_each_order_once_with_its_first_place)
{
	struct seen seen = { 0 };

	nest(&one[A], "P", &one[B], "Q");
	nest(&two[A], "R", &two[B], "S");
	nest(&one[B], "T", &two[C], "U");
	/* What was refused is none. */
	nest(&one[C], "V", &one[A], "W");
	caught.count = 0;
	sync_order_visit(note_order, &seen);
	ck_assert_uint_eq(seen.n, 2);
	ck_assert_str_eq(seen.text[0], "a(P) b(Q)");
	ck_assert_str_eq(seen.text[1], "b(T) c(U)");
}
END_TEST

/* ---- At the same moment ---- */

#define NPAIR (NKIND / 2)

struct racer {
	pthread_barrier_t *start;
	bool backwards;
	unsigned nreport[NPAIR];
};

static void *
race(void *arg)
{
	struct racer *racer = arg;
	struct caught theirs;

	caught_start(&theirs);
	for (unsigned i = 0; i < NPAIR; i++) {
		/* Mutexes of their own: the classes meet, no thread waits. */
		struct mutex *even =
		    racer->backwards ? &one[2 * i] : &two[2 * i];
		struct mutex *odd =
		    racer->backwards ? &one[2 * i + 1] : &two[2 * i + 1];

		pthread_barrier_wait(racer->start);
		if (racer->backwards)
			nest(odd, "P", even, "Q");
		else
			nest(even, "R", odd, "S");
		racer->nreport[i] = theirs.count;
		theirs.count = 0;
	}
	return NULL;
}

/* No lock guards the graph: one of the two finds it all the same. */
START_TEST(order__both_ways_at_once_is_reported)
{
	struct racer here = { .backwards = false };
	struct racer there = { .backwards = true };
	pthread_barrier_t start;
	pthread_t thread[2];

	pthread_barrier_init(&start, NULL, 2);
	here.start = there.start = &start;
	thread[0] = thread_start(race, &here);
	thread[1] = thread_start(race, &there);
	thread_end(thread[0]);
	thread_end(thread[1]);
	for (unsigned i = 0; i < NPAIR; i++)
		ck_assert_uint_ge(here.nreport[i] + there.nreport[i], 1);
	pthread_barrier_destroy(&start);
}
END_TEST

/* ---- Limits ---- */

static void
use_too_many(void)
{
	static struct lock_class too_many[SYNC_CLASS_MAX + 1];
	struct mutex mutex;

	for (unsigned i = 0; i <= SYNC_CLASS_MAX; i++) {
		too_many[i] = (struct lock_class){ "many", i, 0 };
		mutex_init(&mutex, &too_many[i]);
		mutex_fini(&mutex);
	}
}

START_TEST(classes__more_than_there_is_room_for_end_the_process)
{
	int status;
	pid_t pid;

	ck_assert_int_ge(pid = fork(), 0);
	if (pid == 0) {
		struct rlimit none = { 0, 0 };

		(void)setrlimit(RLIMIT_CORE, &none);
		use_too_many();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

static Suite *
graph_suite(void)
{
	static const TTest *const *const tests[] = {
		&order__both_ways_in_one_thread_is_reported,
		&order__both_ways_in_two_threads_is_reported,
		&order__both_ways_across_instances_is_reported,
		&order__that_was_refused_is_reported_each_time,
		&order__a_cycle_of_three_is_reported_with_every_edge,
		&order__a_long_cycle_is_reported,
		&order__the_shortest_cycle_is_told,
		&order__is_of_all_that_is_held,
		&order__two_of_one_class_are_reported,
		&order__a_rank_violation_says_who_did_it_right,
		&order__trylock_is_no_wait,
		&order__waits_under_a_tried_lock_are_orders,
		&order__a_scan_of_more_lanes_is_quiet,
		&order__without_a_cycle_is_quiet,
		&order__of_released_locks_is_quiet,
		&sync_order_visit__has_each_order_once_with_its_first_place,
		&classes__more_than_there_is_room_for_end_the_process,
	};
	Suite *suite = suite_create("graph");
	TCase *tcase = tcase_create("orders");

	/* Each test in its own process, since the graph is the process's. */
	if (!check_forks())
		check_skip("one process would learn from all tests");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tcase, *tests[i]);
	tcase_add_loop_test(tcase, order__both_ways_at_once_is_reported, 0, 20);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return check_main(graph_suite());
}

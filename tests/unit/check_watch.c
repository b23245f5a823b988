/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Locks seen from outside: in memory that is freed (LK-10), and held for too
 * long (LK-11 of control-plane.md E.4).
 */
#include <lanes/lane.h>
#include <lanes/stripe.h>
#include <lanes/watch.h>

#include "support/check_main.h"
#include "support/held_fixture.h"

/* ---- Memory: LK-10 ---- */

START_TEST(mutex_init__over_a_living_one_is_reported)
{
	struct mutex *mutex = malloc(sizeof(*mutex));

	ck_assert_ptr_nonnull(mutex);
	mutex_init_at(mutex, &dev_class, "P");
	/* As if it was freed and came back from the next malloc. */
	mutex_init_at(mutex, &map_class, "Q");
	ck_assert_reported(&caught,
	    "memory: 'map' made at Q where the lock made at P was never "
	    "destroyed");
	mutex_fini(mutex);
	free(mutex);
}
END_TEST

START_TEST(mutex_init__over_a_part_of_a_living_one_is_reported)
{
	static const int shift[] = { -32, -8, 8, 32 };
	_Alignas(16) uint8_t memory[256];
	struct mutex *mutex = (struct mutex *)(void *)(memory + 64);
	struct mutex *other = (struct mutex *)(void *)(memory + 64 + shift[_i]);

	mutex_init_at(mutex, &dev_class, "P");
	mutex_init_at(other, &map_class, "Q");
	ck_assert_reported(&caught, "memory: 'map' made at Q");
	mutex_fini(other);
}
END_TEST

START_TEST(mutex_init__beside_a_living_one_is_quiet)
{
	struct mutex row[3];

	mutex_init(&row[0], &dev_class);
	mutex_init(&row[2], &dev_class);
	mutex_init(&row[1], &dev_class);
	mutex_fini(&row[1]);
	mutex_init(&row[1], &map_class);
	for (unsigned i = 0; i < 3; i++)
		mutex_fini(&row[i]);
}
END_TEST

START_TEST(lane_set_new__over_a_set_that_was_freed_wrongly_is_reported)
{
	struct lane_set *set;
	struct mutex mutex;

	ck_assert_int_eq(lane_set_new_at(8, &lane_class, &set, "P"), 0);
	sync_assert_no_lock_in_at(set, 4096, "Q");
	ck_assert_reported(
	    &caught, "memory: freed at Q with 'lane' in it, made at P");
	lane_set_free(set);
	mutex_init(&mutex, &dev_class);
	mutex_fini(&mutex);
}
END_TEST

struct thing {
	char before[100];
	struct mutex mutex;
	char after[100];
};

START_TEST(sync_assert_no_lock_in__finds_those_that_live)
{
	struct thing *thing = malloc(sizeof(*thing));

	ck_assert_ptr_nonnull(thing);
	sync_assert_no_lock_in(thing, sizeof(*thing));
	sync_assert_no_lock_in(NULL, 0);
	mutex_init_at(&thing->mutex, &dev_class, "P");
	sync_assert_no_lock_in(thing->before, sizeof(thing->before));
	sync_assert_no_lock_in(thing->after, sizeof(thing->after));
	ck_assert_quiet(&caught);
	sync_assert_no_lock_in_at(thing, sizeof(*thing), "Q");
	ck_assert_reported(
	    &caught, "memory: freed at Q with 'dev' in it, made at P");
	mutex_lock_at(&thing->mutex, "R");
	sync_assert_no_lock_in_at(thing, sizeof(*thing), "Q");
	ck_assert_reported(&caught, "\n  held: 'dev' (rank 20) taken at R");
	mutex_unlock(&thing->mutex);
	mutex_fini(&thing->mutex);
	sync_assert_no_lock_in(thing, sizeof(*thing));
	free(thing);
}
END_TEST

START_TEST(mutex_fini__twice_is_reported)
{
	struct mutex mutex;

	mutex_init(&mutex, &dev_class);
	mutex_fini(&mutex);
	mutex_fini_at(&mutex, "P");
	ck_assert_reported(&caught, "destroy: at P for the second time");
}
END_TEST

START_TEST(mutex_trylock__of_a_destroyed_one_is_reported)
{
	struct mutex mutex;

	mutex_init(&mutex, &dev_class);
	mutex_fini(&mutex);
	mutex_unlock_at(&mutex, "P");
	ck_assert_reported(
	    &caught, "'destroyed lock' released at P, but nobody holds it");
	ck_assert(!mutex_trylock_at(&mutex, "Q"));
	ck_assert_reported(
	    &caught, "destroyed: a lock that is no more is locked at Q");
}
END_TEST

#define NTHING 300

/* Whatever comes and goes, each lock is found where it is, and only there. */
START_TEST(sync_assert_no_lock_in__follows_any_coming_and_going)
{
	static struct thing thing[NTHING];
	static bool lives[NTHING];
	uint32_t state = 20240607;

	for (unsigned i = 0; i < 20000; i++) {
		unsigned k = thread_random(&state) % NTHING;

		if (lives[k])
			mutex_fini(&thing[k].mutex);
		else
			mutex_init(&thing[k].mutex, &dev_class);
		lives[k] = !lives[k];
		ck_assert_quiet(&caught);
		k = thread_random(&state) % NTHING;
		sync_assert_no_lock_in(&thing[k], sizeof(thing[k]));
		ck_assert_uint_eq(caught.count, lives[k]);
		caught.count = 0;
	}
	for (unsigned k = 0; k < NTHING; k++)
		if (lives[k])
			mutex_fini(&thing[k].mutex);
}
END_TEST

/* ---- Held for too long: LK-11 ---- */

static const struct lock_class watched_class = { "watched", 10,
	LOCK_MAY_SLEEP | LOCK_WATCHED };

#define LIMIT_MS 1000

static struct sync_watch *watch;
static unsigned nstall;
static struct sync_stall stall;

static void
watch_setup(void)
{
	held_setup();
	ck_assert_int_eq(sync_watch_new(&watch), 0);
}

static void
watch_teardown(void)
{
	sync_watch_free(watch);
	held_teardown();
}

static void
note_stall(void *arg, const struct sync_stall *seen)
{
	struct mutex mutex;

	ck_assert_ptr_eq(arg, watch);
	stall = *seen;
	nstall++;
	/* Whoever is told may do as others do. */
	mutex_init(&mutex, &dev_class);
	mutex_fini(&mutex);
}

/* Stalls told in a look at that time. */
static unsigned
look(uint64_t now_ms)
{
	nstall = 0;
	sync_watch_look(watch, now_ms, LIMIT_MS, note_stall, watch);
	return nstall;
}

START_TEST(sync_watch_look__tells_of_an_owner_that_is_stuck)
{
	struct mutex mutex;

	mutex_init(&mutex, &watched_class);
	ck_assert_uint_eq(look(5000), 0);
	mutex_lock_at(&mutex, "P");
	ck_assert_uint_eq(look(5500), 0);
	ck_assert_uint_eq(look(6499), 0);
	ck_assert_uint_eq(look(6500), 1);
	ck_assert_ptr_eq(stall.class, &watched_class);
	ck_assert_ptr_eq(stall.object, &mutex);
	ck_assert_uint_eq(stall.index, 0);
	ck_assert_int_eq(stall.owner, gettid());
	ck_assert_str_eq(stall.place, "P");
	ck_assert_uint_eq(stall.held_ms, 1000);
	mutex_unlock(&mutex);
	ck_assert_uint_eq(look(60000), 0);
	mutex_fini(&mutex);
}
END_TEST

START_TEST(sync_watch_look__tells_again_when_it_has_doubled)
{
	struct mutex mutex;
	unsigned ntold = 0;

	mutex_init(&mutex, &watched_class);
	mutex_lock(&mutex);
	for (unsigned second = 0; second <= 64; second++)
		ntold += look(second * 1000u);
	/* 1, 2, 4, 8, 16, 32, 64 */
	ck_assert_uint_eq(ntold, 7);
	ck_assert_uint_eq(stall.held_ms, 64000);
	mutex_unlock(&mutex);
	mutex_fini(&mutex);
}
END_TEST

/* Held at every look, but not all the time: a busy lock is not a stuck one. */
START_TEST(sync_watch_look__is_quiet_about_a_busy_lock)
{
	struct mutex mutex;
	struct cond cond;

	cond_init(&cond);
	mutex_init(&mutex, &watched_class);
	mutex_lock(&mutex);
	for (unsigned second = 0; second < 20; second++) {
		ck_assert_uint_eq(look(second * 1000u), 0);
		if (second % 3 == 0) {
			(void)cond_wait_ms(&cond, &mutex, 1);
			continue;
		}
		mutex_unlock(&mutex);
		if (second % 3 == 1)
			mutex_lock(&mutex);
		else
			ck_assert(mutex_trylock(&mutex));
	}
	mutex_unlock(&mutex);
	mutex_fini(&mutex);
	cond_fini(&cond);
}
END_TEST

static NO_TSA void *
lock_it(void *mutex)
{
	struct caught theirs;

	caught_start(&theirs); /* it ends with the lock held */
	mutex_lock_at(mutex, "Q");
	return NULL;
}

START_TEST(sync_watch_look__counts_each_owner_anew)
{
	struct mutex mutex;

	mutex_init(&mutex, &watched_class);
	mutex_lock(&mutex);
	ck_assert_uint_eq(look(0), 0);
	mutex_unlock(&mutex);
	thread_run(lock_it, &mutex);
	ck_assert_uint_eq(look(1000), 0);
	ck_assert_uint_eq(look(2000), 1);
	ck_assert_int_ne(stall.owner, gettid());
	ck_assert_str_eq(stall.place, "Q");
}
END_TEST

START_TEST(sync_watch_look__knows_which_lane_it_is)
{
	static const struct lock_class class = { "lane", 40,
		LOCK_MAY_SLEEP | LOCK_WATCHED };
	struct lane_set *set[3];
	struct lane_span span;

	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(lane_set_new(16, &class, &set[i]), 0);
	lane_span_enter_at(set[1], 5, &span, "P");
	ck_assert(lane_span_extend_at(&span, "Q"));
	ck_assert_uint_eq(look(0), 0);
	ck_assert_uint_eq(look(1000), 2);
	ck_assert_uint_eq(stall.index, 6);
	ck_assert_str_eq(stall.place, "Q");
	ck_assert_ptr_eq(stall.object, lane_set_object(set[1]));
	lane_span_leave(&span);
	for (unsigned i = 0; i < 3; i++)
		lane_set_free(set[i]);
}
END_TEST

START_TEST(sync_watch_look__knows_which_stripe_it_is)
{
	static const struct lock_class class = { "map", 60, LOCK_WATCHED };
	struct stripe_table *table;
	struct stripe_range range;

	ck_assert_int_eq(stripe_table_new(64, &class, &table), 0);
	stripe_lock(table, 40, 41, &range);
	ck_assert_uint_eq(look(0), 0);
	ck_assert_uint_eq(look(1000), 2);
	ck_assert_uint_eq(stall.index, 41);
	stripe_unlock(&range);
	stripe_table_free(table);
}
END_TEST

START_TEST(sync_watch_look__leaves_other_classes_alone)
{
	mutex_lock(&dev);
	ck_assert_uint_eq(look(0), 0);
	ck_assert_uint_eq(look(100000), 0);
	mutex_unlock(&dev);
}
END_TEST

/* A lock destroyed after it was seen held is not looked at again. */
START_TEST(sync_watch_look__forgets_what_has_gone)
{
	struct mutex *mutex = malloc(sizeof(*mutex));

	ck_assert_ptr_nonnull(mutex);
	mutex_init(mutex, &watched_class);
	mutex_lock(mutex);
	ck_assert_uint_eq(look(0), 0);
	mutex_unlock(mutex);
	mutex_fini(mutex);
	free(mutex);
	ck_assert_uint_eq(look(100000), 0);
}
END_TEST

/* More at once than one look has words for: the next has the others. */
START_TEST(sync_watch_look__tells_of_all_in_time)
{
	static const struct lock_class class = { "lane", 40,
		LOCK_MAY_SLEEP | LOCK_WATCHED };
	struct lane_set *set;
	struct lane_span span;

	ck_assert_int_eq(lane_set_new(256, &class, &set), 0);
	lane_span_enter(set, 0, &span);
	while (lane_span_extend(&span))
		;
	ck_assert_uint_eq(span.nlane, LANE_SPAN_MAX);
	ck_assert_uint_eq(look(0), 0);
	ck_assert_uint_eq(look(1000), LANE_SPAN_MAX);
	ck_assert_uint_eq(look(1500), 0);
	ck_assert_uint_eq(look(2000), LANE_SPAN_MAX);
	lane_span_leave(&span);
	lane_set_free(set);
}
END_TEST

struct churn {
	struct mutex mutex;
	_Atomic bool stop;
};

static void *
lock_often(void *arg)
{
	struct churn *churn = arg;

	while (!atomic_load(&churn->stop)) {
		mutex_lock(&churn->mutex);
		mutex_unlock(&churn->mutex);
	}
	return NULL;
}

/* Looks beside users and makers of locks: no stall, and no race to TSan. */
START_TEST(sync_watch_look__beside_everybody_is_quiet)
{
	struct churn churn;
	pthread_t thread[2];

	mutex_init(&churn.mutex, &watched_class);
	atomic_init(&churn.stop, false);
	for (unsigned i = 0; i < 2; i++)
		thread[i] = thread_start(lock_often, &churn);
	nstall = 0;
	for (unsigned i = 0; i < 2000; i++) {
		struct mutex other;

		mutex_init(&other, &watched_class);
		/* A thread may be put aside while it holds the lock. */
		sync_watch_look(watch, i, 60000, note_stall, watch);
		mutex_fini(&other);
	}
	ck_assert_uint_eq(nstall, 0);
	atomic_store(&churn.stop, true);
	for (unsigned i = 0; i < 2; i++)
		thread_end(thread[i]);
	mutex_fini(&churn.mutex);
}
END_TEST

static Suite *
watch_suite(void)
{
	static const TTest *const *const memory_tests[] = {
		&mutex_init__over_a_living_one_is_reported,
		&mutex_init__beside_a_living_one_is_quiet,
		&lane_set_new__over_a_set_that_was_freed_wrongly_is_reported,
		&sync_assert_no_lock_in__finds_those_that_live,
		&mutex_fini__twice_is_reported,
		&mutex_trylock__of_a_destroyed_one_is_reported,
		&sync_assert_no_lock_in__follows_any_coming_and_going,
	};
	static const TTest *const *const stall_tests[] = {
		&sync_watch_look__tells_of_an_owner_that_is_stuck,
		&sync_watch_look__tells_again_when_it_has_doubled,
		&sync_watch_look__is_quiet_about_a_busy_lock,
		&sync_watch_look__counts_each_owner_anew,
		&sync_watch_look__knows_which_lane_it_is,
		&sync_watch_look__knows_which_stripe_it_is,
		&sync_watch_look__leaves_other_classes_alone,
		&sync_watch_look__forgets_what_has_gone,
		&sync_watch_look__tells_of_all_in_time,
		&sync_watch_look__beside_everybody_is_quiet,
	};
	Suite *suite = suite_create("watch");
	TCase *tcase = tcase_create("memory");

	tcase_add_checked_fixture(tcase, held_setup, held_teardown);
	for (unsigned i = 0; i < sizeof(memory_tests) / sizeof(memory_tests[0]);
	     i++)
		tcase_add_test(tcase, *memory_tests[i]);
	tcase_add_loop_test(
	    tcase, mutex_init__over_a_part_of_a_living_one_is_reported, 0, 4);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("stalls");
	tcase_add_checked_fixture(tcase, watch_setup, watch_teardown);
	tcase_set_timeout(tcase, 60);
	for (unsigned i = 0; i < sizeof(stall_tests) / sizeof(stall_tests[0]);
	     i++)
		tcase_add_test(tcase, *stall_tests[i]);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return check_main(watch_suite());
}

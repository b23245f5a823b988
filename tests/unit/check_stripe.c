/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranges of stripes exclude each other where they meet, also around the end of
 * the table, and two of them never wait for each other.
 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include <lanes/stripe.h>

#include "support/check_locks.h"
#include "support/check_main.h"

#define NTHREAD 8
#define NSTRIPE 8

static const struct lock_class lane_class = { "lane", 40, LOCK_MAY_SLEEP };
static const struct lock_class map_class = { "map", 60, 0 };
static struct caught caught;

static void
setup(void)
{
	caught_start(&caught);
}

static void
teardown(void)
{
	sync_assert_none_held("teardown");
	ck_assert_quiet(&caught);
}

static struct stripe_table *
new_table(uint32_t count)
{
	struct stripe_table *table;

	ck_assert_int_eq(stripe_table_new(count, &map_class, &table), 0);
	return table;
}

/* Another thread with a range, until it is told to let go. */
struct holder {
	struct stripe_table *table;
	uint64_t first;
	uint64_t last;
	thread_note note;
	atomic_bool has_range;
	atomic_bool may_leave;
	pthread_t thread;
};

static void *
hold(void *arg)
{
	struct holder *holder = arg;
	struct stripe_range range;

	thread_note_self(&holder->note);
	stripe_lock_at(
	    holder->table, holder->first, holder->last, &range, "hold");
	atomic_store(&holder->has_range, true);
	while (!atomic_load(&holder->may_leave))
		sched_yield();
	stripe_unlock(&range);
	return NULL;
}

static void
holder_start(struct holder *holder, struct stripe_table *table, uint64_t first,
    uint64_t last)
{
	memset(holder, 0, sizeof(*holder));
	holder->table = table;
	holder->first = first;
	holder->last = last;
	holder->thread = thread_start(hold, holder);
}

static void
holder_wait(struct holder *holder)
{
	while (!atomic_load(&holder->has_range))
		sched_yield();
}

static void
holder_end(struct holder *holder)
{
	atomic_store(&holder->may_leave, true);
	thread_end(holder->thread);
}

START_TEST(stripe_table_new__refuses_none)
{
	struct stripe_table *const untouched = (struct stripe_table *)&caught;
	struct stripe_table *table = untouched;

	ck_assert_int_eq(stripe_table_new(0, &map_class, &table), -EINVAL);
	ck_assert_ptr_eq(table, untouched);
	stripe_table_free(NULL);
}
END_TEST

START_TEST(stripe_table_free__with_a_stripe_held_is_reported_and_refused)
{
	struct stripe_table *table = new_table(4);
	struct stripe_range range;

	stripe_lock_at(table, 6, 6, &range, "A");
	stripe_table_free(table);
	ck_assert_reported(
	    &caught, "destroy: stripe 2 of 'map' is held, taken at A");
	stripe_unlock(&range);
	stripe_table_free(table);
}
END_TEST

/* Of every range in tables of several sizes: its own locks, no others. */
START_TEST(stripe_lock__takes_exactly_its_range)
{
	struct stripe_table *table = new_table((uint32_t)_i);

	for (uint64_t first = 0; first < 2 * (unsigned)_i; first++) {
		for (uint64_t n = 1; n <= 2 * (unsigned)_i + 1; n++) {
			bool is_in[NSTRIPE] = { false };
			struct stripe_range range;

			for (uint64_t k = first; k < first + n; k++)
				is_in[k % (unsigned)_i] = true;
			stripe_lock(table, first, first + n - 1, &range);
			for (uint64_t k = 0; k < 3 * (unsigned)_i; k++)
				ck_assert_int_eq(stripe_range_covers(&range, k),
				    is_in[k % (unsigned)_i]);
			stripe_unlock(&range);
			ck_assert(!stripe_range_covers(&range, first));
		}
	}
	stripe_table_free(table);
}
END_TEST

START_TEST(stripe_lock__takes_all_once_if_the_range_is_wider)
{
	struct stripe_table *table = new_table(5);
	struct stripe_range range;

	stripe_lock(table, 0, UINT64_MAX, &range);
	ck_assert_uint_eq(range.nstripe, 5);
	stripe_unlock(&range);
	stripe_lock(table, 13, 17, &range);
	ck_assert_uint_eq(range.nstripe, 5);
	stripe_unlock(&range);
	stripe_lock(table, 13, 18, &range);
	ck_assert_uint_eq(range.nstripe, 5);
	stripe_unlock(&range);
	stripe_table_free(table);
}
END_TEST

START_TEST(stripe_lock__knows_numbers_beyond_32_bits)
{
	struct stripe_table *table = new_table(7);
	struct stripe_range range;

	stripe_lock(table, UINT64_MAX - 2, UINT64_MAX, &range);
	ck_assert_uint_eq(range.nstripe, 3);
	ck_assert(stripe_range_covers(&range, UINT64_MAX));
	ck_assert(stripe_range_covers(&range, UINT64_MAX - 2));
	ck_assert(!stripe_range_covers(&range, UINT64_MAX - 3));
	stripe_unlock(&range);
	stripe_table_free(table);
}
END_TEST

START_TEST(stripe_lock__waits_where_ranges_meet_only)
{
	struct stripe_table *table = new_table(NSTRIPE);
	struct holder apart, meeting;
	struct stripe_range range;

	stripe_lock(table, 6, 9, &range); /* locks 6, 7, 0, 1 */
	holder_start(&apart, table, 2, 5);
	holder_wait(&apart);
	holder_end(&apart);
	holder_start(&meeting, table, 1, 2);
	thread_wait_asleep(&meeting.note);
	ck_assert(!atomic_load(&meeting.has_range));
	stripe_unlock(&range);
	holder_wait(&meeting);
	holder_end(&meeting);
	stripe_table_free(table);
}
END_TEST

/*
 * 6..9 of 8 is 0, 1, 6, 7 in order.  Whoever waits for 0 must not have 6
 * already: its holder may want to wait for 0 in turn.
 */
START_TEST(stripe_lock__goes_up_also_around_the_end)
{
	struct stripe_table *table = new_table(NSTRIPE);
	struct holder waiter, other;
	struct stripe_range range;

	stripe_lock(table, 0, 0, &range);
	holder_start(&waiter, table, 6, 9);
	thread_wait_asleep(&waiter.note);
	holder_start(&other, table, 6, 7);
	holder_wait(&other);
	holder_end(&other);
	ck_assert(!atomic_load(&waiter.has_range));
	stripe_unlock(&range);
	holder_wait(&waiter);
	holder_end(&waiter);
	stripe_table_free(table);
}
END_TEST

/* ---- As the validator sees it ---- */

START_TEST(stripe_range__is_one_lock_to_the_validator)
{
	struct stripe_table *table = new_table(STRIPE_RANGE_MAX);
	struct stripe_range range;
	struct mutex lane;

	mutex_init(&lane, &lane_class);
	mutex_lock_at(&lane, "A");
	stripe_lock_at(table, 0, STRIPE_RANGE_MAX - 1, &range, "B");
	ck_assert_quiet(&caught);
	sync_may_sleep("C");
	ck_assert_reported(&caught,
	    "sleep: at C with 'map' taken at B\n"
	    "  held: 'map' (rank 60) taken at B\n"
	    "  held: 'lane' (rank 40) taken at A\n");
	stripe_unlock(&range);
	mutex_unlock(&lane);
	mutex_fini(&lane);
	stripe_table_free(table);
}
END_TEST

/* LN-13: one map lock at a time. */
START_TEST(stripe_lock__of_two_ranges_is_reported)
{
	struct stripe_table *table = new_table(NSTRIPE);
	struct stripe_range range, second;

	stripe_lock_at(table, 0, 1, &range, "A");
	stripe_lock_at(table, 4, 5, &second, "B");
	ck_assert_reported(
	    &caught, "recursion: 'map' locked at B, by us already at A");
	stripe_unlock(&second);
	stripe_unlock(&range);
	stripe_table_free(table);
}
END_TEST

START_TEST(stripe_lock__never_waits_for_itself)
{
	struct stripe_table *table = new_table(NSTRIPE);
	struct stripe_range range, second;
	int status;
	pid_t pid;

	stripe_lock_at(table, 0, 1, &range, "A");
	ck_assert_int_ge(pid = fork(), 0);
	if (pid == 0) {
		struct rlimit none = { 0, 0 };

		(void)setrlimit(RLIMIT_CORE, &none);
		stripe_lock_at(table, 1, 2, &second, "B");
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGABRT);
	stripe_unlock(&range);
	stripe_table_free(table);
}
END_TEST

static NO_TSA void *
unlock(void *arg)
{
	static struct caught theirs;

	caught_start(&theirs);
	stripe_unlock_at(arg, "B");
	return &theirs;
}

static void *
covers(void *arg)
{
	return stripe_range_covers(arg, 2) ? arg : NULL;
}

START_TEST(stripe_unlock__by_a_stranger_is_reported_and_refused)
{
	struct stripe_table *table = new_table(NSTRIPE);
	struct stripe_range range;
	struct caught *theirs;

	stripe_lock_at(table, 2, 3, &range, "A");
	theirs = thread_run(unlock, &range);
	ck_assert_reported(theirs,
	    "owner: range of 'map' unlocked at B by a "
	    "stranger, taken at A");
	ck_assert(stripe_range_covers(&range, 2));
	ck_assert_ptr_null(thread_run(covers, &range));
	stripe_unlock(&range);
	stripe_table_free(table);
}
END_TEST

static NO_TSA void
unlock_twice(struct stripe_range *range) RELEASES(*range)
{
	stripe_unlock(range);
	stripe_unlock_at(range, "B");
}

START_TEST(stripe_unlock__twice_is_reported)
{
	struct stripe_table *table = new_table(NSTRIPE);
	struct stripe_range range;

	stripe_lock(table, 2, 3, &range);
	unlock_twice(&range);
	ck_assert_reported(
	    &caught, "owner: range of 'map' unlocked at B is not held");
	stripe_table_free(table);
}
END_TEST

/* ---- Many threads ---- */

struct stress {
	struct stripe_table *table;
	uint32_t count;
	unsigned nround;
	/* Guarded by its stripe alone: a second owner is a race to TSan. */
	unsigned long uses[32];
};

struct stress_worker {
	struct stress *stress;
	unsigned index;
	unsigned long nuse;
};

static void *
stress_ranges(void *arg)
{
	struct stress_worker *worker = arg;
	struct stress *stress = worker->stress;
	uint32_t state = 0x9e3779b9u * (worker->index + 1);
	struct caught theirs;

	caught_start(&theirs);
	for (unsigned round = 0; round < stress->nround; round++) {
		uint64_t first = thread_random(&state) % 1000;
		uint64_t n = thread_random(&state) % (stress->count + 2) + 1;
		struct stripe_range range;

		stripe_lock(stress->table, first, first + n - 1, &range);
		for (uint32_t i = 0; i < stress->count; i++) {
			if (!stripe_range_covers(&range, i))
				continue;
			stress->uses[i]++;
			worker->nuse++;
		}
		if (round % 32 == 0)
			sched_yield();
		stripe_unlock(&range);
	}
	ck_assert_quiet(&theirs);
	return NULL;
}

START_TEST(stripe_range__has_one_owner)
{
	static const uint32_t count[] = { 1, 2, 7, 16 };
	static struct stress stress;
	struct stress_worker worker[NTHREAD];
	pthread_t thread[NTHREAD];
	unsigned long nuse = 0;

	memset(&stress, 0, sizeof(stress));
	stress.count = count[_i];
	stress.table = new_table(stress.count);
	stress.nround = 3000;
	for (unsigned i = 0; i < NTHREAD; i++) {
		worker[i] = (struct stress_worker){ &stress, i, 0 };
		thread[i] = thread_start(stress_ranges, &worker[i]);
	}
	for (unsigned i = 0; i < NTHREAD; i++)
		thread_end(thread[i]);
	for (unsigned i = 0; i < NTHREAD; i++)
		nuse += worker[i].nuse;
	for (unsigned i = 0; i < stress.count; i++)
		nuse -= stress.uses[i];
	ck_assert_uint_eq(nuse, 0);
	stripe_table_free(stress.table);
}
END_TEST

struct runner {
	struct stripe_table *table;
	uint64_t first;
	uint64_t last;
};

static void *
lock_again_and_again(void *arg)
{
	const struct runner *runner = arg;
	struct stripe_range range;

	for (unsigned i = 0; i < 20000; i++) {
		stripe_lock(runner->table, runner->first, runner->last, &range);
		if (i % 64 == 0)
			sched_yield();
		stripe_unlock(&range);
	}
	return NULL;
}

/*
 * Each wraps, and starts where the other is in its middle: in the order of
 * their numbers they would take the shared locks in opposite directions.
 * A deadlock is ended by Check's timeout.
 */
START_TEST(stripe_lock__opposite_wrapping_ranges_never_deadlock)
{
	struct stripe_table *table = new_table(NSTRIPE);
	struct runner one = { table, 6, 6 + 5 };     /* 6 7 0 1 2 3 */
	struct runner other = { table, 10, 10 + 5 }; /* 2 3 4 5 6 7 */
	pthread_t thread[2];

	thread[0] = thread_start(lock_again_and_again, &one);
	thread[1] = thread_start(lock_again_and_again, &other);
	thread_end(thread[0]);
	thread_end(thread[1]);
	stripe_table_free(table);
}
END_TEST

static Suite *
stripe_suite(void)
{
	Suite *suite = suite_create("stripe");
	TCase *tcase = tcase_create("range");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, stripe_table_new__refuses_none);
	tcase_add_test(tcase,
	    stripe_table_free__with_a_stripe_held_is_reported_and_refused);
	tcase_add_loop_test(
	    tcase, stripe_lock__takes_exactly_its_range, 1, NSTRIPE + 1);
	tcase_add_test(
	    tcase, stripe_lock__takes_all_once_if_the_range_is_wider);
	tcase_add_test(tcase, stripe_lock__knows_numbers_beyond_32_bits);
	tcase_add_test(tcase, stripe_lock__waits_where_ranges_meet_only);
	tcase_add_test(tcase, stripe_lock__goes_up_also_around_the_end);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("rules");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, stripe_range__is_one_lock_to_the_validator);
	tcase_add_test(tcase, stripe_lock__of_two_ranges_is_reported);
	tcase_add_test(tcase, stripe_lock__never_waits_for_itself);
	tcase_add_test(
	    tcase, stripe_unlock__by_a_stranger_is_reported_and_refused);
	tcase_add_test(tcase, stripe_unlock__twice_is_reported);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("stress");
	tcase_set_timeout(tcase, 100);
	tcase_add_loop_test(tcase, stripe_range__has_one_owner, 0, 4);
	tcase_add_test(
	    tcase, stripe_lock__opposite_wrapping_ranges_never_deadlock);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return check_main(stripe_suite());
}

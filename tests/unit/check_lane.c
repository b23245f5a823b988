/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which lanes a caller gets, how it waits, and what the validator says of
 * those who break the rules (LN-2 to LN-6, LN-12).
 */
#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include <lanes/lane.h>

#include "support/check_locks.h"
#include "support/check_main.h"

static const struct lock_class dev_class = { "dev", 20, LOCK_MAY_SLEEP };
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

static struct lane_set *
new_set(unsigned nlane)
{
	struct lane_set *set;

	ck_assert_int_eq(lane_set_new(nlane, &lane_class, &set), 0);
	return set;
}

/* Another thread with a span, until it is told to leave. */
struct holder {
	struct lane_set *set;
	unsigned home;
	unsigned want; /* lanes, or fewer if no more are free */
	struct lane_span span;
	thread_note note;
	atomic_bool has_lanes;
	atomic_bool may_leave;
	pthread_t thread;
};

static void *
hold(void *arg)
{
	struct holder *holder = arg;

	thread_note_self(&holder->note);
	lane_span_enter_at(holder->set, holder->home, &holder->span, "hold");
	while (holder->span.nlane < holder->want &&
	    lane_span_extend(&holder->span))
		;
	atomic_store(&holder->has_lanes, true);
	while (!atomic_load(&holder->may_leave))
		sched_yield();
	lane_span_leave(&holder->span);
	return NULL;
}

static void
holder_start(
    struct holder *holder, struct lane_set *set, unsigned home, unsigned want)
{
	memset(holder, 0, sizeof(*holder));
	holder->set = set;
	holder->home = home;
	holder->want = want;
	holder->thread = thread_start(hold, holder);
}

static void
holder_wait(struct holder *holder)
{
	while (!atomic_load(&holder->has_lanes))
		sched_yield();
}

static void
holder_end(struct holder *holder)
{
	atomic_store(&holder->may_leave, true);
	thread_end(holder->thread);
}

/* ---- Sets: LN-4, LN-12 ---- */

START_TEST(lane_set_new__refuses_silly_counts)
{
	struct lane_set *const untouched = (struct lane_set *)&caught;
	struct lane_set *set = untouched;

	ck_assert_int_eq(lane_set_new(0, &lane_class, &set), -EINVAL);
	ck_assert_int_eq(
	    lane_set_new(LANE_SET_MAX + 1, &lane_class, &set), -EINVAL);
	ck_assert_int_eq(lane_set_new(UINT_MAX, &lane_class, &set), -EINVAL);
	ck_assert_ptr_eq(set, untouched);
}
END_TEST

START_TEST(lane_set_new__makes_every_count_there_is)
{
	for (unsigned nlane = 1; nlane <= LANE_SET_MAX; nlane++) {
		struct lane_set *set = new_set(nlane);

		ck_assert_uint_eq(lane_set_count(set), nlane);
		ck_assert_uint_eq((uintptr_t)set % LANES_CACHE_LINE, 0);
		lane_set_free(set);
	}
	lane_set_free(NULL);
}
END_TEST

START_TEST(lane_set_free__with_a_lane_held_is_reported_and_refused)
{
	struct lane_set *set = new_set(4);
	struct lane_span span;

	lane_span_enter_at(set, 2, &span, "A");
	lane_set_free(set);
	ck_assert_reported(
	    &caught, "destroy: lane 2 of 'lane' is held, taken at A");
	lane_span_leave(&span);
	lane_set_free(set);
}
END_TEST

/* ---- Choice ---- */

START_TEST(lane_span_enter__takes_home_if_free)
{
	static const unsigned home[] = { 0, 1, 4, 5, 6, 1000, UINT_MAX };
	struct lane_set *set = new_set(5);
	struct lane_span span;

	for (unsigned i = 0; i < sizeof(home) / sizeof(home[0]); i++) {
		lane_span_enter(set, home[i], &span);
		ck_assert_uint_eq(span.nlane, 1);
		ck_assert_uint_eq(span.lane[0], home[i] % 5);
		lane_span_leave(&span);
	}
	ck_assert_uint_eq(lane_set_waits(set), 0);
	ck_assert_uint_eq(lane_set_wait_ns(set), 0);
	lane_set_free(set);
}
END_TEST

/*
 * Of every home in sets of every small size: three other lanes are tried, all
 * different, before a caller sleeps.
 */
START_TEST(lane_span_enter__tries_three_other_lanes)
{
	unsigned nlane = (unsigned)_i;
	struct lane_set *set = new_set(nlane);

	for (unsigned home = 0; home < nlane; home++) {
		struct holder holder[4];
		bool seen[16] = { false };

		for (unsigned i = 0; i < 4 && i < nlane; i++) {
			unsigned lane;

			holder_start(&holder[i], set, home, 1);
			holder_wait(&holder[i]);
			lane = holder[i].span.lane[0];
			ck_assert_uint_lt(lane, nlane);
			ck_assert(i > 0 || lane == home);
			ck_assert(!seen[lane]);
			seen[lane] = true;
		}
		ck_assert_uint_eq(lane_set_waits(set), 0);
		for (unsigned i = 0; i < 4 && i < nlane; i++)
			holder_end(&holder[i]);
	}
	lane_set_free(set);
}
END_TEST

/* Callers pushed from neighbouring homes do not follow each other. */
START_TEST(lane_span_enter__strides_differ_by_home)
{
	struct lane_set *set = new_set(64);
	unsigned stride[8];

	for (unsigned home = 0; home < 8; home++) {
		struct holder first, second;

		holder_start(&first, set, home, 1);
		holder_wait(&first);
		holder_start(&second, set, home, 1);
		holder_wait(&second);
		stride[home] = (second.span.lane[0] + 64 - home) % 64;
		holder_end(&first);
		holder_end(&second);
		ck_assert(home == 0 || stride[home] != stride[home - 1]);
	}
	lane_set_free(set);
}
END_TEST

/* All is taken: the caller sleeps for its home, and not for another lane. */
START_TEST(lane_span_enter__sleeps_at_home)
{
	struct lane_set *set = new_set(2);
	struct holder zero, one, waiter;

	holder_start(&zero, set, 0, 1);
	holder_wait(&zero);
	holder_start(&one, set, 1, 1);
	holder_wait(&one);
	holder_start(&waiter, set, 1, 1);
	thread_wait_asleep(&waiter.note);
	while (lane_set_waits(set) == 0)
		sched_yield();
	thread_wait_asleep(&waiter.note);
	holder_end(&zero);
	ck_assert(!atomic_load(&waiter.has_lanes));
	holder_end(&one);
	holder_wait(&waiter);
	ck_assert_uint_eq(waiter.span.lane[0], 1);
	holder_end(&waiter);
	ck_assert_uint_eq(lane_set_waits(set), 1);
	ck_assert_uint_gt(lane_set_wait_ns(set), 0);
	lane_set_free(set);
}
END_TEST

static void *
enter_and_time(void *arg)
{
	struct holder *holder = arg;
	struct timespec *spent = calloc(1, sizeof(*spent));
	struct lane_span span;

	ck_assert_ptr_nonnull(spent);
	thread_note_self(&holder->note);
	lane_span_enter(holder->set, 0, &span);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, spent);
	lane_span_leave(&span);
	return spent;
}

/* LN-3: the owner may sleep, so whoever waits for it does not spin. */
START_TEST(lane_span_enter__waits_without_spinning)
{
	const struct timespec owner_sleeps = { 0, 300000000 };
	struct lane_set *set = new_set(1);
	struct holder waiter = { .set = set };
	struct lane_span span;
	struct timespec *spent;

	lane_span_enter(set, 0, &span);
	waiter.thread = thread_start(enter_and_time, &waiter);
	thread_wait_asleep(&waiter.note);
	sync_may_sleep("A");
	nanosleep(&owner_sleeps, NULL);
	lane_span_leave(&span);
	spent = thread_end(waiter.thread);
	ck_assert_int_eq(spent->tv_sec, 0);
	ck_assert_int_lt(spent->tv_nsec, owner_sleeps.tv_nsec / 3);
	free(spent);
	lane_set_free(set);
}
END_TEST

/* ---- Spans ---- */

START_TEST(lane_span_extend__takes_every_free_lane_once)
{
	unsigned nlane = (unsigned)_i;
	struct lane_set *set = new_set(nlane);
	bool seen[LANE_SPAN_MAX] = { false };
	struct lane_span span;

	lane_span_enter(set, nlane / 2, &span);
	while (lane_span_extend(&span))
		;
	ck_assert_uint_eq(span.nlane, nlane);
	for (unsigned i = 0; i < nlane; i++) {
		ck_assert_uint_lt(span.lane[i], nlane);
		ck_assert(!seen[span.lane[i]]);
		seen[span.lane[i]] = true;
		ck_assert(lane_span_holds(&span, i));
	}
	lane_span_leave(&span);
	ck_assert_uint_eq(lane_set_waits(set), 0);
	lane_set_free(set);
}
END_TEST

START_TEST(lane_span_extend__stops_at_the_limit)
{
	struct lane_set *set = new_set(LANE_SET_MAX);
	struct lane_span span;

	lane_span_enter(set, LANE_SET_MAX - 1, &span);
	for (unsigned i = 1; i < LANE_SPAN_MAX; i++)
		ck_assert(lane_span_extend(&span));
	ck_assert(!lane_span_extend(&span));
	ck_assert_uint_eq(span.nlane, LANE_SPAN_MAX);
	lane_span_leave(&span);
	lane_set_free(set);
}
END_TEST

/* The one free lane is found wherever it is. */
START_TEST(lane_span_extend__finds_the_last_free_lane)
{
	struct lane_set *set = new_set(9);
	struct holder holder[7];
	struct lane_span span;
	unsigned taken = 0;

	for (unsigned lane = 0; lane < 9; lane++) {
		if (lane == 3 || lane == (unsigned)_i)
			continue;
		holder_start(&holder[taken], set, lane, 1);
		holder_wait(&holder[taken]);
		ck_assert_uint_eq(holder[taken].span.lane[0], lane);
		if (++taken == 7)
			break;
	}
	lane_span_enter(set, 3, &span);
	ck_assert(lane_span_extend(&span));
	ck_assert(!lane_span_extend(&span));
	lane_span_leave(&span);
	while (taken > 0)
		holder_end(&holder[--taken]);
	lane_set_free(set);
}
END_TEST

/* All lanes are another's and it never lets go meanwhile: false, at once. */
START_TEST(lane_span_extend__never_waits)
{
	struct lane_set *set = new_set(8);
	struct holder holder;
	struct lane_span span;

	lane_span_enter(set, 3, &span);
	holder_start(&holder, set, 0, 8);
	holder_wait(&holder);
	ck_assert_uint_eq(holder.span.nlane, 7);
	ck_assert(!lane_span_extend(&span));
	ck_assert_uint_eq(span.nlane, 1);
	holder_end(&holder);
	ck_assert(lane_span_extend(&span));
	lane_span_leave(&span);
	ck_assert_uint_eq(lane_set_waits(set), 0);
	lane_set_free(set);
}
END_TEST

static void *
has_lane(void *arg)
{
	return lane_span_holds(arg, 0) ? arg : NULL;
}

START_TEST(lane_span_holds__own_lanes_only)
{
	struct lane_set *set = new_set(4);
	struct lane_span span;

	lane_span_enter(set, 0, &span);
	ck_assert(lane_span_holds(&span, 0));
	ck_assert(!lane_span_holds(&span, 1));
	ck_assert(!lane_span_holds(&span, 4));
	ck_assert(!lane_span_holds(&span, UINT_MAX));
	ck_assert_ptr_null(thread_run(has_lane, &span));
	lane_span_leave(&span);
	ck_assert(!lane_span_holds(&span, 0));
	lane_set_free(set);
}
END_TEST

/* ---- As the validator sees it ---- */

/* Else a wide span would leave no room for the locks under it. */
START_TEST(lane_span__is_one_lock_to_the_validator)
{
	struct lane_set *set = new_set(LANE_SPAN_MAX);
	struct mutex dev, map;
	struct lane_span span;

	mutex_init(&dev, &dev_class);
	mutex_init(&map, &map_class);
	mutex_lock(&dev);
	lane_span_enter_at(set, 0, &span, "A");
	while (lane_span_extend(&span))
		;
	sync_may_sleep("B");
	mutex_lock(&map);
	sync_assert_none_held("C");
	ck_assert_reported(&caught,
	    "\n  held: 'map' (rank 60)"); /* one line each, these three */
	ck_assert_ptr_nonnull(strstr(caught.last,
	    "\n  held: 'lane' (rank 40) taken at A\n  held: 'dev' (rank 20)"));
	mutex_unlock(&map);
	lane_span_leave(&span);
	mutex_unlock(&dev);
	mutex_fini(&map);
	mutex_fini(&dev);
	lane_set_free(set);
}
END_TEST

START_TEST(lane_span_enter__under_a_map_lock_is_reported)
{
	struct lane_set *set = new_set(4);
	struct lane_span span;
	struct mutex map;

	mutex_init(&map, &map_class);
	mutex_lock_at(&map, "A");
	lane_span_enter_at(set, 0, &span, "B");
	ck_assert_reported(&caught,
	    "rank: 'lane' (rank 40) locked at B after 'map' (rank 60) "
	    "taken at A");
	lane_span_leave(&span);
	mutex_unlock(&map);
	mutex_fini(&map);
	lane_set_free(set);
}
END_TEST

/* LN-5 */
START_TEST(lane_span__held_at_a_reply_is_reported)
{
	struct lane_set *set = new_set(4);
	struct lane_span span;

	lane_span_enter_at(set, 0, &span, "A");
	sync_assert_none_held("reply");
	ck_assert_reported(
	    &caught, "held: at reply nothing may be, but 'lane' taken at A is");
	lane_span_leave(&span);
	sync_assert_none_held("reply");
	lane_set_free(set);
}
END_TEST

/* LN-2: and the lanes are different ones, so nothing is shared. */
START_TEST(lane_span_enter__twice_is_reported)
{
	struct lane_set *set = new_set(4);
	struct lane_span span, second;

	lane_span_enter_at(set, 1, &span, "A");
	lane_span_enter_at(set, 1, &second, "B");
	ck_assert_reported(
	    &caught, "recursion: 'lane' locked at B, by us already at A");
	ck_assert_uint_ne(span.lane[0], second.lane[0]);
	lane_span_leave(&second);
	ck_assert(lane_span_holds(&span, 1));
	lane_span_leave(&span);
	lane_set_free(set);
}
END_TEST

/* Two devices at once: no order between them is designed (LK-4). */
START_TEST(lane_span_enter__of_another_set_is_reported)
{
	struct lane_set *set = new_set(4);
	struct lane_set *other = new_set(4);
	struct lane_span span, second;

	lane_span_enter_at(set, 1, &span, "A");
	lane_span_enter_at(other, 1, &second, "B");
	ck_assert_reported(&caught, "class: 'lane' locked at B");
	lane_span_leave(&second);
	lane_span_leave(&span);
	lane_set_free(other);
	lane_set_free(set);
}
END_TEST

static NO_TSA void *
leave(void *arg)
{
	static struct caught theirs;

	caught_start(&theirs);
	lane_span_leave_at(arg, "B");
	return &theirs;
}

/* LN-6 */
START_TEST(lane_span_leave__by_a_stranger_is_reported_and_refused)
{
	struct lane_set *set = new_set(2);
	struct caught *theirs;
	struct lane_span span;
	struct holder other;

	lane_span_enter_at(set, 1, &span, "A");
	theirs = thread_run(leave, &span);
	ck_assert_reported(theirs,
	    "owner: lane 1 of 'lane' left at B by a stranger, taken at A");
	ck_assert(lane_span_holds(&span, 1));
	holder_start(&other, set, 1, 2);
	holder_wait(&other);
	ck_assert_uint_eq(other.span.nlane, 1);
	ck_assert_uint_eq(other.span.lane[0], 0);
	holder_end(&other);
	lane_span_leave(&span);
	lane_set_free(set);
}
END_TEST

static NO_TSA void *
extend(void *arg)
{
	static struct caught theirs;

	caught_start(&theirs);
	ck_assert(!lane_span_extend_at(arg, "B"));
	return &theirs;
}

START_TEST(lane_span_extend__by_a_stranger_is_reported_and_refused)
{
	struct lane_set *set = new_set(2);
	struct caught *theirs;
	struct lane_span span;

	lane_span_enter_at(set, 1, &span, "A");
	theirs = thread_run(extend, &span);
	ck_assert_reported(
	    theirs, "owner: lane 1 of 'lane' extended at B by a stranger");
	ck_assert_uint_eq(span.nlane, 1);
	lane_span_leave(&span);
	lane_set_free(set);
}
END_TEST

static NO_TSA void
leave_twice(struct lane_span *span) RELEASES(*span)
{
	lane_span_leave(span);
	lane_span_leave_at(span, "B");
}

START_TEST(lane_span_leave__twice_is_reported)
{
	struct lane_set *set = new_set(2);
	struct lane_span span;

	lane_span_enter(set, 1, &span);
	leave_twice(&span);
	ck_assert_reported(
	    &caught, "owner: span of 'lane' left at B is not held");
	lane_set_free(set);
}
END_TEST

/* To wait for oneself is the end, in every build. */
START_TEST(lane_span_enter__never_waits_for_itself)
{
	struct lane_set *set = new_set(1);
	struct lane_span span, second;
	int status;
	pid_t pid;

	lane_span_enter_at(set, 0, &span, "A");
	ck_assert_int_ge(pid = fork(), 0);
	if (pid == 0) {
		struct rlimit none = { 0, 0 };

		(void)setrlimit(RLIMIT_CORE, &none);
		lane_span_enter_at(set, 0, &second, "B");
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGABRT);
	lane_span_leave(&span);
	lane_set_free(set);
}
END_TEST

static Suite *
lane_suite(void)
{
	Suite *suite = suite_create("lane");
	TCase *tcase = tcase_create("set");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, lane_set_new__refuses_silly_counts);
	tcase_add_test(tcase, lane_set_new__makes_every_count_there_is);
	tcase_add_test(
	    tcase, lane_set_free__with_a_lane_held_is_reported_and_refused);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("choice");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, lane_span_enter__takes_home_if_free);
	tcase_add_loop_test(
	    tcase, lane_span_enter__tries_three_other_lanes, 1, 17);
	tcase_add_test(tcase, lane_span_enter__strides_differ_by_home);
	tcase_add_test(tcase, lane_span_enter__sleeps_at_home);
	tcase_add_test(tcase, lane_span_enter__waits_without_spinning);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("span");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 30);
	tcase_add_loop_test(tcase, lane_span_extend__takes_every_free_lane_once,
	    1, LANE_SPAN_MAX + 1);
	tcase_add_test(tcase, lane_span_extend__stops_at_the_limit);
	tcase_add_loop_test(
	    tcase, lane_span_extend__finds_the_last_free_lane, 0, 9);
	tcase_add_test(tcase, lane_span_extend__never_waits);
	tcase_add_test(tcase, lane_span_holds__own_lanes_only);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("rules");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, lane_span__is_one_lock_to_the_validator);
	tcase_add_test(tcase, lane_span_enter__under_a_map_lock_is_reported);
	tcase_add_test(tcase, lane_span__held_at_a_reply_is_reported);
	tcase_add_test(tcase, lane_span_enter__twice_is_reported);
	tcase_add_test(tcase, lane_span_enter__of_another_set_is_reported);
	tcase_add_test(
	    tcase, lane_span_leave__by_a_stranger_is_reported_and_refused);
	tcase_add_test(
	    tcase, lane_span_extend__by_a_stranger_is_reported_and_refused);
	tcase_add_test(tcase, lane_span_leave__twice_is_reported);
	tcase_add_test(tcase, lane_span_enter__never_waits_for_itself);
	suite_add_tcase(suite, tcase);

	return suite;
}

int
main(void)
{
	return check_main(lane_suite());
}

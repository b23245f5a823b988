/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The validator's test of itself: every shape of a wrong use of locks that
 * control-plane.md E.2 and E.4 name is reported, and every shape that is meant
 * to be is let pass.  One process each, since what is learned stays.
 */
#include <assert.h>

#include <lanes/idle.h>
#include <lanes/lane.h>
#include <lanes/sync.h>

#include "support/check_main.h"
#include "support/held_fixture.h"

/* Without ranks, so that only what is learned can be against it. */
static const struct lock_class a_class = { "a", 0, LOCK_UNRANKED };
static const struct lock_class b_class = { "b", 0, LOCK_UNRANKED };
static const struct lock_class c_class = { "c", 0, LOCK_UNRANKED };
static const struct lock_class probe_class = { "probe-idle", 0, LOCK_IDLE };

static struct mutex a, a2, b, b2, c;
static struct idle probes;
static struct lane_set *set;
static struct cond cond;

static void
setup(void)
{
	held_setup();
	mutex_init(&a, &a_class);
	mutex_init(&a2, &a_class);
	mutex_init(&b, &b_class);
	mutex_init(&b2, &b_class);
	mutex_init(&c, &c_class);
	idle_init(&probes, &probe_class);
	cond_init(&cond);
	ck_assert_int_eq(lane_set_new(4, &lane_class, &set), 0);
}

static void
nest(struct mutex *first, struct mutex *second)
{
	mutex_lock(first);
	mutex_lock(second);
	mutex_unlock(second);
	mutex_unlock(first);
}

/* Another thread does it; what is reported there counts as if it were here. */
static void *
run_elsewhere(void *arg)
{
	void (*run)(void) = *(void (**)(void))arg;

	sync_catch_violations(caught_first, &caught);
	run();
	return NULL;
}

static void
elsewhere(void (*run)(void))
{
	(void)thread_run(run_elsewhere, &run);
}

/* --- Shapes that must be reported --- */

static void
abba(void)
{
	nest(&a, &b);
	nest(&b, &a);
}

static void
nest_b_a(void)
{
	nest(&b, &a);
}

static void
abba_in_two_threads(void)
{
	nest(&a, &b);
	elsewhere(nest_b_a);
}

static void
abba_across_instances(void)
{
	nest(&a, &b);
	nest(&b2, &a2);
}

static void
cycle_of_three(void)
{
	nest(&a, &b);
	nest(&b, &c);
	nest(&c, &a);
}

static void
recursion(void)
{
	bool again;

	mutex_lock(&lane);
	again = mutex_trylock(&lane);
	(void)again; /* what it says after that is not the point */
	mutex_unlock(&lane);
}

static void
two_of_a_class(void)
{
	nest(&lane, &lane2);
}

static void
unlock_lane(void)
{
	mutex_unlock(&lane);
}

static void
release_by_a_stranger(void)
{
	mutex_lock(&lane);
	elsewhere(unlock_lane);
	mutex_unlock(&lane);
}

static void
release_twice(void)
{
	mutex_lock(&lane);
	mutex_unlock(&lane);
	mutex_unlock(&lane);
}

static void
reply_with_a_lock(void)
{
	mutex_lock(&lane);
	sync_assert_none_held("reply");
	mutex_unlock(&lane);
}

static void
rest_with_a_lock(void)
{
	mutex_lock(&registry);
	sync_assert_at_rest("worker");
	mutex_unlock(&registry);
}

static void
rest_at_work(void)
{
	idle_enter(&probes);
	sync_assert_at_rest("worker");
	idle_leave(&probes);
}

static void
lock_registry(void)
{
	mutex_lock(&registry);
}

static void
end_with_a_lock(void)
{
	elsewhere(lock_registry);
}

static void
sleep_with_registry(void)
{
	mutex_lock(&registry);
	sync_may_sleep("pread");
	mutex_unlock(&registry);
}

static void
sleep_with_map(void)
{
	mutex_lock(&lane);
	mutex_lock(&map);
	sync_may_sleep("fdatasync");
	mutex_unlock(&map);
	mutex_unlock(&lane);
}

static void
condition_with_another_lock(void)
{
	mutex_lock(&dev);
	mutex_lock(&registry);
	(void)cond_wait_ms(&cond, &registry, 1);
	mutex_unlock(&registry);
	mutex_unlock(&dev);
}

static void
idle_wait_with_a_lock(void)
{
	mutex_lock(&dev);
	idle_wait(&probes);
	mutex_unlock(&dev);
}

/* The shape of patch 6, each half of which is allowed by itself. */
static void
wait_for_work_that_wants_the_lock(void)
{
	idle_enter(&probes);
	mutex_lock(&a);
	mutex_unlock(&a);
	idle_leave(&probes);
	mutex_lock(&a);
	idle_wait(&probes);
	mutex_unlock(&a);
}

static void
wait_for_oneself(void)
{
	idle_enter(&probes);
	idle_wait(&probes);
	idle_leave(&probes);
}

static void
lower_rank(void)
{
	nest(&map, &lane);
}

static void
under_a_leaf(void)
{
	nest(&event, &last);
}

static void
too_deep(void)
{
	for (unsigned i = 0; i <= SYNC_HELD_MAX; i++)
		mutex_lock(&many[i]);
	for (unsigned i = 0; i <= SYNC_HELD_MAX; i++)
		mutex_unlock(&many[i]);
}

static void
destroy_held(void)
{
	mutex_lock(&lane);
	mutex_fini(&lane);
	mutex_unlock(&lane);
}

static void
free_with_a_lock_in_it(void)
{
	sync_assert_no_lock_in(&lane, sizeof(lane));
}

static void
lane_at_reply(void)
{
	struct lane_span span;

	lane_span_enter(set, 0, &span);
	sync_assert_none_held("reply");
	lane_span_leave(&span);
}

static void
lane_twice(void)
{
	struct lane_span span, again;

	lane_span_enter(set, 0, &span);
	lane_span_enter(set, 1, &again);
	lane_span_leave(&again);
	lane_span_leave(&span);
}

static void
lane_under_map(void)
{
	struct lane_span span;

	mutex_lock(&map);
	lane_span_enter(set, 0, &span);
	lane_span_leave(&span);
	mutex_unlock(&map);
}

/* --- Shapes that must be let pass --- */

static void
designed_order(void)
{
	for (unsigned i = 0; i < 1000; i++) {
		mutex_lock(&dev);
		nest(&registry, &event);
		mutex_unlock(&dev);
		mutex_lock(&lane);
		nest(&map, &event);
		mutex_unlock(&lane);
	}
}

static void
one_order_across_instances(void)
{
	nest(&a, &b);
	nest(&a2, &b2);
	nest(&a, &b2);
}

static void
sleep_with_a_lane(void)
{
	mutex_lock(&dev);
	mutex_lock(&lane);
	sync_may_sleep("pwrite");
	mutex_unlock(&lane);
	mutex_unlock(&dev);
}

static void
condition_with_its_mutex(void)
{
	mutex_lock(&registry);
	(void)cond_wait_ms(&cond, &registry, 1);
	mutex_unlock(&registry);
}

/* Patch 6 as it was mended: drop all, wait, take again. */
static void
wait_with_all_dropped(void)
{
	idle_enter(&probes);
	nest(&dev, &registry);
	idle_leave(&probes);
	mutex_lock(&dev);
	mutex_unlock(&dev);
	idle_wait(&probes);
	nest(&dev, &registry);
}

/* More lanes by trylock only, in whatever order they come. */
static void
scan_of_lanes(void)
{
	struct lane_span span;

	lane_span_enter(set, 2, &span);
	while (lane_span_extend(&span))
		;
	sync_may_sleep("fsync");
	lane_span_leave(&span);
}

static void
trylock_backwards(void)
{
	nest(&a, &b);
	mutex_lock(&b);
	if (mutex_trylock(&a))
		mutex_unlock(&a);
	mutex_unlock(&b);
}

static void
release_in_any_order(void)
{
	mutex_lock(&dev);
	mutex_lock(&lane);
	mutex_lock(&map);
	mutex_unlock(&dev);
	mutex_unlock(&map);
	mutex_unlock(&lane);
}

static void
one_after_the_other(void)
{
	mutex_lock(&map);
	mutex_unlock(&map);
	mutex_lock(&lane);
	mutex_unlock(&lane);
	nest(&a, &b);
	mutex_lock(&b);
	mutex_unlock(&b);
	mutex_lock(&a);
	mutex_unlock(&a);
}

static void
work_under_any_lock(void)
{
	mutex_lock(&map);
	idle_enter(&probes);
	idle_leave(&probes);
	mutex_unlock(&map);
	idle_wait(&probes);
}

static const struct shape {
	const char *name; /* with the requirement */
	void (*run)(void);
	const char *says; /* the beginning of the report; NULL: none */
} shapes[] = {
	{ "LK-1 ABBA in one thread", abba, "order: 'a' waited for" },
	{ "LK-1 ABBA in two threads", abba_in_two_threads,
	    "order: 'a' waited for" },
	{ "LK-1 ABBA across instances", abba_across_instances,
	    "order: 'a' waited for" },
	{ "LK-2 a cycle of three", cycle_of_three, "order: 'a' waited for" },
	{ "LK-3 recursion", recursion, "recursion: 'lane'" },
	{ "LK-4 two of a class", two_of_a_class, "class: " },
	{ "LK-5 release by a stranger", release_by_a_stranger,
	    "owner: 'lane' released" },
	{ "LK-5 release twice", release_twice, "owner: 'lane' released" },
	{ "LK-6 a reply with a lock", reply_with_a_lock, "held: at reply" },
	{ "LK-6 a worker without work with a lock", rest_with_a_lock,
	    "rest: at worker" },
	{ "LK-6 a worker without work at work", rest_at_work,
	    "rest: at worker" },
	{ "LK-6 a thread ends with a lock", end_with_a_lock, "exit: " },
	{ "LK-7 sleep with the registry", sleep_with_registry,
	    "sleep: at pread with 'registry'" },
	{ "LK-7 sleep with a map lock", sleep_with_map,
	    "sleep: at fdatasync with 'map'" },
	{ "LK-8 a condition with another lock", condition_with_another_lock,
	    "wait: " },
	{ "LK-8 a wait for idle with a lock", idle_wait_with_a_lock,
	    "wait: for 'probe-idle'" },
	{ "LK-8 a wait for who wants the lock",
	    wait_for_work_that_wants_the_lock, "order: 'probe-idle'" },
	{ "LK-8 a wait for oneself", wait_for_oneself,
	    "wait: for 'probe-idle'" },
	{ "LK-9 a lower rank", lower_rank, "rank: 'lane'" },
	{ "LK-9 under a leaf", under_a_leaf, "leaf: " },
	{ "too many locks", too_deep, "depth: " },
	{ "LK-10 a held lock is destroyed", destroy_held, "destroy: 'lane'" },
	{ "LK-10 memory with a lock is freed", free_with_a_lock_in_it,
	    "memory: freed" },
	{ "LK-6 a reply with a lane", lane_at_reply, "held: at reply" },
	{ "LK-3 a lane and another of its set", lane_twice,
	    "recursion: 'lane'" },
	{ "LK-9 a lane under a map lock", lane_under_map, "rank: " },
	{ "the designed order", designed_order, NULL },
	{ "one order across instances", one_order_across_instances, NULL },
	{ "sleep with a lane", sleep_with_a_lane, NULL },
	{ "a condition with its mutex", condition_with_its_mutex, NULL },
	{ "a wait with all dropped", wait_with_all_dropped, NULL },
	{ "a scan of lanes", scan_of_lanes, NULL },
	{ "trylock backwards", trylock_backwards, NULL },
	{ "release in any order", release_in_any_order, NULL },
	{ "one after the other", one_after_the_other, NULL },
	{ "work under any lock", work_under_any_lock, NULL },
};
#define NSHAPE (sizeof(shapes) / sizeof(shapes[0]))

START_TEST(shape__is_told_or_let_pass)
{
	const struct shape *shape = &shapes[_i];

	sync_catch_violations(caught_first, &caught);
	shape->run();
	if (shape->says == NULL)
		ck_assert_msg(caught.count == 0, "%s: reported: %s",
		    shape->name, caught.last);
	else
		ck_assert_msg(caught.count > 0 &&
			strstr(caught.last, shape->says) != NULL,
		    "%s: %u reports, not '%s': %s", shape->name, caught.count,
		    shape->says, caught.last);
}
END_TEST

int
main(void)
{
	Suite *suite;
	TCase *tcase;

	static_assert(NSHAPE >= 20, "the requirement");
	suite = suite_create("shapes");
	tcase = tcase_create("shape");
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_loop_test(tcase, shape__is_told_or_let_pass, 0, NSHAPE);
	suite_add_tcase(suite, tcase);
	return check_main(suite);
}

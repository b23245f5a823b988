/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lane_unlocked -- lanes whose lock is left out, for T-B4: a test of tests.
 *
 * Linked in the place of lanes/lane.c.  A lane is chosen by the processor that
 * the thread happens to run on, and whoever holds it already is not asked:
 * what Linux did from 2023 to 2026, when preemption had undone the only thing
 * that kept two owners apart (control-plane.md B.1).
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include <lanes/lane.h>

struct lane_set {
	unsigned nlane;
};

int
lane_set_new_at(unsigned nlane, const struct lock_class *class,
    struct lane_set **ret_set, const char *here)
{
	(void)class;
	(void)here;
	if ((*ret_set = calloc(1, sizeof(**ret_set))) == NULL)
		return -ENOMEM;
	(*ret_set)->nlane = nlane;
	return 0;
}

void
lane_set_free(struct lane_set *set)
{
	free(set);
}

unsigned
lane_set_count(const struct lane_set *set)
{
	return set->nlane;
}

const void *
lane_set_object(const struct lane_set *set)
{
	return set;
}

uint64_t
lane_set_waits(const struct lane_set *set)
{
	(void)set;
	return 0;
}

uint64_t
lane_set_wait_ns(const struct lane_set *set)
{
	(void)set;
	return 0;
}

NO_TSA void
lane_span_enter_at(struct lane_set *set, unsigned home, struct lane_span *span,
    const char *here)
{
	(void)home;
	(void)here;
	span->set = set;
	span->nlane = 1;
	span->lane[0] = (uint16_t)((unsigned)sched_getcpu() % set->nlane);
}

bool
lane_span_extend_at(struct lane_span *span, const char *here)
{
	(void)span;
	(void)here;
	return false;
}

NO_TSA void
lane_span_leave_at(struct lane_span *span, const char *here)
{
	(void)here;
	span->nlane = 0;
}

bool
lane_span_holds(const struct lane_span *span, unsigned lane)
{
	return span->nlane > 0 && span->lane[0] == lane;
}

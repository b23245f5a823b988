/* SPDX-License-Identifier: BSD-3-Clause */
#include "sched.h"

#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <btt/media.h>

#include "held.h"
#include "hook.h"
#include "random.h"
#include "sim_media.h"
#include "sim_memory.h"
#include "sync_sim.h"
#include "world.h"

#define STACK_BYTES (256u << 10)
#define STEPS_MAX 40000u
/* Turns of waiting threads in a row after which nothing will come of it. */
#define IDLE_MAX 300u
#define NENTITY (2 * SCHED_THREADS)
#define DFS_DEPTH 4096u

enum state {
	FINISHED,
	RUNNABLE,
	BLOCKED
};

/* A media_try: where a fault in it leads to. */
struct guard {
	sigjmp_buf env;
	struct guard *outer;
};

struct thread {
	ucontext_t context;
	uint8_t *stack;
	enum state state;
	bool pausing;       /* at a backoff, until another's step */
	const void *object; /* blocked on */
	struct held_stack held;
	struct guard *guard; /* innermost media_try */
	int64_t priority;
};

/* A decision of the depth-first walk. */
struct dfs_choice {
	uint8_t nalternative;
	uint8_t chosen;
	uint8_t npreempt; /* before it */
};

static struct {
	ucontext_t main;
	struct thread thread[SCHED_THREADS];
	struct held_stack main_held;
	struct guard *main_guard;
	unsigned nthread;
	int current; /* -1: the main context */
	bool active;
	void (*body)(unsigned thread);
	enum sched_result result;

	enum sched_mode mode;
	unsigned depth;
	unsigned expected_steps;
	struct rng rng;
	int64_t buffer_priority[SCHED_THREADS];
	int64_t lowest;
	uint32_t change_at[8];

	uint32_t ndecision;
	uint32_t idle;
	struct sched_trace trace;
	struct sched_trace replay;
	unsigned replay_next;

	struct dfs_choice dfs[DFS_DEPTH];
	unsigned ndfs; /* of the last run */
	unsigned dfs_prefix;
	unsigned npreempt;
} s = { .current = -1 };

bool
sched_is_active(void)
{
	return s.active && s.current >= 0;
}

bool
sched_set_active(bool active)
{
	bool before = s.active;

	s.active = active;
	/* Locks of recovery and checks are not those of the thread. */
	sim_held =
	    active && s.current >= 0 ? &s.thread[s.current].held : &s.main_held;
	return before;
}

const struct sched_trace *
sched_trace(void)
{
	return &s.trace;
}

uint32_t
sched_steps(void)
{
	return s.ndecision;
}

void
sched_set_replay(const struct sched_trace *trace)
{
	s.replay = *trace;
}

/* ---- choosing ---- */

static bool
is_ready(unsigned e)
{
	if (e >= SCHED_THREADS)
		return e - SCHED_THREADS < s.nthread &&
		    sim_memory_is_full(e - SCHED_THREADS);
	return e < s.nthread && s.thread[e].state == RUNNABLE &&
	    !s.thread[e].pausing;
}

/* Those that can go on, the default first. */
static unsigned
list_ready(uint8_t ready[NENTITY])
{
	unsigned n = 0;

	if (s.current >= 0 && is_ready((unsigned)s.current))
		ready[n++] = (uint8_t)s.current;
	for (unsigned e = 0; e < NENTITY; e++) {
		if ((int)e != s.current && is_ready(e))
			ready[n++] = (uint8_t)e;
	}
	return n;
}

static int64_t *
priority_of(unsigned e)
{
	return e < SCHED_THREADS ? &s.thread[e].priority
				 : &s.buffer_priority[e - SCHED_THREADS];
}

static unsigned
choose_pct(const uint8_t *ready, unsigned n)
{
	unsigned best = 0;

	for (unsigned i = 0; i + 1 < s.depth; i++) {
		if (s.change_at[i] == s.ndecision)
			*priority_of(ready[0]) = --s.lowest;
	}
	for (unsigned i = 1; i < n; i++) {
		if (*priority_of(ready[i]) > *priority_of(ready[best]))
			best = i;
	}
	return best;
}

static unsigned
choose_dfs(const uint8_t *ready, unsigned n)
{
	bool self = s.current >= 0 && ready[0] == (uint8_t)s.current;
	struct dfs_choice *choice;

	if (s.ndfs == DFS_DEPTH)
		return 0;
	choice = &s.dfs[s.ndfs];
	if (s.ndfs >= s.dfs_prefix) {
		choice->chosen = 0;
		choice->npreempt = (uint8_t)s.npreempt;
		/* Leaving a thread that could go on is what is counted. */
		choice->nalternative =
		    self && s.npreempt >= s.depth ? 1 : (uint8_t)n;
	}
	s.ndfs++;
	assert(choice->chosen < n);
	if (self && choice->chosen > 0)
		s.npreempt++;
	return choice->chosen;
}

void
sched_dfs_reset(void)
{
	s.ndfs = s.dfs_prefix = 0;
}

bool
sched_dfs_next(void)
{
	while (s.ndfs > 0) {
		struct dfs_choice *choice = &s.dfs[s.ndfs - 1];

		if (choice->chosen + 1 < choice->nalternative) {
			choice->chosen++;
			s.dfs_prefix = s.ndfs;
			return true;
		}
		s.ndfs--;
	}
	return false;
}

static unsigned
choose_replay(const uint8_t *ready, unsigned n)
{
	const struct sched_switch *sw = &s.replay.sw[s.replay_next];

	if (s.replay_next == s.replay.n || sw->at != s.ndecision)
		return 0;
	s.replay_next++;
	for (unsigned i = 0; i < n; i++) {
		if (ready[i] == sw->entity)
			return i;
	}
	return 0;
}

static unsigned
choose(const uint8_t *ready, unsigned n)
{
	unsigned i = 0;

	switch (s.mode) {
	case SCHED_RANDOM:
		/* Going on is the more likely the greater the depth. */
		if ((rng_next(&s.rng) & ((UINT64_C(1) << s.depth) - 1)) == 0 ||
		    s.current < 0 || ready[0] != (uint8_t)s.current)
			i = rng_below(&s.rng, n);
		break;
	case SCHED_PCT:
		i = choose_pct(ready, n);
		break;
	case SCHED_DFS:
		i = choose_dfs(ready, n);
		break;
	case SCHED_REPLAY:
		i = choose_replay(ready, n);
		break;
	}
	if (i > 0 && s.trace.n < SCHED_SWITCHES)
		s.trace.sw[s.trace.n++] =
		    (struct sched_switch){ s.ndecision, ready[i] };
	s.ndecision++;
	return ready[i];
}

/* ---- switching ---- */

static void
switch_to(int next)
{
	int before = s.current;
	ucontext_t *from = before < 0 ? &s.main : &s.thread[before].context;

	if (next == before)
		return;
	s.current = next;
	if (next < 0) {
		sim_held = &s.main_held;
		(void)swapcontext(from, &s.main);
	} else {
		sim_held = &s.thread[next].held;
		sim_thread = (unsigned)next;
		(void)swapcontext(from, &s.thread[next].context);
	}
}

/* Those at a backoff may look again: somebody has done something. */
static void
end_pauses(int except)
{
	for (unsigned i = 0; i < s.nthread; i++) {
		if ((int)i != except)
			s.thread[i].pausing = false;
	}
}

static bool
any_unfinished(void)
{
	for (unsigned i = 0; i < s.nthread; i++) {
		if (s.thread[i].state != FINISHED)
			return true;
	}
	return false;
}

static void
give_up(enum sched_result result)
{
	s.result = result;
	switch_to(-1);
}

/* Let somebody go on, perhaps the caller. */
static void
pick_next(void)
{
	uint8_t ready[NENTITY];
	unsigned n, e;

	for (;;) {
		if (s.ndecision > STEPS_MAX) {
			give_up(SCHED_LIVELOCK);
			return;
		}
		if ((n = list_ready(ready)) == 0) {
			if (!any_unfinished()) {
				give_up(SCHED_DONE);
				return;
			}
			end_pauses(-1);
			if ((n = list_ready(ready)) == 0) {
				give_up(SCHED_DEADLOCK);
				return;
			}
			if (++s.idle > IDLE_MAX) {
				give_up(SCHED_LIVELOCK);
				return;
			}
		}
		e = n == 1 ? ready[0] : choose(ready, n);
		if (e < SCHED_THREADS)
			break;
		sim_memory_drain(e - SCHED_THREADS);
		end_pauses(-1);
	}
	switch_to((int)e);
}

void
sched_point(const char *what)
{
	(void)what;
	if (!sched_is_active())
		return;
	/* Whoever comes to a point has made a step that others may await. */
	end_pauses(s.current);
	s.idle = 0;
	pick_next();
}

static void
pause_thread(void)
{
	struct thread *thread = &s.thread[s.current];

	thread->pausing = true;
	if (s.mode == SCHED_PCT)
		thread->priority = --s.lowest;
	pick_next();
}

void
btt_hook_point(const char *what)
{
	if (!sched_is_active())
		return;
	if (strcmp(what, "backoff") == 0) {
		pause_thread();
		return;
	}
	if (strcmp(what, "early acknowledgement") == 0) {
		world_early_return();
		return;
	}
	/* The slot is cleared by a plain store: older ones go first. */
	if (strcmp(what, "rtt clear") == 0)
		sim_memory_drain(sim_thread);
	sched_point(what);
}

void
sched_block(const void *object)
{
	struct thread *thread;

	assert(sched_is_active());
	thread = &s.thread[s.current];
	thread->state = BLOCKED;
	thread->object = object;
	pick_next();
}

void
sched_wake(const void *object, bool all)
{
	for (unsigned i = 0; i < s.nthread; i++) {
		if (s.thread[i].state != BLOCKED ||
		    s.thread[i].object != object)
			continue;
		s.thread[i].state = RUNNABLE;
		if (!all)
			return;
	}
}

/* ---- faults ---- */

static struct guard **
guard_slot(void)
{
	return sched_is_active() ? &s.thread[s.current].guard : &s.main_guard;
}

static void
leave_guard(void)
{
	*guard_slot() = (*guard_slot())->outer;
}

/* In place of btt/media.c's: the same contract, a fault is a call here. */
int
media_try(int (*fn)(void *arg), void *arg)
{
	/* Inside of a crash point another one may be waiting. */
	struct guard here = { .outer = *guard_slot() };
	int r;

	assert((here.outer == NULL || !sched_is_active()) &&
	    "media_try does not nest");
	if (sigsetjmp(here.env, 0) != 0) {
		leave_guard();
		return -EIO;
	}
	*guard_slot() = &here;
	r = fn(arg);
	leave_guard();
	return r;
}

void
sched_raise_fault(void)
{
	struct guard *guard = *guard_slot();

	assert(guard != NULL && "touched the medium outside of media_try");
	siglongjmp(guard->env, 1);
}

/* ---- running ---- */

static void
run_thread(void)
{
	unsigned i = (unsigned)s.current;

	s.body(i);
	sim_memory_drain(i);
	sim_memory_show(i);
	s.thread[i].state = FINISHED;
	s.idle = 0;
	end_pauses(-1);
	pick_next();
	abort();
}

void
sched_choose_mode(enum sched_mode mode, unsigned depth, uint64_t seed,
    unsigned expected_steps)
{
	s.mode = mode;
	s.depth = depth;
	s.expected_steps = expected_steps > 0 ? expected_steps : 1;
	rng_seed(&s.rng, seed);
}

static void
start_modes(void)
{
	s.ndecision = s.idle = s.npreempt = 0;
	s.trace.n = 0;
	s.replay_next = 0;
	s.ndfs = 0;
	s.lowest = 0;
	for (unsigned i = 0; i < SCHED_THREADS; i++) {
		s.thread[i].priority = 1 + (int64_t)rng_below(&s.rng, 1u << 20);
		s.buffer_priority[i] = 1 + (int64_t)rng_below(&s.rng, 1u << 20);
	}
	for (unsigned i = 0; i < 8; i++)
		s.change_at[i] = rng_below(&s.rng, s.expected_steps);
}

enum sched_result
sched_run(unsigned nthread, void (*body)(unsigned thread))
{
	assert(nthread >= 1 && nthread <= SCHED_THREADS && s.current < 0);
	s.nthread = nthread;
	s.body = body;
	s.result = SCHED_DONE;
	start_modes();
	sim_memory_reset();
	for (unsigned i = 0; i < nthread; i++) {
		struct thread *thread = &s.thread[i];

		if (thread->stack == NULL)
			thread->stack = malloc(STACK_BYTES);
		assert(thread->stack != NULL);
		thread->state = RUNNABLE;
		thread->pausing = false;
		thread->guard = NULL;
		memset(&thread->held, 0, sizeof(thread->held));
		sync_sim_catch(&thread->held);
		(void)getcontext(&thread->context);
		thread->context.uc_stack.ss_sp = thread->stack;
		thread->context.uc_stack.ss_size = STACK_BYTES;
		thread->context.uc_link = NULL;
		makecontext(&thread->context, run_thread, 0);
	}
	s.active = true;
	pick_next();
	s.active = false;
	sim_held = &s.main_held;
	return s.result;
}

/* The explorer's own context, outside of every run. */
__attribute__((constructor)) static void
sched_init(void)
{
	sync_sim_catch(&s.main_held);
	sim_held = &s.main_held;
}

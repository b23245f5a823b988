/* SPDX-License-Identifier: BSD-3-Clause */
#include "shrink.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "create.h"
#include "hook.h"
#include "mend.h"
#include "scenario.h"

/* Processor time of one attempt, at most. */
#define ATTEMPT_MS 400
/* Schedules that are tried where the old one is of no use. */
#define SCHEDULES 3000u
/* An operation less makes the n-th fence or change an earlier one. */
#define FAULT_SHIFT 40u
#define FAULT_SCHEDULES 6u
/* While others are looked for, not every image is lived on with. */
#define LIFE_SEARCHED 8u

static struct {
	double until;          /* of processor time */
	struct tally *scratch; /* of the attempt, shared with it */
	struct replay best;
	char line[sizeof(((struct tally *)0)->replay)];
	char what[sizeof(((struct tally *)0)->what)];
	char invariant[32];
} s;

/* How a candidate is run. */
enum how {
	EXACTLY,    /* by its schedule */
	SOMEHOW,    /* by its schedule, and by others */
	PREEMPTED0, /* by all schedules with no preemption, or one ... */
	PREEMPTED1,
	PREEMPTED2,
	PREEMPTED3,
};

/* ---- one attempt ---- */

static bool
has_no_threads(const char *program)
{
	return create_is_program(program) || mend_is_program(program);
}

static double
seconds_spent(void)
{
	struct rusage children;

	(void)getrusage(RUSAGE_CHILDREN, &children);
	return cpu_seconds() + (double)children.ru_utime.tv_sec +
	    (double)children.ru_stime.tv_sec +
	    (double)(children.ru_utime.tv_usec + children.ru_stime.tv_usec) /
	    1e6;
}

/* Other schedules of the same program, until one fails. */
static void
search(const struct replay *replay)
{
	struct world *world = world_new(&replay->run, s.scratch);
	struct run *run = &world->run;
	unsigned last = run->fault_n;
	unsigned nschedule =
	    run->fault == FAULT_NONE ? SCHEDULES : FAULT_SCHEDULES;

	if (world->program.nthread == 1)
		nschedule = 1;
	do {
		for (unsigned i = 0; i < nschedule; i++) {
			run->mode = i % 2 ? SCHED_PCT : SCHED_RANDOM;
			run->depth = i % 2 ? 2 + i / 2 % 3 : i / 2 % 4;
			run->seed = replay->run.seed + i / 12;
			world_run(world);
		}
	} while (run->fault != FAULT_NONE && run->fault_n > 1 &&
	    last - --run->fault_n < FAULT_SHIFT);
}

/* Those with few preemptions are the shortest to tell. */
static void
search_all(const struct replay *replay, unsigned npreemption)
{
	struct world *world = world_new(&replay->run, s.scratch);

	world->run.mode = SCHED_DFS;
	world->run.depth = npreemption;
	sched_dfs_reset();
	do {
		world_run(world);
	} while (sched_dfs_next());
}

static _Noreturn void
attempt_in_child(const struct replay *replay, enum how how)
{
	static const struct itimerval limit = {
		.it_value = { .tv_usec = ATTEMPT_MS * 1000 },
	};

	(void)signal(SIGPROF, SIG_DFL);
	(void)setitimer(ITIMER_PROF, &limit, NULL);
	report_world = NULL;
	btt_hook_mutant = replay->mutant;
	if (how == EXACTLY || how == SOMEHOW)
		replay_run(replay, s.scratch);
	if (how == SOMEHOW)
		search(replay);
	if (how >= PREEMPTED0)
		search_all(replay, how - PREEMPTED0);
	_exit(0);
}

/* The invariant is what stands before the colon. */
static bool
fails_alike(const char *what)
{
	size_t len = strlen(s.invariant);

	return strncmp(what, s.invariant, len) == 0 && what[len] == ':';
}

static unsigned
count_steps(const struct program *program)
{
	unsigned n = 0;

	for (unsigned t = 0; t < program->nthread; t++)
		n += program->thread[t].nstep;
	return n;
}

static struct shrink_size
size_of(const struct replay *replay)
{
	struct shrink_size size = { .nswitch = replay->trace.n };
	struct program program;

	if (has_no_threads(replay->program))
		size.nop = 1;
	else if (program_parse(replay->program, &program))
		size.nop = count_steps(&program);
	for (unsigned i = 0; i < replay->choice.n; i++)
		size.nstore += replay->choice.prefix[i];
	return size;
}

struct shrink_size
shrink_size(const char *line)
{
	static struct replay replay;

	replay_parse(line, &replay);
	return size_of(&replay);
}

static void
keep(void)
{
	memcpy(s.line, s.scratch->replay, sizeof(s.line));
	memcpy(s.what, s.scratch->what, sizeof(s.what));
	replay_parse(s.line, &s.best);
}

/* Run it: does it fail as it did? */
static bool
attempt(const struct replay *replay, enum how how)
{
	pid_t pid;

	if (seconds_spent() > s.until)
		return false;
	memset(s.scratch, 0, sizeof(*s.scratch));
	if ((pid = fork()) == 0)
		attempt_in_child(replay, how);
	assert(pid > 0);
	(void)waitpid(pid, NULL, 0);
	return s.scratch->failed && fails_alike(s.scratch->what);
}

/* All crash points and all images of them, not only those of the line. */
static void
widen(struct replay *replay)
{
	replay->run.only_point = 0;
	replay->run.only_choice = NULL;
	replay->has_choice = false;
	replay->choice.n = 0;
}

/* ---- operations ---- */

static void
set_program(struct replay *replay, const struct program *program)
{
	struct text text = { replay->program, sizeof(replay->program), 0 };

	program_print(program, &text);
}

static void
remove_step(struct program *program, unsigned t, unsigned i)
{
	unsigned *n = &program->thread[t].nstep;

	--*n;
	memmove(&program->thread[t].step[i], &program->thread[t].step[i + 1],
	    (*n - i) * sizeof(struct step));
	if (*n > 0 || program->nthread == 1)
		return;
	/* Its threads are numbered anew: the old switches mean others now. */
	program->nthread--;
	memmove(&program->thread[t], &program->thread[t + 1],
	    (program->nthread - t) * sizeof(program->thread[0]));
}

static bool
try_program(const struct program *program)
{
	static struct replay candidate;

	replay_copy(&candidate, &s.best);
	widen(&candidate);
	set_program(&candidate, program);
	if (!attempt(&candidate, SOMEHOW))
		return false;
	keep();
	return true;
}

/* Without one operation, or with one that is for one sector only. */
static bool
drop_one_step(void)
{
	struct program program, smaller;

	(void)program_parse(s.best.program, &program);
	for (unsigned t = 0; t < program.nthread; t++) {
		for (unsigned i = 0; i < program.thread[t].nstep; i++) {
			smaller = program;
			remove_step(&smaller, t, i);
			if (count_steps(&smaller) > 0 && try_program(&smaller))
				return true;
			if (program.thread[t].step[i].n < 2)
				continue;
			smaller = program;
			smaller.thread[t].step[i].n = 1;
			if (try_program(&smaller))
				return true;
		}
	}
	return false;
}

/* A whole thread at once goes quicker. */
static void
drop_threads(void)
{
	struct program program, smaller;

	(void)program_parse(s.best.program, &program);
	for (unsigned t = program.nthread; t-- > 0 && program.nthread > 1;) {
		smaller = program;
		while (smaller.nthread == program.nthread)
			remove_step(&smaller, t, 0);
		if (try_program(&smaller))
			program = smaller;
	}
}

/* ---- switches ---- */

static bool
drop_switches_at(unsigned at, unsigned n)
{
	static struct replay candidate;
	struct sched_trace *trace = &candidate.trace;

	replay_copy(&candidate, &s.best);
	widen(&candidate);
	if (n > trace->n - at)
		n = trace->n - at;
	trace->n -= n;
	memmove(&trace->sw[at], &trace->sw[at + n],
	    (trace->n - at) * sizeof(trace->sw[0]));
	/* What runs otherwise may be switched more often than before. */
	if (!attempt(&candidate, EXACTLY) ||
	    shrink_size(s.scratch->replay).nswitch >= s.best.trace.n)
		return false;
	keep();
	return true;
}

/* A schedule of another kind, if it has fewer switches. */
static void
find_simple_schedule(void)
{
	static struct replay candidate;

	for (enum how how = PREEMPTED0; how <= PREEMPTED3; how++) {
		replay_copy(&candidate, &s.best);
		widen(&candidate);
		if (s.best.trace.n > 0 && attempt(&candidate, how) &&
		    shrink_size(s.scratch->replay).nswitch < s.best.trace.n)
			keep();
	}
}

static void
drop_switches(void)
{
	unsigned n = s.best.trace.n;

	for (; n > 0; n /= 2) {
		for (unsigned at = 0; at < s.best.trace.n;) {
			if (!drop_switches_at(at, n))
				at += n;
		}
	}
}

/* ---- persisted stores ---- */

/* Units at .. at + n - 1 lose `less` of their persisted deltas. */
static bool
drop_stores_at(unsigned at, unsigned n, unsigned less)
{
	static struct replay candidate;
	struct enum_choice *choice = &candidate.choice;
	bool any = false;

	replay_copy(&candidate, &s.best);
	for (unsigned i = at; i < at + n && i < choice->n; i++) {
		unsigned before = choice->prefix[i];

		any = any || before > 0;
		choice->prefix[i] =
		    (uint16_t)(before > less ? before - less : 0);
	}
	if (!any || !attempt(&candidate, EXACTLY))
		return false;
	keep();
	return true;
}

static void
drop_stores(void)
{
	unsigned n = s.best.choice.n;

	for (; n > 0; n /= 2) {
		for (unsigned at = 0; at < s.best.choice.n; at += n)
			(void)drop_stores_at(at, n, UINT16_MAX);
	}
	/* Nothing persisted of a unit is too little: how much is needed? */
	for (unsigned at = 0; at < s.best.choice.n; at++) {
		unsigned less = s.best.choice.prefix[at] / 2;

		for (; less > 0; less /= 2) {
			while (drop_stores_at(at, 1, less))
				;
		}
	}
}

/* ---- all of it ---- */

/*
 * Whether an image is lived on with, or opened once more, depends on a hash of
 * all that shrinks: from now on never, or always.
 */
static bool
settle_lives(void)
{
	static struct replay candidate;

	replay_copy(&candidate, &s.best);
	candidate.run.life_every = candidate.run.whole_every = 0;
	if (attempt(&candidate, EXACTLY))
		return true;
	candidate.run.life_every = candidate.run.whole_every = 1;
	return attempt(&candidate, EXACTLY);
}

static void
set_lives(unsigned from, unsigned to)
{
	if (s.best.run.life_every == from)
		s.best.run.life_every = s.best.run.whole_every = to;
}

void
shrink(const char *line, double seconds, struct tally *tally)
{
	static struct replay candidate;

	s.until = seconds_spent() + seconds;
	s.scratch = mmap(NULL, sizeof(*s.scratch), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert(s.scratch != MAP_FAILED);
	replay_parse(line, &s.best);
	replay_copy(&candidate, &s.best);
	/* Any failure will do the first time. */
	if (!attempt(&candidate, EXACTLY) && !s.scratch->failed)
		return;
	(void)snprintf(s.invariant, sizeof(s.invariant), "%.*s",
	    (int)strcspn(s.scratch->what, ":"), s.scratch->what);
	keep();
	if (!settle_lives())
		goto out;
	keep();
	if (!has_no_threads(s.best.program)) {
		set_lives(1, LIFE_SEARCHED);
		drop_threads();
		while (drop_one_step())
			;
		set_lives(LIFE_SEARCHED, 1);
		find_simple_schedule();
		drop_switches();
	}
	drop_stores();
out:
	memcpy(tally->replay, s.line, sizeof(tally->replay));
	memcpy(tally->what, s.what, sizeof(tally->what));
	tally->failed = true;
}

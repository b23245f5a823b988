/* SPDX-License-Identifier: BSD-3-Clause */
#include "jobs.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hook.h"
#include "shrink.h"
#include "sync_sim.h"

unsigned btt_hook_mutant;

/* Where no kind of medium is named, each gets this long to kill a mutant. */
#define KILL_SECONDS 1.0 /* of processor time */

static void
on_lock_report(const char *report)
{
	violation(report_world, "locks", "%s", report);
}

/* An assertion of the engine is as good as a violation of ours. */
static void
on_signal(int sig)
{
	violation(report_world, "assertion", "%s",
	    sig == SIGABRT ? "the engine called abort" : strsignal(sig));
}

static void
catch_signals(bool verbose)
{
	static uint8_t stack[64 << 10];
	stack_t alternative = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_handler = on_signal,
		.sa_flags = SA_ONSTACK | SA_NODEFER };

	sync_sim_report = on_lock_report;
	(void)sigaltstack(&alternative, NULL);
	(void)sigaction(SIGABRT, &action, NULL);
	(void)sigaction(SIGSEGV, &action, NULL);
	(void)sigaction(SIGBUS, &action, NULL);
	/* Assertions write to stderr; the report says it better. */
	if (!verbose && freopen("/dev/null", "w", stderr) == NULL)
		_exit(4);
}

/* ---- in the child ---- */

static void
explore_kinds(const struct job *job, const struct scenario *scenario,
    const char *only, double until)
{
	for (unsigned kind = 0; kind < SIM_NKIND; kind++) {
		double left = until - cpu_seconds();

		if (!(scenario->kinds >> kind & 1) || left <= 0 ||
		    (only != NULL && strcmp(only, sim_kind_name(kind)) != 0))
			continue;
		job->tally->scenario = scenario->name;
		job->tally->kind = kind;
		scenario_explore(scenario, kind, 0, 1, job->seed,
		    only != NULL || left < KILL_SECONDS ? left : KILL_SECONDS,
		    job->tally);
	}
}

static void
kill_mutant(const struct job *job)
{
	double until = cpu_seconds() + job->seconds;
	char names[256];
	char *save = NULL;

	btt_hook_mutant = job->mutant->number;
	(void)snprintf(names, sizeof(names), "%s", job->mutant->killers);
	for (char *name = strtok_r(names, " ", &save); name != NULL;
	     name = strtok_r(NULL, " ", &save)) {
		char *only = strchr(name, ':');

		if (only != NULL)
			*only++ = '\0';
		assert(scenario_find(name) != NULL);
		explore_kinds(job, scenario_find(name), only, until);
	}
	/* The others may know better. */
	for (unsigned i = 0; i < nscenario; i++) {
		if (scenarios[i].nparts == 0)
			explore_kinds(job, &scenarios[i], NULL, until);
	}
}

static _Noreturn void
child(const struct job *job)
{
	static struct replay replay;

	catch_signals(job->verbose);
	if (job->replay != NULL) {
		replay_parse(job->replay, &replay);
		report_verbose = job->verbose;
		replay_run(&replay, job->tally);
	} else if (job->shrink != NULL) {
		shrink(job->shrink, job->seconds, job->tally);
	} else if (job->mutant != NULL) {
		kill_mutant(job);
	} else {
		job->tally->scenario = job->scenario->name;
		job->tally->kind = job->kind;
		scenario_explore(job->scenario, job->kind, job->part,
		    job->scale, job->seed, job->seconds, job->tally);
	}
	job->tally->seconds = cpu_seconds();
	_exit(0);
}

/* ---- in the parent ---- */

struct running {
	pid_t pid; /* 0: free */
	struct job *job;
	double deadline;
};

static struct running *
find_running(struct running *running, unsigned n, pid_t pid)
{
	for (unsigned i = 0; i < n; i++) {
		if (running[i].pid == pid)
			return &running[i];
	}
	return NULL;
}

static void
start(struct running *slot, struct job *job)
{
	job->tally = mmap(NULL, sizeof(*job->tally), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert(job->tally != MAP_FAILED);
	(void)fflush(stdout);
	slot->job = job;
	/* Only what hangs takes so much longer than the processor time it has. */
	slot->deadline =
	    now_seconds() + (job->seconds > 0 ? 60 + 12 * job->seconds : 3600);
	slot->pid = fork();
	assert(slot->pid >= 0);
	if (slot->pid == 0)
		child(job);
}

/* A child that ended; NULL: none did in a while. */
static struct running *
wait_for_one(struct running *running, unsigned n)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);
		struct running *slot =
		    pid > 0 ? find_running(running, n, pid) : NULL;

		if (slot != NULL) {
			slot->job->died = !slot->job->tally->failed &&
			    !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
			slot->pid = 0;
			return slot;
		}
		for (unsigned i = 0; i < n; i++) {
			if (running[i].pid != 0 &&
			    now_seconds() > running[i].deadline) {
				running[i].job->hung = true;
				(void)kill(running[i].pid, SIGKILL);
			}
		}
		(void)usleep(2000);
	}
}

void
jobs_run(struct job *jobs, unsigned n, unsigned nprocess,
    void (*progress)(unsigned done, unsigned n))
{
	struct running *running = calloc(nprocess, sizeof(*running));
	unsigned next = 0, done = 0;

	assert(running != NULL);
	while (done < n) {
		struct running *slot = find_running(running, nprocess, 0);

		if (slot != NULL && next < n) {
			start(slot, &jobs[next++]);
			continue;
		}
		(void)wait_for_one(running, nprocess);
		done++;
		if (progress != NULL)
			progress(done, n);
	}
	free(running);
}

void
jobs_free(struct job *jobs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (jobs[i].tally != NULL)
			(void)munmap(jobs[i].tally, sizeof(*jobs[i].tally));
		jobs[i].tally = NULL;
	}
}

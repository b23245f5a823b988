/* SPDX-License-Identifier: BSD-3-Clause */
#include "failures.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shrink.h"

#define SELF_TESTS 100u
/* Where much fails, the first ones will tell. */
#define SHRUNK_MAX 16u
#define SHRINK_SECONDS 20.0 /* of the processor, each */
#define SELF_SHRINK_SECONDS 3.0

struct failures {
	unsigned n;
	const struct job *job;
	struct job *shrunk; /* n of them; without a line: not tried */
};

struct failures *
failures_shrink(const struct job *jobs, unsigned n, unsigned nprocess)
{
	struct failures *failures = calloc(1, sizeof(*failures));
	struct job *todo = calloc(SHRUNK_MAX, sizeof(*todo));
	unsigned of[SHRUNK_MAX];
	unsigned ntodo = 0;

	assert(failures != NULL && todo != NULL);
	failures->n = n;
	failures->job = jobs;
	failures->shrunk = calloc(n, sizeof(*failures->shrunk));
	assert(failures->shrunk != NULL);
	for (unsigned i = 0; i < n && ntodo < SHRUNK_MAX; i++) {
		if (!jobs[i].tally->failed)
			continue;
		of[ntodo] = i;
		todo[ntodo++] = (struct job){
			.shrink = jobs[i].tally->replay,
			.seconds = SHRINK_SECONDS,
		};
	}
	jobs_run(todo, ntodo, nprocess, NULL);
	for (unsigned i = 0; i < ntodo; i++)
		failures->shrunk[of[i]] = todo[i];
	free(todo);
	return failures;
}

static void
print_line(const char *what, const char *line)
{
	struct shrink_size size = shrink_size(line);

	printf("  %s: operations %u, thread switches %u, persisted stores %u\n"
	       "    tests/crash/explore --replay %s\n",
	    what, size.nop, size.nswitch, size.nstore, line);
}

static void
print_failure(const struct job *job, const struct job *shrunk)
{
	printf("  %s\n", job->tally->what);
	print_line("as found", job->tally->replay);
	if (shrunk->tally == NULL)
		return;
	if (!shrunk->tally->failed) {
		printf("  it does not replay, so it was not shrunk\n");
		return;
	}
	print_line("shrunk", shrunk->tally->replay);
	printf("  then: %s\n", shrunk->tally->what);
}

unsigned
failures_print(const struct failures *failures, unsigned first, unsigned end)
{
	unsigned n = 0;

	for (unsigned i = first; i < end; i++) {
		const struct job *job = &failures->job[i];

		if (job->tally->failed)
			print_failure(job, &failures->shrunk[i]);
		else if (job->hung)
			printf("  part %u did not end\n", job->part);
		else if (job->died)
			printf("  part %u died without a word\n", job->part);
		else
			continue;
		n++;
	}
	return n;
}

void
failures_free(struct failures *failures)
{
	if (failures == NULL)
		return;
	jobs_free(failures->shrunk, failures->n);
	free(failures->shrunk);
	free(failures);
}

/* ---- the test of the tester ---- */

/* Mutants that die, by scenarios and seeds of their own. */
static void
plant(struct job *jobs, uint64_t seed)
{
	unsigned n = 0;

	for (unsigned i = 0; n < SELF_TESTS; i++) {
		const struct mutant *mutant = &mutants[i % nmutant];

		if (mutant->why_not != NULL)
			continue;
		jobs[n++] = (struct job){
			.mutant = mutant,
			.seed = seed + 1000 * (1 + i),
			.seconds = KILL_LIMIT,
		};
	}
}

static bool
same_invariant(const char *a, const char *b)
{
	size_t len = strcspn(a, ":");

	return len == strcspn(b, ":") && strncmp(a, b, len) == 0;
}

/* One more planted failure, with all that became of it. */
struct planted {
	struct job *found, *again, *shrunk, *last;
};

static bool
print_planted(const struct planted *p, struct shrink_size *before,
    struct shrink_size *after)
{
	const struct tally *found = p->found->tally;
	const struct tally *shrunk = p->shrunk->tally;
	struct shrink_size was = shrink_size(found->replay);
	struct shrink_size is = shrink_size(shrunk->replay);
	bool replayed = found->failed && p->again->tally->failed &&
	    strcmp(found->what, p->again->tally->what) == 0;
	bool small = shrunk->failed && p->last->tally->failed &&
	    same_invariant(found->what, shrunk->what) &&
	    strcmp(shrunk->what, p->last->tally->what) == 0 &&
	    is.nop <= was.nop;

	printf("M%-3u %-15s %-8s %4u ->%3u %5u ->%3u %5u ->%3u  %s\n",
	    p->found->mutant->number, found->scenario,
	    sim_kind_name(found->kind), was.nop, is.nop, was.nswitch,
	    is.nswitch, was.nstore, is.nstore,
	    !replayed   ? "DOES NOT REPLAY"
		: small ? ""
			: "FAILS OTHERWISE WHEN SHRUNK");
	if (!replayed || !small)
		printf("  %s\n  %s\n  %s\n  %s\n", found->what, found->replay,
		    shrunk->what, shrunk->replay);
	before->nop += was.nop;
	before->nswitch += was.nswitch;
	before->nstore += was.nstore;
	after->nop += is.nop;
	after->nswitch += is.nswitch;
	after->nstore += is.nstore;
	return replayed && small;
}

unsigned
self_test(uint64_t seed, unsigned nprocess)
{
	struct job *job = calloc(4 * (size_t)SELF_TESTS, sizeof(*job));
	struct job *found = job, *again = job + SELF_TESTS;
	struct job *shrunk = again + SELF_TESTS, *last = shrunk + SELF_TESTS;
	struct shrink_size before = { 0 }, after = { 0 };
	unsigned nwrong = 0;

	assert(job != NULL);
	plant(found, seed);
	jobs_run(found, SELF_TESTS, nprocess, NULL);
	for (unsigned i = 0; i < SELF_TESTS; i++) {
		again[i] = (struct job){ .replay = found[i].tally->replay,
			.seconds = KILL_LIMIT };
		shrunk[i] = (struct job){ .shrink = found[i].tally->replay,
			.seconds = SELF_SHRINK_SECONDS };
	}
	jobs_run(again, 2 * SELF_TESTS, nprocess, NULL);
	for (unsigned i = 0; i < SELF_TESTS; i++)
		last[i] = (struct job){ .replay = shrunk[i].tally->replay,
			.seconds = KILL_LIMIT };
	jobs_run(last, SELF_TESTS, nprocess, NULL);
	printf("%-29s %11s %12s %12s\n", "planted failure", "operations",
	    "switches", "stores");
	for (unsigned i = 0; i < SELF_TESTS; i++) {
		struct planted planted = { &found[i], &again[i], &shrunk[i],
			&last[i] };

		if (!print_planted(&planted, &before, &after))
			nwrong++;
	}
	printf("%-29s %4u ->%3u %5u ->%3u %5u ->%3u\n", "all", before.nop,
	    after.nop, before.nswitch, after.nswitch, before.nstore,
	    after.nstore);
	printf("%u planted failures, %u replayed exactly, shrunk and failed "
	       "alike\n",
	    SELF_TESTS, SELF_TESTS - nwrong);
	jobs_free(job, 4 * SELF_TESTS);
	free(job);
	return nwrong;
}

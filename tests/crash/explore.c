/* SPDX-License-Identifier: BSD-3-Clause */
/* explore -- the command; tests/crash/run builds and starts it. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "failures.h"
#include "hook.h"
#include "jobs.h"

#define LONG_SCALE 5u

struct options {
	unsigned scale;
	unsigned nprocess;
	uint64_t seed;
	double seconds; /* for each scenario on each medium; 0: no limit */
	const char *scenario;
	const char *medium;
	unsigned mutant;
	bool exhaustive, explore, mutants, self_test;
};

static void
usage(FILE *to)
{
	fputs(
	    "usage: explore [--long | --smoke] [--scenario NAME [--medium KIND]]\n"
	    "               [--mutants] [--mutant N] [--self-test] [--list]\n"
	    "               [--seed N] [--jobs N]\n"
	    "       explore --replay WORD...\n"
	    "\n"
	    "Without options: all scenarios on all kinds of media, then all\n"
	    "mutants.  --mutants or --scenario: those only.  Exits with 1 if\n"
	    "anything was violated, or a mutant survived that should not.\n",
	    to);
}

static void
show_progress(unsigned done, unsigned n)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%u of %u%s", done, n,
		    done == n ? "\r              \r" : "");
}

/* ---- scenarios ---- */

static void
add_tally(struct tally *sum, const struct tally *tally)
{
	sum->nschedule += tally->nschedule;
	sum->npoint += tally->npoint;
	sum->nimage += tally->nimage;
	sum->nnested += tally->nnested;
	sum->nlife += tally->nlife;
	sum->nwhole += tally->nwhole;
	sum->seconds += tally->seconds;
}

static void
print_row(const char *scenario, const char *kind, const struct tally *tally,
    unsigned nviolation)
{
	printf("%-16s %-8s %9lu %8lu %11lu %10lu %9lu %10u %7.1f\n", scenario,
	    kind, (unsigned long)tally->nschedule, (unsigned long)tally->npoint,
	    (unsigned long)tally->nimage, (unsigned long)tally->nnested,
	    (unsigned long)tally->nlife, nviolation, tally->seconds);
}

static bool
is_wanted(const struct options *options, const struct scenario *scenario,
    unsigned kind)
{
	if (!(scenario->kinds >> kind & 1))
		return false;
	if (options->scenario != NULL)
		return strcmp(options->scenario, scenario->name) == 0 &&
		    (options->medium == NULL ||
			strcmp(options->medium, sim_kind_name(kind)) == 0);
	return scenario->nparts == 0 || options->exhaustive;
}

static unsigned
list_jobs(const struct options *options, struct job *jobs)
{
	unsigned n = 0;

	for (unsigned i = 0; i < nscenario; i++) {
		const struct scenario *scenario = &scenarios[i];
		unsigned nparts = scenario->nparts ? scenario->nparts : 1;

		for (unsigned kind = 0; kind < SIM_NKIND; kind++) {
			if (!is_wanted(options, scenario, kind))
				continue;
			for (unsigned part = 0; part < nparts; part++)
				jobs[n++] = (struct job){
					.scenario = scenario,
					.kind = kind,
					.part = part,
					.scale = options->scale,
					.seed = options->seed,
					.seconds = options->seconds,
				};
		}
	}
	return n;
}

static unsigned
explore_scenarios(const struct options *options)
{
	struct job *jobs = calloc(1024, sizeof(*jobs));
	unsigned n = list_jobs(options, jobs);
	unsigned nviolation = 0;
	struct failures *failures;
	struct tally all = { 0 };
	double began = now_seconds();

	jobs_run(jobs, n, options->nprocess, show_progress);
	failures = failures_shrink(jobs, n, options->nprocess);
	printf("%-16s %-8s %9s %8s %11s %10s %9s %10s %7s\n", "scenario",
	    "medium", "schedules", "points", "images", "in recov.", "2nd life",
	    "violations", "seconds");
	for (unsigned i = 0, end; i < n; i = end) {
		struct tally sum = { 0 };
		unsigned nfailed = 0;

		for (end = i;
		     end < n && jobs[end].scenario == jobs[i].scenario &&
		     jobs[end].kind == jobs[i].kind;
		     end++) {
			add_tally(&sum, jobs[end].tally);
			nfailed += jobs[end].tally->failed || jobs[end].hung ||
			    jobs[end].died;
		}
		print_row(jobs[i].scenario->name, sim_kind_name(jobs[i].kind),
		    &sum, nfailed);
		nviolation += failures_print(failures, i, end);
		add_tally(&all, &sum);
	}
	print_row("all", "", &all, nviolation);
	printf("%.1f s on %u processes, %.2f M images/s\n",
	    now_seconds() - began, options->nprocess,
	    (double)all.nimage / (now_seconds() - began) / 1e6);
	failures_free(failures);
	jobs_free(jobs, n);
	free(jobs);
	return nviolation;
}

/* ---- mutants ---- */

static bool
print_mutant(const struct job *job)
{
	const struct mutant *mutant = job->mutant;
	const struct tally *tally = job->tally;
	bool killed = tally->failed || job->died || job->hung;
	bool ok = killed == (mutant->why_not == NULL);

	printf("M%-3u %-52s ", mutant->number, mutant->what);
	if (killed)
		printf("%-15s %-8s %6lu %9lu %6.2f %s\n", tally->scenario,
		    sim_kind_name(tally->kind),
		    (unsigned long)tally->nschedule + 1,
		    (unsigned long)tally->nimage, tally->seconds,
		    ok ? "" : "KILLED, BUT SAID TO BE EQUIVALENT");
	else
		printf("%-15s %-8s %6lu %9lu %6.2f %s\n", "survives", "",
		    (unsigned long)tally->nschedule,
		    (unsigned long)tally->nimage, tally->seconds,
		    ok ? "as it must" : "SURVIVES");
	if (killed)
		printf("     %.110s\n", tally->what);
	else if (mutant->why_not != NULL)
		printf("     equivalent: %s\n", mutant->why_not);
	return ok;
}

static bool
is_built_and_wanted(const struct options *options, const struct mutant *mutant)
{
	if (!mutant_is_built(mutant))
		return false;
	return options->mutant == 0 || options->mutant == mutant->number;
}

/* Those of the specification's list that would be another one again. */
static void
print_not_built(const struct options *options)
{
	for (unsigned i = 0; i < nmutant; i++) {
		const struct mutant *mutant = &mutants[i];

		if (!mutant_is_built(mutant) &&
		    (options->mutant == 0 || options->mutant == mutant->number))
			printf("M%-3u %-52s not built\n     %s\n",
			    mutant->number, mutant->what, mutant->why_not);
	}
}

static unsigned
explore_mutants(const struct options *options)
{
	struct job *jobs = calloc(nmutant, sizeof(*jobs));
	unsigned n = 0, nkilled = 0, nequivalent = 0, nwrong = 0;
	double worst = 0;
	struct failures *failures = NULL; /* of a table that is all failures */
	double began = now_seconds();

	for (unsigned i = 0; i < nmutant; i++) {
		if (!is_built_and_wanted(options, &mutants[i]))
			continue;
		jobs[n++] = (struct job){
			.mutant = &mutants[i],
			.seed = options->seed,
			.seconds = KILL_LIMIT,
		};
	}
	jobs_run(jobs, n, options->nprocess, show_progress);
	if (options->mutant != 0)
		failures = failures_shrink(jobs, n, options->nprocess);
	printf("\n%-57s %-15s %-8s %6s %9s %6s\n", "mutant", "killed by",
	    "medium", "sched.", "images", "sec.");
	for (unsigned i = 0; i < n; i++) {
		if (!print_mutant(&jobs[i]))
			nwrong++;
		else if (jobs[i].mutant->why_not != NULL)
			nequivalent++;
		else
			nkilled++;
		if (jobs[i].tally->failed && jobs[i].tally->seconds > worst)
			worst = jobs[i].tally->seconds;
	}
	print_not_built(options);
	if (failures != NULL)
		(void)failures_print(failures, 0, n);
	failures_free(failures);
	printf("%u mutants: %u killed, the last within %.2f s, %u equivalent, "
	       "%u wrong; %.1f s\n",
	    n, nkilled, worst, nequivalent, nwrong, now_seconds() - began);
	jobs_free(jobs, n);
	free(jobs);
	return nwrong;
}

static int
replay_one(int nword, char **word)
{
	static char line[16384];
	struct job job = { .replay = line, .verbose = true };
	size_t at = 0;

	for (int i = 0; i < nword; i++)
		at += (size_t)snprintf(
		    line + at, sizeof(line) - at, "%s ", word[i]);
	jobs_run(&job, 1, 1, NULL);
	if (job.tally->failed)
		printf("%s\n", job.tally->what);
	else
		printf("%s\n",
		    job.died ? "died without a word" : "nothing is violated");
	return job.tally->failed || job.died;
}

static void
list(void)
{
	for (unsigned i = 0; i < nscenario; i++)
		printf("%-16s %s\n", scenarios[i].name,
		    scenarios[i].program      ? scenarios[i].program
			: scenarios[i].nswarm ? "programs made at random"
					      : "all sequences of 3");
	for (unsigned i = 0; i < nmutant; i++)
		printf("M%-15u %s\n", mutants[i].number, mutants[i].what);
}

int
main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "long", no_argument, NULL, 'l' },
		{ "smoke", no_argument, NULL, 'q' },
		{ "scenario", required_argument, NULL, 's' },
		{ "medium", required_argument, NULL, 'k' },
		{ "mutants", no_argument, NULL, 'M' },
		{ "mutant", required_argument, NULL, 'm' },
		{ "self-test", no_argument, NULL, 't' },
		{ "seed", required_argument, NULL, 'S' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "list", no_argument, NULL, 'L' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct options options = {
		.scale = 1,
		.seed = 1,
		.nprocess = (unsigned)sysconf(_SC_NPROCESSORS_ONLN),
		.exhaustive = true,
		.explore = true,
		.mutants = true,
	};
	unsigned nwrong = 0;
	int option;

	if (argc > 1 && strcmp(argv[1], "--replay") == 0)
		return replay_one(argc - 2, argv + 2);
	while (
	    (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case 'l':
			options.scale = LONG_SCALE;
			break;
		case 'q':
			options.seconds = 0.05;
			options.exhaustive = options.mutants = false;
			break;
		case 's':
			options.scenario = optarg;
			options.mutants = false;
			break;
		case 'k':
			options.medium = optarg;
			break;
		case 'M':
			options.explore = false;
			break;
		case 'm':
			options.explore = false;
			options.mutant = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 't':
			options.self_test = true;
			break;
		case 'S':
			options.seed = strtoull(optarg, NULL, 10);
			break;
		case 'j':
			options.nprocess = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'L':
			list();
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (options.nprocess == 0)
		options.nprocess = 1;
	if (options.self_test)
		return self_test(options.seed, options.nprocess) != 0;
	if (options.explore)
		nwrong += explore_scenarios(&options);
	if (options.mutants)
		nwrong += explore_mutants(&options);
	return nwrong != 0;
}

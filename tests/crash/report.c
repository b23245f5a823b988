/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * report -- one line for each failure from which the very same one can be made
 * again.  The line names everything a run depends on (struct run): what is
 * below a crash image, a recovery cut short or a second life, follows from it.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "create.h"
#include "hook.h"
#include "mend.h"
#include "replay.h"
#include "scenario.h"
#include "world.h"

struct world *report_world;
bool report_verbose;

static const char *const mode_names[] = { "random", "pct", "dfs", "replay" };
static const char *const fault_names[] = { "none", "fence", "lost", "error",
	"signal" };

static const struct world *
root_of(const struct world *world)
{
	while (world->parent != NULL)
		world = world->parent;
	return world;
}

static void
put_trace(struct text *out)
{
	const struct sched_trace *trace = sched_trace();

	text_add(out, " schedule=");
	for (unsigned i = 0; i < trace->n; i++)
		text_add(out, "%s%u.%u", i > 0 ? "," : "", trace->sw[i].at,
		    trace->sw[i].entity);
	if (trace->n == 0)
		text_add(out, "-");
}

static void
put_choice(struct text *out, const struct enum_choice *choice)
{
	text_add(out, " image=");
	for (unsigned i = 0; i < choice->n;) {
		unsigned n = 1;

		while (i + n < choice->n &&
		    choice->prefix[i + n] == choice->prefix[i])
			n++;
		text_add(out, "%s%u", i > 0 ? "," : "", choice->prefix[i]);
		if (n > 1)
			text_add(out, "*%u", n);
		i += n;
	}
	if (choice->n == 0)
		text_add(out, "-");
}

void
replay_print(const struct world *any, struct text *out)
{
	const struct world *world = root_of(any);
	const struct run *run = &world->run;
	const struct shape *shape = &run->shape;

	text_add(out, "program=");
	for (const char *p = run->program; *p != '\0'; p++)
		text_add(out, "%c", *p == ' ' ? ',' : *p == '|' ? '/' : *p);
	text_add(out, " kind=%s sector=%u nlba=%u nfree=%u nlane=%u",
	    sim_kind_name(run->kind), shape->sector_bytes, shape->nlba,
	    shape->nfree, shape->nlane);
	text_add(out, " durability=%u age=%u zero=%u bad=%u oldlog=%u meta=%u",
	    shape->durability, shape->nage, shape->set_zero, shape->error_entry,
	    shape->old_log, shape->meta_bytes);
	text_add(out, " arenas=%u tail=%u", shape->narena, shape->ntail);
	text_add(out, " poison=%u.%u.%u", shape->bad_sectors, shape->bad_pairs,
	    shape->bad_hidden);
	text_add(out, " fault=%s.%u mode=%s depth=%u seed=%lu mutant=%u",
	    fault_names[run->fault], run->fault_n, mode_names[run->mode],
	    run->depth, (unsigned long)run->seed, btt_hook_mutant);
	text_add(out, " plan=%lu.%u.%u.%u.%u", (unsigned long)run->plan.cap,
	    run->plan.nrandom, run->plan.neach, run->life_every,
	    run->whole_every);
	put_trace(out);
	/* Outside of a crash point no image is part of the failure. */
	if (world->choice != NULL) {
		text_add(out, " point=%u", world->point);
		put_choice(out, world->choice);
	} else {
		text_add(out, " point=none");
	}
}

/* ---- reading it again ---- */

static unsigned
name_index(const char *const *names, unsigned n, const char *name, size_t len)
{
	for (unsigned i = 0; i < n; i++) {
		if (strlen(names[i]) == len &&
		    strncmp(names[i], name, len) == 0)
			return i;
	}
	return 0;
}

static void
parse_trace(const char *p, struct sched_trace *trace)
{
	unsigned at, entity;
	int used;

	trace->n = 0;
	while (sscanf(p, "%u.%u%n", &at, &entity, &used) == 2 &&
	    trace->n < SCHED_SWITCHES) {
		trace->sw[trace->n].at = at;
		trace->sw[trace->n++].entity = (uint8_t)entity;
		p += used;
		if (*p == ',')
			p++;
	}
}

static void
parse_choice(const char *p, struct enum_choice *choice)
{
	unsigned prefix, n;
	int used;

	choice->n = 0;
	while (sscanf(p, "%u%n", &prefix, &used) == 1) {
		n = 1;
		p += used;
		if (sscanf(p, "*%u%n", &n, &used) == 1)
			p += used;
		while (n-- > 0 && choice->n < ENUM_UNITS)
			choice->prefix[choice->n++] = (uint16_t)prefix;
		if (*p == ',')
			p++;
	}
}

static void
parse_word(const char *word, struct run *run, struct replay *replay)
{
	const char *value = strchr(word, '=');
	struct shape *shape = &run->shape;
	unsigned long n;

	if (value == NULL)
		return;
	value++;
	n = strtoul(value, NULL, 10);
#define IS(name) (strncmp(word, name "=", sizeof(name)) == 0)
	if (IS("program")) {
		snprintf(replay->program, sizeof(replay->program), "%s", value);
	} else if (IS("kind")) {
		for (unsigned i = 0; i < SIM_NKIND; i++) {
			if (strcmp(value, sim_kind_name(i)) == 0)
				run->kind = i;
		}
	} else if (IS("sector")) {
		shape->sector_bytes = (uint32_t)n;
	} else if (IS("nlba")) {
		shape->nlba = (uint32_t)n;
	} else if (IS("nfree")) {
		shape->nfree = (uint32_t)n;
	} else if (IS("nlane")) {
		shape->nlane = (unsigned)n;
	} else if (IS("durability")) {
		shape->durability = (enum btt_durability)n;
	} else if (IS("age")) {
		shape->nage = (unsigned)n;
	} else if (IS("zero")) {
		shape->set_zero = n != 0;
	} else if (IS("bad")) {
		shape->error_entry = n != 0;
	} else if (IS("oldlog")) {
		shape->old_log = n != 0;
	} else if (IS("meta")) {
		shape->meta_bytes = (uint32_t)n;
	} else if (IS("arenas")) {
		shape->narena = (uint32_t)n;
	} else if (IS("tail")) {
		shape->ntail = (uint32_t)n;
	} else if (IS("poison")) {
		sscanf(value, "%u.%u.%lu", &shape->bad_sectors,
		    &shape->bad_pairs, &n);
		shape->bad_hidden = n != 0;
	} else if (IS("fault")) {
		run->fault =
		    name_index(fault_names, 5, value, strcspn(value, "."));
		run->fault_n = (unsigned)strtoul(
		    value + strcspn(value, ".") + 1, NULL, 10);
	} else if (IS("seed")) {
		run->seed = n;
	} else if (IS("mutant")) {
		replay->mutant = (unsigned)n;
	} else if (IS("plan")) {
		sscanf(value, "%lu.%u.%u.%u.%u", &n, &run->plan.nrandom,
		    &run->plan.neach, &run->life_every, &run->whole_every);
		run->plan.cap = n;
	} else if (IS("schedule")) {
		parse_trace(value, &replay->trace);
		replay->has_trace = true;
	} else if (IS("point")) {
		run->only_point =
		    strcmp(value, "none") == 0 ? UINT32_MAX : (unsigned)n;
	} else if (IS("image")) {
		parse_choice(value, &replay->choice);
		replay->has_choice = true;
	}
#undef IS
}

/* What points into itself. */
static void
refer_to_itself(struct replay *replay)
{
	replay->run.program = replay->program;
	replay->run.only_choice = replay->has_choice ? &replay->choice : NULL;
}

void
replay_parse(const char *line, struct replay *replay)
{
	char *words = strdup(line);
	char *save = NULL;

	assert(words != NULL);
	memset(replay, 0, sizeof(*replay));
	for (char *word = strtok_r(words, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save))
		parse_word(word, &replay->run, replay);
	free(words);
	if (replay->has_trace)
		replay->run.mode = SCHED_REPLAY;
	refer_to_itself(replay);
}

void
replay_copy(struct replay *to, const struct replay *from)
{
	*to = *from;
	refer_to_itself(to);
}

void
replay_run(const struct replay *replay, struct tally *tally)
{
	struct world *world;

	btt_hook_mutant = replay->mutant;
	if (replay->has_trace)
		sched_set_replay(&replay->trace);
	if (create_is_program(replay->run.program)) {
		create_explore(&replay->run, tally);
		return;
	}
	if (mend_is_program(replay->run.program)) {
		mend_explore(&replay->run, tally);
		return;
	}
	world = world_new(&replay->run, tally);
	world_run(world);
	world_free(world);
}

/* ---- a violation ---- */

_Noreturn void
violation(struct world *world, const char *invariant, const char *fmt, ...)
{
	struct tally *tally = world->tally;
	struct text out = { tally->replay, sizeof(tally->replay), 0 };
	int n;
	va_list ap;

	(void)sched_set_active(false);
	n = snprintf(tally->what, sizeof(tally->what), "%s: ", invariant);
	va_start(ap, fmt);
	(void)vsnprintf(
	    tally->what + n, sizeof(tally->what) - (size_t)n, fmt, ap);
	va_end(ap);
	if (world->parent != NULL) {
		size_t len = strlen(tally->what);

		(void)snprintf(tally->what + len, sizeof(tally->what) - len,
		    " (after a recovery and more writes)");
	}
	replay_print(world, &out);
	tally->seconds = cpu_seconds();
	tally->failed = true;
	if (report_verbose)
		world_dump(world);
	_exit(3);
}

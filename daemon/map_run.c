/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "map_run.h"

/* Entries that are translated at once. */
#define CHUNK 1024u

static bool
continues(const struct map_run *run, const struct btt_translation *next)
{
	return run->n > 0 && !next->is_pending && !run->first.is_pending &&
	    next->state == run->first.state &&
	    next->block - run->first.block == run->n &&
	    (next->off == BTT_NOWHERE) == (run->first.off == BTT_NOWHERE);
}

static void
count(struct map_total *total, const struct btt_translation *translation)
{
	total->nstate[translation->state]++;
	if (translation->is_pending)
		total->npending++;
	if (translation->off == BTT_NOWHERE)
		total->nbad++;
}

int
map_run_each(const struct media *media, const struct btt_inspect_arena *arena,
    const struct btt_inspect_log *log, uint32_t premap, uint32_t n,
    bool is_single, map_run_fn *fn, void *arg, struct map_total *total,
    struct btt_error *error)
{
	struct btt_translation chunk[CHUNK];
	struct map_run run = { .n = 0 };
	uint32_t done, now, i;
	int r;

	r = 0;
	for (done = 0; done < n; done += now) {
		now = n - done < CHUNK ? n - done : CHUNK;
		/* Where the map cannot be read on, all before is shown. */
		while ((r = btt_inspect_map(media, arena, log, premap + done,
			    now, chunk, error)) < 0 &&
		    now > 1)
			now /= 2;
		if (r < 0)
			break;
		for (i = 0; i < now; i++) {
			count(total, &chunk[i]);
			if (!is_single && continues(&run, &chunk[i])) {
				run.n++;
				continue;
			}
			if (run.n > 0)
				fn(arg, &run);
			run.first = chunk[i];
			run.n = 1;
			total->nrun++;
		}
	}
	if (run.n > 0)
		fn(arg, &run);
	return r;
}

const char *
map_state_name(enum btt_map_state state)
{
	switch (state) {
	case BTT_MAP_INITIAL:
		return "initial";
	case BTT_MAP_ERROR:
		return "error";
	case BTT_MAP_ZERO:
		return "zero";
	case BTT_MAP_NORMAL:
		return "normal";
	}
	return "unknown";
}

void
map_run_print_heading(const struct map_view *view)
{
	if (view->is_single)
		printf("%12s %5s %10s", "LBA", "ARENA", "PREMAP");
	else
		printf("%12s %12s %10s", "FIRST", "LAST", "SECTORS");
	printf(" %-8s %10s %16s\n", "STATE", "BLOCK", "BYTE");
}

static void
print_place(uint64_t off)
{
	if (off == BTT_NOWHERE)
		printf(" %16s", "out of range");
	else
		printf(" %16" PRIu64, off);
}

static const char *
colour_for(
    const struct colour *colour, const struct btt_translation *translation)
{
	if (translation->off == BTT_NOWHERE ||
	    translation->state == BTT_MAP_ERROR)
		return colour->bad;
	if (translation->is_pending)
		return colour->doubtful;
	return translation->state == BTT_MAP_INITIAL ? colour->faint : "";
}

void
map_run_print(const struct map_view *view, const struct map_run *run)
{
	const struct btt_translation *first;
	const char *on;
	uint64_t lba;

	first = &run->first;
	lba = view->first_lba + first->premap;
	on = colour_for(view->colour, first);
	fputs(on, stdout);
	if (view->is_single)
		printf(
		    "%12" PRIu64 " %5u %10u", lba, view->arena, first->premap);
	else
		printf("%12" PRIu64 " %12" PRIu64 " %10u", lba,
		    lba + run->n - 1, run->n);
	printf(" %-8s %10u", map_state_name(first->state), first->block);
	print_place(first->off);
	if (first->is_pending) {
		printf("  pending: block %u at", first->pending_block);
		print_place(first->pending_off);
	}
	printf("%s\n", on[0] == '\0' ? "" : view->colour->off);
}

static void
add_place(struct json_object *object, uint32_t block, uint64_t off)
{
	ctl_add_number(object, "block", block);
	if (off != BTT_NOWHERE)
		ctl_add_number(object, "offset", off);
}

struct json_object *
map_run_to_json(const struct map_view *view, const struct map_run *run)
{
	struct json_object *object, *pending;

	object = ctl_new_object();
	ctl_add_number(object, "lba", view->first_lba + run->first.premap);
	if (!view->is_single)
		ctl_add_number(object, "sectors", run->n);
	ctl_add_number(object, "arena", view->arena);
	ctl_add_number(object, "premap", run->first.premap);
	ctl_add_text(object, "state", map_state_name(run->first.state));
	add_place(object, run->first.block, run->first.off);
	if (run->first.is_pending) {
		pending = ctl_new_object();
		add_place(
		    pending, run->first.pending_block, run->first.pending_off);
		ctl_add(object, "pending", pending);
	}
	return object;
}

/* The order in which people want to hear of them. */
static const enum btt_map_state states[] = { BTT_MAP_NORMAL, BTT_MAP_INITIAL,
	BTT_MAP_ZERO, BTT_MAP_ERROR };
#define NSTATE (sizeof(states) / sizeof(states[0]))

void
map_total_print(const struct map_total *total, const struct colour *colour)
{
	uint64_t nsector;
	size_t i;

	nsector = 0;
	for (i = 0; i < NSTATE; i++)
		nsector += total->nstate[i];
	printf("%" PRIu64 " sector%s in %" PRIu64 " run%s:", nsector,
	    nsector == 1 ? "" : "s", total->nrun, total->nrun == 1 ? "" : "s");
	for (i = 0; i < NSTATE; i++)
		printf("%s %" PRIu64 " %s", i == 0 ? "" : ",",
		    total->nstate[states[i]], map_state_name(states[i]));
	putchar('\n');
	if (total->npending > 0)
		printf("%s%" PRIu64
		       " interrupted write%s, completed at the next open%s\n",
		    colour->doubtful, total->npending,
		    total->npending == 1 ? "" : "s", colour->off);
	if (total->nbad > 0)
		printf("%s%" PRIu64 " block%s out of range%s\n", colour->bad,
		    total->nbad, total->nbad == 1 ? "" : "s", colour->off);
}

struct json_object *
map_total_to_json(const struct map_total *total)
{
	struct json_object *object;
	size_t i;

	object = ctl_new_object();
	for (i = 0; i < NSTATE; i++)
		ctl_add_number(object, map_state_name(states[i]),
		    total->nstate[states[i]]);
	ctl_add_number(object, "runs", total->nrun);
	ctl_add_number(object, "pending", total->npending);
	ctl_add_number(object, "out_of_range", total->nbad);
	return object;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_MAP_RUN_H
#define BTTFS_MAP_RUN_H

/*
 * map_run -- the map of an arena as runs of sectors that lie one after the
 * other on the medium and have one state: what a map of millions of entries
 * looks like to people.
 */
#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include <btt/inspect.h>

#include "colour.h"

struct map_run {
	struct btt_translation first; /* of n sectors, blocks ascending */
	uint32_t n;
};

/* What a map says in all. */
struct map_total {
	uint64_t nstate[4]; /* by enum btt_map_state */
	uint64_t npending;
	uint64_t nbad; /* blocks out of range */
	uint64_t nrun;
};

typedef void map_run_fn(void *arg, const struct map_run *run);

/*
 * Call fn for each run in sectors premap .. premap + n - 1, in their order,
 * and add to total.  is_single: each sector is a run by itself; an interrupted
 * write always is.  Errors as btt_inspect_map, after the runs before it.
 */
int map_run_each(const struct media *media,
    const struct btt_inspect_arena *arena, const struct btt_inspect_log *log,
    uint32_t premap, uint32_t n, bool is_single, map_run_fn *fn, void *arg,
    struct map_total *total, struct btt_error *error) BTT_MUST_CHECK;

/* "initial", "error", "zero", "normal" */
const char *map_state_name(enum btt_map_state state);

/* How the runs of an arena are shown. */
struct map_view {
	bool is_single;
	uint32_t arena;     /* its index */
	uint64_t first_lba; /* of its sectors, in the device */
	const struct colour *colour;
};

/* A line for a run, below a heading. */
void map_run_print_heading(const struct map_view *view);
void map_run_print(const struct map_view *view, const struct map_run *run);
struct json_object *
map_run_to_json(const struct map_view *view, const struct map_run *run);

/* "7920 sectors in 14 runs: 12 normal, 7908 initial, 0 zero, 0 error" */
void
map_total_print(const struct map_total *total, const struct colour *colour);
struct json_object *map_total_to_json(const struct map_total *total);

#endif

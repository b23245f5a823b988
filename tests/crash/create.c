/* SPDX-License-Identifier: BSD-3-Clause */
#include "create.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <btt/btt.h>

#define OLD_UUID 1
#define NEW_UUID 2
#define NSECTOR 4u /* of the old BTT that are written */

/* What the name of the program says. */
bool
create_is_program(const char *program)
{
	return strncmp(program, "create-", 7) == 0;
}

static bool
is_over(const struct run *run)
{
	return strncmp(run->program, "create-over", 11) == 0;
}

/* Nothing is made in the place of the old one. */
static bool
is_destroyed(const struct run *run)
{
	return strncmp(run->program, "create-destroy", 14) == 0;
}

static unsigned
count_arenas(const struct run *run)
{
	return strstr(run->program, "-arenas") != NULL ? 2 : 1;
}

/* The first of the written sectors: they reach over the border of arenas. */
static uint64_t
first_sector(const struct world *world)
{
	struct btt_info info = { .nfree = 0 };
	int r;

	if (count_arenas(&world->run) == 1)
		return 0;
	r = btt_geometry(
	    BTT_ARENA_MAX_BYTES, 512, BTT_NFREE_DEFAULT, 64, &info);
	assert(r == 0);
	(void)r;
	return info.external_nlba - NSECTOR / 2;
}

static void
no_copies_here(struct sim *sim, void *arg, const char *text)
{
	(void)sim;
	violation(arg, "medium", "%s", text);
}

static int
create(struct world *world, uint8_t uuid, uint32_t sector_bytes, bool zero)
{
	struct btt_create_options options = {
		.layout = BTT_LAYOUT_V20,
		.sector_bytes = sector_bytes,
		.nfree = BTT_NFREE_DEFAULT,
		.uuid = { uuid },
		.medium_is_zero = zero,
	};
	struct btt_error error = { "" };
	int r = btt_create(&world->sim->media, &options, &error);

	if (r < 0 && media_failed(&world->sim->media) == 0)
		violation(
		    world, "create", "btt_create: %s (%d)", error.text, r);
	return r;
}

static void
destroy(struct world *world)
{
	static const uint8_t uuid[BTT_UUID_BYTES] = { OLD_UUID };
	struct btt_error error = { "" };
	int r = btt_destroy(&world->sim->media, NULL, uuid, &error);

	if (r < 0 && media_failed(&world->sim->media) == 0)
		violation(
		    world, "destroy", "btt_destroy: %s (%d)", error.text, r);
}

/* For writing: who only reads is not refused a log that is half new. */
static struct btt *
open_or_complain(struct world *world, struct sim *sim)
{
	struct btt_open_options options = { .read_only = false };
	struct btt_error error = { "" };
	struct btt *btt;
	int r;

	r = btt_open(&sim->media, world->check_pool, &options, &btt, &error);
	if (r < 0)
		violation(world, "create", "found, but does not open: %s (%d)",
		    error.text, r);
	return btt;
}

static void
fill_old(struct world *world)
{
	struct btt_worker *worker = btt_worker_pool_get(world->check_pool, 0);
	struct btt *btt = open_or_complain(world, world->sim);
	uint64_t first = first_sector(world);

	for (uint32_t i = 0; i < 2 * NSECTOR; i++) {
		uint32_t lba = i % NSECTOR;

		if (btt_write(btt, worker, (first + lba) * 512, 512,
			spec_pattern(&world->spec, 1 + lba, lba)) < 0)
			violation(world, "setup", "btt_write");
	}
	if (btt_close(btt) < 0)
		violation(world, "setup", "btt_close");
}

/* Every sector can be read; those of the old BTT hold what they held. */
static void
check_sectors(struct world *world, struct btt *btt, bool is_old)
{
	struct btt_worker *worker = btt_worker_pool_get(world->check_pool, 0);
	uint64_t first = first_sector(world);
	struct btt_geometry_info geometry;
	uint8_t bytes[4096];

	btt_get_geometry(btt, &geometry);
	if (geometry.narena != count_arenas(&world->run))
		violation(world, "create", "%u arenas", geometry.narena);
	for (uint64_t i = 0; i < geometry.nsector; i++) {
		int r = btt_read(btt, worker, i * geometry.sector_bytes,
		    geometry.sector_bytes, bytes);

		if (r < 0)
			violation(world, "create", "sector %lu: %d",
			    (unsigned long)i, r);
		if (is_old && i >= first && i - first < NSECTOR &&
		    memcmp(bytes,
			spec_pattern(&world->spec, 1 + (unsigned)(i - first),
			    (uint32_t)(i - first)),
			512) != 0)
			violation(world, "create",
			    "the old BTT opens without its sector %lu",
			    (unsigned long)i);
	}
}

/* Is that the verdict on a medium without a BTT, where that may be? */
static bool
is_none(const struct world *world, int r)
{
	struct btt_info info;

	if (r == -EMEDIUMTYPE)
		return !world->finished || is_destroyed(&world->run);
	/* Half erased is none, too, but said to be damage. */
	if (r != -EUCLEAN || !world->over || world->finished)
		return false;
	return !is_destroyed(&world->run) ||
	    btt_info_decode(world->rec->view, &info) != BTT_INFO_VALID;
}

static void
check_image(void *arg, const struct enum_choice *choice)
{
	struct world *world = arg;
	struct btt_geometry_info geometry;
	struct btt_error error = { "" };
	struct btt_probe probe;
	struct btt *btt;
	int r;

	world->choice = choice;
	world->tally->nimage++;
	r = btt_probe(&world->rec->media, &probe, &error);
	if (is_none(world, r)) {
		world->choice = NULL;
		return;
	}
	if (r < 0)
		violation(world, "create", "neither BTT nor none: %s (%d)",
		    error.text, r);
	if (world->finished && is_destroyed(&world->run))
		violation(world, "destroy", "destroyed, but it is found");
	btt_probe_fini(&probe);
	btt = open_or_complain(world, world->rec);
	btt_get_geometry(btt, &geometry);
	if (world->finished && geometry.uuid[0] != NEW_UUID)
		violation(world, "create", "made, but the old one is found");
	check_sectors(world, btt, geometry.uuid[0] == OLD_UUID);
	if (btt_close(btt) < 0 || world->rec->nundo > 0)
		violation(world, "create", "there was something to recover");
	world->choice = NULL;
}

static void
at_fence(struct sim *sim, void *arg)
{
	struct world *world = arg;
	const struct run *run = &world->run;
	struct rng rng;

	world->point++;
	if (run->only_point != 0 && run->only_point != world->point)
		return;
	world->tally->npoint++;
	rng_seed(&rng, rng_mix(run->seed, world->point));
	if (run->only_choice == NULL)
		(void)enumerate(sim, &run->plan, &rng, check_image, world);
	else if (!enumerate_one(sim, run->only_choice, check_image, world))
		violation(world, "replay", "other units than were");
}

static void
free_all(struct world *world)
{
	btt_worker_pool_free(world->check_pool);
	spec_fini(&world->spec);
	free(world->sim->view);
	sim_free(world->sim);
	sim_free(world->rec);
	free(world);
}

void
create_explore(const struct run *run, struct tally *tally)
{
	struct world *world = calloc(1, sizeof(*world));
	uint64_t bytes = count_arenas(run) * BTT_ARENA_MAX_BYTES;
	bool over = is_over(run) || is_destroyed(run);

	assert(world != NULL);
	world->over = over;
	world->run = *run;
	world->tally = tally;
	report_world = world;
	world->sim = sim_new(run->kind, bytes, NULL);
	world->rec = sim_new(run->kind, bytes, world->sim->view);
	world->rec->keeps_undo = true;
	world->sim->arg = world->rec->arg = world;
	world->sim->complain = world->rec->complain = no_copies_here;
	memset(world->sim->view, 0, bytes);
	spec_init(&world->spec, NSECTOR, 512);
	if (btt_worker_pool_new(1, &world->check_pool) < 0)
		abort();
	if (over) {
		world->sim->recording = false;
		(void)create(world, OLD_UUID, 512, true);
		fill_old(world);
		world->sim->recording = true;
		sim_reset(world->sim);
	}
	world->sim->at_fence = at_fence;
	if (is_destroyed(run))
		destroy(world);
	else
		(void)create(world, NEW_UUID, over ? 1024 : 512, !over);
	world->finished = true;
	at_fence(world->sim, world);
	tally->nschedule++;
	free_all(world);
}

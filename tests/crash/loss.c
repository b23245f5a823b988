/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loss -- parts of an arena that are no data are lost in the middle of a run:
 * a unit of the map, which has all entries of a small arena, the first unit of
 * the log, an info block.  The system tells at once, as others go on.
 *
 * To the specification losing the map is a write of an error to each of the
 * arena's sectors; losing anything else changes nothing.  What a crash may
 * leave then, beside all that it may leave anyway:
 *
 *	map or log lost		no open to write.  It opens to be read: each
 *				sector is -EIO (map), or what it may be without
 *				the log: a reader was promised that what it saw
 *				lasts, but not over a loss of the log.
 *	marked by its flag	no open to write.  It opens to be read, and of
 *				what is read then nothing is promised: that is
 *				what the flag says.
 *	an info block lost	all that is promised otherwise.
 *
 * An open to read writes nothing.
 */
#include <errno.h>
#include <string.h>

#include "engine.h"
#include "layout.h"
#include "sched.h"
#include "world.h"

/* ---- losing ---- */

static void
find_part(const struct world *world, enum lost_part part, uint64_t *ret_off,
    size_t *ret_len)
{
	const struct btt_arena_place *place = &world->place[0];

	*ret_len = SIM_SPOT;
	switch (part) {
	case LOST_MAP:
		*ret_off = place->off + place->info.mapoff;
		return;
	case LOST_MAP2:
		*ret_off = place->off + place->info.mapoff + SIM_SPOT;
		return;
	case LOST_LOG:
		*ret_off = place->off + place->info.logoff;
		return;
	case LOST_INFO:
		*ret_off = place->off;
		break;
	case LOST_INFO2:
	case LOST_FOREIGN:
	case LOST_NPART:
		*ret_off = place->off + place->info.info2off;
		break;
	}
	*ret_len = BTT_INFO_BYTES;
}

/* The backup is another BTT's by now, whoever has written it. */
static void
put_foreign(struct world *world)
{
	struct btt_info info = world->place[0].info;

	info.uuid[0] ^= 0xff;
	btt_info_encode(
	    &info, world->sim->view + world->place[0].off + info.info2off);
}

void
lose_step(struct world *world, const struct step *step)
{
	enum lost_part part = (enum lost_part)step->lba;
	bool was_active = sched_set_active(false);
	unsigned first = world->spec.nop;
	uint64_t off = 0;
	size_t len;

	find_part(world, part, &off, &len);
	for (uint32_t i = 0; part == LOST_MAP && i < world_nlba(world); i++) {
		unsigned op =
		    spec_call(&world->spec, SPEC_WRITE, i, 1, 3, true);

		world->spec.op[op].code = SPEC_ERROR;
		world->errors |= 1u << i;
	}
	if (part == LOST_FOREIGN)
		put_foreign(world);
	for (size_t i = 0; part != LOST_FOREIGN && i < len; i += SIM_SPOT)
		sim_poison(world->sim, off + i);
	(void)sched_set_active(was_active);
	if (part != LOST_FOREIGN &&
	    media_add_bad(&world->sim->media, off, len) < 0)
		violation(world, "setup", "media_add_bad");
	/* Whoever begins from here on knows it. */
	for (uint32_t i = 0; part == LOST_MAP && i < world_nlba(world); i++)
		spec_return(&world->spec, first + i);
	crash_point(world, "lost");
}

bool
lost_for_good(const struct world *world)
{
	return world->may_lose && world->btt != NULL &&
	    world->btt->group != NULL && btt_failed(world->btt) < 0;
}

/* ---- images ---- */

struct loss {
	bool map, log;
	bool primary, backup; /* of its info blocks */
	bool is_flagged, is_foreign;
};

/* Is the flag set in a copy that is there? */
static bool
look_at_info(const struct world *world, unsigned a, uint64_t at, bool *ret_lost,
    bool *ret_foreign)
{
	const struct btt_arena_place *place = &world->place[a];
	struct btt_info info;

	*ret_lost = sim_poisoned(world->sim, place->off + at, BTT_INFO_BYTES);
	*ret_foreign = false;
	if (*ret_lost ||
	    btt_info_decode(world->sim->view + place->off + at, &info) !=
		BTT_INFO_VALID)
		return false;
	*ret_foreign =
	    memcmp(info.uuid, place->info.uuid, sizeof(info.uuid)) != 0;
	return (info.flags & BTT_FLAG_ERROR) != 0;
}

static struct loss
loss_of(struct world *world, unsigned a)
{
	const struct btt_arena_place *place = &world->place[a];
	struct loss loss = { .map = false };
	bool is_primary_foreign;

	loss.map = sim_poisoned(world->sim, place->off + place->info.mapoff,
	    4 * (uint64_t)place->info.external_nlba);
	loss.log = sim_poisoned(world->sim, place->off + place->info.logoff,
	    64 * (uint64_t)place->info.nfree);
	loss.is_flagged =
	    look_at_info(world, a, 0, &loss.primary, &is_primary_foreign);
	/* The two of them are asked: either says enough. */
	if (look_at_info(
		world, a, place->info.info2off, &loss.backup, &loss.is_foreign))
		loss.is_flagged = true;
	if (is_primary_foreign)
		violation(world, "info",
		    "the info block of arena %u is another BTT's", a);
	return loss;
}

/* To be written to, it does not open, or not so. */
static void
open_to_write(struct world *world, bool told)
{
	struct btt_open_options options = { .nlane = 1 };
	struct btt_geometry_info geometry;
	struct btt_error error = { "" };
	struct btt *btt;
	int r;

	sim_poison_list(world->rec, told);
	r = btt_open(
	    &world->rec->media, world->check_pool, &options, &btt, &error);
	if (r < 0) {
		sim_poison_unlist(world->rec);
	} else {
		btt_get_geometry(btt, &geometry);
		if (!geometry.read_only)
			violation(world, "lost",
			    "what is lost, or marked, opens to be written to");
		if ((r = btt_close(btt)) < 0)
			violation(world, "lost", "btt_close: %d", r);
	}
	if (world->rec->nundo > 0)
		violation(
		    world, "lost", "an open that may not write has written");
}

static bool
is_legal_without_log(struct world *world, uint32_t lba, struct spec_value value)
{
	bool reads_persist = world->spec.reads_persist;
	struct spec_legal legal;

	world->spec.reads_persist = false;
	spec_crash_legal(&world->spec, lba, &legal);
	world->spec.reads_persist = reads_persist;
	return spec_is_legal(&legal, value);
}

static bool
entry_is_lost(const struct world *world, uint32_t lba)
{
	uint32_t premap;
	unsigned a = world_arena_of(world, lba, &premap);

	return sim_poisoned(world->sim,
	    world->place[a].off + world->place[a].info.mapoff +
		4 * (uint64_t)premap,
	    4);
}

static void
check_sector(struct world *world, const struct loss *loss, uint32_t lba, int r,
    const uint8_t *bytes)
{
	struct spec_value value = { { SPEC_ERROR, SPEC_ERROR } };

	if (r < 0 && r != -EIO)
		violation(world, "I1", "btt_read: %d", r);
	if (loss->is_flagged)
		return;
	if (r == 0 && entry_is_lost(world, lba))
		violation(world, "lost",
		    "sector %u is read, whose map entry is lost", lba);
	if (r == 0 && !spec_decode(&world->spec, lba, bytes, &value))
		violation(world, "I1",
		    "sector %u is torn, mixed or foreign, with metadata lost",
		    lba);
	if (!is_legal_without_log(world, lba, value))
		violation(world, "I2",
		    "sector %u holds %u/%u, with metadata lost", lba,
		    value.half[0], value.half[1]);
}

static void
open_to_read(struct world *world, const struct loss loss[ARENAS_MAX], bool told)
{
	struct btt_open_options options = { .read_only = true, .nlane = 1 };
	static uint8_t bytes[BTT_SECTOR_MAX];
	struct btt_worker *worker = btt_worker_pool_get(world->check_pool, 0);
	uint32_t sector_bytes = world->run.shape.sector_bytes;
	struct btt_error error = { "" };
	struct btt *btt;
	int r;

	sim_poison_list(world->rec, told);
	r = btt_open(
	    &world->rec->media, world->check_pool, &options, &btt, &error);
	if (r < 0)
		violation(world, "lost", "does not open to be read: %s (%d)",
		    error.text, r);
	for (uint32_t i = 0; i < world->run.shape.nlba; i++) {
		r = btt_read(btt, worker, (uint64_t)i * sector_bytes,
		    sector_bytes, bytes);
		check_sector(world, &loss[i / world_nlba(world)], i, r, bytes);
	}
	if ((r = btt_close(btt)) < 0)
		violation(world, "lost", "btt_close: %d", r);
	if (world->rec->nundo > 0)
		violation(world, "P7", "a read-only open wrote");
}

bool
loss_check_image(struct world *world, uint64_t hash)
{
	void (*at_fence)(struct sim * sim, void *arg) = world->rec->at_fence;
	struct loss loss[ARENAS_MAX];
	bool refused = false;
	bool told = (hash >> 40 & 1) != 0;

	for (unsigned a = 0; a < world->narena; a++) {
		loss[a] = loss_of(world, a);
		/* What the two say, or one of them alone, is no BTT of ours. */
		if (loss[a].is_foreign || (loss[a].primary && loss[a].backup))
			return true;
		refused =
		    refused || loss[a].map || loss[a].log || loss[a].is_flagged;
	}
	if (!refused)
		return false;
	world->tally->nwhole++;
	world->rec->at_fence = NULL;
	open_to_write(world, told);
	open_to_read(world, loss, told);
	sim_reset(world->rec);
	world->rec->at_fence = at_fence;
	return true;
}

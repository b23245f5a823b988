/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim_poison -- spots of the simulated medium that lost what was written there,
 * as persistent memory does: touching one is a machine check, and the system
 * may or may not have told of it before.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "hook.h"
#include "media_impl.h"
#include "sched.h"
#include "sim_media.h"

#define NO_POISON UINT64_MAX
#define VIEWS_MAX 8

/* Media that have poison: those of a world and of its next life. */
static struct sim *watched[VIEWS_MAX];
/* Where a thread's last fault was. */
static uint64_t last_poison[SIM_THREADS];

static bool
is_poisoned(const struct sim *sim, uint32_t spot)
{
	return sim->view[sim->size + spot] != 0;
}

bool
sim_poisoned(const struct sim *sim, uint64_t off, uint64_t len)
{
	for (uint64_t k = off / SIM_SPOT; k <= (off + len - 1) / SIM_SPOT;
	     k++) {
		if (is_poisoned(sim, (uint32_t)k))
			return true;
	}
	return false;
}

static void
set_poison(struct sim *sim, uint32_t spot, bool poisoned)
{
	uint8_t byte = poisoned;

	sim_change(sim, &sim->spot[spot], sim->size + spot, &byte, 1);
}

bool
sim_poison_is_new(const struct sim *sim, uint64_t off, uint64_t len)
{
	for (uint64_t k = off / SIM_SPOT; k * SIM_SPOT < off + len; k++) {
		if (!is_poisoned(sim, (uint32_t)k) && sim->spot[k].ndelta == 0)
			return false;
	}
	return true;
}

/* What was to become of the bytes is of no account any more. */
static void
settle_bytes(struct sim *sim, uint64_t off)
{
	for (uint64_t i = off; i < off + SIM_SPOT; i += 8) {
		sim_settle(sim, &sim->unit[i / sim->unit_bytes]);
		sim_settle(sim, &sim->word[i / 8]);
	}
}

void
sim_poison(struct sim *sim, uint64_t off)
{
	uint32_t spot = (uint32_t)(off / SIM_SPOT);

	set_poison(sim, spot, true);
	sim_settle(sim, &sim->spot[spot]);
	if (!sim_kind_is_page(sim->kind))
		settle_bytes(sim, spot * (uint64_t)SIM_SPOT);
	memset(sim->view + spot * (uint64_t)SIM_SPOT, 0xee, SIM_SPOT);
}

/* ---- what the engine knows ---- */

void
sim_poison_list(struct sim *sim, bool all)
{
	int r = media_bad_init(&sim->media);

	assert(r == 0);
	for (uint32_t k = 0; all && r == 0 && k < sim_nspot(sim); k++) {
		if (is_poisoned(sim, k))
			r = media_add_bad(
			    &sim->media, k * (uint64_t)SIM_SPOT, SIM_SPOT);
	}
	assert(r == 0);
}

void
sim_poison_unlist(struct sim *sim)
{
	media_bad_fini(&sim->media);
}

void
sim_poison_watch(struct sim *sim)
{
	unsigned i = 0;

	while (i < VIEWS_MAX && watched[i] != NULL)
		i++;
	assert(i < VIEWS_MAX);
	watched[i] = sim;
}

void
sim_poison_unwatch(struct sim *sim)
{
	for (unsigned i = 0; i < VIEWS_MAX; i++) {
		if (watched[i] == sim)
			watched[i] = NULL;
	}
}

/* ---- touching it ---- */

/* The engine is about to read sectors through the mapping. */
void
btt_hook_load(const void *bytes, size_t len)
{
	uintptr_t at = (uintptr_t)bytes;

	for (unsigned i = 0; i < VIEWS_MAX && len > 0; i++) {
		const struct sim *sim = watched[i];
		uintptr_t base;

		if (sim == NULL)
			continue;
		base = (uintptr_t)sim->view;
		if (at < base || at - base >= sim->size ||
		    !sim_poisoned(sim, at - base, len))
			continue;
		last_poison[sim_thread] = at - base;
		while (!sim_poisoned(sim, last_poison[sim_thread], 1))
			last_poison[sim_thread]++;
		sched_raise_fault();
	}
}

void
sim_poison_was_none(void)
{
	last_poison[sim_thread] = NO_POISON;
}

/* In place of btt/media.c's. */
bool
media_was_poison(const struct media *media, uint64_t *ret_off)
{
	(void)media;
	if (last_poison[sim_thread] == NO_POISON)
		return false;
	*ret_off = last_poison[sim_thread];
	return true;
}

/*
 * Writing all of a spot makes it good again; where the medium has a call for
 * that, only an engine that does not know of the poison may try.
 */
void
sim_poison_meets_copy(struct sim *sim, uint64_t off, uint64_t len)
{
	uint64_t first = off / SIM_SPOT;

	for (uint64_t k = first; k * SIM_SPOT < off + len; k++) {
		uint64_t spot = k * SIM_SPOT;

		if (!is_poisoned(sim, (uint32_t)k) && sim->spot[k].ndelta == 0)
			continue;
		if (is_poisoned(sim, (uint32_t)k) &&
		    sim->media.ops->clear_bad != NULL &&
		    media_is_bad(&sim->media, spot, SIM_SPOT))
			sim->complain(
			    sim, sim->arg, "writes where it knows of poison");
		if (spot < off || spot + SIM_SPOT > off + len)
			continue;
		sim_poison_clear(sim, spot, SIM_SPOT);
	}
}

void
sim_poison_clear(struct sim *sim, uint64_t off, uint64_t len)
{
	for (uint64_t k = (off + SIM_SPOT - 1) / SIM_SPOT;
	     (k + 1) * SIM_SPOT <= off + len; k++) {
		struct sim_unit *unit = &sim->spot[k];

		set_poison(sim, (uint32_t)k, false);
		/* Another thread may have cleared it and not fenced yet. */
		if (unit->ndelta == 0)
			continue;
		unit->named = sim_position(unit);
		if (sim->recording && !sim_kind_is_page(sim->kind))
			sim_claim(sim, unit);
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_life -- making simulated media, forgetting their history, their kinds. */
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "sim_media.h"

/* In place of btt/media.c's. */
void
media_close(struct media *media)
{
	if (media != NULL)
		media->ops->close(media);
}

static uint32_t
kind_unit_bytes(enum sim_kind kind)
{
	switch (kind) {
	case SIM_PAGE512:
		return 512;
	case SIM_PAGE4096:
		return 4096;
	case SIM_LINE:
	case SIM_LINE_TEMPORAL:
	case SIM_BYTE:
	case SIM_PAGE64:
	case SIM_NKIND:
		break;
	}
	return 64;
}

struct sim *
sim_new(enum sim_kind kind, uint64_t size, uint8_t *view)
{
	struct sim *sim;
	size_t nunit, nword, nspot;

	sim = calloc(1, sizeof(*sim));
	assert(sim != NULL);
	sim->kind = kind;
	sim->size = size;
	sim->unit_bytes = kind_unit_bytes(kind);
	nunit = size / sim->unit_bytes + 1;
	nword = size / 8 + 1;
	nspot = sim_nspot(sim);
	sim->view_bytes = size + nspot;
	sim->unit = calloc(nunit, sizeof(*sim->unit));
	sim->word = calloc(nword, sizeof(*sim->word));
	sim->spot = calloc(nspot, sizeof(*sim->spot));
	nunit += nword + nspot + 1;
	sim->dirty = calloc(nunit, sizeof(struct sim_unit *));
	sim->touched = calloc(nunit, sizeof(struct sim_unit *));
	sim->view = view;
	if (view == NULL) {
		sim->view = aligned_alloc(4096, size + 4096);
		assert(sim->view != NULL && nspot <= 4096);
		memset(sim->view + size, 0, nspot);
	}
	assert(sim->unit && sim->word && sim->spot);
	assert(sim->dirty && sim->touched);
	sim->media.ops = sim_kind_is_page(kind) ? &sim_page_ops : &sim_ops;
	sim->media.base = sim->view;
	sim->media.size = size;
	sim->media.granularity = sim_kind_granularity(kind);
	sim->recording = true;
	return sim;
}

static void
free_units(struct sim_unit *unit, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(unit[i].delta);
	free(unit);
}

/* A view that was given stays its giver's; see sim_new's callers. */
void
sim_free(struct sim *sim)
{
	if (sim == NULL)
		return;
	free_units(sim->unit, sim->size / sim->unit_bytes + 1);
	free_units(sim->word, sim->size / 8 + 1);
	free_units(sim->spot, sim_nspot(sim));
	free(sim->order.delta);
	for (unsigned i = 0; i < SIM_THREADS; i++)
		free(sim->claims[i].claim);
	free(sim->undo);
	free(sim->touched);
	free(sim->dirty);
	free(sim);
}

void
sim_reset(struct sim *sim)
{
	for (unsigned i = 0; i < sim->ntouched; i++) {
		struct sim_unit *unit = sim->touched[i];

		unit->ndurable = unit->ndelta = 0;
		unit->named = 0;
		unit->unflushed = unit->dirty = unit->touched = false;
	}
	sim->ntouched = sim->ndirty = sim->nundo = 0;
	for (unsigned i = 0; i < SIM_THREADS; i++) {
		sim->claims[i].n = 0;
		sim->order_last[i] = 0;
	}
	atomic_store(&sim->media.failed, 0);
	sim->fail_fence_in = sim->fail_change_in = 0;
	sim->nfence = sim->nflush = sim->nredundant_flush = 0;
}

void
sim_undo_all(struct sim *sim)
{
	while (sim->nundo > 0) {
		const struct sim_undo *undo = &sim->undo[--sim->nundo];

		memcpy(sim->view + undo->off, undo->old_bytes, undo->len);
	}
	sim_reset(sim);
}

const char *
sim_kind_name(enum sim_kind kind)
{
	static const char *const name[SIM_NKIND] = {
		"line",
		"line-t",
		"byte",
		"page512",
		"page4096",
		"page64",
	};

	return kind < SIM_NKIND ? name[kind] : "?";
}

enum media_granularity
sim_kind_granularity(enum sim_kind kind)
{
	if (sim_kind_is_page(kind))
		return MEDIA_PAGE;
	return kind == SIM_BYTE ? MEDIA_BYTE : MEDIA_CACHE_LINE;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_media.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sched.h"

unsigned sim_thread;
struct sim *sim_running;

static struct sim *
to_sim(struct media *media)
{
	return (struct sim *)(void *)media;
}

static void *
grow(void *array, unsigned *room, unsigned need, size_t each)
{
	if (need <= *room)
		return array;
	*room = *room == 0 ? 16 : *room * 2;
	if (*room < need)
		*room = need;
	array = realloc(array, *room * each);
	assert(array != NULL);
	return array;
}

/* ---- units ---- */

static void
touch(struct sim *sim, struct sim_unit *unit)
{
	if (!unit->touched) {
		unit->touched = true;
		sim->touched[sim->ntouched++] = unit;
	}
}

static void
mark_dirty(struct sim *sim, struct sim_unit *unit)
{
	touch(sim, unit);
	if (!unit->dirty) {
		unit->dirty = true;
		sim->dirty[sim->ndirty++] = unit;
	}
}

/* The unit is durable up to this position of its history. */
static void
raise_guarantee(struct sim_unit *unit, uint32_t upto)
{
	uint32_t n;

	if (upto <= unit->ndurable)
		return;
	n = upto - unit->ndurable;
	assert(n <= unit->ndelta);
	unit->ndelta -= n;
	unit->ndurable = upto;
	memmove(
	    unit->delta, unit->delta + n, unit->ndelta * sizeof(*unit->delta));
}

static void
sweep_dirty(struct sim *sim)
{
	unsigned n = 0;

	for (unsigned i = 0; i < sim->ndirty; i++) {
		struct sim_unit *unit = sim->dirty[i];

		if (unit->ndelta > 0)
			sim->dirty[n++] = unit;
		else
			unit->dirty = false;
	}
	sim->ndirty = n;
}

void
sim_claim(struct sim *sim, struct sim_unit *unit)
{
	struct sim_claims *claims = &sim->claims[sim_thread];

	claims->claim = grow(claims->claim, &claims->room, claims->n + 1,
	    sizeof(*claims->claim));
	claims->claim[claims->n].unit = unit;
	claims->claim[claims->n].upto = sim_position(unit);
	claims->n++;
}

static void
add_delta(struct sim *sim, struct sim_unit *unit, uint64_t off, const void *src,
    size_t len)
{
	struct sim_delta *delta;

	assert(len > 0 && len <= SIM_PIECE);
	unit->delta = grow(
	    unit->delta, &unit->room, unit->ndelta + 1, sizeof(*unit->delta));
	delta = &unit->delta[unit->ndelta++];
	delta->off = (uint32_t)off;
	delta->len = (uint8_t)len;
	delta->thread = (uint8_t)sim_thread;
	memcpy(delta->old_bytes, sim->view + off, len);
	memcpy(delta->new_bytes, src, len);
	mark_dirty(sim, unit);
}

void
sim_settle(struct sim *sim, struct sim_unit *unit)
{
	raise_guarantee(unit, sim_position(unit));
	sweep_dirty(sim);
}

static void
remember(struct sim *sim, uint64_t off, size_t len)
{
	struct sim_undo *undo;

	sim->undo = grow(
	    sim->undo, &sim->undo_room, sim->nundo + 1, sizeof(*sim->undo));
	undo = &sim->undo[sim->nundo++];
	undo->off = (uint32_t)off;
	undo->len = (uint32_t)len;
	memcpy(undo->old_bytes, sim->view + off, len);
}

/* One indivisible change of a unit, in the history and in the view. */
void
sim_change(struct sim *sim, struct sim_unit *unit, uint64_t off,
    const void *src, size_t len)
{
	/* What changes nothing makes no new image. */
	if (memcmp(sim->view + off, src, len) == 0)
		return;
	if (sim->keeps_undo)
		remember(sim, off, len);
	if (sim->recording)
		add_delta(sim, unit, off, src, len);
	memcpy(sim->view + off, src, len);
}

void
sim_delta_apply(struct sim *sim, unsigned i, uint32_t k)
{
	const struct sim_delta *delta = &sim->dirty[i]->delta[k];

	memcpy(sim->view + delta->off, delta->new_bytes, delta->len);
}

void
sim_delta_revert(struct sim *sim, unsigned i, uint32_t k)
{
	const struct sim_delta *delta = &sim->dirty[i]->delta[k];

	memcpy(sim->view + delta->off, delta->old_bytes, delta->len);
}

/* ---- operations ---- */

static void
check_range(struct sim *sim, uint64_t off, uint64_t len)
{
	if (off > sim->size || len > sim->size - off)
		sim->complain(sim, sim->arg, "beyond the medium");
}

/* The fault plan's turn?  Half of a change may have happened by then. */
static int
maybe_fail_change(struct sim *sim)
{
	if (sim->fail_change_in == 0 || --sim->fail_change_in > 0)
		return 0;
	if (sim->fail_change_how == SIM_FAULT_SIGNAL) {
		sim_poison_was_none();
		sched_raise_fault();
	}
	return -EIO;
}

static int
begin_change(struct sim *sim, uint64_t off, uint64_t len, const char *what)
{
	int r;

	sched_point(what);
	check_range(sim, off, len);
	if (sim->media.read_only)
		return -EROFS;
	if ((r = media_failed(&sim->media)) < 0)
		return r;
	return 0;
}

/*
 * What a copy does to one word: whole if it is a whole aligned one, else byte
 * by byte, since a copy promises nothing of smaller pieces.
 */
static void
copy_word(struct sim *sim, struct sim_unit *unit, uint64_t off,
    const uint8_t *src, size_t len)
{
	if (len == 8) {
		sim_change(sim, unit, off, src, len);
		return;
	}
	for (size_t i = 0; i < len; i++)
		sim_change(sim, unit, off + i, src + i, 1);
}

/* src NULL: zeroes. */
static void
copy_range(struct sim *sim, uint64_t off, const uint8_t *src, size_t len)
{
	static const uint8_t zeroes[SIM_PIECE];
	bool page = sim_kind_is_page(sim->kind);
	bool words = sim->kind == SIM_LINE || sim->kind == SIM_BYTE;
	uint64_t grain = page && sim->unit_bytes > SIM_PIECE ? SIM_PIECE : 8;
	struct sim_unit *unit;

	while (len > 0) {
		size_t n = grain - off % grain;

		if (n > len)
			n = len;
		unit = words ? &sim->word[off / 8]
			     : &sim->unit[off / sim->unit_bytes];
		if (page)
			sim_change(sim, unit, off, src ? src : zeroes, n);
		else
			copy_word(sim, unit, off, src ? src : zeroes, n);
		if (page)
			unit->named = sim_position(unit);
		else if (sim->recording)
			sim_claim(sim, unit);
		off += n;
		src = src ? src + n : NULL;
		len -= n;
	}
}

static bool
reaches_words(const struct sim *sim, uint64_t off, uint64_t len)
{
	if (sim->words_every == 0)
		return false;
	off %= sim->words_every;
	return off < sim->words_end && off + len > sim->words_start;
}

static int
copy_or_zero(struct media *media, uint64_t off, const uint8_t *src, size_t len)
{
	struct sim *sim = to_sim(media);
	size_t half = len / 2 / 8 * 8;
	int r;

	if ((r = begin_change(sim, off, len, "media copy")) < 0)
		return r;
	sim_poison_meets_copy(sim, off, len);
	/* But a unit that was lost is written anew, whoever tears it. */
	if (sim->recording && reaches_words(sim, off, len) &&
	    !sim_poison_is_new(sim, off, len))
		sim->complain(sim, sim->arg,
		    "I5: map or log changed by a copy, which may tear it");
	/* Others may look, or the device may fault, when half is done. */
	copy_range(sim, off, src, half);
	if ((r = maybe_fail_change(sim)) < 0)
		return r;
	sched_point("media copy half");
	copy_range(sim, off + half, src ? src + half : NULL, len - half);
	return 0;
}

static int
sim_copy(struct media *media, uint64_t off, const void *src, size_t len)
{
	return copy_or_zero(media, off, src, len);
}

static int
sim_zero(struct media *media, uint64_t off, size_t len)
{
	return copy_or_zero(media, off, NULL, len);
}

static int
store(struct media *media, uint64_t off, const void *value, size_t len)
{
	struct sim *sim = to_sim(media);
	struct sim_unit *unit = &sim->unit[off / sim->unit_bytes];
	int r;

	if ((r = begin_change(sim, off, len, "media store")) < 0)
		return r;
	if (off % len != 0)
		sim->complain(sim, sim->arg, "unaligned store");
	if ((r = maybe_fail_change(sim)) < 0)
		return r;
	unit->unflushed = true;
	touch(sim, unit);
	if (sim->kind == SIM_BYTE) {
		unit = &sim->order;
		sim_change(sim, unit, off, value, len);
		sim->order_last[sim_thread] = sim_position(unit);
		return 0;
	}
	sim_change(sim, unit, off, value, len);
	return 0;
}

static int
sim_store64(struct media *media, uint64_t off, struct le64 value)
{
	return store(media, off, &value, sizeof(value));
}

static int
sim_store32(struct media *media, uint64_t off, struct le32 value)
{
	return store(media, off, &value, sizeof(value));
}

static int
sim_flush(struct media *media, uint64_t off, size_t len)
{
	struct sim *sim = to_sim(media);
	bool useful = false;
	int r;

	if ((r = begin_change(sim, off, len, "media flush")) < 0)
		return r;
	sim->nflush++;
	if (!sim->recording || sim->kind == SIM_BYTE || len == 0)
		return 0;
	for (uint64_t k = off / sim->unit_bytes;
	     k <= (off + len - 1) / sim->unit_bytes; k++) {
		struct sim_unit *unit = &sim->unit[k];

		useful = useful || unit->unflushed;
		unit->unflushed = false;
		if (sim_kind_is_page(sim->kind))
			unit->named = sim_position(unit);
		else if (unit->ndelta > 0)
			sim_claim(sim, unit);
	}
	if (!useful)
		sim->nredundant_flush++;
	return 0;
}

/* What the fence that begins now will have made durable when it ends. */
static void
collect_page_claims(struct sim *sim, struct sim_claims *claims)
{
	claims->n = 0;
	claims->claim = grow(
	    claims->claim, &claims->room, sim->ndirty, sizeof(*claims->claim));
	for (unsigned i = 0; i < sim->ndirty; i++) {
		claims->claim[claims->n].unit = sim->dirty[i];
		claims->claim[claims->n].upto = sim->dirty[i]->named;
		claims->n++;
	}
}

/* The system may drop what it failed to write, page by page. */
static void
lose_pages(struct sim *sim)
{
	struct rng rng;

	rng_seed(&rng, sim->lose_seed);
	for (unsigned i = 0; i < sim->ndirty; i++) {
		struct sim_unit *unit = sim->dirty[i];
		uint32_t keep = rng_below(&rng, unit->ndelta + 1);

		while (unit->ndelta > keep) {
			sim_delta_revert(sim, i, unit->ndelta - 1);
			unit->ndelta--;
		}
	}
	sweep_dirty(sim);
}

static int
sim_fence(struct media *media)
{
	struct sim *sim = to_sim(media);
	struct sim_claims *claims = &sim->claims[sim_thread];
	uint32_t order_upto;
	int r;

	sched_point("media fence");
	if (media->read_only)
		return 0;
	if ((r = media_failed(media)) < 0)
		return r;
	sim->nfence++;
	if (!sim->recording)
		return 0;
	if (sim_kind_is_page(sim->kind))
		collect_page_claims(sim, claims);
	order_upto = sim->order_last[sim_thread];
	/* A sync takes time: others go on meanwhile, for better or worse. */
	if (sim_kind_is_page(sim->kind))
		sched_point("media sync");
	if (sim->at_fence != NULL)
		sim->at_fence(sim, sim->arg);
	if (sim->fail_fence_in > 0 && --sim->fail_fence_in == 0) {
		atomic_store(&media->failed, -EIO);
		if (sim->lose_on_failure)
			lose_pages(sim);
		return -EIO;
	}
	if ((r = media_failed(media)) < 0)
		return r;
	for (unsigned i = 0; i < claims->n; i++)
		raise_guarantee(claims->claim[i].unit, claims->claim[i].upto);
	claims->n = 0;
	raise_guarantee(&sim->order, order_upto);
	sweep_dirty(sim);
	return 0;
}

/* The worst that could be there: numbers of blocks, sectors, sequences. */
static uint64_t
noise(const struct sim *sim, uint64_t off)
{
	uint64_t how = rng_mix(sim->mend_seed, off / SIM_SPOT) % 3;
	uint64_t word = rng_mix(sim->mend_seed, off) & UINT64_C(0x300000003);

	if (how == 0)
		return 0;
	return how == 1 ? word : word | UINT64_C(0xc0000000c0000000);
}

/*
 * Zeroes or noise, each word for itself, durable with the next fence.  In the
 * map it is as if stored, since stores are what follows, else as if copied.
 */
void
sim_mend(struct sim *sim, uint64_t off)
{
	bool stored = sim->words_every > 0 &&
	    off % sim->words_every >= sim->words_start &&
	    off % sim->words_every < sim->map_end;

	for (uint64_t i = off; i < off + SIM_SPOT; i += 8) {
		uint64_t word = noise(sim, i);
		struct sim_unit *unit = &sim->unit[i / sim->unit_bytes];

		if (!stored) {
			copy_range(sim, i, (const uint8_t *)&word, 8);
			continue;
		}
		if (sim->kind == SIM_BYTE)
			unit = &sim->order;
		sim_change(sim, unit, i, &word, 8);
		if (sim->kind == SIM_BYTE)
			sim->order_last[sim_thread] = sim_position(unit);
		else if (sim->recording)
			sim_claim(sim, unit);
	}
}

static int
sim_clear_bad(struct media *media, uint64_t off, size_t len)
{
	struct sim *sim = to_sim(media);
	int r;

	if ((r = begin_change(sim, off, len, "media clear")) < 0)
		return r;
	for (uint64_t i = off - off % SIM_SPOT; i < off + len; i += SIM_SPOT) {
		if (i >= off && i + SIM_SPOT <= off + len &&
		    sim_poisoned(sim, i, SIM_SPOT))
			sim_mend(sim, i);
	}
	sim_poison_clear(sim, off, len);
	/* A call of the system: it may fail, but touches nothing itself. */
	if (sim->fail_change_in == 0 || --sim->fail_change_in > 0)
		return 0;
	return -EIO;
}

static void
sim_close(struct media *media)
{
	sim_poison_unlist(to_sim(media));
	/* The rest is the explorer's. */
}

const struct media_ops sim_ops = {
	.copy = sim_copy,
	.zero = sim_zero,
	.store64 = sim_store64,
	.store32 = sim_store32,
	.flush = sim_flush,
	.fence = sim_fence,
	.clear_bad = sim_clear_bad,
	.close = sim_close,
};

/* What is behind a page cache is made good by writing it. */
const struct media_ops sim_page_ops = {
	.copy = sim_copy,
	.zero = sim_zero,
	.store64 = sim_store64,
	.store32 = sim_store32,
	.flush = sim_flush,
	.fence = sim_fence,
	.close = sim_close,
};

uint32_t
sim_stores(void)
{
	return sim_running->order_last[sim_thread];
}

void
sim_have_seen(uint32_t upto)
{
	raise_guarantee(&sim_running->order, upto);
	if (sim_running->order_last[sim_thread] < upto)
		sim_running->order_last[sim_thread] = upto;
	sweep_dirty(sim_running);
}

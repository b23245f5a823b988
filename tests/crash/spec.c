/* SPDX-License-Identifier: BSD-3-Clause */
#include "spec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Operations of one sector whose orders are searched. */
#define SEARCH_OPS 14
#define SEARCH_STATES 16384

#define TAG_MAGIC UINT64_C(0xb77f5ec7)

static uint64_t
make_tag(unsigned code, uint32_t lba, size_t word)
{
	return code == 0 ? 0
			 : TAG_MAGIC << 32 | (uint64_t)code << 24 |
		(uint64_t)lba << 16 | (uint64_t)word;
}

void
spec_init(struct spec *spec, uint32_t nlba, uint32_t sector_bytes)
{
	memset(spec, 0, sizeof(*spec));
	assert(nlba <= SPEC_LBAS && sector_bytes % 16 == 0);
	spec->nlba = nlba;
	spec->sector_bytes = sector_bytes;
	spec->pattern = aligned_alloc(
	    64, (size_t)SPEC_CODES * nlba * ((sector_bytes + 63) / 64 * 64));
	assert(spec->pattern != NULL);
	spec->next_code = 1;
}

void
spec_fini(struct spec *spec)
{
	free(spec->pattern);
	spec->pattern = NULL;
}

void
spec_start(struct spec *spec, const struct spec_value *start)
{
	uint8_t top = 0;

	for (uint32_t i = 0; i < spec->nlba; i++) {
		spec->start[i] = start[i];
		for (unsigned h = 0; h < 2; h++) {
			if (start[i].half[h] != SPEC_ERROR &&
			    start[i].half[h] > top)
				top = start[i].half[h];
		}
	}
	spec->nop = 0;
	spec->now = 0;
	spec->next_code = (uint8_t)(top + 1);
}

const uint8_t *
spec_pattern(struct spec *spec, unsigned code, uint32_t lba)
{
	size_t stride = (spec->sector_bytes + 63) / 64 * 64;
	uint8_t *bytes = spec->pattern + (code * spec->nlba + lba) * stride;
	uint64_t tag;

	assert(code < SPEC_CODES && lba < spec->nlba);
	if (spec->made[code][lba])
		return bytes;
	for (size_t i = 0; i < spec->sector_bytes / 8; i++) {
		tag = make_tag(code, lba, i);
		memcpy(bytes + 8 * i, &tag, sizeof(tag));
	}
	spec->made[code][lba] = true;
	return bytes;
}

static bool
half_code(uint64_t tag, uint8_t *ret_code)
{
	unsigned code = tag >> 24 & 0xff;

	if (tag == 0) {
		*ret_code = 0;
		return true;
	}
	if (tag >> 32 != TAG_MAGIC || code == 0 || code >= SPEC_CODES)
		return false;
	*ret_code = (uint8_t)code;
	return true;
}

bool
spec_decode(struct spec *spec, uint32_t lba, const uint8_t *bytes,
    struct spec_value *ret_value)
{
	size_t half = spec->sector_bytes / 2;
	struct spec_value value;
	uint64_t tag[2];

	memcpy(&tag[0], bytes, sizeof(tag[0]));
	memcpy(&tag[1], bytes + half, sizeof(tag[1]));
	for (unsigned h = 0; h < 2; h++) {
		if (!half_code(tag[h], &value.half[h]))
			return false;
		if (memcmp(bytes + h * half,
			spec_pattern(spec, value.half[h], lba) + h * half,
			half) != 0)
			return false;
	}
	*ret_value = value;
	return true;
}

unsigned
spec_call(struct spec *spec, enum spec_kind kind, uint32_t lba, uint32_t n,
    unsigned part, bool zeroes)
{
	struct spec_op *op = &spec->op[spec->nop];

	assert(spec->nop < SPEC_OPS);
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	op->lba = lba;
	op->n = n;
	op->part = (uint8_t)part;
	if (kind == SPEC_WRITE && !zeroes) {
		assert(spec->next_code < SPEC_CODES);
		op->code = spec->next_code++;
	}
	op->called = spec->now++;
	op->returned = SPEC_NEVER;
	return spec->nop++;
}

void
spec_return(struct spec *spec, unsigned op)
{
	spec->op[op].returned = spec->now++;
}

/* ---- the search for an order ---- */

struct search {
	const struct spec *spec;
	uint32_t lba;
	unsigned n;
	const struct spec_op *op[SEARCH_OPS];
	uint16_t before[SEARCH_OPS]; /* mask of those that must come first */
	uint16_t required;           /* mask */
	struct spec_legal *legal;
	unsigned nstate;
};

/* (mask, value) pairs that were visited; the search is never nested. */
static struct {
	uint16_t mask;
	struct spec_value value;
} states[SEARCH_STATES];

static bool
is_of_sector(const struct spec_op *op, uint32_t lba)
{
	return op->kind != SPEC_FLUSH && lba >= op->lba &&
	    lba - op->lba < op->n;
}

/* Did a flush that began after this return? */
static bool
was_flushed(const struct spec *spec, const struct spec_op *op)
{
	for (unsigned i = 0; i < spec->nop; i++) {
		const struct spec_op *flush = &spec->op[i];

		if (flush->kind == SPEC_FLUSH &&
		    flush->returned != SPEC_NEVER &&
		    op->returned != SPEC_NEVER && flush->called > op->returned)
			return true;
	}
	return false;
}

static bool
is_promised(const struct spec *spec, const struct spec_op *op)
{
	if (op->returned == SPEC_NEVER)
		return false;
	return spec->durable_on_return || was_flushed(spec, op);
}

/* A read that has not returned says nothing. */
static void
search_init(struct search *search, const struct spec *spec, uint32_t lba,
    bool with_reads, struct spec_legal *legal)
{
	memset(search, 0, sizeof(*search));
	search->spec = spec;
	search->lba = lba;
	search->legal = legal;
	legal->n = 0;
	for (unsigned i = 0; i < spec->nop; i++) {
		const struct spec_op *op = &spec->op[i];

		if (!is_of_sector(op, lba))
			continue;
		if (op->kind == SPEC_READ &&
		    (!with_reads || op->returned == SPEC_NEVER))
			continue;
		assert(search->n < SEARCH_OPS);
		for (unsigned k = 0; k < search->n; k++) {
			if (search->op[k]->returned != SPEC_NEVER &&
			    search->op[k]->returned < op->called)
				search->before[search->n] |=
				    (uint16_t)(1u << k);
		}
		search->op[search->n++] = op;
	}
}

static void
add_legal(struct spec_legal *legal, struct spec_value value)
{
	if (spec_is_legal(legal, value))
		return;
	assert(legal->n < SPEC_LEGAL);
	legal->value[legal->n++] = value;
}

static void
visit(struct search *search, uint16_t mask, struct spec_value value)
{
	for (unsigned i = search->nstate; i-- > 0;) {
		if (states[i].mask == mask && spec_same(states[i].value, value))
			return;
	}
	assert(search->nstate < SEARCH_STATES);
	states[search->nstate].mask = mask;
	states[search->nstate].value = value;
	search->nstate++;
	if ((mask & search->required) == search->required)
		add_legal(search->legal, value);
}

/* The value after op, if op can be where the value is this. */
static bool
step(const struct search *search, const struct spec_op *op,
    struct spec_value *value)
{
	if (op->kind == SPEC_CLEAR)
		return true;
	if (op->kind == SPEC_READ)
		return spec_same(op->seen[search->lba - op->lba], *value);
	/* A sector that reads as an error cannot be written in part. */
	if (op->part != 3 && value->half[0] == SPEC_ERROR)
		return false;
	for (unsigned h = 0; h < 2; h++) {
		if (op->part >> h & 1)
			value->half[h] = op->code;
	}
	return true;
}

static void
run_search(struct search *search)
{
	visit(search, 0, search->spec->start[search->lba]);
	for (unsigned at = 0; at < search->nstate; at++) {
		for (unsigned i = 0; i < search->n; i++) {
			struct spec_value value = states[at].value;
			uint16_t mask = states[at].mask;

			if (mask >> i & 1 || (search->before[i] & ~mask) != 0)
				continue;
			if (search->op[i]->kind == SPEC_CLEAR &&
			    value.half[0] == SPEC_ERROR)
				visit(search, (uint16_t)(mask | 1u << i),
				    (struct spec_value){ { 0, 0 } });
			if (step(search, search->op[i], &value))
				visit(
				    search, (uint16_t)(mask | 1u << i), value);
		}
	}
}

void
spec_crash_legal(
    const struct spec *spec, uint32_t lba, struct spec_legal *ret_legal)
{
	struct search search;

	search_init(&search, spec, lba, spec->reads_persist, ret_legal);
	for (unsigned i = 0; i < search.n; i++) {
		if (search.op[i]->kind == SPEC_READ ||
		    is_promised(spec, search.op[i]))
			search.required |= (uint16_t)(1u << i);
	}
	run_search(&search);
}

void
spec_live_legal(
    const struct spec *spec, uint32_t lba, struct spec_legal *ret_legal)
{
	struct search search;

	search_init(&search, spec, lba, true, ret_legal);
	for (unsigned i = 0; i < search.n; i++) {
		if (search.op[i]->returned != SPEC_NEVER)
			search.required |= (uint16_t)(1u << i);
	}
	run_search(&search);
}

bool
spec_live_ok(const struct spec *spec, uint32_t lba)
{
	struct spec_legal legal;

	spec_live_legal(spec, lba, &legal);
	return legal.n > 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* dump -- the arena in words, for whoever replays a failure. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "layout.h"
#include "world.h"

static const char *const state_names[] = { "initial", "error", "zero",
	"normal" };
static const char *const kind_names[] = { "write", "read", "flush" };

static void
dump_sector(struct world *world, uint32_t lba)
{
	const struct btt_info *info = world_info(world);
	const struct spec_legal *legal = &world->legal[lba];
	struct spec_value value;
	struct le32 word;
	uint32_t premap, entry, block;
	unsigned a = world_arena_of(world, lba, &premap);
	uint64_t off;

	memcpy(&word, world_map(world, a) + 4 * (size_t)premap, sizeof(word));
	entry = le32_decode(word);
	block = map_entry_block(entry, premap);
	off = world_block_off(world, a, block);
	printf("  sector %-2" PRIu32 " %-7s block %-3" PRIu32 " ", lba,
	    state_names[map_entry_state(entry)], block);
	if (block >= info->internal_nlba)
		printf("out of range ");
	else if (sim_poisoned(world->sim, off, info->external_lbasize))
		printf("is poisoned ");
	else if (spec_decode(&world->spec, lba, world->sim->view + off, &value))
		printf("holds %u/%u ", value.half[0], value.half[1]);
	else
		printf("holds no value ");
	printf("legal:");
	for (unsigned i = 0; i < legal->n; i++)
		printf(
		    " %u/%u", legal->value[i].half[0], legal->value[i].half[1]);
	printf("\n");
}

static void
dump_pair(const struct world *world, unsigned a, uint32_t pair)
{
	struct flog_media entry;

	printf("  pair %-2" PRIu32, pair);
	for (unsigned slot = 0; slot < FLOG_GROUP_SLOTS; slot++) {
		memcpy(&entry,
		    world_log(world, a) + FLOG_GROUP_BYTES * (size_t)pair +
			sizeof(entry) * slot,
		    sizeof(entry));
		if (le32_decode(entry.seq) == 0 && slot > 0)
			continue;
		printf("   [%u] seq %" PRIu32 ": sector %" PRIu32 ", %" PRIu32
		       " -> %" PRIu32,
		    slot, le32_decode(entry.seq), le32_decode(entry.lba),
		    le32_decode(entry.old_map) & MAP_BLOCK_MASK,
		    le32_decode(entry.new_map) & MAP_BLOCK_MASK);
	}
	printf("\n");
}

static void
dump_op(const struct spec_op *op, unsigned number)
{
	printf("  %-2u %-5s ", number, kind_names[op->kind]);
	if (op->kind != SPEC_FLUSH)
		printf("sectors %" PRIu32 "+%" PRIu32 " ", op->lba, op->n);
	if (op->kind == SPEC_WRITE)
		printf("part %u as %u ", op->part, op->code);
	printf("called at %" PRIu32, op->called);
	if (op->returned == SPEC_NEVER)
		printf(", not returned\n");
	else
		printf(", returned at %" PRIu32 "\n", op->returned);
}

void
world_dump(struct world *world)
{
	if (world->narena == 0)
		return; /* a creation: there is no arena yet */
	printf("crash point %u (%s)\n", world->point,
	    world->what != NULL ? world->what : "none yet");
	for (uint32_t i = 0; i < world->run.shape.nlba; i++)
		dump_sector(world, i);
	for (unsigned a = 0; a < world->narena; a++) {
		if (world->narena > 1)
			printf("  arena %u\n", a);
		for (uint32_t i = 0; i < world->run.shape.nfree; i++)
			dump_pair(world, a, i);
	}
	for (unsigned i = 0; i < world->spec.nop; i++)
		dump_op(&world->spec.op[i], i);
	(void)fflush(stdout);
}

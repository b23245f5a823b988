/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_log -- a log and a map in an arena whose info block is right.
 *
 *	1 byte    log pairs, from 1 on
 *	1 byte    sectors, from 1 on
 *	64 bytes  a pair, for each, cut or filled up with a fresh one
 *	4 bytes   a map entry, for each, cut or filled up with 0
 *
 * Claims: the arena is refused if and only if the oracle refuses its log; what
 * recovery makes of map and free blocks is what the kernel makes of them; doing
 * it again changes nothing if every block has one owner then; a log that is
 * refused is left alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "medium.h"
#include "oracle.h"
#include "target.h"

#define PAIR_MAX 64u
#define LBA_MAX 64u
#define SECTOR 512u
#define MAP_OFF (4096u + (PAIR_MAX + LBA_MAX) * SECTOR)
#define LOG_OFF (MAP_OFF + 4096u)
#define INFO2_OFF (LOG_OFF + 4096u)
#define ARENA_BYTES (INFO2_OFF + 4096u)

struct input {
	const uint8_t *data;
	size_t size;
};

/* The next bytes of the input; those it has not are left as they are. */
static void
take(struct input *input, void *to, size_t n)
{
	if (n > input->size)
		n = input->size;
	memcpy(to, input->data, n);
	input->data += n;
	input->size -= n;
}

static void
put32(uint8_t *to, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

static void
fill(struct input *input, const struct btt_info *info, uint8_t *arena)
{
	for (uint32_t i = 0; i < info->nfree; i++) {
		uint8_t *group = arena + LOG_OFF + i * FLOG_GROUP_BYTES;

		put32(group, i % info->external_nlba);
		put32(group + 4, info->external_nlba + i);
		put32(group + 8, info->external_nlba + i);
		put32(group + 12, 1);
		take(input, group, FLOG_GROUP_BYTES);
	}
	take(input, arena + MAP_OFF, 4 * (size_t)info->external_nlba);
}

/* Returns what opening and recovering the arena returns. */
static int
recover(struct medium *medium, const struct btt_arena_place *place,
    const struct oracle *oracle)
{
	const uint8_t *map = medium->bytes + MAP_OFF;
	struct btt_error error = { "" };
	struct arena arena;
	int r;

	medium->forbidden = true;
	r = arena_open(
	    &medium->media, place, BTT_LAYOUT_V20, 0, NULL, &arena, &error);
	medium->forbidden = false;
	if (r == 0)
		r = arena_recover(&arena, false, &error);
	else
		FUZZ_CHECK(r == -EUCLEAN && error.text[0] != '\0');
	for (uint32_t i = 0; r == 0 && i < arena.nfree; i++) {
		FUZZ_CHECK(arena.pair[i].free_block == oracle->after.free[i]);
		FUZZ_CHECK(
		    arena.pair[i].next_seq >= 1 && arena.pair[i].next_seq <= 3);
	}
	for (uint32_t i = 0; r == 0 && i < arena.external_nlba; i++) {
		uint32_t entry;

		memcpy(&entry, map + 4 * (size_t)i, sizeof(entry));
		FUZZ_CHECK(entry == oracle->after.map[i]);
	}
	arena_close(&arena);
	return r;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct oracle oracle;
	struct input input = { data, size };
	struct btt_arena_place place = { .info = {
					     .external_lbasize = SECTOR,
					     .internal_lbasize = SECTOR,
					     .dataoff = 4096,
					     .mapoff = MAP_OFF,
					     .logoff = LOG_OFF,
					     .info2off = INFO2_OFF,
					 } };
	uint8_t counts[2] = { 0 };
	struct medium *medium;
	void *bytes = NULL;
	int r;

	take(&input, counts, sizeof(counts));
	place.info.nfree = 1 + counts[0] % PAIR_MAX;
	place.info.external_nlba = 1 + counts[1] % LBA_MAX;
	place.info.internal_nlba = place.info.nfree + place.info.external_nlba;
	FUZZ_CHECK(posix_memalign(&bytes, 4096, ARENA_BYTES) == 0);
	memset(bytes, 0, ARENA_BYTES);
	fill(&input, &place.info, bytes);
	medium = medium_new(bytes, ARENA_BYTES, MEDIA_CACHE_LINE);
	oracle_look(bytes, &place, &oracle);
	r = recover(medium, &place, &oracle);
	/* Of blocks with two owners the log alone shows some. */
	FUZZ_CHECK(r == 0 ? oracle.refused == NULL
			  : oracle.refused != NULL || oracle.ntwice > 0);
	if (oracle_is_sound(&oracle)) {
		uint64_t nstore = medium->nstore;

		FUZZ_CHECK(recover(medium, &place, &oracle) == 0);
		FUZZ_CHECK(medium->nstore == nstore);
	}
	media_close(&medium->media);
	return 0;
}

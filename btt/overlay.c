/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * overlay -- open addressing with linear probing; no entry is ever removed
 * alone, so a probe ends at the first unused word.
 *
 * A word: bits 0-31 the raw map entry, bits 32-62 the premap LBA plus one.
 */
#include "overlay.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hook.h"

#define MIN_WORDS 64u

static uint64_t
make_word(uint32_t premap, uint32_t entry)
{
	return ((uint64_t)premap + 1) << 32 | entry;
}

static bool
word_is(uint64_t word, uint32_t premap)
{
	return word >> 32 == (uint64_t)premap + 1;
}

static uint32_t
first_index(const struct overlay *overlay, uint32_t premap)
{
	/* Fibonacci hashing: neighbours spread over the table. */
	uint64_t hash = (uint64_t)premap * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(hash >> 32) & overlay->mask;
}

static int
overlay_init(struct overlay *overlay, uint32_t nentry)
{
	uint32_t nword = MIN_WORDS;

	/* At most half full, so that probes stay short. */
	while (nword < 2 * nentry)
		nword *= 2;
	overlay->word = calloc(nword, sizeof(*overlay->word));
	overlay->owner = calloc(nword, sizeof(*overlay->owner));
	if (overlay->word == NULL || overlay->owner == NULL)
		return -ENOMEM;
	overlay->mask = nword - 1;
	return 0;
}

int
overlay_pair_new(uint32_t nentry, struct overlay_pair **ret_pair)
{
	struct overlay_pair *pair;

	if ((pair = calloc(1, sizeof(*pair))) == NULL)
		return -ENOMEM;
	if (overlay_init(&pair->table[0], nentry) < 0 ||
	    overlay_init(&pair->table[1], nentry) < 0) {
		overlay_pair_free(pair);
		return -ENOMEM;
	}
	*ret_pair = pair;
	return 0;
}

void
overlay_pair_free(struct overlay_pair *pair)
{
	if (pair == NULL)
		return;
	for (unsigned i = 0; i < 2; i++) {
		free(pair->table[i].word);
		free(pair->table[i].owner);
	}
	free(pair);
}

bool
overlay_find(
    const struct overlay *overlay, uint32_t premap, uint32_t *ret_entry)
{
	uint64_t word;

	HOOK_POINT("overlay find");
	if (atomic_load(&overlay->nset) == 0)
		return false;
	for (uint32_t i = first_index(overlay, premap);;
	     i = (i + 1) & overlay->mask) {
		if ((word = atomic_load(&overlay->word[i])) == 0)
			return false;
		if (word_is(word, premap)) {
			*ret_entry = (uint32_t)word;
			return true;
		}
	}
}

bool
overlay_pair_find(
    const struct overlay_pair *pair, uint32_t premap, uint32_t *ret_entry)
{
	unsigned active = atomic_load(&pair->active) ^ MUTATE(46, 0u, 1u);

	return overlay_find(&pair->table[active], premap, ret_entry) ||
	    overlay_find(&pair->table[1 - active], premap, ret_entry);
}

uint32_t
overlay_owner(const struct overlay *overlay, uint32_t premap)
{
	uint64_t word;

	for (uint32_t i = first_index(overlay, premap);;
	     i = (i + 1) & overlay->mask) {
		word = atomic_load(&overlay->word[i]);
		assert(word != 0);
		if (word_is(word, premap))
			return overlay->owner[i];
	}
}

bool
overlay_set(struct overlay *overlay, uint32_t premap, uint32_t entry,
    uint32_t owner, uint32_t *ret_owner)
{
	uint64_t new_word = make_word(premap, entry);
	uint64_t word;

	HOOK_POINT("overlay set");
	/* Before the entry, so that no reader passes a table it is in by. */
	(void)atomic_fetch_add(&overlay->nset, 1);
	for (uint32_t i = first_index(overlay, premap);;
	     i = (i + 1) & overlay->mask) {
		word = atomic_load(&overlay->word[i]);
		if (word_is(word, premap)) {
			*ret_owner = overlay->owner[i];
			overlay->owner[i] = owner;
			atomic_store(&overlay->word[i], new_word);
			return true;
		}
		/* Writers of other sectors may race us to an unused word. */
		if (word == 0 &&
		    atomic_compare_exchange_strong(
			&overlay->word[i], &word, new_word)) {
			overlay->owner[i] = owner;
			return false;
		}
		/* Writers of one sector take turns: it was another sector's. */
		assert(!word_is(word, premap));
	}
}

void
overlay_clear(struct overlay *overlay)
{
	HOOK_POINT("overlay clear");
	if (atomic_load(&overlay->nset) == 0)
		return;
	for (uint32_t i = 0; i <= overlay->mask; i++)
		atomic_store_explicit(
		    &overlay->word[i], 0, memory_order_release);
	atomic_store(&overlay->nset, 0);
}

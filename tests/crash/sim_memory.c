/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_memory.h"

#include <stdatomic.h>
#include <string.h>

#include <btt/endian.h>

#include "hook.h"
#include "random.h"
#include "sched.h"
#include "sim_media.h"

/* One of so many stores to the map is late to be seen. */
#define HIDE_EVERY 4u

struct buffer {
	bool full;
	_Atomic uint32_t *word32;
	_Atomic uint64_t *word64;
	uint64_t value;
};

/* A map entry that has been stored, as it was before. */
struct hidden {
	const void *word; /* NULL: there is none */
	struct le32 before;
};

static struct buffer buffers[SIM_THREADS];
static struct hidden hiddens[SIM_THREADS];

void
sim_memory_reset(void)
{
	memset(buffers, 0, sizeof(buffers));
	memset(hiddens, 0, sizeof(hiddens));
}

bool
sim_memory_is_full(unsigned thread)
{
	return buffers[thread].full;
}

void
sim_memory_drain(unsigned thread)
{
	struct buffer *buffer = &buffers[thread];

	if (!buffer->full)
		return;
	buffer->full = false;
	if (buffer->word32 != NULL)
		atomic_store(buffer->word32, (uint32_t)buffer->value);
	else
		atomic_store(buffer->word64, buffer->value);
}

void
sim_memory_show(unsigned thread)
{
	hiddens[thread].word = NULL;
}

void
btt_hook_drain(void)
{
	if (!sched_is_active())
		return;
	sim_memory_drain(sim_thread);
	sim_memory_show(sim_thread);
}

void
btt_hook_store32(_Atomic uint32_t *word, uint32_t value)
{
	if (!sched_is_active()) {
		atomic_store(word, value);
		return;
	}
	sim_memory_drain(sim_thread);
	buffers[sim_thread] = (struct buffer){ true, word, NULL, value };
}

void
btt_hook_store64(_Atomic uint64_t *word, uint64_t value)
{
	if (!sched_is_active()) {
		atomic_store(word, value);
		return;
	}
	sim_memory_drain(sim_thread);
	buffers[sim_thread] = (struct buffer){ true, NULL, word, value };
}

/* As the schedule has it: what others see at once matters too. */
void
btt_hook_hide32(const void *word)
{
	struct hidden *hidden = &hiddens[sim_thread];

	if (!sched_is_active())
		return;
	hidden->word = NULL;
	if (rng_mix(sched_steps(), sim_thread) % HIDE_EVERY != 0)
		return;
	memcpy(&hidden->before, word, sizeof(hidden->before));
	hidden->word = word;
}

uint32_t
btt_hook_seen32(const void *word, uint32_t value)
{
	if (!sched_is_active())
		return value;
	for (unsigned i = 0; i < SCHED_THREADS; i++) {
		if (i != sim_thread && hiddens[i].word == word)
			return le32_decode(hiddens[i].before);
	}
	return value;
}

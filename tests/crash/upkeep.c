/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * upkeep -- steps of a run that are about all sectors: clearing what is bad,
 * and scrubs.
 *
 * To the specification a clearing turns SPEC_ERROR into zeroes, at a moment of
 * its own for each sector, or leaves it where the engine does not know of the
 * poison.  A scrub is no operation: if it takes something good for bad, a later
 * read finds an error that nobody has made.
 */
#include <errno.h>

#include <btt/bad.h>
#include <btt/scrub.h>

#include "engine.h"
#include "sched.h"
#include "world.h"

void
clear_step(struct world *world, unsigned thread)
{
	const struct btt_clear_options options = {
		.count = world->spec.nlba,
	};
	struct btt_clear_result result;
	unsigned op;
	int r;

	op = spec_call(&world->spec, SPEC_CLEAR, 0, world->spec.nlba, 3, true);
	world->current_op[thread] = op;
	r = btt_clear_bad(world->btt, btt_worker_pool_get(world->pool, thread),
	    &options, &result);
	/* There is one at a time. */
	if (r == -EBUSY && world->program.nthread > 1)
		return;
	if (r < 0 && world->run.fault == FAULT_NONE && !lost_for_good(world))
		violation(
		    world, "errno", "clearing of thread %u: %d", thread, r);
	/* One thread, and all is known: nothing is left, but what is shared. */
	if (r == 0 && result.nleft > 0 && world->program.nthread == 1 &&
	    world->run.shape.meta_bytes == 0)
		violation(world, "clear", "%lu units are bad still",
		    (unsigned long)result.nleft);
	if (r < 0)
		return;
	spec_return(&world->spec, op);
	crash_point(world, "cleared");
}

void
scrub_step(struct world *world, unsigned thread)
{
	const struct btt_scrub_options options = {
		.count = world->spec.nlba,
	};
	struct btt_scrub_result result;
	struct btt_scrub *scrub;
	uint64_t bytes;

	if (btt_scrub_new(world->btt, &options, &scrub) < 0) {
		violation(world, "errno", "no memory");
		return;
	}
	while (btt_scrub_step(scrub, btt_worker_pool_get(world->pool, thread),
	    UINT64_C(1) << 20, &bytes))
		;
	btt_scrub_get_result(scrub, &result);
	btt_scrub_free(scrub);
	if (result.nmetadata > 0 && world->run.fault == FAULT_NONE &&
	    !world->may_lose)
		violation(world, "scrub", "%lu false alarms of thread %u",
		    (unsigned long)result.nmetadata, thread);
}

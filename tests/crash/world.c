/* SPDX-License-Identifier: BSD-3-Clause */
#include "world.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "hook.h"

/* Bytes of a thread's request. */
#define REQUEST_BYTES (SPEC_LBAS * 4096u)

static _Alignas(4096) uint8_t buffer[SIM_THREADS][REQUEST_BYTES];
/* The world whose threads run; schedules are never nested. */
static struct world *running;

/* ---- life of a world ---- */

static void
engine_may_not(struct sim *sim, void *arg, const char *text)
{
	(void)sim;
	violation(arg, "medium", "%s", text);
}

static void
at_fence(struct sim *sim, void *arg)
{
	struct world *world = arg;

	if (sim->fail_fence_in == 1) {
		world->failed_at = world->spec.now;
		world->lost = sim->lose_on_failure;
	}
	crash_point(world, "fence");
}

static void
arm(struct world *world, struct sim *sim)
{
	const struct btt_info *info = world_info(world);

	sim->arg = world;
	sim->complain = engine_may_not;
	sim->words_every = info->info2off + BTT_INFO_BYTES;
	sim->words_start = info->mapoff;
	sim->words_end = info->info2off;
	sim->map_end = info->logoff;
}

static struct btt_worker_pool *
new_pool(unsigned n)
{
	struct btt_worker_pool *pool;
	int r = btt_worker_pool_new(n, &pool);

	assert(r == 0);
	(void)r;
	return pool;
}

/* A second life begins in the midst of a request of the first. */
static uint8_t *
buffer_of(const struct world *world, unsigned thread)
{
	return buffer[world->parent != NULL ? SIM_THREADS - 1 : thread];
}

static uint64_t
data_bytes(const struct world *world, uint32_t n)
{
	return (uint64_t)n * world->run.shape.sector_bytes;
}

/*
 * A past: a few writes of each sector, so that blocks have moved, both halves
 * of most pairs are in use and sequence numbers stand everywhere.
 */
static void
age(struct world *world)
{
	struct rng rng;

	rng_seed(&rng, 7);
	world->sim->recording = false;
	world_open(world);
	for (unsigned i = 0; i < world->run.shape.nage; i++) {
		uint32_t lba = rng_below(&rng, world->run.shape.nlba);
		unsigned code = 1 + i % 8;
		int r;

		r = btt_write(world->btt, btt_worker_pool_get(world->pool, 0),
		    data_bytes(world, lba), world->run.shape.sector_bytes,
		    spec_pattern(&world->spec, code, lba));
		if (r < 0)
			violation(world, "setup", "btt_write: %d", r);
		world->start[lba].half[0] = world->start[lba].half[1] =
		    (uint8_t)code;
	}
	if (btt_close(world->btt) < 0)
		violation(world, "setup", "btt_close");
	world->btt = NULL;
	world->sim->recording = true;
}

struct world *
world_new(const struct run *run, struct tally *tally)
{
	struct world *world = calloc(1, sizeof(*world));
	uint64_t size;

	assert(world != NULL);
	world->run = *run;
	world->tally = tally;
	if (report_world == NULL)
		report_world = world;
	world->failed_at = SPEC_NEVER;
	if (!program_parse(run->program, &world->program))
		violation(world, "setup", "program '%s'", run->program);
	world->narena = run->shape.narena > 0 ? run->shape.narena : 1;
	size = image_layout(&run->shape, world->place);
	world->sim = sim_new(run->kind, size, NULL);
	world->rec = sim_new(run->kind, size, world->sim->view);
	world->rec2 = sim_new(run->kind, size, world->sim->view);
	world->rec->keeps_undo = world->rec2->keeps_undo = true;
	arm(world, world->sim);
	arm(world, world->rec);
	arm(world, world->rec2);
	world->sim->at_fence = at_fence;
	spec_init(&world->spec, run->shape.nlba, run->shape.sector_bytes);
	world->pool = new_pool(world->program.nthread);
	world->check_pool = new_pool(1);
	for (unsigned a = 0; a < world->narena; a++)
		image_format(world->sim->view, &world->place[a], &run->shape);
	if (run->shape.nage > 0)
		age(world);
	if (run->shape.error_entry) {
		image_mark_bad(world->sim->view, &world->place[0]);
		world->start[0].half[0] = world->start[0].half[1] = SPEC_ERROR;
	}
	poison_setup(world);
	world->image = malloc(world->sim->view_bytes);
	assert(world->image != NULL);
	memcpy(world->image, world->sim->view, world->sim->view_bytes);
	return world;
}

void
world_free(struct world *world)
{
	if (world == NULL)
		return;
	world_free(world->life);
	btt_worker_pool_free(world->pool);
	btt_worker_pool_free(world->check_pool);
	spec_fini(&world->spec);
	free(world->image);
	sim_poison_unwatch(world->sim);
	free(world->sim->view);
	sim_free(world->sim);
	sim_free(world->rec);
	sim_free(world->rec2);
	free(world);
}

/* A run must not depend on the runs before: no slot was ever used. */
static void
forget_readers(struct world *world)
{
	struct rtt *rtt = &world->pool->rtt;

	for (unsigned i = 0; i < rtt->nslot; i++)
		rtt->slot[i].is_used = false;
	atomic_store(&rtt->nused, 0);
}

void
world_begin(struct world *world, const struct spec_value *start)
{
	forget_readers(world);
	spec_start(&world->spec, start);
	world->point = 0;
	world->errors = 0;
	for (uint32_t i = 0; i < world->run.shape.nlba; i++) {
		if (start[i].half[0] == SPEC_ERROR)
			world->errors |= 1u << i;
	}
}

void
world_open(struct world *world)
{
	const struct shape *shape = &world->run.shape;
	struct btt_open_options options = {
		.durability = shape->durability,
		.nlane = shape->nlane,
	};
	struct btt_error error = { "" };
	struct btt_geometry_info geometry;
	int r;

	poison_open(world);
	r = btt_open(
	    &world->sim->media, world->pool, &options, &world->btt, &error);
	if (r < 0)
		violation(world, "open", "btt_open: %s (%d)", error.text, r);
	if (shape->set_zero)
		world->btt->may_set_zero = true;
	btt_get_geometry(world->btt, &geometry);
	world->spec.durable_on_return =
	    geometry.durability == BTT_DURABLE_WRITE;
	/*
	 * Alone, a batch shows nothing before its log is durable.  A Z entry
	 * has no log: it can be seen before it is durable, as P2 allows.
	 */
	world->spec.reads_persist =
	    world->btt->group == NULL && !world->btt->may_set_zero;
}

static void
close_btt(struct world *world)
{
	unsigned op = spec_call(&world->spec, SPEC_FLUSH, 0, 0, 0, false);
	bool may_fail = world->run.fault != FAULT_NONE || lost_for_good(world);
	int r = btt_close(world->btt);

	world->btt = NULL;
	if (r == 0)
		spec_return(&world->spec, op);
	else if (!may_fail)
		violation(world, "close", "btt_close: %d", r);
	if (r == 0 && world->failed_at != SPEC_NEVER)
		violation(world, "I9",
		    "btt_close says all is durable after "
		    "a fence that failed");
}

void
world_close(struct world *world)
{
	close_btt(world);
	crash_point(world, "closed");
}

/* ---- steps ---- */

static void
fill(struct world *world, const struct step *step, unsigned code, uint8_t *data)
{
	for (uint32_t i = 0; i < step->n; i++)
		memcpy(data + data_bytes(world, i),
		    spec_pattern(&world->spec, code, step->lba + i),
		    world->run.shape.sector_bytes);
}

static void
note_read(struct world *world, unsigned op, const struct step *step, int r,
    const uint8_t *data)
{
	struct spec_value *seen = world->spec.op[op].seen;

	if (r < 0) {
		/* Which of several was bad is not said. */
		if (step->n != 1 || world->lost)
			return;
		seen[0].half[0] = seen[0].half[1] = SPEC_ERROR;
	}
	for (uint32_t i = 0; r == 0 && i < step->n; i++) {
		if (spec_decode(&world->spec, step->lba + i,
			data + data_bytes(world, i), &seen[i]))
			continue;
		if (world->lost)
			return;
		violation(
		    world, "I8", "sector %u was read torn", step->lba + i);
	}
	spec_return(&world->spec, op);
	for (uint32_t i = 0; !world->lost && i < step->n; i++) {
		if (!spec_live_ok(&world->spec, step->lba + i))
			violation(world, "I8",
			    "sector %u was read as %u/%u, which fits no order",
			    step->lba + i, seen[i].half[0], seen[i].half[1]);
	}
}

static bool
may_fail(const struct world *world, const struct step *step, int r)
{
	if (world->run.fault != FAULT_NONE || lost_for_good(world))
		return true;
	/* A free block that cannot be cleared, since others share its spot. */
	if (r == -EIO && world->has_poison && world->run.shape.meta_bytes > 0)
		return true;
	/* A sector that is bad: not readable, writable as a whole. */
	return r == -EIO &&
	    (step->kind == STEP_READ || step->part != 3 || world->may_lose) &&
	    (world->errors >> step->lba & ((UINT64_C(1) << step->n) - 1)) != 0;
}

/* Batches that a request is divided into: where arenas meet, at least. */
static unsigned
count_batches(const struct world *world, const struct step *step)
{
	uint32_t nlba = world_info(world)->external_nlba;
	uint32_t nfree = world->run.shape.nfree;
	uint32_t end = (uint32_t)step->lba + step->n;
	unsigned nbatch = 0;

	for (uint32_t i = step->lba, n; i < end; i += n) {
		n = nlba - i % nlba;
		if (n > end - i)
			n = end - i;
		nbatch += (n + nfree - 1) / nfree;
	}
	/* A group takes what arenas have room for, and one commit is enough. */
	return world->btt->group == NULL
	    ? nbatch
	    : nbatch - (step->lba + step->n - 1u) / nlba + step->lba / nlba;
}

/*
 * I12: three for each batch, one for a row of Z entries, else none.  Where
 * only flushes count, three for each of them that has something to do.
 */
static void
check_fences(struct world *world, const struct step *step, uint64_t nfence,
    uint64_t nredundant)
{
	uint64_t expected = 0;

	if (world->program.nthread > 1 || world->run.fault != FAULT_NONE ||
	    world->parent != NULL || world->has_poison)
		return;
	if (!world->spec.durable_on_return) {
		if (step->kind == STEP_FLUSH && nfence > 3)
			violation(world, "I12", "%lu fences for a flush",
			    (unsigned long)nfence);
		return;
	}
	if (step->kind == STEP_ZERO && world->btt->may_set_zero &&
	    step->part == 3)
		expected = 1;
	else if (step->kind == STEP_WRITE || step->kind == STEP_ZERO)
		expected = 3 * (uint64_t)count_batches(world, step);
	if (nfence != expected)
		violation(world, "I12", "%lu fences where %lu do",
		    (unsigned long)nfence, (unsigned long)expected);
	/* Zeroing what is zero flushes, lest another's store was not yet. */
	if (nredundant > 0 && step->kind != STEP_ZERO)
		violation(world, "I12", "flushed what had been flushed");
}

static int
run_step(
    struct world *world, unsigned thread, const struct step *step, unsigned op)
{
	struct btt_worker *worker = btt_worker_pool_get(world->pool, thread);
	size_t half = world->run.shape.sector_bytes / 2;
	uint64_t off = data_bytes(world, step->lba);
	size_t len = (size_t)data_bytes(world, step->n);
	uint8_t *data = buffer_of(world, thread);

	if (step->kind != STEP_READ && step->part == 1)
		len -= half;
	if (step->kind != STEP_READ && step->part == 2) {
		off += half;
		len -= half;
		data += half;
	}
	switch (step->kind) {
	case STEP_WRITE:
		fill(world, step, world->spec.op[op].code,
		    buffer_of(world, thread));
		return btt_write(world->btt, worker, off, len, data);
	case STEP_ZERO:
		return btt_zero(world->btt, worker, off, len);
	case STEP_READ:
		return btt_read(world->btt, worker, off, len, data);
	case STEP_FLUSH:
		return btt_flush(world->btt, worker);
	case STEP_REOPEN:
	case STEP_SPOIL:
	case STEP_CLEAR:
	case STEP_SCRUB:
	case STEP_LOSE:
		break;
	}
	return -EINVAL;
}

void
world_step(struct world *world, unsigned thread, const struct step *step)
{
	static const enum spec_kind kinds[] = { SPEC_WRITE, SPEC_WRITE,
		SPEC_READ, SPEC_FLUSH };
	uint64_t nfence = world->sim->nfence;
	uint64_t nredundant = world->sim->nredundant_flush;
	unsigned op;
	int r;

	if (step->kind == STEP_REOPEN) {
		close_btt(world);
		sim_thread = SIM_THREAD_RECOVERY;
		if (media_failed(&world->sim->media) == 0)
			world_open(world);
		sim_thread = thread;
		return;
	}
	if (step->kind == STEP_SPOIL) {
		poison_step(world, step);
		return;
	}
	if (step->kind == STEP_CLEAR) {
		clear_step(world, thread);
		return;
	}
	if (step->kind == STEP_SCRUB) {
		scrub_step(world, thread);
		return;
	}
	if (step->kind == STEP_LOSE) {
		lose_step(world, step);
		return;
	}
	op = spec_call(&world->spec, kinds[step->kind], step->lba, step->n,
	    step->part, step->kind == STEP_ZERO);
	world->current_op[thread] = op;
	r = run_step(world, thread, step, op);
	/* Who hears that it is done has synchronised with us. */
	btt_hook_drain();
	if (r < 0 && !may_fail(world, step, r))
		violation(world, "errno", "step %u of thread %u: %d",
		    step->kind, thread, r);
	if (step->kind == STEP_READ) {
		note_read(world, op, step, r, buffer_of(world, thread));
		/* What was read must not be lost any more. */
		if (r == 0 && world->program.nthread > 1 &&
		    world->spec.reads_persist)
			crash_point(world, "read");
		return;
	}
	if (r < 0)
		return;
	if (world->failed_at < world->spec.op[op].called)
		violation(
		    world, "I9", "success was said after a fence had failed");
	if (world->spec.op[op].returned == SPEC_NEVER)
		spec_return(&world->spec, op);
	check_fences(world, step, world->sim->nfence - nfence,
	    world->sim->nredundant_flush - nredundant);
	crash_point(world, "acknowledged");
}

/* Mutants 19 and 20 reply while they are still at work. */
void
world_early_return(void)
{
	unsigned op = running->current_op[sim_thread];

	/* Several sectors may be several batches: only the last may reply. */
	if (running->spec.op[op].n > 1)
		return;
	btt_hook_drain();
	spec_return(&running->spec, op);
	crash_point(running, "acknowledged early");
}

/* ---- a run ---- */

static void
body(unsigned thread)
{
	const struct program *program = &running->program;

	for (unsigned i = 0; i < program->thread[thread].nstep; i++) {
		if (running->btt != NULL)
			world_step(
			    running, thread, &program->thread[thread].step[i]);
	}
}

static void
plan_fault(struct world *world)
{
	struct sim *sim = world->sim;
	const struct run *run = &world->run;

	sim->lose_on_failure = run->fault == FAULT_LOST;
	sim->lose_seed = run->seed;
	if (run->fault == FAULT_FENCE || run->fault == FAULT_LOST)
		sim->fail_fence_in = run->fault_n;
	if (run->fault == FAULT_ERROR || run->fault == FAULT_SIGNAL)
		sim->fail_change_in = run->fault_n;
	sim->fail_change_how =
	    run->fault == FAULT_SIGNAL ? SIM_FAULT_SIGNAL : SIM_FAULT_ERROR;
}

/* Nothing runs: every sector must be what the order of all makes it. */
static void
check_at_rest(struct world *world)
{
	struct step step = { STEP_READ, 3, 0, 1 };

	for (uint32_t i = 0; i < world->run.shape.nlba; i++) {
		step.lba = (uint8_t)i;
		world_step(world, 0, &step);
	}
}

/* Nobody works, so nobody may have kept anything (I10). */
static void
check_nothing_kept(struct world *world)
{
	struct rtt *rtt = &world->pool->rtt;

	for (unsigned i = 0; i < rtt->nslot; i++) {
		if (atomic_load(&rtt->slot[i].nname) != 0)
			violation(world, "I10",
			    "thread %u still names a block it reads", i);
	}
	if (world->btt->group == NULL ||
	    btt_flush(world->btt, btt_worker_pool_get(world->pool, 0)) < 0)
		return;
	for (unsigned a = 0; a < world->narena; a++) {
		const struct arena *arena = &world->btt->arena[a];

		for (uint32_t i = 0; i < arena->nfree; i++) {
			if (!(atomic_load(&arena->free_bits[i / 64]) >> i % 64 &
				1))
				violation(world, "I10",
				    "log pair %u of arena %u belongs to "
				    "nobody after a flush",
				    i, a);
		}
	}
}

void
world_run(struct world *world)
{
	const struct run *run = &world->run;

	running = report_world = world;
	sim_running = world->sim;
	memcpy(world->sim->view, world->image, world->sim->view_bytes);
	sim_reset(world->sim);
	world_begin(world, world->start);
	world->failed_at = SPEC_NEVER;
	world->lost = false;
	world->finished = false;
	sim_thread = SIM_THREAD_RECOVERY;
	world_open(world);
	sim_reset(world->sim);
	world->sim->mend_seed = run->seed;
	plan_fault(world);
	/* As many decisions as last time, more or less. */
	sched_choose_mode(run->mode, run->depth, run->seed,
	    world->nstep > 0 ? world->nstep : 100);
	switch (sched_run(world->program.nthread, body)) {
	case SCHED_DONE:
		break;
	case SCHED_DEADLOCK:
		violation(world, "I10", "deadlock: nobody can go on");
	case SCHED_LIVELOCK:
		violation(world, "I10", "livelock: all wait and none ends");
	}
	world->finished = true;
	world->nstep = sched_steps();
	world->tally->nschedule++;
	sim_thread = 0;
	if (world->sim->fail_fence_in == 0 && world->sim->fail_change_in == 0 &&
	    run->fault != FAULT_NONE)
		world->tally->nfault++;
	if (world->btt == NULL)
		return;
	check_at_rest(world);
	check_nothing_kept(world);
	world_close(world);
}

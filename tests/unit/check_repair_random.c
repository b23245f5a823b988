/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * repair_random -- random damage to a filled image, whatever it hits.
 *
 * Each seed is an image that was written to for a while, by a model of the
 * format that is no code of btt/, and one to four kinds of damage.  Then:
 *
 *  - A repair leaves nothing to be found, or refuses and has not touched map and
 *    log; allowed to give sectors up, it leaves nothing.
 *  - What could be read, and is not among several owners of a block, reads the
 *    same afterwards; what was not damaged reads what was written there.
 *  - Each block has one owner, by a count of its own.
 *  - The second repair has nothing to do.
 *  - Cut short at any operation, or with any subset of what was not fenced yet
 *    on the medium, a second repair makes the same bytes of it; and undoing it,
 *    those that were there before.
 *
 * BTTFS_REPAIR_SEEDS is how many seeds there are, BTTFS_REPAIR_POINTS at how
 * many points each of them is cut short.  A failure names its seed;
 * BTTFS_REPAIR_FIRST is the first one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <btt/undo.h>

#include "support/check_main.h"
#include "support/repair_fixture.h"
#include "support/repair_world.h"

/* What a sanitizer looks for is the same code's with each of them. */
#ifdef BTTFS_SANITIZED
static unsigned nseed = 60;
#else
static unsigned nseed = 200;
#endif
static unsigned npoint = 30;
static unsigned first_seed = 1;

static struct world world;
static struct btt_undo *undo; /* of the repair that is cut short */

/* Options that a seed repairs with when loss is allowed. */
static struct btt_repair_options
options_of(uint64_t seed)
{
	struct btt_repair_options options = repair_all;

	options.rewrite_log = seed % 3 == 0;
	return options;
}

static void
assert_done(const char *what)
{
	struct btt_repair_summary summary;
	struct btt_repair *plan;

	ck_assert_int_eq(findings_of(world.fake, &findings), 0);
	ck_assert_msg(findings.result.ndamage == 0, "seed %llu, %s: %s left",
	    (unsigned long long)world.seed, what, findings_names(&findings));
	world_assert_owners(&world);
	plan = plan_of(&world.fake->media, &repair_all);
	btt_repair_get_summary(plan, &summary);
	ck_assert_uint_eq(summary.nchange + summary.nwrite, 0);
	btt_repair_free(plan);
}

/* Without loss first, then with. */
static void
mend(uint64_t seed)
{
	const struct btt_repair_options careful = { .clear_error_flag = true };
	const struct btt_repair_options options = options_of(seed);
	struct btt_repair_summary summary;
	int r;

	r = repair(world.fake, &careful, &summary);
	ck_assert_msg(r == 0, "seed %llu: %d", (unsigned long long)seed, r);
	world_assert_sectors(&world, false);
	if (summary.nrefusal == 0) {
		ck_assert_uint_eq(summary.nloss + summary.nwithheld, 0);
		assert_done("careful");
	} else {
		ck_assert_uint_gt(summary.nloss, 0);
		world_assert_untouched(&world);
		ck_assert_int_eq(findings_of(world.fake, &findings), 0);
		ck_assert_uint_gt(findings.result.ndamage, 0);
	}
	r = repair(world.fake, &options, &summary);
	ck_assert_msg(r == 0, "seed %llu: %d", (unsigned long long)seed, r);
	ck_assert_uint_eq(summary.nrefusal, 0);
	world_assert_sectors(&world, true);
	assert_done("all");
}

/* Save what the repair will overwrite, to a file and back. */
static void
save_undo(const struct btt_repair_options *options)
{
	struct btt_repair *plan = plan_of(&world.fake->media, options);
	int fd = memfd_create("undo", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(btt_undo_write(plan, &world.fake->media, fd, NULL), 0);
	ck_assert_int_eq(btt_undo_read(fd, &undo, NULL), 0);
	(void)close(fd);
	btt_repair_free(plan);
}

/* It brings the damage back, from wherever the repair has come. */
static void
assert_undone(const char *how, unsigned at)
{
	struct btt_error error = { "" };
	uint32_t nwrite;
	int r;

	fake_forget(world.fake);
	r = btt_undo_apply(undo, &world.fake->media, false, &nwrite, &error);
	if (r < 0 || !world_is(&world, &world.damaged))
		ck_abort_msg("seed %llu, %s %u: not undone: %d %s, %lld",
		    (unsigned long long)world.seed, how, at, r, error.text,
		    (long long)world_difference(&world, &world.damaged));
}

/* What the second repair makes of the image as it is now. */
static void
assert_same_end(const struct btt_repair_options *options,
    const struct world_bytes *end, const char *how, unsigned at)
{
	struct btt_repair_summary summary;
	struct btt_error error = { "" };
	struct btt_repair *plan = NULL;
	int r;

	fake_forget(world.fake);
	r = btt_repair_plan(&world.fake->media, options, &plan, &error);
	if (r == 0) {
		btt_repair_get_summary(plan, &summary);
		ck_assert_uint_eq(summary.nrefusal, 0);
		r = btt_repair_apply(plan, &world.fake->media, &error);
	}
	btt_repair_free(plan);
	ck_assert_msg(r == 0, "seed %llu, %s %u: %d %s",
	    (unsigned long long)world.seed, how, at, r, error.text);
	ck_assert_msg(world_is(&world, end),
	    "seed %llu, %s %u: differs at %lld", (unsigned long long)world.seed,
	    how, at, (long long)world_difference(&world, end));
}

/* Stop after each operation; now and then the second time, too. */
static void
stop_everywhere(const struct btt_repair_options *options,
    const struct world_bytes *end, unsigned nop)
{
	unsigned step = nop / npoint + 1;
	struct btt_repair_summary summary;

	for (unsigned at = 1 + world_random(&world, step); at <= nop;
	     at += step) {
		world_restore(&world, &world.damaged);
		fake_forget(world.fake);
		world.fake->fail_op = at;
		ck_assert_int_lt(repair(world.fake, options, &summary), 0);
		if (at % 4 == 0) {
			assert_undone("stopped at", at);
			continue;
		}
		if (at % 5 == 0) {
			fake_forget(world.fake);
			world.fake->fail_op = 1 + world_random(&world, nop);
			/* it may well be done by then */
			(void)!repair(world.fake, options, &summary);
		}
		assert_same_end(options, end, "stopped at", at);
	}
}

/*
 * Of an operation that no fence has followed any part may be on the medium: a
 * store whole or not at all, of a copy any of its lines, and of one line the
 * beginning.
 */
static void
apply_part(const struct fake_op *op, uint8_t *bytes)
{
	struct fake_op part;

	if (op->kind == FAKE_STORE) {
		if (world_random(&world, 2) == 0)
			fake_apply(op, bytes);
		return;
	}
	if (op->kind != FAKE_COPY)
		return;
	for (size_t at = 0; at < op->len; at += 64) {
		unsigned how = world_random(&world, 4);

		if (how == 0)
			continue;
		part = *op;
		part.off = op->off + at;
		part.bytes = op->bytes + at;
		part.len = how == 1 ? 8 * world_random(&world, 8) : 64;
		fake_apply(&part, bytes);
	}
}

/* A power cut before each fence. */
static void
cut_everywhere(const struct btt_repair_options *options,
    const struct world_bytes *end, const struct fake_op *op, unsigned nop)
{
	unsigned from = 0; /* of the operations since the last fence */

	for (unsigned i = 0; i < nop; i++) {
		if (op[i].kind != FAKE_FENCE)
			continue;
		for (unsigned k = 0; k < 4; k++) {
			world_restore(&world, &world.damaged);
			for (unsigned done = 0; done < from; done++)
				fake_apply(&op[done], world.fake->bytes);
			for (unsigned part = from; part < i; part++)
				apply_part(&op[part], world.fake->bytes);
			if (k == 2)
				assert_undone("cut at", i);
			else
				assert_same_end(options, end, "cut at", i);
		}
		from = i;
	}
}

static void
interrupt(uint64_t seed)
{
	const struct btt_repair_options options = options_of(seed);
	static struct world_bytes end;
	struct btt_repair_summary summary;
	struct fake_op *op;
	unsigned nop;

	world_restore(&world, &world.damaged);
	fake_forget(world.fake);
	save_undo(&options);
	world.fake->remember = true;
	ck_assert_int_eq(repair(world.fake, &options, &summary), 0);
	world.fake->remember = false;
	world_save(&world, &end);
	nop = world.fake->nop;
	op = world.fake->op;
	world.fake->op = NULL; /* ours now */
	stop_everywhere(&options, &end, nop);
	cut_everywhere(&options, &end, op, nop);
	for (unsigned i = 0; i < nop; i++)
		free(op[i].bytes);
	free(op);
	btt_undo_free(undo);
}

/* A tenth of the seeds each, so that they run side by side. */
START_TEST(repair__mends_what_is_damaged_and_nothing_else)
{
	for (unsigned i = (unsigned)_i; i < nseed; i += 10) {
		world_new(&world, first_seed + i);
		world_damage(&world);
		mend(world.seed);
		interrupt(world.seed);
		world_free(&world);
	}
}
END_TEST

static void
read_environment(const char *name, unsigned *ret_value)
{
	const char *value = getenv(name);

	if (value != NULL)
		*ret_value = (unsigned)strtoul(value, NULL, 10);
}

int
main(void)
{
	Suite *suite = suite_create("repair_random");
	TCase *tc = tcase_create("all");

	read_environment("BTTFS_REPAIR_SEEDS", &nseed);
	read_environment("BTTFS_REPAIR_POINTS", &npoint);
	read_environment("BTTFS_REPAIR_FIRST", &first_seed);
	tcase_set_timeout(tc, 3600);
	tcase_add_loop_test(
	    tc, repair__mends_what_is_damaged_and_nothing_else, 0, 10);
	suite_add_tcase(suite, tc);
	return check_main(suite);
}

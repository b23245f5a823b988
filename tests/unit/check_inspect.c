/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inspect -- what is on the medium is shown as it is, damaged or not, and no
 * number leads beyond it.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <btt/btt.h>
#include <btt/inspect.h>

#include "support/check_main.h"
#include "support/image_fixture.h"

/* The usual image: block n is sector n's, pair p has free block 3829 + p. */
#define NSECTOR 3829u
#define NBLOCK 4085u
#define NORMAL(block) (MAP_NORMAL | (block))

static struct media_fake *fake;
static struct btt_info info;
static struct btt_inspect inspect;
static struct btt_inspect_log ilog;
static struct btt_error error;

static void
set_up(void)
{
	fake = image_small(&info);
}

static void
tear_down(void)
{
	btt_inspect_log_fini(&ilog);
	btt_inspect_fini(&inspect);
	media_close(&fake->media);
}

/* Look again. */
static void
look(void)
{
	btt_inspect_fini(&inspect);
	ck_assert_int_eq(btt_inspect_find(&fake->media, NULL, &inspect), 0);
}

static void
look_at_log(void)
{
	int r;

	look();
	btt_inspect_log_fini(&ilog);
	r = btt_inspect_log(&fake->media, &inspect.arena[0], &ilog, &error);
	ck_assert_msg(r == 0, "%d %s", r, error.text);
}

static struct btt_translation
translation_of(uint32_t premap)
{
	struct btt_translation translation;

	ck_assert_int_eq(btt_inspect_map(&fake->media, &inspect.arena[0], &ilog,
			     premap, 1, &translation, &error),
	    0);
	ck_assert_uint_eq(translation.premap, premap);
	return translation;
}

static uint64_t
block_off(uint32_t block)
{
	return BTT_V11_OFFSET + 4096 + block * UINT64_C(4096);
}

START_TEST(find__shows_a_sound_image)
{
	look();
	ck_assert_int_eq(inspect.verdict, 0);
	ck_assert_uint_eq(inspect.narena, 1);
	ck_assert_uint_eq(inspect.nsequence, 1);
	ck_assert_uint_eq(inspect.arena[0].off, BTT_V11_OFFSET);
	ck_assert_uint_eq(
	    inspect.arena[0].backup_off, BTT_V11_OFFSET + info.info2off);
	ck_assert(inspect.arena[0].is_valid);
	ck_assert(!inspect.arena[0].from_backup);
	ck_assert_uint_eq(btt_inspect_nsector(&inspect), NSECTOR);
}
END_TEST

START_TEST(find__says_when_the_backup_speaks)
{
	fake->bytes[BTT_V11_OFFSET] ^= 1;
	look();
	ck_assert_int_eq(inspect.verdict, 0);
	ck_assert_uint_eq(inspect.narena, 1);
	ck_assert(inspect.arena[0].from_backup);
	ck_assert_uint_eq(btt_inspect_nsector(&inspect), NSECTOR);
}
END_TEST

/* Nobody would open this, but its numbers are there to be seen. */
START_TEST(find__shows_two_bad_copies)
{
	fake->bytes[BTT_V11_OFFSET + 3000] ^= 1;
	fake->bytes[BTT_V11_OFFSET + info.info2off + 3000] ^= 1;
	look();
	ck_assert_int_lt(inspect.verdict, 0);
	ck_assert_str_ne(inspect.reason.text, "");
	ck_assert_uint_eq(inspect.narena, 1);
	ck_assert_uint_eq(inspect.nsequence, 0);
	ck_assert(!inspect.arena[0].is_valid);
	ck_assert_uint_eq(inspect.arena[0].info.external_nlba, NSECTOR);
	ck_assert_uint_eq(
	    inspect.arena[0].backup_off, BTT_V11_OFFSET + info.info2off);
	ck_assert_uint_eq(btt_inspect_nsector(&inspect), 0);
}
END_TEST

START_TEST(find__shows_nothing_where_nothing_is)
{
	memset(fake->bytes, 0, IMAGE_BYTES);
	look();
	ck_assert_int_eq(inspect.verdict, -EMEDIUMTYPE);
	ck_assert_uint_eq(inspect.narena, 0);
}
END_TEST

/* The backup alone, damaged as well: found where an arena of any layout ends */
START_TEST(find__looks_where_every_layout_ends)
{
	static const uint64_t starts[] = { BTT_V11_OFFSET, 0, BTT_POOL_OFFSET };
	enum btt_layout layout = (enum btt_layout)_i;
	struct btt_create_options options = image_options(BTT_LAYOUT_V20, 4096);
	struct btt_info v20;

	/* The same arena, at each start. */
	media_close(&fake->media);
	fake = fake_new(BTT_ARENA_MIN_BYTES + starts[_i]);
	fake->media.base += starts[_i];
	fake->media.size -= starts[_i];
	fake->bytes += starts[_i];
	image_create(fake, &options);
	fake->media.base -= starts[_i];
	fake->media.size += starts[_i];
	fake->bytes -= starts[_i];
	(void)btt_info_decode(fake->bytes + starts[_i], &v20);
	memset(fake->bytes + starts[_i], 0, BTT_INFO_BYTES);
	fake->bytes[starts[_i] + v20.info2off + 3000] ^= 1;
	look();
	ck_assert_int_lt(inspect.verdict, 0);
	ck_assert_uint_eq(inspect.narena, 1);
	ck_assert_int_eq(inspect.arena[0].layout, layout);
	ck_assert_uint_eq(inspect.arena[0].off, starts[_i]);
	ck_assert(inspect.arena[0].from_backup);
	ck_assert(!inspect.arena[0].is_valid);
}
END_TEST

/* An arena lost in the middle hides neither of its neighbours. */
START_TEST(find__goes_on_behind_a_lost_arena)
{
	struct btt_create_options options =
	    image_options(BTT_LAYOUT_V11, 32768);
	uint32_t arena, premap;

	media_close(&fake->media);
	fake = fake_new(
	    2 * BTT_ARENA_MAX_BYTES + BTT_ARENA_MIN_BYTES + BTT_V11_OFFSET);
	image_create(fake, &options);
	look();
	ck_assert_int_eq(inspect.verdict, 0);
	ck_assert_uint_eq(inspect.nsequence, 3);
	ck_assert(btt_inspect_locate(
	    &inspect, inspect.arena[0].info.external_nlba, &arena, &premap));
	ck_assert_uint_eq(arena, 1);
	ck_assert_uint_eq(premap, 0);
	ck_assert(btt_inspect_locate(
	    &inspect, btt_inspect_nsector(&inspect) - 1, &arena, &premap));
	ck_assert_uint_eq(arena, 2);
	ck_assert_uint_eq(premap, inspect.arena[2].info.external_nlba - 1);
	ck_assert(!btt_inspect_locate(
	    &inspect, btt_inspect_nsector(&inspect), &arena, &premap));

	memset(fake->bytes + inspect.arena[1].off, 0, BTT_INFO_BYTES);
	memset(fake->bytes + inspect.arena[1].backup_off, 0, BTT_INFO_BYTES);
	look();
	ck_assert_int_lt(inspect.verdict, 0);
	ck_assert_uint_eq(inspect.nsequence, 1);
	ck_assert_uint_eq(inspect.narena, 2);
	ck_assert_uint_eq(inspect.arena[0].index, 0);
	ck_assert_uint_eq(inspect.arena[1].index, 2);
}
END_TEST

START_TEST(map__shows_every_state)
{
	struct btt_translation map;

	image_put_map(fake, &info, 0, 0);
	image_put_map(fake, &info, 1, 77); /* bits of an initial entry */
	image_put_map(fake, &info, 2, MAP_ERROR | 40);
	image_put_map(fake, &info, 3, MAP_ZERO | 41);
	image_put_map(fake, &info, 4, NORMAL(0));
	image_put_map(fake, &info, 5, NORMAL(NBLOCK - 1));
	image_put_map(fake, &info, NSECTOR - 1, NORMAL(NBLOCK));
	look();
	map = translation_of(0);
	ck_assert_int_eq(map.state, BTT_MAP_INITIAL);
	ck_assert_uint_eq(map.off, block_off(0));
	map = translation_of(1);
	ck_assert_int_eq(map.state, BTT_MAP_INITIAL);
	ck_assert_uint_eq(map.entry, 77);
	ck_assert_uint_eq(map.block, 1);
	map = translation_of(2);
	ck_assert_int_eq(map.state, BTT_MAP_ERROR);
	ck_assert_uint_eq(map.off, block_off(40));
	map = translation_of(3);
	ck_assert_int_eq(map.state, BTT_MAP_ZERO);
	ck_assert_uint_eq(map.block, 41);
	map = translation_of(4);
	ck_assert_int_eq(map.state, BTT_MAP_NORMAL);
	ck_assert_uint_eq(map.off, block_off(0));
	map = translation_of(5);
	ck_assert_uint_eq(map.off, block_off(NBLOCK - 1));
	/* no block of this arena */
	map = translation_of(NSECTOR - 1);
	ck_assert_uint_eq(map.block, NBLOCK);
	ck_assert_uint_eq(map.off, BTT_NOWHERE);
	ck_assert(!map.is_pending);
}
END_TEST

START_TEST(map__gives_runs_and_refuses_what_is_none)
{
	static struct btt_translation map[NSECTOR];

	image_put_map(fake, &info, 300, NORMAL(9));
	look();
	ck_assert_int_eq(btt_inspect_map(&fake->media, &inspect.arena[0], NULL,
			     0, NSECTOR, map, &error),
	    0);
	for (uint32_t i = 0; i < NSECTOR; i++) {
		ck_assert_uint_eq(map[i].premap, i);
		ck_assert_uint_eq(map[i].block, i == 300 ? 9 : i);
	}
	ck_assert_int_eq(btt_inspect_map(&fake->media, &inspect.arena[0], NULL,
			     NSECTOR, 0, map, &error),
	    0);
	ck_assert_int_eq(btt_inspect_map(&fake->media, &inspect.arena[0], NULL,
			     NSECTOR, 1, map, &error),
	    -EINVAL);
	ck_assert_int_eq(btt_inspect_map(&fake->media, &inspect.arena[0], NULL,
			     1, NSECTOR, map, &error),
	    -EINVAL);
	ck_assert_int_eq(btt_inspect_map(&fake->media, &inspect.arena[0], NULL,
			     UINT32_MAX, UINT32_MAX, map, &error),
	    -EINVAL);
}
END_TEST

/* An interrupted write of a sector that a fresh pair took. */
static void
put_write(uint32_t pair, uint32_t lba, uint32_t old, uint32_t new)
{
	image_put_log(fake, &info, pair, 1, LOG_ENTRY(lba, old, new, 2));
}

START_TEST(log__tells_fresh_done_and_pending_pairs)
{
	struct btt_translation map;

	put_write(3, 100, 100, NSECTOR + 3); /* before its map entry */
	put_write(5, 200, 200, NSECTOR + 5); /* complete */
	image_put_map(fake, &info, 200, NORMAL(NSECTOR + 5));
	look_at_log();
	ck_assert(ilog.is_consistent);
	ck_assert_uint_eq(ilog.slot[1], 1);
	ck_assert_uint_eq(ilog.npair, 256);
	ck_assert_int_eq(ilog.pair[0].state, BTT_PAIR_FRESH);
	ck_assert_uint_eq(ilog.pair[0].free_block, NSECTOR);
	ck_assert_int_eq(ilog.pair[3].state, BTT_PAIR_PENDING);
	ck_assert_uint_eq(ilog.pair[3].newest, 1);
	ck_assert_uint_eq(ilog.pair[3].free_block, 100);
	ck_assert_uint_eq(ilog.pair[3].off,
	    BTT_V11_OFFSET + info.logoff + 3 * FLOG_GROUP_BYTES);
	ck_assert_int_eq(ilog.pair[5].state, BTT_PAIR_DONE);
	ck_assert_uint_eq(ilog.npending, 1);
	map = translation_of(100);
	ck_assert_uint_eq(map.block, 100);
	ck_assert(map.is_pending);
	ck_assert_uint_eq(map.pending_block, NSECTOR + 3);
	ck_assert_uint_eq(map.pending_off, block_off(NSECTOR + 3));
	ck_assert(!translation_of(200).is_pending);
	ck_assert(!translation_of(99).is_pending);
}
END_TEST

/* Recovery meets pairs in ascending order: the last one's block stays. */
START_TEST(log__plays_recovery_through)
{
	put_write(9, 100, 100, NSECTOR + 9);
	put_write(12, 100, NSECTOR + 9, NSECTOR + 12);
	put_write(8, 50, 50, NSECTOR + 8);
	look_at_log();
	ck_assert_uint_eq(ilog.npending, 2);
	ck_assert_uint_eq(ilog.pending[0].premap, 50);
	ck_assert_uint_eq(ilog.pending[1].premap, 100);
	ck_assert_uint_eq(ilog.pending[1].block, NSECTOR + 12);
	ck_assert_uint_eq(ilog.pending[1].pair, 12);
}
END_TEST

START_TEST(log__takes_flags_off_and_shows_them)
{
	put_write(3, 100, MAP_NORMAL | 100, MAP_NORMAL | (NSECTOR + 3));
	look_at_log();
	ck_assert_int_eq(ilog.pair[3].state, BTT_PAIR_PENDING);
	ck_assert_uint_eq(ilog.pair[3].slot[1].old_map, MAP_NORMAL | 100);
	ck_assert_uint_eq(ilog.pair[3].free_block, 100);
	ck_assert_uint_eq(translation_of(100).pending_block, NSECTOR + 3);
}
END_TEST

START_TEST(log__knows_the_old_layout)
{
	image_put_log(fake, &info, 7, 2, LOG_ENTRY(100, 100, NSECTOR + 7, 2));
	look_at_log();
	ck_assert(ilog.is_consistent);
	ck_assert_uint_eq(ilog.slot[0], 0);
	ck_assert_uint_eq(ilog.slot[1], 2);
	ck_assert_uint_eq(ilog.pair[7].newest, 2);
	ck_assert_int_eq(ilog.pair[7].state, BTT_PAIR_PENDING);
}
END_TEST

/* One bad pair says nothing of the others. */
static const struct {
	const char *problem;
	bool has_newest;
	unsigned slot;
	uint32_t entry[4];
} bad_pairs[] = {
	{ "empty", false, 0, { 0, 0, 0, 0 } },
	{ "slots", true, 2, { 1, 1, 1, 2 } },
	{ "slots", true, 3, { 1, 1, 1, 2 } },
	{ "seq", false, 1, { 1, 1, 1, 1 } },
	{ "seq", false, 1, { 1, 1, 1, 4 } },
	{ "seq", false, 0, { 1, 1, 1, 3 } },
	{ "lba", true, 1, { NSECTOR, 1, 1, 2 } },
	{ "old_map", true, 1, { 1, NBLOCK, 1, 2 } },
	{ "new_map", true, 1, { 1, 1, MAP_BLOCK_MASK, 2 } },
};

START_TEST(log__names_what_is_wrong_with_a_pair)
{
	/* the others have the new layout beyond doubt */
	put_write(3, 100, 100, NSECTOR + 3);
	put_write(4, 101, 101, NSECTOR + 4);
	image_put_log(fake, &info, 8, bad_pairs[_i].slot, bad_pairs[_i].entry);
	look_at_log();
	ck_assert_int_eq(ilog.pair[8].state, BTT_PAIR_DAMAGED);
	ck_assert_str_eq(ilog.pair[8].problem, bad_pairs[_i].problem);
	ck_assert(ilog.pair[8].has_newest == bad_pairs[_i].has_newest);
	ck_assert_uint_eq(ilog.slot[1], 1);
	ck_assert_uint_eq(ilog.npending, 2);
	ck_assert_int_eq(ilog.pair[3].state, BTT_PAIR_PENDING);
	ck_assert_int_eq(ilog.pair[9].state, BTT_PAIR_FRESH);
}
END_TEST

/*
 * A medium that ends with a page nobody may touch, in memory of its own, and
 * numbers that lead there.
 */
static const struct {
	const char *name;
	size_t at;
	size_t bytes;
	uint64_t value;
} hostile[] = {
#define FIELD(field, value)                                           \
	{                                                             \
#field, offsetof(struct btt_info, field),             \
		    sizeof(((struct btt_info *)NULL)->field), (value) \
	}
	FIELD(mapoff, UINT64_MAX),
	FIELD(mapoff, UINT64_MAX - BTT_V11_OFFSET + 1),
	FIELD(mapoff, IMAGE_BYTES - BTT_V11_OFFSET - 4),
	FIELD(mapoff, IMAGE_BYTES - BTT_V11_OFFSET),
	FIELD(mapoff, INT64_MAX),
	FIELD(mapoff, 1),
	FIELD(logoff, UINT64_MAX),
	FIELD(logoff, UINT64_MAX - BTT_V11_OFFSET + 1),
	FIELD(logoff, IMAGE_BYTES - BTT_V11_OFFSET - 64),
	FIELD(logoff, 3),
	FIELD(dataoff, UINT64_MAX),
	FIELD(dataoff, IMAGE_BYTES),
	FIELD(info2off, UINT64_MAX),
	FIELD(info2off, UINT64_MAX - BTT_V11_OFFSET + 1),
	FIELD(external_nlba, UINT32_MAX),
	FIELD(external_nlba, 0),
	FIELD(internal_nlba, UINT32_MAX),
	FIELD(internal_lbasize, UINT32_MAX),
	FIELD(internal_lbasize, 0),
	FIELD(nfree, UINT32_MAX),
	FIELD(nfree, BTT_NFREE_MAX),
	FIELD(nfree, 0),
	FIELD(nextoff, UINT64_MAX),
	FIELD(nextoff, 1),
#undef FIELD
};

/* Look at all that there is, in all ways; who reads beyond it dies. */
static void
look_everywhere(const struct media *media)
{
	static struct btt_translation map[300];
	struct btt_inspect_log found = { 0 };
	const struct btt_inspect_arena *arena;
	uint32_t n;
	int r;

	btt_inspect_fini(&inspect);
	ck_assert_int_eq(btt_inspect_find(media, NULL, &inspect), 0);
	ck_assert_uint_ge(inspect.narena, 1);
	for (uint32_t i = 0; i < inspect.narena; i++) {
		arena = &inspect.arena[i];
		r = btt_inspect_log(media, arena, &found, &error);
		ck_assert(r == 0 || r == -ERANGE || r == -ENOTSUP);
		n = arena->info.external_nlba;
		n = n < 300 ? n : 300;
		r = btt_inspect_map(media, arena, r == 0 ? &found : NULL,
		    arena->info.external_nlba - n, n, map, &error);
		ck_assert(r == 0 || r == -ERANGE);
		for (uint32_t k = 0; r == 0 && k < n; k++)
			ck_assert(map[k].off == BTT_NOWHERE ||
			    (map[k].off <= media->size &&
				media->size - map[k].off >=
				    arena->info.internal_lbasize));
		btt_inspect_log_fini(&found);
	}
}

START_TEST(hostile__numbers_lead_nowhere)
{
	struct btt_info bad = info;
	struct media media = fake->media;
	uint8_t *bytes;

	memcpy((char *)&bad + hostile[_i].at, &hostile[_i].value,
	    hostile[_i].bytes);
	image_put_both(fake, BTT_V11_OFFSET + info.info2off, &bad);
	bytes = mmap(NULL, IMAGE_BYTES + 4096, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(bytes, MAP_FAILED);
	ck_assert_int_eq(
	    mprotect(bytes, IMAGE_BYTES, PROT_READ | PROT_WRITE), 0);
	memcpy(bytes, fake->bytes, IMAGE_BYTES);
	media.base = bytes;
	look_everywhere(&media);
	/* and with a checksum that is wrong, so that nobody validates it */
	bytes[BTT_V11_OFFSET + 3000] ^= 1;
	bytes[BTT_V11_OFFSET + info.info2off + 3000] ^= 1;
	look_everywhere(&media);
	ck_assert_int_eq(munmap(bytes, IMAGE_BYTES + 4096), 0);
}
END_TEST

START_TEST(info_problems__counts_and_names_them)
{
	struct btt_info bad = info;

	ck_assert_uint_eq(btt_inspect_info_problems(&info, NULL, NULL), 0);
	bad.infosize = 1;
	bad.internal_nlba++;
	ck_assert_uint_eq(btt_inspect_info_problems(&bad, NULL, NULL), 2);
}
END_TEST

/* The engine completes what was said to be pending, and that only. */
START_TEST(log__says_what_the_engine_does)
{
	struct btt_open_options options = { .nlane = 1 };
	struct btt_worker_pool *pool;
	struct btt *btt;
	struct btt_geometry_info geometry;
	struct btt_translation before[8], after;

	ck_assert_int_eq(btt_worker_pool_new(1, &pool), 0);
	for (uint32_t i = 0; i < 8; i++)
		put_write(10 * i, 20 + i, 20 + i, NSECTOR + 10 * i);
	image_put_map(fake, &info, 25, NORMAL(NSECTOR + 50));
	/* neither of the two: a later write, by another pair, is complete */
	put_write(11, 26, NSECTOR + 60, NSECTOR + 11);
	image_put_map(fake, &info, 26, NORMAL(NSECTOR + 11));
	look_at_log();
	ck_assert_uint_eq(ilog.npending, 6);
	for (uint32_t i = 0; i < 8; i++)
		before[i] = translation_of(20 + i);
	ck_assert_int_eq(
	    btt_open(&fake->media, pool, &options, &btt, &error), 0);
	btt_get_geometry(btt, &geometry);
	ck_assert_uint_eq(geometry.nrecovered, 6);
	look_at_log();
	ck_assert_uint_eq(ilog.npending, 0);
	for (uint32_t i = 0; i < 8; i++) {
		after = translation_of(20 + i);
		ck_assert_uint_eq(after.block,
		    before[i].is_pending ? before[i].pending_block
					 : before[i].block);
	}
	ck_assert_int_eq(btt_close(btt), 0);
	btt_worker_pool_free(pool);
	fake = image_small(&info); /* for tear_down: the first is closed */
}
END_TEST

int
main(void)
{
	Suite *suite;
	TCase *tcase;

	suite = suite_create("inspect");
	tcase = tcase_create("find");
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, find__shows_a_sound_image);
	tcase_add_test(tcase, find__says_when_the_backup_speaks);
	tcase_add_test(tcase, find__shows_two_bad_copies);
	tcase_add_test(tcase, find__shows_nothing_where_nothing_is);
	tcase_add_loop_test(tcase, find__looks_where_every_layout_ends, 0, 3);
	if (MEDIA_FAKE_MAY_BE_HUGE)
		tcase_add_test(tcase, find__goes_on_behind_a_lost_arena);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("map");
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, map__shows_every_state);
	tcase_add_test(tcase, map__gives_runs_and_refuses_what_is_none);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("log");
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, log__tells_fresh_done_and_pending_pairs);
	tcase_add_test(tcase, log__plays_recovery_through);
	tcase_add_test(tcase, log__takes_flags_off_and_shows_them);
	tcase_add_test(tcase, log__knows_the_old_layout);
	tcase_add_loop_test(tcase, log__names_what_is_wrong_with_a_pair, 0,
	    (int)(sizeof(bad_pairs) / sizeof(bad_pairs[0])));
	tcase_add_test(tcase, log__says_what_the_engine_does);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("hostile");
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(tcase, hostile__numbers_lead_nowhere, 0,
	    (int)(sizeof(hostile) / sizeof(hostile[0])));
	tcase_add_test(tcase, info_problems__counts_and_names_them);
	suite_add_tcase(suite, tcase);
	return check_main(suite);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * badlist -- marks on ranges: against a model with a cell a unit, and what
 * watchers of a medium are told.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <btt/media.h>

#include "../support/check_main.h"
#include "badlist.h"

#define NUNIT 64u

static struct badlist lists[2];
static unsigned model[NUNIT];

static void
assert_same(const struct badlist *list)
{
	unsigned unit = 0;

	ck_assert(badlist_is_valid(list, NUNIT * BAD_UNIT));
	for (unsigned i = 0; i < list->nrun; i++) {
		const struct bad_run *run = &list->run[i];

		for (; unit < run->off / BAD_UNIT; unit++)
			ck_assert_uint_eq(model[unit], 0);
		for (; unit < run->end / BAD_UNIT; unit++)
			ck_assert_uint_eq(model[unit], run->marks);
		/* Neighbours of one kind are one run. */
		if (i > 0 && list->run[i - 1].end == run->off)
			ck_assert_uint_ne(list->run[i - 1].marks, run->marks);
	}
	for (; unit < NUNIT; unit++)
		ck_assert_uint_eq(model[unit], 0);
}

START_TEST(apply__agrees_with_a_cell_for_each_unit)
{
	bad_marks_fn *const fns[] = { badlist_find, badlist_inject,
		badlist_inject_latent, badlist_uninject, badlist_notice,
		badlist_clear };
	unsigned now = 0;

	srand((unsigned)_i);
	memset(model, 0, sizeof(model));
	lists[0].nrun = 0;
	for (unsigned step = 0; step < 400; step++) {
		unsigned first = (unsigned)rand() % NUNIT;
		unsigned end = first + (unsigned)rand() % (NUNIT - first + 1);
		bad_marks_fn *fn = fns[rand() % 6];

		ck_assert_int_eq(badlist_apply(&lists[now], first * BAD_UNIT,
				     end * BAD_UNIT, fn, &lists[1 - now]),
		    0);
		now = 1 - now;
		for (unsigned i = first; i < end; i++)
			model[i] = fn(model[i]);
		assert_same(&lists[now]);
	}
}
END_TEST

START_TEST(apply__says_when_there_is_no_room)
{
	unsigned now = 0;

	lists[0].nrun = 0;
	for (unsigned i = 0; i < BADLIST_MAX; i++) {
		ck_assert_int_eq(
		    badlist_apply(&lists[now], 2 * i * BAD_UNIT,
			(2 * i + 1) * BAD_UNIT, badlist_find, &lists[1 - now]),
		    0);
		now = 1 - now;
	}
	ck_assert_int_eq(badlist_apply(&lists[now], 2 * BADLIST_MAX * BAD_UNIT,
			     (2 * BADLIST_MAX + 1) * BAD_UNIT, badlist_find,
			     &lists[1 - now]),
	    -ENOSPC);
	/* Between two runs there is room: they become one. */
	ck_assert_int_eq(badlist_apply(&lists[now], BAD_UNIT, 2 * BAD_UNIT,
			     badlist_find, &lists[1 - now]),
	    0);
	ck_assert_uint_eq(lists[1 - now].nrun, BADLIST_MAX - 1);
}
END_TEST

START_TEST(next__joins_runs_that_touch_and_stops_at_a_gap)
{
	struct badlist list = { .nrun = 3,
		.run = { { 512, 1024, BAD_FOUND },
		    { 1024, 2048, BAD_FOUND | BAD_INJECTED },
		    { 4096, 8192, BAD_LATENT } } };
	uint64_t off = 0, end = 0;

	ck_assert(badlist_next(&list, 0, 10000, BAD_KNOWN, &off, &end));
	ck_assert_uint_eq(off, 512);
	ck_assert_uint_eq(end, 2048);
	ck_assert(!badlist_next(&list, 2048, 10000, BAD_KNOWN, &off, &end));
	ck_assert(badlist_next(&list, 0, 5000, BAD_LATENT, &off, &end));
	ck_assert_uint_eq(off, 4096);
	ck_assert_uint_eq(end, 5000);
	ck_assert(!badlist_next(&list, 0, 512, BAD_KNOWN, &off, &end));
	ck_assert(badlist_next(&list, 600, 700, BAD_FOUND, &off, &end));
	ck_assert_uint_eq(off, 600);
	ck_assert_uint_eq(end, 700);
}
END_TEST

/* What a watcher was told last, and how often. */
static struct {
	unsigned n;
	enum media_bad_change change;
	uint64_t off, len;
	uint8_t kept[MEDIA_BAD_BYTES];
	size_t kept_bytes;
} told;

static void
tell(void *arg, enum media_bad_change change, uint64_t off, uint64_t len)
{
	(void)arg;
	told.n++;
	told.change = change;
	told.off = off;
	told.len = len;
}

static void
keep(void *arg, const void *list, size_t bytes)
{
	(void)arg;
	ck_assert_uint_le(bytes, sizeof(told.kept));
	memcpy(told.kept, list, bytes);
	told.kept_bytes = bytes;
}

#define ck_assert_told(times, what, from, bytes)               \
	do {                                                   \
		ck_assert_uint_eq(told.n, times);              \
		ck_assert_int_eq((int)told.change, (int)what); \
		ck_assert_uint_eq(told.off, from);             \
		ck_assert_uint_eq(told.len, bytes);            \
	} while (0)

static const struct media_bad_watch watch = { tell, keep, NULL };
static struct media *media;

static void
set_up(void)
{
	memset(&told, 0, sizeof(told));
	ck_assert_int_eq(media_ram_new(65536, MEDIA_CACHE_LINE, &media), 0);
	media_watch_bad(media, &watch);
}

static void
tear_down(void)
{
	media_close(media);
}

/* Each byte that changes sides is told once, others are not. */
START_TEST(watch__is_told_of_what_changes_and_no_more)
{
	ck_assert_int_eq(media_add_bad(media, 700, 1), 0);
	ck_assert_told(1, MEDIA_BAD_FOUND, 512, 512);
	ck_assert_int_eq(media_add_bad(media, 513, 10), 0);
	ck_assert_uint_eq(told.n, 1);
	ck_assert_int_eq(media_inject_bad(media, 512, 1024, false), 0);
	ck_assert_told(2, MEDIA_BAD_INJECTED, 1024, 512);
	/* What was found stays when what was planted goes. */
	ck_assert_int_eq(media_uninject_bad(media, 0, 65536), 0);
	ck_assert_told(3, MEDIA_BAD_UNINJECTED, 1024, 512);
	ck_assert(media_is_bad(media, 512, 1));
	ck_assert_int_eq(media_clear_bad(media, 0, 65536), 0);
	ck_assert_told(4, MEDIA_BAD_CLEARED, 512, 512);
	ck_assert(!media_knows_bad(media));
}
END_TEST

START_TEST(latent__is_unknown_until_it_is_noticed)
{
	ck_assert_int_eq(media_inject_bad(media, 4096, 512, true), 0);
	ck_assert_uint_eq(told.n, 0);
	ck_assert(!media_is_bad(media, 4096, 512));
	ck_assert(media_wants_clear(media, 4096, 512));
	ck_assert(!media_notice_bad(media, 0, 4096));
	ck_assert(media_notice_bad(media, 4096, 4096));
	ck_assert_told(1, MEDIA_BAD_FOUND, 4096, 512);
	ck_assert(media_is_bad(media, 4096, 512));
	ck_assert(!media_notice_bad(media, 4096, 4096));

	ck_assert_int_eq(media_inject_bad(media, 8192, 512, true), 0);
	ck_assert_int_eq(media_clear_bad(media, 8192, 512), 0);
	ck_assert(!media_wants_clear(media, 8192, 512));
	ck_assert_uint_eq(told.n, 1);
}
END_TEST

START_TEST(kept__list_comes_back_with_all_marks)
{
	struct media_range range;
	struct media *other;
	uint8_t kept[MEDIA_BAD_BYTES];
	size_t bytes;

	ck_assert_int_eq(media_add_bad(media, 512, 512), 0);
	ck_assert_int_eq(media_inject_bad(media, 2048, 512, false), 0);
	ck_assert_int_eq(media_inject_bad(media, 4096, 512, true), 0);
	bytes = told.kept_bytes;
	memcpy(kept, told.kept, bytes);
	ck_assert_int_eq(media_ram_new(65536, MEDIA_CACHE_LINE, &other), 0);
	ck_assert_int_eq(media_restore_bad(other, kept, bytes), 0);
	ck_assert_uint_eq(media_list_bad(other, &range, 1), 2);
	ck_assert_uint_eq(media_list_injected(other, false, &range, 1), 1);
	ck_assert_uint_eq(range.off, 2048);
	ck_assert_uint_eq(media_list_injected(other, true, &range, 1), 1);
	ck_assert_uint_eq(range.off, 4096);
	media_close(other);

	/* What makes no sense is not believed. */
	ck_assert_int_eq(media_ram_new(4096, MEDIA_CACHE_LINE, &other), 0);
	ck_assert_int_eq(media_restore_bad(other, kept, bytes), -EUCLEAN);
	ck_assert_int_eq(media_restore_bad(other, kept, 16), -EUCLEAN);
	memset(kept, 0xff, sizeof(kept));
	ck_assert_int_eq(media_restore_bad(other, kept, bytes), -EUCLEAN);
	ck_assert(!media_knows_bad(other));
	media_close(other);
}
END_TEST

/* What was bad before a crash is no news: it is kept again, and that is all. */
START_TEST(restore__tells_nobody)
{
	uint8_t kept[MEDIA_BAD_BYTES];
	size_t bytes;

	ck_assert_int_eq(media_add_bad(media, 512, 512), 0);
	ck_assert_int_eq(media_inject_bad(media, 2048, 512, false), 0);
	bytes = told.kept_bytes;
	memcpy(kept, told.kept, bytes);
	tear_down();
	set_up();
	ck_assert_int_eq(media_restore_bad(media, kept, bytes), 0);
	ck_assert_uint_eq(told.n, 0);
	ck_assert_uint_eq(told.kept_bytes, bytes);
	ck_assert_mem_eq(told.kept, kept, bytes);
	/* The next one is. */
	ck_assert_int_eq(media_add_bad(media, 0, 1536), 0);
	ck_assert_uint_eq(told.n, 2);
}
END_TEST

static Suite *
badlist_suite(void)
{
	Suite *suite = suite_create("badlist");
	TCase *tc = tcase_create("list");

	tcase_add_loop_test(tc, apply__agrees_with_a_cell_for_each_unit, 0, 20);
	tcase_add_test(tc, apply__says_when_there_is_no_room);
	tcase_add_test(tc, next__joins_runs_that_touch_and_stops_at_a_gap);
	suite_add_tcase(suite, tc);
	tc = tcase_create("watch");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, watch__is_told_of_what_changes_and_no_more);
	tcase_add_test(tc, latent__is_unknown_until_it_is_noticed);
	tcase_add_test(tc, kept__list_comes_back_with_all_marks);
	tcase_add_test(tc, restore__tells_nobody);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(badlist_suite());
}

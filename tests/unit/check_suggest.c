/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * suggest -- slips of the finger are near, other words are far.
 */
#include "../../daemon/suggest.h"
#include "../support/check_main.h"

static const struct {
	const char *a, *b;
	unsigned distance;
} pairs[] = {
	{ "", "", 0 },
	{ "check", "check", 0 },
	{ "chek", "check", 1 },
	{ "checkk", "check", 1 },
	{ "chexk", "check", 1 },
	{ "hceck", "check", 1 }, /* neighbours swapped */
	{ "craete", "create", 1 },
	{ "", "info", 4 },
	{ "kitten", "sitting", 3 },
	{ "create", "check", 4 },
};

START_TEST(suggest_distance__counts_slips)
{
	ck_assert_uint_eq(
	    suggest_distance(pairs[_i].a, pairs[_i].b), pairs[_i].distance);
	ck_assert_uint_eq(
	    suggest_distance(pairs[_i].b, pairs[_i].a), pairs[_i].distance);
}
END_TEST

START_TEST(suggest_distance__of_long_words_is_far)
{
	char word[200];

	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	ck_assert_uint_eq(suggest_distance(word, "check"), SUGGEST_FAR);
	ck_assert_uint_eq(suggest_distance("check", word), SUGGEST_FAR);
	ck_assert_uint_lt(suggest_limit(word), SUGGEST_FAR);
	word[32] = '\0';
	ck_assert_uint_eq(suggest_distance(word, word), 0);
}
END_TEST

/* A guess that changes most of the word is no guess. */
START_TEST(suggest_limit__is_less_than_the_word)
{
	static const char word[] = "wait-scrub";
	char start[sizeof(word)];
	size_t n;

	for (n = 2; n < sizeof(word); n++) {
		memcpy(start, word, n);
		start[n] = '\0';
		ck_assert_uint_lt(suggest_limit(start), n);
		ck_assert_uint_gt(suggest_limit(start), 0);
	}
}
END_TEST

int
main(void)
{
	Suite *suite;
	TCase *tcase;

	suite = suite_create("suggest");
	tcase = tcase_create("suggest");
	tcase_add_loop_test(tcase, suggest_distance__counts_slips, 0,
	    (int)(sizeof(pairs) / sizeof(pairs[0])));
	tcase_add_test(tcase, suggest_distance__of_long_words_is_far);
	tcase_add_test(tcase, suggest_limit__is_less_than_the_word);
	suite_add_tcase(suite, tcase);
	return check_main(suite);
}

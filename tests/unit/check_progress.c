/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * progress -- the line that is drawn fits the terminal and says the truth.
 */
#include <stdint.h>
#include <unistd.h>

#include "../../daemon/progress.h"
#include "../support/check_main.h"

#define MIB (UINT64_C(1) << 20)

START_TEST(progress_render__shows_bar_percent_rate_and_time_left)
{
	char text[PROGRESS_TEXT_BYTES];

	progress_render(
	    "Zeroing", PROGRESS_BYTES, 256 * MIB, 1024 * MIB, 2000, 80, text);
	ck_assert_str_eq(text,
	    "Zeroing [##########                              ]"
	    "  25%  128 MiB/s  0:06 left");
	progress_render("Checking", PROGRESS_STEPS, 1, 7201, 1000, 80, text);
	ck_assert_ptr_nonnull(strstr(text, "   0%  2:00:00 left"));
	ck_assert_ptr_null(strstr(text, "/s"));
}
END_TEST

START_TEST(progress_render__guesses_nothing_in_the_first_second)
{
	char text[PROGRESS_TEXT_BYTES];

	progress_render("X", PROGRESS_BYTES, 50, 100, 10, 80, text);
	ck_assert_ptr_nonnull(strstr(text, " 50%"));
	ck_assert_ptr_null(strstr(text, "left"));
	ck_assert_ptr_null(strstr(text, "/s"));
}
END_TEST

START_TEST(progress_render__never_exceeds_the_columns)
{
	static const uint64_t numbers[] = { 0, 1, 99, 100, MIB, UINT64_MAX / 2,
		UINT64_MAX };
	const size_t n = sizeof(numbers) / sizeof(numbers[0]);
	char text[PROGRESS_TEXT_BYTES];

	for (unsigned columns = 0; columns < 300; columns++) {
		for (size_t i = 0; i < n * n * n; i++) {
			progress_render("Writing zeroes", PROGRESS_BYTES,
			    numbers[i % n], numbers[i / n % n],
			    numbers[i / n / n], columns, text);
			ck_assert_uint_le(strlen(text), columns);
			ck_assert_uint_lt(strlen(text), PROGRESS_TEXT_BYTES);
		}
	}
}
END_TEST

START_TEST(progress_render__of_nothing_is_done)
{
	char text[PROGRESS_TEXT_BYTES];

	progress_render("X", PROGRESS_STEPS, 0, 0, 0, 80, text);
	ck_assert_ptr_nonnull(strstr(text, "100%"));
	/* a library that counts past its own total */
	progress_render("X", PROGRESS_STEPS, 7, 5, 0, 80, text);
	ck_assert_ptr_nonnull(strstr(text, "100%"));
}
END_TEST

/* Logs and pipes are not to be filled with bars. */
START_TEST(progress_update__writes_nothing_to_a_pipe)
{
	struct progress progress;
	char byte;
	int ends[2], saved;

	ck_assert_int_eq(pipe(ends), 0);
	saved = dup(STDERR_FILENO);
	ck_assert_int_ge(saved, 0);
	ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
	close(ends[1]);
	setenv("TERM", "xterm", 1);
	progress_begin(&progress, "X", PROGRESS_STEPS, true);
	progress_update(&progress, 1, 2);
	progress_update(&progress, 2, 2);
	progress_end(&progress);
	ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
	close(saved);
	ck_assert_int_eq(read(ends[0], &byte, 1), 0);
	close(ends[0]);
}
END_TEST

int
main(void)
{
	Suite *suite;
	TCase *tcase;

	suite = suite_create("progress");
	tcase = tcase_create("render");
	tcase_set_timeout(tcase, 60);
	tcase_add_test(
	    tcase, progress_render__shows_bar_percent_rate_and_time_left);
	tcase_add_test(
	    tcase, progress_render__guesses_nothing_in_the_first_second);
	tcase_add_test(tcase, progress_render__never_exceeds_the_columns);
	tcase_add_test(tcase, progress_render__of_nothing_is_done);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("update");
	tcase_add_test(tcase, progress_update__writes_nothing_to_a_pipe);
	suite_add_tcase(suite, tcase);
	return check_main(suite);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters as people and Prometheus see them, from what a daemon says. */
#include <stdlib.h>
#include <string.h>

#include "stats_text.h"
#include "support/check_main.h"

static struct json_object *array;
static char *text;

static void
parse(const char *json)
{
	array = json_tokener_parse(json);
	ck_assert_ptr_nonnull(array);
}

/* Print with one of the two, into text. */
static void
print(void (*fn)(FILE *file, struct json_object *object),
    struct json_object *object)
{
	size_t size;
	FILE *file = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(file);
	fn(file, object);
	ck_assert_int_eq(fclose(file), 0);
}

static void
teardown(void)
{
	json_object_put(array);
	free(text);
}

static void
has_line(const char *line)
{
	const char *at = strstr(text, line);

	ck_assert_msg(at != NULL && (at == text || at[-1] == '\n') &&
		at[strlen(line)] == '\n',
	    "no line '%s' in:\n%s", line, text);
}

#define TIMES(us)                                                     \
	"{\"mean\":" us ",\"p50\":" us ",\"p99\":" us ",\"p999\":" us \
	",\"max\":" us "}"

START_TEST(stats_print__has_a_line_for_each_kind)
{
	parse("[{\"dev\":\"vol\",\"read\":{\"requests\":12345,"
	      "\"bytes\":50331648,\"errors\":2,\"latency_us\":{\"mean\":12.34,"
	      "\"p50\":0.5,\"p99\":999.6,\"p999\":1234567,\"max\":99.96}},"
	      "\"sectors_written\":7,\"commits\":3,\"fences\":9,"
	      "\"lane_waits\":2,\"lane_wait_us\":1500,"
	      "\"reader_waits\":0,\"reader_wait_us\":0}]");
	print(stats_print, json_object_array_get_idx(array, 0));
	ck_assert_str_eq(text,
	    "vol\n"
	    "             requests       bytes   errors       mean        p50"
	    "        p99      p99.9        max\n"
	    "  read          12345      48 MiB        2    12.3 us    0.50 us"
	    "    1.00 ms     1.23 s     100 us\n"
	    "  write             0     0 bytes        0\n"
	    "  flush             0     0 bytes        0\n"
	    "  zero              0     0 bytes        0\n"
	    "  other             0     0 bytes        0\n"
	    "  7 sectors written in 3 commits with 9 fences\n"
	    "  writers waited: 2 for lanes (1.50 ms), 0 for readers\n");
}
END_TEST

START_TEST(stats_print__tells_of_groups_if_there_were_any)
{
	parse("[{\"dev\":\"vol\",\"group_time\":{\"commits\":4,"
	      "\"latency_us\":" TIMES(
		  "2000") "},\"group_size\":{\"commits\":4,"
			  "\"sectors\":{\"mean\":100.25,\"max\":200}}}]");
	print(stats_print, json_object_array_get_idx(array, 0));
	has_line("  groups            4                         2.00 ms"
		 "    2.00 ms    2.00 ms    2.00 ms    2.00 ms");
	has_line("  100.2 sectors a group, up to 200");
}
END_TEST

/* An older daemon tells less, and that is no crash. */
START_TEST(stats_print__of_what_is_not_told_is_zero)
{
	parse("[{},null]");
	print(stats_print, json_object_array_get_idx(array, 0));
	has_line("  0 sectors written in 0 commits with 0 fences");
	free(text);
	print(stats_print, json_object_array_get_idx(array, 1));
	has_line("  writers waited: 0 for lanes, 0 for readers");
	free(text);
	print(stats_print_prometheus, array);
	has_line("bttfs_bytes_total{device=\"\",kind=\"read\"} 0");
}
END_TEST

START_TEST(stats_print_prometheus__is_what_it_reads)
{
	parse("[{\"dev\":\"a\",\"write\":{\"requests\":6,\"bytes\":24576,"
	      "\"errors\":1,\"sum\":1500000,\"buckets\":["
	      "{\"le\":1023,\"count\":0},{\"le\":2047,\"count\":4}]},"
	      "\"fences\":18,\"lane_wait_us\":2500000.5,"
	      "\"group_size\":{\"commits\":2,\"sum\":77,\"buckets\":["
	      "{\"le\":0,\"count\":0},{\"le\":63,\"count\":2}]}},"
	      "{\"dev\":\"b\\\"\\\\c\",\"fences\":3}]");
	print(stats_print_prometheus, array);
	has_line("bttfs_bytes_total{device=\"a\",kind=\"write\"} 24576");
	has_line("bttfs_errors_total{device=\"a\",kind=\"write\"} 1");
	has_line("# TYPE bttfs_request_duration_seconds histogram");
	has_line("bttfs_request_duration_seconds_bucket{device=\"a\","
		 "kind=\"write\",le=\"1.023e-06\"} 0");
	has_line("bttfs_request_duration_seconds_bucket{device=\"a\","
		 "kind=\"write\",le=\"2.047e-06\"} 4");
	has_line("bttfs_request_duration_seconds_bucket{device=\"a\","
		 "kind=\"write\",le=\"+Inf\"} 6");
	has_line("bttfs_request_duration_seconds_sum{device=\"a\","
		 "kind=\"write\"} 0.0015");
	has_line("bttfs_request_duration_seconds_count{device=\"a\","
		 "kind=\"write\"} 6");
	has_line("bttfs_lane_wait_seconds_total{device=\"a\"} 2.5000005");
	has_line("bttfs_group_commit_sectors_bucket{device=\"a\",le=\"63\"} 2");
	has_line("bttfs_group_commit_sectors_sum{device=\"a\"} 77");
	has_line("bttfs_fences_total{device=\"a\"} 18");
	has_line("bttfs_fences_total{device=\"b\\\"\\\\c\"} 3");
}
END_TEST

/* Each family once, its HELP and TYPE first, all its series after them. */
START_TEST(stats_print_prometheus__keeps_families_together)
{
	char seen[32][64];
	unsigned nseen = 0;
	char *save = NULL;

	parse("[{\"dev\":\"a\"},{\"dev\":\"b\"},{\"dev\":\"c\"}]");
	print(stats_print_prometheus, array);
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char name[64] = "";

		if (sscanf(line, "# HELP %63s", name) == 1) {
			for (unsigned i = 0; i < nseen; i++)
				ck_assert_str_ne(seen[i], name);
			ck_assert_uint_lt(nseen, 32);
			strcpy(seen[nseen++], name);
			continue;
		}
		ck_assert_uint_gt(nseen, 0);
		if (sscanf(line, "# TYPE %63s", name) == 1)
			ck_assert_str_eq(name, seen[nseen - 1]);
		else
			ck_assert_int_eq(strncmp(line, seen[nseen - 1],
					     strlen(seen[nseen - 1])),
			    0);
	}
	ck_assert_uint_gt(nseen, 8);
}
END_TEST

static Suite *
stats_text_suite(void)
{
	Suite *suite = suite_create("stats_text");
	TCase *tcase = tcase_create("text");

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, stats_print__has_a_line_for_each_kind);
	tcase_add_test(tcase, stats_print__tells_of_groups_if_there_were_any);
	tcase_add_test(tcase, stats_print__of_what_is_not_told_is_zero);
	tcase_add_test(tcase, stats_print_prometheus__is_what_it_reads);
	tcase_add_test(tcase, stats_print_prometheus__keeps_families_together);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return check_main(stats_text_suite());
}

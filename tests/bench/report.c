/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * report -- lines for people, and one JSON document.
 */
#include <stdlib.h>

#include "bench.h"

void
report_open(struct report *report, const char *json_path)
{
	*report = (struct report){ 0 };
	printf("Times are medians of a request over all threads.  In brackets: "
	       "bttfs's time\nby the other's, median of the rounds' ratios, "
	       "by wall clock and by processor time.\n"
	       "In braces: the most that it is to be by wall clock, "
	       "where there is such a goal.\n");
	if (json_path == NULL)
		return;
	if ((report->json = fopen(json_path, "w")) == NULL) {
		perror(json_path);
		exit(1);
	}
	fprintf(report->json, "{\"rows\":[");
}

/* The comma before all rows but the first. */
static void
next_row(struct report *report)
{
	fprintf(report->json, "%s\n", report->nrow++ == 0 ? "" : ",");
}

static void
print_ns(double ns)
{
	if (ns >= 1e6)
		printf("%.2f ms", ns / 1e6);
	else if (ns >= 1e4)
		printf("%.1f us", ns / 1e3);
	else
		printf("%.0f ns", ns);
}

static void
print_goal(const char *what, double most, bool met)
{
	printf(" {%sgoal %.3g: %s}", what, most, met ? "met" : "missed");
}

static void
print_row(const struct report_row *row)
{
	struct goal_result goal;

	printf("  %s ", row->subject);
	print_ns(row->median.wall_ns);
	if (row->wall_ratio > 0)
		printf(" [%.2f %.2f]", row->wall_ratio, row->cpu_ratio);
	if (row->median.p999_ns > 0) {
		printf(" p50 ");
		print_ns(row->median.p50_ns);
		printf(" p99.9 ");
		print_ns(row->median.p999_ns);
	}
	if (row->median.fences > 0)
		printf(" (%.2f fences)", row->median.fences);
	if (row->median.device > 0)
		printf(" (disk %.1f K, own %.1f K)", row->median.device / 1024,
		    row->median.dirtied / 1024);
	if (goal_of(row, &goal))
		print_goal(goal.what, goal.most, goal.met);
}

static void
write_row(struct report *report, const struct report_row *row)
{
	const struct slice_result *median = &row->median;
	struct goal_result goal;

	next_row(report);
	fprintf(report->json,
	    "{\"bed\":\"%s\",\"load\":\"%s\",\"threads\":%u,"
	    "\"subject\":\"%s\",\"rounds\":%u,\"wall_ns\":%.1f,"
	    "\"cpu_ns\":%.1f",
	    row->bed, row->load, row->nthread, row->subject, row->nround,
	    median->wall_ns, median->cpu_ns);
	if (row->wall_ratio > 0)
		fprintf(report->json, ",\"wall_ratio\":%.4f,\"cpu_ratio\":%.4f",
		    row->wall_ratio, row->cpu_ratio);
	if (median->p999_ns > 0)
		fprintf(report->json, ",\"p50_ns\":%.0f,\"p999_ns\":%.0f",
		    median->p50_ns, median->p999_ns);
	if (median->fences > 0)
		fprintf(report->json, ",\"fences\":%.3f", median->fences);
	if (median->device > 0)
		fprintf(report->json,
		    ",\"disk_bytes\":%.0f,\"dirtied_bytes\":%.0f",
		    median->device, median->dirtied);
	if (goal_of(row, &goal))
		fprintf(report->json,
		    ",\"goal\":%.4f,\"value\":%.4f,\"met\":%s", goal.most,
		    goal.value, goal.met ? "true" : "false");
	fprintf(report->json, "}");
}

void
report_cell(struct report *report, const struct report_row *row, unsigned nrow)
{
	if (nrow == 0)
		return;
	printf("%s, %s, %u thread%s:", row->bed, row->load, row->nthread,
	    row->nthread == 1 ? "" : "s");
	for (unsigned i = 0; i < nrow; i++) {
		print_row(&row[i]);
		if (report->json != NULL)
			write_row(report, &row[i]);
	}
	printf("\n");
	(void)fflush(stdout);
}

/*
 * A terabyte is opened in no time, and with what memory the lanes of its arenas
 * need, which are few.
 */
static const uint64_t large_bytes = UINT64_C(1) << 40;
static const double open_goal_ms = 50, memory_goal = 2;

void
report_life(struct report *report, const struct report_life *life)
{
	double memory;

	if (report->life_bytes == 0)
		report->life_bytes = life->open_bytes;
	memory = (double)life->open_bytes / (double)report->life_bytes;
	printf("life, %.0f GiB sparse: create %.2f ms, open %.2f ms with "
	       "%.0f KiB",
	    (double)life->bytes / (1 << 30), life->create_ms, life->open_ms,
	    (double)life->open_bytes / 1024);
	if (life->check_ms > 0)
		printf(", check %.1f ms", life->check_ms);
	if (life->bytes == large_bytes) {
		print_goal("open in ms, ", open_goal_ms,
		    life->open_ms <= open_goal_ms);
		print_goal("memory by the smallest's, ", memory_goal,
		    memory <= memory_goal);
	}
	printf("\n");
	(void)fflush(stdout);
	if (report->json == NULL)
		return;
	next_row(report);
	fprintf(report->json,
	    "{\"bed\":\"life\",\"bytes\":%llu,\"create_ms\":%.3f,"
	    "\"open_ms\":%.3f,\"open_bytes\":%llu,\"check_ms\":%.3f",
	    (unsigned long long)life->bytes, life->create_ms, life->open_ms,
	    (unsigned long long)life->open_bytes, life->check_ms);
	if (life->bytes == large_bytes)
		fprintf(report->json, ",\"open_met\":%s,\"memory_met\":%s",
		    life->open_ms <= open_goal_ms ? "true" : "false",
		    memory <= memory_goal ? "true" : "false");
	fprintf(report->json, "}");
}

void
report_close(struct report *report)
{
	if (report->json == NULL)
		return;
	fprintf(report->json, "\n]}\n");
	(void)fclose(report->json);
}

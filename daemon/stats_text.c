/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdint.h>

#include "json_get.h"
#include "size.h"
#include "stats_text.h"

/* The kinds of requests that have a line of their own. */
static const char *const kinds[] = { "read", "write", "flush", "zero",
	"other" };
#define NKIND (sizeof(kinds) / sizeof(kinds[0]))

static double
get_fraction(struct json_object *object, const char *key)
{
	return json_object_get_double(json_get(object, key));
}

/* ---- For people ---- */

#define TIME_BYTES 32

/* Three digits, in the unit that has them before the point. */
static const char *
format_us(double us, char text[TIME_BYTES])
{
	static const char *const units[] = { "us", "ms", "s" };
	unsigned unit = 0;

	while (us >= 999.5 && unit < 2) {
		us /= 1000;
		unit++;
	}
	snprintf(text, TIME_BYTES, "%.*f %s", us < 9.995 ? 2 : us < 99.95, us,
	    units[unit]);
	return text;
}

static void
print_times(FILE *file, struct json_object *quantiles)
{
	static const char *const keys[] = { "mean", "p50", "p99", "p999",
		"max" };
	char text[TIME_BYTES];

	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		fprintf(file, "  %9s",
		    format_us(get_fraction(quantiles, keys[i]), text));
}

static void
print_kind(FILE *file, const char *name, struct json_object *kind)
{
	char size[SIZE_TEXT_BYTES];

	size_format(json_get_number(kind, "bytes"), size);
	fprintf(file, "  %-6s %12" PRIu64 "  %10s %8" PRIu64, name,
	    json_get_number(kind, "requests"), size,
	    json_get_number(kind, "errors"));
	/* Of what never was no time is known, and none is 0. */
	if (json_get_number(kind, "requests") > 0)
		print_times(file, json_get(kind, "latency_us"));
	fputc('\n', file);
}

static void
print_groups(FILE *file, struct json_object *stats)
{
	struct json_object *time = json_get(stats, "group_time");
	struct json_object *sectors =
	    json_get(json_get(stats, "group_size"), "sectors");

	if (json_get_number(time, "commits") == 0)
		return;
	fprintf(file, "  groups %12" PRIu64 "  %10s %8s",
	    json_get_number(time, "commits"), "", "");
	print_times(file, json_get(time, "latency_us"));
	fprintf(file, "\n  %.1f sectors a group, up to %.0f\n",
	    get_fraction(sectors, "mean"), get_fraction(sectors, "max"));
}

static void
print_wait(FILE *file, const char *what, uint64_t n, double us)
{
	char text[TIME_BYTES];

	fprintf(file, "%" PRIu64 " for %s", n, what);
	if (n > 0)
		fprintf(file, " (%s)", format_us(us, text));
}

void
stats_print(FILE *file, struct json_object *stats)
{
	fprintf(file, "%s\n  %-6s %12s  %10s %8s  %9s  %9s  %9s  %9s  %9s\n",
	    json_get_text(stats, "dev"), "", "requests", "bytes", "errors",
	    "mean", "p50", "p99", "p99.9", "max");
	for (unsigned i = 0; i < NKIND; i++)
		print_kind(file, kinds[i], json_get(stats, kinds[i]));
	print_groups(file, stats);
	fprintf(file,
	    "  %" PRIu64 " sectors written in %" PRIu64 " commits with %" PRIu64
	    " fences\n  writers waited: ",
	    json_get_number(stats, "sectors_written"),
	    json_get_number(stats, "commits"),
	    json_get_number(stats, "fences"));
	print_wait(file, "lanes", json_get_number(stats, "lane_waits"),
	    get_fraction(stats, "lane_wait_us"));
	fputs(", ", file);
	print_wait(file, "readers", json_get_number(stats, "reader_waits"),
	    get_fraction(stats, "reader_wait_us"));
	fputc('\n', file);
}

/* ---- For Prometheus ---- */

/* As a label's value: three characters are not themselves. */
static void
print_label(FILE *file, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			fputs("\\n", file);
		else if (*text == '"' || *text == '\\')
			fprintf(file, "\\%c", *text);
		else
			fputc(*text, file);
	}
}

/* name{device="vol",kind="read" ; the caller closes it. */
static void
print_series(FILE *file, const char *name, const char *suffix,
    struct json_object *stats, const char *kind)
{
	fprintf(file, "%s%s{device=\"", name, suffix);
	print_label(file, json_get_text(stats, "dev"));
	fputc('"', file);
	if (kind != NULL)
		fprintf(file, ",kind=\"%s\"", kind);
}

static void
print_help(FILE *file, const char *name, const char *type, const char *help)
{
	fprintf(file, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A counter of each kind of request. */
static void
print_by_kind(FILE *file, struct json_object *array, const char *name,
    const char *key, const char *help)
{
	struct json_object *stats;

	print_help(file, name, "counter", help);
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		stats = json_object_array_get_idx(array, i);
		for (unsigned k = 0; k < NKIND; k++) {
			print_series(file, name, "", stats, kinds[k]);
			fprintf(file, "} %" PRIu64 "\n",
			    json_get_number(json_get(stats, kinds[k]), key));
		}
	}
}

/* unit: how many of what was counted make one of what is shown. */
static void
print_histogram(FILE *file, struct json_object *stats, const char *name,
    const char *kind, struct json_object *histogram, const char *count_key,
    double unit)
{
	struct json_object *buckets = json_get(histogram, "buckets");
	uint64_t n = json_get_number(histogram, count_key);
	struct json_object *bucket;

	for (size_t i = 0;
	     buckets != NULL && i < json_object_array_length(buckets); i++) {
		bucket = json_object_array_get_idx(buckets, i);
		print_series(file, name, "_bucket", stats, kind);
		fprintf(file, ",le=\"%.9g\"} %" PRIu64 "\n",
		    (double)json_get_number(bucket, "le") / unit,
		    json_get_number(bucket, "count"));
	}
	print_series(file, name, "_bucket", stats, kind);
	fprintf(file, ",le=\"+Inf\"} %" PRIu64 "\n", n);
	print_series(file, name, "_sum", stats, kind);
	fprintf(
	    file, "} %.9g\n", (double)json_get_number(histogram, "sum") / unit);
	print_series(file, name, "_count", stats, kind);
	fprintf(file, "} %" PRIu64 "\n", n);
}

static void
print_latencies(FILE *file, struct json_object *array)
{
	static const char name[] = "bttfs_request_duration_seconds";
	struct json_object *stats;

	print_help(file, name, "histogram",
	    "Time from a request's arrival to its answer.");
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		stats = json_object_array_get_idx(array, i);
		for (unsigned k = 0; k < NKIND; k++)
			print_histogram(file, stats, name, kinds[k],
			    json_get(stats, kinds[k]), "requests", 1e9);
	}
}

static void
print_commits(FILE *file, struct json_object *array, const char *name,
    const char *key, double unit, const char *help)
{
	struct json_object *stats;

	print_help(file, name, "histogram", help);
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		stats = json_object_array_get_idx(array, i);
		print_histogram(file, stats, name, NULL, json_get(stats, key),
		    "commits", unit);
	}
}

/* What the engine counts for a whole device. */
static const struct {
	const char *name;
	const char *key;
	double unit;
	const char *help;
} counters[] = {
	{ "bttfs_sectors_written_total", "sectors_written", 1,
	    "Sectors written." },
	{ "bttfs_commits_total", "commits", 1,
	    "Sets of changes that were made durable together." },
	{ "bttfs_fences_total", "fences", 1,
	    "Fences, or syncs of the backing store." },
	{ "bttfs_lane_waits_total", "lane_waits", 1,
	    "Writers that slept for a lane." },
	{ "bttfs_lane_wait_seconds_total", "lane_wait_us", 1e6,
	    "Time that writers slept for lanes." },
	{ "bttfs_reader_waits_total", "reader_waits", 1,
	    "Writers that waited for a reader of their block." },
	{ "bttfs_reader_wait_seconds_total", "reader_wait_us", 1e6,
	    "Time that writers waited for readers." },
};

static void
print_counters(FILE *file, struct json_object *array)
{
	struct json_object *stats;

	for (unsigned k = 0; k < sizeof(counters) / sizeof(counters[0]); k++) {
		print_help(file, counters[k].name, "counter", counters[k].help);
		for (size_t i = 0; i < json_object_array_length(array); i++) {
			stats = json_object_array_get_idx(array, i);
			print_series(file, counters[k].name, "", stats, NULL);
			fprintf(file, "} %.15g\n",
			    get_fraction(stats, counters[k].key) /
				counters[k].unit);
		}
	}
}

void
stats_print_prometheus(FILE *file, struct json_object *array)
{
	print_by_kind(file, array, "bttfs_bytes_total", "bytes",
	    "Bytes read, written or zeroed.");
	print_by_kind(file, array, "bttfs_errors_total", "errors",
	    "Requests that were answered with an error.");
	print_latencies(file, array);
	print_counters(file, array);
	print_commits(file, array, "bttfs_group_commit_duration_seconds",
	    "group_time", 1e9, "Time that commits of groups took.");
	print_commits(file, array, "bttfs_group_commit_sectors", "group_size",
	    1, "Sectors that commits of groups made durable.");
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control_stats -- what a device has counted, as JSON: requests by kind (the
 * daemon's), and what the engine did for them.
 */
#include <btt/btt.h>

#include "control_json.h"
#include "io_stats.h"

/* From a microsecond to a quarter of a minute, in powers of two. */
#define LE_BIT_MIN 10u
#define LE_BIT_MAX 34u
/* Commits have at most as many sectors as there are free blocks. */
#define SECTORS_BIT_MAX 16u

static double
mean(const struct btt_histogram *histogram)
{
	return histogram->n == 0
	    ? 0
	    : (double)histogram->sum / (double)histogram->n;
}

/* In units of so many of what was counted. */
static struct json_object *
make_quantiles(
    struct jsonb *jsonb, const struct btt_histogram *histogram, double unit)
{
	static const struct {
		const char *key;
		unsigned part, whole;
	} quantiles[] = { { "p50", 50, 100 }, { "p99", 99, 100 },
		{ "p999", 999, 1000 } };
	struct json_object *object = jsonb_object(jsonb);
	uint64_t value;

	jsonb_add_fraction(jsonb, object, "mean", mean(histogram) / unit);
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
		value = btt_histogram_quantile(
		    histogram, quantiles[i].part, quantiles[i].whole);
		jsonb_add_fraction(
		    jsonb, object, quantiles[i].key, (double)value / unit);
	}
	jsonb_add_fraction(jsonb, object, "max", (double)histogram->max / unit);
	return object;
}

/* Values below a power of two; its buckets end there. */
static uint64_t
count_below(const struct btt_histogram *histogram, unsigned bit)
{
	unsigned end = btt_histogram_bucket(UINT64_C(1) << bit);
	uint64_t n = 0;

	for (unsigned i = 0; i < end; i++)
		n += histogram->count[i];
	return n;
}

/* Of all that is needed to show it elsewhere: sum, and how many up to where. */
static void
add_buckets(struct jsonb *jsonb, struct json_object *object,
    const struct btt_histogram *histogram, unsigned min_bit, unsigned max_bit)
{
	struct json_object *array = jsonb_array(jsonb);
	struct json_object *bucket;

	for (unsigned bit = min_bit; bit <= max_bit; bit++) {
		bucket = jsonb_object(jsonb);
		/* Of whole numbers, so below the next power is up to this. */
		jsonb_add_number(jsonb, bucket, "le", (UINT64_C(1) << bit) - 1);
		jsonb_add_number(
		    jsonb, bucket, "count", count_below(histogram, bit));
		jsonb_append(jsonb, array, bucket);
	}
	jsonb_add_number(jsonb, object, "sum", histogram->sum);
	jsonb_add(jsonb, object, "buckets", array);
}

static void
add_requests(struct jsonb *jsonb, struct json_object *object,
    const struct io_stats *stats, bool buckets)
{
	struct json_object *kind;
	struct io_sum sum;

	io_stats_sum(stats, &sum);
	for (unsigned i = 0; i < IO_KINDS; i++) {
		kind = jsonb_object(jsonb);
		jsonb_add_number(jsonb, kind, "requests", sum.kind[i].ns.n);
		jsonb_add_number(jsonb, kind, "bytes", sum.kind[i].nbyte);
		jsonb_add_number(jsonb, kind, "errors", sum.kind[i].nerror);
		jsonb_add(jsonb, kind, "latency_us",
		    make_quantiles(jsonb, &sum.kind[i].ns, 1000));
		if (buckets)
			add_buckets(jsonb, kind, &sum.kind[i].ns, LE_BIT_MIN,
			    LE_BIT_MAX);
		jsonb_add(jsonb, object, io_kind_name((enum io_kind)i), kind);
	}
}

static void
add_commits(struct jsonb *jsonb, struct json_object *object,
    const struct btt_commit_stats *stats, bool buckets)
{
	struct json_object *time = jsonb_object(jsonb);
	struct json_object *sectors = jsonb_object(jsonb);

	jsonb_add_number(jsonb, time, "commits", stats->ns.n);
	jsonb_add(
	    jsonb, time, "latency_us", make_quantiles(jsonb, &stats->ns, 1000));
	jsonb_add_number(jsonb, sectors, "commits", stats->sectors.n);
	jsonb_add(jsonb, sectors, "sectors",
	    make_quantiles(jsonb, &stats->sectors, 1));
	if (buckets) {
		add_buckets(jsonb, time, &stats->ns, LE_BIT_MIN, LE_BIT_MAX);
		add_buckets(
		    jsonb, sectors, &stats->sectors, 0, SECTORS_BIT_MAX);
	}
	jsonb_add(jsonb, object, "group_time", time);
	jsonb_add(jsonb, object, "group_size", sectors);
}

struct json_object *
control_stats_json(struct jsonb *jsonb, struct device *device, bool buckets)
{
	struct btt_commit_stats commits;
	struct json_object *object;
	struct btt_stats stats;

	if (!device_pin(device))
		return NULL;
	btt_get_stats(device->btt, &stats);
	btt_get_commit_stats(device->btt, &commits);
	device_unpin(device);
	object = jsonb_object(jsonb);
	jsonb_add_text(jsonb, object, "dev", device->name);
	add_requests(jsonb, object, device->io_stats, buckets);
	jsonb_add_number(
	    jsonb, object, "sectors_written", stats.nsector_written);
	jsonb_add_number(jsonb, object, "commits", stats.nbatch);
	jsonb_add_number(jsonb, object, "fences", stats.nfence);
	jsonb_add_number(jsonb, object, "lane_waits", stats.nlane_wait);
	jsonb_add_fraction(
	    jsonb, object, "lane_wait_us", (double)stats.lane_wait_ns / 1000);
	jsonb_add_number(jsonb, object, "reader_waits", stats.nreader_wait);
	jsonb_add_fraction(jsonb, object, "reader_wait_us",
	    (double)stats.reader_wait_ns / 1000);
	add_commits(jsonb, object, &commits, buckets);
	return object;
}

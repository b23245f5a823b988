/* SPDX-License-Identifier: BSD-3-Clause */
#include "top.h"

#include <inttypes.h>
#include <string.h>

#include "json_get.h"
#include "size.h"

static const char *const kind_names[] = { "read", "write", "flush" };

/* What came to a counter; one that has shrunk has begun again. */
static uint64_t
rise(struct json_object *before, struct json_object *now, const char *key)
{
	uint64_t old = json_get_number(before, key),
		 new = json_get_number(now, key);

	return new >= old ? new - old : new;
}

static uint64_t
bucket_rise(struct json_object *before, struct json_object *now, size_t i)
{
	struct json_object *old =
	    before != NULL ? json_object_array_get_idx(before, i) : NULL;

	return rise(old, json_object_array_get_idx(now, i), "count");
}

/*
 * Where the part of a whole of n values lies, in microseconds.  Within a bucket
 * values are taken to be spread evenly.
 */
static double
quantile(struct json_object *before, struct json_object *now, uint64_t n,
    double part)
{
	size_t nbucket = json_object_array_length(now);
	double rank = (double)n * part, below = 0, upto, low = 0, high = 0;
	size_t i;

	for (i = 0; i < nbucket; i++) {
		high = (double)json_get_number(
		    json_object_array_get_idx(now, i), "le");
		upto = (double)bucket_rise(before, now, i);
		if (upto >= rank && upto > below)
			return (low +
				   (high - low) * (rank - below) /
				       (upto - below)) /
			    1000;
		below = upto > below ? upto : below;
		low = high;
	}
	return high / 1000; /* or longer */
}

static void
compare_kind(struct json_object *before, struct json_object *now,
    double seconds, struct top_kind *ret_kind)
{
	struct json_object *old, *new = json_get(now, "buckets");
	uint64_t n;

	/* All counters of a kind begin again together. */
	if (json_get_number(now, "requests") <
	    json_get_number(before, "requests"))
		before = NULL;
	old = before != NULL ? json_get(before, "buckets") : NULL;
	n = rise(before, now, "requests");
	*ret_kind = (struct top_kind){
		.requests_s = (double)n / seconds,
		.bytes_s = (double)rise(before, now, "bytes") / seconds,
	};
	if (n == 0 || new == NULL)
		return;
	ret_kind->p50_us = quantile(old, new, n, 0.5);
	ret_kind->p99_us = quantile(old, new, n, 0.99);
}

void
top_compare(struct json_object *before, struct json_object *now, double seconds,
    struct top_device *ret_device)
{
	const char *name = json_object_get_string(json_get(now, "dev"));
	unsigned i;

	ret_device->name = name != NULL ? name : "";
	ret_device->nerror = 0;
	for (i = 0; i < TOP_KINDS; i++) {
		struct json_object *old = json_get(before, kind_names[i]);
		struct json_object *new = json_get(now, kind_names[i]);

		compare_kind(old, new, seconds, &ret_device->kind[i]);
		ret_device->nerror += rise(old, new, "errors");
	}
}

void
top_print_head(FILE *file)
{
	fprintf(file,
	    "%-16s  %8s %10s %8s %8s  %8s %10s %8s %8s  %7s %8s %6s\n", "",
	    "reads/s", "bytes/s", "p50", "p99", "writes/s", "bytes/s", "p50",
	    "p99", "flush/s", "p99", "errors");
}

#define TIME_BYTES 32

static const char *
format_us(double us, char text[TIME_BYTES])
{
	if (us == 0)
		return "-";
	if (us < 999.5)
		snprintf(text, TIME_BYTES, "%.0f us", us);
	else if (us < 999500)
		snprintf(text, TIME_BYTES, "%.1f ms", us / 1000);
	else
		snprintf(text, TIME_BYTES, "%.1f s", us / 1000000);
	return text;
}

static void
print_kind(FILE *file, const struct top_kind *kind)
{
	char size[SIZE_TEXT_BYTES], p50[TIME_BYTES], p99[TIME_BYTES];

	size_format((uint64_t)kind->bytes_s, size);
	fprintf(file, "  %8.0f %10s %8s %8s", kind->requests_s, size,
	    format_us(kind->p50_us, p50), format_us(kind->p99_us, p99));
}

void
top_print(FILE *file, const struct top_device *device)
{
	const struct top_kind *flush = &device->kind[TOP_FLUSH];
	char p99[TIME_BYTES];

	fprintf(file, "%-16.64s", device->name);
	print_kind(file, &device->kind[TOP_READ]);
	print_kind(file, &device->kind[TOP_WRITE]);
	fprintf(file, "  %7.0f %8s %6" PRIu64 "\n", flush->requests_s,
	    format_us(flush->p99_us, p99), device->nerror);
}

static void
add(struct json_object *object, const char *key, double value)
{
	(void)json_object_object_add(
	    object, key, json_object_new_double(value));
}

struct json_object *
top_json(const struct top_device *device, double seconds)
{
	struct json_object *object = json_object_new_object(), *kind;
	unsigned i;

	(void)json_object_object_add(
	    object, "dev", json_object_new_string(device->name));
	add(object, "seconds", seconds);
	(void)json_object_object_add(
	    object, "errors", json_object_new_uint64(device->nerror));
	for (i = 0; i < TOP_KINDS; i++) {
		kind = json_object_new_object();
		add(kind, "requests_s", device->kind[i].requests_s);
		add(kind, "bytes_s", device->kind[i].bytes_s);
		add(kind, "p50_us", device->kind[i].p50_us);
		add(kind, "p99_us", device->kind[i].p99_us);
		(void)json_object_object_add(object, kind_names[i], kind);
	}
	return object;
}

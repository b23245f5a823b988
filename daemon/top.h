/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_TOP_H
#define BTTFS_TOP_H

/*
 * top -- what happened between two readings of the statistics of a device.
 */
#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>

/* Of one kind of requests, in the time between. */
struct top_kind {
	double requests_s, bytes_s;
	/*
	 * Quantiles of their latency; 0 without requests.  The daemon tells how
	 * many took less than each power of two of nanoseconds, so these are
	 * places between two of them.
	 */
	double p50_us, p99_us;
};

enum {
	TOP_READ,
	TOP_WRITE,
	TOP_FLUSH,
	TOP_KINDS
};

struct top_device {
	const char *name; /* of the newer reading */
	uint64_t nerror;  /* in the time between */
	struct top_kind kind[TOP_KINDS];
};

/*
 * stats are elements of what "stats" answers with buckets.  before may be NULL,
 * or of a server that has gone: then all of now is new.
 */
void top_compare(struct json_object *before, struct json_object *now,
    double seconds, struct top_device *ret_device);

void top_print_head(FILE *file);
void top_print(FILE *file, const struct top_device *device);
/* The same as an object. */
struct json_object *top_json(const struct top_device *device, double seconds);

#endif

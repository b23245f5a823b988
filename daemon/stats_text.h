/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_STATS_TEXT_H
#define BTTFS_STATS_TEXT_H

/*
 * stats_text -- the counters of devices for people, and for Prometheus, from
 * the array of JSON that the daemon gives (control_stats.c).  What a daemon of
 * another version does not tell is shown as 0.
 */
#include <json-c/json.h>
#include <stdio.h>

/* A table for one device. */
void stats_print(FILE *file, struct json_object *stats);

/*
 * Prometheus's text format, version 0.0.4, of all devices.  They must have
 * been asked for with "buckets".
 */
void stats_print_prometheus(FILE *file, struct json_object *array);

#endif

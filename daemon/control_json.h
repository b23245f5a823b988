/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_CONTROL_JSON_H
#define BTTFS_CONTROL_JSON_H

/*
 * control_json -- devices, jobs and events as the outside sees them
 * (control-plane.md C.9).  Keys are only ever added (UI-7).
 *
 * None of it waits for a device: it is made of what is published, of counters,
 * and of lists under leaf locks (CP-19).
 */
#include "jsonb.h"
#include "manager.h"

enum {
	CONTROL_ARENAS = 1u << 0,       /* "arenas" */
	CONTROL_MEDIA_ERRORS = 1u << 1, /* "badblocks" */
};

/*
 * NULL and no failure if the device has gone meanwhile.  mountpoint is where the
 * files are, or NULL.
 */
struct json_object *control_device_json(struct jsonb *jsonb,
    struct device *device, const char *mountpoint, unsigned flags);

/*
 * Counters of a device; NULL and no failure if it is not shown.  With buckets:
 * the histograms too.  See control_stats.c.
 */
struct json_object *
control_stats_json(struct jsonb *jsonb, struct device *device, bool buckets);

struct json_object *
control_job_json(struct jsonb *jsonb, const struct job_info *info);

struct json_object *
control_event_json(struct jsonb *jsonb, const struct event *event);
/* What stands in the place of events that a reader was too slow for. */
struct json_object *
control_lost_json(struct jsonb *jsonb, uint64_t last_seq, uint64_t count);

/* A range of a medium, from bytes, in units of 512 bytes as ndctl has them. */
struct json_object *
control_range_json(struct jsonb *jsonb, uint64_t off, uint64_t len);

#endif

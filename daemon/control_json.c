/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control_json.h"

/* ndctl counts bad blocks in these, whatever the sectors are. */
#define BAD_UNIT 512u

static const char *
layout_name(enum btt_layout layout)
{
	switch (layout) {
	case BTT_LAYOUT_V11:
		return "1.1";
	case BTT_LAYOUT_V20:
		return "2.0";
	case BTT_LAYOUT_POOL:
		return "pool";
	}
	return "unknown";
}

static void
add_geometry(struct jsonb *jsonb, struct json_object *object,
    const struct btt_geometry_info *geometry)
{
	jsonb_add_number(jsonb, object, "size", geometry->size_bytes);
	jsonb_add_uuid(jsonb, object, "uuid", geometry->uuid);
	jsonb_add_uuid(jsonb, object, "raw_uuid", geometry->parent_uuid);
	jsonb_add_number(
	    jsonb, object, "sector_size", geometry->external_lbasize);
}

static void
add_path(struct jsonb *jsonb, struct json_object *object,
    const struct device *device, const char *mountpoint)
{
	char *path;

	if (mountpoint == NULL)
		return;
	if (asprintf(&path, "%s/%s", mountpoint, device->name) < 0) {
		jsonb->failed = true;
		return;
	}
	jsonb_add_text(jsonb, object, "blockdev", path);
	free(path);
}

static void
add_failure(struct jsonb *jsonb, struct json_object *object,
    const struct device_status *status)
{
	if (status->error == 0)
		return;
	jsonb_add_errno(jsonb, object, "errno", status->error);
	if (status->stage != NULL)
		jsonb_add_text(jsonb, object, "stage", status->stage);
	if (status->reason.text[0] != '\0')
		jsonb_add_text(jsonb, object, "message", status->reason.text);
}

struct json_object *
control_range_json(struct jsonb *jsonb, uint64_t off, uint64_t len)
{
	struct json_object *object;

	object = jsonb_object(jsonb);
	jsonb_add_number(jsonb, object, "offset", off / BAD_UNIT);
	jsonb_add_number(jsonb, object, "length", len / BAD_UNIT);
	return object;
}

static void
add_badblocks(struct jsonb *jsonb, struct json_object *object,
    const struct media *media, unsigned flags)
{
	struct media_range ranges[MEDIA_BAD_MAX];
	struct json_object *array;
	uint64_t count = 0;
	size_t n, i;

	n = media_list_bad(media, ranges, MEDIA_BAD_MAX);
	for (i = 0; i < n && i < MEDIA_BAD_MAX; i++)
		count += ranges[i].len / BAD_UNIT;
	jsonb_add_number(jsonb, object, "badblock_count", count);
	if ((flags & CONTROL_MEDIA_ERRORS) == 0)
		return;
	array = jsonb_array(jsonb);
	for (i = 0; i < n && i < MEDIA_BAD_MAX; i++)
		jsonb_append(jsonb, array,
		    control_range_json(jsonb, ranges[i].off, ranges[i].len));
	jsonb_add(jsonb, object, "badblocks", array);
}

static struct json_object *
arena_json(struct jsonb *jsonb, const struct btt *btt, uint32_t index)
{
	struct json_object *object, *slots;
	struct btt_arena_info info;

	btt_get_arena(btt, index, &info);
	object = jsonb_object(jsonb);
	jsonb_add_number(jsonb, object, "id", index);
	jsonb_add_text(
	    jsonb, object, "state", info.failed == 0 ? "ok" : "failed");
	if (info.failed != 0)
		jsonb_add_errno(jsonb, object, "errno", info.failed);
	jsonb_add_number(jsonb, object, "offset", info.off);
	jsonb_add_number(jsonb, object, "external_nlba", info.external_nlba);
	jsonb_add_number(jsonb, object, "internal_nlba", info.internal_nlba);
	jsonb_add_number(
	    jsonb, object, "internal_lbasize", info.internal_lbasize);
	jsonb_add_number(jsonb, object, "nfree", info.nfree);
	slots = jsonb_array(jsonb);
	jsonb_append(jsonb, slots, json_object_new_uint64(info.log_index[0]));
	jsonb_append(jsonb, slots, json_object_new_uint64(info.log_index[1]));
	jsonb_add(jsonb, object, "log_index", slots);
	return object;
}

static void
add_arenas(struct jsonb *jsonb, struct json_object *object,
    const struct device *device)
{
	struct json_object *array;
	uint32_t i;

	array = jsonb_array(jsonb);
	for (i = 0; i < device->geometry.narena; i++)
		jsonb_append(jsonb, array, arena_json(jsonb, device->btt, i));
	jsonb_add(jsonb, object, "arenas", array);
}

/* What only an open device can tell. */
static void
add_open(struct jsonb *jsonb, struct json_object *object, struct device *device,
    unsigned flags)
{
	if (!device_pin(device))
		return;
	add_badblocks(jsonb, object, device->media, flags);
	if ((flags & CONTROL_ARENAS) != 0)
		add_arenas(jsonb, object, device);
	device_unpin(device);
}

struct json_object *
control_device_json(struct jsonb *jsonb, struct device *device,
    const char *mountpoint, unsigned flags)
{
	struct device_status status;
	struct json_object *object;

	device_get_status(device, &status);
	if (status.state == DEVICE_GONE)
		return NULL;
	object = jsonb_object(jsonb);
	jsonb_add_text(jsonb, object, "dev", device->name);
	jsonb_add_text(jsonb, object, "mode", "sector");
	if (status.has_geometry)
		add_geometry(jsonb, object, &status.geometry);
	if (status.nodeid != 0)
		add_path(jsonb, object, device, mountpoint);
	jsonb_add_text(jsonb, object, "state", device_state_name(status.state));
	add_failure(jsonb, object, &status);
	jsonb_add_bool(jsonb, object, "read_only", device->options.read_only);
	jsonb_add_text(jsonb, object, "backing", device->backing);
	if (status.has_geometry) {
		jsonb_add_text(jsonb, object, "layout",
		    layout_name(status.geometry.layout));
		jsonb_add_text(jsonb, object, "durability",
		    status.geometry.durability == BTT_DURABLE_WRITE ? "write"
								    : "flush");
		jsonb_add_number(jsonb, object, "lanes", status.geometry.nlane);
	}
	jsonb_add_number(
	    jsonb, object, "open_handles", device_count_handles(device));
	jsonb_add_number(jsonb, object, "generation", status.generation);
	jsonb_add_number(jsonb, object, "job", status.job);
	add_open(jsonb, object, device, flags);
	return object;
}

static struct json_object *
numbers_json(struct jsonb *jsonb, const struct job_info *info)
{
	struct json_object *object;
	unsigned i;

	object = jsonb_object(jsonb);
	for (i = 0; i < info->nnumber; i++)
		jsonb_add_number(
		    jsonb, object, info->number[i].name, info->number[i].value);
	return object;
}

struct json_object *
control_job_json(struct jsonb *jsonb, const struct job_info *info)
{
	struct json_object *object;

	object = jsonb_object(jsonb);
	jsonb_add_number(jsonb, object, "job", info->id);
	jsonb_add_text(jsonb, object, "verb", job_verb_name(info->verb));
	jsonb_add_text(jsonb, object, "dev", info->device);
	jsonb_add_text(jsonb, object, "state", job_state_name(info->state));
	if (info->stage != NULL)
		jsonb_add_text(jsonb, object, "stage", info->stage);
	if (info->total > 0)
		jsonb_add_fraction(jsonb, object, "progress",
		    (double)info->done / (double)info->total);
	jsonb_add_timestamp(jsonb, object, "started", &info->started);
	jsonb_add_fraction(jsonb, object, "age", (double)info->age_ms / 1000.0);
	if (info->error != 0)
		jsonb_add_errno(jsonb, object, "errno", info->error);
	if (info->message[0] != '\0')
		jsonb_add_text(jsonb, object, "message", info->message);
	if (info->owner != 0)
		jsonb_add_number(jsonb, object, "owner", info->owner);
	if (info->nnumber > 0)
		jsonb_add(jsonb, object, "result", numbers_json(jsonb, info));
	return object;
}

/* The frame of every line of a monitor. */
static struct json_object *
frame(struct jsonb *jsonb, const struct timespec *time, uint64_t seq,
    const char *name)
{
	struct json_object *object, *names;

	object = jsonb_object(jsonb);
	jsonb_add_timestamp(jsonb, object, "timestamp", time);
	jsonb_add_number(jsonb, object, "pid", (uint64_t)getpid());
	jsonb_add_number(jsonb, object, "seq", seq);
	names = jsonb_object(jsonb);
	jsonb_add_bool(jsonb, names, name, true);
	jsonb_add(jsonb, object, "event", names);
	return object;
}

static struct json_object *
event_device_json(struct jsonb *jsonb, const struct event *event)
{
	struct json_object *object;

	object = jsonb_object(jsonb);
	jsonb_add_text(jsonb, object, "dev", event->device);
	jsonb_add_text(jsonb, object, "mode", "sector");
	if (event->size_bytes != 0) {
		jsonb_add_number(jsonb, object, "size", event->size_bytes);
		jsonb_add_uuid(jsonb, object, "uuid", event->uuid);
		jsonb_add_number(
		    jsonb, object, "sector_size", event->sector_bytes);
	}
	if (event->state != NULL) {
		jsonb_add_text(jsonb, object, "state", event->state);
		jsonb_add_number(
		    jsonb, object, "generation", event->generation);
	}
	return object;
}

static struct json_object *
event_detail_json(struct jsonb *jsonb, const struct event *event)
{
	struct json_object *object, *ranges;

	object = jsonb_object(jsonb);
	if (event->job != 0)
		jsonb_add_number(jsonb, object, "job", event->job);
	if (event->verb != NULL) {
		jsonb_add_text(jsonb, object, "verb", event->verb);
		jsonb_add_text(jsonb, object, "state", event->outcome);
	}
	if (event->stage != NULL)
		jsonb_add_text(jsonb, object, "stage", event->stage);
	if (event->error != 0)
		jsonb_add_errno(jsonb, object, "errno", event->error);
	if (event->finding != NULL)
		jsonb_add_text(jsonb, object, "finding", event->finding);
	if (event->cause != NULL)
		jsonb_add_text(jsonb, object, "cause", event->cause);
	if (event->area != NULL)
		jsonb_add_text(jsonb, object, "area", event->area);
	if (event->len != 0) {
		ranges = jsonb_array(jsonb);
		jsonb_append(jsonb, ranges,
		    control_range_json(jsonb, event->off, event->len));
		jsonb_add(jsonb, object, "badblocks", ranges);
	}
	if (event->count != 0)
		jsonb_add_number(jsonb, object, "count", event->count);
	if (event->text[0] != '\0')
		jsonb_add_text(jsonb, object, "message", event->text);
	return object;
}

struct json_object *
control_event_json(struct jsonb *jsonb, const struct event *event)
{
	struct json_object *object;

	object = frame(
	    jsonb, &event->time, event->seq, event_kind_name(event->kind));
	if (event->device[0] != '\0')
		jsonb_add(jsonb, object, "namespace",
		    event_device_json(jsonb, event));
	jsonb_add(jsonb, object, "detail", event_detail_json(jsonb, event));
	return object;
}

struct json_object *
control_lost_json(struct jsonb *jsonb, uint64_t last_seq, uint64_t count)
{
	struct json_object *object;
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	object = frame(jsonb, &now, last_seq, "events-lost");
	jsonb_add_number(jsonb, object, "count", count);
	return object;
}

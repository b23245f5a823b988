/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "manager.h"
#include "stall.h"

static bool
has_lock(struct device *device, const void *lock)
{
	bool has;

	if (!device_pin(device))
		return false;
	has = btt_has_lock(device->btt, lock);
	device_unpin(device);
	return has;
}

/* Say whose lock it is; one of no device that is shown is nobody's. */
static void
fill_device(struct manager *manager, const void *lock, struct event *event)
{
	struct registry_list list;

	if (registry_list(manager->registry, &list) < 0)
		return; /* the rest is worth telling */
	for (size_t i = 0; i < list.ndevice; i++) {
		if (!has_lock(list.devices[i], lock))
			continue;
		device_fill_event(list.devices[i], event);
		break;
	}
	registry_list_fini(&list);
}

void
stall_tell(void *arg, const struct sync_stall *stall)
{
	struct manager *manager = arg;
	struct event event = { .kind = EVENT_LANE_STALL,
		.count = stall->held_ms };

	fill_device(manager, stall->object, &event);
	(void)snprintf(event.text, sizeof(event.text),
	    "%s %u is held by thread %d for %llu ms, taken at %s",
	    stall->class->name, stall->index, (int)stall->owner,
	    (unsigned long long)stall->held_ms, stall->place);
	event_append(manager->events, &event);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control_monitor -- events to those who want to hear of them (UI-8, UI-9).
 *
 * The ring keeps them, a monitor has a place in it.  A client that does not
 * read is not sent more than a little; when it reads again the ring may have
 * gone on without it, and it is told how much it has missed.
 */
#include <errno.h>

#include "control_impl.h"

struct json_object *
control_snapshot(struct control *control, struct jsonb *jsonb, unsigned flags)
{
	struct registry_list list;
	struct json_object *array, *object;
	size_t i;

	array = jsonb_array(jsonb);
	if (registry_list(control->manager->registry, &list) < 0) {
		jsonb->failed = true;
		return array;
	}
	for (i = 0; i < list.ndevice; i++) {
		object = control_device_json(
		    jsonb, list.devices[i], control->options.mountpoint, flags);
		if (object != NULL)
			jsonb_append(jsonb, array, object);
	}
	registry_list_fini(&list);
	return array;
}

void
control_monitor(
    struct control *control, struct client *client, struct json_object *id)
{
	const struct failure failure = {
		.r = -EALREADY,
		.error = { "this connection has a monitor already" },
	};
	struct json_object *object;
	struct jsonb jsonb = { false };

	if (client->monitor_id != NULL) {
		client_answer_failure(control, client, id, &failure);
		return;
	}
	client->monitor_id = json_object_get(id);
	/* First the number: what happens until the snapshot comes again. */
	client->next_seq = event_next_seq(control->manager->events);
	object = jsonb_object(&jsonb);
	jsonb_add(&jsonb, object, "id", json_object_get(id));
	jsonb_add_number(&jsonb, object, "seq", client->next_seq);
	jsonb_add(
	    &jsonb, object, "snapshot", control_snapshot(control, &jsonb, 0));
	client_send(client, &jsonb, object);
}

static void
send_event(
    struct client *client, struct jsonb *jsonb, struct json_object *event)
{
	struct json_object *object;

	object = jsonb_object(jsonb);
	jsonb_add(jsonb, object, "id", json_object_get(client->monitor_id));
	jsonb_add(jsonb, object, "event", event);
	client_send(client, jsonb, object);
}

void
control_pump(struct control *control, struct client *client)
{
	struct jsonb jsonb = { false };
	struct event event;
	uint64_t lost;

	while (!client->gone && client_out(client) < CLIENT_OUT_EVENTS &&
	    event_read(
		control->manager->events, &client->next_seq, &event, &lost)) {
		if (lost > 0)
			send_event(client, &jsonb,
			    control_lost_json(&jsonb, event.seq - 1, lost));
		send_event(client, &jsonb, control_event_json(&jsonb, &event));
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control_client -- lines from and to one client.
 */
#include <sys/epoll.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control_impl.h"
#include "system_error.h"

struct client *
client_new(struct control *control, int fd, bool may_change)
{
	struct epoll_event event = { .events = 0 };
	struct client *client;

	if ((client = calloc(1, sizeof(*client))) == NULL) {
		(void)close(fd); /* nothing was said */
		return NULL;
	}
	client->fd = fd;
	client->may_change = may_change;
	event.data.ptr = client;
	if (epoll_ctl(control->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
		(void)close(fd);
		free(client);
		return NULL;
	}
	control->nclient++;
	control->nguest += !may_change;
	TAILQ_INSERT_TAIL(&control->clients, client, link);
	return client;
}

void
client_free(struct control *control, struct client *client)
{
	control_drop_waiters(control, client);
	TAILQ_REMOVE(&control->clients, client, link);
	control->nclient--;
	control->nguest -= !client->may_change;
	json_object_put(client->monitor_id);
	(void)close(client->fd); /* and epoll forgets it */
	free(client->out);
	free(client);
}

/* It is not read from while it does not read itself. */
static bool
may_read(const struct client *client)
{
	return !client->closing && client_out(client) < CLIENT_OUT_HIGH;
}

void
client_update(struct control *control, struct client *client)
{
	struct epoll_event event = { .data.ptr = client };

	if (may_read(client))
		event.events |= EPOLLIN;
	if (client_out(client) > 0)
		event.events |= EPOLLOUT;
	if (event.events == client->events)
		return;
	client->events = event.events;
	if (epoll_ctl(control->epoll_fd, EPOLL_CTL_MOD, client->fd, &event) !=
	    0)
		client->gone = true;
}

void
client_write(struct control *control, struct client *client)
{
	ssize_t n;

	(void)control;
	while (client_out(client) > 0) {
		n = send(client->fd, client->out + client->out_begin,
		    client_out(client), MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			client->gone = errno != EAGAIN;
			return;
		}
		client->out_begin += (size_t)n;
	}
	client->out_begin = client->out_end = 0;
	if (client->closing)
		client->gone = true;
}

/* Take the whole lines out of what was read. */
static void
take_lines(struct control *control, struct client *client)
{
	size_t begin = 0;
	char *end;

	while (may_read(client) && !client->gone) {
		end = memchr(client->in + begin, '\n', client->in_used - begin);
		if (end == NULL)
			break;
		*end = '\0';
		control_request(control, client, client->in + begin,
		    (size_t)(end - client->in) - begin);
		begin = (size_t)(end - client->in) + 1;
		client->line_ms = 0;
	}
	client->in_used -= begin;
	memmove(client->in, client->in + begin, client->in_used);
	if (client->in_used > 0 && client->line_ms == 0)
		client->line_ms = control_now_ms();
}

static void
refuse_line(struct control *control, struct client *client)
{
	struct failure failure = { .r = -EMSGSIZE };

	(void)btt_error_set(&failure.error, failure.r,
	    "a line is longer than %u bytes", PROTOCOL_LINE_MAX);
	client_answer_failure(control, client, NULL, &failure);
	client->closing = true;
}

void
client_read(struct control *control, struct client *client)
{
	size_t room;
	ssize_t n;

	room = sizeof(client->in) - client->in_used;
	n = recv(client->fd, client->in + client->in_used, room, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		/* A client that has said all it wants still gets answers, but
		 * one that has gone does not: we cannot tell which. */
		client->gone = true;
		return;
	}
	client->in_used += (size_t)n;
	take_lines(control, client);
	if (client->in_used == sizeof(client->in) && may_read(client))
		refuse_line(control, client);
}

void
client_resume(struct control *control, struct client *client)
{
	if (client->in_used > 0 && may_read(client))
		take_lines(control, client);
}

static bool
grow(struct client *client, size_t bytes)
{
	size_t used, room;
	char *out;

	used = client_out(client);
	if (bytes > CLIENT_OUT_MAX - used)
		return false;
	if (client->out_begin > 0) {
		memmove(client->out, client->out + client->out_begin, used);
		client->out_begin = 0;
		client->out_end = used;
	}
	room = client->out_room > 0 ? client->out_room : 4096;
	while (room < used + bytes)
		room *= 2;
	if (room == client->out_room)
		return true;
	if ((out = realloc(client->out, room)) == NULL)
		return false;
	client->out = out;
	client->out_room = room;
	return true;
}

/* A client that we cannot answer is closed rather than left to wait. */
static void
send_bytes(struct client *client, const char *bytes, size_t n)
{
	if (client->out_room - client->out_end < n && !grow(client, n)) {
		client->gone = true;
		return;
	}
	memcpy(client->out + client->out_end, bytes, n);
	client->out_end += n;
}

void
client_send(struct client *client, const struct jsonb *jsonb,
    struct json_object *object)
{
	const char *text = NULL;
	size_t n = 0;

	if (!jsonb->failed)
		text = json_object_to_json_string_length(object,
		    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
		    &n);
	if (text != NULL) {
		send_bytes(client, text, n);
		send_bytes(client, "\n", 1);
	} else
		client->gone = true;
	json_object_put(object);
}

/* An object that begins with the id, if there is one. */
static struct json_object *
new_answer(struct jsonb *jsonb, struct json_object *id)
{
	struct json_object *object;

	object = jsonb_object(jsonb);
	if (id != NULL)
		jsonb_add(jsonb, object, "id", json_object_get(id));
	return object;
}

void
client_answer(struct client *client, struct json_object *id,
    struct jsonb *jsonb, struct json_object *result)
{
	struct json_object *object;

	object = new_answer(jsonb, id);
	jsonb_add(jsonb, object, "result", result);
	client_send(client, jsonb, object);
}

/* Who is in the way as far as the job tells that is known (UI-5). */
static void
find_owner(struct control *control, const struct job_info *info,
    struct manager_owner *ret_owner)
{
	struct device *device;

	device = registry_find(control->manager->registry, info->device);
	if (device != NULL)
		manager_fill_owner(device, ret_owner);
	device_unref(device);
}

static struct json_object *
owner_json(
    struct control *control, struct jsonb *jsonb, const struct failure *failure)
{
	struct manager_owner owner = failure->owner;
	struct json_object *object;
	struct job_info info;
	struct job *job;
	uint64_t id;

	id = owner.found ? owner.job : failure->owner_job;
	object = jsonb_object(jsonb);
	jsonb_add_number(jsonb, object, "job", id);
	if ((job = job_find(control->manager->jobs, id)) != NULL) {
		job_get_info(job, &info);
		job_unref(job);
		jsonb_add_text(jsonb, object, "verb", job_verb_name(info.verb));
		jsonb_add_fraction(
		    jsonb, object, "age", (double)info.age_ms / 1000.0);
		if (!owner.found)
			find_owner(control, &info, &owner);
	}
	if (owner.found) {
		jsonb_add_text(jsonb, object, "dev", owner.device);
		jsonb_add_text(
		    jsonb, object, "state", device_state_name(owner.state));
		jsonb_add_text(jsonb, object, "backing", owner.backing);
	}
	return object;
}

void
client_answer_failure(struct control *control, struct client *client,
    struct json_object *id, const struct failure *failure)
{
	struct json_object *object, *error;
	struct jsonb jsonb = { false };

	error = jsonb_object(&jsonb);
	jsonb_add_errno(&jsonb, error, "errno", failure->r);
	jsonb_add_number(&jsonb, error, "code", (uint64_t)-failure->r);
	if (failure->stage != NULL)
		jsonb_add_text(&jsonb, error, "stage", failure->stage);
	jsonb_add_text(&jsonb, error, "message",
	    failure->error.text[0] != '\0' ? failure->error.text
					   : system_error_text(failure->r));
	if (failure->owner.found || failure->owner_job != 0)
		jsonb_add(&jsonb, error, "owner",
		    owner_json(control, &jsonb, failure));
	object = new_answer(&jsonb, id);
	jsonb_add(&jsonb, object, "error", error);
	client_send(client, &jsonb, object);
}

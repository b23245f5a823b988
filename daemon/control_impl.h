/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_CONTROL_IMPL_H
#define BTTFS_CONTROL_IMPL_H

/*
 * control_impl -- what the files of the control share: control.c (life and the
 * loop), control_listen.c (the socket, and who connects), control_client.c
 * (lines in and out), control_verbs.c (requests), control_wait.c (requests that
 * are answered later) and control_monitor.c.
 *
 * All of it runs in one thread, but for control_start and control_stop.
 */
#include <sys/queue.h>

#include <json-c/json.h>

#include "control.h"
#include "control_json.h"
#include "protocol.h"

/* What a client may have let pile up before it is not listened to any more... */
#define CLIENT_OUT_HIGH (1u << 20)
/* ...before events wait in the ring instead... */
#define CLIENT_OUT_EVENTS (64u << 10)
/* ...and before it is given up. */
#define CLIENT_OUT_MAX (64u << 20)
/* A line that was begun is to be ended in that time. */
#define CLIENT_LINE_MS 5000u
/* Requests of one client that are answered later. */
#define CLIENT_WAITER_MAX 256u
/* Those who may only look leave room for those who may do something. */
#define CLIENT_GUEST_MAX (CONTROL_CLIENT_MAX / 2)

struct client {
	TAILQ_ENTRY(client) link;
	int fd;
	bool may_change;
	bool gone;       /* to be freed after the events at hand */
	bool closing;    /* to be closed when all is written */
	uint32_t events; /* that epoll looks for */
	unsigned nwaiter;
	/* A monitor's: */
	struct json_object *monitor_id; /* NULL: it is none */
	uint64_t next_seq;
	/* The line that is being read. */
	uint64_t line_ms; /* when it was begun, or 0 */
	size_t in_used;
	char in[PROTOCOL_LINE_MAX + 1];
	/* What is to be written: out[out_begin .. out_end). */
	char *out;
	size_t out_begin, out_end, out_room;
};

enum waiter_kind {
	WAIT_JOB,     /* for its end */
	WAIT_SETTLED, /* for the end of all jobs up to a number */
	WAIT_CLOSED,  /* for handles that are just being closed, to detach */
};

/* A request that is answered when something has happened. */
struct waiter {
	TAILQ_ENTRY(waiter) link;
	struct client *client;
	struct json_object *id;
	enum waiter_kind kind;
	struct job *job;      /* WAIT_JOB */
	bool won;             /* WAIT_JOB: of a detach */
	uint64_t up_to;       /* WAIT_SETTLED */
	char *device;         /* WAIT_CLOSED: its name */
	bool wipe;            /* WAIT_CLOSED: and destroy it */
	bool want_end;        /* WAIT_CLOSED: then wait for the job */
	uint64_t retry_ms;    /* WAIT_CLOSED: when to look again, monotonic */
	uint64_t give_up_ms;  /* WAIT_CLOSED: when to be refused */
	uint64_t deadline_ms; /* of the request; 0: none */
};

struct control {
	struct manager *manager;
	struct control_options options;
	pthread_t thread;
	int listen_fd;
	int epoll_fd;
	int event_fd; /* the ring's: something has happened */
	int stop_fd;
	dev_t socket_dev; /* of the socket's file, to remove no other's */
	ino_t socket_ino;
	unsigned nclient, nguest;
	TAILQ_HEAD(, client) clients;
	TAILQ_HEAD(, waiter) waiters;
};

/* Why a request failed. */
struct failure {
	int r; /* negative errno */
	const char *stage;
	struct btt_error error; /* "": r says it all */
	struct manager_owner owner;
	uint64_t owner_job; /* where only that is known */
};

/* Milliseconds of the monotonic clock; never 0. */
uint64_t control_now_ms(void);

/* --- control_listen.c --- */

int
control_listen(struct control *control, struct btt_error *error) BTT_MUST_CHECK;
void control_unlisten(struct control *control);
/* Take whoever knocks. */
void control_accept(struct control *control);

/* --- control_client.c --- */

/* A client on a connected socket, which is its own then.  NULL: no memory. */
struct client *client_new(struct control *control, int fd, bool may_change);
void client_free(struct control *control, struct client *client);
/* Something can be read. */
void client_read(struct control *control, struct client *client);
/* Write what can be written. */
void client_write(struct control *control, struct client *client);
/* Read again what was left in the buffer while too much was to be written. */
void client_resume(struct control *control, struct client *client);
/* Have epoll look for what matters now. */
void client_update(struct control *control, struct client *client);

/* Queue a line; object is released.  If it was not built, the client is. */
void client_send(struct client *client, const struct jsonb *jsonb,
    struct json_object *object);
/* {"id":id,"result":result}; takes result. */
void client_answer(struct client *client, struct json_object *id,
    struct jsonb *jsonb, struct json_object *result);
void client_answer_failure(struct control *control, struct client *client,
    struct json_object *id, const struct failure *failure);
static inline size_t
client_out(const struct client *client)
{
	return client->out_end - client->out_begin;
}

/* --- control_verbs.c --- */

/* Do what a line of len bytes says, and answer it now or later. */
void control_request(
    struct control *control, struct client *client, char *line, size_t len);

/* --- control_wait.c --- */

/*
 * Answer when the job has ended, whose reference is taken, or when all up to a
 * number have.  timeout_ms 0: whenever that is.
 */
void control_wait_job(struct control *control, struct client *client,
    struct json_object *id, struct job *job, bool won, uint64_t timeout_ms);
void control_wait_settled(struct control *control, struct client *client,
    struct json_object *id, uint64_t timeout_ms);
/*
 * Try to detach a device again in a moment: who has just closed its file has no
 * way to know when we hear of it.
 */
void control_wait_closed(struct control *control, struct client *client,
    struct json_object *id, const char *device, bool wipe, bool want_end,
    uint64_t timeout_ms);
/* The answer to a job's end, or to its beginning where nobody waits. */
void control_answer_job(struct control *control, struct client *client,
    struct json_object *id, struct job *job, bool won);
/* Answer those who need wait no longer. */
void control_serve_waiters(struct control *control);
/* The client has gone. */
void control_drop_waiters(struct control *control, const struct client *client);
/* When the first deadline is; UINT64_MAX if there is none. */
uint64_t control_next_deadline(const struct control *control);

/* --- control_config.c --- */

/* The options of a device of the configuration, or NULL. */
const struct device_options *
control_find_configured(const struct control *control, const char *name);
/* Those that are not there. */
void control_append_disabled(
    struct control *control, struct jsonb *jsonb, struct json_object *array);

/* --- control_monitor.c --- */

void control_monitor(
    struct control *control, struct client *client, struct json_object *id);
/* Send a monitor what it has room for. */
void control_pump(struct control *control, struct client *client);
/* All devices, as an array. */
struct json_object *
control_snapshot(struct control *control, struct jsonb *jsonb, unsigned flags);

#endif

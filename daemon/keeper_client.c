/* SPDX-License-Identifier: BSD-3-Clause */
#include "keeper_client.h"

#include <sys/socket.h>

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include <lanes/sync.h>

/* One question at a time; the keeper answers at once, but for a mount. */
static const struct lock_class keeper_class = {
	.name = "keeper",
	.rank = 85,
	.flags = LOCK_MAY_SLEEP | LOCK_LEAF,
};

/* Keys: I immutable after keeper_client_new, K lock, M the main thread. */
struct keeper_client {
	int ask_socket;            /* [K] */
	int notice_socket;         /* [I] */
	uint64_t number;           /* [I] */
	struct kept_fds inherited; /* [M] */
	struct mutex lock;
};

static int
receive_kept(struct keeper_client *client)
{
	struct link_message message;
	int fd, r;

	for (;;) {
		if ((r = link_receive(client->ask_socket, &message, &fd)) < 0)
			return r;
		if (message.kind == LINK_BEGIN) {
			client->number = strtoull(message.text, NULL, 10);
			return 0;
		}
		if (message.kind != LINK_KEPT || fd < 0)
			return -EPROTO;
		r = kept_fds_put(&client->inherited, message.text, fd);
		if (r < 0)
			return r;
	}
}

int
keeper_client_new(
    int ask_socket, int notice_socket, struct keeper_client **ret_client)
{
	struct keeper_client *client;
	int r;

	if ((client = calloc(1, sizeof(*client))) == NULL)
		return -ENOMEM;
	mutex_init(&client->lock, &keeper_class);
	client->ask_socket = ask_socket;
	client->notice_socket = notice_socket;
	if ((r = receive_kept(client)) < 0) {
		keeper_client_free(client);
		return r;
	}
	*ret_client = client;
	return 0;
}

void
keeper_client_free(struct keeper_client *client)
{
	if (client == NULL)
		return;
	kept_fds_fini(&client->inherited);
	(void)close(client->ask_socket);
	(void)close(client->notice_socket);
	mutex_fini(&client->lock);
	free(client);
}

uint64_t
keeper_client_number(const struct keeper_client *client)
{
	return client->number;
}

struct kept_fds *
keeper_client_inherited(struct keeper_client *client)
{
	return &client->inherited;
}

/* Returns what the keeper answers, in words in *ret_answer. */
static int
ask(struct keeper_client *client, enum link_kind kind, int32_t value,
    const char *text, int fd, struct link_message *ret_answer, int *ret_fd)
{
	int r;

	*ret_fd = -1;
	mutex_lock(&client->lock);
	r = link_send(client->ask_socket, kind, value, text, fd);
	if (r == 0)
		r = link_receive(client->ask_socket, ret_answer, ret_fd);
	mutex_unlock(&client->lock);
	if (r < 0) {
		ret_answer->text[0] = '\0';
		return r;
	}
	return ret_answer->kind == LINK_DONE ? ret_answer->value : -EPROTO;
}

int
keeper_client_keep(struct keeper_client *client, const char *name, int fd)
{
	struct link_message answer;
	int none;

	return ask(client, LINK_KEEP, 0, name, fd, &answer, &none);
}

void
keeper_client_drop(struct keeper_client *client, const char *name)
{
	struct link_message answer;
	int none;

	/* A keeper that has gone has dropped it. */
	(void)ask(client, LINK_DROP, 0, name, -1, &answer, &none);
}

int
keeper_client_mount(
    struct keeper_client *client, int *ret_fd, struct btt_error *error)
{
	struct link_message answer;
	int r;

	r = ask(client, LINK_MOUNT, 0, NULL, -1, &answer, ret_fd);
	if (r < 0)
		return btt_error_set(error, r, "%s", answer.text);
	return *ret_fd < 0 ? -EPROTO : 0;
}

void
keeper_client_serving(
    struct keeper_client *client, bool can_resend, const char *text)
{
	struct link_message answer;
	int none;

	(void)ask(client, LINK_SERVING, can_resend, text, -1, &answer, &none);
}

void
keeper_client_say(
    struct keeper_client *client, enum link_kind kind, const char *text)
{
	struct link_message answer;
	int none;

	(void)ask(client, kind, 0, text, -1, &answer, &none);
}

int
keeper_client_fd(const struct keeper_client *client)
{
	return client->notice_socket;
}

int
keeper_client_hear(struct keeper_client *client)
{
	struct link_message message;
	int fd, r;

	if ((r = link_receive(client->notice_socket, &message, &fd)) < 0)
		return r;
	if (fd >= 0)
		(void)close(fd); /* none is meant to come */
	return message.kind > INT_MAX ? -EPROTO : (int)message.kind;
}

bool
keeper_client_wants_end(const struct keeper_client *client)
{
	struct link_message message;
	ssize_t n;

	n = recv(client->notice_socket, &message, sizeof(message),
	    MSG_PEEK | MSG_DONTWAIT);
	return n == (ssize_t)sizeof(message) &&
	    (message.kind == LINK_HURRY || message.kind == LINK_LEAVE);
}

void
keeper_client_pong(struct keeper_client *client, unsigned stuck_ms)
{
	/* If it cannot be sent the keeper will think the worst of us. */
	(void)link_send(client->notice_socket, LINK_PONG,
	    stuck_ms > INT32_MAX ? INT32_MAX : (int32_t)stuck_ms, NULL, -1);
}

void
keeper_client_upgrade(struct keeper_client *client)
{
	(void)link_send(client->notice_socket, LINK_UPGRADE, 0, NULL, -1);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/socket.h>
#include <sys/un.h>

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol.h"
#include "remote.h"
#include "system_error.h"

/* The longest answer that makes sense, of thousands of devices. */
#define MESSAGE_MAX (64u << 20)

struct remote {
	int fd;
	char *buffer; /* used bytes; the first one begins a message */
	size_t used, room;
};

static bool
is_socket_name(const char *name)
{
	size_t n;

	n = strlen(name);
	return n > strlen(PROTOCOL_SUFFIX) &&
	    strcmp(name + n - strlen(PROTOCOL_SUFFIX), PROTOCOL_SUFFIX) == 0;
}

/* The only socket where sockets are; to be freed. */
static int
find_socket(char **ret_path, struct btt_error *error)
{
	struct dirent *entry;
	unsigned n = 0;
	DIR *dir;

	*ret_path = NULL;
	if ((dir = opendir(PROTOCOL_DIRECTORY)) != NULL) {
		while ((entry = readdir(dir)) != NULL) {
			if (!is_socket_name(entry->d_name))
				continue;
			free(*ret_path);
			n++;
			if (asprintf(ret_path, "%s/%s", PROTOCOL_DIRECTORY,
				entry->d_name) < 0) {
				*ret_path = NULL;
				break;
			}
		}
		(void)closedir(dir); /* was read only */
	}
	if (n > 1) {
		free(*ret_path);
		return btt_error_set(error, -ENOTUNIQ,
		    "there are %u sockets in " PROTOCOL_DIRECTORY
		    "; say which with --socket",
		    n);
	}
	if (*ret_path == NULL)
		return btt_error_set(error, n > 0 ? -ENOMEM : -ENOENT,
		    "no daemon listens in " PROTOCOL_DIRECTORY
		    "; start bttfs with socket=, or say where with --socket");
	return 0;
}

static int
connect_to(const char *path, struct btt_error *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, r;

	if (strlen(path) >= sizeof(address.sun_path))
		return btt_error_set(
		    error, -ENAMETOOLONG, "%s: too long for a socket", path);
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return system_error(error, -errno, "socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	r = btt_error_set(error, -errno, "%s: %s", path,
	    errno == ECONNREFUSED ? "no daemon listens there any more"
				  : system_error_text(-errno));
	(void)close(fd); /* nothing was said */
	return r;
}

/* Is it a daemon of ours, of a version that we understand? */
static int
check_greeting(struct json_object *message, struct btt_error *error)
{
	struct json_object *value;

	if (json_object_object_get_ex(message, "error", &value) &&
	    json_object_object_get_ex(value, "message", &value))
		return btt_error_set(error, -EBUSY, "the daemon says: %s",
		    json_object_get_string(value));
	if (!json_object_object_get_ex(message, "protocol", &value) ||
	    strcmp(json_object_get_string(value), PROTOCOL_NAME) != 0)
		return btt_error_set(
		    error, -EPROTO, "who listens there is no bttfs");
	if (!json_object_object_get_ex(message, "version", &value) ||
	    json_object_get_uint64(value) != PROTOCOL_VERSION)
		return btt_error_set(error, -EPROTO,
		    "the daemon speaks version %s of the protocol, not %u",
		    json_object_get_string(value), PROTOCOL_VERSION);
	return 0;
}

static int
greet(struct remote *remote, struct btt_error *error)
{
	struct json_object *message;
	int r;

	if ((r = remote_receive(remote, &message)) < 0)
		return system_error(error, r, "the daemon's greeting");
	r = check_greeting(message, error);
	json_object_put(message);
	return r;
}

int
remote_open(
    const char *path, struct remote **ret_remote, struct btt_error *error)
{
	struct remote *remote;
	char *found = NULL;
	int r;

	if (path == NULL)
		path = getenv("BTTFS_SOCKET");
	if (path == NULL) {
		if ((r = find_socket(&found, error)) < 0)
			return r;
		path = found;
	}
	if ((remote = calloc(1, sizeof(*remote))) == NULL) {
		free(found);
		return btt_error_set(error, -ENOMEM, "out of memory");
	}
	remote->fd = r = connect_to(path, error);
	free(found);
	if (r >= 0)
		r = greet(remote, error);
	if (r < 0) {
		remote_close(remote);
		return r;
	}
	*ret_remote = remote;
	return 0;
}

void
remote_close(struct remote *remote)
{
	if (remote == NULL)
		return;
	if (remote->fd >= 0)
		(void)close(remote->fd); /* the daemon finishes by itself */
	free(remote->buffer);
	free(remote);
}

static int
send_all(int fd, const char *bytes, size_t n)
{
	ssize_t sent;

	while (n > 0) {
		sent = send(fd, bytes, n, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -errno;
		bytes += sent;
		n -= (size_t)sent;
	}
	return 0;
}

int
remote_send(struct remote *remote, uint64_t id, const char *verb,
    struct json_object *args)
{
	struct json_object *message;
	const char *text;
	size_t n;
	int r;

	if ((message = json_object_new_object()) == NULL ||
	    json_object_object_add(message, "id", json_object_new_uint64(id)) <
		0 ||
	    json_object_object_add(
		message, "verb", json_object_new_string(verb)) < 0 ||
	    (args != NULL &&
		json_object_object_add(message, "args", json_object_get(args)) <
		    0))
		r = -ENOMEM;
	else if ((text = json_object_to_json_string_length(
		      message, JSON_C_TO_STRING_PLAIN, &n)) == NULL)
		r = -ENOMEM;
	else if ((r = send_all(remote->fd, text, n)) == 0)
		r = send_all(remote->fd, "\n", 1);
	json_object_put(message);
	json_object_put(args);
	return r;
}

/* Some bytes more; 0 or a negative errno. */
static int
read_more(struct remote *remote)
{
	size_t room;
	ssize_t n;
	char *buffer;

	if (remote->used == remote->room) {
		room = remote->room > 0 ? remote->room * 2 : 65536;
		if (room > MESSAGE_MAX)
			return -EMSGSIZE;
		if ((buffer = realloc(remote->buffer, room)) == NULL)
			return -ENOMEM;
		remote->buffer = buffer;
		remote->room = room;
	}
	do {
		n = recv(remote->fd, remote->buffer + remote->used,
		    remote->room - remote->used, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ECONNRESET;
	remote->used += (size_t)n;
	return 0;
}

int
remote_receive(struct remote *remote, struct json_object **ret_message)
{
	struct json_object *message;
	size_t seen = 0;
	char *end;
	int r;

	for (;;) {
		end = remote->used > seen
		    ? memchr(remote->buffer + seen, '\n', remote->used - seen)
		    : NULL;
		if (end != NULL)
			break;
		seen = remote->used;
		if ((r = read_more(remote)) < 0)
			return r;
	}
	*end = '\0';
	message = json_tokener_parse(remote->buffer);
	remote->used -= (size_t)(end + 1 - remote->buffer);
	memmove(remote->buffer, end + 1, remote->used);
	if (!json_object_is_type(message, json_type_object)) {
		json_object_put(message);
		return -EPROTO;
	}
	*ret_message = message;
	return 0;
}

uint64_t
remote_message_id(struct json_object *message)
{
	struct json_object *id;

	if (!json_object_object_get_ex(message, "id", &id))
		return 0;
	return json_object_get_uint64(id);
}

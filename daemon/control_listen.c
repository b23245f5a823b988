/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control_listen -- the socket's file, and who connects.
 *
 * The file appears with the rights that it is to have: it is made under another
 * name and moved.  A file that is left from a daemon that was killed is in
 * nobody's way; one that somebody listens on is.  Two daemons that start at
 * once take turns by a lock on the directory.
 */
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control_impl.h"
#include "system_error.h"

#define BACKLOG 32

/* The directory in which a file is, its rights being the public's. */
static int
open_directory(const char *path, struct btt_error *error)
{
	char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	size_t n;
	int fd;

	n = (size_t)(strrchr(path, '/') - path);
	memcpy(directory, path, n);
	directory[n > 0 ? n : 1] = '\0';
	if (n == 0)
		directory[0] = '/';
	if (mkdir(directory, 0755) != 0 && errno != EEXIST)
		return btt_error_set(error, -errno, "%s: %s", directory,
		    system_error_text(-errno));
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return btt_error_set(error, -errno, "%s: %s", directory,
		    system_error_text(-errno));
	return fd;
}

static int
set_address(const char *path, struct sockaddr_un *ret_address)
{
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret_address->sun_path))
		return -ENAMETOOLONG;
	strcpy(ret_address->sun_path, path);
	return 0;
}

/* Does somebody listen there? */
static bool
is_in_use(const struct sockaddr_un *address)
{
	bool is;
	int fd;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return true; /* to be on the safe side */
	is = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ==
		0 ||
	    errno == EAGAIN;
	(void)close(fd); /* nothing was said */
	return is;
}

/* Everything that is wanted of the file, before it has its name. */
static int
make_socket(struct control *control, const struct sockaddr_un *address)
{
	const struct control_options *options = &control->options;
	struct stat st;
	mode_t mode;

	mode = options->mode;
	if (mode == 0)
		mode = options->has_group ? 0660 : 0600;
	(void)unlink(address->sun_path); /* of our own number: left over */
	if (bind(control->listen_fd, (const struct sockaddr *)address,
		sizeof(*address)) != 0)
		return -errno;
	if (chmod(address->sun_path, 0600) != 0 ||
	    (options->has_group &&
		chown(address->sun_path, (uid_t)-1, options->group) != 0) ||
	    chmod(address->sun_path, mode) != 0 ||
	    stat(address->sun_path, &st) != 0 ||
	    listen(control->listen_fd, BACKLOG) != 0 ||
	    rename(address->sun_path, options->path) != 0)
		return -errno;
	control->socket_dev = st.st_dev;
	control->socket_ino = st.st_ino;
	return 0;
}

static int
listen_locked(struct control *control, struct btt_error *error)
{
	struct sockaddr_un address, temporary;
	char *path;
	int r;

	if ((r = set_address(control->options.path, &address)) < 0)
		return system_error(error, r, "the path");
	if (is_in_use(&address))
		return btt_error_set(
		    error, -EADDRINUSE, "another daemon listens there already");
	if (asprintf(&path, "%s.%ld", control->options.path, (long)getpid()) <
	    0)
		return btt_error_set(error, -ENOMEM, "out of memory");
	r = set_address(path, &temporary);
	free(path);
	if (r < 0)
		return system_error(error, r, "the path");
	if ((r = make_socket(control, &temporary)) < 0) {
		(void)unlink(temporary.sun_path);
		return system_error(error, r, "making the socket");
	}
	return 0;
}

int
control_listen(struct control *control, struct btt_error *error)
{
	int directory_fd, r;

	if (control->options.path[0] != '/')
		return btt_error_set(
		    error, -EINVAL, "the socket's path must be absolute");
	if (strlen(control->options.path) >=
	    sizeof(((struct sockaddr_un *)NULL)->sun_path) - 12)
		return btt_error_set(
		    error, -ENAMETOOLONG, "the socket's path is too long");
	control->listen_fd =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control->listen_fd < 0)
		return system_error(error, -errno, "socket");
	directory_fd = open_directory(control->options.path, error);
	if (directory_fd < 0)
		return directory_fd;
	if (flock(directory_fd, LOCK_EX) != 0)
		r = system_error(error, -errno, "locking the directory");
	else
		r = listen_locked(control, error);
	(void)close(directory_fd); /* and the lock with it */
	return r;
}

void
control_unlisten(struct control *control)
{
	struct stat st;

	if (control->listen_fd < 0)
		return;
	if (control->socket_ino != 0 &&
	    lstat(control->options.path, &st) == 0 &&
	    st.st_dev == control->socket_dev &&
	    st.st_ino == control->socket_ino)
		(void)unlink(control->options.path); /* best effort */
	(void)close(control->listen_fd);
	control->listen_fd = -1;
}

/* Is this group among those of who connected?  Not only the first of them. */
static bool
is_in_group(int fd, const struct ucred *peer, gid_t group)
{
	socklen_t bytes = 0;
	gid_t *groups;
	size_t i;
	bool is;

	if (peer->gid == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &bytes) == 0 ||
	    errno != ERANGE)
		return false;
	if ((groups = malloc(bytes)) == NULL)
		return false;
	is = false;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) == 0) {
		for (i = 0; i < bytes / sizeof(*groups) && !is; i++)
			is = groups[i] == group;
	}
	free(groups);
	return is;
}

static bool
may_change(const struct control *control, int fd)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0)
		return false;
	if (peer.uid == 0 || peer.uid == geteuid())
		return true;
	return control->options.has_group &&
	    is_in_group(fd, &peer, control->options.group);
}

static void
greet(struct client *client)
{
	struct jsonb jsonb = { false };
	struct json_object *object;

	object = jsonb_object(&jsonb);
	jsonb_add_text(&jsonb, object, "protocol", PROTOCOL_NAME);
	jsonb_add_number(&jsonb, object, "version", PROTOCOL_VERSION);
	jsonb_add_text(&jsonb, object, "server", BTTFS_VERSION);
	jsonb_add_number(&jsonb, object, "pid", (uint64_t)getpid());
	client_send(client, &jsonb, object);
}

/* No descriptor, no memory: it knocks on, but must not keep us busy. */
static void
rest_if_short(void)
{
	const struct timespec pause = { .tv_nsec = 10000000 };

	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
	    errno == ENOBUFS)
		(void)SYNC_SLEEPS(nanosleep(&pause, NULL));
}

/* One line, as far as it goes without waiting. */
static void
turn_away(int fd)
{
	static const char line[] =
	    "{\"error\":{\"errno\":\"EBUSY\",\"message\":\"too many "
	    "clients\"}}\n";

	(void)!send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)close(fd);
}

static bool
has_room(const struct control *control, bool is_guest)
{
	return control->nclient < CONTROL_CLIENT_MAX &&
	    (!is_guest || control->nguest < CLIENT_GUEST_MAX);
}

void
control_accept(struct control *control)
{
	struct client *client;
	bool changes;
	int fd;

	while ((fd = accept4(control->listen_fd, NULL, NULL,
		    SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		changes = may_change(control, fd);
		if (!has_room(control, !changes)) {
			turn_away(fd);
		} else if ((client = client_new(control, fd, changes)) !=
		    NULL) {
			greet(client);
			client_update(control, client);
		}
	}
	rest_if_short();
}

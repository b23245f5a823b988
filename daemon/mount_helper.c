/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/socket.h>
#include <sys/wait.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mount_helper.h"
#include "system_error.h"

static const char program[] = "fusermount3";

/* By which the program is told where to send the descriptor. */
#define SOCKET_VARIABLE "_FUSE_COMMFD"
/* Its number there: the first one that is no standard stream. */
#define SOCKET_FD 3

/* A copy of the environment with one more variable; the strings are shared. */
static char **
extend_environment(char *variable)
{
	char **copy;
	size_t n;

	for (n = 0; environ[n] != NULL; n++)
		continue;
	if ((copy = calloc(n + 2, sizeof(*copy))) == NULL)
		return NULL;
	memcpy(copy, environ, n * sizeof(*copy));
	copy[n] = variable;
	return copy;
}

/*
 * Start it with standard error going to stderr_fd and, if socket_fd is not
 * negative, with that as SOCKET_FD.  Returns 0 or a negative errno.
 */
static int
start(const char *const *argv, int stderr_fd, int socket_fd, pid_t *ret_pid)
{
	char variable[] = SOCKET_VARIABLE "=3";
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	char **environment;
	int r;

	static_assert(SOCKET_FD == 3, "the variable says so");
	if ((environment = extend_environment(variable)) == NULL)
		return -ENOMEM;
	(void)sigemptyset(&none);
	if ((r = posix_spawnattr_init(&attr)) != 0)
		goto free_environment;
	if ((r = posix_spawn_file_actions_init(&actions)) != 0)
		goto free_attr;
	if ((r = posix_spawnattr_setsigmask(&attr, &none)) != 0 ||
	    (r = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK)) != 0)
		goto free_actions;
	r = posix_spawn_file_actions_adddup2(
	    &actions, stderr_fd, STDERR_FILENO);
	if (r == 0 && socket_fd >= 0)
		r = posix_spawn_file_actions_adddup2(
		    &actions, socket_fd, SOCKET_FD);
	/* argv is const in all but its type. */
	if (r == 0)
		r = posix_spawnp(ret_pid, program, &actions, &attr,
		    (char *const *)(uintptr_t)argv, environment);

free_actions:
	(void)posix_spawn_file_actions_destroy(&actions);
free_attr:
	(void)posix_spawnattr_destroy(&attr);
free_environment:
	free(environment);
	return -r;
}

/* The first line of what it writes; the rest is read and dropped. */
static void
read_line(int fd, char *ret_line, size_t line_bytes)
{
	char rest[256];
	size_t used;
	ssize_t n;

	used = 0;
	while (used < line_bytes - 1 &&
	    (n = read(fd, ret_line + used, line_bytes - 1 - used)) > 0)
		used += (size_t)n;
	ret_line[used] = '\0';
	ret_line[strcspn(ret_line, "\n")] = '\0';
	while (read(fd, rest, sizeof(rest)) > 0)
		continue;
}

/* The descriptor that arrives, or a negative errno. */
static int
receive_fd(int socket_fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct cmsghdr *cmsg;
	struct msghdr message;
	struct iovec iov;
	char byte;
	ssize_t n;
	int fd;

	iov = (struct iovec){ .iov_base = &byte, .iov_len = 1 };
	message = (struct msghdr){
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	do {
		n = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&message);
	if (n == 0 || cmsg == NULL || cmsg->cmsg_level != SOL_SOCKET ||
	    cmsg->cmsg_type != SCM_RIGHTS ||
	    cmsg->cmsg_len != CMSG_LEN(sizeof(fd)))
		return -EPERM; /* it has said why on standard error */
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

/* Its exit status, or 128 and more if it was killed. */
static int
await(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return 128;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/*
 * Run it, with its complaint in error unless it has none.  Returns its exit
 * status, or a negative errno.
 */
static int
run(const char *const *argv, int socket_fd, struct btt_error *error)
{
	char line[200];
	int stderr_pipe[2];
	pid_t pid;
	int r;

	if (pipe2(stderr_pipe, O_CLOEXEC) != 0)
		return system_error(error, -errno, "pipe");
	r = start(argv, stderr_pipe[1], socket_fd, &pid);
	(void)close(stderr_pipe[1]);
	if (r < 0) {
		(void)system_error(error, r, program);
		goto close_pipe;
	}
	read_line(stderr_pipe[0], line, sizeof(line));
	r = await(pid);
	/* A status is no error: what it is here, the callers know. */
	if (r > 0 && line[0] != '\0')
		(void)btt_error_set(error, -EPERM, "%s", line);
	else if (r > 0)
		(void)btt_error_set(
		    error, -EPERM, "%s failed with status %d", program, r);
	else if (r < 0)
		(void)system_error(error, r, program);

close_pipe:
	(void)close(stderr_pipe[0]);
	return r;
}

int
mount_helper_mount(
    const char *path, const char *options, struct btt_error *error)
{
	const char *argv[] = { program, "-o", options, "--", path, NULL };
	int sockets[2], fd, r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
		return system_error(error, -errno, "socketpair");
	/* It sends before it ends, and the descriptor waits in the socket. */
	r = run(argv, sockets[1], error);
	(void)close(sockets[1]);
	if (r < 0)
		fd = r;
	else if (r > 0)
		fd = -EPERM; /* and error says more */
	else if ((fd = receive_fd(sockets[0])) < 0)
		(void)btt_error_set(
		    error, fd, "%s sent no descriptor", program);
	(void)close(sockets[0]);
	return fd;
}

int
mount_helper_unmount(const char *path, bool lazily, struct btt_error *error)
{
	const char *argv[] = { program, "-u", lazily ? "-z" : "--", path,
		NULL };
	int r;

	r = run(argv, -1, error);
	return r > 0 ? -EBUSY : r;
}

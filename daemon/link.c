/* SPDX-License-Identifier: BSD-3-Clause */
#include "link.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Room for one descriptor beside a message, aligned as the system wants it. */
union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int
link_send(
    int socket, enum link_kind kind, int32_t value, const char *text, int fd)
{
	struct link_message message = { .kind = kind, .value = value };
	struct iovec iov = { &message, sizeof(message) };
	union control control = { .bytes = { 0 } };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *passed;
	ssize_t n;

	if (text != NULL)
		(void)snprintf(message.text, sizeof(message.text), "%s", text);
	if (fd >= 0) {
		header.msg_control = control.bytes;
		header.msg_controllen = sizeof(control.bytes);
		passed = CMSG_FIRSTHDR(&header);
		passed->cmsg_level = SOL_SOCKET;
		passed->cmsg_type = SCM_RIGHTS;
		passed->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(passed), &fd, sizeof(fd));
	}
	do {
		n = sendmsg(socket, &header, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static int
passed_fd(struct msghdr *header)
{
	struct cmsghdr *passed;
	int fd;

	passed = CMSG_FIRSTHDR(header);
	if (passed == NULL || passed->cmsg_level != SOL_SOCKET ||
	    passed->cmsg_type != SCM_RIGHTS ||
	    passed->cmsg_len != CMSG_LEN(sizeof(fd)))
		return -1;
	memcpy(&fd, CMSG_DATA(passed), sizeof(fd));
	return fd;
}

int
link_receive(int socket, struct link_message *ret_message, int *ret_fd)
{
	struct iovec iov = { ret_message, sizeof(*ret_message) };
	union control control = { .bytes = { 0 } };
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n;

	do {
		n = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	*ret_fd = passed_fd(&header);
	if (n == sizeof(*ret_message) &&
	    ret_message->text[LINK_TEXT_BYTES - 1] == '\0')
		return 0;
	if (*ret_fd >= 0)
		(void)close(*ret_fd); /* nothing was written to it */
	*ret_fd = -1;
	return n == 0 ? -EPIPE : -EPROTO;
}

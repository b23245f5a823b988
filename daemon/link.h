/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_LINK_H
#define BTTFS_LINK_H

/*
 * link -- messages between the keeper and its server, over sockets that keep
 * their borders (SOCK_SEQPACKET); one may bring a descriptor along.
 *
 * Two sockets: over the first the server asks and the keeper answers each time;
 * over the second either says what the other did not ask for.
 *
 * The keeper may be older than the server that an upgrade brought, so what is
 * here is only added to, and LINK_VERSION says what the keeper knows.
 */
#include <stdint.h>

#include <btt/error.h>

#define LINK_VERSION 1

enum link_kind {
	/* keeper, at first: what it keeps, then how many starts there were */
	LINK_KEPT = 1, /* text: name; with the descriptor */
	LINK_BEGIN,    /* value: LINK_VERSION; text: number of this server */

	/* server asks; the keeper answers LINK_DONE with 0 or an error */
	LINK_KEEP,    /* text: name; with a descriptor; replaces */
	LINK_DROP,    /* text: name */
	LINK_MOUNT,   /* the answer brings /dev/fuse */
	LINK_SERVING, /* text: what, for people */
	LINK_ENDED,   /* the mount is gone; the exit status is to be believed */
	LINK_YIELD,   /* all is drained and flushed: start the successor */
	LINK_DONE,

	/* not asked for */
	LINK_PING,    /* keeper */
	LINK_PONG,    /* server; value: ms since anything was answered */
	LINK_RESTART, /* keeper: yield to a successor */
	LINK_LEAVE,   /* keeper: end, though the mount is in use */
	LINK_HURRY,   /* keeper: close nothing any more */
	LINK_UPGRADE, /* server: somebody asks for a successor */

	/* server asks, as above */
	LINK_STATUS, /* text: what is served by now, for people */
};

#define LINK_TEXT_BYTES 480u

struct link_message {
	uint32_t kind;
	int32_t value;
	char text[LINK_TEXT_BYTES]; /* ended by zero */
};

/*
 * fd is sent along unless it is -1; it stays the caller's.  Errors: -EPIPE if
 * the other has gone; as sendmsg(2).
 */
int link_send(
    int socket, enum link_kind kind, int32_t value, const char *text, int fd);
/*
 * Waits for a message.  *ret_fd is -1 or the caller's, closed on exec.
 * Errors: -EPIPE at the end; -EPROTO for what is no message; as recvmsg(2).
 */
int link_receive(int socket, struct link_message *ret_message, int *ret_fd)
    BTT_MUST_CHECK;

#endif

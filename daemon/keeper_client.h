/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_KEEPER_CLIENT_H
#define BTTFS_KEEPER_CLIENT_H

/*
 * keeper_client -- the server's end of its keeper (keeper.h): what the
 * predecessor left, and what is to be left for the successor.
 *
 * Threads: any may keep, drop and say; the others are the main thread's.
 */
#include <stdbool.h>
#include <stdint.h>

#include <btt/error.h>

#include "kept_fds.h"
#include "link.h"

struct keeper_client;

/*
 * Take over the two sockets and receive what is kept.  -EPIPE if the keeper has
 * gone.
 */
int keeper_client_new(int ask_socket, int notice_socket,
    struct keeper_client **ret_client) BTT_MUST_CHECK;
/* NULL is fine. */
void keeper_client_free(struct keeper_client *client);

/* How many servers there were before. */
uint64_t keeper_client_number(const struct keeper_client *client);
/* What the predecessor left; for taking from, before there are other threads. */
struct kept_fds *keeper_client_inherited(struct keeper_client *client);

/*
 * On return the keeper has a descriptor of its own, for every successor, in
 * place of any other of that name.
 */
int keeper_client_keep(struct keeper_client *client, const char *name, int fd)
    BTT_MUST_CHECK;
/* Nobody needs it any more. */
void keeper_client_drop(struct keeper_client *client, const char *name);

/* Have the file system mounted; *ret_fd is the caller's.  As mount_new. */
int keeper_client_mount(struct keeper_client *client, int *ret_fd,
    struct btt_error *error) BTT_MUST_CHECK;
/* The mount can be used; text is for people. */
void keeper_client_serving(
    struct keeper_client *client, bool can_resend, const char *text);
/* LINK_ENDED, LINK_YIELD or LINK_STATUS.  A keeper that has gone is not told. */
void keeper_client_say(
    struct keeper_client *client, enum link_kind kind, const char *text);

/* Readable, for poll(2), when the keeper has something to say. */
int keeper_client_fd(const struct keeper_client *client);
/*
 * What it says: LINK_PING (to be answered), LINK_RESTART, LINK_LEAVE or
 * LINK_HURRY; or a
 * negative errno, -EPIPE if it has gone.
 */
int keeper_client_hear(struct keeper_client *client) BTT_MUST_CHECK;
/*
 * Is the next thing that it says that it wants us to end, without delay or at
 * all?  That stays to be heard.
 */
bool keeper_client_wants_end(const struct keeper_client *client);
/* Nothing has been answered, though there was something to do, for so long. */
void keeper_client_pong(struct keeper_client *client, unsigned stuck_ms);
/* Somebody wants another server in our place. */
void keeper_client_upgrade(struct keeper_client *client);

#endif

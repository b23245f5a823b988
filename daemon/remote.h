/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_REMOTE_H
#define BTTFS_REMOTE_H

/*
 * remote -- bttctl's end of a daemon's socket (protocol.h).
 *
 * Answers may come in any order; each message is the caller's to release with
 * json_object_put.
 */
#include <json-c/json.h>
#include <stdint.h>

#include <btt/error.h>

struct remote;

/*
 * Connect to the daemon that listens at path; NULL is what BTTFS_SOCKET says,
 * or else the only socket in PROTOCOL_DIRECTORY.
 *
 * Errors: -ENOENT or -ECONNREFUSED if nobody listens; -EACCES; -ENOTUNIQ if
 * several do; -EPROTO for somebody else, or another version; with the reason.
 */
int remote_open(const char *path, struct remote **ret_remote,
    struct btt_error *error) BTT_MUST_CHECK;
/* NULL is fine. */
void remote_close(struct remote *remote);

/* Ask; args, which may be NULL, is released.  Returns 0 or a negative errno. */
int remote_send(struct remote *remote, uint64_t id, const char *verb,
    struct json_object *args) BTT_MUST_CHECK;

/*
 * The next message, waiting for it.
 * Errors: -ECONNRESET if the daemon has gone; -EPROTO for what is none.
 */
int remote_receive(struct remote *remote, struct json_object **ret_message)
    BTT_MUST_CHECK;

/* The id of a message, 0 if it has none. */
uint64_t remote_message_id(struct json_object *message);

#endif

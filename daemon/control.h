/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_CONTROL_H
#define BTTFS_CONTROL_H

/*
 * control -- the socket by which a running daemon is told and asked
 * (protocol.h).
 *
 * One thread serves all clients and never waits for a device: what takes long
 * is a job of the manager's, whose end is answered when it comes.  So a device
 * that hangs delays nobody's answer but those about itself.  Each request has
 * memory of its own, and nothing is shared but the objects it is about (CP-10).
 *
 * Who may: root, the user that the daemon runs as, and members of the socket's
 * group may change things; others who can connect may look.
 */
#include <sys/types.h>

#include "config.h"
#include "manager.h"

struct control;

struct control_options {
	const char *path; /* of the socket, absolute */
	mode_t mode;      /* who can connect; 0: 0600, or 0660 */
	bool has_group;   /* whose members may change things */
	gid_t group;
	bool inject;                 /* tests may plant errors */
	const char *mountpoint;      /* or NULL */
	const struct config *config; /* whose devices may be named; or NULL */
	const char *no_upgrade; /* why no other server can follow, or NULL */
};

#define CONTROL_CLIENT_MAX 64u

/*
 * Listen and serve.  What the options point to outlives the control.  The
 * directory of the socket is made if only that is missing.
 *
 * Errors: -EADDRINUSE if another daemon listens there; -EINVAL for a path that
 * is relative or too long; what bind(2) says; with the reason.
 */
int
control_start(struct manager *manager, const struct control_options *options,
    struct control **ret_control, struct btt_error *error) BTT_MUST_CHECK;
/*
 * Answer what can be answered at once, then stop.  NULL is fine.
 */
void control_stop(struct control *control);

#endif

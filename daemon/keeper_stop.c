/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keeper_stop -- the end of the mount: after a signal as soon as nobody uses
 * it, after a second one in any case.  Its server sees the end by itself, closes
 * the devices, and ends; a third signal does not wait for that either.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include <lanes/clock.h>
#include <systemd/sd-daemon.h>

#include "keeper_impl.h"
#include "link.h"
#include "system_error.h"

/* After a second signal: for users to leave. */
#define FORCE_MS 5000u

/* Say once why stopping has to wait. */
static void
say_waiting(struct keeper *keeper, int r, const struct btt_error *error)
{
	char users[400];

	if (keeper->stop.said)
		return;
	keeper->stop.said = true;
	if (keeper->stop.unmounted)
		snprintf(users, sizeof(users),
		    "still mounted elsewhere (a bind mount, or another mount "
		    "namespace), or its devices are being closed");
	else if (r != -EBUSY || !mount_is_visible(keeper->mount))
		snprintf(users, sizeof(users), "%s", error->text);
	else
		mount_describe_users(keeper->mount, users, sizeof(users));
	if (users[0] == '\0')
		snprintf(users, sizeof(users), "busy");
	log_say(&keeper->log, LOG_WARNING,
	    "%s: %s; waiting for that to end, a second signal does not wait",
	    mount_path(keeper->mount), users);
	(void)sd_notifyf(0, "STATUS=Waiting to unmount: %s", users);
}

void
keeper_abort(struct keeper *keeper, const char *why)
{
	const char *path = mount_path(keeper->mount);

	if (mount_abort(keeper->mount) == 0)
		log_say(&keeper->log, LOG_WARNING,
		    "%s: aborted what was in use: %s", path, why);
	else
		/* Then what is in use fails when the descriptor is closed. */
		log_say(&keeper->log, LOG_WARNING,
		    "%s: leaving while it is in use: %s", path, why);
}

/*
 * Take the file system away from whoever still uses it.  Users get ENOTCONN;
 * what was acknowledged to them is as safe as was promised.
 */
static void
force(struct keeper *keeper)
{
	struct btt_error error = { "" };
	const char *path = mount_path(keeper->mount);
	int r;

	keeper->stop.forced = true;
	keeper->stop.forced_ms = clock_ms();
	if (keeper->stop.unmounted)
		return;
	log_say(&keeper->log, LOG_WARNING, "%s: unmounting lazily", path);
	if ((r = mount_remove(keeper->mount, MOUNT_LAZILY, &error)) < 0)
		(void)keeper_fail(keeper, path, r, &error);
	keeper->stop.unmounted = true;
}

/*
 * The mount stays, for the next keeper, or for who unmounts it.  A server that
 * does not yield is left to a second signal.
 */
static void
leave(struct keeper *keeper)
{
	if (!keeper->leaving)
		keeper_ask_to_yield(keeper, "stopping");
	else if (keeper->pid > 0)
		(void)kill(keeper->pid, SIGKILL);
	keeper->leaving = true;
}

void
keeper_on_stop(struct keeper *keeper)
{
	struct keeper_stop *stop = &keeper->stop;

	if (stop->nsignal++ == 0)
		(void)sd_notify(0, "STOPPING=1");
	if (keeper->state != NULL) {
		leave(keeper);
		return;
	}
	if (keeper->mount == NULL) {
		/* Nothing to be unmounted yet: the server has not got far. */
		if (keeper->notice_socket >= 0)
			(void)link_send(
			    keeper->notice_socket, LINK_HURRY, 0, NULL, -1);
		return;
	}
	if (stop->nsignal == 2)
		force(keeper);
	else if (stop->nsignal > 2 && keeper->notice_socket >= 0)
		(void)link_send(keeper->notice_socket, LINK_HURRY, 0, NULL, -1);
	keeper_go_on_stopping(keeper);
}

void
keeper_go_on_stopping(struct keeper *keeper)
{
	struct btt_error error = { "" };
	struct keeper_stop *stop = &keeper->stop;
	int r;

	if (stop->nsignal == 0 || keeper->mount == NULL ||
	    keeper->state != NULL)
		return;
	if (stop->forced) {
		if (stop->forced_ms != 0 &&
		    clock_ms() - stop->forced_ms >= FORCE_MS) {
			stop->forced_ms = 0;
			keeper_abort(keeper, "it was told twice to stop");
			/* The last descriptor takes the mount with it. */
			kept_fds_drop(&keeper->kept, "fuse");
			(void)link_send(
			    keeper->notice_socket, LINK_LEAVE, 0, NULL, -1);
		}
		return;
	}
	r = 0;
	if (!stop->unmounted) {
		r = mount_remove(keeper->mount, MOUNT_CLEANLY, &error);
		stop->unmounted = r == 0;
		if (r == 0)
			return; /* the server hears of it by itself */
	}
	say_waiting(keeper, r, &error);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bttfs -- the server of a mount, and what becomes its keeper first.
 *
 * The server attaches a device, has it mounted, serves until the mount is gone,
 * and detaches.  One that follows another (keeper.h) attaches what that had,
 * and goes on with the same mount.
 *
 * Threads: this one, which talks to the keeper; the session's workers, which
 * take the requests; the manager's, which do what may take long; the
 * caretaker; and the watch over locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <btt/btt.h>

#include "caretaker.h"
#include "confine.h"
#include "control.h"
#include "exit_status.h"
#include "first_devices.h"
#include "fs.h"
#include "keeper.h"
#include "keeper_client.h"
#include "lock_watch.h"
#include "log.h"
#include "manager.h"
#include "options.h"
#include "process.h"
#include "session.h"
#include "size.h"
#include "stall.h"
#include "system_error.h"
#include "workers.h"

/* For workers to finish what they do. */
#define LEAVE_MS 1000

/* Why some servers cannot be replaced. */
#define NO_SUCCESSOR "requests come by io_uring"

struct daemon {
	const struct options *options;
	struct log log;
	struct lock_watch *lock_watch;
	struct keeper_client *keeper;
	bool follows; /* another server that has got as far as the kernel */
	struct workers workers;
	struct manager *manager;
	struct session *session;
	struct manager_kernel kernel; /* how to reach it, by the session */
	struct caretaker *caretaker;
	struct control *control;
	bool hurried;               /* told not to wait */
	char told[LINK_TEXT_BYTES]; /* last, of what is served */
};

/* Say why a step failed, about what, and return r. */
static int
fail(const struct daemon *daemon, const char *what, int r,
    const struct btt_error *error)
{
	log_say(&daemon->log, LOG_ERR, "%s: %s", what,
	    error != NULL && error->text[0] != '\0' ? error->text
						    : system_error_text(r));
	return r;
}

/* Before there is a session the keeper says little else. */
static bool
wants_end(void *arg)
{
	const struct daemon *daemon = arg;

	return keeper_client_wants_end(daemon->keeper);
}

static int
open_devices(struct daemon *daemon)
{
	struct first_devices first = {
		.options = daemon->options,
		.log = &daemon->log,
		.keeper = daemon->keeper,
		.follows = daemon->follows,
		.is_hurried = wants_end,
		.arg = daemon,
	};
	int r;

	workers_choose(daemon->options, daemon->keeper, &daemon->workers);
	r = manager_new(daemon->workers.n, &daemon->log, &daemon->manager);
	if (r < 0)
		return fail(daemon, "starting", r, NULL);
	lock_watch_listen(daemon->lock_watch, stall_tell, daemon->manager);
	/* By the socket there may come devices that need it. */
	if (daemon->options->control.path != NULL ||
	    daemon->options->config.ndevice > 1)
		tree_keep_fsync(daemon->manager->tree);
	manager_set_keeper(daemon->manager, daemon->keeper,
	    keeper_client_number(daemon->keeper));
	first.manager = daemon->manager;
	if ((r = first_devices_attach(&first)) < 0)
		return r;
	r = caretaker_start(daemon->manager, &daemon->caretaker);
	return r < 0 ? fail(daemon, "caretaker", r, NULL) : 0;
}

static void
forget_name(void *arg, const char *name, uint64_t nodeid)
{
	struct daemon *daemon = arg;

	(void)nodeid;
	session_forget_name(daemon->session, name);
}

static void
forget_data(void *arg, uint64_t nodeid)
{
	struct daemon *daemon = arg;

	session_forget_data(daemon->session, nodeid);
}

/* The session of a new mount, or of the one that the predecessor served. */
static int
open_session(struct daemon *daemon, struct btt_error *error)
{
	struct kept_fds *inherited = keeper_client_inherited(daemon->keeper);
	const struct fs_context context = {
		.registry = daemon->manager->registry,
		.tree = daemon->manager->tree,
	};
	int agreed_fd = -1, fd, r;

	if (daemon->follows) {
		fd = kept_fds_take(inherited, "fuse");
		agreed_fd = kept_fds_find(inherited, "session");
	} else if ((r = keeper_client_mount(daemon->keeper, &fd, error)) < 0)
		return r;
	r = session_open(fd, agreed_fd, &context, daemon->manager->pool,
	    daemon->workers.n, daemon->workers.nring, &daemon->session, error);
	if (r < 0 || daemon->follows)
		return r;
	return keeper_client_keep(
	    daemon->keeper, "session", session_agreed_fd(daemon->session));
}

static int
open_and_start_session(struct daemon *daemon)
{
	const char *path = daemon->options->mountpoint;
	struct btt_error error = { "" };
	int r;

	if ((r = open_session(daemon, &error)) < 0)
		return fail(daemon, path, r, &error);
	if ((r = session_start(daemon->session, &error)) < 0)
		return fail(daemon, path, r, &error);
	manager_set_kernel(daemon->manager, &daemon->kernel);
	return 0;
}

static int
listen_for_control(struct daemon *daemon)
{
	struct control_options options = daemon->options->control;
	struct btt_error error = { "" };
	struct session_info info;
	int r;

	if (options.path == NULL)
		return 0;
	options.mountpoint = daemon->options->mountpoint;
	options.config = &daemon->options->config;
	session_get_info(daemon->session, &info);
	if (info.ring)
		options.no_upgrade = NO_SUCCESSOR;
	r = control_start(daemon->manager, &options, &daemon->control, &error);
	return r < 0 ? fail(daemon, options.path, r, &error) : 0;
}

/* What was asked for and cannot be had is worth a warning. */
static void
log_transport(const struct daemon *daemon, const struct session_info *info)
{
	const char *path = daemon->options->mountpoint;
	int level = daemon->options->transport == OPTIONS_TRANSPORT_RING
	    ? LOG_WARNING
	    : LOG_INFO;

	if (info->ring)
		log_say(&daemon->log, LOG_INFO, "%s: requests come by io_uring",
		    path);
	else if (info->ring_error < 0)
		log_say(&daemon->log, level,
		    "%s: requests come by /dev/fuse, not by io_uring: %s", path,
		    strerrordesc_np(-info->ring_error));
	else
		log_say(&daemon->log, level,
		    "%s: requests come by /dev/fuse: the kernel does not offer "
		    "io_uring (enable_uring of fuse)",
		    path);
}

static void
log_session(const struct daemon *daemon)
{
	struct session_info info;

	session_get_info(daemon->session, &info);
	if (daemon->workers.nring > 0)
		log_transport(daemon, &info);
	log_say(&daemon->log, LOG_DEBUG,
	    "FUSE 7.%u, requests up to %u bytes, %u workers, shared mmap: %s, "
	    "resend after a crash: %s, buffers locked: %s",
	    info.kernel_minor, info.max_write, daemon->workers.n,
	    info.mmap ? "yes" : "no", info.resend ? "yes" : "no",
	    info.buffers_locked ? "yes" : "no");
}

/* One line for each device that can be used. */
static void
log_device(const struct daemon *daemon, struct device *device)
{
	struct device_status status;
	char size[SIZE_TEXT_BYTES];

	device_get_status(device, &status);
	if (status.nodeid == 0)
		return;
	size_format(status.geometry.size_bytes, size);
	log_say(&daemon->log, LOG_INFO,
	    "%s: serving as %s/%s, %s in sectors of %u bytes, %s, durable on "
	    "%s",
	    device->path, daemon->options->mountpoint, device->name, size,
	    status.geometry.sector_bytes,
	    status.geometry.read_only ? "read-only" : "read-write",
	    status.geometry.durability == BTT_DURABLE_WRITE ? "write"
							    : "flush");
}

/* In the background the terminal was there for errors of the start. */
static void
leave_terminal(struct daemon *daemon)
{
	int fd;

	if (daemon->options->foreground)
		return;
	log_use_syslog(&daemon->log);
	(void)setsid(); /* fails only for who leads a session already */
	if (chdir("/") != 0 || (fd = open("/dev/null", O_RDWR)) < 0)
		return; /* then it keeps what it has */
	(void)dup2(fd, STDIN_FILENO);
	(void)dup2(fd, STDOUT_FILENO);
	(void)dup2(fd, STDERR_FILENO);
	(void)close(fd);
}

/* What is served at the moment, in daemon->told; returns whether that is new. */
static bool
look_around(struct daemon *daemon)
{
	char text[LINK_TEXT_BYTES], others[40] = "";
	struct device_status status;
	struct registry_list list;
	size_t i, n = 0;
	bool is_new;

	if (registry_list(daemon->manager->registry, &list) < 0)
		return false;
	for (i = 0; i < list.ndevice; i++) {
		device_get_status(list.devices[i], &status);
		n += device_state_is_shown(status.state);
	}
	if (n < list.ndevice)
		(void)snprintf(
		    others, sizeof(others), ", %zu not", list.ndevice - n);
	registry_list_fini(&list);
	(void)snprintf(text, sizeof(text), "Serving %zu device%s in %s%s", n,
	    n == 1 ? "" : "s", daemon->options->mountpoint, others);
	is_new = strcmp(text, daemon->told) != 0;
	strcpy(daemon->told, text);
	return is_new;
}

/* Tell everybody who waits that the files can be used. */
static void
announce(struct daemon *daemon)
{
	struct registry_list list;
	struct session_info info;
	size_t i;

	leave_terminal(daemon);
	process_log_guard(&daemon->log, "few system calls only",
	    confine(daemon->options->confine));
	if (registry_list(daemon->manager->registry, &list) == 0) {
		for (i = 0; i < list.ndevice; i++)
			log_device(daemon, list.devices[i]);
		registry_list_fini(&list);
	}
	(void)look_around(daemon);
	session_get_info(daemon->session, &info);
	keeper_client_serving(daemon->keeper, info.resend, daemon->told);
}

enum what_next {
	GO_ON,
	END,
	YIELD, /* a successor is to go on */
};

/*
 * What the kernel has put into a ring by the time we leave, no successor would
 * ever see.
 */
static bool
can_yield(const struct daemon *daemon)
{
	struct session_info info;

	session_get_info(daemon->session, &info);
	if (info.ring)
		log_say(&daemon->log, LOG_ERR,
		    "%s: cannot make room for another server: " NO_SUCCESSOR,
		    daemon->options->mountpoint);
	return !info.ring;
}

/* What the keeper says. */
static enum what_next
hear_keeper(struct daemon *daemon)
{
	int heard = keeper_client_hear(daemon->keeper);

	if (heard == -EPIPE) /* it takes us along, in case that fails */
		_exit(EXIT_SYSTEM);
	switch (heard) {
	case LINK_PING:
		keeper_client_pong(
		    daemon->keeper, session_stuck_ms(daemon->session));
		if (look_around(daemon))
			keeper_client_say(
			    daemon->keeper, LINK_STATUS, daemon->told);
		return GO_ON;
	case LINK_RESTART:
		return can_yield(daemon) ? YIELD : GO_ON;
	case LINK_LEAVE:
		return END;
	case LINK_HURRY:
		daemon->hurried = true;
		return GO_ON;
	default:
		return GO_ON; /* of a later version */
	}
}

/* Serve until the mount is gone, or the keeper wants something else. */
static enum what_next
serve(struct daemon *daemon)
{
	enum what_next next;
	struct pollfd fds[] = {
		{ .fd = session_fd(daemon->session), .events = POLLIN },
		{ .fd = keeper_client_fd(daemon->keeper), .events = POLLIN },
	};

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue; /* EINTR */
		if (fds[0].revents != 0)
			return END;
		if (fds[1].revents != 0 &&
		    (next = hear_keeper(daemon)) != GO_ON)
			return next;
	}
}

/* Has the keeper said so?  Asked while devices are closed. */
static bool
is_hurried(void *arg)
{
	struct daemon *daemon = arg;
	struct pollfd notice = {
		.fd = keeper_client_fd(daemon->keeper),
		.events = POLLIN,
	};

	while (!daemon->hurried && poll(&notice, 1, 0) > 0 &&
	    (notice.revents & POLLIN) != 0)
		(void)hear_keeper(daemon);
	return daemon->hurried;
}

/* What hangs in a backing store would keep us for ever. */
_Noreturn static void
leave_at_once(struct daemon *daemon)
{
	log_say(&daemon->log, LOG_ERR,
	    "leaving before all devices are closed: what was not flushed is "
	    "lost");
	_exit(EXIT_SYSTEM);
}

/*
 * Undo all steps that were taken.  Returns the first error of serving and
 * closing.
 */
static int
shut_down(struct daemon *daemon)
{
	int r, r2;

	r = 0;
	if (daemon->session != NULL)
		r = session_stop(daemon->session, LEAVE_MS);
	if (r < 0)
		(void)fail(daemon, "reading requests", r, NULL);
	caretaker_stop(daemon->caretaker);
	if (daemon->manager != NULL)
		manager_unset_kernel(daemon->manager);
	/* Whoever still waits is told now, not after the last sync. */
	session_close(daemon->session);
	r2 = 0;
	if (daemon->manager != NULL)
		r2 = manager_stop(daemon->manager, is_hurried, daemon);
	if (r2 == -EINTR)
		leave_at_once(daemon);
	/* Who waits for a device to go hears that it has. */
	control_stop(daemon->control);
	if (daemon->lock_watch != NULL)
		lock_watch_listen(daemon->lock_watch, NULL, NULL);
	manager_free(daemon->manager);
	lock_watch_stop(daemon->lock_watch);
	return r < 0 ? r : r2;
}

/*
 * Make room for a successor: answer what was read, make durable what was
 * written, and leave the devices as they are.  What cannot be made durable is
 * the successor's to say, since the keeper has it.
 */
_Noreturn static void
yield(struct daemon *daemon)
{
	control_stop(daemon->control);
	(void)session_stop(daemon->session, 0);
	manager_flush_all(daemon->manager);
	keeper_client_say(daemon->keeper, LINK_YIELD, NULL);
	log_say(&daemon->log, LOG_INFO, "making room for another server");
	_exit(EXIT_OK);
}

static int
start(struct daemon *daemon)
{
	int r;

	process_guard(daemon->options->debug, &daemon->log);
	if ((r = media_install_sigbus()) < 0)
		return fail(daemon, "SIGBUS", r, NULL);
	if ((r = media_scrub_environment()) < 0)
		return fail(daemon, "environment", r, NULL);
	r = lock_watch_start(
	    &daemon->log, LOCK_WATCH_STALL_MS, &daemon->lock_watch);
	if (r < 0)
		return fail(daemon, "lock watch", r, NULL);
	if ((r = open_devices(daemon)) < 0)
		return r;
	if ((r = open_and_start_session(daemon)) < 0)
		return r;
	if ((r = listen_for_control(daemon)) < 0)
		return r;
	log_session(daemon);
	return 0;
}

/* Signals are the keeper's: to us they may come because they go to all. */
static void
leave_signals_to_keeper(void)
{
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGUSR2, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
}

/* Returns the exit status. */
static int
run_server(const struct options *options)
{
	struct daemon daemon = {
		.options = options,
		.kernel = { forget_name, forget_data, &daemon },
	};
	int r, r2;

	if (options->config_fd >= 0)
		(void)close(options->config_fd); /* has been read */
	leave_signals_to_keeper();
	log_open(&daemon.log, options->debug);
	r = keeper_client_new(
	    options->ask_socket, options->notice_socket, &daemon.keeper);
	if (r < 0) {
		(void)fail(&daemon, "the keeper", r, NULL);
		return EXIT_SYSTEM;
	}
	daemon.follows = kept_fds_find(keeper_client_inherited(daemon.keeper),
			     "session") >= 0;
	if (daemon.follows && !options->foreground)
		leave_terminal(&daemon);
	if ((r = start(&daemon)) == 0) {
		announce(&daemon);
		if (serve(&daemon) == YIELD)
			yield(&daemon);
	}
	r2 = shut_down(&daemon);
	keeper_client_say(daemon.keeper, LINK_ENDED, NULL);
	keeper_client_free(daemon.keeper);
	if (r2 < 0 || r == -ENOMEM)
		return EXIT_SYSTEM;
	if (r < 0)
		return EXIT_MOUNT;
	log_say(&daemon.log, LOG_INFO, "%s: closed", options->backing);
	return EXIT_OK;
}

int
main(int argc, char *argv[])
{
	struct btt_error error = { "" };
	struct options options;
	int status;

	if (process_open_streams() < 0)
		return EXIT_SYSTEM;
	if (options_parse(argc, argv, &options, &error) < 0) {
		fprintf(stderr, "bttfs: %s\n", error.text);
		status = EXIT_USAGE;
		goto out;
	}
	switch (options.action) {
	case OPTIONS_HELP:
		options_print_help(stdout);
		status = EXIT_OK;
		break;
	case OPTIONS_VERSION:
		puts("bttfs " BTTFS_VERSION);
		status = EXIT_OK;
		break;
	case OPTIONS_SERVE:
	default:
		status = options.ask_socket < 0
		    ? keeper_run(&options, argc, argv)
		    : run_server(&options);
		break;
	}
out:
	options_fini(&options);
	return status;
}

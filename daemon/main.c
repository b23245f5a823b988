/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bttfs -- the daemon: attaches a device, mounts, serves, unmounts, detaches,
 * in this order, and undoes in the opposite one.
 *
 * Threads: this one, which takes the signals and talks to people; the session's
 * workers, which take the requests; the manager's, which do what may take long;
 * the caretaker; and the watch over locks.
 */
#include <sys/signalfd.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include <btt/btt.h>

#include "caretaker.h"
#include "fs.h"
#include "lock_watch.h"
#include "log.h"
#include "manager.h"
#include "mount.h"
#include "options.h"
#include "process.h"
#include "session.h"
#include "size.h"
#include "system_error.h"

/* Exit status, as mount(8) has it for its helpers. */
enum {
	EXIT_OK = 0,
	EXIT_USAGE = 1,
	EXIT_SYSTEM = 2,
	EXIT_MOUNT = 32,
};

/* While files are open, how often to try to unmount after SIGTERM. */
#define RETRY_MS 500
/* After a second signal: for users to leave, and for workers to finish. */
#define FORCE_MS 5000
#define LEAVE_MS 1000

/* Requests on page granularity sleep in syncs, on others they compute. */
#define NWORKER_PAGE 32
#define NWORKER_MIN 2
#define NWORKER_MAX 8

#define DAY_MS 86400000u

struct daemon {
	const struct options *options;
	struct log log;
	struct process_start start;
	struct process_guards guards;
	struct lock_watch *lock_watch;
	unsigned nworker;
	struct manager *manager;
	struct device *device; /* the one of the command line */
	struct mount *mount;
	struct session *session;
	struct caretaker *caretaker;
	int signal_fd;
	bool served; /* the mount has been usable */
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

static void
log_guard(const struct log *log, const char *what, int r)
{
	log_say(log, LOG_DEBUG, "%s: %s", what,
	    r == 0 ? "yes" : system_error_text(r));
}

static void
log_guards(const struct daemon *daemon)
{
	const struct process_guards *guards;

	guards = &daemon->guards;
	log_guard(&daemon->log, "memory locked", guards->memory_lock);
	log_guard(&daemon->log, "I/O flusher", guards->io_flusher);
	log_guard(
	    &daemon->log, "out-of-memory score lowered", guards->oom_score);
}

/* Does a write of this device sleep for a disk? */
static bool
is_page_granular(const struct device_options *options)
{
	if (options->force != MEDIA_FORCE_NONE)
		return options->force == MEDIA_FORCE_PAGE;
	return !media_is_dax(options->path);
}

static unsigned
choose_nworker(const struct options *options)
{
	long ncpu;

	if (options->nworker != 0)
		return options->nworker;
	if (is_page_granular(&options->device))
		return NWORKER_PAGE;
	ncpu = sysconf(_SC_NPROCESSORS_ONLN);
	if (ncpu < NWORKER_MIN)
		return NWORKER_MIN;
	return ncpu > NWORKER_MAX ? NWORKER_MAX : (unsigned)ncpu;
}

/* Attach the device of the command line, and wait until it can be shown. */
static int
attach_device(struct daemon *daemon)
{
	const struct device_options *options = &daemon->options->device;
	struct btt_error error = { "" };
	struct manager_owner owner;
	struct job_info info;
	struct job *job;
	int r;

	r = manager_attach(daemon->manager, options, &job, &owner, &error);
	if (r < 0)
		return fail(daemon, options->path, r, &error);
	while (!job_wait(job, DAY_MS))
		;
	job_get_info(job, &info);
	job_unref(job);
	if (info.error < 0) {
		(void)btt_error_set(&error, info.error, "%s", info.message);
		return fail(daemon, options->path, info.error, &error);
	}
	daemon->device = registry_find(daemon->manager->registry, info.device);
	return 0;
}

static int
open_device(struct daemon *daemon)
{
	int r;

	daemon->nworker = choose_nworker(daemon->options);
	r = manager_new(daemon->nworker, &daemon->log, &daemon->manager);
	if (r < 0)
		return fail(daemon, "starting", r, NULL);
	if ((r = attach_device(daemon)) < 0)
		return r;
	r = caretaker_start(daemon->manager, &daemon->caretaker);
	return r < 0 ? fail(daemon, "caretaker", r, NULL) : 0;
}

static void
on_hidden(void *arg, const char *name, uint64_t nodeid)
{
	session_forget_file(arg, name, nodeid);
}

/*
 * From here on a signal unmounts instead of ending the process: blocked in this
 * thread and all that it starts, read from a descriptor.  SIGHUP means that the
 * terminal has gone; in the background there is none.
 */
static int
take_signals(struct daemon *daemon)
{
	sigset_t taken;

	(void)sigemptyset(&taken);
	(void)sigaddset(&taken, SIGTERM);
	(void)sigaddset(&taken, SIGINT);
	if (daemon->start.ready_fd < 0)
		(void)sigaddset(&taken, SIGHUP);
	else
		(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)pthread_sigmask(SIG_BLOCK, &taken, NULL);
	daemon->signal_fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
	return daemon->signal_fd < 0 ? -errno : 0;
}

/* The path as the table of mounts should show it; to be freed. */
static char *
source_name(const struct options *options)
{
	if (options->fsname != NULL)
		return strdup(options->fsname);
	if (options->backing[0] == '/')
		return strdup(options->backing);
	return realpath(options->backing, NULL);
}

static int
mount_and_serve(struct daemon *daemon)
{
	struct mount_options options = {
		.path = daemon->options->mountpoint,
		.read_only = daemon->options->device.read_only,
		.sync = daemon->options->sync,
		.allow_other = daemon->options->allow_other,
	};
	const struct fs_context context = {
		.registry = daemon->manager->registry,
		.tree = daemon->manager->tree,
	};
	struct btt_error error = { "" };
	char *source;
	int fd, r;

	if ((r = take_signals(daemon)) < 0)
		return fail(daemon, "signalfd", r, NULL);
	if ((source = source_name(daemon->options)) == NULL)
		return fail(daemon, daemon->options->backing, -errno, NULL);
	options.source = source;
	r = mount_new(&options, &daemon->mount, &fd, &error);
	free(source);
	if (r < 0)
		return fail(daemon, options.path, r, &error);
	r = session_open(fd, &context, daemon->manager->pool, daemon->nworker,
	    &daemon->session, &error);
	if (r < 0)
		return fail(daemon, options.path, r, &error);
	if ((r = session_start(daemon->session, &error)) < 0)
		return fail(daemon, options.path, r, &error);
	manager_set_hidden(daemon->manager, on_hidden, daemon->session);
	return 0;
}

static void
log_session(const struct daemon *daemon)
{
	struct session_info info;

	session_get_info(daemon->session, &info);
	log_say(&daemon->log, LOG_DEBUG,
	    "FUSE 7.%u, requests up to %u bytes, %u workers, shared mmap: %s, "
	    "resend after a crash: %s, buffers locked: %s",
	    info.kernel_minor, info.max_write, daemon->nworker,
	    info.mmap ? "yes" : "no", info.resend ? "yes" : "no",
	    info.buffers_locked ? "yes" : "no");
}

/* Tell everybody who waits that the file can be used. */
static void
announce(struct daemon *daemon)
{
	const struct device *device;
	char size[SIZE_TEXT_BYTES];
	int r;

	/* The terminal was there for errors; mount(8) is silent too. */
	if (daemon->start.ready_fd >= 0)
		log_use_syslog(&daemon->log);
	device = daemon->device;
	size_format(device->geometry.size_bytes, size);
	log_say(&daemon->log, LOG_INFO,
	    "%s: serving as %s/%s, %s in sectors of %u bytes, %s, durable on "
	    "%s",
	    device->path, mount_path(daemon->mount), device->name, size,
	    device->geometry.sector_bytes,
	    device->geometry.read_only ? "read-only" : "read-write",
	    device->geometry.durability == BTT_DURABLE_WRITE ? "write"
							     : "flush");
	(void)sd_notifyf(0, "READY=1\nSTATUS=Serving %s/%s",
	    mount_path(daemon->mount), device->name);
	if ((r = process_ready(&daemon->start)) < 0)
		(void)fail(daemon, "leaving the terminal", r, NULL);
}

/* How far stopping has come. */
struct stop {
	unsigned nsignal;
	bool unmounted; /* from our path; maybe not from everywhere */
	bool said;      /* why it takes long */
};

/*
 * Wait for a signal, which is counted, or for the end of the session, which is
 * answered by true.
 */
static bool
await_end(struct daemon *daemon, int timeout_ms, struct stop *stop)
{
	struct pollfd fds[] = {
		{ .fd = session_fd(daemon->session), .events = POLLIN },
		{ .fd = daemon->signal_fd, .events = POLLIN },
	};
	struct signalfd_siginfo info;

	if (poll(fds, 2, timeout_ms) < 0)
		return false; /* EINTR: the caller asks again */
	if (read(daemon->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		log_say(&daemon->log, LOG_NOTICE, "%s from pid %u: stopping",
		    sigdescr_np((int)info.ssi_signo), info.ssi_pid);
		if (stop->nsignal++ == 0)
			(void)sd_notify(0, "STOPPING=1");
	}
	return fds[0].revents != 0;
}

/* Say once why stopping has to wait. */
static void
say_waiting(struct daemon *daemon, struct stop *stop, int r,
    const struct btt_error *error)
{
	char users[400];

	if (stop->said)
		return;
	stop->said = true;
	if (stop->unmounted)
		snprintf(users, sizeof(users),
		    "still mounted elsewhere (a bind mount, or another mount "
		    "namespace)");
	else if (r != -EBUSY || !mount_is_visible(daemon->mount))
		snprintf(users, sizeof(users), "%s", error->text);
	else
		mount_describe_users(daemon->mount, users, sizeof(users));
	if (users[0] == '\0')
		snprintf(users, sizeof(users), "busy");
	log_say(&daemon->log, LOG_WARNING,
	    "%s: %s; waiting for that to end, a second signal does not wait",
	    mount_path(daemon->mount), users);
	(void)sd_notifyf(0, "STATUS=Waiting to unmount: %s", users);
}

/*
 * Take the file system away from whoever still uses it.  Users get ENOTCONN;
 * what was acknowledged to them is as safe as was promised.
 */
static void
force(struct daemon *daemon, struct stop *stop)
{
	struct btt_error error = { "" };
	const char *path;
	int r;

	path = mount_path(daemon->mount);
	if (!stop->unmounted) {
		log_say(
		    &daemon->log, LOG_WARNING, "%s: unmounting lazily", path);
		r = mount_remove(daemon->mount, MOUNT_LAZILY, &error);
		if (r < 0)
			(void)fail(daemon, path, r, &error);
	}
	if (await_end(daemon, FORCE_MS, stop))
		return;
	if ((r = mount_abort(daemon->mount)) == 0)
		log_say(&daemon->log, LOG_WARNING,
		    "%s: aborted what was in use", path);
	else
		/* Then what is in use fails when the descriptor is closed. */
		log_say(&daemon->log, LOG_WARNING,
		    "%s: leaving while it is in use", path);
}

/*
 * Serve until the file system is gone: unmounted by somebody else, or by
 * ourselves, after a signal as soon as nobody uses it, after a second one in
 * any case.
 */
static void
serve(struct daemon *daemon)
{
	struct btt_error error = { "" };
	struct stop stop = { 0 };
	int r;

	while (!await_end(daemon, stop.nsignal == 0 ? -1 : RETRY_MS, &stop)) {
		if (stop.nsignal == 0)
			continue;
		r = 0;
		if (!stop.unmounted) {
			r = mount_remove(daemon->mount, MOUNT_CLEANLY, &error);
			stop.unmounted = r == 0;
			if (r == 0)
				continue; /* the session ends now */
		}
		if (stop.nsignal > 1) {
			force(daemon, &stop);
			return;
		}
		say_waiting(daemon, &stop, r, &error);
	}
}

/* Has somebody sent one more signal?  Asked while devices are closed. */
static bool
is_hurried(void *arg)
{
	const struct daemon *daemon = arg;
	struct signalfd_siginfo info;

	return read(daemon->signal_fd, &info, sizeof(info)) == sizeof(info);
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
	struct btt_error error = { "" };
	int r, r2;

	r = 0;
	if (daemon->session != NULL)
		r = session_stop(daemon->session, LEAVE_MS);
	if (r < 0)
		(void)fail(daemon, "reading requests", r, NULL);
	/*
	 * Only where the session did not end with its mount: else what is at
	 * the path may be somebody else's by now.
	 */
	if (daemon->mount != NULL && (r < 0 || !daemon->served)) {
		r2 = mount_remove(daemon->mount, MOUNT_LAZILY, &error);
		if (r2 < 0)
			(void)fail(
			    daemon, mount_path(daemon->mount), r2, &error);
	}
	caretaker_stop(daemon->caretaker);
	if (daemon->manager != NULL)
		manager_unset_hidden(daemon->manager);
	/* Whoever still waits is told now, not after the last sync. */
	session_close(daemon->session);
	mount_free(daemon->mount);
	device_unref(daemon->device);
	r2 = 0;
	if (daemon->manager != NULL)
		r2 = manager_stop(daemon->manager, is_hurried, daemon);
	if (r2 == -EINTR)
		leave_at_once(daemon);
	manager_free(daemon->manager);
	lock_watch_stop(daemon->lock_watch);
	if (daemon->signal_fd >= 0)
		(void)close(daemon->signal_fd);
	return r < 0 ? r : r2;
}

static int
start(struct daemon *daemon)
{
	int r;

	process_guard(daemon->options->debug, &daemon->guards);
	log_guards(daemon);
	if ((r = media_install_sigbus()) < 0)
		return fail(daemon, "SIGBUS", r, NULL);
	if ((r = media_scrub_environment()) < 0)
		return fail(daemon, "environment", r, NULL);
	r = lock_watch_start(
	    &daemon->log, LOCK_WATCH_STALL_MS, &daemon->lock_watch);
	if (r < 0)
		return fail(daemon, "lock watch", r, NULL);
	if ((r = open_device(daemon)) < 0)
		return r;
	if ((r = mount_and_serve(daemon)) < 0)
		return r;
	log_session(daemon);
	return 0;
}

/* Returns the exit status. */
static int
run(const struct options *options)
{
	struct daemon daemon = {
		.options = options,
		.start = { .ready_fd = -1 },
		.signal_fd = -1,
	};
	int r, r2;

	log_open(&daemon.log, options->debug);
	if (!options->foreground && (r = process_fork(&daemon.start)) < 0) {
		(void)fail(&daemon, "fork", r, NULL);
		return EXIT_SYSTEM;
	}
	if ((r = start(&daemon)) == 0) {
		daemon.served = true;
		announce(&daemon);
		serve(&daemon);
	}
	r2 = shut_down(&daemon);
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
		status = run(&options);
		break;
	}
out:
	options_fini(&options);
	return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "keeper.h"

#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lanes/clock.h>
#include <systemd/sd-daemon.h>

#include "exit_status.h"
#include "keeper_impl.h"
#include "link.h"
#include "system_error.h"

/* Within so long, options->ncrash crashes are too many. */
#define CRASH_WINDOW_MS 60000u
/* A server that was killed for hanging should have ended by then. */
#define KILLED_MS 2000u
/* A server that hangs is asked a few times before it is given up. */
#define PINGS_PER_HANG 4u
#define PING_MS_MAX 5000u
#define PING_MS_MIN 100u

int
keeper_fail(const struct keeper *keeper, const char *what, int r,
    const struct btt_error *error)
{
	log_say(&keeper->log, LOG_ERR, "%s: %s", what,
	    error != NULL && error->text[0] != '\0' ? error->text
						    : system_error_text(r));
	return r;
}

/*
 * From here on a signal unmounts instead of ending the process.  SIGHUP means
 * that the terminal has gone; in the background there is none.
 */
static int
take_signals(struct keeper *keeper)
{
	sigset_t taken;

	(void)sigemptyset(&taken);
	(void)sigaddset(&taken, SIGTERM);
	(void)sigaddset(&taken, SIGINT);
	(void)sigaddset(&taken, SIGCHLD);
	(void)sigaddset(&taken, SIGUSR2);
	if (keeper->start.ready_fd < 0)
		(void)sigaddset(&taken, SIGHUP);
	else
		(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigprocmask(SIG_BLOCK, &taken, NULL);
	keeper->signal_fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
	return keeper->signal_fd < 0 ? -errno : 0;
}

/* A device is a descriptor here and a few there. */
static void
raise_nofile(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* then fewer must do */
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

/* For the server, which has what is to be shown. */
static int
do_mount(struct keeper *keeper, int *ret_fd, struct btt_error *error)
{
	struct mount_options options = {
		.path = keeper->options->mountpoint,
		.read_only = keeper->options->device.read_only,
		.sync = keeper->options->sync,
		.allow_other = keeper->options->allow_other,
	};
	char *source;
	int fd, r;

	if (keeper->state != NULL) {
		*ret_fd = kept_fds_find(&keeper->kept, "fuse");
		return *ret_fd < 0 ? -ESHUTDOWN : 0;
	}
	if (keeper->mount != NULL || keeper->stop.nsignal > 0)
		return btt_error_set(error, -ESHUTDOWN, "it is to stop");
	if ((source = source_name(keeper->options)) == NULL)
		return system_error(error, -errno, keeper->options->backing);
	options.source = source;
	r = mount_new(&options, &keeper->mount, &fd, error);
	free(source);
	if (r < 0)
		return r;
	*ret_fd = fd;
	return kept_fds_put(&keeper->kept, "fuse", fd);
}

/* Tell everybody who waits that the mount can be used. */
static void
announce(struct keeper *keeper, const struct link_message *message)
{
	int r;

	keeper->serving = true;
	keeper->can_resend = message->value != 0;
	if (keeper->served)
		log_say(&keeper->log, LOG_NOTICE,
		    "%s: served again, after %llu ms",
		    mount_path(keeper->mount),
		    (unsigned long long)(clock_ms() - keeper->started_ms));
	else if (!keeper->can_resend)
		log_say(&keeper->log, LOG_NOTICE,
		    "%s: the kernel could not give requests out again: a "
		    "crash of the server will end the mount",
		    mount_path(keeper->mount));
	(void)sd_notifyf(0, "READY=1\nSTATUS=%s", message->text);
	if (keeper->served)
		return;
	keeper->served = true;
	keeper_note_serving(keeper);
	if (keeper->start.ready_fd >= 0)
		log_use_syslog(&keeper->log);
	if ((r = process_ready(&keeper->start)) < 0)
		(void)keeper_fail(keeper, "leaving the terminal", r, NULL);
}

static void
answer(struct keeper *keeper, int r, const char *text, int fd)
{
	/* Whoever does not hear it has ended. */
	(void)link_send(keeper->ask_socket, LINK_DONE, r, text, fd);
}

static void
on_question(struct keeper *keeper)
{
	struct btt_error error = { "" };
	struct link_message message;
	int fd, mounted = -1, r;

	if ((r = link_receive(keeper->ask_socket, &message, &fd)) < 0) {
		(void)close(keeper->ask_socket);
		keeper->ask_socket = -1; /* it ends */
		return;
	}
	r = 0;
	if (message.kind == LINK_KEEP && fd >= 0) {
		r = keeper_keep(keeper, message.text, fd);
		fd = -1;
	} else if (message.kind == LINK_DROP)
		keeper_drop(keeper, message.text);
	else if (message.kind == LINK_MOUNT)
		r = do_mount(keeper, &mounted, &error);
	else if (message.kind == LINK_SERVING)
		announce(keeper, &message);
	else if (message.kind == LINK_STATUS)
		(void)sd_notifyf(0, "STATUS=%s", message.text);
	else if (message.kind == LINK_ENDED)
		keeper->ended = true;
	else if (message.kind == LINK_YIELD)
		keeper->yields = true;
	else
		r = -EPROTO;
	if (fd >= 0)
		(void)close(fd); /* not meant to come */
	answer(keeper, r, error.text, mounted);
}

/* It answers, but some request has not been answered for too long? */
static void
on_pong(struct keeper *keeper, int32_t stuck_ms)
{
	uint64_t hang_ms = (uint64_t)keeper->options->hang_seconds * 1000;

	if (hang_ms != 0 && stuck_ms >= 0 && (uint64_t)stuck_ms >= hang_ms)
		return; /* as good as no answer */
	keeper->ponged_ms = clock_ms();
	(void)sd_notify(0, "WATCHDOG=1");
	/* One that has answered for a while is not what hung before it. */
	if (keeper->ponged_ms - keeper->started_ms > 2 * hang_ms)
		keeper->nhang = 0;
}

void
keeper_ask_to_yield(struct keeper *keeper, const char *who)
{
	log_say(
	    &keeper->log, LOG_NOTICE, "%s: another server is to go on", who);
	if (keeper->notice_socket >= 0)
		(void)link_send(
		    keeper->notice_socket, LINK_RESTART, 0, NULL, -1);
}

static void
on_notice(struct keeper *keeper)
{
	struct link_message message;
	int fd;

	if (link_receive(keeper->notice_socket, &message, &fd) < 0) {
		(void)close(keeper->notice_socket);
		keeper->notice_socket = -1; /* it ends */
		return;
	}
	if (fd >= 0)
		(void)close(fd);
	if (message.kind == LINK_PONG)
		on_pong(keeper, message.value);
	else if (message.kind == LINK_UPGRADE)
		keeper_ask_to_yield(keeper, "asked for");
}

/* Too many of them in a short time? */
static bool
note_crash(struct keeper *keeper)
{
	unsigned most = keeper->options->ncrash;
	uint64_t now = clock_ms(), before;

	if (most == 0)
		return true;
	before = keeper->crashes[keeper->ncrash % most];
	keeper->crashes[keeper->ncrash++ % most] = now;
	return keeper->ncrash > most && now - before < CRASH_WINDOW_MS;
}

static void
describe_end(int status, char *ret_text, size_t bytes)
{
	if (WIFSIGNALED(status))
		snprintf(ret_text, bytes, "the server was ended by %s",
		    sigdescr_np(WTERMSIG(status)));
	else
		snprintf(ret_text, bytes, "the server ended with status %d",
		    WEXITSTATUS(status));
}

/* The mount goes with its server: nobody is left waiting. */
static void
give_up(struct keeper *keeper, const char *why)
{
	struct btt_error error = { "" };
	const char *path = mount_path(keeper->mount);

	log_say(&keeper->log, LOG_ERR, "%s: giving up: %s", path, why);
	(void)sd_notifyf(0, "STATUS=Given up: %s", why);
	keeper_abort(keeper, why);
	keeper_drop_all(keeper);
	if (keeper->state == NULL && !keeper->stop.unmounted &&
	    mount_remove(keeper->mount, MOUNT_LAZILY, &error) < 0)
		log_say(&keeper->log, LOG_ERR, "%s: %s", path, error.text);
	keeper->status = EXIT_SYSTEM;
}

/* Returns whether there is a server again. */
static bool
succeed(struct keeper *keeper, int status)
{
	char text[128];
	int r;

	if (keeper->leaving) {
		/* If it has not yielded, it is followed as after a crash. */
		keeper->status = EXIT_OK;
		return false;
	}
	if (kept_fds_find(&keeper->kept, "fuse") < 0)
		return false; /* it was forced to leave, and did not get far */
	if (!keeper->yields) {
		describe_end(status, text, sizeof(text));
		log_say(&keeper->log, LOG_ERR, "%s: %s, starting another",
		    mount_path(keeper->mount), text);
		if (!keeper->can_resend) {
			give_up(keeper,
			    "the kernel cannot give requests out "
			    "again");
			return false;
		}
		if (note_crash(keeper)) {
			give_up(keeper, "too many crashes");
			return false;
		}
	}
	if ((r = keeper_start_server(keeper)) == 0)
		return true;
	(void)keeper_fail(keeper, keeper->program, r, NULL);
	give_up(keeper, "no server can be started");
	return false;
}

static void
close_sockets(struct keeper *keeper)
{
	if (keeper->ask_socket >= 0)
		(void)close(keeper->ask_socket);
	if (keeper->notice_socket >= 0)
		(void)close(keeper->notice_socket);
	keeper->ask_socket = keeper->notice_socket = -1;
}

/*
 * The server has ended.  What it has asked for before is heard first.  Returns
 * whether to go on.
 */
static bool
on_server_end(struct keeper *keeper, int status)
{
	struct pollfd left = { .events = POLLIN };

	while ((left.fd = keeper->ask_socket) >= 0 && poll(&left, 1, 0) > 0)
		on_question(keeper);
	close_sockets(keeper);
	keeper->pid = 0;
	if (keeper->ended || !keeper->served) {
		if (!keeper->served && WIFSIGNALED(status))
			log_say(&keeper->log, LOG_ERR,
			    "the server was ended by %s",
			    sigdescr_np(WTERMSIG(status)));
		if (!keeper->served && keeper->mount != NULL &&
		    keeper->state == NULL)
			give_up(keeper, "its first server has failed");
		keeper->status =
		    WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SYSTEM;
		return false;
	}
	return succeed(keeper, status);
}

/* Returns whether to go on. */
static bool
on_signal(struct keeper *keeper)
{
	struct signalfd_siginfo info;
	int status;

	if (read(keeper->signal_fd, &info, sizeof(info)) != sizeof(info))
		return true;
	switch (info.ssi_signo) {
	case SIGCHLD:
		if (keeper->pid > 0 &&
		    waitpid(keeper->pid, &status, WNOHANG) == keeper->pid)
			return on_server_end(keeper, status);
		return true;
	case SIGUSR2:
		if (keeper->served)
			keeper_ask_to_yield(keeper, "signalled");
		return true;
	default:
		log_say(&keeper->log, LOG_NOTICE, "%s from pid %u: stopping",
		    sigdescr_np((int)info.ssi_signo), info.ssi_pid);
		keeper_on_stop(keeper);
		return true;
	}
}

static unsigned
ping_ms(const struct keeper *keeper)
{
	uint64_t ms =
	    (uint64_t)keeper->options->hang_seconds * 1000 / PINGS_PER_HANG;

	if (ms > PING_MS_MAX || ms == 0)
		ms = PING_MS_MAX;
	/* systemd's watchdog may be more impatient. */
	if (keeper->watchdog_ms != 0 &&
	    ms > keeper->watchdog_ms / PINGS_PER_HANG)
		ms = keeper->watchdog_ms / PINGS_PER_HANG;
	return ms < PING_MS_MIN ? PING_MS_MIN : (unsigned)ms;
}

/*
 * A server that hangs is killed.  If its successor hangs as well, or if it
 * cannot be killed, as when it waits for a device below, waiting more helps
 * nobody.  Returns whether to go on.
 */
static bool
watch(struct keeper *keeper)
{
	uint64_t now = clock_ms();
	uint64_t hang_ms = (uint64_t)keeper->options->hang_seconds * 1000;

	if (keeper->pid == 0)
		return true;
	if (!keeper->serving) {
		/* It is said by nobody else that this is no hang yet. */
		if (hang_ms == 0 || now - keeper->started_ms < hang_ms)
			(void)sd_notify(0, "WATCHDOG=1");
		return true;
	}
	if (keeper->killed_ms != 0) {
		if (now - keeper->killed_ms < KILLED_MS)
			return true;
		give_up(keeper, "the server hangs and cannot be killed");
		return false;
	}
	if (now - keeper->pinged_ms >= ping_ms(keeper)) {
		keeper->pinged_ms = now;
		(void)link_send(keeper->notice_socket, LINK_PING, 0, NULL, -1);
	}
	if (hang_ms == 0 || now - keeper->ponged_ms < hang_ms)
		return true;
	log_say(&keeper->log, LOG_ERR, "%s: the server hangs: killing it",
	    mount_path(keeper->mount));
	if (keeper->nhang++ > 0)
		keeper_abort(keeper, "it hangs again");
	keeper->killed_ms = now;
	(void)kill(keeper->pid, SIGKILL);
	return true;
}

static void
keep(struct keeper *keeper)
{
	bool go_on = true;

	while (go_on) {
		struct pollfd fds[] = {
			{ .fd = keeper->signal_fd, .events = POLLIN },
			{ .fd = keeper->ask_socket, .events = POLLIN },
			{ .fd = keeper->notice_socket, .events = POLLIN },
		};
		unsigned timeout_ms = ping_ms(keeper);

		if (keeper->stop.nsignal > 0 && timeout_ms > KEEPER_RETRY_MS)
			timeout_ms = KEEPER_RETRY_MS;
		(void)poll(fds, 3, (int)timeout_ms); /* EINTR: look around */
		if (fds[1].revents != 0)
			on_question(keeper);
		if (fds[2].revents != 0)
			on_notice(keeper);
		if (fds[0].revents != 0)
			go_on = on_signal(keeper);
		if (!go_on)
			break;
		keeper_go_on_stopping(keeper);
		go_on = watch(keeper);
	}
}

static int
start(struct keeper *keeper, int argc, char *argv[])
{
	uint64_t watchdog_us;
	int r;

	raise_nofile();
	if (sd_watchdog_enabled(0, &watchdog_us) > 0)
		keeper->watchdog_ms = watchdog_us / 1000;
	process_guard(keeper->options->debug, NULL); /* servers say what */
	keeper->crashes =
	    calloc(keeper->options->ncrash + 1u, sizeof(*keeper->crashes));
	if (keeper->crashes == NULL)
		return keeper_fail(keeper, "starting", -ENOMEM, NULL);
	if ((r = take_signals(keeper)) < 0)
		return keeper_fail(keeper, "signalfd", r, NULL);
	if ((r = keeper_prepare(keeper, argc, argv)) < 0)
		return keeper_fail(keeper, keeper->options->backing, r, NULL);
	if ((r = keeper_adopt(keeper)) < 0)
		return keeper_fail(keeper, "taking over the mount", r, NULL);
	if ((r = keeper_start_server(keeper)) < 0)
		return keeper_fail(keeper, keeper->program, r, NULL);
	return 0;
}

int
keeper_run(const struct options *options, int argc, char *argv[])
{
	struct keeper keeper = {
		.options = options,
		.start = { .ready_fd = -1 },
		.config_fd = -1,
		.signal_fd = -1,
		.ask_socket = -1,
		.notice_socket = -1,
		.status = EXIT_SYSTEM,
	};
	int r;

	log_open(&keeper.log, options->debug);
	if (!options->foreground && (r = process_fork(&keeper.start)) < 0) {
		(void)keeper_fail(&keeper, "fork", r, NULL);
		return EXIT_SYSTEM;
	}
	if (start(&keeper, argc, argv) == 0)
		keep(&keeper);
	mount_free(keeper.mount);
	kept_fds_fini(&keeper.kept);
	keeper_unprepare(&keeper);
	free(keeper.crashes);
	/* Descriptors, the process's end gives back. */
	return keeper.status;
}

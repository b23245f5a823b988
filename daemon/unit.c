/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bttfs-unit -- the part of bttfs@.service that needs privileges: mounting and
 * unmounting.  It runs for a moment before and after the service, which has
 * none.
 *
 *	bttfs-unit start UNIT --config FILE
 *		Open the backing stores, mount, and leave all with systemd, which
 *		gives it to bttfs (keeper_held.c).  If the unit has left what it
 *		had with systemd, to be started again, there is nothing to do.
 *	bttfs-unit stop UNIT ...
 *		Stop bttfs-loop@.service, unmount as soon as nobody uses the
 *		mount, or after a while in any case, and wait for bttfs to see
 *		that and end.  Not for a restart.
 *	bttfs-unit clean UNIT ...
 *		When bttfs has ended: unmount unless it is to be started again.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <btt/media.h>
#include <lanes/sync.h>
#include <systemd/sd-daemon.h>

#include "device_kept.h"
#include "exit_status.h"
#include "fd_store.h"
#include "log.h"
#include "mount.h"
#include "options.h"
#include "system_error.h"
#include "unit_systemd.h"

/*
 * For users to leave, and for bttfs to end after that.  The unit's
 * TimeoutStopSec is more than both.
 */
#define PATIENCE_MS 30000
#define END_MS 45000
#define RETRY_MS 100

struct unit {
	char *name;
	struct options options;
	struct log log;
};

static int
fail(const struct unit *unit, const char *what, int r,
    const struct btt_error *error)
{
	log_say(&unit->log, LOG_ERR, "%s: %s", what,
	    error != NULL && error->text[0] != '\0' ? error->text
						    : system_error_text(r));
	return r;
}

static void
sleep_ms(long ms)
{
	const struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	(void)SYNC_SLEEPS(nanosleep(&time, NULL));
}

/* Descriptors that may be -1. */
static void
close_fds(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (fds[i] >= 0)
			(void)close(fds[i]); /* nothing was written to it */
	}
}

/* The last one is what the others are of use with. */
static int
store(int abort_fd, int fuse_fd)
{
	int r;

	/* Without fusectl, requests end with the last descriptor only. */
	if (abort_fd >= 0 && (r = fd_store_put("abort", abort_fd)) < 0)
		return r;
	if ((r = fd_store_put("fuse", fuse_fd)) < 0)
		return r;
	return fd_store_settle();
}

static int
mount_and_store(const struct unit *unit)
{
	const struct options *options = &unit->options;
	const struct mount_options mount_options = {
		.path = options->mountpoint,
		.source = options->fsname != NULL ? options->fsname
						  : options->backing,
		.read_only = options->device.read_only,
		.sync = options->sync,
		.allow_other = options->allow_other,
	};
	struct btt_error error = { "" };
	struct mount *mnt;
	int fds[2], r;

	r = mount_new(&mount_options, &mnt, &fds[0], &error);
	if (r < 0)
		return fail(unit, options->mountpoint, r, &error);
	fds[1] = mount_abort_fd(mnt);
	if ((r = store(fds[1], fds[0])) < 0) {
		(void)fail(unit, "handing the mount to systemd", r, NULL);
		if (mount_remove(mnt, MOUNT_LAZILY, &error) < 0)
			(void)fail(unit, options->mountpoint, r, &error);
	}
	close_fds(fds, 2);
	mount_free(mnt);
	return r;
}

/* One of ours that nobody serves any more is in the way of the next one. */
static void
clear_dead_mount(const struct unit *unit)
{
	const char *path = unit->options.mountpoint;
	struct btt_error error = { "" };
	struct mount *mnt;
	struct statx stx;

	if (mount_find(path, &mnt) < 0)
		return;
	if (statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, STATX_MODE, &stx) != 0 &&
	    errno == ENOTCONN) {
		log_say(&unit->log, LOG_NOTICE,
		    "%s: clearing a mount that nobody serves", path);
		if (mount_remove(mnt, MOUNT_LAZILY, &error) < 0)
			log_say(
			    &unit->log, LOG_ERR, "%s: %s", path, error.text);
	}
	mount_free(mnt);
}

static int
open_and_store(const struct unit *unit, const struct device_options *device)
{
	char key[DEVICE_KEPT_KEY_BYTES];
	struct btt_error error = { "" };
	int fd, r;

	fd = media_open_backing(device->path, device->read_only, &error);
	if (fd < 0)
		return fail(unit, device->path, fd, &error);
	device_kept_backing_key(device_options_name(device), key);
	if ((r = fd_store_put(key, fd)) < 0)
		(void)fail(unit, device->path, r, NULL);
	(void)close(fd); /* nothing was written to it */
	return r;
}

/* Of several, one that cannot be opened is in nobody's way: bttfs.conf(5). */
static int
open_backings(const struct unit *unit)
{
	const struct config *config = &unit->options.config;
	size_t i;

	if (!unit->options.has_config)
		return open_and_store(unit, &unit->options.device);
	for (i = 0; i < config->ndevice; i++)
		(void)open_and_store(unit, &config->devices[i]); /* is said */
	return 0;
}

static int
start(struct unit *unit)
{
	const struct options *options = &unit->options;
	struct mount *mnt;
	int r;

	if (unit_count_stored(unit->name) > 0) {
		if ((r = mount_find(options->mountpoint, &mnt)) == 0)
			mount_free(mnt);
		return r < 0
		    ? fail(unit, "the mount has gone meanwhile", r, NULL)
		    : 0;
	}
	clear_dead_mount(unit);
	if ((r = open_backings(unit)) < 0)
		return r;
	return mount_and_store(unit);
}

/* Say once why it takes long. */
static void
say_waiting(const struct unit *unit, const struct mount *mnt)
{
	char users[400];

	mount_describe_users(mnt, users, sizeof(users));
	log_say(&unit->log, LOG_WARNING,
	    "%s: in use%s%s; waiting for that to end, for up to %u s",
	    mount_path(mnt), users[0] != '\0' ? " by " : "", users,
	    PATIENCE_MS / 1000);
	(void)sd_notifyf(0, "STATUS=Waiting to unmount: in use%s%s",
	    users[0] != '\0' ? " by " : "", users);
}

static int
unmount(const struct unit *unit, const struct mount *mnt)
{
	struct btt_error error = { "" };
	int r, waited_ms;

	for (waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms += RETRY_MS) {
		r = mount_remove(mnt, MOUNT_CLEANLY, &error);
		if (r != -EBUSY)
			return r < 0 ? fail(unit, mount_path(mnt), r, &error)
				     : 0;
		if (waited_ms == 0)
			say_waiting(unit, mnt);
		sleep_ms(RETRY_MS);
	}
	log_say(&unit->log, LOG_WARNING,
	    "%s: taking it away from who still uses it", mount_path(mnt));
	if ((r = mount_remove(mnt, MOUNT_LAZILY, &error)) < 0)
		return fail(unit, mount_path(mnt), r, &error);
	return -EBUSY;
}

/* Devices are closed, which may take a while. */
static void
wait_for_end(pid_t pid)
{
	int waited_ms;

	for (waited_ms = 0; waited_ms < END_MS && kill(pid, 0) == 0;
	     waited_ms += RETRY_MS)
		sleep_ms(RETRY_MS);
}

static int
stop(struct unit *unit)
{
	const char *main_pid = getenv("MAINPID");
	struct mount *mnt;
	int r;

	/* One that has crashed is followed, or cleaned up behind. */
	if (main_pid == NULL || unit_get_job(unit->name) == UNIT_START ||
	    mount_find(unit->options.mountpoint, &mnt) < 0)
		return 0;
	unit_stop_loops(unit->name);
	if ((r = unmount(unit, mnt)) == 0)
		wait_for_end((pid_t)strtol(main_pid, NULL, 10));
	mount_free(mnt);
	return r == -EBUSY ? 0 : r; /* systemd goes on to a signal */
}

/* Does systemd start it again, by itself or because somebody wants it? */
static bool
is_to_come_back(struct unit *unit)
{
	const char *result = getenv("SERVICE_RESULT");
	enum unit_job job = unit_get_job(unit->name);

	if (job != UNIT_NO_JOB)
		return job == UNIT_START;
	/* The unit's Restart= and RestartPreventExitStatus=. */
	return result != NULL && strcmp(result, "success") != 0 &&
	    strcmp(result, "exit-code") != 0 && !unit_stays_down(unit->name);
}

static int
clean(struct unit *unit)
{
	struct btt_error error = { "" };
	struct mount *mnt;
	int r;

	if (is_to_come_back(unit) ||
	    mount_find(unit->options.mountpoint, &mnt) < 0)
		return 0;
	/* What systemd keeps for the unit it gives up now. */
	if ((r = mount_remove(mnt, MOUNT_LAZILY, &error)) < 0)
		(void)fail(unit, mount_path(mnt), r, &error);
	mount_free(mnt);
	return r;
}

/*
 * Where everybody sees the mount.  A unit that is kept apart from the system's
 * tree of files has a tree of its own for all its programs, privileged ones too.
 */
static int
enter_system(const struct unit *unit)
{
	int fd, r;

	if ((fd = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC)) < 0)
		return fail(unit, "/proc/1/ns/mnt", -errno, NULL);
	r = setns(fd, CLONE_NEWNS) != 0 ? -errno : 0;
	(void)close(fd);
	return r < 0 ? fail(unit, "the system's mounts", r, NULL) : 0;
}

static const struct {
	const char *name;
	int (*run)(struct unit *unit);
} verbs[] = { { "start", start }, { "stop", stop }, { "clean", clean } };

static int
run(struct unit *unit, const char *verb)
{
	size_t i;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].name, verb) != 0)
			continue;
		if (enter_system(unit) < 0)
			return EXIT_SYSTEM;
		return verbs[i].run(unit) < 0 ? EXIT_MOUNT : EXIT_OK;
	}
	fprintf(stderr, "bttfs-unit: unknown word '%s'\n", verb);
	return EXIT_USAGE;
}

int
main(int argc, char *argv[])
{
	struct btt_error error = { "" };
	struct unit unit;
	int status = EXIT_USAGE;

	if (argc < 3) {
		fputs("usage: bttfs-unit start|stop|clean UNIT ARGUMENT ...\n"
		      "The arguments are those of bttfs; bttfs@.service runs "
		      "it.\n",
		    stderr);
		return EXIT_USAGE;
	}
	unit.name = argv[2];
	if (options_parse(argc - 2, argv + 2, &unit.options, &error) < 0)
		fprintf(stderr, "bttfs-unit: %s\n", error.text);
	else if (unit.options.action == OPTIONS_SERVE) {
		log_open(&unit.log, unit.options.debug);
		status = run(&unit, argv[1]);
	}
	options_fini(&unit.options);
	return status;
}

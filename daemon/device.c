/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/mman.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "device_bad.h"
#include "device_kept.h"
#include "path.h"

/* For transitions; never over I/O. */
static const struct lock_class device_class = {
	.name = "device",
	.rank = 20,
	.flags = 0,
};

/* Nothing is taken while these are held, and nothing sleeps. */
static const struct lock_class status_class = {
	.name = "device-status",
	.rank = 84,
	.flags = LOCK_LEAF,
};
static const struct lock_class attr_class = {
	.name = "device-attr",
	.rank = 85,
	.flags = LOCK_LEAF,
};

/* What is waited for by who closes a device: those who look at it. */
static const struct lock_class pins_class = {
	.name = "device-idle",
	.flags = LOCK_IDLE,
};

void
device_options_init(struct device_options *ret_options)
{
	*ret_options = (struct device_options){
		.mode = 0600,
		.uid = geteuid(),
		.gid = getegid(),
		.commit_seconds = DEVICE_COMMIT_SECONDS,
		.fd = -1,
	};
}

static const char *
last_component(const char *path)
{
	const char *slash;

	slash = strrchr(path, '/');
	return slash != NULL ? slash + 1 : path;
}

void
device_options_close(const struct device_options *options)
{
	if (options->fd >= 0)
		(void)close(options->fd); /* nothing was written to it */
}

const char *
device_options_name(const struct device_options *options)
{
	return options->name != NULL ? options->name
				     : last_component(options->path);
}

const char *
device_state_name(enum device_state state)
{
	switch (state) {
	case DEVICE_PROBING:
		return "probing";
	case DEVICE_LIVE:
		return "live";
	case DEVICE_READONLY:
		return "readonly";
	case DEVICE_DRAINING:
		return "draining";
	case DEVICE_FAILED:
		return "failed";
	case DEVICE_GONE:
		return "gone";
	}
	return "unknown";
}

bool
device_state_is_shown(enum device_state state)
{
	return state == DEVICE_LIVE || state == DEVICE_READONLY;
}

bool
device_name_valid(const char *name)
{
	size_t n;

	n = strlen(name);
	if (n == 0 || n > NAME_MAX || strchr(name, '/') != NULL)
		return false;
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static void
init_attr(struct device *device, const struct device_options *options)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	device->attr.mode = options->mode;
	device->attr.uid = options->uid;
	device->attr.gid = options->gid;
	device->attr.atime = now;
	device->attr.mtime = now;
	device->attr.ctime = now;
}

static void
destroy(struct device *device)
{
	device_options_close(&device->options);
	assert(device->media == NULL && device->btt == NULL);
	mutex_fini(&device->attr_lock);
	mutex_fini(&device->status_lock);
	mutex_fini(&device->lock);
	device_kept_free(device->kept);
	job_unref(device->attach_job);
	job_unref(device->detach_job);
	job_unref(device->scrub_job);
	io_stats_free(device->io_stats);
	free(device->namespace);
	free(device->name);
	free(device->backing);
	free(device->path);
	sync_assert_no_lock_in(device, sizeof(*device));
	free(device);
}

int
device_new(const struct device_options *options, struct event_ring *events,
    struct job_table *jobs, struct device **ret_device, struct btt_error *error)
{
	struct device *device;
	const char *name = device_options_name(options);

	if (!device_name_valid(name)) {
		device_options_close(options);
		return btt_error_set(error, -EINVAL,
		    "'%s' cannot be the name of a file, choose one with name=",
		    name);
	}
	if ((device = calloc(1, sizeof(*device))) == NULL) {
		device_options_close(options);
		return btt_error_set(error, -ENOMEM, "out of memory");
	}
	mutex_init(&device->lock, &device_class);
	mutex_init(&device->status_lock, &status_class);
	mutex_init(&device->attr_lock, &attr_class);
	atomic_init(&device->nref, 1);
	pins_init(&device->pins, &pins_class);
	atomic_init(&device->nopen, &device->own_nopen);
	device->state = DEVICE_PROBING;
	device->probing = true;
	device->events = events;
	device->options = *options;
	init_attr(device, options);
	device->path = strdup(options->path);
	device->name = strdup(name);
	/* The directory that it is relative to is about to be left. */
	if (options->path[0] != '/')
		device->backing = realpath(options->path, NULL);
	if (device->backing == NULL)
		device->backing = strdup(options->path);
	if (options->namespace != NULL)
		device->namespace = strdup(options->namespace);
	if (device->path == NULL || device->name == NULL ||
	    device->backing == NULL ||
	    (options->namespace != NULL && device->namespace == NULL) ||
	    job_new(jobs, JOB_ATTACH, name, &device->attach_job) < 0 ||
	    job_new(jobs, JOB_DETACH, name, &device->detach_job) < 0) {
		destroy(device);
		return btt_error_set(error, -ENOMEM, "out of memory");
	}
	device->options.path = device->path;
	device->options.name = device->name;
	device->options.namespace = device->namespace;
	*ret_device = device;
	return 0;
}

void
device_set_kept(struct device *device, struct device_kept *kept)
{
	if (kept == NULL)
		return;
	device->kept = kept;
	/* Whoever asks for their number meanwhile finds none here or there. */
	atomic_store(
	    &device->nopen, device_kept_nopen(kept, &device->own_nopen));
	(void)device_kept_get_attr(kept, &device->attr);
}

struct device *
device_ref(struct device *device)
{
	atomic_fetch_add(&device->nref, 1);
	return device;
}

void
device_unref(struct device *device)
{
	if (device != NULL && atomic_fetch_sub(&device->nref, 1) == 1)
		destroy(device);
}

bool
device_kill_locked(struct device *device)
{
	bool won;

	won = !device->dead;
	device->dead = true;
	return won;
}

static enum event_kind
event_of(enum device_state from, enum device_state to)
{
	switch (to) {
	case DEVICE_LIVE:
		return EVENT_ATTACHED;
	case DEVICE_READONLY:
		return from == DEVICE_PROBING ? EVENT_ATTACHED
					      : EVENT_READ_ONLY;
	case DEVICE_DRAINING:
		return EVENT_DETACHING;
	case DEVICE_FAILED:
		return EVENT_FAILED;
	case DEVICE_GONE:
		return EVENT_DETACHED;
	case DEVICE_PROBING:
		break;
	}
	return EVENT_ATTACHING;
}

void
device_fill_event(struct device *device, struct event *event)
{
	struct device_status status;

	device_get_status(device, &status);
	memcpy(event->device, device->name, strlen(device->name) + 1);
	event->state = device_state_name(status.state);
	event->generation = status.generation;
	if (!status.has_geometry)
		return;
	event->size_bytes = status.geometry.size_bytes;
	event->sector_bytes = status.geometry.external_lbasize;
	memcpy(event->uuid, status.geometry.uuid, sizeof(event->uuid));
}

void
device_move_locked(struct device *device, enum device_state state, int error,
    const char *stage, const struct btt_error *reason)
{
	struct event event = {
		.kind = event_of(device->state, state),
		.error = error,
		.stage = stage,
	};
	struct device_status *status = &device->status;

	device->state = state;
	mutex_lock(&device->status_lock);
	status->state = state;
	status->generation++;
	status->error = error;
	status->stage = stage;
	status->reason = (struct btt_error){ "" };
	if (reason != NULL)
		status->reason = *reason;
	event.job = status->job;
	mutex_unlock(&device->status_lock);

	device_fill_event(device, &event);
	if (reason != NULL)
		(void)snprintf(event.text, sizeof(event.text), "%.*s",
		    (int)sizeof(event.text) - 1, reason->text);
	event_append(device->events, &event);
}

void
device_begin_locked(struct device *device)
{
	device_set_job_locked(device, job_begin(device->attach_job));
	device_move_locked(device, DEVICE_PROBING, 0, NULL, NULL);
}

void
device_set_job_locked(struct device *device, uint64_t job)
{
	mutex_lock(&device->status_lock);
	device->status.job = job;
	mutex_unlock(&device->status_lock);
}

void
device_set_nodeid_locked(struct device *device, uint64_t nodeid)
{
	mutex_lock(&device->status_lock);
	device->status.nodeid = nodeid;
	mutex_unlock(&device->status_lock);
}

void
device_get_status(struct device *device, struct device_status *ret_status)
{
	mutex_lock(&device->status_lock);
	*ret_status = device->status;
	mutex_unlock(&device->status_lock);
}

static int
duplicate(int fd)
{
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

int
device_find(const struct device *device, int *ret_fd,
    struct media_identity *ret_identity, struct btt_error *error)
{
	int fd, r;

	if (device->options.fd >= 0)
		fd = duplicate(device->options.fd);
	else
		fd = path_open(device->path, device->options.no_links);
	if (fd == -ELOOP)
		return btt_error_set(
		    error, fd, "there are symbolic links in the path");
	if (fd < 0)
		return fd; /* which says all */
	if ((r = media_identify(fd, ret_identity, error)) < 0) {
		(void)close(fd); /* a name, no more */
		return r;
	}
	*ret_fd = fd;
	return 0;
}

/* What device_find found.  What we were given may be more than we could open. */
static int
open_medium(const struct device *device, int fd,
    const struct media_options *options, struct media **ret_media,
    struct btt_error *error)
{
	if (device->options.fd < 0)
		return media_open_at(
		    fd, device->path, options, ret_media, error);
	if ((fd = duplicate(fd)) < 0)
		return fd;
	return media_open_fd(fd, device->path, options, ret_media, error);
}

int
device_open(struct device *device, int fd, struct btt_error *error)
{
	const struct media_options options = {
		.read_only = device->options.read_only,
		.allow_sparse = device->options.allow_sparse,
		.force = device->options.force,
	};
	int r;

	r = open_medium(device, fd, &options, &device->media, error);
	if (r < 0)
		return r;
	/*
	 * The process locks what it maps into memory (process.h), and means
	 * its own buffers: page cache of the backing store must stay
	 * reclaimable, or reading a large device once would fill the memory.
	 * Persistent memory cannot be paged out anyway.
	 */
	(void)munlock(device->media->base, device->media->size);
	return 0;
}

int
device_identify(const struct device *device, uint8_t ret_uuid[BTT_UUID_BYTES],
    struct btt_error *error)
{
	struct btt_probe probe;
	int r;

	r = btt_probe_namespace(
	    device->media, device->namespace, &probe, error);
	if (r < 0)
		return r;
	memcpy(ret_uuid, probe.arena[0].info.uuid, BTT_UUID_BYTES);
	btt_probe_fini(&probe);
	return 0;
}

int
device_start(struct device *device, struct btt_worker_pool *pool,
    btt_report_fn *report, void *report_arg, struct btt_error *error)
{
	struct btt_open_options options = {
		.read_only = device->options.read_only,
		.namespace = device->namespace,
		.durability = device->options.durability,
		.report = report,
		.report_arg = report_arg,
		.keep = device->kept != NULL ? device_kept_memory : NULL,
		.keep_arg = device->kept,
	};
	int r;

	r = io_stats_new(btt_worker_pool_count(pool), &device->io_stats);
	if (r < 0)
		return btt_error_set(error, r, "out of memory");
	device_watch_bad(device);
	r = btt_open(device->media, pool, &options, &device->btt, error);
	if (r < 0)
		return r;
	atomic_store(&device->btt_for_bad, device->btt);
	btt_get_geometry(device->btt, &device->geometry);
	mutex_lock(&device->status_lock);
	device->status.has_geometry = true;
	device->status.geometry = device->geometry;
	mutex_unlock(&device->status_lock);
	return 0;
}

static void
forget_fd(struct device *device)
{
	device_options_close(&device->options);
	device->options.fd = -1;
}

int
device_close(struct device *device)
{
	bool was_open = device->btt != NULL;
	int r;

	r = 0;
	/* Closing may write, and so change the list, but not look it up. */
	atomic_store(&device->btt_for_bad, NULL);
	if (device->btt != NULL)
		r = btt_close(device->btt); /* and the medium */
	else
		media_close(device->media);
	device->btt = NULL;
	device->media = NULL;
	if (!device->wipe)
		forget_fd(device);
	/*
	 * What could not be opened again may be had by a later server.  The
	 * memory is ours until the last reference goes: handles are counted
	 * in it.
	 */
	if (was_open || device_kept_nodeid(device->kept) == 0)
		device_kept_drop(device->kept);
	return r;
}

/* The same backing store as before, which is still claimed, for writing. */
static int
open_again(
    struct device *device, struct media **ret_media, struct btt_error *error)
{
	const struct media_options options = {
		.allow_sparse = true,
		.force = device->options.force,
	};
	struct media_identity identity;
	int fd, r;

	if ((r = device_find(device, &fd, &identity, error)) < 0)
		return r;
	if (identity.device != device->identity.device ||
	    identity.inode != device->identity.inode ||
	    identity.is_block_device != device->identity.is_block_device)
		r = btt_error_set(error, -ESTALE, "%s is something else by now",
		    device->path);
	else
		r = open_medium(device, fd, &options, ret_media, error);
	(void)close(fd); /* a name, no more */
	return r;
}

int
device_wipe(struct device *device, struct btt_error *error)
{
	struct media *media;
	int r;

	if ((r = open_again(device, &media, error)) == 0) {
		r = btt_destroy(
		    media, device->namespace, device->geometry.uuid, error);
		media_close(media);
	}
	forget_fd(device);
	return r;
}

bool
device_pin(struct device *device)
{
	struct device_status status;

	if (!pins_take(&device->pins))
		return false;
	/* Pins are open from the start, btt is not. */
	device_get_status(device, &status);
	if (device_state_is_shown(status.state))
		return true;
	pins_drop(&device->pins);
	return false;
}

void
device_unpin(struct device *device)
{
	pins_drop(&device->pins);
}

bool
device_needs_flush(const struct device *device)
{
	return !device->geometry.read_only &&
	    device->geometry.durability != BTT_DURABLE_WRITE;
}

int
device_open_handle(struct device *device, bool for_writing)
{
	int r;

	r = 0;
	mutex_lock(&device->lock);
	if (device->dead)
		r = -ENODEV;
	else if (for_writing && device->state == DEVICE_READONLY)
		r = -EROFS;
	else
		atomic_fetch_add(atomic_load(&device->nopen), 1);
	mutex_unlock(&device->lock);
	return r;
}

void
device_close_handle(struct device *device)
{
	_Atomic uint64_t *count = atomic_load(&device->nopen);
	uint64_t nopen = atomic_load(count);

	/* A crash may have counted a request twice, so not below none. */
	while (nopen > 0 &&
	    !atomic_compare_exchange_weak(count, &nopen, nopen - 1))
		;
}

uint64_t
device_count_handles(const struct device *device)
{
	return atomic_load(atomic_load(&device->nopen));
}

void
device_attr_get(struct device *device, struct device_attr *ret_attr)
{
	mutex_lock(&device->attr_lock);
	*ret_attr = device->attr;
	mutex_unlock(&device->attr_lock);
}

void
device_attr_change(struct device *device, device_attr_fn *change, void *arg,
    struct device_attr *ret_attr)
{
	mutex_lock(&device->attr_lock);
	change(arg, &device->attr);
	*ret_attr = device->attr;
	device_kept_set_attr(device->kept, ret_attr);
	mutex_unlock(&device->attr_lock);
}

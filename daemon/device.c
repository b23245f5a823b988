/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/mman.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

/* Nothing is taken while it is held, and nothing sleeps. */
static const struct lock_class attr_class = {
	.name = "device-attr",
	.rank = 85,
	.flags = LOCK_LEAF,
};

bool
device_name_valid(const char *name)
{
	size_t n;

	n = strlen(name);
	if (n == 0 || n > NAME_MAX || strchr(name, '/') != NULL)
		return false;
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static const char *
last_component(const char *path)
{
	const char *slash;

	slash = strrchr(path, '/');
	return slash != NULL ? slash + 1 : path;
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

int
device_open(const struct device_options *options, struct device **ret_device,
    struct btt_error *error)
{
	struct media_options media_options = {
		.read_only = options->read_only,
		.allow_sparse = options->allow_sparse,
		.force = options->force,
	};
	struct device *device;
	const char *name;
	int r;

	name = options->name;
	if (name == NULL)
		name = last_component(options->path);
	if (!device_name_valid(name))
		return btt_error_set(error, -EINVAL,
		    "'%s' cannot be the name of a file, choose one with name=",
		    name);

	if ((device = calloc(1, sizeof(*device))) == NULL)
		return btt_error_set(error, -ENOMEM, "out of memory");
	mutex_init(&device->attr_lock, &attr_class);
	init_attr(device, options);
	device->path = strdup(options->path);
	device->name = strdup(name);
	if (options->namespace != NULL)
		device->namespace = strdup(options->namespace);
	if (device->path == NULL || device->name == NULL ||
	    (options->namespace != NULL && device->namespace == NULL)) {
		r = btt_error_set(error, -ENOMEM, "out of memory");
		goto fail;
	}
	device->read_only = options->read_only;
	device->durability = options->durability;

	r = media_open(device->path, &media_options, &device->media, error);
	if (r < 0)
		goto fail;
	device->granularity = device->media->granularity;
	/*
	 * The process locks what it maps into memory (process.h), and means
	 * its own buffers: page cache of the backing store must stay
	 * reclaimable, or reading a large device once would fill the memory.
	 * Persistent memory cannot be paged out anyway.
	 */
	(void)munlock(device->media->base, device->media->size);
	*ret_device = device;
	return 0;

fail:
	(void)device_close(device); /* nothing was written */
	return r;
}

int
device_start(struct device *device, struct btt_worker_pool *pool,
    btt_report_fn *report, void *report_arg, struct btt_error *error)
{
	struct btt_open_options options = {
		.read_only = device->read_only,
		.namespace = device->namespace,
		.durability = device->durability,
		.report = report,
		.report_arg = report_arg,
	};
	int r;

	r = btt_open(device->media, pool, &options, &device->btt, error);
	if (r < 0)
		return r;
	device->media = NULL;
	btt_get_geometry(device->btt, &device->geometry);
	return 0;
}

int
device_close(struct device *device)
{
	int r;

	if (device == NULL)
		return 0;
	r = btt_close(device->btt);
	media_close(device->media);
	mutex_fini(&device->attr_lock);
	free(device->namespace);
	free(device->name);
	free(device->path);
	free(device);
	return r;
}

enum device_state
device_state(const struct device *device)
{
	if (device->btt == NULL)
		return DEVICE_PROBING;
	if (device->geometry.read_only || btt_failed(device->btt) != 0)
		return DEVICE_READONLY;
	return DEVICE_LIVE;
}

bool
device_needs_flush(const struct device *device)
{
	return !device->geometry.read_only &&
	    device->geometry.durability != BTT_DURABLE_WRITE;
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
	mutex_unlock(&device->attr_lock);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "registry.h"

static const struct lock_class registry_class = {
	.name = "registry",
	.rank = 30,
	.flags = 0,
};

/* A lookup by name is a request of the mount, so it must not search. */
#define NBUCKET 1024u

/* Keys: R lock. */
struct registry {
	struct mutex lock;
	size_t ndevice;                              /* [R] */
	TAILQ_HEAD(, device) list;                   /* [R] */
	SLIST_HEAD(bucket, device) buckets[NBUCKET]; /* [R] by name */
};

int
registry_new(struct registry **ret_registry)
{
	struct registry *registry;

	if ((registry = calloc(1, sizeof(*registry))) == NULL)
		return -ENOMEM;
	mutex_init(&registry->lock, &registry_class);
	TAILQ_INIT(&registry->list);
	*ret_registry = registry;
	return 0;
}

void
registry_free(struct registry *registry)
{
	if (registry == NULL)
		return;
	mutex_fini(&registry->lock);
	free(registry);
}

/* FNV-1a. */
static struct bucket *
bucket_of(struct registry *registry, const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return &registry->buckets[hash % NBUCKET];
}

static struct device *
find_locked(struct registry *registry, const char *name)
    REQUIRES(registry->lock)
{
	struct device *device;

	SLIST_FOREACH(device, bucket_of(registry, name), in_bucket)
	{
		if (strcmp(device->name, name) == 0)
			return device;
	}
	return NULL;
}

int
registry_insert(
    struct registry *registry, struct device *device, struct device **ret_owner)
{
	struct device *owner;
	int r;

	r = 0;
	mutex_lock(&device->lock);
	mutex_lock(&registry->lock);
	if ((owner = find_locked(registry, device->name)) != NULL) {
		*ret_owner = device_ref(owner);
		r = -EEXIST;
	} else if (registry->ndevice == REGISTRY_DEVICE_MAX) {
		r = -ENOSPC;
	} else {
		device_begin_locked(device);
		registry->ndevice++;
		device_ref(device);
		TAILQ_INSERT_TAIL(&registry->list, device, in_list);
		SLIST_INSERT_HEAD(
		    bucket_of(registry, device->name), device, in_bucket);
	}
	mutex_unlock(&registry->lock);
	mutex_unlock(&device->lock);
	return r;
}

static bool
is_same_backing(const struct media_identity *a, const struct media_identity *b)
{
	return a->device == b->device && a->inode == b->inode &&
	    a->is_block_device == b->is_block_device;
}

int
registry_claim_backing(struct registry *registry, struct device *device,
    const struct media_identity *identity, struct device **ret_owner)
{
	struct device *other;

	mutex_lock(&registry->lock);
	TAILQ_FOREACH(other, &registry->list, in_list)
	{
		if (other->has_identity &&
		    is_same_backing(&other->identity, identity))
			break;
	}
	if (other != NULL) {
		*ret_owner = device_ref(other);
	} else {
		device->identity = *identity;
		device->has_identity = true;
	}
	mutex_unlock(&registry->lock);
	return other != NULL ? -EBUSY : 0;
}

int
registry_claim_uuid(struct registry *registry, struct device *device,
    const uint8_t uuid[BTT_UUID_BYTES], struct device **ret_owner)
{
	static const uint8_t null[BTT_UUID_BYTES];
	struct device *other;

	if (memcmp(uuid, null, sizeof(null)) == 0)
		return 0;
	mutex_lock(&registry->lock);
	TAILQ_FOREACH(other, &registry->list, in_list)
	{
		if (other->has_uuid &&
		    memcmp(other->uuid, uuid, sizeof(other->uuid)) == 0)
			break;
	}
	if (other != NULL) {
		*ret_owner = device_ref(other);
	} else {
		memcpy(device->uuid, uuid, sizeof(device->uuid));
		device->has_uuid = true;
	}
	mutex_unlock(&registry->lock);
	return other != NULL ? -EEXIST : 0;
}

static void
disclaim_locked(struct registry *registry, struct device *device)
    REQUIRES(registry->lock)
{
	(void)registry;
	device->has_identity = false;
	device->has_uuid = false;
}

void
registry_disclaim(struct registry *registry, struct device *device)
{
	mutex_lock(&registry->lock);
	disclaim_locked(registry, device);
	mutex_unlock(&registry->lock);
}

void
registry_remove(struct registry *registry, struct device *device)
{
	mutex_lock(&registry->lock);
	disclaim_locked(registry, device);
	registry->ndevice--;
	TAILQ_REMOVE(&registry->list, device, in_list);
	SLIST_REMOVE(
	    bucket_of(registry, device->name), device, device, in_bucket);
	mutex_unlock(&registry->lock);
	device_unref(device);
}

struct device *
registry_find(struct registry *registry, const char *name)
{
	struct device *device;

	mutex_lock(&registry->lock);
	if ((device = find_locked(registry, name)) != NULL)
		device_ref(device);
	mutex_unlock(&registry->lock);
	return device;
}

static size_t
count(struct registry *registry)
{
	size_t n;

	mutex_lock(&registry->lock);
	n = registry->ndevice;
	mutex_unlock(&registry->lock);
	return n;
}

int
registry_list(struct registry *registry, struct registry_list *ret_list)
{
	struct device **devices, *device;
	size_t room, n;

	room = count(registry) + 1;
	if ((devices = calloc(room, sizeof(*devices))) == NULL)
		return -ENOMEM;
	n = 0;
	mutex_lock(&registry->lock);
	TAILQ_FOREACH(device, &registry->list, in_list)
	{
		/* What came since the count is the next one's to see. */
		if (n == room)
			break;
		devices[n++] = device_ref(device);
	}
	mutex_unlock(&registry->lock);
	*ret_list = (struct registry_list){ devices, n };
	return 0;
}

void
registry_list_fini(struct registry_list *list)
{
	size_t i;

	for (i = 0; i < list->ndevice; i++)
		device_unref(list->devices[i]);
	free(list->devices);
}

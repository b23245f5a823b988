/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_REGISTRY_H
#define BTTFS_REGISTRY_H

/*
 * registry -- all devices that there are, in whatever state, by name.
 *
 * A name is reserved from the first moment of PROBING until GONE, and so are
 * the backing store and the BTT's identity as soon as they are known: of two
 * who want the same, one gets it and the other is told who has it.
 *
 * Its lock is held to find, insert, remove and take a reference, never over
 * anything that can wait, nor over a device's lock (CP-12).
 */
#include <stddef.h>

#include <btt/error.h>

#include "device.h"

struct registry;

#define REGISTRY_DEVICE_MAX 4096u

int registry_new(struct registry **ret_registry) BTT_MUST_CHECK;
/* It is empty.  NULL is fine. */
void registry_free(struct registry *registry);

/*
 * Reserve the device's name and begin its attach, as one: whoever finds the
 * device finds it probing, and its job.  The registry has a reference of its
 * own then.
 * Errors: -EEXIST, and *ret_owner is a reference to who has the name; -ENOSPC.
 */
int registry_insert(struct registry *registry, struct device *device,
    struct device **ret_owner) BTT_MUST_CHECK;

/*
 * Reserve the device's backing store, or the identity of its BTT (a null one
 * identifies nothing, and is anybody's).
 * Errors: -EBUSY and -EEXIST, and *ret_owner as above.
 */
int registry_claim_backing(struct registry *registry, struct device *device,
    const struct media_identity *identity, struct device **ret_owner)
    BTT_MUST_CHECK;
int registry_claim_uuid(struct registry *registry, struct device *device,
    const uint8_t uuid[BTT_UUID_BYTES], struct device **ret_owner)
    BTT_MUST_CHECK;
/* Others may have them; the name stays reserved. */
void registry_disclaim(struct registry *registry, struct device *device);

/* Forget the device and drop the reference to it. */
void registry_remove(struct registry *registry, struct device *device);

/* A reference to the device of that name, or NULL. */
struct device *registry_find(struct registry *registry, const char *name);

/* References to all devices, in order of insertion. */
struct registry_list {
	struct device **devices;
	size_t ndevice;
};
int registry_list(struct registry *registry, struct registry_list *ret_list)
    BTT_MUST_CHECK;
void registry_list_fini(struct registry_list *list);

#endif

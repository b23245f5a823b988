/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_DEVICE_KEPT_H
#define BTTFS_DEVICE_KEPT_H

/*
 * device_kept -- what must be left of a device when its server crashes, in
 * memory that the keeper holds for the successor (P6): which device it is, by
 * which number the kernel knows its file, how many handles there are, its
 * attributes, and what btt_keep_fn is about.
 *
 * It begins with the probe and ends with the device's close, so that a device
 * is taken over if, and only if, its file can be known to the kernel.
 */
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include <btt/error.h>

#include "device.h"
#include "keeper_client.h"

struct device_kept;

/*
 * What the keeper calls a device's backing store, where that was opened for the
 * server, which might not open it itself.  It goes with the device.
 */
#define DEVICE_KEPT_KEY_BYTES (NAME_MAX + 16u)
static inline void
device_kept_backing_key(const char *name, char ret_key[DEVICE_KEPT_KEY_BYTES])
{
	(void)snprintf(ret_key, DEVICE_KEPT_KEY_BYTES, "backing/%s", name);
}
/* It, or -1: to be looked at only; to be the caller's. */
int device_kept_find_backing(struct keeper_client *keeper, const char *name);
int device_kept_take_backing(struct keeper_client *keeper, const char *name);

/* The device that an entry of the keeper's is about, or NULL: something else. */
const char *device_kept_name(const struct kept_fd *entry);

/*
 * Memory for a new device, which the keeper has on return.  No keeper, no
 * memory: *ret_kept is NULL then, and all functions here accept that.
 */
int device_kept_new(struct keeper_client *keeper, const char *name,
    const struct device_options *options, struct device_kept **ret_kept,
    struct btt_error *error) BTT_MUST_CHECK;

/*
 * Take over what the predecessor left under that name.  ret_options has what
 * the device was attached with; its strings live as long as ret_kept, its
 * descriptor is the caller's.
 * Errors: -EUCLEAN for memory that makes no sense.
 */
int device_kept_take(struct keeper_client *keeper, const char *name,
    struct device_options *ret_options, struct device_kept **ret_kept,
    struct btt_error *error) BTT_MUST_CHECK;

/* The keeper need not have it any more. */
void device_kept_drop(struct device_kept *kept);
/* Forget it here; the keeper still has it unless it was dropped. */
void device_kept_free(struct device_kept *kept);

/* btt_keep_fn, arg being the struct device_kept. */
void *device_kept_memory(void *arg, size_t bytes);

/* Number of the file, 0 before it is shown. */
uint64_t device_kept_nodeid(const struct device_kept *kept);
void device_kept_set_nodeid(struct device_kept *kept, uint64_t nodeid);
/* The counter of open handles to use; own where there is no memory. */
_Atomic uint64_t *
device_kept_nopen(struct device_kept *kept, _Atomic uint64_t *own);
/* Attributes as they were left; false if there are none. */
bool device_kept_get_attr(
    const struct device_kept *kept, struct device_attr *ret_attr);
void
device_kept_set_attr(struct device_kept *kept, const struct device_attr *attr);
/* A scrub that is under way: what it has to do yet.  count 0: none is. */
struct device_kept_scrub {
	uint64_t rate, first, count;
};
void device_kept_set_scrub(
    struct device_kept *kept, const struct device_kept_scrub *scrub);
/* False where nothing is kept. */
bool device_kept_get_scrub(
    const struct device_kept *kept, struct device_kept_scrub *ret_scrub);
/*
 * The list of bad ranges (media.h).  What was set last, or NULL; it is valid
 * until the next one is set.
 */
void
device_kept_set_bad(struct device_kept *kept, const void *list, size_t bytes);
const void *
device_kept_get_bad(const struct device_kept *kept, size_t *ret_bytes);

#endif

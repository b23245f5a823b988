/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_DEVICE_H
#define BTTFS_DEVICE_H

/*
 * device -- a BTT on a backing store, with the name and the attributes of the
 * file that shows it.
 *
 * Life: device_open locks the backing store (control-plane.md A.9: PROBING),
 * device_start recovers the BTT (LIVE, or READONLY), device_close gives all
 * back.  Between device_start and device_close requests use device->btt
 * without any lock of the device.
 */
#include <sys/types.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <btt/btt.h>
#include <btt/error.h>
#include <btt/media.h>
#include <lanes/sync.h>

struct device_options {
	const char *path;      /* of the backing store */
	const char *name;      /* NULL: the last component of path */
	const char *namespace; /* NULL: the only one that has a BTT */
	mode_t mode;           /* permission bits of the file */
	uid_t uid;
	gid_t gid;
	bool read_only;
	bool allow_sparse;
	enum btt_durability durability;
	enum media_force force;
};

/* Why a device cannot do what is asked of it. */
enum device_state {
	DEVICE_PROBING, /* the BTT is not open yet */
	DEVICE_LIVE,
	DEVICE_READONLY, /* opened so, or frozen after a failure (P4) */
};

/* What stat(2) shows and chmod(2) and kin change; lost with the device. */
struct device_attr {
	mode_t mode; /* permission bits */
	uid_t uid;
	gid_t gid;
	struct timespec atime, mtime, ctime;
};

/* Keys: I immutable after device_start, a atomic, A attr_lock. */
struct device {
	char *path;                         /* [I] */
	char *name;                         /* [I] */
	char *namespace;                    /* [I] or NULL */
	bool read_only;                     /* [I] as asked for */
	enum btt_durability durability;     /* [I] as asked for */
	struct media *media;                /* [I] NULL once btt owns it */
	struct btt *btt;                    /* [I] NULL while PROBING */
	struct btt_geometry_info geometry;  /* [I] */
	enum media_granularity granularity; /* [I] */
	_Atomic uint64_t nopen;  /* [a] handles that the kernel has of it */
	struct mutex attr_lock;  /* leaf */
	struct device_attr attr; /* [A] */
};

/* Is this a name that a file in the mount can have? */
bool device_name_valid(const char *name);

/*
 * Open and lock the backing store.  Nothing of the BTT is looked at yet.
 * Errors: -EINVAL for a name that is none, and as media_open.
 */
int device_open(const struct device_options *options,
    struct device **ret_device, struct btt_error *error) BTT_MUST_CHECK;

/*
 * Open the BTT and recover it; report hears what is noticed.
 * Errors: as btt_open.
 */
int device_start(struct device *device, struct btt_worker_pool *pool,
    btt_report_fn *report, void *report_arg, struct btt_error *error)
    BTT_MUST_CHECK;

/*
 * No request may be running.  Makes everything durable, releases the backing
 * store.  Returns the error of the former, the device is closed all the same.
 * NULL is fine.
 */
int device_close(struct device *device);

enum device_state device_state(const struct device *device);

/* Can a completed write be lost to a power failure before the next flush? */
bool device_needs_flush(const struct device *device);

void device_attr_get(struct device *device, struct device_attr *ret_attr);

/* Changes some attributes and returns all of them. */
typedef void device_attr_fn(void *arg, struct device_attr *attr);
void device_attr_change(struct device *device, device_attr_fn *change,
    void *arg, struct device_attr *ret_attr);

#endif

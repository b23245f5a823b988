/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_DEVICE_H
#define BTTFS_DEVICE_H

/*
 * device -- a BTT on a backing store, with the name and the attributes of the
 * file that shows it, from the moment that somebody wants it until nobody has
 * a reference any more.
 *
 * States (control-plane.md A.9):
 *
 *	PROBING ---> LIVE ---> READONLY
 *	 |    |        |          |
 *	 |  FAILED     |          |	a probe that fails; stays to be seen
 *	 |    |        |          |
 *	 +----+--------+----------+--> DRAINING --> GONE
 *
 * Who does what: the job that attaches owns media and btt while PROBING; from
 * LIVE on they do not change, and requests (tree.h) and holders of a pin use
 * them; from DRAINING on they are the job's that detaches, once the last of
 * those has left.  The device's lock is held for transitions and never over
 * I/O.  What a device looks like is published beside it, so that whoever asks
 * for the status takes a leaf lock that nobody keeps (CP-19).
 *
 * References: device_new's is the caller's.  The memory goes with the last one.
 */
#include <sys/queue.h>
#include <sys/types.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <btt/btt.h>
#include <btt/error.h>
#include <btt/media.h>
#include <lanes/sync.h>

#include "event.h"
#include "io_stats.h"
#include "job.h"
#include "pins.h"
#include "workqueue.h"

/* How often a device is flushed unless commit= says otherwise. */
#define DEVICE_COMMIT_SECONDS 5u
#define DEVICE_COMMIT_SECONDS_MAX 3600u

struct device_kept;
struct manager;

/* For tests only: what a probe is to meet on its way. */
struct device_trial {
	const char *stage;         /* of the probe's steps; NULL: none */
	unsigned delay_ms;         /* before that step */
	int error;                 /* instead of that step: a negative errno */
	uint64_t bad_off, bad_len; /* a range that is known to be bad */
};

struct device_options {
	const char *path; /* of the backing store */
	int fd; /* of it, where the keeper has it open; else -1; see below */
	const char *name;      /* NULL: the last component of path */
	const char *namespace; /* NULL: the only one that has a BTT */
	mode_t mode;           /* permission bits of the file */
	uid_t uid;
	gid_t gid;
	bool read_only;
	bool allow_sparse;
	bool no_links; /* refuse a path with symbolic links */
	bool scrub;    /* begin one as soon as it is attached */
	enum btt_durability durability;
	unsigned commit_seconds; /* between flushes of our own */
	enum media_force force;
	struct device_trial trial; /* stage outlives the probe */
};

/*
 * All there is unless it is said otherwise.  Who gives options with a descriptor
 * to a function that makes or attaches a device has given that away, also when
 * an error is returned.
 */
void device_options_init(struct device_options *ret_options);
/* Close the descriptor, if there is one. */
void device_options_close(const struct device_options *options);
/* The name that a device will have; not checked. */
const char *device_options_name(const struct device_options *options);

enum device_state {
	DEVICE_PROBING,
	DEVICE_LIVE,
	DEVICE_READONLY, /* opened so, or frozen after a failure (P4) */
	DEVICE_DRAINING,
	DEVICE_FAILED,
	DEVICE_GONE,
};

/* "probing" and so on, as C.9 has them. */
const char *device_state_name(enum device_state state);
/* Is there a file of it in the mount? */
bool device_state_is_shown(enum device_state state);

/* What stat(2) shows and chmod(2) and kin change; lost with the device. */
struct device_attr {
	mode_t mode; /* permission bits */
	uid_t uid;
	gid_t gid;
	struct timespec atime, mtime, ctime;
};

/* What is published: a copy, true at the moment of its generation. */
struct device_status {
	enum device_state state;
	uint64_t generation; /* rises with every transition */
	uint64_t job;        /* that moves it, or moved it last */
	int error;           /* negative errno; why it is not LIVE */
	const char *stage;   /* static: where that happened */
	struct btt_error reason;
	bool has_geometry; /* the BTT was opened, the rest is known */
	struct btt_geometry_info geometry;
	uint64_t nodeid; /* of the file; 0 before it is shown */
};

/*
 * Keys: I immutable after device_new, P after it is LIVE (before that the
 * probe's, from DRAINING on the detaching job's), a atomic, D lock, S
 * status_lock, A attr_lock, R registry's lock, T tree's lock, M manager's
 * (see there).
 */
struct device {
	char *path;                    /* [I] as given, for messages */
	char *backing;                 /* [I] the same, absolute */
	char *name;                    /* [I] */
	char *namespace;               /* [I] or NULL */
	struct device_options options; /* [I] path and name as above */
	struct event_ring *events;     /* [I] */
	struct job *attach_job;        /* [I] */
	struct job *detach_job;        /* [I] begun by the winner */
	_Atomic unsigned nref;         /* [a] */
	struct pins pins;              /* [a] who uses btt, not requests */
	/* [a] handles that the kernel has; where they are, a probe decides */
	_Atomic uint64_t *_Atomic nopen;
	_Atomic uint64_t own_nopen; /* [a] where nothing is kept */
	struct device_kept *kept;   /* [P] what outlives a crash, or NULL */
	struct media *media;        /* [P] btt's once that is open */
	struct btt *btt;            /* [P] */
	_Atomic(struct btt *) btt_for_bad; /* [a] btt, for device_bad.c */
	struct btt_geometry_info geometry; /* [P] */
	struct io_stats *io_stats;         /* [P] until the memory goes */
	struct mutex lock;
	bool dead;                   /* [D] CP-1; never cleared */
	bool probing;                /* [D] the probe is not over */
	bool scrubbing;              /* [D] by scrub_job */
	struct job *scrub_job;       /* [D] the newest one, or NULL */
	bool wipe;                   /* [D] no BTT is to be left behind; no
	                                more changed once it is dead */
	enum device_state state;     /* [D] */
	struct mutex status_lock;    /* leaf; never kept */
	struct device_status status; /* [S] */
	struct mutex attr_lock;      /* leaf */
	struct device_attr attr;     /* [A] */
	/* For those who keep devices. */
	struct media_identity identity;      /* [R] of the backing store, if */
	bool has_identity;                   /* [R] */
	bool has_uuid;                       /* [R] geometry.uuid is reserved */
	uint8_t uuid[BTT_UUID_BYTES];        /* [R] */
	SLIST_ENTRY(device) in_bucket;       /* [R] */
	TAILQ_ENTRY(device) in_list;         /* [R] */
	struct manager *manager;             /* [I] */
	struct work probe_work, detach_work; /* [M] */
	struct work flush_work;              /* [M] */
	_Atomic bool flushing;               /* [a] flush_work is queued */
	uint64_t flush_tick;                 /* [M] when it last was */
};

/* Is this a name that a file in the mount can have? */
bool device_name_valid(const char *name);

/*
 * A device that nobody else knows, PROBING, with all memory that its life will
 * need.  The jobs are its own: attach_job is to be begun by the caller.
 * Errors: -EINVAL for a name that is none; -ENOMEM.
 */
int device_new(const struct device_options *options, struct event_ring *events,
    struct job_table *jobs, struct device **ret_device, struct btt_error *error)
    BTT_MUST_CHECK;
struct device *device_ref(struct device *device);
/* NULL is fine.  Of the last one: it must be closed. */
void device_unref(struct device *device);

/* What is to outlive a crash, before the device is shown.  NULL: nothing. */
void device_set_kept(struct device *device, struct device_kept *kept);

/*
 * Set dead (CP-1).  True for the one caller who did; the others have lost.
 */
bool device_kill_locked(struct device *device) REQUIRES(device->lock);
/* It is wanted: begin the attach job, and publish that it is probed. */
void device_begin_locked(struct device *device) REQUIRES(device->lock);
/*
 * The one way from state to state: one generation, one event.  error, stage
 * and reason say why, or are 0 and NULL.
 */
void
device_move_locked(struct device *device, enum device_state state, int error,
    const char *stage, const struct btt_error *reason) REQUIRES(device->lock);
/* The job that moves it from now on, before it is moved. */
void device_set_job_locked(struct device *device, uint64_t job)
    REQUIRES(device->lock);
/* The file's number, before it is shown. */
void device_set_nodeid_locked(struct device *device, uint64_t nodeid)
    REQUIRES(device->lock);

/* Never waits for more than a copy. */
void device_get_status(struct device *device, struct device_status *ret_status);

/* Fill in what an event says about its device. */
void device_fill_event(struct device *device, struct event *event);

/*
 * The steps of a probe, in this order, by the job that attaches; after a
 * failure device_close undoes them.
 *
 * device_find: what and where is the backing store?  ret_fd is O_PATH's.
 * device_open: open and lock it.
 * device_load_bad: what is known to be bad of it is on its list (CP-7).
 * device_identify: look for a BTT; ret_uuid is its identity.  Reads only.
 * device_start: open the BTT and recover it; report hears what is noticed.
 */
int device_find(const struct device *device, int *ret_fd,
    struct media_identity *ret_identity, struct btt_error *error)
    BTT_MUST_CHECK;
int device_open(struct device *device, int fd, struct btt_error *error)
    BTT_MUST_CHECK;
int
device_load_bad(struct device *device, struct btt_error *error) BTT_MUST_CHECK;
int device_identify(const struct device *device,
    uint8_t ret_uuid[BTT_UUID_BYTES], struct btt_error *error) BTT_MUST_CHECK;
int device_start(struct device *device, struct btt_worker_pool *pool,
    btt_report_fn *report, void *report_arg, struct btt_error *error)
    BTT_MUST_CHECK;

/*
 * Nobody may be using btt.  Makes everything durable, releases the backing
 * store (CP-5: here and nowhere else).  Returns the error of the former, the
 * device is closed all the same.  What was never opened is fine.
 */
int device_close(struct device *device);
/*
 * Of a closed device whose backing store nobody else may have yet: destroy its
 * BTT.  Errors: -ESTALE if the path leads to something else by now; as
 * media_open and btt_destroy; with the reason.
 */
int device_wipe(struct device *device, struct btt_error *error) BTT_MUST_CHECK;

/*
 * Use btt and media for a moment that no request may shorten: true if the
 * device is shown, and it then stays open until device_unpin.  Not for
 * requests, which pass through the tree.
 */
bool device_pin(struct device *device) BTT_MUST_CHECK;
void device_unpin(struct device *device);

/* Can a completed write be lost to a power failure before the next flush? */
bool device_needs_flush(const struct device *device);

/*
 * A handle of the file is opened: -ENODEV if the device is going, -EROFS for
 * writing what cannot be.  Each is to be closed.
 */
int device_open_handle(struct device *device, bool for_writing) BTT_MUST_CHECK;
void device_close_handle(struct device *device);
/* How many are open; at any time. */
uint64_t device_count_handles(const struct device *device);

void device_attr_get(struct device *device, struct device_attr *ret_attr);

/* Changes some attributes and returns all of them. */
typedef void device_attr_fn(void *arg, struct device_attr *attr);
void device_attr_change(struct device *device, device_attr_fn *change,
    void *arg, struct device_attr *ret_attr);

#endif

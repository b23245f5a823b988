/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_MANAGER_H
#define BTTFS_MANAGER_H

/*
 * manager -- attaches and detaches devices, whoever asks: the command line, the
 * control socket, the daemon's end (control-plane.md A.9, CP-1 to CP-9).
 *
 * Both are jobs: what is returned at once is the record of a job, or why there
 * is none.  Devices are probed side by side.  Of several that detach one device
 * exactly one wins and does it; the others get the winner's job to wait for.
 *
 * Order of locks: device, registry, tree, then leaves.  No lock is held while a
 * step of a job runs, nor when the kernel is told.
 */
#include <stdbool.h>
#include <stdint.h>

#include <btt/btt.h>
#include <btt/error.h>

#include "device.h"
#include "event.h"
#include "job.h"
#include "log.h"
#include "registry.h"
#include "tree.h"
#include "workqueue.h"

struct keeper_client;

/*
 * How to have the kernel forget a file that is no more: its name, as soon as
 * nobody can enter it, and what is kept of its data, when everybody has left.
 * Both may wait, the latter for requests about the file.
 */
struct manager_kernel {
	void (*forget_name)(void *arg, const char *name, uint64_t nodeid);
	void (*forget_data)(void *arg, uint64_t nodeid);
	void *arg;
};

/* Keys: I immutable after manager_new, a atomic, K see manager_set_kernel. */
struct manager {
	const struct log *log;        /* [I] */
	struct keeper_client *keeper; /* [I] NULL: nothing outlives us */
	struct event_ring *events;    /* [I] */
	struct job_table *jobs;       /* [I] */
	struct registry *registry;    /* [I] */
	struct tree *tree;            /* [I] */
	struct btt_worker_pool *pool; /* [I] */
	struct workqueue *queue;      /* [I] attaches, detaches */
	struct workqueue *flushes;    /* [I] so that these need not wait */
	struct workqueue *scrubs;     /* [I] nor these */
	unsigned nworker;             /* [I] of requests */
	_Atomic unsigned idle;        /* [a] a bit a worker beside those */
	struct pins open;             /* who attaches; closed at the end */
	struct pins kernel_pins;      /* who tells it something */
	const struct manager_kernel *kernel; /* [K] NULL: there is no mount */
};

/* Workers of the pool for who else does I/O: scrubs, clearing. */
#define MANAGER_BACKGROUND 4u

/*
 * For nworker workers that serve requests, at most BTT_WORKER_MAX less
 * MANAGER_BACKGROUND, which the pool has besides.
 */
int manager_new(unsigned nworker, const struct log *log,
    struct manager **ret_manager) BTT_MUST_CHECK;
/*
 * Before anything is attached: let devices outlive a crash of this server,
 * which is that number of its mount.
 */
void manager_set_keeper(
    struct manager *manager, struct keeper_client *keeper, uint64_t number);
/* It was stopped, or nothing was ever attached.  NULL is fine. */
void manager_free(struct manager *manager);

/*
 * From now on there is a mount, whose kernel is to be told; once, before
 * anything can be detached.  After manager_unset_kernel nobody does any more.
 */
void manager_set_kernel(
    struct manager *manager, const struct manager_kernel *kernel);
void manager_unset_kernel(struct manager *manager);

/* Who is in the way.  found is false where nobody is. */
struct manager_owner {
	bool found;
	char device[NAME_MAX + 1];
	char backing[PATH_MAX];
	enum device_state state;
	uint64_t job; /* that moves it, or moved it last */
};

/* The device as somebody's obstacle. */
void manager_fill_owner(struct device *device, struct manager_owner *ret_owner);

/*
 * The device of a name, referenced, in whatever state it is.
 * Errors: -ENODEV, with the reason.
 */
int manager_find(struct manager *manager, const char *name,
    struct device **ret_device, struct btt_error *error) BTT_MUST_CHECK;

/*
 * Attach a device.  Its name is reserved on return; the rest is the job's, a
 * reference to which is returned.  A device of that name that has failed makes
 * room.
 *
 * Errors: -EEXIST with the owner, if the name is taken; -EINVAL; -ENOSPC for
 * too many devices; -ESHUTDOWN; -ENOMEM.
 *
 * The job fails for these reasons: -EBUSY or -EEXIST with the owner's job, if
 * the backing store or the identity is taken: then nothing is left of the
 * attempt; else as device.h has it: then the device stays, FAILED.  -ECANCELED
 * if it was detached meanwhile.
 */
int manager_attach(struct manager *manager,
    const struct device_options *options, struct job **ret_job,
    struct manager_owner *ret_owner, struct btt_error *error) BTT_MUST_CHECK;
/*
 * The same of one that a predecessor has left; kept is the device's from now
 * on, also when an error is returned.
 */
int manager_attach_again(struct manager *manager,
    const struct device_options *options, struct device_kept *kept,
    struct job **ret_job, struct manager_owner *ret_owner,
    struct btt_error *error) BTT_MUST_CHECK;

/*
 * Make everything durable that was written so far, on all devices.  Their errors
 * are btt_failed's too.
 */
void manager_flush_all(struct manager *manager);

/* The static name of a stage of a probe; NULL if there is none of that name. */
const char *manager_stage(const char *name);

struct manager_detach_options {
	bool force; /* open handles get ENODEV */
	bool wipe;  /* and destroy the BTT (btt_destroy), once it is closed */
};

/*
 * Detach a device, also one that is being probed or has failed.  A reference to
 * the job that does it is returned; *ret_won is whether it is this caller's, or
 * that of somebody who was faster.
 *
 * Errors: -ENODEV; -EBUSY if it is open and force is not set.  With wipe: -EROFS
 * if it was attached for reading only; -EINVAL if it is not shown; -EBUSY if
 * somebody else is detaching it, who does not mean to destroy it.
 *
 * The job fails only if the last writes could not be made durable, or if a BTT
 * that was to be destroyed could not be; the device is gone all the same.
 */
int manager_detach(struct manager *manager, const char *name,
    const struct manager_detach_options *options, struct job **ret_job,
    bool *ret_won, struct btt_error *error) BTT_MUST_CHECK;

/*
 * Have a job end soon: a probe, whose device then goes.
 * Errors: -EALREADY if it has ended, or what it began is there already;
 * -EOPNOTSUPP for a job that cannot be stopped.
 */
int manager_cancel(struct manager *manager, struct job *job,
    struct btt_error *error) BTT_MUST_CHECK;

/*
 * Attach nothing any more, detach everything by force, and wait for it.  Says
 * what takes long; gives up with -EINTR when is_hurried, which is asked now and
 * then, says so.  Returns the first error of what was written last.
 */
int
manager_stop(struct manager *manager, bool (*is_hurried)(void *arg), void *arg);

#endif

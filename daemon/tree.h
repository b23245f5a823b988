/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_TREE_H
#define BTTFS_TREE_H

/*
 * tree -- the devices that the mount shows, by the number of their file, and
 * the door through which requests for data pass to them.
 *
 * Numbers of files ("node ids") are never used twice in the life of a mount:
 * a device that comes back under its old name is a new file.  So the kernel's
 * count of what it remembers need not be kept: a number that means nothing any
 * more is answered with ENODEV (control-plane.md A.9, rule 6).  Numbers hold no
 * pointers, and mean the same after a restart of the server.
 *
 *	node id = 2 + place + TREE_DEVICE_MAX * (times the place was used before)
 *
 * The door.  A request takes no lock and writes no memory that another one
 * writes (CP-13): each worker has a slot on cache lines of its own, where it
 * says which device it is in.
 *
 *	request				job that detaches
 *	  device := place		  place := nothing
 *	  slot := device		  wait until no slot names device
 *	  place still device?		  close it
 *	  use it
 *	  slot := nothing
 *
 * All of the crossing are sequentially consistent: either the job sees the slot
 * and waits, or the request sees that the place is empty and backs out.
 */
#include <stdbool.h>
#include <stdint.h>

#include <btt/error.h>

#include "device.h"

/* 1 is the directory, as FUSE has it. */
#define TREE_ROOT_ID UINT64_C(1)
#define TREE_DEVICE_MAX 4096u

struct tree;

/* For workers 0 .. nworker - 1. */
int tree_new(unsigned nworker, struct tree **ret_tree) BTT_MUST_CHECK;
/*
 * Before anything is shown: which server of its mount this one is.  No two of
 * them give the same number to different files.
 */
void tree_set_number(struct tree *tree, uint64_t number);
/* It shows nothing.  NULL is fine. */
void tree_free(struct tree *tree);

/*
 * Show a device.  Requests may come in at once, so it is complete.  The tree
 * holds no reference: who shows it hides it before the last one goes.
 *
 * Errors: -EBUSY if the kernel has been told that this mount needs no fsync,
 * and this device does (tree_elides_fsync); -ENOSPC.
 */
int tree_show(struct tree *tree, struct device *device, uint64_t *ret_nodeid,
    struct btt_error *error) BTT_MUST_CHECK;
/*
 * The same by the number that a predecessor gave it.  -EUCLEAN for one that
 * cannot be, or is another's.
 */
int tree_show_again(struct tree *tree, struct device *device, uint64_t nodeid,
    struct btt_error *error) BTT_MUST_CHECK;
/* Let no request in any more, and nobody find it; requests inside go on. */
void tree_hide(struct tree *tree, uint64_t nodeid);
/* The calling thread is about to wait until no request is inside (CP-15). */
void tree_note_wait(struct tree *tree);
/* Is no request inside?  Once true of a hidden device it stays so. */
bool tree_is_left(const struct tree *tree, const struct device *device);
/* Who is inside, for people: "WRITE by worker 3", or "". */
void tree_describe_inside(const struct tree *tree, const struct device *device,
    char *ret_text, size_t text_bytes);
/* Its place may be used again, under another number.  Hidden and left. */
void
tree_forget(struct tree *tree, uint64_t nodeid, const struct device *device);

/*
 * Enter a device; what says for what, a static string for those who wait for
 * the end of it.  NULL if there is none of that number.  A worker is in one
 * device at a time.  Until tree_leave the device stays open, whatever happens.
 */
struct device *tree_enter(
    struct tree *tree, unsigned worker, uint64_t nodeid, const char *what);
void tree_leave(struct tree *tree, unsigned worker);

/* A reference to the device shown by that number, or NULL. */
struct device *tree_find(struct tree *tree, uint64_t nodeid);
/*
 * A reference to the first device shown at position or after it, and its number;
 * *position is then the one after it.  NULL at the end.
 */
struct device *
tree_next(struct tree *tree, uint64_t *position, uint64_t *ret_nodeid);

/* When a device was last shown or hidden. */
void tree_get_changed(struct tree *tree, struct timespec *ret_changed);

/*
 * May the kernel be told never to send FSYNC again?  It remembers the answer
 * for the life of the mount, so once this was true tree_show refuses devices
 * that need one.
 *
 * tree_keep_fsync: never, since devices may come that need it.  To be called
 * before anything is served.
 */
bool tree_elides_fsync(struct tree *tree);
void tree_keep_fsync(struct tree *tree);
/*
 * Whether the kernel was told is written to *elided, which is 1 if it has been
 * told by a predecessor.  Before anything is served; elided outlives the tree's
 * requests.
 */
void tree_share_elided(struct tree *tree, _Atomic uint32_t *elided);

#endif

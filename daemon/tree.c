/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lanes/idle.h>

#include "tree.h"

/* Shows, hides, finds and references, and waits for nothing (CP-12). */
static const struct lock_class tree_class = {
	.name = "tree",
	.rank = 32,
	.flags = 0,
};

/* How often a server may use one place: years of attaching and detaching. */
#define NUSED_A_SERVER (UINT64_C(1) << 32)

/* What is waited for by who closes a device: requests inside. */
static const struct lock_class inside_class = {
	.name = "requests-idle",
	.flags = LOCK_IDLE,
};

/* Where a device is shown.  Keys: T the tree's lock, a atomic. */
struct place {
	/* [a] read by requests, written under T; the crossing of tree.h */
	_Atomic(struct device *) device;
	/* [a] written under T while no request can be inside */
	_Atomic uint64_t nodeid;
	uint64_t nused; /* [T] times it was used before */
	bool is_taken;  /* [T] until tree_forget */
};

/* Written by its worker only.  Keys: a atomic. */
struct slot {
	/* [a] pairs with tree_hide and tree_is_left */
	_Alignas(LANES_CACHE_LINE) _Atomic(struct device *) inside;
	_Atomic(const char *) what; /* [a] for people */
};

/* Keys: I immutable after tree_new, T lock, a atomic. */
struct tree {
	unsigned nworker;   /* [I] */
	struct slot *slots; /* [I] nworker of them */
	struct idle idle;   /* [I] of requests */
	struct mutex lock;
	unsigned nplace;           /* [T] all beyond were never taken */
	unsigned nflush;           /* [T] devices shown that need FSYNC */
	struct timespec changed;   /* [T] */
	_Atomic bool keeps_fsync;  /* [a] never to be elided */
	_Atomic bool fsync_elided; /* [a] set under T; the kernel knows */
	_Atomic uint32_t *shared;  /* [I] the same for successors, or NULL */
	struct place places[TREE_DEVICE_MAX];
};

int
tree_new(unsigned nworker, struct tree **ret_tree)
{
	struct tree *tree;

	if ((tree = calloc(1, sizeof(*tree))) == NULL)
		return -ENOMEM;
	mutex_init(&tree->lock, &tree_class);
	idle_init(&tree->idle, &inside_class);
	(void)clock_gettime(CLOCK_REALTIME, &tree->changed); /* cannot fail */
	tree->nworker = nworker;
	tree->slots =
	    aligned_alloc(LANES_CACHE_LINE, nworker * sizeof(*tree->slots));
	if (tree->slots == NULL) {
		tree_free(tree);
		return -ENOMEM;
	}
	memset(tree->slots, 0, nworker * sizeof(*tree->slots));
	*ret_tree = tree;
	return 0;
}

void
tree_set_number(struct tree *tree, uint64_t number)
{
	unsigned i;

	mutex_lock(&tree->lock);
	for (i = 0; i < TREE_DEVICE_MAX; i++)
		tree->places[i].nused = number * NUSED_A_SERVER;
	mutex_unlock(&tree->lock);
}

void
tree_free(struct tree *tree)
{
	if (tree == NULL)
		return;
	mutex_fini(&tree->lock);
	free(tree->slots);
	free(tree);
}

/* NULL for a number that no device can have. */
static struct place *
place_of(struct tree *tree, uint64_t nodeid)
{
	if (nodeid <= TREE_ROOT_ID)
		return NULL;
	return &tree->places[(nodeid - TREE_ROOT_ID - 1) % TREE_DEVICE_MAX];
}

/* The first place that nobody has. */
static struct place *
free_place(struct tree *tree) REQUIRES(tree->lock)
{
	unsigned i;

	for (i = 0; i < tree->nplace; i++) {
		if (!tree->places[i].is_taken)
			return &tree->places[i];
	}
	return i < TREE_DEVICE_MAX ? &tree->places[tree->nplace++] : NULL;
}

static void
show_at(struct tree *tree, struct device *device, struct place *place,
    uint64_t nodeid) REQUIRES(tree->lock)
{
	if (device_needs_flush(device))
		tree->nflush++;
	place->is_taken = true;
	(void)clock_gettime(CLOCK_REALTIME, &tree->changed);
	atomic_store(&place->nodeid, nodeid);
	/* Last: from here on requests find it. */
	atomic_store(&place->device, device);
}

static int
show_locked(struct tree *tree, struct device *device, uint64_t *ret_nodeid,
    struct btt_error *error) REQUIRES(tree->lock)
{
	struct place *place;

	if (device_needs_flush(device) && atomic_load(&tree->fsync_elided))
		return btt_error_set(error, -EBUSY,
		    "durability=flush needs a mount of its own: this one "
		    "serves devices that are durable on write");
	if ((place = free_place(tree)) == NULL)
		return btt_error_set(error, -ENOSPC,
		    "there are %u devices already", TREE_DEVICE_MAX);
	*ret_nodeid = TREE_ROOT_ID + 1 + (uint64_t)(place - tree->places) +
	    TREE_DEVICE_MAX * place->nused++;
	show_at(tree, device, place, *ret_nodeid);
	return 0;
}

static int
show_again_locked(struct tree *tree, struct device *device, uint64_t nodeid,
    struct btt_error *error) REQUIRES(tree->lock)
{
	struct place *place = place_of(tree, nodeid);
	unsigned index;

	if (place == NULL || place->is_taken)
		return btt_error_set(error, -EUCLEAN,
		    "it was file number %llu, which cannot be",
		    (unsigned long long)nodeid);
	index = (unsigned)(place - tree->places);
	if (tree->nplace <= index)
		tree->nplace = index + 1;
	show_at(tree, device, place, nodeid);
	return 0;
}

int
tree_show_again(struct tree *tree, struct device *device, uint64_t nodeid,
    struct btt_error *error)
{
	int r;

	mutex_lock(&tree->lock);
	r = show_again_locked(tree, device, nodeid, error);
	mutex_unlock(&tree->lock);
	return r;
}

int
tree_show(struct tree *tree, struct device *device, uint64_t *ret_nodeid,
    struct btt_error *error)
{
	int r;

	mutex_lock(&tree->lock);
	r = show_locked(tree, device, ret_nodeid, error);
	mutex_unlock(&tree->lock);
	return r;
}

void
tree_hide(struct tree *tree, uint64_t nodeid)
{
	struct place *place;

	mutex_lock(&tree->lock);
	place = place_of(tree, nodeid);
	assert(place != NULL && atomic_load(&place->nodeid) == nodeid);
	atomic_store(&place->device, NULL);
	(void)clock_gettime(CLOCK_REALTIME, &tree->changed);
	mutex_unlock(&tree->lock);
}

void
tree_note_wait(struct tree *tree)
{
	idle_wait(&tree->idle);
}

bool
tree_is_left(const struct tree *tree, const struct device *device)
{
	unsigned i;

	for (i = 0; i < tree->nworker; i++) {
		if (atomic_load(&tree->slots[i].inside) == device)
			return false;
	}
	return true;
}

void
tree_describe_inside(const struct tree *tree, const struct device *device,
    char *ret_text, size_t text_bytes)
{
	const char *what;
	size_t used;
	unsigned i;
	int n;

	used = 0;
	ret_text[0] = '\0';
	for (i = 0; i < tree->nworker && used < text_bytes; i++) {
		if (atomic_load(&tree->slots[i].inside) != device)
			continue;
		what = atomic_load(&tree->slots[i].what);
		n = snprintf(ret_text + used, text_bytes - used,
		    "%s%s by worker %u", used > 0 ? ", " : "", what, i);
		used += n > 0 ? (size_t)n : 0;
	}
}

void
tree_forget(struct tree *tree, uint64_t nodeid, const struct device *device)
{
	struct place *place;

	mutex_lock(&tree->lock);
	place = place_of(tree, nodeid);
	assert(place != NULL && atomic_load(&place->device) == NULL);
	place->is_taken = false;
	if (device_needs_flush(device))
		tree->nflush--;
	mutex_unlock(&tree->lock);
}

static void
clear_slot(struct slot *slot)
{
	/*
	 * Release is enough: who sees it has all that was done inside behind
	 * itself, and nobody waits for seeing it soon.
	 */
	atomic_store_explicit(&slot->inside, NULL, memory_order_release);
}

NO_TSA struct device *
tree_enter(
    struct tree *tree, unsigned worker, uint64_t nodeid, const char *what)
{
	struct slot *slot = &tree->slots[worker];
	struct device *device;
	struct place *place;

	if ((place = place_of(tree, nodeid)) == NULL)
		return NULL;
	if ((device = atomic_load(&place->device)) == NULL)
		return NULL;
	/* Seen by whoever sees the next store; it is for people only. */
	atomic_store_explicit(&slot->what, what, memory_order_relaxed);
	atomic_store(&slot->inside, device);
	/*
	 * Still shown now that the slot says so: whoever hides it from here on
	 * waits for us.  The same address may be another device by now, whose
	 * number is another one.
	 */
	if (atomic_load(&place->device) == device &&
	    atomic_load(&place->nodeid) == nodeid) {
		idle_enter(&tree->idle);
		return device;
	}
	clear_slot(slot);
	return NULL;
}

NO_TSA void
tree_leave(struct tree *tree, unsigned worker)
{
	idle_leave(&tree->idle);
	clear_slot(&tree->slots[worker]);
}

struct device *
tree_find(struct tree *tree, uint64_t nodeid)
{
	struct device *device;
	struct place *place;

	if ((place = place_of(tree, nodeid)) == NULL)
		return NULL;
	mutex_lock(&tree->lock);
	device = atomic_load(&place->device);
	if (device != NULL && atomic_load(&place->nodeid) == nodeid)
		device_ref(device);
	else
		device = NULL;
	mutex_unlock(&tree->lock);
	return device;
}

struct device *
tree_next(struct tree *tree, uint64_t *position, uint64_t *ret_nodeid)
{
	struct device *device;
	uint64_t i;

	device = NULL;
	mutex_lock(&tree->lock);
	for (i = *position; i < tree->nplace && device == NULL; i++) {
		device = atomic_load(&tree->places[i].device);
		if (device != NULL) {
			*ret_nodeid = atomic_load(&tree->places[i].nodeid);
			*position = i + 1;
			device_ref(device);
		}
	}
	mutex_unlock(&tree->lock);
	return device;
}

void
tree_get_changed(struct tree *tree, struct timespec *ret_changed)
{
	mutex_lock(&tree->lock);
	*ret_changed = tree->changed;
	mutex_unlock(&tree->lock);
}

bool
tree_elides_fsync(struct tree *tree)
{
	bool elides;

	/* Each FSYNC comes here, so the usual answers take no lock. */
	if (atomic_load(&tree->keeps_fsync))
		return false;
	if (atomic_load(&tree->fsync_elided))
		return true;
	mutex_lock(&tree->lock);
	if ((elides = tree->nflush == 0)) {
		/* A crash in between finds a kernel that was not told. */
		if (tree->shared != NULL)
			atomic_store(tree->shared, 1);
		atomic_store(&tree->fsync_elided, true);
	}
	mutex_unlock(&tree->lock);
	return elides;
}

void
tree_keep_fsync(struct tree *tree)
{
	atomic_store(&tree->keeps_fsync, true);
}

void
tree_share_elided(struct tree *tree, _Atomic uint32_t *elided)
{
	tree->shared = elided;
	if (atomic_load(elided) != 0)
		atomic_store(&tree->fsync_elided, true);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_EVENT_H
#define BTTFS_EVENT_H

/*
 * event -- what happened, numbered without gaps, the newest few thousand of it.
 *
 * Whoever makes something happen appends; that copies into a ring under a leaf
 * lock, allocates nothing and waits for nobody (UI-8).  Readers keep the number
 * that they want next and find out by it what they were too slow for.  Times
 * and texts are made for people by whoever shows them.
 */
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <btt/btt.h>
#include <btt/error.h>

/* A transition of a device is one of the first six (control-plane.md A.9). */
enum event_kind {
	EVENT_ATTACHING,
	EVENT_ATTACHED,
	EVENT_READ_ONLY,
	EVENT_FAILED,
	EVENT_DETACHING,
	EVENT_DETACHED,
	EVENT_ARENA_ERROR,
	EVENT_ARENA_RECOVERED,
	EVENT_BADBLOCK_ADDED,
	EVENT_BADBLOCK_CLEARED,
	EVENT_SCRUB_STARTED,
	EVENT_SCRUB_FINISHED,
	EVENT_FLUSH_ERROR,
	EVENT_LANE_STALL,
	EVENT_JOB_FINISHED,
	EVENT_KINDS
};

/* The key that stands for it in JSON: "namespace-attached". */
const char *event_kind_name(enum event_kind kind);

#define EVENT_TEXT_BYTES 200u

/* Nothing in here points anywhere. */
struct event {
	enum event_kind kind;
	uint64_t seq;         /* set by event_append, from 1 on */
	struct timespec time; /* set by event_append; real time */
	/* The device, if it is about one. */
	char device[NAME_MAX + 1]; /* its name, or "" */
	const char *state;         /* static; its name for it */
	uint64_t generation;
	uint64_t size_bytes; /* 0: not known yet, nor are the next two */
	uint32_t sector_bytes;
	uint8_t uuid[BTT_UUID_BYTES];
	/* What else there is to say, each 0, NULL or "" if nothing. */
	uint64_t job;
	const char *verb;    /* static; of EVENT_JOB_FINISHED, as the next */
	const char *outcome; /* static; the state in which it ended */
	int error;           /* negative errno */
	const char *stage;   /* static; of the job */
	const char *finding; /* static; its name, of EVENT_ARENA_ERROR */
	const char *cause;   /* static; of a change of what is bad */
	const char *area;    /* static; of the medium, as the next */
	uint64_t off, len;   /* a range of it, bytes, if len is not 0 */
	uint64_t count;
	char text[EVENT_TEXT_BYTES];
};

/* So many are kept. */
#define EVENT_RING 4096u

struct event_ring;

int event_ring_new(struct event_ring **ret_ring) BTT_MUST_CHECK;
/* NULL is fine. */
void event_ring_free(struct event_ring *ring);

/*
 * Number and time it, and keep a copy.  Then poke listeners, see below.  Any
 * thread, whatever lock it holds below the leaves.
 */
void event_append(struct event_ring *ring, struct event *event);

/* The number that the next event will get. */
uint64_t event_next_seq(struct event_ring *ring);

/*
 * Copy event number *seq, or the oldest one that is still there, and set *seq
 * to the number after it.  *ret_lost is how many were skipped.
 * Returns false if there is none yet; *seq and *ret_lost are then untouched.
 */
bool event_read(struct event_ring *ring, uint64_t *seq, struct event *ret_event,
    uint64_t *ret_lost);

/*
 * fd is an eventfd(2) that becomes readable after each append from now on;
 * -1 for none.  There is one listener.
 */
void event_listen(struct event_ring *ring, int fd);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/eventfd.h>

#include <errno.h>
#include <stdlib.h>

#include <lanes/sync.h>

#include "event.h"

/* A copy is made under it, nothing else. */
static const struct lock_class ring_class = {
	.name = "events",
	.rank = 90,
	.flags = LOCK_LEAF,
};

/* Keys: E lock. */
struct event_ring {
	struct mutex lock;
	uint64_t next;                   /* [E] number of the next event */
	int listener_fd;                 /* [E] -1: nobody listens */
	struct event events[EVENT_RING]; /* [E] number n at n % EVENT_RING */
};

const char *
event_kind_name(enum event_kind kind)
{
	static const char *const names[EVENT_KINDS] = {
		[EVENT_ATTACHING] = "namespace-attaching",
		[EVENT_ATTACHED] = "namespace-attached",
		[EVENT_READ_ONLY] = "namespace-read-only",
		[EVENT_FAILED] = "namespace-failed",
		[EVENT_DETACHING] = "namespace-detaching",
		[EVENT_DETACHED] = "namespace-detached",
		[EVENT_ARENA_ERROR] = "arena-error",
		[EVENT_ARENA_RECOVERED] = "arena-recovered",
		[EVENT_BADBLOCK_ADDED] = "badblock-added",
		[EVENT_BADBLOCK_CLEARED] = "badblock-cleared",
		[EVENT_SCRUB_STARTED] = "scrub-started",
		[EVENT_SCRUB_FINISHED] = "scrub-finished",
		[EVENT_FLUSH_ERROR] = "flush-error",
		[EVENT_LANE_STALL] = "lane-stall",
		[EVENT_JOB_FINISHED] = "job-finished",
	};

	return names[kind];
}

int
event_ring_new(struct event_ring **ret_ring)
{
	struct event_ring *ring;

	/* Memory that no event has reached yet is not used. */
	if ((ring = calloc(1, sizeof(*ring))) == NULL)
		return -ENOMEM;
	mutex_init(&ring->lock, &ring_class);
	ring->next = 1;
	ring->listener_fd = -1;
	*ret_ring = ring;
	return 0;
}

void
event_ring_free(struct event_ring *ring)
{
	if (ring == NULL)
		return;
	mutex_fini(&ring->lock);
	free(ring);
}

void
event_append(struct event_ring *ring, struct event *event)
{
	mutex_lock(&ring->lock);
	/* Under the lock, so that times ascend with the numbers. */
	(void)clock_gettime(CLOCK_REALTIME, &event->time); /* cannot fail */
	event->seq = ring->next++;
	ring->events[event->seq % EVENT_RING] = *event;
	/* Does not block: far from overflowing, it is read at each wake. */
	if (ring->listener_fd >= 0)
		(void)eventfd_write(ring->listener_fd, 1);
	mutex_unlock(&ring->lock);
}

uint64_t
event_next_seq(struct event_ring *ring)
{
	uint64_t next;

	mutex_lock(&ring->lock);
	next = ring->next;
	mutex_unlock(&ring->lock);
	return next;
}

bool
event_read(struct event_ring *ring, uint64_t *seq, struct event *ret_event,
    uint64_t *ret_lost)
{
	uint64_t oldest;
	bool found;

	mutex_lock(&ring->lock);
	if ((found = *seq < ring->next)) {
		oldest = ring->next > EVENT_RING ? ring->next - EVENT_RING : 1;
		*ret_lost = *seq < oldest ? oldest - *seq : 0;
		if (*seq < oldest)
			*seq = oldest;
		*ret_event = ring->events[*seq % EVENT_RING];
		++*seq;
	}
	mutex_unlock(&ring->lock);
	return found;
}

void
event_listen(struct event_ring *ring, int fd)
{
	mutex_lock(&ring->lock);
	ring->listener_fd = fd;
	mutex_unlock(&ring->lock);
}

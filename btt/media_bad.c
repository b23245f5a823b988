/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media_bad -- ranges of a medium that are known not to hold what was written.
 *
 * There are few of them, mostly none: a short list behind a lock, and a count
 * that lets everybody pass who comes while the list is empty.
 */
#include <errno.h>
#include <stdlib.h>

#include <lanes/sync.h>

#include "hook.h"
#include "media_impl.h"

#define BAD_MAX 256u
/* The unit in which media fail and are cleared (btt-format.md 4.4). */
#define BAD_UNIT 512u

static const struct lock_class bad_class = { "bad-ranges", 77, LOCK_LEAF };

struct bad_range {
	uint64_t off, end; /* multiples of BAD_UNIT, off < end */
};

/* Keys: a atomic, B lock. */
struct media_bad {
	_Atomic unsigned n; /* [a] 0 lets readers pass by; changed under B */
	struct mutex lock;  /* leaf */
	struct bad_range range[BAD_MAX]; /* [B] */
};

int
media_bad_init(struct media *media)
{
	struct media_bad *bad;

	if ((bad = calloc(1, sizeof(*bad))) == NULL)
		return -ENOMEM;
	mutex_init(&bad->lock, &bad_class);
	media->bad = bad;
	return 0;
}

void
media_bad_fini(struct media *media)
{
	if (media->bad == NULL)
		return;
	mutex_fini(&media->bad->lock);
	free(media->bad);
	media->bad = NULL;
}

static bool
overlaps(const struct bad_range *range, uint64_t off, uint64_t end)
{
	return range->off < end && off < range->end;
}

bool
media_is_bad_listed(const struct media *media, uint64_t off, size_t len)
{
	struct media_bad *bad = media->bad;
	bool found = false;
	unsigned n;

	mutex_lock(&bad->lock);
	n = atomic_load_explicit(&bad->n, memory_order_relaxed);
	for (unsigned i = 0; i < n && !found; i++)
		found = overlaps(&bad->range[i], off, off + len);
	mutex_unlock(&bad->lock);
	return found;
}

bool
media_next_bad(const struct media *media, uint64_t off, uint64_t end,
    uint64_t *ret_off, uint64_t *ret_len)
{
	struct media_bad *bad = media->bad;
	uint64_t first = end;
	uint64_t last = end;
	unsigned n;

	if (!media_knows_bad(media))
		return false;
	mutex_lock(&bad->lock);
	n = atomic_load_explicit(&bad->n, memory_order_relaxed);
	for (unsigned i = 0; i < n; i++) {
		const struct bad_range *range = &bad->range[i];
		uint64_t from = range->off > off ? range->off : off;

		if (range->end <= off || from >= first)
			continue;
		first = from;
		last = range->end < end ? range->end : end;
	}
	mutex_unlock(&bad->lock);
	*ret_off = first;
	*ret_len = last - first;
	return first < end;
}

bool
media_knows_bad(const struct media *media)
{
	return media->bad != NULL &&
	    atomic_load_explicit(&media->bad->n, memory_order_relaxed) != 0;
}

size_t
media_list_bad(
    const struct media *media, struct media_range *ret_ranges, size_t max)
{
	struct media_bad *bad = media->bad;
	size_t n;

	if (bad == NULL)
		return 0;
	mutex_lock(&bad->lock);
	n = atomic_load_explicit(&bad->n, memory_order_relaxed);
	for (size_t i = 0; i < n && i < max; i++)
		ret_ranges[i] = (struct media_range){ bad->range[i].off,
			bad->range[i].end - bad->range[i].off };
	mutex_unlock(&bad->lock);
	return n;
}

static int
add_locked(struct media_bad *bad, uint64_t off, uint64_t end)
    REQUIRES(bad->lock)
{
	unsigned n = atomic_load_explicit(&bad->n, memory_order_relaxed);

	if (n == BAD_MAX)
		return -ENOSPC;
	bad->range[n] = (struct bad_range){ off, end };
	atomic_store(&bad->n, n + 1);
	return 0;
}

int
media_add_bad(struct media *media, uint64_t off, size_t len)
{
	struct media_bad *bad = media->bad;
	uint64_t end = off + len;
	int r;

	media_assert_range(media, off, len);
	if (bad == NULL)
		return -ENOTSUP;
	if (len == 0)
		return 0;
	off -= off % BAD_UNIT;
	end += BAD_UNIT - 1;
	end -= end % BAD_UNIT;
	mutex_lock(&bad->lock);
	r = add_locked(bad, off, end);
	mutex_unlock(&bad->lock);
	return r;
}

/* Whole units of [off, end) leave the list; what is beside them stays. */
static int
forget_locked(struct media_bad *bad, uint64_t off, uint64_t end)
    REQUIRES(bad->lock)
{
	unsigned n = atomic_load_explicit(&bad->n, memory_order_relaxed);

	for (unsigned i = 0; i < n; i++) {
		struct bad_range *range = &bad->range[i];

		if (!overlaps(range, off, end))
			continue;
		if (range->off < off && range->end > end) {
			/* The part behind becomes a range of its own. */
			if (add_locked(bad, end, range->end) < 0)
				return -ENOSPC;
			n++;
			range->end = off;
		} else if (range->off < off) {
			range->end = off;
		} else if (range->end > end) {
			range->off = end;
		} else {
			bad->range[i--] = bad->range[--n];
			atomic_store(&bad->n, n);
		}
	}
	return 0;
}

/*
 * A unit that reaches over an end of the range would take a neighbour with it
 * (strides of 576 or 4160, btt-format.md 1.8).
 */
static bool
has_whole_units(struct media_bad *bad, uint64_t off, uint64_t end)
    REQUIRES(bad->lock)
{
	unsigned n = atomic_load_explicit(&bad->n, memory_order_relaxed);

	for (unsigned i = 0; i < n; i++) {
		const struct bad_range *range = &bad->range[i];

		if (!overlaps(range, off, end))
			continue;
		if ((range->off < off && off % BAD_UNIT != 0) ||
		    (range->end > end && end % BAD_UNIT != 0))
			return false;
	}
	return true;
}

struct zero_job {
	struct media *media;
	uint64_t off;
	size_t len;
};

static int
zero_range(void *arg)
{
	const struct zero_job *job = arg;

	return media_zero(job->media, job->off, job->len);
}

int
media_clear_bad(struct media *media, uint64_t off, size_t len)
{
	struct zero_job job = { media, off, len };
	struct media_bad *bad = media->bad;
	bool whole;
	int r = 0;

	mutex_lock(&bad->lock);
	whole = has_whole_units(bad, off, off + len);
	mutex_unlock(&bad->lock);
	if (!whole && !MUTANT(83))
		return -EIO;
	if (media->ops->clear_bad != NULL)
		r = media->ops->clear_bad(media, off, len);
	/* Zeroes, durable before anybody takes the place for good. */
	if (r == 0 && (r = media_try(zero_range, &job)) == 0)
		r = media_fence(media);
	if (r < 0)
		return r;
	mutex_lock(&bad->lock);
	r = forget_locked(bad, off, off + len);
	mutex_unlock(&bad->lock);
	return r;
}

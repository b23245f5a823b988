/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media_bad -- ranges of a medium that are known not to hold what was written.
 *
 * There are few of them, mostly none: a short list behind a lock, and a count
 * (media.h) that lets everybody pass who comes while the list is empty.
 *
 * Whoever wants to know of changes is told under the lock, so that what is told
 * is in the order in which it happened.
 */
#include <errno.h>
#include <stdlib.h>

#include <lanes/sync.h>

#include "badlist.h"
#include "hook.h"
#include "media_impl.h"

/* Whoever is told of changes takes leaves above it. */
static const struct lock_class bad_class = { "bad-ranges", 77, 0 };

/* Keys: a atomic, B lock. */
struct media_bad {
	struct media *media;  /* [I] its nbad changes under B */
	struct mutex lock;    /* held for a look or a change, never over I/O */
	struct badlist *list; /* [B] what there is... */
	struct badlist *next; /* [B] ...and what it is to become */
	struct media_bad_watch watch; /* [B] */
	struct badlist memory[2];
};

static_assert(MEDIA_BAD_MAX == BADLIST_MAX, "a list fits into the caller's");
static_assert(sizeof(struct badlist) <= MEDIA_BAD_BYTES, "so does a copy");

int
media_bad_init(struct media *media)
{
	struct media_bad *bad;

	if ((bad = calloc(1, sizeof(*bad))) == NULL)
		return -ENOMEM;
	mutex_init(&bad->lock, &bad_class);
	bad->list = &bad->memory[0];
	bad->next = &bad->memory[1];
	bad->media = media;
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
	atomic_store(&media->nbad, 0);
}

static void
keep_locked(const struct media_bad *bad) REQUIRES(bad->lock)
{
	if (bad->watch.keep != NULL)
		bad->watch.keep(bad->watch.arg, bad->list, sizeof(*bad->list));
}

void
media_watch_bad(struct media *media, const struct media_bad_watch *watch)
{
	struct media_bad *bad = media->bad;

	if (bad == NULL)
		return;
	mutex_lock(&bad->lock);
	bad->watch =
	    watch != NULL ? *watch : (struct media_bad_watch){ .tell = NULL };
	keep_locked(bad);
	mutex_unlock(&bad->lock);
}

static bool
is_marked(const struct media *media, uint64_t off, size_t len, unsigned marks)
{
	struct media_bad *bad = media->bad;
	uint64_t first, last;
	bool found;

	mutex_lock(&bad->lock);
	found = badlist_next(bad->list, off, off + len, marks, &first, &last);
	mutex_unlock(&bad->lock);
	return found;
}

bool
media_is_bad_listed(const struct media *media, uint64_t off, size_t len)
{
	return is_marked(media, off, len, BAD_KNOWN);
}

bool
media_wants_clear(const struct media *media, uint64_t off, size_t len)
{
	return media_knows_bad(media) &&
	    is_marked(media, off, len, BAD_KNOWN | BAD_LATENT);
}

bool
media_next_bad(const struct media *media, uint64_t off, uint64_t end,
    uint64_t *ret_off, uint64_t *ret_len)
{
	struct media_bad *bad = media->bad;
	uint64_t first = end;
	uint64_t last = end;
	bool found;

	if (!media_knows_bad(media))
		return false;
	mutex_lock(&bad->lock);
	found = badlist_next(bad->list, off, end, BAD_KNOWN, &first, &last);
	mutex_unlock(&bad->lock);
	*ret_off = first;
	*ret_len = last - first;
	return found;
}

/* Runs with one of the marks, as far as there is room; how many there are. */
static size_t
list_marked(const struct media *media, unsigned marks,
    struct media_range *ret_ranges, size_t max)
{
	struct media_bad *bad = media->bad;
	uint64_t off = 0, end;
	size_t n = 0;

	if (bad == NULL)
		return 0;
	mutex_lock(&bad->lock);
	while (badlist_next(bad->list, off, UINT64_MAX, marks, &off, &end)) {
		if (n < max)
			ret_ranges[n] = (struct media_range){ off, end - off };
		n++;
		off = end;
	}
	mutex_unlock(&bad->lock);
	return n;
}

size_t
media_list_bad(
    const struct media *media, struct media_range *ret_ranges, size_t max)
{
	return list_marked(media, BAD_KNOWN, ret_ranges, max);
}

size_t
media_list_injected(const struct media *media, bool latent,
    struct media_range *ret_ranges, size_t max)
{
	return list_marked(
	    media, latent ? BAD_LATENT : BAD_INJECTED, ret_ranges, max);
}

/*
 * Places of [off, end) that one list knows to be bad and the other does not:
 * both are walked along the runs of the one.
 */
static void
tell_difference(const struct media_bad *bad, const struct badlist *one,
    const struct badlist *other, uint64_t off, uint64_t end,
    enum media_bad_change change)
{
	uint64_t run_end, hit, hit_end;

	while (badlist_next(one, off, end, BAD_KNOWN, &off, &run_end)) {
		while (off < run_end) {
			if (!badlist_next(
				other, off, run_end, BAD_KNOWN, &hit, &hit_end))
				hit = hit_end = run_end;
			if (off < hit)
				bad->watch.tell(
				    bad->watch.arg, change, off, hit - off);
			off = hit_end;
		}
	}
}

/* The list as it was is in bad->next after that. */
static int
apply_locked(struct media_bad *bad, uint64_t off, uint64_t end,
    bad_marks_fn *fn) REQUIRES(bad->lock)
{
	struct badlist *old = bad->list;
	int r;

	if ((r = badlist_apply(old, off, end, fn, bad->next)) < 0)
		return r;
	bad->list = bad->next;
	bad->next = old;
	atomic_store(&bad->media->nbad, bad->list->nrun);
	keep_locked(bad);
	return 0;
}

static int
change_locked(struct media_bad *bad, uint64_t off, uint64_t end,
    bad_marks_fn *fn, enum media_bad_change change) REQUIRES(bad->lock)
{
	const struct badlist *old;
	int r;

	if ((r = apply_locked(bad, off, end, fn)) < 0 ||
	    bad->watch.tell == NULL)
		return r;
	old = bad->next;
	if (change == MEDIA_BAD_CLEARED || change == MEDIA_BAD_UNINJECTED)
		tell_difference(bad, old, bad->list, off, end, change);
	else
		tell_difference(bad, bad->list, old, off, end, change);
	return 0;
}

/* Of all units that the range touches. */
static int
change_units(struct media *media, uint64_t off, size_t len, bad_marks_fn *fn,
    enum media_bad_change change)
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
	r = change_locked(bad, off, end, fn, change);
	mutex_unlock(&bad->lock);
	return r;
}

int
media_add_bad(struct media *media, uint64_t off, size_t len)
{
	return change_units(media, off, len, badlist_find, MEDIA_BAD_FOUND);
}

int
media_inject_bad(struct media *media, uint64_t off, size_t len, bool latent)
{
	return change_units(media, off, len,
	    latent ? badlist_inject_latent : badlist_inject,
	    MEDIA_BAD_INJECTED);
}

int
media_uninject_bad(struct media *media, uint64_t off, size_t len)
{
	return change_units(
	    media, off, len, badlist_uninject, MEDIA_BAD_UNINJECTED);
}

/*
 * What is restored keeps where it came from.  It is no change: who watched when
 * it was found has been told, and who did not asks for the list.
 */
static int
restore_locked(struct media_bad *bad, const struct badlist *from)
    REQUIRES(bad->lock)
{
	int r = 0;

	for (unsigned i = 0; i < from->nrun && r == 0; i++) {
		const struct bad_run *run = &from->run[i];
		bad_marks_fn *const fns[] = {
			(run->marks & BAD_FOUND) != 0 ? badlist_find : NULL,
			(run->marks & BAD_INJECTED) != 0 ? badlist_inject
							 : NULL,
			(run->marks & BAD_LATENT) != 0 ? badlist_inject_latent
						       : NULL,
		};

		for (unsigned k = 0; k < 3 && r == 0; k++) {
			if (fns[k] != NULL)
				r = apply_locked(
				    bad, run->off, run->end, fns[k]);
		}
	}
	return r;
}

int
media_restore_bad(struct media *media, const void *list, size_t bytes)
{
	struct media_bad *bad = media->bad;
	struct badlist *from;
	int r;

	if (bad == NULL)
		return -ENOTSUP;
	if (bytes != sizeof(*from))
		return -EUCLEAN;
	if ((from = malloc(sizeof(*from))) == NULL)
		return -ENOMEM;
	/* A copy first: others may write to what we were given. */
	memcpy(from, list, sizeof(*from));
	r = -EUCLEAN;
	if (badlist_is_valid(from, media->size)) {
		mutex_lock(&bad->lock);
		r = restore_locked(bad, from);
		mutex_unlock(&bad->lock);
	}
	free(from);
	return r;
}

bool
media_notice_bad(struct media *media, uint64_t off, size_t len)
{
	int r;

	if (!media_knows_bad(media) || !is_marked(media, off, len, BAD_LATENT))
		return false;
	r = change_units(media, off, len, badlist_notice, MEDIA_BAD_FOUND);
	/* A run may fall into three.  Where there is no room, all are noticed:
	 * that takes none. */
	if (r == -ENOSPC)
		r = change_units(media, 0, media->size - media->size % BAD_UNIT,
		    badlist_notice, MEDIA_BAD_FOUND);
	return r == 0;
}

/*
 * A unit that reaches over an end of the range would take a neighbour with it
 * (strides of 576 or 4160, btt-format.md 1.8).
 */
static bool
has_whole_units(const struct badlist *list, uint64_t off, uint64_t end)
{
	uint64_t first, last;

	/* The units in which the ends are, where they are inside of one. */
	if (off % BAD_UNIT != 0 &&
	    badlist_next(list, off - off % BAD_UNIT, off,
		BAD_KNOWN | BAD_LATENT, &first, &last))
		return false;
	return end % BAD_UNIT == 0 ||
	    !badlist_next(list, end, end + BAD_UNIT - end % BAD_UNIT,
		BAD_KNOWN | BAD_LATENT, &first, &last);
}

int
media_mend_bad(struct media *media, uint64_t off, size_t len)
{
	return media->ops->clear_bad == NULL
	    ? 0
	    : media->ops->clear_bad(media, off, len);
}

int
media_forget_bad(struct media *media, uint64_t off, size_t len)
{
	struct media_bad *bad = media->bad;
	uint64_t end = off + len;
	int r;

	/* Whole units only: what is beside them stays as it is. */
	off += (BAD_UNIT - off % BAD_UNIT) % BAD_UNIT;
	end -= end % BAD_UNIT;
	if (off >= end)
		return 0;
	mutex_lock(&bad->lock);
	r = change_locked(bad, off, end, badlist_clear, MEDIA_BAD_CLEARED);
	mutex_unlock(&bad->lock);
	return r;
}

int
media_clear_bad(struct media *media, uint64_t off, size_t len)
{
	struct media_bad *bad = media->bad;
	bool whole;
	int r;

	mutex_lock(&bad->lock);
	whole = has_whole_units(bad->list, off, off + len);
	mutex_unlock(&bad->lock);
	if (!whole && !MUTANT(83))
		return -EIO;
	/* Zeroes, durable before anybody takes the place for good. */
	if ((r = media_mend_bad(media, off, len)) == 0 &&
	    (r = media_try_zero(media, off, len)) == 0)
		r = media_fence(media);
	if (r == 0)
		r = media_forget_bad(media, off, len);
	/* Good, but a full list has no room to say so: it stays bad. */
	return r == -ENOSPC ? -EIO : r;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <stddef.h>

#include "badlist.h"

unsigned
badlist_find(unsigned marks)
{
	return marks | BAD_FOUND;
}

unsigned
badlist_inject(unsigned marks)
{
	return (marks & ~BAD_LATENT) | BAD_INJECTED;
}

unsigned
badlist_inject_latent(unsigned marks)
{
	return (marks & BAD_INJECTED) != 0 ? marks : marks | BAD_LATENT;
}

unsigned
badlist_uninject(unsigned marks)
{
	return marks & BAD_FOUND;
}

unsigned
badlist_notice(unsigned marks)
{
	return (marks & BAD_LATENT) != 0 ? badlist_inject(marks) : marks;
}

unsigned
badlist_clear(unsigned marks)
{
	(void)marks;
	return 0;
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
greatest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Ranges come in ascending order; those without a mark leave no trace. */
static int
append(struct badlist *list, uint64_t off, uint64_t end, unsigned marks)
{
	struct bad_run *last;

	if (off >= end || marks == 0)
		return 0;
	last = list->nrun > 0 ? &list->run[list->nrun - 1] : NULL;
	assert(last == NULL || last->end <= off);
	if (last != NULL && last->end == off && last->marks == marks) {
		last->end = end;
		return 0;
	}
	if (list->nrun == BADLIST_MAX)
		return -ENOSPC;
	list->run[list->nrun++] = (struct bad_run){ off, end, marks };
	return 0;
}

int
badlist_apply(const struct badlist *list, uint64_t off, uint64_t end,
    bad_marks_fn *fn, struct badlist *ret_list)
{
	uint64_t at = off; /* up to here [off, end) is done */
	int r = 0;

	assert(list != ret_list && off % BAD_UNIT == 0 && end % BAD_UNIT == 0);
	ret_list->nrun = 0;
	for (unsigned i = 0; i < list->nrun && r == 0; i++) {
		const struct bad_run *run = &list->run[i];
		uint64_t first = greatest(run->off, off);
		uint64_t last = least(run->end, end);

		r = append(
		    ret_list, run->off, least(run->end, off), run->marks);
		/* What lies before it, and what is beyond has all of it. */
		if (r == 0 && run->end > off)
			r = append(ret_list, at, least(run->off, end), fn(0));
		if (r == 0 && first < last)
			r = append(ret_list, first, last, fn(run->marks));
		if (run->end > off)
			at = greatest(at, least(run->end, end));
		if (r == 0)
			r = append(ret_list, greatest(run->off, end), run->end,
			    run->marks);
	}
	return r < 0 ? r : append(ret_list, at, end, fn(0));
}

bool
badlist_next(const struct badlist *list, uint64_t off, uint64_t end,
    unsigned marks, uint64_t *ret_off, uint64_t *ret_end)
{
	bool found = false;
	uint64_t first, last;

	for (unsigned i = 0; i < list->nrun; i++) {
		const struct bad_run *run = &list->run[i];

		if (run->end <= off || (run->marks & marks) == 0)
			continue;
		first = greatest(run->off, off);
		last = least(run->end, end);
		if (first >= last || (found && first != *ret_end))
			break;
		if (!found)
			*ret_off = first;
		*ret_end = last;
		found = true;
	}
	return found;
}

bool
badlist_is_valid(const struct badlist *list, uint64_t size)
{
	uint64_t least_off = 0;

	if (list->nrun > BADLIST_MAX)
		return false;
	for (unsigned i = 0; i < list->nrun; i++) {
		const struct bad_run *run = &list->run[i];

		if (run->off < least_off || run->end <= run->off ||
		    run->off % BAD_UNIT != 0 || run->end % BAD_UNIT != 0 ||
		    run->off >= size || run->end - BAD_UNIT >= size ||
		    run->marks == 0 ||
		    (run->marks & ~(BAD_KNOWN | BAD_LATENT)) != 0)
			return false;
		least_off = run->end;
	}
	return true;
}

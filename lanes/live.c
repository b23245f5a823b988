/* SPDX-License-Identifier: BSD-3-Clause */
#include "live.h"

#include <stdlib.h>
#include <string.h>

/*
 * Mutable and the process's: memory is, and so is whoever watches.
 * Keys: L lock.  That lock is taken last, and by nobody who reports.
 */
static pthread_mutex_t live_lock = PTHREAD_MUTEX_INITIALIZER;
static struct live_row *rows; /* [L] ascending, none overlaps another */
static size_t nrow;           /* [L] */
static size_t room;           /* [L] entries that rows has room for */

static uintptr_t
start_of(const struct live_row *row)
{
	return (uintptr_t)row->first;
}

static uintptr_t
end_of(const struct live_row *row)
{
	return start_of(row) + (row->count - 1) * row->stride_bytes +
	    sizeof(struct mutex);
}

/* Index of the first row that ends after an address. */
static size_t
find_after(uintptr_t address)
{
	size_t low = 0;
	size_t high = nrow;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (end_of(&rows[middle]) > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void
take_out(size_t index)
{
	nrow--;
	memmove(
	    &rows[index], &rows[index + 1], (nrow - index) * sizeof(rows[0]));
	if (nrow == 0) {
		free(rows);
		rows = NULL;
		room = 0;
	}
}

static void
put_in(size_t index, const struct live_row *row)
{
	struct live_row *larger;

	if (nrow == room) {
		larger = reallocarray(rows, room * 2 + 64, sizeof(rows[0]));
		if (larger == NULL)
			return;
		rows = larger;
		room = room * 2 + 64;
	}
	memmove(
	    &rows[index + 1], &rows[index], (nrow - index) * sizeof(rows[0]));
	rows[index] = *row;
	nrow++;
}

static void
lock(void)
{
	raw_must("pthread_mutex_lock", pthread_mutex_lock(&live_lock));
}

static void
unlock(void)
{
	raw_must("pthread_mutex_unlock", pthread_mutex_unlock(&live_lock));
}

void
live_add(const struct live_row *row)
{
	const char *lost_place = NULL;
	size_t index;

	lock();
	index = find_after(start_of(row));
	while (index < nrow && start_of(&rows[index]) < end_of(row)) {
		lost_place = rows[index].place;
		take_out(index);
	}
	put_in(index, row);
	unlock();
	if (lost_place != NULL) /* LK-10 */
		held_report(held_self(),
		    "memory: '%s' made at %s where the lock made at %s was "
		    "never destroyed",
		    raw_name(row->first), row->place, lost_place);
}

void
live_remove(const struct mutex *first)
{
	size_t index;

	lock();
	index = find_after((uintptr_t)first);
	if (index < nrow && rows[index].first == first)
		take_out(index);
	unlock();
}

void
live_visit(live_visit_fn *fn, void *arg)
{
	lock();
	for (size_t i = 0; i < nrow; i++)
		fn(arg, &rows[i]);
	unlock();
}

void
sync_assert_no_lock_in_at(const void *memory, size_t bytes, const char *here)
{
	const struct mutex *found = NULL;
	const char *place = NULL;
	const char *name = NULL;
	size_t index;

	if (memory == NULL)
		return;
	lock();
	index = find_after((uintptr_t)memory);
	if (index < nrow &&
	    start_of(&rows[index]) < (uintptr_t)memory + bytes) {
		found = rows[index].first;
		place = rows[index].place;
		name = raw_name(found);
	}
	unlock();
	if (found != NULL) /* LK-10 */
		held_report(held_self(),
		    "memory: freed at %s with '%s' in it, made at %s", here,
		    name, place);
}

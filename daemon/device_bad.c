/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include <btt/bad.h>

#include "device_bad.h"
#include "device_kept.h"

static const char *
cause_name(enum media_bad_change change)
{
	switch (change) {
	case MEDIA_BAD_FOUND:
		return "found";
	case MEDIA_BAD_INJECTED:
		return "injected";
	case MEDIA_BAD_CLEARED:
		return "written";
	case MEDIA_BAD_UNINJECTED:
		return "uninjected";
	}
	return "unknown";
}

static bool
is_added(enum media_bad_change change)
{
	return change == MEDIA_BAD_FOUND || change == MEDIA_BAD_INJECTED;
}

/*
 * With the list locked, so in the order of the changes.  A range that lies in
 * several areas is one event, of the first of them.
 */
static void
tell(void *arg, enum media_bad_change change, uint64_t off, uint64_t len)
{
	struct device *device = arg;
	struct event event = {
		.kind = is_added(change) ? EVENT_BADBLOCK_ADDED
					 : EVENT_BADBLOCK_CLEARED,
		.cause = cause_name(change),
		.off = off,
		.len = len,
	};
	struct btt_place place;
	struct btt *btt;

	/* NULL while it is being opened; who meets poison then is told less. */
	btt = atomic_load(&device->btt_for_bad);
	if (btt != NULL) {
		btt_find_place(btt, off, &place);
		event.area = btt_area_name(place.area);
	}
	device_fill_event(device, &event);
	event_append(device->events, &event);
}

static void
keep(void *arg, const void *list, size_t bytes)
{
	struct device *device = arg;

	device_kept_set_bad(device->kept, list, bytes);
}

void
device_watch_bad(struct device *device)
{
	const struct media_bad_watch watch = { tell, keep, device };

	media_watch_bad(device->media, &watch);
}

int
device_load_bad(struct device *device, struct btt_error *error)
{
	const struct device_trial *trial = &device->options.trial;
	struct media *media = device->media;
	const void *kept;
	size_t bytes;
	int r;

	/* The medium's own list, if it has one, came with it. */
	kept = device_kept_get_bad(device->kept, &bytes);
	r = kept != NULL ? media_restore_bad(media, kept, bytes) : 0;
	/*
	 * Of a server of another version it may make no sense.  Then the marks
	 * in the map and the medium's own list are what there is, as after a
	 * detach.
	 */
	if (r < 0 && r != -EUCLEAN)
		return btt_error_set(
		    error, r, "the bad ranges that were kept cannot be noted");
	if (trial->bad_len == 0)
		return 0;
	if (trial->bad_off > media->size ||
	    trial->bad_len > media->size - trial->bad_off)
		return btt_error_set(
		    error, -ERANGE, "the bad range is beyond its end");
	r = media_inject_bad(media, trial->bad_off, trial->bad_len, false);
	if (r < 0)
		return btt_error_set(error, r, "the bad range cannot be noted");
	return 0;
}

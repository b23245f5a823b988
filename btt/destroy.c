/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * destroy -- making a BTT one no more.
 *
 * Both info blocks of the first arena go first: as long as one of them is there
 * the BTT is whole, and without them there is none.  Those of the other arenas
 * say nothing by themselves, and follow when that is durable.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <btt/format.h>

#include "hook.h"
#include "probe.h"

/*
 * Under a BTT may lie what was left over of an older one, of each layout one;
 * and among the sectors of one that has filled the medium anything may lie.
 */
#define FOUND_MAX 4u

struct destruction {
	struct media *media;
	uint64_t off, end; /* the namespace: nothing beyond is touched */
	struct btt_error *error;
};

struct erasure {
	struct media *media;
	uint64_t off;
};

static int
do_erase(void *arg)
{
	const struct erasure *erasure = arg;

	return media_zero(erasure->media, erasure->off, BTT_INFO_BYTES);
}

static int
fence(struct destruction *destruction)
{
	int r;

	if ((r = media_fence(destruction->media)) < 0)
		return btt_error_set(destruction->error, r,
		    "what was erased could not be made durable");
	return 0;
}

/*
 * Erase an info block.  Whatever the numbers say that led here: where there is
 * none, nothing is erased.
 */
static int
erase(struct destruction *destruction, uint64_t off)
{
	struct erasure erasure = { destruction->media, off };
	uint8_t block[BTT_INFO_BYTES];
	struct btt_info info;
	int r;

	if (off < destruction->off || off > destruction->end ||
	    BTT_INFO_BYTES > destruction->end - off)
		return 0;
	r = probe_read_block(destruction->media, off, block);
	/* What cannot be read may be some day, or by others. */
	if (r == 0 && btt_info_decode(block, &info) == BTT_INFO_NO_SIGNATURE)
		return 0;
	if ((r = media_try(do_erase, &erasure)) < 0)
		return btt_error_set(destruction->error, r,
		    "writing at %" PRIu64 " failed", off);
	return 0;
}

/* Both copies, and where a backup is looked for if nobody tells. */
static int
erase_backups(
    struct destruction *destruction, const struct btt_arena_place *place)
{
	uint64_t guess[PROBE_NBACKUP];
	int r;

	if (place->info.info2off <= destruction->end - place->off &&
	    (r = erase(destruction, place->off + place->info.info2off)) < 0)
		return r;
	probe_backup_places(destruction->end, place->off, guess);
	for (unsigned i = 0; i < PROBE_NBACKUP; i++) {
		if ((r = erase(destruction, guess[i])) < 0)
			return r;
	}
	return 0;
}

static int
erase_arena(
    struct destruction *destruction, const struct btt_arena_place *place)
{
	int r;

	if ((r = erase(destruction, place->off)) < 0)
		return r;
	return erase_backups(destruction, place);
}

static int
erase_all(struct destruction *destruction, const struct btt_probe *probe)
{
	int r;

	destruction->off = probe->off;
	destruction->end = probe_end_off(probe);
	for (uint32_t i = 0; i < probe->narena; i++) {
		if ((r = erase_arena(destruction, &probe->arena[i])) < 0)
			return r;
		if (i == 0 && !MUTANT(93) && (r = fence(destruction)) < 0)
			return r;
	}
	return fence(destruction);
}

/* Is what was found that which is meant? */
static int
check_meant(const struct probe_walk *walk, const uint8_t uuid[BTT_UUID_BYTES],
    struct btt_error *error)
{
	if (walk->probe.narena == 0 || walk->is_foreign)
		return btt_error_set(error,
		    walk->r < 0 ? walk->r : -EMEDIUMTYPE, "%s",
		    walk->error.text);
	if (uuid != NULL &&
	    memcmp(walk->probe.arena[0].info.uuid, uuid, BTT_UUID_BYTES) != 0)
		return btt_error_set(
		    error, -ESTALE, "the BTT is another one by now");
	return 0;
}

int
btt_destroy(struct media *media, const char *namespace,
    const uint8_t uuid[BTT_UUID_BYTES], struct btt_error *error)
{
	struct destruction destruction = { .media = media, .error = error };
	struct probe_walk walk;
	bool is_left;
	int r;

	if (media->read_only)
		return btt_error_set(error, -EROFS, "the medium is read-only");
	for (unsigned i = 0; i <= FOUND_MAX; i++) {
		if ((r = probe_walk_find(media, namespace, &walk)) < 0)
			return btt_error_set(error, r, "out of memory");
		is_left = walk.probe.narena > 0 && !walk.is_foreign;
		if (i == 0)
			r = check_meant(&walk, uuid, error);
		if (r == 0 && is_left && i < FOUND_MAX)
			r = erase_all(&destruction, &walk.probe);
		probe_walk_fini(&walk);
		if (r < 0 || !is_left)
			return r;
	}
	return btt_error_set(
	    error, -EUCLEAN, "there is always another one to be found beneath");
}

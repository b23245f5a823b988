/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * probe -- a walk over the arenas of a BTT, given where it starts.  What may
 * be where is probe_find.c's business.
 *
 * A walk ends for certain: the next arena is one arena further on, at least
 * 16 MiB (info.c), and must lie in the namespace.
 */
#include "probe.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "hook.h"
#include "info.h"
#include "layout.h"

/* The size of no device overflows: bounded by the format, not by luck. */
static_assert(MAP_NBLOCK_MAX <= INT64_MAX / BTT_ARENA_MAX / BTT_SECTOR_MAX,
    "bytes of all sectors");

/* The properties of a layout (1.4, 8.1). */
static const struct {
	uint64_t start;
	uint16_t major;
	uint16_t minor;
} layouts[] = {
	[BTT_LAYOUT_V11] = { BTT_V11_OFFSET, 1, 1 },
	[BTT_LAYOUT_V20] = { 0, 2, 0 },
	[BTT_LAYOUT_POOL] = { BTT_POOL_OFFSET, 1, 1 },
};

struct read_job {
	const struct media *media;
	uint64_t off;
	void *bytes;
	size_t len;
};

static int
copy_bytes(void *arg)
{
	const struct read_job *job = arg;

	HOOK_LOAD(media_at(job->media, job->off), job->len);
	memcpy(job->bytes, media_at(job->media, job->off), job->len);
	return 0;
}

int
probe_read(const struct media *media, uint64_t off, void *ret_bytes, size_t len)
{
	struct read_job job = { media, off, ret_bytes, len };

	if (off > media->size || len > media->size - off)
		return -ERANGE;
	return media_try(copy_bytes, &job);
}

int
probe_read_block(
    const struct media *media, uint64_t off, uint8_t ret_block[BTT_INFO_BYTES])
{
	return probe_read(media, off, ret_block, BTT_INFO_BYTES);
}

void
probe_backup_places(
    uint64_t end, uint64_t off, uint64_t ret_place[PROBE_NBACKUP])
{
	const uint64_t behind[PROBE_NBACKUP] = {
		[PROBE_BACKUP_END] = 0,
		[PROBE_BACKUP_LABEL] = PROBE_LABEL_BYTES,
	};

	for (unsigned i = 0; i < PROBE_NBACKUP; i++) {
		uint64_t bytes = 0;

		if (off <= end && behind[i] <= end - off)
			bytes = btt_arena_bytes(end - off - behind[i], 0);
		bytes -= bytes % BTT_ALIGN;
		ret_place[i] =
		    bytes > 0 ? off + bytes - BTT_INFO_BYTES : PROBE_NOWHERE;
	}
}

const uint8_t label_signature[16] = "NAMESPACE_INDEX";

bool
probe_has_label_area(const struct media *media)
{
	uint8_t block[BTT_INFO_BYTES];

	return media->size >= PROBE_LABEL_BYTES &&
	    probe_read_block(media, media->size - PROBE_LABEL_BYTES, block) ==
	    0 &&
	    memcmp(block, label_signature, sizeof(label_signature)) == 0;
}

const char *
probe_mismatch(const struct btt_info *first, const struct btt_info *other)
{
	if (memcmp(first->uuid, other->uuid, sizeof(first->uuid)) != 0)
		return "uuid";
	if (first->major != other->major || first->minor != other->minor)
		return "version";
	if (first->external_lbasize != other->external_lbasize)
		return "external_lbasize";
	if (first->nfree != other->nfree)
		return "nfree";
	return NULL;
}

/* A walk under way. */
struct walker {
	const struct probe_scope *scope;
	struct probe_walk *walk;
	uint64_t end;    /* of the namespace, on the medium */
	uint32_t nplace; /* room for arenas */
	/* Of the arena at hand: */
	uint8_t primary[BTT_INFO_BYTES];
	uint8_t backup[BTT_INFO_BYTES];
};

/* What lies beyond the namespace is as good as beyond the medium. */
static int
read_block(const struct walker *walker, uint64_t off,
    uint8_t ret_block[BTT_INFO_BYTES])
{
	if (off > walker->end || BTT_INFO_BYTES > walker->end - off)
		return -ERANGE;
	return probe_read_block(walker->scope->media, off, ret_block);
}

static int
walk_end(struct walker *walker, enum probe_end end, uint64_t off, int r)
{
	walker->walk->end = end;
	walker->walk->end_off = off;
	walker->walk->r = r;
	return r;
}

/* Is the parent of the BTT the one that it must be? */
static bool
is_kin(const struct walker *walker, const struct btt_info *info)
{
	static const uint8_t null[BTT_UUID_BYTES];
	const struct probe_scope *scope = walker->scope;

	/* libpmemblk does not see a BTT of another pool, either. */
	if (scope->pool != NULL)
		return memcmp(scope->pool->uuid, info->parent_uuid,
			   BTT_UUID_BYTES) == 0;
	return scope->parent == NULL ||
	    memcmp(null, info->parent_uuid, sizeof(null)) == 0 ||
	    memcmp(scope->parent, info->parent_uuid, BTT_UUID_BYTES) == 0;
}

/* Is this block, found at place, the backup of the arena at off? */
static bool
is_backup(const struct walker *walker, const struct btt_info *info,
    uint64_t off, uint64_t place)
{
	const struct btt_probe *probe = &walker->walk->probe;

	/* A block that is somewhere else's says so itself. */
	if (info->info2off != place - off)
		return false;
	if (info->major != layouts[probe->layout].major ||
	    info->minor != layouts[probe->layout].minor)
		return false;
	if (!is_kin(walker, info))
		return false;
	return probe->narena == 0 ||
	    probe_mismatch(&probe->arena[0].info, info) == NULL;
}

/*
 * Look for the backup of an arena whose primary is unusable; hint is where
 * that says it was, if it says anything.
 */
static bool
find_backup(
    struct walker *walker, uint64_t hint, struct btt_arena_place *ret_place)
{
	uint64_t place[PROBE_NBACKUP + 1];
	uint64_t off = ret_place->off;

	probe_backup_places(walker->end, off, place);
	/* Where a sector might lie, a label area must be. */
	if (walker->scope->parent != NULL ||
	    !probe_has_label_area(walker->scope->media))
		place[PROBE_BACKUP_LABEL] = PROBE_NOWHERE;
	place[PROBE_NBACKUP] =
	    hint <= UINT64_MAX - off ? off + hint : PROBE_NOWHERE;
	for (unsigned i = 0; i <= PROBE_NBACKUP; i++) {
		struct btt_info info;

		if (read_block(walker, place[i], walker->backup) < 0)
			continue;
		if (btt_info_decode(walker->backup, &info) != BTT_INFO_VALID ||
		    !is_backup(walker, &info, off, place[i]))
			continue;
		ret_place->info = info;
		ret_place->backup = BTT_INFO_VALID;
		ret_place->from_backup = true;
		return true;
	}
	return false;
}

/* Neither copy of the info block: is that damage, or just not a BTT? */
static int
walk_lost(struct walker *walker, const struct btt_arena_place *place, int r)
{
	struct probe_walk *walk = walker->walk;
	uint32_t index = walk->probe.narena;
	const char *why = "there is no info block";
	int code = -EUCLEAN;

	if (place->primary == BTT_INFO_BAD_CHECKSUM) {
		why = "the info block has a wrong checksum";
	} else if (r == -EIO) {
		why = "the info block cannot be read";
		code = -EIO;
	} else if (r == -ERANGE && index > 0) {
		why = "the medium ends before its info block";
	} else if (index == 0) {
		code = -EMEDIUMTYPE;
	}
	(void)btt_error_set(&walk->error, code,
	    "arena %u: %s at %" PRIu64 ", and no backup of it", index, why,
	    place->off);
	return walk_end(walker, PROBE_END_LOST, place->off, code);
}

/* Fill the info of the arena at place->off from its primary or backup. */
static int
walk_load(struct walker *walker, struct btt_arena_place *place)
{
	struct btt_info info = { .info2off = UINT64_MAX };
	int r;

	/* The backup has a second chance: it is used where nothing else is. */
	r = media_is_bad(walker->scope->media, place->off, BTT_INFO_BYTES)
	    ? -EIO
	    : read_block(walker, place->off, walker->primary);
	place->primary = r < 0 ? BTT_INFO_UNREADABLE
			       : btt_info_decode(walker->primary, &info);
	if (place->primary == BTT_INFO_VALID) {
		place->info = info;
		return 0;
	}
	if (find_backup(walker, info.info2off, place))
		return 0;
	return walk_lost(walker, place, r);
}

/* Are these two valid info blocks one, of which only the flags were changed? */
static bool
are_kin(const uint8_t a[BTT_INFO_BYTES], const uint8_t b[BTT_INFO_BYTES])
{
	const size_t flags = offsetof(struct info_media, flags);
	const size_t behind = flags + sizeof(struct le32);
	const size_t sum = offsetof(struct info_media, checksum);

	return memcmp(a, b, flags) == 0 &&
	    memcmp(a + behind, b + behind, sum - behind) == 0;
}

/* The state of the backup beside a primary that is used. */
static void
walk_load_backup(struct walker *walker, struct btt_arena_place *place)
{
	struct btt_info info;

	place->has_error_flag = (place->info.flags & BTT_FLAG_ERROR) != 0;
	if (place->from_backup)
		return;
	if (read_block(walker, place->off + place->info.info2off,
		walker->backup) < 0) {
		place->backup = BTT_INFO_UNREADABLE;
		return;
	}
	place->backup = btt_info_decode(walker->backup, &info);
	place->copies_differ = place->backup == BTT_INFO_VALID &&
	    memcmp(walker->primary, walker->backup, BTT_INFO_BYTES) != 0;
	place->are_kin = place->backup == BTT_INFO_VALID &&
	    are_kin(walker->primary, walker->backup);
	if (place->backup == BTT_INFO_VALID &&
	    (info.flags & BTT_FLAG_ERROR) != 0)
		place->has_error_flag = true;
}

/* Is this what the layout asks for? */
static int
walk_check_layout(struct walker *walker, const struct btt_arena_place *place)
{
	const struct pool *pool = walker->scope->pool;
	struct probe_walk *walk = walker->walk;
	enum btt_layout layout = walk->probe.layout;
	const struct btt_info *info = &place->info;

	if (info->major != layouts[layout].major ||
	    info->minor != layouts[layout].minor)
		return btt_error_set(&walk->error, -ENOTSUP,
		    "the info block at %" PRIu64 " has version %u.%u, only "
		    "%u.%u is known there",
		    place->off, info->major, info->minor, layouts[layout].major,
		    layouts[layout].minor);
	walk->is_foreign = !is_kin(walker, info);
	if (walk->is_foreign)
		return btt_error_set(&walk->error, -EUCLEAN,
		    "the BTT belongs to another %s: parent_uuid is not that "
		    "of the %s",
		    pool != NULL ? "pool" : "namespace",
		    pool != NULL ? "pool header" : "label");
	if (pool != NULL && pool->block_bytes != info->external_lbasize)
		return btt_error_set(&walk->error, -EUCLEAN,
		    "the pool has blocks of %u bytes, its BTT has sectors of "
		    "%u (external_lbasize)",
		    pool->block_bytes, info->external_lbasize);
	return 0;
}

/* What is wrong with an arena, its own numbers alone first. */
static int
walk_check(struct walker *walker, struct btt_arena_place *place)
{
	struct probe_walk *walk = walker->walk;
	const struct btt_info *info = &place->info;
	uint64_t room = walker->end - place->off;
	uint32_t index = walk->probe.narena - 1;
	int r;

	r = btt_info_validate(info, UINT64_MAX, &walk->error);
	if (r < 0) {
		/* The first arena decides what it is. */
		if (index > 0)
			r = -EUCLEAN;
		(void)btt_error_set(
		    &walk->error, r, "arena %u: %s", index, walk->error.text);
		return walk_end(walker, PROBE_END_CONTRADICT, place->off, r);
	}
	walk_load_backup(walker, place);
	if (info_arena_bytes(info) > room) {
		const char *around =
		    walker->scope->parent != NULL ? "namespace" : "medium";

		r = btt_error_set(&walk->error, -EUCLEAN,
		    "the %s is too short: arena %u at %" PRIu64 " has %" PRIu64
		    " bytes, the %s ends after %" PRIu64 " of them",
		    around, index, place->off, info_arena_bytes(info), around,
		    room);
		return walk_end(walker, PROBE_END_SHORT, place->off, r);
	}
	return 0;
}

/* An arena that is sound by itself may be no part of this BTT. */
static void
walk_check_kinship(struct walker *walker, const struct btt_arena_place *place)
{
	struct probe_walk *walk = walker->walk;
	const char *field;

	field = probe_mismatch(&walk->probe.arena[0].info, &place->info);
	if (field != NULL && walk->r == 0)
		walk->r = btt_error_set(&walk->error, -EUCLEAN,
		    "arena %u: %s is not that of arena 0",
		    walk->probe.narena - 1, field);
}

/* Room for one more arena. */
static int
walk_reserve(struct walker *walker)
{
	struct btt_probe *probe = &walker->walk->probe;
	struct btt_arena_place *arena;
	uint32_t nplace;

	if (probe->narena < walker->nplace)
		return 0;
	nplace = walker->nplace > 0 ? 2 * walker->nplace : 1;
	arena = realloc(probe->arena, nplace * sizeof(*arena));
	if (arena == NULL)
		return -ENOMEM;
	probe->arena = arena;
	walker->nplace = nplace;
	return 0;
}

/*
 * Take one more arena in.  Returns its offset to the next one, 0 if the walk
 * ends here, or -ENOMEM.
 */
static int64_t
walk_step(struct walker *walker, uint64_t off)
{
	struct probe_walk *walk = walker->walk;
	struct btt_probe *probe = &walk->probe;
	struct btt_arena_place *place;

	if (probe->narena == BTT_ARENA_MAX) {
		(void)walk_end(walker, PROBE_END_MANY, off,
		    btt_error_set(&walk->error, -ENOTSUP, "more than %u arenas",
			BTT_ARENA_MAX));
		return 0;
	}
	if (walk_reserve(walker) < 0)
		return -ENOMEM;
	place = &probe->arena[probe->narena];
	memset(place, 0, sizeof(*place));
	place->off = off;
	place->backup = BTT_INFO_UNREADABLE;
	if (walk_load(walker, place) < 0)
		return 0;
	probe->narena++;
	if (probe->narena == 1) {
		int r = walk_check_layout(walker, place);

		if (r < 0) {
			(void)walk_end(walker, PROBE_END_CONTRADICT, off, r);
			return 0;
		}
	}
	if (walk_check(walker, place) < 0)
		return 0;
	walk_check_kinship(walker, place);
	return (int64_t)place->info.nextoff;
}

int
probe_walk_scope(const struct probe_scope *scope, struct probe_walk *ret_walk)
{
	struct walker walker = {
		.scope = scope,
		.walk = ret_walk,
		.end = scope->off + scope->bytes,
	};
	uint64_t off = scope->off + layouts[scope->layout].start;
	int64_t step;

	assert(scope->off <= scope->media->size &&
	    scope->bytes <= scope->media->size - scope->off);
	memset(ret_walk, 0, sizeof(*ret_walk));
	ret_walk->probe.layout = scope->layout;
	ret_walk->probe.off = scope->off;
	ret_walk->probe.bytes = scope->bytes;
	/* walk_check: the namespace has room for the arena behind off. */
	while ((step = walk_step(&walker, off)) > 0)
		off += (uint64_t)step;
	return step < 0 ? (int)step : 0;
}

void
probe_walk_fini(struct probe_walk *walk)
{
	btt_probe_fini(&walk->probe);
}

void
btt_probe_fini(struct btt_probe *probe)
{
	free(probe->label);
	free(probe->arena);
	memset(probe, 0, sizeof(*probe));
}

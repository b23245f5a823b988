/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_info -- findings in info blocks: both copies of each, their numbers,
 * the arenas among each other, the medium around them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "check_impl.h"
#include "info.h"
#include "layout.h"

/* Fields for comparing copies; padding is compared as bytes. */
#define FIELD(member)                                       \
	{                                                   \
#member, offsetof(struct btt_info, member), \
		    sizeof(((struct btt_info *)0)->member)  \
	}
static const struct {
	const char *name;
	size_t off;
	size_t bytes;
} fields[] = {
	FIELD(uuid),
	FIELD(parent_uuid),
	FIELD(flags),
	FIELD(major),
	FIELD(minor),
	FIELD(external_lbasize),
	FIELD(external_nlba),
	FIELD(internal_lbasize),
	FIELD(internal_nlba),
	FIELD(nfree),
	FIELD(infosize),
	FIELD(nextoff),
	FIELD(dataoff),
	FIELD(mapoff),
	FIELD(logoff),
	FIELD(info2off),
};
#undef FIELD
#define NFIELD (sizeof(fields) / sizeof(fields[0]))

#define NAMES_BYTES 160u

/* The names of the fields in which two info blocks differ; false if none. */
static bool
name_differences(const struct btt_info *one, const struct btt_info *other,
    char ret_names[NAMES_BYTES])
{
	size_t len = 0;

	ret_names[0] = '\0';
	for (size_t i = 0; i < NFIELD; i++) {
		int n;

		if (memcmp((const char *)one + fields[i].off,
			(const char *)other + fields[i].off,
			fields[i].bytes) == 0)
			continue;
		n = snprintf(ret_names + len, NAMES_BYTES - len, "%s%s",
		    len > 0 ? ", " : "", fields[i].name);
		if (n < 0 || (size_t)n >= NAMES_BYTES - len)
			break;
		len += (size_t)n;
	}
	return ret_names[0] != '\0';
}

static const char *
state_text(enum btt_info_state state)
{
	switch (state) {
	case BTT_INFO_VALID:
		return "valid";
	case BTT_INFO_NO_SIGNATURE:
		return "no info block";
	case BTT_INFO_BAD_CHECKSUM:
		return "an info block with a wrong checksum";
	case BTT_INFO_UNREADABLE:
		return "unreadable";
	}
	return "unknown";
}

/* What only the bytes of the block tell. */
static void
check_reserved(
    struct check *check, const uint8_t block[BTT_INFO_BYTES], uint64_t off)
{
	const size_t first = offsetof(struct info_media, padding);
	const size_t end = offsetof(struct info_media, checksum);
	uint32_t flags = check->place->info.flags;

	if (flags & ~BTT_FLAG_ERROR)
		check_found(check, CHECK_INFO_RESERVED, BTT_NO_ENTRY, off,
		    "unknown bits are set in flags, %#x", flags);
	for (size_t i = first; i < end; i++) {
		if (block[i] == 0)
			continue;
		check_found(check, CHECK_INFO_RESERVED, BTT_NO_ENTRY, off + i,
		    "unused byte %zu of the info block is %#x", i, block[i]);
		return;
	}
}

/* The copy that is not in use. */
static int
check_other_copy(struct check *check, const uint8_t used[BTT_INFO_BYTES])
{
	const struct btt_arena_place *place = check->place;
	const uint64_t backup_off = place->off + place->info.info2off;
	uint8_t block[BTT_INFO_BYTES];
	char names[NAMES_BYTES];
	struct btt_info info;
	int r;

	if (place->from_backup) {
		check_found(check, CHECK_INFO, BTT_NO_ENTRY, place->off,
		    "primary is %s; its backup at %" PRIu64 " was used",
		    state_text(place->primary), backup_off);
		return 0;
	}
	if (BTT_INFO_BYTES > check->end - place->off ||
	    place->info.info2off > check->end - place->off - BTT_INFO_BYTES)
		return 0; /* the end of the medium is a finding of its own */
	if (place->backup != BTT_INFO_VALID) {
		check_found(check, CHECK_INFO2, BTT_NO_ENTRY, backup_off,
		    "backup is %s", state_text(place->backup));
		return 0;
	}
	if (!place->copies_differ)
		return 0;
	if ((r = check_read(check, backup_off, block, sizeof(block))) < 0)
		return r;
	if (memcmp(block, used, sizeof(block)) == 0 ||
	    btt_info_decode(block, &info) != BTT_INFO_VALID)
		return 0; /* it is changing while we look: not ours to judge */
	if (!name_differences(&place->info, &info, names))
		strcpy(names, "unused bytes");
	check_found(check, CHECK_INFO2, BTT_NO_ENTRY, backup_off,
	    "backup differs from the primary in %s", names);
	if (info.flags & ~place->info.flags & BTT_FLAG_ERROR)
		check_found(check, CHECK_ERROR_FLAG, BTT_NO_ENTRY, backup_off,
		    "the error flag is set in the backup only");
	return 0;
}

/* The info block that is in use, then the other one. */
static int
check_copies(struct check *check)
{
	const struct btt_arena_place *place = check->place;
	uint64_t off = place->off;
	uint8_t block[BTT_INFO_BYTES];
	int r;

	if (place->from_backup)
		off += place->info.info2off;
	if ((r = check_read(check, off, block, sizeof(block))) < 0)
		return r;
	check_reserved(check, block, off);
	if (place->info.flags & BTT_FLAG_ERROR)
		check_found(check, CHECK_ERROR_FLAG, BTT_NO_ENTRY, off,
		    "the error flag is set");
	return check_other_copy(check, block);
}

/* Only the last arena is not as long as can be (1.6). */
static void
check_arena_size(struct check *check)
{
	const struct btt_info *info = &check->place->info;

	if (info->nextoff == 0 || info->nextoff == BTT_ARENA_MAX_BYTES)
		return;
	check_found(check, CHECK_INFO_UNUSUAL, BTT_NO_ENTRY, check->place->off,
	    "legal, but an arena that is not the last has 512 GiB elsewhere: "
	    "nextoff is %" PRIu64,
	    info->nextoff);
}

/* Compare with the formula of 1.5: the kernel's alignment, then PMDK's. */
static void
check_formula(struct check *check)
{
	static const uint32_t aligns[] = { 64, 256 };
	const struct btt_info *info = &check->place->info;
	/* If the formula leaves no room for a sector, that is what differs. */
	char names[NAMES_BYTES] = "internal_nlba";

	for (size_t i = 0; i < sizeof(aligns) / sizeof(aligns[0]); i++) {
		struct btt_info expected = *info;

		if (btt_geometry(info_arena_bytes(info), info->external_lbasize,
			info->nfree, aligns[i], &expected) < 0)
			continue;
		expected.nextoff = info->nextoff;
		if (!name_differences(info, &expected, names))
			return;
		if (expected.internal_lbasize == info->internal_lbasize)
			break;
	}
	check_found(check, CHECK_INFO_UNUSUAL, BTT_NO_ENTRY, check->place->off,
	    "legal, but not as the formula has it: %s", names);
}

/* Linux compares every arena's parent with the namespace, but for null ones. */
static void
check_parent(struct check *check, const struct btt_info *first)
{
	static const uint8_t null[BTT_UUID_BYTES];
	const struct btt_arena_place *place = check->place;

	if (memcmp(place->info.parent_uuid, null, sizeof(null)) == 0 ||
	    memcmp(first->parent_uuid, null, sizeof(null)) == 0 ||
	    memcmp(first->parent_uuid, place->info.parent_uuid, sizeof(null)) ==
		0)
		return;
	check_found(check, CHECK_INFO_PARENT, BTT_NO_ENTRY,
	    place->off + offsetof(struct info_media, parent_uuid),
	    "parent_uuid is not that of arena 0");
}

/*
 * Known bad bytes at off, which are in a block.  Returns how many of them are
 * in that one.
 */
static uint64_t
found_bad_block(struct check *check, uint64_t off, uint64_t len)
{
	const struct btt_info *info = &check->place->info;
	const uint64_t at = off - check->place->off - info->dataoff;
	const uint64_t block = at / info->internal_lbasize;
	const uint64_t rest =
	    info->internal_lbasize - at % info->internal_lbasize;

	if (len > rest)
		len = rest;
	if (block < info->internal_nlba)
		check_found(check, CHECK_BAD_BLOCK, BTT_NO_ENTRY, off,
		    "%" PRIu64 " bytes of block %" PRIu64 " are known to be "
		    "bad",
		    len, block);
	return len;
}

/* What the medium says about itself. */
static void
check_bad_ranges(struct check *check)
{
	const struct btt_arena_place *place = check->place;
	const uint64_t data = place->off + place->info.dataoff;
	const uint64_t map = place->off + place->info.mapoff;
	uint64_t end = check->end;
	uint64_t off = place->off;
	uint64_t len;

	if (info_arena_bytes(&place->info) < end - off)
		end = off + info_arena_bytes(&place->info);
	for (; media_next_bad(check->media, off, end, &off, &len); off += len) {
		if (off >= data && off < map) {
			len = found_bad_block(
			    check, off, len < map - off ? len : map - off);
			continue;
		}
		if (off < data && len > data - off)
			len = data - off;
		check_found(check, CHECK_BAD_METADATA, BTT_NO_ENTRY, off,
		    "%" PRIu64 " bytes of metadata are known to be bad", len);
	}
}

/* An arena whose numbers are sound. */
static int
check_sound_info(struct check *check, const struct probe_walk *walk)
{
	const struct btt_arena_place *place = check->place;
	const struct btt_info *info = &place->info;
	const char *field;

	field = probe_mismatch(&walk->probe.arena[0].info, info);
	if (field != NULL)
		check_found(check, CHECK_INFO_MISMATCH, BTT_NO_ENTRY,
		    place->off, "%s is not that of arena 0", field);
	check_parent(check, &walk->probe.arena[0].info);
	if (info->nfree < BTT_NFREE_DEFAULT && check->layout != BTT_LAYOUT_POOL)
		check_found(check, CHECK_NFREE, BTT_NO_ENTRY, place->off,
		    "nfree is %u, less than %u", info->nfree,
		    BTT_NFREE_DEFAULT);
	if (info->nfree > BTT_NFREE_DEFAULT && check->layout == BTT_LAYOUT_POOL)
		check_found(check, CHECK_NFREE_POOL, BTT_NO_ENTRY, place->off,
		    "nfree is %u, more than %u", info->nfree,
		    BTT_NFREE_DEFAULT);
	check_arena_size(check);
	check_formula(check);
	check_bad_ranges(check);
	return check_copies(check);
}

static void
found_problem(void *arg, int code, const char *text)
{
	struct check *check = arg;

	(void)code;
	check_found(check, CHECK_INFO_NUMBERS, BTT_NO_ENTRY, check->place->off,
	    "%s", text);
}

/* The arena makes sense in itself, but not in what it lies in. */
static void
check_surroundings(struct check *check, const struct probe_walk *walk)
{
	enum check_kind kind = CHECK_POOL;
	uint64_t off = POOL_DESCRIPTOR_OFFSET;

	if (walk->is_foreign && check->layout == BTT_LAYOUT_POOL) {
		off = POOL_UUID_OFFSET;
	} else if (walk->is_foreign) {
		kind = CHECK_INFO_FOREIGN;
		off = check->place->off +
		    offsetof(struct info_media, parent_uuid);
	}
	check_found(check, kind, BTT_NO_ENTRY, off, "%s", walk->error.text);
}

/* The arena at which the walk ended, if it ended early. */
static void
check_end(struct check *check, const struct probe_walk *walk)
{
	uint64_t ndamage = check->result->ndamage;

	switch (walk->end) {
	case PROBE_END_LAST:
		break;
	case PROBE_END_SHORT:
		check_found(check, CHECK_SHORT, BTT_NO_ENTRY, check->end, "%s",
		    walk->error.text);
		break;
	case PROBE_END_CONTRADICT:
		info_find_problems(&check->place->info, found_problem, check);
		if (check->result->ndamage == ndamage)
			check_surroundings(check, walk);
		break;
	case PROBE_END_LOST:
		check_found(check, CHECK_INFO_LOST, BTT_NO_ENTRY, walk->end_off,
		    "%s", walk->error.text);
		break;
	case PROBE_END_MANY:
		break;
	}
}

/* What follows the last arena, unless the format has no use for it. */
static void
check_tail(struct check *check, const struct probe_walk *walk)
{
	const struct btt_arena_place *last =
	    &walk->probe.arena[walk->probe.narena - 1];
	uint64_t room = check->end - last->off;
	uint64_t used = info_arena_bytes(&last->info);
	uint64_t most;

	if (walk->end != PROBE_END_LAST)
		return;
	most = btt_arena_bytes(room, 0);
	if (used == most - most % BTT_ALIGN &&
	    room - used < BTT_ARENA_MIN_BYTES)
		return;
	check_found(check, CHECK_TAIL, BTT_NO_ENTRY, last->off + used,
	    "%" PRIu64 " bytes after the last arena belong to none%s",
	    room - used,
	    probe_has_label_area(check->media) ? "; a label area ends them"
					       : "");
}

/*
 * The page in front of a v1.1 BTT is none of its own.  What was there before
 * may still be, for those who look there first.
 */
static int
check_stale(struct check *check, uint64_t off)
{
	uint8_t block[BTT_INFO_BYTES];
	struct btt_info info;
	struct pool pool;
	int r;

	if (check->layout != BTT_LAYOUT_V11)
		return 0;
	if ((r = check_read(check, off, block, sizeof(block))) < 0)
		return r;
	pool_find(check->media, &pool);
	if (btt_info_decode(block, &info) == BTT_INFO_VALID)
		check_found(check, CHECK_INFO_STALE, BTT_NO_ENTRY, off,
		    "an info block of version %u.%u is left over in front of "
		    "the BTT",
		    info.major, info.minor);
	else if (off == 0 && pool.state == POOL_VALID)
		check_found(check, CHECK_INFO_STALE, BTT_NO_ENTRY, off,
		    "the header of a pmemblk pool is left over in front of "
		    "the BTT");
	return 0;
}

int
check_nothing(
    struct check *check, const struct probe_walk *walk, struct btt_error *error)
{
	struct pool pool;

	if (walk->r != -EUCLEAN)
		return btt_error_set(error, walk->r, "%s", walk->error.text);
	pool_find(check->media, &pool);
	check_found(check,
	    pool.state == POOL_BROKEN ? CHECK_POOL : CHECK_INFO_LOST,
	    BTT_NO_ENTRY, walk->end_off, "%s", walk->error.text);
	return 0;
}

int
check_infos(struct check *check, const struct probe_walk *walk)
{
	const struct btt_probe *probe = &walk->probe;
	int r;

	for (uint32_t i = 0; i < probe->narena; i++) {
		check_enter(check, i, &probe->arena[i]);
		if (i + 1 == probe->narena && walk->end == PROBE_END_CONTRADICT)
			break;
		if ((r = check_sound_info(check, walk)) < 0)
			return r;
	}
	if (walk->end == PROBE_END_LOST)
		check->arena = probe->narena;
	check_end(check, walk);
	check_tail(check, walk);
	return check_stale(check, probe->off);
}

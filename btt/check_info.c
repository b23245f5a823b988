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
	if (info->nfree < BTT_NFREE_DEFAULT && check->layout != BTT_LAYOUT_POOL)
		check_found(check, CHECK_NFREE, BTT_NO_ENTRY, place->off,
		    "nfree is %u, less than %u", info->nfree,
		    BTT_NFREE_DEFAULT);
	check_formula(check);
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
			found_problem(check, walk->r, walk->error.text);
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
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "infoblock.h"

enum field_kind {
	FIELD_UUID,
	FIELD_VERSION,
	FIELD_U32,
	FIELD_FLAGS, /* numbers that ndctl writes in hexadecimal with -u */
	FIELD_OFFSET,
	FIELD_HEX64,
};

#define AT(member) offsetof(struct btt_info, member)
static const struct {
	const char *name;
	enum field_kind kind;
	size_t at;
} fields[] = {
	{ "uuid", FIELD_UUID, AT(uuid) },
	{ "parent_uuid", FIELD_UUID, AT(parent_uuid) },
	{ "flags", FIELD_FLAGS, AT(flags) },
	{ "version", FIELD_VERSION, 0 },
	{ "external_lbasize", FIELD_U32, AT(external_lbasize) },
	{ "external_nlba", FIELD_U32, AT(external_nlba) },
	{ "internal_lbasize", FIELD_U32, AT(internal_lbasize) },
	{ "internal_nlba", FIELD_U32, AT(internal_nlba) },
	{ "nfree", FIELD_U32, AT(nfree) },
	{ "infosize", FIELD_U32, AT(infosize) },
	{ "nextoff", FIELD_OFFSET, AT(nextoff) },
	{ "dataoff", FIELD_OFFSET, AT(dataoff) },
	{ "mapoff", FIELD_OFFSET, AT(mapoff) },
	{ "logoff", FIELD_OFFSET, AT(logoff) },
	{ "info2off", FIELD_OFFSET, AT(info2off) },
	{ "checksum", FIELD_HEX64, AT(checksum) },
};
static_assert(
    sizeof(fields) / sizeof(fields[0]) == INFOBLOCK_NFIELD, "one each");
static_assert(INFOBLOCK_TEXT_BYTES >= BTT_UUID_TEXT_BYTES, "room");

const char *
infoblock_field_name(size_t field)
{
	assert(field < INFOBLOCK_NFIELD);
	return fields[field].name;
}

static uint64_t
field_number(size_t field, const struct btt_info *info)
{
	const void *at;

	at = (const char *)info + fields[field].at;
	switch (fields[field].kind) {
	case FIELD_U32:
	case FIELD_FLAGS:
		return *(const uint32_t *)at;
	case FIELD_OFFSET:
	case FIELD_HEX64:
		return *(const uint64_t *)at;
	case FIELD_UUID:
	case FIELD_VERSION:
		break;
	}
	return 0;
}

void
infoblock_field_format(size_t field, const struct btt_info *info,
    char ret_text[INFOBLOCK_TEXT_BYTES])
{
	assert(field < INFOBLOCK_NFIELD);
	switch (fields[field].kind) {
	case FIELD_UUID:
		btt_uuid_format(
		    (const uint8_t *)info + fields[field].at, ret_text);
		return;
	case FIELD_VERSION:
		snprintf(ret_text, INFOBLOCK_TEXT_BYTES, "%u.%u", info->major,
		    info->minor);
		return;
	case FIELD_U32:
	case FIELD_FLAGS:
	case FIELD_OFFSET:
		snprintf(ret_text, INFOBLOCK_TEXT_BYTES, "%" PRIu64,
		    field_number(field, info));
		return;
	case FIELD_HEX64:
		snprintf(ret_text, INFOBLOCK_TEXT_BYTES, "0x%016" PRIx64,
		    field_number(field, info));
		return;
	}
}

const char *
infoblock_state_name(enum btt_info_state state)
{
	switch (state) {
	case BTT_INFO_VALID:
		return "valid";
	case BTT_INFO_NO_SIGNATURE:
		return "missing";
	case BTT_INFO_BAD_CHECKSUM:
		return "bad-checksum";
	case BTT_INFO_UNREADABLE:
		return "unreadable";
	}
	return "unknown";
}

static void
add_field(struct json_object *object, size_t field, const struct btt_info *info,
    bool human)
{
	char text[INFOBLOCK_TEXT_BYTES];
	enum field_kind kind;

	kind = fields[field].kind;
	if (kind == FIELD_U32 ||
	    (!human && (kind == FIELD_FLAGS || kind == FIELD_OFFSET))) {
		ctl_add_number(
		    object, fields[field].name, field_number(field, info));
		return;
	}
	if (kind == FIELD_FLAGS || kind == FIELD_OFFSET)
		/* The # leaves zero without 0x. */
		snprintf(
		    text, sizeof(text), "%#" PRIx64, field_number(field, info));
	else
		infoblock_field_format(field, info, text);
	ctl_add_text(object, fields[field].name, text);
}

void
infoblock_add_json(
    struct json_object *object, const struct btt_info *info, bool human)
{
	size_t i;

	ctl_add_text(object, "signature", "BTT_ARENA_INFO");
	for (i = 0; i < INFOBLOCK_NFIELD; i++)
		add_field(object, i, info, human);
}

const char *
infoblock_copy_name(enum infoblock_which which)
{
	return which == INFOBLOCK_PRIMARY ? "primary" : "backup";
}

void
infoblock_read(const struct media *media, const struct btt_inspect_arena *arena,
    struct infoblock_pair *ret_pair)
{
	btt_inspect_info(media, arena->off, &ret_pair->copy[INFOBLOCK_PRIMARY]);
	btt_inspect_info(
	    media, arena->backup_off, &ret_pair->copy[INFOBLOCK_BACKUP]);
}

bool
infoblock_is_same(const struct infoblock_pair *pair)
{
	const struct btt_info_copy *copy;

	copy = pair->copy;
	return btt_info_copy_has_fields(&copy[INFOBLOCK_PRIMARY]) &&
	    btt_info_copy_has_fields(&copy[INFOBLOCK_BACKUP]) &&
	    memcmp(copy[INFOBLOCK_PRIMARY].block, copy[INFOBLOCK_BACKUP].block,
		BTT_INFO_BYTES) == 0;
}

/* The areas of an arena. */
static void
print_places(const struct btt_inspect_arena *arena, uint64_t medium_bytes)
{
	const struct {
		const char *name;
		uint64_t off;
	} places[] = {
		{ "info block", 0 },
		{ "data", arena->info.dataoff },
		{ "map", arena->info.mapoff },
		{ "log", arena->info.logoff },
		{ "backup info block", arena->info.info2off },
	};
	size_t i;

	printf("\n  %-18s %16s %16s\n", "", "in the arena", "on the medium");
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		printf("  %-18s %16" PRIu64, places[i].name, places[i].off);
		if (places[i].off > medium_bytes - arena->off)
			printf(" %16s\n", "beyond its end");
		else
			printf(" %16" PRIu64 "\n", arena->off + places[i].off);
	}
}

static void
print_fields(const struct infoblock_pair *pair, bool same)
{
	char text[INFOBLOCK_NCOPY][INFOBLOCK_TEXT_BYTES];
	const char *name;
	size_t i, c;

	for (i = 0; i < INFOBLOCK_NFIELD; i++) {
		for (c = 0; c < INFOBLOCK_NCOPY; c++) {
			strcpy(text[c], "-");
			if (btt_info_copy_has_fields(&pair->copy[c]))
				infoblock_field_format(
				    i, &pair->copy[c].info, text[c]);
		}
		name = infoblock_field_name(i);
		if (same)
			printf("  %-18s %s\n", name, text[0]);
		else
			printf("%c %-18s %-36s %s\n",
			    strcmp(text[0], text[1]) == 0 ? ' ' : '*', name,
			    text[0], text[1]);
	}
}

void
infoblock_print_arena(
    const struct media *media, const struct btt_inspect_arena *arena)
{
	struct infoblock_pair pair;
	const char *state[INFOBLOCK_NCOPY];
	size_t c;
	bool same;

	infoblock_read(media, arena, &pair);
	same = infoblock_is_same(&pair);
	for (c = 0; c < INFOBLOCK_NCOPY; c++)
		state[c] = infoblock_state_name(pair.copy[c].state);
	printf("\narena %u at %" PRIu64 " (layout %s)\n", arena->index,
	    arena->off, ctl_layout_name(arena->layout));
	if (same)
		printf("  %-18s %s, both copies\n", "state", state[0]);
	else
		printf("  %-18s %-36s %s\n  %-18s %-36s %s\n", "", "primary",
		    "backup", "state", state[0], state[1]);
	print_fields(&pair, same);
	print_places(arena, media->size);
}

static struct json_object *
copy_to_json(const struct btt_info_copy *copy, enum infoblock_which which)
{
	struct json_object *object;

	object = ctl_new_object();
	ctl_add_text(object, "copy", infoblock_copy_name(which));
	ctl_add_number(object, "offset", copy->off);
	ctl_add_text(object, "state", infoblock_state_name(copy->state));
	if (btt_info_copy_has_fields(copy))
		infoblock_add_json(object, &copy->info, false);
	return object;
}

static struct json_object *
pair_to_json(const struct infoblock_pair *pair)
{
	struct json_object *copies;
	unsigned c;

	copies = ctl_new_array();
	for (c = 0; c < INFOBLOCK_NCOPY; c++)
		ctl_append(copies,
		    copy_to_json(&pair->copy[c], (enum infoblock_which)c));
	return copies;
}

struct json_object *
infoblock_copies_json(
    const struct media *media, const struct btt_inspect_arena *arena)
{
	struct infoblock_pair pair;

	infoblock_read(media, arena, &pair);
	return pair_to_json(&pair);
}

struct json_object *
infoblock_arena_json(
    const struct media *media, const struct btt_inspect_arena *arena)
{
	struct json_object *object;
	struct infoblock_pair pair;

	infoblock_read(media, arena, &pair);
	object = ctl_new_object();
	ctl_add_number(object, "id", arena->index);
	ctl_add_number(object, "offset", arena->off);
	ctl_add_text(object, "layout", ctl_layout_name(arena->layout));
	ctl_add_bool(object, "copies_same", infoblock_is_same(&pair));
	ctl_add(object, "infoblocks", pair_to_json(&pair));
	return object;
}

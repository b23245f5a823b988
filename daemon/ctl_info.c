/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <btt/format.h>
#include <btt/media.h>

#include "ctl.h"
#include "size.h"

struct info_options {
	struct ctl_common common;
};

static const struct ctl_option options_table[] = {
	CTL_OPTION_JSON,
	CTL_OPTION_END,
};

/* One info block as it lies on the medium. */
struct copy {
	uint64_t off;
	enum btt_info_state state;
	struct btt_info info; /* meaningless if NO_SIGNATURE or UNREADABLE */
	uint8_t block[BTT_INFO_BYTES];
};

enum {
	PRIMARY,
	BACKUP,
	NCOPY
};
static const char *const copy_names[NCOPY] = { "primary", "backup" };

struct arena {
	uint64_t off;
	enum btt_layout layout;
	struct copy copy[NCOPY];
};

/* What info has to say about one path. */
struct report {
	const char *path;
	struct media *media;
	struct btt_probe probe;  /* if usable */
	int r;                   /* of the probe: 0 if usable */
	struct btt_error reason; /* if not usable */
};

/* The fields of an info block, in its order; names are ndctl's (C.3). */
enum field_kind {
	FIELD_UUID,
	FIELD_VERSION,
	FIELD_U32,
	FIELD_U64,
	FIELD_HEX64,
};

struct field {
	const char *name;
	enum field_kind kind;
	size_t at;
};

#define AT(member) offsetof(struct btt_info, member)
static const struct field fields[] = {
	{ "uuid", FIELD_UUID, AT(uuid) },
	{ "parent_uuid", FIELD_UUID, AT(parent_uuid) },
	{ "flags", FIELD_U32, AT(flags) },
	{ "version", FIELD_VERSION, 0 },
	{ "external_lbasize", FIELD_U32, AT(external_lbasize) },
	{ "external_nlba", FIELD_U32, AT(external_nlba) },
	{ "internal_lbasize", FIELD_U32, AT(internal_lbasize) },
	{ "internal_nlba", FIELD_U32, AT(internal_nlba) },
	{ "nfree", FIELD_U32, AT(nfree) },
	{ "infosize", FIELD_U32, AT(infosize) },
	{ "nextoff", FIELD_U64, AT(nextoff) },
	{ "dataoff", FIELD_U64, AT(dataoff) },
	{ "mapoff", FIELD_U64, AT(mapoff) },
	{ "logoff", FIELD_U64, AT(logoff) },
	{ "info2off", FIELD_U64, AT(info2off) },
	{ "checksum", FIELD_HEX64, AT(checksum) },
};
#define NFIELD (sizeof(fields) / sizeof(fields[0]))
#define FIELD_TEXT_BYTES 40u
static_assert(FIELD_TEXT_BYTES >= BTT_UUID_TEXT_BYTES, "room");

static uint64_t
field_number(const struct field *field, const struct btt_info *info)
{
	const void *at;

	at = (const char *)info + field->at;
	return field->kind == FIELD_U32 ? *(const uint32_t *)at
					: *(const uint64_t *)at;
}

static void
field_format(const struct field *field, const struct btt_info *info,
    char ret_text[FIELD_TEXT_BYTES])
{
	switch (field->kind) {
	case FIELD_UUID:
		btt_uuid_format((const uint8_t *)info + field->at, ret_text);
		return;
	case FIELD_VERSION:
		snprintf(ret_text, FIELD_TEXT_BYTES, "%u.%u", info->major,
		    info->minor);
		return;
	case FIELD_U32:
	case FIELD_U64:
		snprintf(ret_text, FIELD_TEXT_BYTES, "%" PRIu64,
		    field_number(field, info));
		return;
	case FIELD_HEX64:
		snprintf(ret_text, FIELD_TEXT_BYTES, "0x%016" PRIx64,
		    field_number(field, info));
		return;
	}
}

static const char *
state_name(enum btt_info_state state)
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

static bool
has_fields(const struct copy *copy)
{
	return copy->state == BTT_INFO_VALID ||
	    copy->state == BTT_INFO_BAD_CHECKSUM;
}

/* Are the bytes of both copies there, and the same? */
static bool
is_same(const struct arena *arena)
{
	return has_fields(&arena->copy[PRIMARY]) &&
	    has_fields(&arena->copy[BACKUP]) &&
	    memcmp(arena->copy[PRIMARY].block, arena->copy[BACKUP].block,
		BTT_INFO_BYTES) == 0;
}

struct read_request {
	const struct media *media;
	struct copy *copy;
};

static int
read_block(void *arg)
{
	const struct read_request *request;

	request = arg;
	memcpy(request->copy->block,
	    media_at(request->media, request->copy->off), BTT_INFO_BYTES);
	return 0;
}

static void
read_copy(const struct media *media, uint64_t off, struct copy *ret_copy)
{
	struct read_request request = { media, ret_copy };

	memset(ret_copy, 0, sizeof(*ret_copy));
	ret_copy->off = off;
	ret_copy->state = BTT_INFO_UNREADABLE;
	if (off > media->size || media->size - off < BTT_INFO_BYTES)
		return;
	if (media_try(read_block, &request) < 0)
		return;
	ret_copy->state = btt_info_decode(ret_copy->block, &ret_copy->info);
}

/* An arena where the probe found it. */
static void
read_found(const struct report *report, uint32_t index, struct arena *ret_arena)
{
	const struct btt_arena_place *place;

	place = &report->probe.arena[index];
	ret_arena->off = place->off;
	ret_arena->layout = report->probe.layout;
	read_copy(report->media, place->off, &ret_arena->copy[PRIMARY]);
	read_copy(report->media, place->off + place->info.info2off,
	    &ret_arena->copy[BACKUP]);
}

/*
 * An arena where one might have been: the primary at its place, the backup
 * where the primary says, or else where an arena of this length ends.  Returns
 * false if neither is there.
 */
static bool
read_presumed(const struct media *media, enum btt_layout layout, uint64_t off,
    uint64_t bytes, struct arena *ret_arena)
{
	const struct copy *primary, *backup;
	uint64_t end;

	primary = &ret_arena->copy[PRIMARY];
	backup = &ret_arena->copy[BACKUP];
	ret_arena->off = off;
	ret_arena->layout = layout;
	read_copy(media, off, &ret_arena->copy[PRIMARY]);
	if (has_fields(primary) && primary->info.info2off <= media->size) {
		read_copy(media, off + primary->info.info2off,
		    &ret_arena->copy[BACKUP]);
		if (has_fields(backup))
			return true;
	}
	end = bytes / BTT_ALIGN * BTT_ALIGN - BTT_INFO_BYTES;
	read_copy(media, off + end, &ret_arena->copy[BACKUP]);
	/*
	 * Backups of all layouts end with the medium: one that stands alone
	 * belongs to the layout which its own offset leads to.
	 */
	return has_fields(primary) ||
	    (has_fields(backup) && backup->info.info2off == end);
}

typedef void arena_fn(void *arg, const struct arena *arena, uint32_t index);

static void
each_presumed(const struct report *report, arena_fn *fn, void *arg)
{
	static const struct {
		enum btt_layout layout;
		uint64_t off;
	} starts[] = {
		{ BTT_LAYOUT_V11, BTT_V11_OFFSET },
		{ BTT_LAYOUT_V20, 0 },
		{ BTT_LAYOUT_POOL, BTT_POOL_OFFSET },
	};
	struct arena arena;
	uint64_t off, raw, bytes;
	uint32_t index;
	size_t i;

	for (i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		if (report->media->size < starts[i].off)
			continue;
		off = starts[i].off;
		raw = report->media->size - off;
		for (index = 0; index < BTT_ARENA_MAX; index++) {
			if ((bytes = btt_arena_bytes(raw, index)) == 0)
				break;
			if (read_presumed(report->media, starts[i].layout, off,
				bytes, &arena))
				fn(arg, &arena, index);
			off += bytes;
		}
	}
}

static void
each_arena(const struct report *report, arena_fn *fn, void *arg)
{
	struct arena arena;
	uint32_t index;

	if (report->r < 0) {
		each_presumed(report, fn, arg);
		return;
	}
	for (index = 0; index < report->probe.narena; index++) {
		read_found(report, index, &arena);
		fn(arg, &arena, index);
	}
}

static uint64_t
total_sectors(const struct btt_probe *probe)
{
	uint64_t nsector;
	uint32_t i;

	nsector = 0;
	for (i = 0; i < probe->narena; i++)
		nsector += probe->arena[i].info.external_nlba;
	return nsector;
}

static bool
is_degraded(const struct btt_probe *probe)
{
	uint32_t i;

	for (i = 0; i < probe->narena; i++) {
		if (probe->arena[i].from_backup ||
		    probe->arena[i].copies_differ ||
		    probe->arena[i].info.flags != 0)
			return true;
	}
	return false;
}

/* The areas of an arena, for people. */
static void
print_places(const struct arena *arena, const struct btt_info *info,
    uint64_t medium_bytes)
{
	const struct {
		const char *name;
		uint64_t off;
	} places[] = {
		{ "info block", 0 },
		{ "data", info->dataoff },
		{ "map", info->mapoff },
		{ "log", info->logoff },
		{ "backup info block", info->info2off },
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
print_fields(const struct arena *arena, bool same)
{
	char text[NCOPY][FIELD_TEXT_BYTES];
	size_t i, c;

	for (i = 0; i < NFIELD; i++) {
		for (c = 0; c < NCOPY; c++) {
			strcpy(text[c], "-");
			if (has_fields(&arena->copy[c]))
				field_format(
				    &fields[i], &arena->copy[c].info, text[c]);
		}
		if (same)
			printf("  %-18s %s\n", fields[i].name, text[PRIMARY]);
		else
			printf("%c %-18s %-36s %s\n",
			    strcmp(text[PRIMARY], text[BACKUP]) == 0 ? ' '
								     : '*',
			    fields[i].name, text[PRIMARY], text[BACKUP]);
	}
}

static void
print_arena(void *arg, const struct arena *arena, uint32_t index)
{
	const struct report *report;
	const struct copy *copy;
	bool same;

	report = arg;
	copy = arena->copy;
	same = is_same(arena);
	printf("\narena %u at %" PRIu64 " (layout %s)\n", index, arena->off,
	    ctl_layout_name(arena->layout));
	if (same)
		printf("  %-18s %s, both copies\n", "state",
		    state_name(copy[PRIMARY].state));
	else
		printf("  %-18s %-36s %s\n  %-18s %-36s %s\n", "", "primary",
		    "backup", "state", state_name(copy[PRIMARY].state),
		    state_name(copy[BACKUP].state));
	print_fields(arena, same);
	print_places(arena,
	    &copy[has_fields(&copy[PRIMARY]) ? PRIMARY : BACKUP].info,
	    report->media->size);
}

static void
print_human(const struct report *report)
{
	const struct btt_info *info;
	char uuid[BTT_UUID_TEXT_BYTES], text[SIZE_TEXT_BYTES];
	uint64_t nsector;

	printf("%s\n", report->path);
	size_format_full(report->media->size, text);
	printf("  medium             %s\n", text);
	if (report->r < 0) {
		printf(
		    "  state              unusable: %s\n", report->reason.text);
		return;
	}
	info = &report->probe.arena[0].info;
	nsector = total_sectors(&report->probe);
	btt_uuid_format(info->uuid, uuid);
	printf("  state              %s\n",
	    is_degraded(&report->probe) ? "usable, but see below" : "ok");
	printf("  uuid               %s\n", uuid);
	printf(
	    "  layout             %s\n", ctl_layout_name(report->probe.layout));
	printf("  arenas             %u\n", report->probe.narena);
	printf("  sectors            %" PRIu64 " of %u bytes\n", nsector,
	    info->external_lbasize);
	size_format_full(
	    nsector * btt_sector_data_bytes(info->external_lbasize), text);
	printf("  usable             %s\n", text);
}

static struct json_object *
copy_to_json(const struct copy *copy, const char *name)
{
	struct json_object *object;
	char text[FIELD_TEXT_BYTES];
	size_t i;

	object = ctl_new_object();
	ctl_add_text(object, "copy", name);
	ctl_add_number(object, "offset", copy->off);
	ctl_add_text(object, "state", state_name(copy->state));
	if (!has_fields(copy))
		return object;
	ctl_add_text(object, "signature", "BTT_ARENA_INFO");
	for (i = 0; i < NFIELD; i++) {
		if (fields[i].kind == FIELD_U32 ||
		    fields[i].kind == FIELD_U64) {
			ctl_add_number(object, fields[i].name,
			    field_number(&fields[i], &copy->info));
			continue;
		}
		field_format(&fields[i], &copy->info, text);
		ctl_add_text(object, fields[i].name, text);
	}
	return object;
}

static void
add_arena(void *arg, const struct arena *arena, uint32_t index)
{
	struct json_object *object, *copies;
	size_t c;

	copies = ctl_new_array();
	for (c = 0; c < NCOPY; c++)
		ctl_append(
		    copies, copy_to_json(&arena->copy[c], copy_names[c]));
	object = ctl_new_object();
	ctl_add_number(object, "id", index);
	ctl_add_number(object, "offset", arena->off);
	ctl_add_text(object, "layout", ctl_layout_name(arena->layout));
	ctl_add_bool(object, "copies_same", is_same(arena));
	ctl_add(object, "infoblocks", copies);
	ctl_append(arg, object);
}

static void
print_json(const struct report *report)
{
	const struct btt_info *info;
	struct json_object *object, *arenas;
	uint64_t nsector;

	object = ctl_new_object();
	ctl_add_text(object, "file", report->path);
	ctl_add_text(object, "mode", "sector");
	ctl_add_number(object, "backing_size", report->media->size);
	if (report->r < 0) {
		ctl_add_text(object, "state", "unusable");
		ctl_add_text(object, "message", report->reason.text);
	} else {
		info = &report->probe.arena[0].info;
		nsector = total_sectors(&report->probe);
		ctl_add_text(object, "state",
		    is_degraded(&report->probe) ? "degraded" : "ok");
		ctl_add_number(object, "size",
		    nsector * btt_sector_data_bytes(info->external_lbasize));
		ctl_add_uuid(object, "uuid", info->uuid);
		ctl_add_uuid(object, "raw_uuid", info->parent_uuid);
		ctl_add_number(object, "sector_size", info->external_lbasize);
		ctl_add_number(object, "sectors", nsector);
		ctl_add_text(
		    object, "layout", ctl_layout_name(report->probe.layout));
	}
	arenas = ctl_new_array();
	each_arena(report, add_arena, arenas);
	ctl_add(object, "arenas", arenas);
	ctl_print_json(object);
}

static void
count_arena(void *arg, const struct arena *arena, uint32_t index)
{
	(void)arena;
	(void)index;
	++*(uint32_t *)arg;
}

static int
run(const void *arg, char *const operands[])
{
	const struct info_options *options;
	const struct media_options media_options = {
		.read_only = true,
		.allow_sparse = true,
	};
	struct report report = { .path = operands[0] };
	uint32_t narena;
	int r;

	options = arg;
	r = media_open(
	    report.path, &media_options, &report.media, &report.reason);
	if (r < 0)
		return ctl_fail(report.path, r, &report.reason);
	report.r = btt_probe(report.media, &report.probe, &report.reason);

	/* Where there is nothing of a BTT the error says all there is. */
	narena = 0;
	each_arena(&report, count_arena, &narena);
	if (narena > 0 && options->common.json) {
		print_json(&report);
	} else if (narena > 0) {
		print_human(&report);
		each_arena(&report, print_arena, &report);
	}
	media_close(report.media);
	if (report.r < 0)
		return ctl_fail(report.path, report.r, &report.reason);
	btt_probe_fini(&report.probe);
	return 0;
}

static_assert(sizeof(struct info_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_info = {
	.name = "info",
	.operands = "PATH",
	.summary = "Show what the info blocks of a BTT say, damaged or not",
	.options = options_table,
	.options_bytes = sizeof(struct info_options),
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hostile -- making the images of hostile_cases.c.
 *
 * Changes are words, applied from left to right:
 *
 *	FIELD=VALUE              a number of the info block of arena 0, in both
 *	                         copies, which are summed again
 *	1.FIELD=VALUE            the same of arena 1
 *	backup.FIELD=VALUE       in the backup of arena 0 only
 *	map:ENTRY=VALUE          a map entry of arena 0
 *	log:PAIR:SLOT=LBA,OLD,NEW,SEQ
 *	flip:VALUE               the lowest bit of the byte there
 *	sum:VALUE                make the checksum of the page there right
 *	word:VALUE=VALUE         32 bits
 *	zero:VALUE,BYTES
 *	size=VALUE               of the image
 *
 * A VALUE is a sum of numbers and names (FIELD of arena 0, or of the table
 * below); places are offsets in the image.
 */
#include "hostile.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"

#define FIELD(member)                                       \
	{                                                   \
#member, offsetof(struct btt_info, member), \
		    sizeof(((struct btt_info *)0)->member)  \
	}
static const struct field {
	const char *name;
	size_t off;
	size_t bytes;
} fields[] = {
	FIELD(uuid),
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

/* A mistake in the table. */
static _Noreturn void
bad_word(const char *at)
{
	fprintf(stderr, "hostile_cases.c: no change is called '%s'\n", at);
	abort();
}

static bool
skip(const char **at, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*at, word, len) != 0)
		return false;
	*at += len;
	return true;
}

static void
need(const char **at, const char *word)
{
	if (!skip(at, word))
		bad_word(*at);
}

/* The field that begins at; one name may be the beginning of another's. */
static const struct field *
skip_field(const char **at)
{
	size_t len = strspn(*at, "abcdefghijklmnopqrstuvwxyz_0123456789");

	for (size_t i = 0; i < NFIELD; i++) {
		if (strlen(fields[i].name) == len &&
		    strncmp(fields[i].name, *at, len) == 0) {
			*at += len;
			return &fields[i];
		}
	}
	return NULL;
}

static uint64_t
field_get(const struct btt_info *info, const struct field *field)
{
	uint64_t value = 0;

	memcpy(&value, (const uint8_t *)info + field->off,
	    field->bytes < sizeof(value) ? field->bytes : sizeof(value));
	return value;
}

static void
field_set(struct btt_info *info, const struct field *field, uint64_t value)
{
	memcpy((uint8_t *)info + field->off, &value,
	    field->bytes < sizeof(value) ? field->bytes : sizeof(value));
}

static uint64_t
term(const struct hostile_image *image, const char **at)
{
	const struct btt_info *info = &image->info[0];
	const uint64_t backup =
	    image->start + image->arena_bytes - BTT_INFO_BYTES;
	const struct {
		const char *name;
		uint64_t value;
	} names[] = {
		{ "primary", image->start },
		{ "backup", backup },
		{ "second", image->start + image->arena_bytes },
		{ "log_begin", image->start + info->logoff },
		{ "arena_bytes", image->arena_bytes },
		{ "arena_min", BTT_ARENA_MIN_BYTES },
		{ "arena_max", BTT_ARENA_MAX_BYTES },
		{ "nfree_max", BTT_NFREE_MAX },
		{ "sector_max", BTT_SECTOR_MAX },
		{ "all", image->size },
		{ "E", MAP_ERROR },
		{ "Z", MAP_ZERO },
		{ "N", MAP_NORMAL },
	};
	const struct field *field;
	char *end;

	if (isdigit((unsigned char)**at)) {
		uint64_t value = strtoull(*at, &end, 0);

		*at = end;
		return value;
	}
	if ((field = skip_field(at)) != NULL)
		return field_get(info, field);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (skip(at, names[i].name))
			return names[i].value;
	}
	bad_word(*at);
}

static uint64_t
sum(const struct hostile_image *image, const char **at)
{
	uint64_t value = term(image, at);

	while (**at == '+' || **at == '-') {
		bool minus = *(*at)++ == '-';
		uint64_t more = term(image, at);

		value = minus ? value - more : value + more;
	}
	return value;
}

static void
put32(uint8_t *to, uint64_t value)
{
	struct le32 word = le32_encode((uint32_t)value);

	memcpy(to, &word, sizeof(word));
}

/* Both copies of an arena, where they belong. */
static void
put_info(struct hostile_image *image, unsigned arena)
{
	uint8_t *to = image->bytes + image->start + arena * image->arena_bytes;

	btt_info_encode(&image->info[arena], to);
	btt_info_encode(
	    &image->info[arena], to + image->arena_bytes - BTT_INFO_BYTES);
}

static void
change_field(struct hostile_image *image, const char **at)
{
	bool backup = skip(at, "backup.");
	unsigned arena = skip(at, "1.") ? 1 : 0;
	const struct field *field = skip_field(at);
	struct btt_info info = image->info[arena];
	uint8_t *to =
	    image->bytes + image->start + image->arena_bytes - BTT_INFO_BYTES;

	if (field == NULL)
		bad_word(*at);
	need(at, "=");
	field_set(&info, field, sum(image, at));
	if (backup) {
		btt_info_encode(&info, to);
		return;
	}
	image->info[arena] = info;
	put_info(image, arena);
}

static void
change_log(struct hostile_image *image, const char **at)
{
	uint8_t *to = image->bytes + image->start + image->info[0].logoff;

	to += sum(image, at) * FLOG_GROUP_BYTES;
	need(at, ":");
	to += sum(image, at) * sizeof(struct flog_media);
	for (unsigned i = 0; i < 4; i++) {
		need(at, i == 0 ? "=" : ",");
		put32(to + 4 * i, sum(image, at));
	}
}

static void
put_sum(uint8_t *page)
{
	struct le64 right = le64_encode(btt_info_checksum(page));

	memcpy(page + offsetof(struct info_media, checksum), &right,
	    sizeof(right));
}

static void
change(struct hostile_image *image, const char **at)
{
	uint64_t where;

	if (skip(at, "map:")) {
		where = image->start + image->info[0].mapoff +
		    MAP_ENTRY_BYTES * sum(image, at);
		need(at, "=");
		put32(image->bytes + where, sum(image, at));
	} else if (skip(at, "log:")) {
		change_log(image, at);
	} else if (skip(at, "flip:")) {
		image->bytes[sum(image, at)] ^= 1;
	} else if (skip(at, "sum:")) {
		put_sum(image->bytes + sum(image, at));
	} else if (skip(at, "word:")) {
		where = sum(image, at);
		need(at, "=");
		put32(image->bytes + where, sum(image, at));
	} else if (skip(at, "zero:")) {
		where = sum(image, at);
		need(at, ",");
		memset(image->bytes + where, 0, sum(image, at));
	} else if (skip(at, "size=")) {
		image->size = sum(image, at);
	} else {
		change_field(image, at);
	}
}

/* A pool header as pool.c wants it: of version 1, without features. */
static void
put_pool_header(struct hostile_image *image)
{
	memcpy(image->bytes, "PMEMBLK", 8);
	put32(image->bytes + 8, 1);
	memcpy(image->bytes + 24, image->info[0].parent_uuid, BTT_UUID_BYTES);
	put32(image->bytes + BTT_ALIGN, image->sector_bytes);
	put_sum(image->bytes);
}

static void
put_arena(struct hostile_image *image, unsigned arena)
{
	struct btt_info *info = &image->info[arena];
	uint8_t *log;
	int r;

	*info = (struct btt_info){ .uuid = { 1, 2, 3 },
		.parent_uuid = { 4, 5 },
		.major = 1,
		.minor = 1 };
	r = btt_geometry(
	    image->arena_bytes, image->sector_bytes, image->nfree, 64, info);
	assert(r == 0);
	put_info(image, arena);
	log = image->bytes + image->start + arena * image->arena_bytes +
	    info->logoff;
	for (uint32_t i = 0; i < info->nfree; i++, log += FLOG_GROUP_BYTES) {
		put32(log, i % info->external_nlba);
		put32(log + 4, info->external_nlba + i);
		put32(log + 8, info->external_nlba + i);
		put32(log + 12, 1);
	}
}

void
hostile_make(const struct hostile_case *hostile, struct hostile_image *image)
{
	unsigned narena = hostile->base == HOSTILE_TWO ? 2 : 1;
	const char *at = hostile->changes;

	image->start =
	    hostile->base == HOSTILE_POOL ? BTT_POOL_OFFSET : BTT_V11_OFFSET;
	image->size = image->start + narena * image->arena_bytes;
	for (unsigned i = 0; i < narena; i++)
		put_arena(image, i);
	if (narena == 2) {
		image->info[0].nextoff = image->arena_bytes;
		put_info(image, 0);
	}
	if (hostile->base == HOSTILE_POOL)
		put_pool_header(image);
	while (*at != '\0') {
		change(image, &at);
		if (*at != '\0')
			need(&at, " ");
	}
}

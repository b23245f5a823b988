/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jsonb.h"

static struct json_object *
checked(struct jsonb *jsonb, struct json_object *value)
{
	if (value == NULL)
		jsonb->failed = true;
	return value;
}

struct json_object *
jsonb_object(struct jsonb *jsonb)
{
	return checked(jsonb, json_object_new_object());
}

struct json_object *
jsonb_array(struct jsonb *jsonb)
{
	return checked(jsonb, json_object_new_array());
}

void
jsonb_add(struct jsonb *jsonb, struct json_object *object, const char *key,
    struct json_object *value)
{
	if (value != NULL && object != NULL &&
	    json_object_object_add(object, key, value) == 0)
		return;
	jsonb->failed = true;
	json_object_put(value);
}

void
jsonb_append(
    struct jsonb *jsonb, struct json_object *array, struct json_object *value)
{
	if (value != NULL && array != NULL &&
	    json_object_array_add(array, value) == 0)
		return;
	jsonb->failed = true;
	json_object_put(value);
}

/*
 * Bytes of the character that text begins with, 0 if it is none: too long for
 * its value, half of a pair, beyond the last one, cut off.
 */
static size_t
character_bytes(const char *text)
{
	const uint8_t *byte = (const uint8_t *)text;
	uint32_t value;
	size_t n, i;

	if (byte[0] < 0x80)
		return 1;
	n = byte[0] >= 0xf0 ? 4 : byte[0] >= 0xe0 ? 3 : 2;
	if (byte[0] < 0xc2 || byte[0] > 0xf4)
		return 0;
	value = byte[0] & (0xffu >> (n + 1));
	for (i = 1; i < n; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (byte[i] & 0x3f);
	}
	if (n == 3 && (value < 0x800 || (value >= 0xd800 && value < 0xe000)))
		return 0;
	if (n == 4 && (value < 0x10000 || value > 0x10ffff))
		return 0;
	return n;
}

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

static bool
is_utf8(const char *text)
{
	size_t n;

	for (; *text != '\0'; text += n) {
		if ((n = character_bytes(text)) == 0)
			return false;
	}
	return true;
}

/* Room for a replacement in each byte's place. */
static char *
make_utf8(const char *text)
{
	char *copy, *to;
	size_t n;

	copy = malloc(strlen(text) * (sizeof(replacement) - 1) + 1);
	if (copy == NULL)
		return NULL;
	for (to = copy; *text != '\0'; text += n) {
		if ((n = character_bytes(text)) > 0) {
			memcpy(to, text, n);
			to += n;
		} else {
			memcpy(to, replacement, sizeof(replacement) - 1);
			to += sizeof(replacement) - 1;
			n = 1;
		}
	}
	*to = '\0';
	return copy;
}

void
jsonb_add_text(struct jsonb *jsonb, struct json_object *object, const char *key,
    const char *text)
{
	struct json_object *value;
	char *copy;

	if (is_utf8(text)) {
		value = json_object_new_string(text);
	} else {
		copy = make_utf8(text);
		value = copy != NULL ? json_object_new_string(copy) : NULL;
		free(copy);
	}
	jsonb_add(jsonb, object, key, value);
}

void
jsonb_add_number(struct jsonb *jsonb, struct json_object *object,
    const char *key, uint64_t number)
{
	jsonb_add(jsonb, object, key, json_object_new_uint64(number));
}

void
jsonb_add_bool(
    struct jsonb *jsonb, struct json_object *object, const char *key, bool is)
{
	jsonb_add(jsonb, object, key, json_object_new_boolean(is));
}

void
jsonb_add_uuid(struct jsonb *jsonb, struct json_object *object, const char *key,
    const uint8_t uuid[BTT_UUID_BYTES])
{
	char text[BTT_UUID_TEXT_BYTES];

	btt_uuid_format(uuid, text);
	jsonb_add_text(jsonb, object, key, text);
}

void
jsonb_add_fraction(struct jsonb *jsonb, struct json_object *object,
    const char *key, double fraction)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%.3f", fraction);
	jsonb_add(jsonb, object, key, json_object_new_double_s(fraction, text));
}

void
jsonb_add_timestamp(struct jsonb *jsonb, struct json_object *object,
    const char *key, const struct timespec *time)
{
	char text[48];

	(void)snprintf(text, sizeof(text), "%10lld.%09ld",
	    (long long)time->tv_sec, time->tv_nsec);
	jsonb_add_text(jsonb, object, key, text);
}

void
jsonb_add_errno(
    struct jsonb *jsonb, struct json_object *object, const char *key, int r)
{
	const char *name;

	name = strerrorname_np(-r);
	jsonb_add_text(jsonb, object, key, name != NULL ? name : "EUNKNOWN");
}

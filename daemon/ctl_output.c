/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <err.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "ctl.h"
#include "system_error.h"

bool
ctl_is_listed(const char *list, const char *text)
{
	size_t n, part;

	if (list == NULL || strcmp(list, "all") == 0)
		return true;
	n = strlen(text);
	for (;; list += part + 1) {
		part = strcspn(list, ", ");
		if (part == n && strncmp(list, text, n) == 0)
			return true;
		if (list[part] == '\0')
			return false;
	}
}

int
ctl_exit_status(int r)
{
	assert(r <= 0);
	/* No errno is a multiple of 256; should one be, it still fails. */
	return r == 0 ? 0 : (-r & 0xff) == 0 ? 1 : r & 0xff;
}

int
ctl_fail(const char *path, int r, const struct btt_error *error)
{
	warnx("%s: %s", path,
	    error != NULL && error->text[0] != '\0' ? error->text
						    : system_error_text(r));
	return ctl_exit_status(r);
}

void
ctl_die_of_memory(void)
{
	errx(ctl_exit_status(-ENOMEM), "%s", system_error_text(-ENOMEM));
}

void
ctl_print_json(struct json_object *value)
{
	struct json_object *array;

	array = ctl_new_array();
	ctl_append(array, value);
	ctl_print_json_array(array);
}

void
ctl_print_json_array(struct json_object *array)
{
	if (json_object_array_length(array) == 0)
		puts("[]"); /* which json-c would write on two lines */
	else
		puts(json_object_to_json_string_ext(array,
		    JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
			JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(array);
}

void
ctl_add(struct json_object *object, const char *key, struct json_object *value)
{
	if (value == NULL || json_object_object_add(object, key, value) < 0)
		ctl_die_of_memory();
}

void
ctl_add_text(struct json_object *object, const char *key, const char *text)
{
	ctl_add(object, key, json_object_new_string(text));
}

void
ctl_add_number(struct json_object *object, const char *key, uint64_t number)
{
	ctl_add(object, key, json_object_new_uint64(number));
}

void
ctl_add_bool(struct json_object *object, const char *key, bool is)
{
	ctl_add(object, key, json_object_new_boolean(is));
}

void
ctl_add_uuid(struct json_object *object, const char *key,
    const uint8_t uuid[BTT_UUID_BYTES])
{
	char text[BTT_UUID_TEXT_BYTES];

	btt_uuid_format(uuid, text);
	ctl_add_text(object, key, text);
}

struct json_object *
ctl_new_object(void)
{
	struct json_object *object;

	if ((object = json_object_new_object()) == NULL)
		ctl_die_of_memory();
	return object;
}

struct json_object *
ctl_new_array(void)
{
	struct json_object *array;

	if ((array = json_object_new_array()) == NULL)
		ctl_die_of_memory();
	return array;
}

void
ctl_append(struct json_object *array, struct json_object *value)
{
	if (value == NULL || json_object_array_add(array, value) < 0)
		ctl_die_of_memory();
}

const char *
ctl_layout_name(enum btt_layout layout)
{
	switch (layout) {
	case BTT_LAYOUT_V11:
		return "1.1";
	case BTT_LAYOUT_V20:
		return "2.0";
	case BTT_LAYOUT_POOL:
		return "pool";
	}
	return "unknown";
}

bool
ctl_uuid_is_null(const uint8_t uuid[BTT_UUID_BYTES])
{
	static const uint8_t null[BTT_UUID_BYTES];

	return memcmp(uuid, null, BTT_UUID_BYTES) == 0;
}

int
ctl_random_uuid(uint8_t ret_uuid[BTT_UUID_BYTES])
{
	if (getrandom(ret_uuid, BTT_UUID_BYTES, 0) != BTT_UUID_BYTES)
		return -EIO;
	ret_uuid[6] = (uint8_t)((ret_uuid[6] & 0x0f) | 0x40); /* version 4 */
	ret_uuid[8] = (uint8_t)((ret_uuid[8] & 0x3f) | 0x80); /* variant 1 */
	return 0;
}

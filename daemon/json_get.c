/* SPDX-License-Identifier: BSD-3-Clause */
#include "json_get.h"

struct json_object *
json_get(struct json_object *object, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(object, key, &value) ? value : NULL;
}

const char *
json_get_text(struct json_object *object, const char *key)
{
	struct json_object *value;

	value = json_get(object, key);
	return value != NULL ? json_object_get_string(value) : "";
}

uint64_t
json_get_number(struct json_object *object, const char *key)
{
	return json_object_get_uint64(json_get(object, key));
}

bool
json_get_bool(struct json_object *object, const char *key)
{
	return json_object_get_boolean(json_get(object, key));
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_JSON_GET_H
#define BTTFS_JSON_GET_H

/*
 * json_get -- members of JSON objects, as they are wanted: of an object that is
 * NULL or has no such member they are nothing.  All stay the object's.
 */
#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

/* A member of an object, or NULL or 0; the text of one, or "". */
struct json_object *json_get(struct json_object *object, const char *key);
const char *json_get_text(struct json_object *object, const char *key);
uint64_t json_get_number(struct json_object *object, const char *key);
bool json_get_bool(struct json_object *object, const char *key);

#endif

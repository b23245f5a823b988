/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_JSONB_H
#define BTTFS_JSONB_H

/*
 * jsonb -- builds JSON where running out of memory must not be the end: what
 * fails is noted, and whoever sends the result looks once.
 *
 * Every value is owned by what it was added to.  Adding to NULL, or NULL, is a
 * failure like any other.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <btt/format.h>

struct jsonb {
	bool failed;
};

struct json_object *jsonb_object(struct jsonb *jsonb);
struct json_object *jsonb_array(struct jsonb *jsonb);

void jsonb_add(struct jsonb *jsonb, struct json_object *object, const char *key,
    struct json_object *value);
void jsonb_append(
    struct jsonb *jsonb, struct json_object *array, struct json_object *value);

/* Bytes that are no UTF-8 become replacement characters. */
void jsonb_add_text(struct jsonb *jsonb, struct json_object *object,
    const char *key, const char *text);
void jsonb_add_number(struct jsonb *jsonb, struct json_object *object,
    const char *key, uint64_t number);
void jsonb_add_bool(
    struct jsonb *jsonb, struct json_object *object, const char *key, bool is);
void jsonb_add_uuid(struct jsonb *jsonb, struct json_object *object,
    const char *key, const uint8_t uuid[BTT_UUID_BYTES]);
/* With three decimals. */
void jsonb_add_fraction(struct jsonb *jsonb, struct json_object *object,
    const char *key, double fraction);
/* As ndctl's monitor has it: "1563412067.785292348", seconds and nanoseconds. */
void jsonb_add_timestamp(struct jsonb *jsonb, struct json_object *object,
    const char *key, const struct timespec *time);
/* "EBUSY" for -EBUSY. */
void jsonb_add_errno(
    struct jsonb *jsonb, struct json_object *object, const char *key, int r);

#endif

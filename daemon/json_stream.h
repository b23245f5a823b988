/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_JSON_STREAM_H
#define BTTFS_JSON_STREAM_H

/*
 * json_stream -- JSON that is printed piece by piece, so that memory does not
 * depend on how much there is to say: a map has up to a billion entries.
 */
#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

/* Arrays and objects within each other. */
#define JSON_STREAM_DEPTH 8u

struct json_stream {
	unsigned depth;
	bool is_array[JSON_STREAM_DEPTH];
	bool has_member[JSON_STREAM_DEPTH];
};

/* All zero is a stream at its beginning, on standard output. */

/* Begin an array or object; key is NULL in an array and at the beginning. */
void json_stream_array(struct json_stream *stream, const char *key);
void json_stream_object(struct json_stream *stream, const char *key);
/* End the innermost one; the last end also ends the line. */
void json_stream_end(struct json_stream *stream);
/* A member on one line.  Owns value from now on, which may be no NULL. */
void json_stream_add(
    struct json_stream *stream, const char *key, struct json_object *value);

void json_stream_add_text(
    struct json_stream *stream, const char *key, const char *text);
void json_stream_add_number(
    struct json_stream *stream, const char *key, uint64_t number);
void json_stream_add_bool(struct json_stream *stream, const char *key, bool is);

#endif

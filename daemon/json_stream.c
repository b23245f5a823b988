/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <stdio.h>

#include "ctl.h"
#include "json_stream.h"

#define INDENT 2

static void
new_line(const struct json_stream *stream)
{
	printf("\n%*s", (int)stream->depth * INDENT, "");
}

/* What comes before a member: a comma, its line, its key. */
static void
begin_member(struct json_stream *stream, const char *key)
{
	bool *has_member;

	if (stream->depth == 0) {
		assert(key == NULL);
		return;
	}
	assert((key == NULL) == stream->is_array[stream->depth - 1]);
	has_member = &stream->has_member[stream->depth - 1];
	if (*has_member)
		putchar(',');
	*has_member = true;
	new_line(stream);
	if (key != NULL)
		printf("\"%s\": ", key);
}

static void
begin(struct json_stream *stream, const char *key, bool is_array)
{
	begin_member(stream, key);
	assert(stream->depth < JSON_STREAM_DEPTH);
	stream->is_array[stream->depth] = is_array;
	stream->has_member[stream->depth] = false;
	stream->depth++;
	putchar(is_array ? '[' : '{');
}

void
json_stream_array(struct json_stream *stream, const char *key)
{
	begin(stream, key, true);
}

void
json_stream_object(struct json_stream *stream, const char *key)
{
	begin(stream, key, false);
}

void
json_stream_end(struct json_stream *stream)
{
	assert(stream->depth > 0);
	stream->depth--;
	if (stream->has_member[stream->depth])
		new_line(stream);
	putchar(stream->is_array[stream->depth] ? ']' : '}');
	if (stream->depth == 0)
		putchar('\n');
}

void
json_stream_add(
    struct json_stream *stream, const char *key, struct json_object *value)
{
	if (value == NULL)
		ctl_die_of_memory();
	begin_member(stream, key);
	fputs(json_object_to_json_string_ext(value,
		  JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE),
	    stdout);
	json_object_put(value);
}

void
json_stream_add_text(
    struct json_stream *stream, const char *key, const char *text)
{
	json_stream_add(stream, key, json_object_new_string(text));
}

void
json_stream_add_number(
    struct json_stream *stream, const char *key, uint64_t number)
{
	json_stream_add(stream, key, json_object_new_uint64(number));
}

void
json_stream_add_bool(struct json_stream *stream, const char *key, bool is)
{
	json_stream_add(stream, key, json_object_new_boolean(is));
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_INFOBLOCK_H
#define BTTFS_INFOBLOCK_H

/*
 * infoblock -- an info block for people and for scripts, field by field in the
 * order of the medium, with the names that ndctl has for them (C.3).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <json-c/json.h>

#include <btt/inspect.h>

/* Fields are counted from 0 to INFOBLOCK_NFIELD - 1. */
#define INFOBLOCK_NFIELD 16u
#define INFOBLOCK_TEXT_BYTES 40u

const char *infoblock_field_name(size_t field);
void infoblock_field_format(size_t field, const struct btt_info *info,
    char ret_text[INFOBLOCK_TEXT_BYTES]);

/* "valid", "missing", "bad-checksum", "unreadable" */
const char *infoblock_state_name(enum btt_info_state state);

/*
 * Add the signature and all fields.  human: flags and offsets as hexadecimal
 * text, as ndctl has them with -u.
 */
void infoblock_add_json(
    struct json_object *object, const struct btt_info *info, bool human);

/* Both copies of an arena's info block. */
enum infoblock_which {
	INFOBLOCK_PRIMARY,
	INFOBLOCK_BACKUP,
	INFOBLOCK_NCOPY
};
struct infoblock_pair {
	struct btt_info_copy copy[INFOBLOCK_NCOPY];
};

/* "primary", "backup" */
const char *infoblock_copy_name(enum infoblock_which which);
void infoblock_read(const struct media *media,
    const struct btt_inspect_arena *arena, struct infoblock_pair *ret_pair);
/* Are the bytes of both copies there, and the same? */
bool infoblock_is_same(const struct infoblock_pair *pair);

/*
 * All that the info blocks of an arena say, both copies side by side where
 * they differ, and where its parts lie.
 */
void infoblock_print_arena(
    const struct media *media, const struct btt_inspect_arena *arena);
/* Both copies, an array of two. */
struct json_object *infoblock_copies_json(
    const struct media *media, const struct btt_inspect_arena *arena);
/* The same with the arena around it. */
struct json_object *infoblock_arena_json(
    const struct media *media, const struct btt_inspect_arena *arena);

/* Called for each block; off is bytes from the start of the file. */
typedef void infoblock_fn(void *arg, const struct btt_info_copy *copy);

/*
 * Info blocks in a file or stream, as read-infoblock and ndctl write them: at
 * its start or behind one or two blocks of something else, and all that follow
 * without a gap.  A file without any has none to call fn for.
 * Returns: 0, or what read(2) says.
 */
int
infoblock_each_in_stream(int fd, infoblock_fn *fn, void *arg) BTT_MUST_CHECK;

/*
 * Open a file for blocks as they are.  What is there is overwritten if
 * may_overwrite is set, but never the medium itself.  NULL for path is
 * standard output, if that is no terminal; NULL for media is no medium.
 * Returns: 0; -EEXIST; -EINVAL for the medium itself and for a terminal; what
 * open(2) says; with the reason.
 */
int infoblock_create_file(const char *path, bool may_overwrite,
    const struct media *media, FILE **ret_file, struct btt_error *error)
    BTT_MUST_CHECK;

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_INI_FILE_H
#define BTTFS_INI_FILE_H

/*
 * ini_file -- files of sections, keys and values, read as they were meant or
 * refused with the line that is to blame.
 *
 * libinih splits lines into sections, keys and values.  It cuts what is too long
 * for it and overlooks what it does not understand, so what it gets to see is
 * looked at before: lines that it would cut, control characters, sections
 * without keys, text behind a section's bracket, and blanks before a key, which
 * to it would make the line a part of the one above.  A key that is there twice
 * in a section is refused, too.
 */
#include <stddef.h>

#include <btt/error.h>

/* Longest file: some hundred bytes for each of thousands of devices. */
#define INI_FILE_BYTES_MAX (4u << 20)
/* Longest name of a section. */
#define INI_FILE_NAME_MAX 49u

/*
 * Each returns 0, or a negative errno with the reason, to which file and line
 * are added.  Texts live as long as the call.
 */
struct ini_file_handler {
	/* A section begins; it has a key at least. */
	int (*section)(void *arg, unsigned line, const char *name,
	    struct btt_error *error);
	int (*key)(void *arg, const char *key, const char *value,
	    struct btt_error *error);
	/* It has ended; the line that is told is that where it begins. */
	int (*end)(void *arg, struct btt_error *error);
};

/*
 * Read the file at path or, if fd is not -1, from its beginning what that refers
 * to; path is then for messages.  *ret_text is to be freed, also after an error.
 * Errors: what open(2) and read(2) say; -EFBIG; -ENOMEM; with the reason.
 */
int ini_file_read(const char *path, int fd, char **ret_text, size_t *ret_size,
    struct btt_error *error) BTT_MUST_CHECK;

/* Returns 0; -EINVAL; what the handler returned; -ENOMEM; with the reason. */
int ini_file_parse(const char *text, size_t size, const char *path,
    const struct ini_file_handler *handler, void *arg, struct btt_error *error)
    BTT_MUST_CHECK;

#endif

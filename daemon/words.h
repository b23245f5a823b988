/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_WORDS_H
#define BTTFS_WORDS_H

/*
 * words -- options as mount(8) writes them, "ro,durability=flush", and tables
 * that say what they mean.  Help, parsers and suggestions read the same table.
 */
#include <stddef.h>
#include <stdio.h>

#include <btt/error.h>

/* What a word does to a member of what its table changes. */
enum word_kind {
	WORD_CALLS, /* set, for all that is none of the following */
	WORD_TRUE,  /* bool */
	WORD_FALSE, /* bool */
	WORD_TEXT,  /* const char *, the value as it is */
	WORD_COUNT, /* unsigned, from min to max */
	WORD_NOTHING,
};

/* WORD, or WORD=VALUE where value is not NULL. */
struct word {
	const char *name;
	const char *value; /* how help calls it */
	const char *help;  /* may have several lines */
	enum word_kind kind;
	size_t at; /* of the member */
	unsigned min, max;
	const char *unit; /* " seconds", or "" */
	/* value is NULL where there is none. */
	int (*set)(void *target, const char *value, struct btt_error *error);
};

/* Rows of tables, each to be followed by a comma. */
#define WORD_ROW_SWITCH(word, structure, member, is, text)             \
	{                                                              \
		.name = (word), .kind = (is) ? WORD_TRUE : WORD_FALSE, \
		.at = offsetof(structure, member), .help = (text),     \
	}
#define WORD_ROW_TEXT(word, what, structure, member, text)          \
	{                                                           \
		.name = (word), .value = (what), .kind = WORD_TEXT, \
		.at = offsetof(structure, member), .help = (text),  \
	}
#define WORD_ROW_COUNT(word, what, structure, member, from, to, of, text)      \
	{                                                                      \
		.name = (word), .value = (what), .kind = WORD_COUNT,           \
		.at = offsetof(structure, member), .min = (from), .max = (to), \
		.unit = (of), .help = (text),                                  \
	}
#define WORD_ROW_CALL(word, what, fn, text)                          \
	{                                                            \
		.name = (word), .value = (what), .kind = WORD_CALLS, \
		.set = (fn), .help = (text),                         \
	}

/* A table, and what its words change. */
struct word_table {
	const struct word *words;
	size_t nword;
	void *target;
};

/* The word of that name in one of the tables, or NULL. */
const struct word *
words_find(const struct word_table *tables, size_t ntable, const char *name);

/*
 * Set one word, which one of the tables knows; value may be NULL.
 * Errors: -EINVAL with the reason, the word that may have been meant among it.
 */
int words_set(const struct word_table *tables, size_t ntable, const char *name,
    const char *value, struct btt_error *error) BTT_MUST_CHECK;

/*
 * The same for a word of a list, which is cut in two.
 */
int words_set_text(const struct word_table *tables, size_t ntable, char *text,
    struct btt_error *error) BTT_MUST_CHECK;

/*
 * Take the next word out of a list, in place: commas part words, a backslash
 * takes what follows as it is.  NULL at the end, where *list is NULL too.
 */
char *words_next(char **list);

/* A number of at most max, all of text.  -EINVAL if it is none. */
int words_parse_number(const char *text, int base, unsigned long max,
    unsigned long *ret_number) BTT_MUST_CHECK;

/* Users and groups by name or number.  -EINVAL with the reason. */
int words_parse_user(const char *name, const char *value, uid_t *ret_uid,
    struct btt_error *error) BTT_MUST_CHECK;
int words_parse_group(const char *name, const char *value, gid_t *ret_gid,
    struct btt_error *error) BTT_MUST_CHECK;

/* A line or more for each word. */
void words_print_help(const struct word_table *table, FILE *file);

#endif

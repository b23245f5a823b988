/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/types.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "suggest.h"
#include "words.h"

static const struct word_table *
find_table(const struct word_table *tables, size_t ntable, const char *name,
    const struct word **ret_word)
{
	size_t t, i;

	for (t = 0; t < ntable; t++) {
		for (i = 0; i < tables[t].nword; i++) {
			*ret_word = &tables[t].words[i];
			if (strcmp((*ret_word)->name, name) == 0)
				return &tables[t];
		}
	}
	return NULL;
}

const struct word *
words_find(const struct word_table *tables, size_t ntable, const char *name)
{
	const struct word *word;

	return find_table(tables, ntable, name, &word) != NULL ? word : NULL;
}

static const char *
nearest_word(const struct word_table *tables, size_t ntable, const char *name)
{
	const char *nearest;
	unsigned distance, least;
	size_t t, i;

	nearest = NULL;
	least = suggest_limit(name) + 1;
	for (t = 0; t < ntable; t++) {
		for (i = 0; i < tables[t].nword; i++) {
			distance =
			    suggest_distance(name, tables[t].words[i].name);
			if (distance < least) {
				least = distance;
				nearest = tables[t].words[i].name;
			}
		}
	}
	return nearest;
}

static int
unknown_word(const struct word_table *tables, size_t ntable, const char *name,
    struct btt_error *error)
{
	const char *nearest;

	nearest = nearest_word(tables, ntable, name);
	if (nearest != NULL)
		return btt_error_set(error, -EINVAL,
		    "unknown option '%s', did you mean '%s'?", name, nearest);
	return btt_error_set(error, -EINVAL,
	    "unknown option '%s'; 'bttfs --help' lists them", name);
}

static int
set_count(unsigned *member, const struct word *word, const char *value,
    struct btt_error *error)
{
	unsigned long n;

	if (words_parse_number(value, 10, word->max, &n) < 0 || n < word->min)
		return btt_error_set(error, -EINVAL,
		    "%s=%s: must be from %u to %u%s", word->name, value,
		    word->min, word->max, word->unit);
	*member = (unsigned)n;
	return 0;
}

/* Not of words that call: there need be no structure around what they set. */
static void *
member_of(void *target, const struct word *word)
{
	return (char *)target + word->at;
}

/* Whether there is to be a value has been looked at. */
static int
set_word(void *target, const struct word *word, const char *value,
    struct btt_error *error)
{
	switch (word->kind) {
	case WORD_CALLS:
		return word->set(target, value, error);
	case WORD_TRUE:
		*(bool *)member_of(target, word) = true;
		break;
	case WORD_FALSE:
		*(bool *)member_of(target, word) = false;
		break;
	case WORD_TEXT:
		*(const char **)member_of(target, word) = value;
		break;
	case WORD_COUNT:
		return set_count(member_of(target, word), word, value, error);
	case WORD_NOTHING:
		break;
	}
	return 0;
}

int
words_set(const struct word_table *tables, size_t ntable, const char *name,
    const char *value, struct btt_error *error)
{
	const struct word_table *table;
	const struct word *word;

	if ((table = find_table(tables, ntable, name, &word)) == NULL)
		return unknown_word(tables, ntable, name, error);
	if (word->value == NULL && value != NULL)
		return btt_error_set(error, -EINVAL, "%s takes no value", name);
	if (word->value != NULL && (value == NULL || value[0] == '\0'))
		return btt_error_set(error, -EINVAL, "%s needs a value: %s=%s",
		    name, name, word->value);
	return set_word(table->target, word, value, error);
}

int
words_set_text(const struct word_table *tables, size_t ntable, char *text,
    struct btt_error *error)
{
	char *value;

	if ((value = strchr(text, '=')) != NULL)
		*value++ = '\0';
	return words_set(tables, ntable, text, value, error);
}

char *
words_next(char **list)
{
	char *from, *to, *word;

	if (*list == NULL)
		return NULL;
	word = *list;
	for (from = to = word; *from != '\0' && *from != ','; from++) {
		if (*from == '\\' && from[1] != '\0')
			from++;
		*to++ = *from;
	}
	*list = *from == ',' ? from + 1 : NULL;
	*to = '\0';
	return word;
}

int
words_parse_number(
    const char *text, int base, unsigned long max, unsigned long *ret_number)
{
	unsigned long number;
	char *end;

	/* strtoul(3) would take a sign and blanks. */
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	number = strtoul(text, &end, base);
	if (*end != '\0' || errno != 0 || number > max)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

/* (uid_t)-1 means "leave it" to chown(2), so nobody has it. */
#define ID_MAX (UINT32_MAX - 1ul)
/* For the strings of an entry of passwd(5) or group(5). */
#define ENTRY_BYTES 16384

int
words_parse_user(const char *name, const char *value, uid_t *ret_uid,
    struct btt_error *error)
{
	char strings[ENTRY_BYTES];
	struct passwd entry, *found;
	unsigned long uid;

	if (words_parse_number(value, 10, ID_MAX, &uid) == 0)
		*ret_uid = (uid_t)uid;
	else if (getpwnam_r(value, &entry, strings, sizeof(strings), &found) ==
		0 &&
	    found != NULL)
		*ret_uid = entry.pw_uid;
	else
		return btt_error_set(error, -EINVAL,
		    "%s=%s: there is no such user", name, value);
	return 0;
}

int
words_parse_group(const char *name, const char *value, gid_t *ret_gid,
    struct btt_error *error)
{
	char strings[ENTRY_BYTES];
	struct group entry, *found;
	unsigned long gid;

	if (words_parse_number(value, 10, ID_MAX, &gid) == 0)
		*ret_gid = (gid_t)gid;
	else if (getgrnam_r(value, &entry, strings, sizeof(strings), &found) ==
		0 &&
	    found != NULL)
		*ret_gid = entry.gr_gid;
	else
		return btt_error_set(error, -EINVAL,
		    "%s=%s: there is no such group", name, value);
	return 0;
}

/* A table's row, further lines of help being indented like the first. */
static void
print_word(FILE *file, const struct word *word)
{
	const char *line, *end;
	int used;

	used = fprintf(file, "  %s%s%s", word->name,
	    word->value != NULL ? "=" : "",
	    word->value != NULL ? word->value : "");
	for (line = word->help; line != NULL; line = end) {
		if ((end = strchr(line, '\n')) != NULL)
			end++;
		if (used > 22) {
			fputc('\n', file);
			used = 0;
		}
		fprintf(file, "%*s%.*s", 24 - used, "",
		    (int)strcspn(line, "\n"), line);
		fputc('\n', file);
		used = 0;
	}
}

void
words_print_help(const struct word_table *table, FILE *file)
{
	size_t i;

	for (i = 0; i < table->nword; i++)
		print_word(file, &table->words[i]);
}

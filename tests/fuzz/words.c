/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "medium.h"
#include "words.h"

void
words_open(
    struct words *words, const char *name, const uint8_t *data, size_t size)
{
	size_t head = strlen(name) + 1;
	char *line, *rest;

	words->text = malloc(head + size + 1);
	FUZZ_CHECK(words->text != NULL);
	memcpy(words->text, name, head);
	if (size > 0)
		memcpy(words->text + head, data, size);
	words->text[head + size] = '\0';
	words->argv[0] = words->text;
	words->argc = 1;
	rest = words->text + head;
	while (words->argc < WORDS_MAX && (line = strsep(&rest, "\n")) != NULL)
		words->argv[words->argc++] = line;
	words->argv[words->argc] = NULL;
}

void
words_close(struct words *words)
{
	free(words->text);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUZZ_WORDS_H
#define FUZZ_WORDS_H

/*
 * words -- an input as a command line: one word a line.
 */
#include <stddef.h>
#include <stdint.h>

#define WORDS_MAX 32

struct words {
	char *text; /* owned */
	int argc;
	char *argv[WORDS_MAX + 1]; /* ended by NULL; may be put in order */
};

/* name becomes argv[0].  Later lines are left out. */
void words_open(
    struct words *words, const char *name, const uint8_t *data, size_t size);
void words_close(struct words *words);

#endif

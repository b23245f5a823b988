/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "suggest.h"

/* No command or option of ours comes near; longer words match nothing. */
#define WORD_MAX 32u

static unsigned
least(unsigned a, unsigned b, unsigned c)
{
	unsigned least;

	least = a < b ? a : b;
	return c < least ? c : least;
}

unsigned
suggest_distance(const char *a, const char *b)
{
	/* at[i][j]: from the first i characters of a to the first j of b */
	unsigned at[WORD_MAX + 1][WORD_MAX + 1];
	size_t na, nb, i, j;

	na = strlen(a);
	nb = strlen(b);
	if (na > WORD_MAX || nb > WORD_MAX)
		return SUGGEST_FAR;
	for (i = 0; i <= na; i++)
		at[i][0] = (unsigned)i;
	for (j = 0; j <= nb; j++)
		at[0][j] = (unsigned)j;
	for (i = 1; i <= na; i++) {
		for (j = 1; j <= nb; j++) {
			at[i][j] = least(at[i - 1][j] + 1, at[i][j - 1] + 1,
			    at[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] &&
			    at[i - 2][j - 2] + 1 < at[i][j])
				at[i][j] = at[i - 2][j - 2] + 1;
		}
	}
	return at[na][nb];
}

unsigned
suggest_limit(const char *word)
{
	size_t n;

	n = strlen(word);
	return n <= 2 ? 1 : n <= 5 ? 2 : 3;
}

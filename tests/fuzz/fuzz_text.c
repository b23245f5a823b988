/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_text -- words that people type: sizes, UUIDs, names that are nearly
 * right.
 *
 * Claims: a size that is accepted is the whole part of what it says, and its
 * text parses to no more than itself; a UUID that is accepted prints as it was
 * typed; distances are symmetric.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <btt/format.h>

#include "medium.h"
#include "size.h"
#include "suggest.h"
#include "target.h"

__extension__ typedef unsigned __int128 wide;

/* The whole part of a size, if it has no fraction and is not too large. */
static bool
plain_size(const char *text, wide *ret)
{
	static const char units[] = "KMGTPE";
	const char *unit;
	wide bytes = 0;
	unsigned base = 1024;

	for (; isdigit((unsigned char)*text); text++) {
		bytes = 10 * bytes + (wide)(unsigned)(*text - '0');
		if (bytes > UINT64_MAX)
			return false;
	}
	if (*text == '.')
		return false;
	unit =
	    *text != '\0' ? strchr(units, toupper((unsigned char)*text)) : NULL;
	if (unit != NULL && (text[1] == 'b' || text[1] == 'B'))
		base = 1000;
	for (long i = 0; unit != NULL && i <= unit - units; i++)
		bytes *= base;
	*ret = bytes;
	return true;
}

static void
try_size(const char *text)
{
	char again[SIZE_TEXT_BYTES];
	uint64_t bytes, shown;
	wide expected;
	int r;

	r = size_parse(text, &bytes);
	FUZZ_CHECK(r == 0 || r == -EINVAL || r == -ERANGE);
	if (r < 0)
		return;
	FUZZ_CHECK(isdigit((unsigned char)text[0]));
	if (plain_size(text, &expected))
		FUZZ_CHECK(expected == bytes);
	size_format_full(bytes, again);
	size_format(bytes, again);
	if (bytes < 1024)
		return;
	/* "1.46 GiB": without the blank it is a size again. */
	FUZZ_CHECK(strchr(again, ' ') != NULL);
	memmove(strchr(again, ' '), strchr(again, ' ') + 1,
	    strlen(strchr(again, ' ')));
	FUZZ_CHECK(size_parse(again, &shown) == 0);
	FUZZ_CHECK(shown <= bytes && shown >= bytes - bytes / 8);
}

static void
try_uuid(const char *text)
{
	uint8_t uuid[BTT_UUID_BYTES];
	char again[BTT_UUID_TEXT_BYTES];
	size_t k = 0;

	if (btt_uuid_parse(text, uuid) < 0)
		return;
	btt_uuid_format(uuid, again);
	for (size_t i = 0; text[i] != '\0'; i++) {
		if (text[i] == '-')
			continue;
		k += again[k] == '-';
		FUZZ_CHECK(tolower((unsigned char)text[i]) == again[k]);
		k++;
	}
	FUZZ_CHECK(k + 1 == sizeof(again));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	char *other;

	FUZZ_CHECK(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	try_size(text);
	try_uuid(text);
	if ((other = strchr(text, ' ')) != NULL) {
		*other++ = '\0';
		FUZZ_CHECK(suggest_distance(text, other) ==
		    suggest_distance(other, text));
		FUZZ_CHECK(suggest_distance(text, text) == 0 ||
		    suggest_distance(text, text) == SUGGEST_FAR);
		(void)suggest_limit(text);
	}
	free(text);
	return 0;
}

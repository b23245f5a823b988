/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "size.h"

static const char unit_letters[] = "KMGTPE";

/* Bytes of the unit that text names in full, or 0 if it names none. */
static uint64_t
unit_bytes(const char *text)
{
	const char *letter;
	uint64_t base, bytes;
	size_t i;

	if (text[0] == '\0' || strcasecmp(text, "B") == 0)
		return 1;
	letter = strchr(unit_letters, toupper((unsigned char)text[0]));
	if (letter == NULL)
		return 0;
	if (text[1] == '\0' || strcasecmp(text + 1, "iB") == 0)
		base = 1024;
	else if (strcasecmp(text + 1, "B") == 0)
		base = 1000;
	else
		return 0;
	bytes = base;
	for (i = 0; i < (size_t)(letter - unit_letters); i++)
		bytes *= base;
	return bytes;
}

/*
 * Whole bytes in 0.DIGITS units.  Going from the last digit to the first and
 * cutting at each step gives the same as cutting the exact sum once, since all
 * that is added is whole.
 */
static uint64_t
fraction_bytes(const char *digits, size_t ndigit, uint64_t unit)
{
	uint64_t bytes;

	bytes = 0;
	while (ndigit-- > 0)
		bytes = (bytes + (uint64_t)(digits[ndigit] - '0') * unit) / 10;
	return bytes;
}

static int
parse_whole(const char *digits, size_t ndigit, uint64_t *ret_value)
{
	uint64_t value;
	size_t i;

	value = 0;
	for (i = 0; i < ndigit; i++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(
			value, (uint64_t)(digits[i] - '0'), &value))
			return -ERANGE;
	}
	*ret_value = value;
	return 0;
}

int
size_parse(const char *text, uint64_t *ret_bytes)
{
	static const char digits[] = "0123456789";
	const char *fraction;
	size_t nwhole, nfraction;
	uint64_t bytes, unit;
	int r;

	nwhole = strspn(text, digits);
	if (nwhole == 0)
		return -EINVAL;
	fraction = text + nwhole;
	nfraction = 0;
	if (*fraction == '.') {
		fraction++;
		nfraction = strspn(fraction, digits);
		if (nfraction == 0)
			return -EINVAL;
	}
	unit = unit_bytes(fraction + nfraction);
	if (unit == 0 || (unit == 1 && nfraction > 0))
		return -EINVAL;
	if ((r = parse_whole(text, nwhole, &bytes)) < 0)
		return r;
	if (__builtin_mul_overflow(bytes, unit, &bytes) ||
	    __builtin_add_overflow(
		bytes, fraction_bytes(fraction, nfraction, unit), &bytes))
		return -ERANGE;
	*ret_bytes = bytes;
	return 0;
}

void
size_format(uint64_t bytes, char ret_text[SIZE_TEXT_BYTES])
{
	uint64_t unit, whole, tenths, hundredths;
	size_t i;

	if (bytes < 1024) {
		snprintf(
		    ret_text, SIZE_TEXT_BYTES, "%ju bytes", (uintmax_t)bytes);
		return;
	}
	unit = 1024;
	for (i = 0; bytes / unit >= 1024; i++)
		unit *= 1024;
	/* One digit at a time: a hundred exbibytes do not fit 64 bits. */
	whole = bytes / unit;
	tenths = bytes % unit * 10;
	hundredths = tenths % unit * 10;
	if (tenths == 0)
		snprintf(ret_text, SIZE_TEXT_BYTES, "%ju %ciB",
		    (uintmax_t)whole, unit_letters[i]);
	else if (whole < 10)
		snprintf(ret_text, SIZE_TEXT_BYTES, "%ju.%ju%ju %ciB",
		    (uintmax_t)whole, (uintmax_t)(tenths / unit),
		    (uintmax_t)(hundredths / unit), unit_letters[i]);
	else
		snprintf(ret_text, SIZE_TEXT_BYTES, "%ju.%ju %ciB",
		    (uintmax_t)whole, (uintmax_t)(tenths / unit),
		    unit_letters[i]);
}

void
size_format_full(uint64_t bytes, char ret_text[SIZE_TEXT_BYTES])
{
	char shorter[SIZE_TEXT_BYTES];

	size_format(bytes, shorter);
	if (bytes < 1024)
		memcpy(ret_text, shorter, sizeof(shorter));
	else
		snprintf(ret_text, SIZE_TEXT_BYTES, "%.*s (%ju bytes)", 20,
		    shorter, (uintmax_t)bytes);
}

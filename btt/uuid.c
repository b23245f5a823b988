/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uuid -- text form of UUIDs.  The bytes on media are in the order of the
 * text; what UEFI calls a GUID is shown with three groups swapped, and is the
 * same bytes (btt-format.md 1.10).
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <btt/format.h>

/* Is there a dash before byte number index? */
static bool
has_dash(size_t index)
{
	return index == 4 || index == 6 || index == 8 || index == 10;
}

void
btt_uuid_format(
    const uint8_t uuid[BTT_UUID_BYTES], char ret_text[BTT_UUID_TEXT_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	char *out = ret_text;

	for (size_t i = 0; i < BTT_UUID_BYTES; i++) {
		if (has_dash(i))
			*out++ = '-';
		*out++ = digits[uuid[i] >> 4];
		*out++ = digits[uuid[i] & 0xf];
	}
	*out = '\0';
}

/* The value of a hexadecimal digit in any locale, or -1. */
static int
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
btt_uuid_parse(const char *text, uint8_t ret_uuid[BTT_UUID_BYTES])
{
	bool dashed = strlen(text) == BTT_UUID_TEXT_BYTES - 1;
	uint8_t uuid[BTT_UUID_BYTES];

	for (size_t i = 0; i < BTT_UUID_BYTES; i++) {
		int high;
		int low;

		if (dashed && has_dash(i) && *text++ != '-')
			return -EINVAL;
		/* The second digit is looked at only if there is a first. */
		if ((high = digit_value(text[0])) < 0 ||
		    (low = digit_value(text[1])) < 0)
			return -EINVAL;
		uuid[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text != '\0')
		return -EINVAL;
	memcpy(ret_uuid, uuid, sizeof(uuid));
	return 0;
}

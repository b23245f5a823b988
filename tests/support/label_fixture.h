/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_LABEL_FIXTURE_H
#define TESTS_SUPPORT_LABEL_FIXTURE_H

/*
 * label_fixture -- label areas, written as the specification has them and not
 * by the code under test.
 */
#include <check.h>
#include <string.h>

#include <btt/format.h>
#include <btt/label.h>

#include "layout.h"
#include "media_fake.h"

#define LABEL_SLOTS 8u /* that the fixture's index blocks have */

/* One label; what is zero here is as usual. */
struct label {
	const char *name;
	uint8_t uuid; /* all 16 bytes of it */
	uint64_t off;
	uint64_t bytes;
	uint32_t flags;
	uint16_t nlabel;       /* 0: 1 */
	uint16_t position;     /* counted from 0 */
	const uint8_t *claim;  /* 16 bytes, as on media; NULL: none */
	const uint8_t *type;   /* NULL: persistent memory */
	uint32_t slot_and_one; /* that the label says, if not its own */
	bool bad_sum;
};

/* As guid_t lies on media: the first three groups are little-endian. */
static const uint8_t label_claim_btt[16] = { 0xa2, 0x63, 0xed, 0x8a, 0xa2, 0x29,
	0x66, 0x4c, 0x8b, 0x12, 0xf0, 0x5d, 0x15, 0xd3, 0x92, 0x2a };
static const uint8_t label_claim_btt2[16] = { 0xfc, 0x3b, 0x63, 0x18, 0x35,
	0x17, 0x17, 0x42, 0x8a, 0xc9, 0x17, 0x23, 0x92, 0x82, 0xd3, 0xf8 };
static const uint8_t label_claim_dax[16] = { 0x9c, 0x6d, 0xa8, 0x97, 0xdd, 0x3c,
	0xda, 0x4e, 0x98, 0x6f, 0x50, 0x68, 0xb4, 0xf8, 0x00, 0x88 };
static const uint8_t label_type_pmem[16] = { 0x79, 0xd3, 0xf0, 0x66, 0xf3, 0xb4,
	0x74, 0x40, 0xac, 0x43, 0x0d, 0x33, 0x18, 0xb7, 0x8c, 0xdb };

static inline void
label_put(uint8_t *bytes, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
}

/* Fletcher-64, as btt-format.md 1.3 tells it. */
static inline void
label_seal(uint8_t *bytes, size_t len, size_t sum_off)
{
	uint32_t low = 0;
	uint32_t high = 0;

	memset(bytes + sum_off, 0, 8);
	for (size_t i = 0; i < len; i += 4) {
		low += (uint32_t)bytes[i] | (uint32_t)bytes[i + 1] << 8 |
		    (uint32_t)bytes[i + 2] << 16 | (uint32_t)bytes[i + 3] << 24;
		high += low;
	}
	label_put(bytes + sum_off, low, 4);
	label_put(bytes + sum_off + 4, high, 4);
}

static inline void
label_encode(
    uint8_t *bytes, unsigned minor, uint32_t slot, const struct label *label)
{
	memset(bytes, 0, minor == 1 ? 128 : 256);
	memset(bytes, label->uuid, 16);
	if (label->name != NULL)
		strncpy((char *)bytes + 16, label->name, 64);
	label_put(bytes + 80, label->flags, 4);
	label_put(bytes + 84, label->nlabel == 0 ? 1 : label->nlabel, 2);
	label_put(bytes + 86, label->position, 2);
	label_put(bytes + 88, 0x1234567890, 8);
	label_put(bytes + 96, 4096, 8);
	label_put(bytes + 104, label->off, 8);
	label_put(bytes + 112, label->bytes, 8);
	label_put(bytes + 120,
	    label->slot_and_one > 0 ? label->slot_and_one - 1 : slot, 4);
	if (minor == 1)
		return;
	memcpy(bytes + 128, label->type != NULL ? label->type : label_type_pmem,
	    16);
	if (label->claim != NULL)
		memcpy(bytes + 144, label->claim, 16);
	label_seal(bytes, 256, 248);
	bytes[248] ^= label->bad_sum ? 1 : 0;
}

/* What an index block says; reseal after changing bytes. */
#define LABEL_INDEX_BYTES 256u
static inline void
label_seal_index(uint8_t *index)
{
	label_seal(index, LABEL_INDEX_BYTES, 64);
}

/* An index block of the area, number which, in which slots 0 .. n-1 are used. */
static inline void
label_put_index(
    uint8_t *area, unsigned which, unsigned minor, uint32_t seq, uint32_t n)
{
	uint8_t *index = area + which * LABEL_INDEX_BYTES;

	memset(index, 0, LABEL_INDEX_BYTES);
	memcpy(index, "NAMESPACE_INDEX", 16);
	index[19] = minor == 1 ? 0 : 1;
	label_put(index + 20, seq, 4);
	label_put(index + 24, which * LABEL_INDEX_BYTES, 8);
	label_put(index + 32, LABEL_INDEX_BYTES, 8);
	label_put(index + 40, (1 - which) * LABEL_INDEX_BYTES, 8);
	label_put(index + 48, 2 * LABEL_INDEX_BYTES, 8);
	label_put(index + 56, LABEL_SLOTS, 4);
	label_put(index + 60, 1, 2);
	label_put(index + 62, minor, 2);
	memset(index + 72, 0xff, 8);
	for (uint32_t i = 0; i < n; i++)
		index[72 + i / 8] &= (uint8_t) ~(1u << i % 8);
	label_seal_index(index);
}

/* The label area of the last area_bytes of the medium, with n labels. */
static inline uint8_t *
label_area(struct media_fake *fake, uint64_t area_bytes, unsigned minor,
    const struct label *label, uint32_t n)
{
	uint8_t *area = fake->bytes + fake->media.size - area_bytes;

	ck_assert_uint_le(n, LABEL_SLOTS);
	memset(area, 0, area_bytes);
	label_put_index(area, 0, minor, 1, n);
	label_put_index(area, 1, minor, 2, n);
	for (uint32_t i = 0; i < n; i++)
		label_encode(area + 512 + i * (minor == 1 ? 128 : 256), minor,
		    i, &label[i]);
	return area;
}

#endif

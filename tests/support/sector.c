/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "sector.h"

#define HEAD_BYTES 32u
#define CRC_BYTES 4u

static const char magic[8] = { 'B', 'T', 'T', 'S', 'E', 'C', 'T', '1' };

struct head {
	char magic[8];
	uint64_t lba;
	uint64_t generation;
	uint32_t writer;
	uint32_t bytes;
};

/*
 * CRC-32 of zlib, eight bytes at a time: table[k][b] is what a byte b does
 * that k more bytes follow.
 */
static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void
make_table(void)
{
	uint32_t crc;

	for (uint32_t byte = 0; byte < 256; byte++) {
		crc = byte;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0);
		table[0][byte] = crc;
	}
	for (int k = 1; k < 8; k++) {
		for (uint32_t byte = 0; byte < 256; byte++) {
			crc = table[k - 1][byte];
			table[k][byte] = (crc >> 8) ^ table[0][crc & 255];
		}
	}
}

static uint32_t
crc32(const uint8_t *buf, size_t bytes)
{
	uint32_t crc;
	uint64_t word;

	(void)pthread_once(&table_once, make_table); /* cannot fail */
	crc = UINT32_MAX;
	for (; bytes >= 8; buf += 8, bytes -= 8) {
		memcpy(&word, buf, sizeof(word));
		word = le64toh(word) ^ crc;
		crc = 0;
		for (int k = 0; k < 8; k++)
			crc ^= table[7 - k][(word >> (8 * k)) & 255];
	}
	for (; bytes > 0; buf++, bytes--)
		crc = (crc >> 8) ^ table[0][(crc ^ *buf) & 255];
	return ~crc;
}

uint64_t
sector_mix(uint64_t a, uint64_t b)
{
	uint64_t z;

	/* The finisher of splitmix64 over a sum of both. */
	z = a * UINT64_C(0x9e3779b97f4a7c15) +
	    b * UINT64_C(0xd1b54a32d192ed03) + UINT64_C(0x632be59bd9b4e019);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void
sector_make(uint8_t *buf, uint32_t bytes, const struct sector_id *id)
{
	struct head head = {
		.lba = htole64(id->lba),
		.generation = htole64(id->generation),
		.writer = htole32(id->writer),
		.bytes = htole32(bytes),
	};
	uint64_t word;
	uint32_t off, crc;

	memcpy(head.magic, magic, sizeof(magic));
	memcpy(buf, &head, sizeof(head));
	word = htole64(sector_mix(id->lba, id->generation));
	for (off = HEAD_BYTES; off < bytes; off += 8)
		memcpy(buf + off, &word, sizeof(word));
	crc = htole32(crc32(buf, bytes - CRC_BYTES));
	memcpy(buf + bytes - CRC_BYTES, &crc, sizeof(crc));
}

static bool
is_zero(const uint8_t *buf, uint32_t bytes)
{
	return buf[0] == 0 && memcmp(buf, buf + 1, bytes - 1) == 0;
}

enum sector_kind
sector_judge(const uint8_t *buf, uint32_t bytes, struct sector_id *ret_id)
{
	struct head head;
	uint32_t crc;

	if (is_zero(buf, bytes))
		return SECTOR_ZERO;
	memcpy(&head, buf, sizeof(head));
	if (memcmp(head.magic, magic, sizeof(magic)) != 0)
		return SECTOR_ALIEN;
	ret_id->lba = le64toh(head.lba);
	ret_id->generation = le64toh(head.generation);
	ret_id->writer = le32toh(head.writer);
	memcpy(&crc, buf + bytes - CRC_BYTES, sizeof(crc));
	if (le32toh(head.bytes) != bytes ||
	    le32toh(crc) != crc32(buf, bytes - CRC_BYTES))
		return SECTOR_TORN;
	return SECTOR_WHOLE;
}

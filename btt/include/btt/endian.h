/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_ENDIAN_H
#define BTT_ENDIAN_H

/*
 * Little-endian integers as they lie on media, wrapped in structures so that a
 * forgotten conversion does not compile.  At -O2 a load is one instruction.
 */
#include <endian.h>
#include <stdint.h>

struct le16 {
	uint16_t raw;
};
struct le32 {
	uint32_t raw;
};
struct le64 {
	uint64_t raw;
};

static inline struct le16
le16_encode(uint16_t host)
{
	return (struct le16){ htole16(host) };
}

static inline uint16_t
le16_decode(struct le16 media)
{
	return le16toh(media.raw);
}

static inline struct le32
le32_encode(uint32_t host)
{
	return (struct le32){ htole32(host) };
}

static inline uint32_t
le32_decode(struct le32 media)
{
	return le32toh(media.raw);
}

static inline struct le64
le64_encode(uint64_t host)
{
	return (struct le64){ htole64(host) };
}

static inline uint64_t
le64_decode(struct le64 media)
{
	return le64toh(media.raw);
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mutate -- changes of an image that a fuzzer would take years to find: numbers
 * of info blocks, log and map, where they are, with values that come near to
 * making sense, and checksums made right again, mostly.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "packed.h"
#include "target.h"

#define PAGE 4096u
/* Where 4096-byte pages of an image can begin. */
#define PAGE_MAX (PACKED_IMAGE_MAX / PAGE)
/* Fields of an info block behind its signature and uuids. */
#define FIELDS_BEGIN 48u
#define FIELDS_END 120u
#define POOL_SIGNATURE "PMEMBLK"

struct mutation {
	uint8_t *image; /* room for PACKED_IMAGE_MAX */
	size_t bytes;
	uint64_t dice;
	size_t info[PAGE_MAX]; /* pages with a signature */
	unsigned ninfo;
};

static uint32_t
dice(struct mutation *m, uint32_t sides)
{
	m->dice = m->dice * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(m->dice >> 33) % sides;
}

static bool
has_signature(const struct mutation *m, size_t off)
{
	return m->bytes - off >= PAGE &&
	    memcmp(m->image + off, info_signature, sizeof(info_signature)) == 0;
}

static void
find_infos(struct mutation *m)
{
	m->ninfo = 0;
	for (size_t off = 0; off + PAGE <= m->bytes; off += PAGE) {
		if (has_signature(m, off))
			m->info[m->ninfo++] = off;
	}
}

static void
repair_checksum(struct mutation *m, size_t off)
{
	struct le64 sum = le64_encode(btt_info_checksum(m->image + off));

	memcpy(m->image + off + offsetof(struct info_media, checksum), &sum,
	    sizeof(sum));
}

static void
repair_checksums(struct mutation *m)
{
	find_infos(m);
	for (unsigned i = 0; i < m->ninfo; i++)
		repair_checksum(m, m->info[i]);
	/* A pool header has the same sum in the same place. */
	if (m->bytes >= PAGE &&
	    memcmp(m->image, POOL_SIGNATURE, sizeof(POOL_SIGNATURE)) == 0)
		repair_checksum(m, 0);
}

/* Numbers at which decisions are made. */
static uint64_t
odd_number(struct mutation *m, const struct btt_info *info)
{
	const uint64_t numbers[] = { 0, 1, 2, 3, 4, info->external_nlba,
		info->internal_nlba, info->nfree, info->external_lbasize,
		info->internal_lbasize, info->dataoff, info->mapoff,
		info->logoff, info->info2off, info->nextoff, m->bytes, PAGE,
		512, 520, 528, 4104, 4160, 65536, UINT32_MAX, INT32_MAX,
		MAP_NBLOCK_MAX, MAP_BLOCK_MASK, BTT_ARENA_MIN_BYTES,
		BTT_ARENA_MAX_BYTES, UINT64_MAX, UINT64_MAX - PAGE + 1,
		(uint64_t)PAGE * dice(m, PAGE_MAX) };
	const int64_t near[] = { 0, 0, 0, 0, 1, -1, PAGE, -(int64_t)PAGE, 64 };
	uint64_t number =
	    numbers[dice(m, sizeof(numbers) / sizeof(numbers[0]))];

	return number + (uint64_t)near[dice(m, sizeof(near) / sizeof(near[0]))];
}

/* The info block that the next change is about, and its numbers. */
static bool
pick_info(struct mutation *m, size_t *ret_off, struct btt_info *ret_info)
{
	if (m->ninfo == 0)
		return false;
	*ret_off = m->info[dice(m, m->ninfo)];
	(void)btt_info_decode(m->image + *ret_off, ret_info);
	return true;
}

/* One field of an info block, and of its copy as often as not. */
static void
change_field(struct mutation *m)
{
	struct btt_info info;
	uint64_t number;
	size_t field, len, off;

	if (!pick_info(m, &off, &info))
		return;
	number = odd_number(m, &info);
	field = FIELDS_BEGIN + 4 * dice(m, (FIELDS_END - FIELDS_BEGIN) / 4);
	len = field >= offsetof(struct info_media, nextoff) && field % 8 == 0
	    ? 8
	    : 4;
	if (field == offsetof(struct info_media, major) && dice(m, 2))
		number = 2;
	memcpy(m->image + off + field, &number, len);
	if (dice(m, 2) && info.info2off <= m->bytes &&
	    off + info.info2off <= m->bytes &&
	    has_signature(m, off + info.info2off))
		memcpy(m->image + off + info.info2off + field, &number, len);
}

/* Bytes of a part of an arena; false if it has none in the image. */
static bool
pick_part(struct mutation *m, size_t info_off, uint64_t part_off,
    uint64_t stride, uint64_t count, uint8_t **ret_at)
{
	uint64_t room;

	if (part_off >= m->bytes || info_off + part_off >= m->bytes)
		return false;
	room = (m->bytes - info_off - part_off) / stride;
	if (count > room)
		count = room;
	if (count == 0)
		return false;
	*ret_at =
	    m->image + info_off + part_off + stride * dice(m, (uint32_t)count);
	return true;
}

static uint32_t
odd_block(struct mutation *m, const struct btt_info *info)
{
	static const uint32_t flags[] = { 0, 0, MAP_NORMAL, MAP_NORMAL,
		MAP_ERROR, MAP_ZERO };
	uint32_t block = info->internal_nlba > 0 && dice(m, 4) > 0
	    ? dice(m, info->internal_nlba)
	    : (uint32_t)odd_number(m, info);

	return (block & MAP_BLOCK_MASK) |
	    flags[dice(m, sizeof(flags) / sizeof(flags[0]))];
}

static void
change_map(struct mutation *m)
{
	struct btt_info info;
	struct le32 word;
	uint8_t *at;
	size_t off;

	if (!pick_info(m, &off, &info) ||
	    !pick_part(m, off, info.mapoff, 4, info.external_nlba, &at))
		return;
	word = le32_encode(odd_block(m, &info));
	memcpy(at, &word, sizeof(word));
}

/* A group of the log: one number, a whole entry, or all of it. */
static void
change_log(struct mutation *m)
{
	struct flog_media group[FLOG_GROUP_SLOTS];
	struct flog_media *entry = &group[dice(m, 8) < 7 ? dice(m, 2) : 2];
	struct btt_info info;
	uint8_t *at, *other;
	size_t off;

	if (!pick_info(m, &off, &info) ||
	    !pick_part(m, off, info.logoff, sizeof(group), info.nfree, &at))
		return;
	memcpy(group, at, sizeof(group));
	switch (dice(m, 8)) {
	case 0:
		entry->lba =
		    le32_encode(dice(m, 4) ? dice(m, info.external_nlba | 1)
					   : (uint32_t)odd_number(m, &info));
		break;
	case 1:
		entry->old_map = le32_encode(odd_block(m, &info));
		break;
	case 2:
		entry->new_map = le32_encode(odd_block(m, &info));
		break;
	case 3:
		entry->seq = le32_encode(dice(m, 5));
		break;
	case 4: /* a write that makes sense */
		*entry = (struct flog_media){
			.lba = le32_encode(dice(m, info.external_nlba | 1)),
			.old_map = le32_encode(odd_block(m, &info)),
			.new_map = group[0].old_map,
			.seq = le32_encode(1 + dice(m, 3)),
		};
		break;
	case 5:
		memset(entry, 0, sizeof(*entry));
		break;
	case 6: /* to slots (0,2), or back */
		group[3] = group[1];
		group[1] = group[2];
		group[2] = group[3];
		memset(&group[3], 0, sizeof(group[3]));
		break;
	case 7:
		if (pick_part(
			m, off, info.logoff, sizeof(group), info.nfree, &other))
			memcpy(group, other, sizeof(group));
		break;
	}
	memcpy(at, group, sizeof(group));
}

/* A page of the image becomes like another one. */
static void
copy_page(struct mutation *m)
{
	uint32_t n = (uint32_t)(m->bytes / PAGE);

	if (n > 1)
		memmove(m->image + (size_t)PAGE * dice(m, n),
		    m->image + (size_t)PAGE * dice(m, n), PAGE);
}

static void
change_size(struct mutation *m)
{
	size_t bytes = dice(m, 4) ? (size_t)PAGE * (1 + dice(m, PAGE_MAX))
				  : 1 + dice(m, PACKED_IMAGE_MAX);

	if (bytes > m->bytes)
		memset(m->image + m->bytes, 0, bytes - m->bytes);
	m->bytes = bytes;
}

/* Anything at all, in a short stretch or in a page's beginning. */
static void
change_bytes(struct mutation *m)
{
	size_t len = 1 + dice(m, 128);
	size_t off = dice(m, (uint32_t)m->bytes);

	if (dice(m, 2))
		off -= off % PAGE;
	if (len > m->bytes - off)
		len = m->bytes - off;
	(void)LLVMFuzzerMutate(m->image + off, len, len);
}

/* Another BTT in the same image, with an initial log or the one there was. */
static void
make_geometry(struct mutation *m)
{
	static const uint32_t sizes[] = { 512, 520, 1024, 4096, 4160, 8192 };
	static const uint32_t nfrees[] = { 1, 2, 3, 8, 64, 256 };
	struct btt_info info;
	size_t off;

	if (!pick_info(m, &off, &info))
		return;
	if (btt_geometry(m->bytes - off,
		sizes[dice(m, sizeof(sizes) / sizeof(sizes[0]))],
		nfrees[dice(m, sizeof(nfrees) / sizeof(nfrees[0]))],
		dice(m, 2) ? 64 : 256, &info) < 0)
		return;
	btt_info_encode(&info, m->image + off);
	btt_info_encode(&info, m->image + off + info.info2off);
	for (uint32_t i = 0; dice(m, 8) > 0 && i < info.nfree; i++) {
		struct flog_media *group =
		    (struct flog_media *)(void *)(m->image + off + info.logoff +
			i * FLOG_GROUP_BYTES);
		struct le32 block = le32_encode(info.external_nlba + i);

		memset(group, 0, FLOG_GROUP_BYTES);
		*group = (struct flog_media){
			.lba = le32_encode(i % info.external_nlba),
			.old_map = block,
			.new_map = block,
			.seq = le32_encode(1),
		};
	}
}

static void
mutate_once(struct mutation *m)
{
	static void (*const changes[])(struct mutation *) = { change_field,
		change_field, change_map, change_map, change_log, change_log,
		change_log, change_bytes, change_bytes, copy_page, change_size,
		make_geometry };

	find_infos(m);
	changes[dice(m, sizeof(changes) / sizeof(changes[0]))](m);
}

/* data has max_size bytes of room, size of them filled. */
size_t
LLVMFuzzerCustomMutator(
    uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	static uint8_t room[PACKED_IMAGE_MAX];
	struct mutation m = { .image = room, .dice = seed };
	uint8_t *image;
	size_t made;

	if (dice(&m, 8) == 0 ||
	    (image = packed_open(data, size, &m.bytes)) == NULL)
		return LLVMFuzzerMutate(data, size, max_size);
	memcpy(room, image, m.bytes);
	free(image);
	for (uint32_t n = 1 + dice(&m, 4); n > 0; n--)
		mutate_once(&m);
	if (dice(&m, 16) > 0)
		repair_checksums(&m);
	made = packed_make(m.image, m.bytes, data, max_size);
	return made > 0 ? made : LLVMFuzzerMutate(data, size, max_size);
}

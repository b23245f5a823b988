/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * label -- the label area of an NVDIMM: two index blocks, of which one is the
 * newer, then slots.  The index in use says which slots are.
 *
 *	0                index block            mysize, a multiple of 256
 *	mysize           index block            the same
 *	labeloff         slots                  nslot times 128 or 256 bytes
 *
 * All of it is copied to memory once and judged there.
 */
#include <btt/label.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "probe.h"

/* Followed by a bit a slot, set while the slot is free. */
struct index_media {
	uint8_t signature[16];
	uint8_t flags[3];
	uint8_t label_shift; /* of 128 bytes; not in version 1.1 */
	struct le32 seq;
	struct le64 my_off;
	struct le64 my_size;
	struct le64 other_off;
	struct le64 label_off;
	struct le32 nslot;
	struct le16 major;
	struct le16 minor;
	struct le64 checksum;
};
static_assert(sizeof(struct index_media) == 72, "media format");
static_assert(offsetof(struct index_media, label_off) == 48, "media format");

#define INDEX_ALIGN 256u

/* A label of version 1.1 is the first 128 bytes of one of version 1.2. */
struct label_media {
	uint8_t uuid[16];
	uint8_t name[64];
	struct le32 flags;
	struct le16 nlabel;
	struct le16 position;
	struct le64 cookie;
	struct le64 lbasize;
	struct le64 off;
	struct le64 bytes;
	struct le32 slot;
	uint8_t align[4];
	uint8_t type[16];
	uint8_t claim[16];
	uint8_t reserved[88];
	struct le64 checksum;
};
#define LABEL_V11_BYTES 128u
#define LABEL_V12_BYTES 256u
static_assert(sizeof(struct label_media) == LABEL_V12_BYTES, "media format");
static_assert(
    offsetof(struct label_media, type) == LABEL_V11_BYTES, "media format");
static_assert(sizeof(((struct label_media *)0)->name) < BTT_LABEL_NAME_BYTES,
    "and a zero byte");

#define LABEL_FLAG_LOCAL 2u /* of block mode, which is no more */

/* GUIDs: the first three groups of the text are little-endian numbers. */
static const uint8_t type_persistent[16] = { 0x79, 0xd3, 0xf0, 0x66, 0xf3, 0xb4,
	0x74, 0x40, 0xac, 0x43, 0x0d, 0x33, 0x18, 0xb7, 0x8c, 0xdb };
static const struct {
	uint8_t guid[16];
	enum btt_claim claim;
} claims[] = {
	{ { 0 }, BTT_CLAIM_NONE },
	{ { 0xa2, 0x63, 0xed, 0x8a, 0xa2, 0x29, 0x66, 0x4c, 0x8b, 0x12, 0xf0,
	      0x5d, 0x15, 0xd3, 0x92, 0x2a },
	    BTT_CLAIM_BTT },
	{ { 0xfc, 0x3b, 0x63, 0x18, 0x35, 0x17, 0x17, 0x42, 0x8a, 0xc9, 0x17,
	      0x23, 0x92, 0x82, 0xd3, 0xf8 },
	    BTT_CLAIM_BTT2 },
	{ { 0xfb, 0x00, 0x64, 0x26, 0x9f, 0xba, 0x77, 0x46, 0xbc, 0xb0, 0x96,
	      0x8f, 0x11, 0xd0, 0xd2, 0x25 },
	    BTT_CLAIM_PFN },
	{ { 0x9c, 0x6d, 0xa8, 0x97, 0xdd, 0x3c, 0xda, 0x4e, 0x98, 0x6f, 0x50,
	      0x68, 0xb4, 0xf8, 0x00, 0x88 },
	    BTT_CLAIM_DAX },
};

/* A label area in memory. */
struct area {
	uint64_t off; /* on the medium */
	uint64_t bytes;
	const uint8_t *data;
};

/* The index block at my_off, as far as it can be believed. */
struct index {
	uint64_t my_size;
	uint64_t label_off;
	uint32_t nslot;
	uint32_t label_bytes;
	uint32_t seq;
	const uint8_t *free_bits;
};

static uint32_t
label_bytes_of(const struct index_media *media)
{
	uint16_t minor = le16_decode(media->minor);

	if (le16_decode(media->major) != 1)
		return 0;
	if (minor == 1)
		return LABEL_V11_BYTES;
	return minor == 2 && media->label_shift == 1 ? LABEL_V12_BYTES : 0;
}

static uint64_t
bitmap_bytes(uint32_t nslot)
{
	return ((uint64_t)nslot + 7) / 8;
}

/* NULL, or what is wrong with the numbers of the index block at my_off. */
static const char *
examine_numbers(const struct area *area, const struct index_media *media,
    uint64_t my_off, struct index *ret_index)
{
	uint64_t my_size = le64_decode(media->my_size);
	uint64_t label_off = le64_decode(media->label_off);
	uint32_t nslot = le32_decode(media->nslot);
	uint32_t label_bytes = label_bytes_of(media);
	uint32_t seq = le32_decode(media->seq);

	if (label_bytes == 0)
		return "labels of an unknown version";
	if (my_size == 0 || my_size % INDEX_ALIGN != 0 ||
	    my_size > area->bytes / 2)
		return "a size that cannot be";
	if (le64_decode(media->my_off) != my_off ||
	    le64_decode(media->other_off) != (my_off == 0 ? my_size : 0) ||
	    (my_off != 0 && my_off != my_size))
		return "offsets that cannot be";
	if (seq == 0 || seq > 3)
		return "a sequence number that cannot be";
	if (label_off < 2 * my_size || label_off > area->bytes || nslot == 0 ||
	    nslot > (area->bytes - label_off) / label_bytes ||
	    bitmap_bytes(nslot) > my_size - sizeof(*media))
		return "more slots than there is room for";
	*ret_index = (struct index){
		.my_size = my_size,
		.label_off = label_off,
		.nslot = nslot,
		.label_bytes = label_bytes,
		.seq = seq,
		.free_bits = area->data + my_off + sizeof(*media),
	};
	return NULL;
}

/* The same of the whole block; the caller knows that it has a header. */
static const char *
examine_index(const struct area *area, uint64_t my_off,
    struct btt_label_index *ret_info, struct index *ret_index)
{
	struct index_media media;
	const char *problem;
	uint64_t sum;

	memcpy(&media, area->data + my_off, sizeof(media));
	if (memcmp(media.signature, label_signature, sizeof(media.signature)) !=
	    0)
		return "no index block";
	ret_info->seq = le32_decode(media.seq);
	ret_info->nslot = le32_decode(media.nslot);
	ret_info->major = le16_decode(media.major);
	ret_info->minor = le16_decode(media.minor);
	ret_info->label_bytes = label_bytes_of(&media);
	problem = examine_numbers(area, &media, my_off, ret_index);
	if (problem != NULL)
		return problem;
	sum = layout_checksum(area->data + my_off, (size_t)ret_index->my_size,
	    offsetof(struct index_media, checksum));
	return sum == le64_decode(media.checksum) ? NULL : "a wrong checksum";
}

/*
 * The second index block starts where the first one ends, and if that does not
 * tell, at one of the first multiples of INDEX_ALIGN: the one at which it says
 * that it is.
 */
static void
examine_second(const struct area *area, uint64_t first_size,
    struct btt_label_index *ret_info, struct index *ret_index)
{
	uint64_t my_off = first_size > 0 ? first_size : INDEX_ALIGN;

	do {
		ret_info->problem =
		    examine_index(area, my_off, ret_info, ret_index);
		ret_info->off = area->off + my_off;
		my_off += INDEX_ALIGN;
	} while (ret_info->problem != NULL && first_size == 0 &&
	    my_off < BTT_INFO_BYTES);
	if (ret_info->problem != NULL && first_size == 0)
		ret_info->off = 0;
}

/* Numbers run 1, 2, 3, 1 ...; of two equal ones Linux takes the second. */
static unsigned
newer_index(const struct btt_labels *labels)
{
	if (labels->index[1].problem != NULL)
		return 0;
	if (labels->index[0].problem != NULL)
		return 1;
	return labels->index[1].seq % 3 + 1 == labels->index[0].seq ? 0 : 1;
}

static enum btt_claim
claim_of(const uint8_t guid[16])
{
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		if (memcmp(claims[i].guid, guid, sizeof(claims[i].guid)) == 0)
			return claims[i].claim;
	}
	return BTT_CLAIM_UNKNOWN;
}

/* Terminals and JSON get it as it is: nothing in it may steer them. */
static void
copy_name(const uint8_t name[64], char ret_name[BTT_LABEL_NAME_BYTES])
{
	size_t i;

	for (i = 0; i < 64 && name[i] != 0; i++)
		ret_name[i] =
		    name[i] >= 0x20 && name[i] < 0x7f ? (char)name[i] : '?';
	ret_name[i] = '\0';
}

/* Is its range one that a namespace can have? */
static bool
has_range(const struct btt_namespace *ns, uint64_t room)
{
	return ns->bytes > 0 && ns->off % BTT_ALIGN == 0 &&
	    ns->bytes % BTT_ALIGN == 0 && ns->off <= room &&
	    ns->bytes <= room - ns->off;
}

static void
set_problem(struct btt_namespace *ns, int r, const char *problem)
{
	/* The first one is what is told. */
	if (ns->r == 0) {
		ns->r = r;
		ns->problem = problem;
	}
}

static void
examine_namespace(struct btt_namespace *ns, const struct label_media *media,
    uint32_t label_bytes, uint64_t room)
{
	static const uint8_t null[BTT_UUID_BYTES];

	if (!has_range(ns, room))
		set_problem(ns, -EUCLEAN,
		    "its label names a range that no namespace can have");
	if (memcmp(ns->uuid, null, sizeof(null)) == 0)
		set_problem(ns, -EUCLEAN, "its label has no uuid");
	if (ns->nlabel == 0 || ns->position >= ns->nlabel)
		set_problem(ns, -EUCLEAN,
		    "its label names a part that it does not have");
	if (ns->nlabel > 1)
		set_problem(ns, -ENOTSUP,
		    "it is interleaved over several NVDIMMs, of which this is "
		    "one");
	if ((ns->flags & LABEL_FLAG_LOCAL) != 0 ||
	    (label_bytes == LABEL_V12_BYTES &&
		memcmp(media->type, type_persistent, sizeof(media->type)) != 0))
		set_problem(
		    ns, -ENOTSUP, "it is not of persistent memory (its type)");
}

/* The label in a slot.  Returns false if it is none. */
static bool
decode_label(const struct area *area, const struct index *index, uint32_t slot,
    struct btt_namespace *ret_ns)
{
	const uint8_t *bytes =
	    area->data + index->label_off + (uint64_t)slot * index->label_bytes;
	struct label_media media = { 0 };
	struct btt_namespace *ns = ret_ns;

	memcpy(&media, bytes, index->label_bytes);
	if (le32_decode(media.slot) != slot)
		return false;
	if (index->label_bytes == LABEL_V12_BYTES &&
	    layout_checksum(bytes, LABEL_V12_BYTES,
		offsetof(struct label_media, checksum)) !=
		le64_decode(media.checksum))
		return false;
	memset(ns, 0, sizeof(*ns));
	ns->slot = slot;
	ns->off = le64_decode(media.off);
	ns->bytes = le64_decode(media.bytes);
	memcpy(ns->uuid, media.uuid, sizeof(ns->uuid));
	copy_name(media.name, ns->name);
	ns->flags = le32_decode(media.flags);
	ns->nlabel = le16_decode(media.nlabel);
	ns->position = le16_decode(media.position);
	ns->cookie = le64_decode(media.cookie);
	if (le64_decode(media.lbasize) <= UINT32_MAX)
		ns->lbasize = (uint32_t)le64_decode(media.lbasize);
	ns->claim = claim_of(media.claim);
	/* What is before the label area is the namespaces'. */
	examine_namespace(ns, &media, index->label_bytes, area->off);
	return true;
}

static bool
is_free(const struct index *index, uint32_t slot)
{
	return (index->free_bits[slot / 8] >> slot % 8 & 1) != 0;
}

/* All labels in use.  0 or -ENOMEM. */
static int
decode_labels(const struct area *area, const struct index *index,
    struct btt_labels *labels)
{
	for (uint32_t slot = 0; slot < index->nslot; slot++)
		labels->nslot += is_free(index, slot) ? 0 : 1;
	if (labels->nslot == 0)
		return 0;
	labels->ns = calloc(labels->nslot, sizeof(*labels->ns));
	if (labels->ns == NULL)
		return -ENOMEM;
	for (uint32_t slot = 0; slot < index->nslot; slot++) {
		if (is_free(index, slot))
			continue;
		if (decode_label(area, index, slot, &labels->ns[labels->n]))
			labels->n++;
		else
			labels->nbad++;
	}
	return 0;
}

static int
compare_ranges(const void *a, const void *b)
{
	const struct btt_namespace *x = a;
	const struct btt_namespace *y = b;

	if ((x->r == -EUCLEAN) != (y->r == -EUCLEAN))
		return x->r == -EUCLEAN ? 1 : -1;
	if (x->off != y->off)
		return x->off < y->off ? -1 : 1;
	return (x->slot > y->slot) - (x->slot < y->slot);
}

static int
compare_uuids(const void *a, const void *b)
{
	const struct btt_namespace *const *x = a;
	const struct btt_namespace *const *y = b;

	return memcmp((*x)->uuid, (*y)->uuid, BTT_UUID_BYTES);
}

/* Who writes to one of two that overlap, writes to the other. */
static void
find_overlaps(struct btt_labels *labels)
{
	static const char problem[] = "it overlaps another one";
	struct btt_namespace *last = NULL; /* that reaches farthest */

	for (uint32_t i = 0; i < labels->n; i++) {
		struct btt_namespace *ns = &labels->ns[i];

		if (ns->r == -EUCLEAN)
			return; /* they come last, and have no range */
		if (last != NULL && ns->off < last->off + last->bytes) {
			set_problem(last, -EUCLEAN, problem);
			set_problem(ns, -EUCLEAN, problem);
		}
		if (last == NULL ||
		    ns->off + ns->bytes > last->off + last->bytes)
			last = ns;
	}
}

/* Nobody could say which of two is meant.  0 or -ENOMEM. */
static int
find_twins(struct btt_labels *labels)
{
	struct btt_namespace **by_uuid;

	if (labels->n < 2)
		return 0;
	if ((by_uuid = calloc(labels->n, sizeof(*by_uuid))) == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < labels->n; i++)
		by_uuid[i] = &labels->ns[i];
	qsort(by_uuid, labels->n, sizeof(*by_uuid), compare_uuids);
	for (uint32_t i = 1; i < labels->n; i++) {
		static const char problem[] = "another one has the same uuid";

		if (compare_uuids(&by_uuid[i - 1], &by_uuid[i]) != 0)
			continue;
		set_problem(by_uuid[i - 1], -EUCLEAN, problem);
		set_problem(by_uuid[i], -EUCLEAN, problem);
	}
	free(by_uuid);
	return 0;
}

/* -ENOENT without a valid index. */
static int
decode_area(const struct area *area, struct btt_labels *ret_labels)
{
	struct btt_labels labels = { .off = area->off, .bytes = area->bytes };
	struct index index[2] = { { 0 } };
	int r;

	labels.index[0].off = area->off;
	labels.index[0].problem =
	    examine_index(area, 0, &labels.index[0], &index[0]);
	examine_second(area,
	    labels.index[0].problem == NULL ? index[0].my_size : 0,
	    &labels.index[1], &index[1]);
	if (labels.index[0].problem != NULL && labels.index[1].problem != NULL)
		return -ENOENT;
	labels.current = newer_index(&labels);
	if ((r = decode_labels(area, &index[labels.current], &labels)) < 0)
		return r;
	if (labels.n > 0) {
		qsort(labels.ns, labels.n, sizeof(*labels.ns), compare_ranges);
		for (uint32_t i = 0; i < labels.n; i++)
			labels.ns[i].number = i;
		find_overlaps(&labels);
		if ((r = find_twins(&labels)) < 0) {
			btt_labels_fini(&labels);
			return r;
		}
	}
	*ret_labels = labels;
	return 0;
}

struct area_job {
	const struct media *media;
	const struct area *area;
	uint8_t *data;
};

static int
copy_area(void *arg)
{
	struct area_job *job = arg;

	memcpy(job->data, media_at(job->media, job->area->off),
	    (size_t)job->area->bytes);
	return 0;
}

/* Is there an index block in the first page of a label area at off? */
static bool
may_be_area(const struct media *media, uint64_t off)
{
	uint8_t page[BTT_INFO_BYTES];

	if (probe_read_block(media, off, page) < 0)
		return false;
	for (size_t at = 0; at < sizeof(page); at += INDEX_ALIGN) {
		if (memcmp(page + at, label_signature,
			sizeof(label_signature)) == 0)
			return true;
	}
	return false;
}

static int
read_area(const struct media *media, uint64_t bytes, struct btt_labels *ret)
{
	struct area area = { .off = media->size - bytes, .bytes = bytes };
	struct area_job job = { .media = media, .area = &area };
	int r;

	if (!may_be_area(media, area.off))
		return -ENOENT;
	if ((job.data = malloc((size_t)bytes)) == NULL)
		return -ENOMEM;
	area.data = job.data;
	/* What cannot be read is no label area. */
	r = media_try(copy_area, &job) < 0 ? -ENOENT : decode_area(&area, ret);
	free(job.data);
	return r;
}

int
btt_labels_read(const struct media *media, struct btt_labels *ret_labels)
{
	int r = -ENOENT;

	/* From the end: labels could imitate an area, but no area a label. */
	for (uint64_t bytes = BTT_LABEL_AREA_MIN;
	     r == -ENOENT && bytes <= BTT_LABEL_AREA_MAX && bytes < media->size;
	     bytes += BTT_ALIGN)
		r = read_area(media, bytes, ret_labels);
	return r;
}

void
btt_labels_fini(struct btt_labels *labels)
{
	free(labels->ns);
	memset(labels, 0, sizeof(*labels));
}

static bool
is_number(const char *text, uint32_t *ret_number)
{
	char *end;
	unsigned long number;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || number > UINT32_MAX)
		return false;
	*ret_number = (uint32_t)number;
	return true;
}

int
btt_labels_select(const struct btt_labels *labels, const char *text,
    const struct btt_namespace **ret_ns, struct btt_error *error)
{
	uint8_t uuid[BTT_UUID_BYTES];
	bool is_uuid = btt_uuid_parse(text, uuid) == 0;
	unsigned nfound = 0;
	uint32_t number;

	/* Names come first: they may look like anything. */
	for (uint32_t i = 0; i < labels->n; i++) {
		if (labels->ns[i].name[0] != '\0' &&
		    strcmp(labels->ns[i].name, text) == 0) {
			*ret_ns = &labels->ns[i];
			nfound++;
		}
	}
	for (uint32_t i = 0; i < labels->n && nfound == 0 && is_uuid; i++) {
		if (memcmp(labels->ns[i].uuid, uuid, sizeof(uuid)) == 0) {
			*ret_ns = &labels->ns[i];
			return 0;
		}
	}
	if (nfound > 1)
		return btt_error_set(error, -ENOTUNIQ,
		    "%u namespaces have the name '%s'; choose by uuid or "
		    "number",
		    nfound, text);
	if (nfound == 0 && is_number(text, &number) && number < labels->n) {
		*ret_ns = &labels->ns[number];
		nfound = 1;
	}
	if (nfound == 0)
		return btt_error_set(error, -ENOENT,
		    "no namespace has the name, uuid or number '%s'", text);
	return 0;
}

void
btt_namespace_format(
    const struct btt_namespace *ns, char ret_text[BTT_NAMESPACE_TEXT_BYTES])
{
	char uuid[BTT_UUID_TEXT_BYTES];

	btt_uuid_format(ns->uuid, uuid);
	if (ns->name[0] != '\0')
		(void)snprintf(ret_text, BTT_NAMESPACE_TEXT_BYTES, "%u '%s'",
		    ns->number, ns->name);
	else
		(void)snprintf(ret_text, BTT_NAMESPACE_TEXT_BYTES, "%u %s",
		    ns->number, uuid);
}

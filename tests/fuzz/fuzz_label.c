/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_label -- the label area of an NVDIMM, behind a namespace with a BTT.
 *
 *	1 byte  bit 0: make the sums of both index blocks right; bit 1: those of
 *	        all labels; the rest: what fails at the first try
 *	then the beginning of the label area, the rest of it being zero
 *
 * Claims: labels tell of namespaces, or there is no label area; namespaces that
 * can be served lie before the area and do not overlap; every label in use is
 * counted once; each namespace is found by its number; a BTT that is found lies
 * within its namespace.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <btt/label.h>

#include "faults.h"
#include "medium.h"
#include "support/hostile.h"
#include "target.h"

#define ROOM (13 * BTT_ALIGN) /* before the area */
#define AREA_BYTES BTT_LABEL_AREA_MIN
#define SIZE (ROOM + AREA_BYTES)
#define INDEX_SUM_OFF 64u
#define LABEL_BYTES 256u
#define LABEL_SUM_OFF 248u

static uint64_t
get(const uint8_t *from, unsigned n)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < n; i++)
		value |= (uint64_t)from[i] << 8 * i;
	return value;
}

/* Fletcher-64 of btt-format.md 1.3, with the sum counted as zero. */
static void
seal(uint8_t *bytes, size_t len, size_t sum_off)
{
	uint32_t low = 0;
	uint32_t high = 0;

	memset(bytes + sum_off, 0, 8);
	for (size_t i = 0; i < len; i += 4) {
		low += (uint32_t)get(bytes + i, 4);
		high += low;
	}
	for (unsigned i = 0; i < 4; i++) {
		bytes[sum_off + i] = (uint8_t)(low >> 8 * i);
		bytes[sum_off + 4 + i] = (uint8_t)(high >> 8 * i);
	}
}

static void
seal_area(uint8_t *area, uint8_t what)
{
	uint64_t index_bytes = get(area + 32, 8);
	uint64_t off = get(area + 48, 8);
	uint64_t nslot = get(area + 56, 4);

	if (index_bytes < 72 || index_bytes > 4096 || index_bytes % 4 != 0)
		return;
	if (what & 2) {
		for (; nslot > 0 && off <= 8192; nslot--, off += LABEL_BYTES)
			seal(area + off, LABEL_BYTES, LABEL_SUM_OFF);
	}
	if (what & 1) {
		seal(area, index_bytes, INDEX_SUM_OFF);
		seal(area + index_bytes, index_bytes, INDEX_SUM_OFF);
	}
}

static void
expect_namespace(const struct btt_labels *labels, uint32_t i)
{
	const struct btt_namespace *ns = &labels->ns[i];
	const struct btt_namespace *found;
	char text[16];

	FUZZ_CHECK(ns->number == i);
	FUZZ_CHECK(ns->slot < labels->index[labels->current].nslot);
	FUZZ_CHECK((ns->r == 0) == (ns->problem == NULL));
	FUZZ_CHECK(ns->r == 0 || ns->r == -ENOTSUP || ns->r == -EUCLEAN);
	for (size_t k = 0; ns->name[k] != '\0'; k++)
		FUZZ_CHECK(ns->name[k] >= 0x20 && ns->name[k] < 0x7f);
	if (ns->r != -EUCLEAN) {
		FUZZ_CHECK(ns->bytes > 0 && ns->bytes <= ROOM);
		FUZZ_CHECK(ns->off <= ROOM - ns->bytes);
		FUZZ_CHECK(ns->off % BTT_ALIGN == 0);
	}
	for (uint32_t k = 0; k < i && ns->r == 0; k++) {
		const struct btt_namespace *other = &labels->ns[k];

		FUZZ_CHECK(other->r < 0 ||
		    other->off + other->bytes <= ns->off ||
		    ns->off + ns->bytes <= other->off);
	}
	/* By its number, unless that is somebody's name. */
	snprintf(text, sizeof(text), "%u", i);
	if (btt_labels_select(labels, text, &found, NULL) == 0)
		FUZZ_CHECK(found == ns || strcmp(found->name, text) == 0);
	if (btt_labels_select(labels, ns->name, &found, NULL) == 0)
		FUZZ_CHECK(
		    ns->name[0] == '\0' || strcmp(found->name, ns->name) == 0);
}

static void
look_at_labels(const struct media *media)
{
	struct btt_labels labels;
	int r = btt_labels_read(media, &labels);

	if (r < 0) {
		FUZZ_CHECK(r == -ENOENT);
		return;
	}
	FUZZ_CHECK(labels.off < media->size);
	FUZZ_CHECK(labels.bytes == media->size - labels.off);
	FUZZ_CHECK(labels.index[labels.current].problem == NULL);
	FUZZ_CHECK(labels.n + labels.nbad == labels.nslot);
	for (uint32_t i = 0; i < labels.n; i++)
		expect_namespace(&labels, i);
	btt_labels_fini(&labels);
}

static void
look_with_fault(const struct media *media, unsigned dice)
{
	struct btt_labels labels;
	int r;

	fault_arm(dice % 2 ? FAULT_MEMORY : FAULT_MEDIA, 1 + dice / 2 % 8);
	r = btt_labels_read(media, &labels);
	(void)fault_disarm();
	/* What cannot be read is no label area. */
	if (r == 0)
		btt_labels_fini(&labels);
	else
		FUZZ_CHECK(r == -ENOENT || fault_explains(r));
}

static void
look_for_btt(const struct media *media)
{
	struct btt_error error = { "" };
	struct btt_probe probe;
	int r = btt_probe(media, &probe, &error);

	if (r < 0) {
		FUZZ_CHECK(error.text[0] != '\0');
		return;
	}
	FUZZ_CHECK(probe.off <= media->size);
	FUZZ_CHECK(probe.bytes <= media->size - probe.off);
	FUZZ_CHECK(probe.label == NULL ||
	    (probe.off == probe.label->off && probe.label->r == 0));
	for (uint32_t i = 0; i < probe.narena; i++) {
		const struct btt_arena_place *place = &probe.arena[i];

		FUZZ_CHECK(place->off >= probe.off);
		FUZZ_CHECK(place->off + place->info.info2off + 4096 <=
		    probe.off + probe.bytes);
	}
	btt_probe_fini(&probe);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hostile_case btt = { .base = HOSTILE_ONE,
		.changes = "" };
	struct hostile_image image = {
		.arena_bytes = 7 * BTT_ALIGN, .sector_bytes = 512, .nfree = 4
	};
	struct medium *medium;
	void *bytes = NULL;

	if (size == 0)
		return 0;
	FUZZ_CHECK(posix_memalign(&bytes, BTT_ALIGN, SIZE) == 0);
	memset(bytes, 0, SIZE);
	image.bytes = bytes;
	/* One arena begins 4096 bytes in, and ends before the area. */
	hostile_make(&btt, &image);
	memcpy(image.bytes + ROOM, data + 1,
	    size - 1 < AREA_BYTES ? size - 1 : AREA_BYTES);
	seal_area(image.bytes + ROOM, data[0]);
	medium = medium_new(image.bytes, SIZE, MEDIA_CACHE_LINE);
	medium->forbidden = true;
	look_with_fault(&medium->media, data[0] / 4);
	look_at_labels(&medium->media);
	look_for_btt(&medium->media);
	media_close(&medium->media);
	return 0;
}

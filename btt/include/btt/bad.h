/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_BAD_H
#define BTT_BAD_H

/*
 * bad -- bad ranges of the medium of an open device: what they mean to its
 * sectors, planting them, clearing them.  The list itself is the medium's
 * (media.h).
 */
#include <stdbool.h>
#include <stdint.h>

#include <btt/btt.h>
#include <btt/error.h>

/* Parts of a medium with a BTT. */
enum btt_area {
	BTT_AREA_DATA,   /* blocks */
	BTT_AREA_MAP,    /* its entries */
	BTT_AREA_LOG,    /* groups of entries, one a pair */
	BTT_AREA_INFO,   /* info blocks */
	BTT_AREA_UNUSED, /* within an arena, and nothing is there */
	BTT_AREA_OUTSIDE /* not of this BTT */
};
#define BTT_NAREA 6u

/* "data", "map", "log", "info", "unused", "outside". */
const char *btt_area_name(enum btt_area area);

struct btt_place {
	enum btt_area area;
	uint32_t arena;
	/*
	 * DATA: a block of the arena; MAP: a sector of the device; LOG: a pair
	 * of the arena; INFO: 0 the primary, 1 the backup.
	 */
	uint64_t item;
	uint64_t off, len; /* of that item, on the medium */
	uint64_t end;      /* of the area, on the medium */
};

/* What is at off on the medium, which is inside it?  Any thread. */
void btt_find_place(
    const struct btt *btt, uint64_t off, struct btt_place *ret_place);

#endif

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

/*
 * Plant bad ranges, or take planted ones back, where count items from first on
 * are at the moment: the blocks of sectors (DATA), the map entries of sectors
 * (MAP), pairs of the log, counted through all arenas (LOG), info blocks, two an
 * arena, its primary first (INFO).  What shares a unit of 512 bytes with them is
 * bad as well.  Waits for map locks, so for the medium.
 *
 * What was planted is lost as if it were real: a sector that is read meanwhile
 * is marked in its map entry, and stays unreadable until it is written or
 * cleared, also if the range is taken back.
 *
 * Errors: -ERANGE; -EINVAL for another area; -EIO where the map cannot tell;
 * -ENOSPC if the list is full, with a part done.
 */
enum btt_inject {
	BTT_INJECT,
	BTT_INJECT_LATENT, /* nobody knows until a scrub finds it */
	BTT_UNINJECT,
};
int btt_inject_bad(struct btt *btt, enum btt_area area, uint64_t first,
    uint64_t count, enum btt_inject how) BTT_MUST_CHECK;

/*
 * Of those who clear, or take back what was planted, there is one at a time for
 * a device: what is lost must stay so until it has been rebuilt.  Called by
 * btt_clear_bad, and by btt_inject_bad with BTT_UNINJECT; for others who take
 * back (media_uninject_bad).  Returns 0 or -EBUSY.
 */
int btt_begin_clearing(struct btt *btt) BTT_MUST_CHECK;
void btt_end_clearing(struct btt *btt);

struct btt_clear_options {
	uint64_t first, count; /* sectors to be cleared */
	/* Asked now and then whether to go on; may be NULL. */
	bool (*is_unwanted)(void *arg);
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

struct btt_clear_result {
	uint64_t nlost;      /* sectors that held data, and are zeroes now */
	uint64_t first_lost; /* the lowest of them */
	uint64_t nsector;    /* moved off bad blocks, those included */
	uint64_t nblock;     /* that nobody owned, and are good again */
	uint64_t nmap;       /* units of maps, rebuilt */
	uint64_t nlog;       /* units of the log, rebuilt */
	uint64_t ninfo;      /* info blocks, restored from the other copy */
	uint64_t nunused;    /* units between the parts of an arena */
	uint64_t nleft;      /* units of 512 bytes that are bad still */
};

/*
 * Make good again what is known to be bad, on a device that is in use:
 *
 *  - a sector of the range that is marked bad, or whose block is, becomes
 *    zeroes by a write like any other: wholly old (unreadable) or wholly zero
 *    over a crash, and not at all if somebody writes it first;
 *  - free blocks are zeroed by the holder of their lane (LN-9);
 *  - a unit of the log is written anew from what is in memory, with the lanes
 *    of its pairs held;
 *  - an info block is copied from the other one of its arena, if that is sound.
 *
 *  - of a unit of a map it is found out which blocks nobody else has; they get
 *    its entries, marked bad, so its 128 sectors are lost, and cleared.
 *
 * While a unit of a log or a map is written the arena has its error flag: after
 * a crash then it opens to be read only, and what it needs is a repair.
 *
 * What stays are units that reach into a neighbour's block (strides of 576 and
 * 4160 bytes), two bad info blocks of one arena, what is outside of the arenas,
 * and units of a map where owners contradict each other or writers move blocks
 * so fast that no look at them is enough.
 * All is durable on return.
 *
 * Errors: -EROFS and others as btt_write; -ECANCELED; -EBUSY if somebody else
 * clears this device; ret_result is set in any case.
 */
int btt_clear_bad(struct btt *btt, struct btt_worker *worker,
    const struct btt_clear_options *options,
    struct btt_clear_result *ret_result) BTT_MUST_CHECK;

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_ENGINE_H
#define BTT_ENGINE_H

/*
 * engine -- what an open device and a worker are made of.  Private to btt/.
 */
#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include <btt/btt.h>
#include <lanes/lane.h>

#include "arena.h"
#include "batch.h"
#include "rtt.h"

struct group_state;

/* Counters of one worker on all devices would not tell whose they are. */
struct lane_stats {
	/* [a] relaxed, written by the lane's holder, read by anyone. */
	_Alignas(LANES_CACHE_LINE) _Atomic uint64_t nfence;
	_Atomic uint64_t nbatch;
	_Atomic uint64_t nsector_written;
	_Atomic uint64_t nreader_wait;
	_Atomic uint64_t reader_wait_ns;
};

/* Keys: I immutable after open, a atomic. */
struct btt {
	struct media *media;               /* [I] owned */
	struct btt_worker_pool *pool;      /* [I] */
	struct btt_geometry_info geometry; /* [I] */
	unsigned sector_shift;         /* [I] 0: sectors are no power of two */
	struct lane_set *lanes;        /* [I] */
	struct lane_stats *lane_stats; /* [I] one a lane */
	uint32_t narena;               /* [I] */
	struct arena *arena;           /* [I] */
	/* [I] sectors that were never written read as zeroes (pools, 2.1) */
	bool initial_is_zero;
	/* [I] sectors may be zeroed by Z entries (2.4) */
	bool may_set_zero;
	struct group_state *group; /* [I] NULL: each batch alone */
	_Atomic bool clearing;     /* [a] see btt_begin_clearing */
};

/* A window of sectors that is being read: see read.c. */
struct read_window {
	uint32_t entry[BTT_READ_SECTORS]; /* raw map entries as published */
	const uint8_t *data[BTT_READ_SECTORS]; /* what a reader of them reads */
};

/* One thread's.  Keys: I immutable, a atomic, all else its thread's own. */
struct btt_worker {
	struct btt_worker_pool *pool; /* [I] */
	unsigned index;               /* [I] */
	struct rtt_slot *slot;        /* [I] */
	/* [a] group it is adding to, 0: none.  Pairs with group_close. */
	_Alignas(LANES_CACHE_LINE) _Atomic uint64_t group;
	struct lane_span span;
	struct batch batch;
	uint64_t name[BATCH_MAX]; /* of the blocks a batch will write */
	struct read_window window;
	struct iovec iov[BTT_READ_IOV];
	uint8_t *sector; /* [I] BTT_SECTOR_MAX bytes, to compose one in */
};

struct btt_worker_pool {
	unsigned nworker;          /* [I] */
	struct btt_worker *worker; /* [I] */
	struct rtt rtt;
};

/* BTT_SECTOR_MAX constant zero bytes. */
extern const uint8_t btt_zeroes[BTT_SECTOR_MAX];

/* Arena of a sector, which must be inside the device. */
static inline struct arena *
btt_arena_of(const struct btt *btt, uint64_t sector)
{
	struct arena *arena = btt->arena;

	assert(sector < btt->geometry.nsector);
	/* One arena is 512 GiB: there are few. */
	while (sector - arena->first_sector >= arena->external_nlba)
		arena++;
	return arena;
}

/* How many whole sectors are n bytes, and how many bytes are left? */
static inline uint64_t
btt_sectors(const struct btt *btt, uint64_t n, uint32_t *ret_rest)
{
	uint32_t sector_bytes = btt->geometry.sector_bytes;
	/* A division would cost as much as a lock. */
	uint64_t nsector =
	    btt->sector_shift != 0 ? n >> btt->sector_shift : n / sector_bytes;

	*ret_rest = (uint32_t)(n - nsector * sector_bytes);
	return nsector;
}

/* Does [off, off + len) lie inside the device? */
static inline bool
btt_range_inside(const struct btt *btt, uint64_t off, uint64_t len)
{
	return off <= btt->geometry.size_bytes &&
	    len <= btt->geometry.size_bytes - off;
}

/* 0 if writes are admitted, else why not. */
int btt_may_write(const struct btt *btt) BTT_MUST_CHECK;

/*
 * Write a prefix of len bytes at off, which lie inside the device: as many
 * sectors as one batch has pairs for, in one arena; src NULL writes zeroes.
 * *ret_written may be 0 where free blocks had to be waited for first.  With
 * groups *ret_group is the group the batch was added to, else untouched.
 */
int write_some(struct btt *btt, struct btt_worker *worker, uint64_t off,
    size_t len, const uint8_t *src, size_t *ret_written, uint64_t *ret_group)
    BTT_MUST_CHECK;
/* Wait for a group if this device's writes are durable on return. */
int write_settle(struct btt *btt, uint64_t group) BTT_MUST_CHECK;

#endif

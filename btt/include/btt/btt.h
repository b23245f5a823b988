/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_BTT_H
#define BTT_BTT_H

/*
 * btt -- the engine: sectors whose writes are atomic over a crash, on any
 * medium (media.h).  P1, P2, P3 of DESIGN.md are kept here; the numbered
 * invariants are in ARCHITECTURE.md.
 *
 * Threads.  Every thread that does I/O has a worker: its scratch memory and
 * its slot of the read tracking table.  A worker is used by one thread at a
 * time and for one operation at a time, on any of the devices that were
 * opened with its pool.  Nothing is allocated and nothing logged between an
 * operation's call and its return.
 *
 * Ranges are bytes.  A range need not start or end on a sector: the ends are
 * read, modified and written under their sector's lock, atomically like any
 * sector.  A range of several sectors is as many atomic writes; after an error
 * any subset of them may have taken place, each wholly.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <btt/check.h>
#include <btt/error.h>
#include <btt/format.h>
#include <btt/histogram.h>
#include <btt/media.h>

struct btt;
struct btt_worker;
struct btt_worker_pool;

/* Most sectors a single btt_read_begin can name: 1 MiB of 512 bytes. */
#define BTT_READ_SECTORS 2048u
/* Entries that the vector of btt_read_begin may need. */
#define BTT_READ_IOV (BTT_READ_SECTORS + 2u)
#define BTT_WORKER_MAX 256u

/* Returns: 0; -EINVAL unless 1 <= nworker <= BTT_WORKER_MAX; -ENOMEM. */
int btt_worker_pool_new(unsigned nworker, struct btt_worker_pool **ret_pool)
    BTT_MUST_CHECK;
/* All devices that were opened with it must be closed.  NULL is fine. */
void btt_worker_pool_free(struct btt_worker_pool *pool);
unsigned btt_worker_pool_count(const struct btt_worker_pool *pool);
struct btt_worker *
btt_worker_pool_get(struct btt_worker_pool *pool, unsigned index);

/* When a write is safe from power loss (P2). */
enum btt_durability {
	BTT_DURABLE_DEFAULT, /* write, or flush on page granularity */
	BTT_DURABLE_WRITE,   /* when btt_write returns */
	BTT_DURABLE_FLUSH,   /* when a later btt_flush returns */
};

/*
 * Memory that outlives a crash of this process, for the writes that were
 * acknowledged and are not on the medium yet (P6): bytes of it, aligned to 16,
 * all zero when the device is opened for the first time, and as it was left
 * when it is opened again after a crash, on the same machine since the same
 * boot.  NULL if there is none, then the open fails.  Called at most once, by
 * btt_open, and not at all where nothing is held in memory.  It stays the
 * caller's, and in use until btt_close returns; after a btt_close that returned
 * 0 nothing in it is needed any more.
 */
typedef void *btt_keep_fn(void *arg, size_t bytes);

struct btt_open_options {
	bool read_only; /* never writes; recovery happens in memory only */
	const char *namespace; /* of several (label.h); NULL: the only one */
	enum btt_durability durability;
	unsigned nlane;        /* 0: chosen; tests choose */
	btt_report_fn *report; /* what open noticed; may be NULL */
	void *report_arg;
	btt_keep_fn *keep; /* NULL: a crash is to writes what a power cut is */
	void *keep_arg;
};

/*
 * Find, validate and recover the BTT on media (btt-format.md 4.1, masked
 * compares), and take media over: on success btt_close closes it, on failure
 * it stays the caller's.
 *
 * Nothing is written before all arenas have been validated: no number out of
 * its bounds, no two valid info blocks of an arena that differ, no block with
 * two owners in the log, nor in the map if that is 16 MiB or less.  What is
 * written are at most nfree map entries an arena, durable on return.  Damage
 * of a primary info block is reported and not mended (P7).
 *
 * With read_only all of this but the info blocks may be damaged, or be lost; it
 * is told to report, and sectors whose recovery is in doubt read as the map has
 * them.  A BTT whose error flag is set is opened so, too, whatever was asked
 * for.
 *
 * Errors: as btt_probe_namespace; -EROFS where writing was asked for and the medium
 * cannot; -EUCLEAN where the log is damaged.
 */
int btt_open(struct media *media, struct btt_worker_pool *pool,
    const struct btt_open_options *options, struct btt **ret_btt,
    struct btt_error *error) BTT_MUST_CHECK;
/*
 * No operation may be running.  Makes pending writes durable; returns the
 * error of that, the device is closed all the same.  NULL is fine.
 */
int btt_close(struct btt *btt);

/* Immutable after open. */
struct btt_geometry_info {
	enum btt_layout layout;
	uint64_t size_bytes; /* nsector * sector_bytes */
	uint64_t nsector;
	uint32_t sector_bytes; /* that the user sees, without metadata */
	uint32_t external_lbasize;
	uint32_t narena;
	uint32_t nlane;
	uint32_t nfree;                 /* of the first arena */
	enum btt_durability durability; /* never DEFAULT */
	enum media_granularity granularity;
	bool read_only; /* as asked for, or for an error flag */
	uint8_t uuid[BTT_UUID_BYTES];
	uint8_t parent_uuid[BTT_UUID_BYTES];
	uint64_t nrecovered; /* writes that open completed */
	uint64_t nresumed;   /* and that it took over from kept memory */
};
void
btt_get_geometry(const struct btt *btt, struct btt_geometry_info *ret_geometry);

/* One arena.  Immutable after open, but for failed. */
struct btt_arena_info {
	uint64_t off; /* of its info block on the medium, bytes */
	uint32_t external_nlba;
	uint32_t internal_nlba;
	uint32_t internal_lbasize;
	uint32_t nfree;
	uint8_t log_index[2]; /* slots of a log group in use: 0,1 or 0,2 */
	int failed;           /* 0, or why writes are refused */
};
/* index < geometry.narena */
void btt_get_arena(
    const struct btt *btt, uint32_t index, struct btt_arena_info *ret_info);

/*
 * Why writes are refused: 0 if they are not, else the negative errno of the
 * failure, sticky (P4).
 */
int btt_failed(const struct btt *btt);

/*
 * Read len bytes at off into dst.  Waits for no writer and no lock.
 * A sector that was being written reads wholly old or wholly new.
 * Errors: -ERANGE; -EIO for a sector marked bad or an unreadable medium (dst
 * then holds garbage).
 */
int btt_read(struct btt *btt, struct btt_worker *worker, uint64_t off,
    size_t len, void *dst) BTT_MUST_CHECK;

/*
 * The same without a copy: on success ret_iov[0 .. *ret_niov) names the bytes
 * in the mapping (zeroes are named in a constant page), adjacent blocks as one
 * entry.  iov has room for BTT_READ_IOV entries.  The range may cover at most
 * BTT_READ_SECTORS sectors (-EINVAL).
 *
 * Until btt_read_end the named blocks are not reused by writers, who wait for
 * it: answer and end it soon, and do no other operation on this worker in
 * between.  The caller touches the bytes inside media_try() or through a
 * system call that returns EFAULT.
 *
 * btt_read_end follows a successful begin, exactly once.
 */
int btt_read_begin(struct btt *btt, struct btt_worker *worker, uint64_t off,
    size_t len, struct iovec *iov, int *ret_niov) BTT_MUST_CHECK;
void btt_read_end(struct btt *btt, struct btt_worker *worker);

/*
 * Write len bytes from src at off.  On return every sector of the range is
 * visible, and durable with BTT_DURABLE_WRITE.
 * Errors: -ERANGE; -EROFS; -EIO (medium failed, an arena flagged with an
 * error, or a bad sector that was to be written in part).
 */
int btt_write(struct btt *btt, struct btt_worker *worker, uint64_t off,
    size_t len, const void *src) BTT_MUST_CHECK;

/*
 * Make len bytes at off read as zeroes, as durable as a write.  Whole sectors
 * become Z entries where every kernel reads those rightly (sectors of 4096
 * and more, btt-format.md 2.4), else zeroes are written.
 * Errors as btt_write.
 */
int btt_zero(struct btt *btt, struct btt_worker *worker, uint64_t off,
    size_t len) BTT_MUST_CHECK;

/*
 * Everything that was acknowledged before the call is durable on return (P2).
 * worker may be NULL: a commit has scratch memory of its own.
 * Errors: -EIO and the like, sticky from the first one on.
 */
int btt_flush(struct btt *btt, struct btt_worker *worker) BTT_MUST_CHECK;

/*
 * First byte at or after off that is data, or that is in a hole.  Holes are
 * sectors that are known to read as zeroes without being looked at.
 * Errors: -ENXIO if off is at or past the end, or for data if none follows;
 * the end of the device is a hole.
 */
int btt_seek_data(struct btt *btt, struct btt_worker *worker, uint64_t off,
    uint64_t *ret_off) BTT_MUST_CHECK;
int btt_seek_hole(struct btt *btt, struct btt_worker *worker, uint64_t off,
    uint64_t *ret_off) BTT_MUST_CHECK;

/* Counters since open; cheap to read, never reset, not a snapshot. */
struct btt_stats {
	uint64_t nfence; /* fences or syncs for writes and flushes */
	uint64_t nbatch; /* commits: sets of three of them */
	uint64_t nsector_written;
	uint64_t nlane_wait;   /* a writer slept for a lane */
	uint64_t lane_wait_ns; /* all of them together */
	uint64_t nreader_wait; /* a writer waited for a reader of its block */
	uint64_t reader_wait_ns;
};
void btt_get_stats(const struct btt *btt, struct btt_stats *ret_stats);

/*
 * Is a lock that lanes/watch.h tells of one of this device: its lanes, its
 * medium's, an arena's?
 */
bool btt_has_lock(const struct btt *btt, const void *lock);

/* Commits of many requests at once; empty where each is committed alone. */
struct btt_commit_stats {
	struct btt_histogram ns;      /* how long they took */
	struct btt_histogram sectors; /* that they made durable; 0: a sync */
};
void
btt_get_commit_stats(const struct btt *btt, struct btt_commit_stats *ret_stats);

#endif

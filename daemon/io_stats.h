/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_IO_STATS_H
#define BTTFS_IO_STATS_H

/*
 * io_stats -- what was asked of a device, and how long it took.
 *
 * Each worker counts in memory of its own, which nobody else writes, with
 * plain stores: no locked instruction, no allocation, two readings of the
 * clock.  Who wants to know adds up what all have counted so far.  Memory that
 * a worker has not used is never touched, so that a thousand devices cost what
 * is used of them.
 */
#include <stdbool.h>
#include <stdint.h>

#include <btt/error.h>
#include <btt/histogram.h>

enum io_kind {
	IO_READ,
	IO_WRITE,
	IO_FLUSH,
	IO_ZERO,
	IO_OTHER, /* answered without touching the medium, or hardly */
	IO_KINDS
};

/* "read" and so on. */
const char *io_kind_name(enum io_kind kind);

/* Keys: a atomic. */
struct io_stats;

/* For workers 0 .. nworker - 1.  Errors: -ENOMEM. */
int io_stats_new(unsigned nworker, struct io_stats **ret_stats) BTT_MUST_CHECK;
/* NULL is fine. */
void io_stats_free(struct io_stats *stats);

/*
 * A request has been answered, which began at begun_ns of clock_ns.  bytes is
 * how many were read, written or zeroed.  By one thread a worker.
 */
void io_stats_count(struct io_stats *stats, unsigned worker, enum io_kind kind,
    uint64_t bytes, bool failed, uint64_t begun_ns);

/* What all workers have counted of one kind. */
struct io_kind_sum {
	uint64_t nerror;
	uint64_t nbyte;
	struct btt_histogram ns; /* latency of all requests, failed ones too */
};

struct io_sum {
	struct io_kind_sum kind[IO_KINDS];
};

/* Any thread, at any time; requests under way are not in it. */
void io_stats_sum(const struct io_stats *stats, struct io_sum *ret_sum);

#endif

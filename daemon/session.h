/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_SESSION_H
#define BTTFS_SESSION_H

/*
 * session -- serves a tree over an open /dev/fuse descriptor, with a fixed set
 * of worker threads.  It neither mounts nor unmounts.
 *
 * Whoever reads a request answers it (fuse.md 8.3): a worker reads into its own
 * buffer, or finds it in its ring, does the work and writes the answer.
 * Nothing is allocated on that path, nothing handed over.  READ, WRITE, FSYNC,
 * FALLOCATE and LSEEK are taken from the buffer as they are; all else is
 * libfuse's.
 *
 * Life: session_open, session_start, (session_fd becomes readable),
 * session_stop, session_close.
 */
#include <stdint.h>

#include <btt/btt.h>
#include <btt/error.h>

#include "fs.h"

struct session;

/* What kernel and server have agreed on. */
struct session_info {
	uint32_t kernel_minor; /* of the protocol, 7.x */
	uint32_t max_write;
	bool mmap;   /* MAP_SHARED works (Linux 6.6) */
	bool resend; /* requests can be had again after a crash (Linux 6.9) */
	bool buffers_locked; /* all workers' buffers stay in memory */
	bool ring;           /* requests come by io_uring */
	int ring_error;      /* why they do not although they could: an errno */
};

/*
 * Take over a descriptor on which the kernel's INIT waits, and answer it; or
 * one on which a predecessor did so, whose memory of that is agreed_fd then,
 * else -1.  fd is the session's from now on, also when an error is returned.
 * Worker i of the session uses worker i of the pool, which has nworker.  If the
 * kernel offers it, requests come over io_uring (ring.h) to the first nring of
 * them, which are as many for each CPU, 0 if that is not wanted; what does not
 * come that way takes one more.
 *
 * Errors: -EPROTO if the kernel's protocol is too old or it sent something
 * else; -ENODEV if the mount is gone already; -ENOMEM.
 */
int session_open(int fd, int agreed_fd, const struct fs_context *context,
    struct btt_worker_pool *pool, unsigned nworker, unsigned nring,
    struct session **ret_session, struct btt_error *error) BTT_MUST_CHECK;

/*
 * What kernel and server have agreed on, in memory that a later server can be
 * given as agreed_fd.  The descriptor stays the session's.
 */
int session_agreed_fd(const struct session *session);

/*
 * Milliseconds for which some worker has been busy with one request, as far as
 * two calls of this can tell.  One thread.
 */
unsigned session_stuck_ms(struct session *session);

void
session_get_info(const struct session *session, struct session_info *ret_info);

/* Start the workers: from now on requests are answered. */
int
session_start(struct session *session, struct btt_error *error) BTT_MUST_CHECK;

/*
 * Have the kernel forget a name in the directory, also where the file is open;
 * or what it keeps of a file's content, for shared mappings.  The former waits
 * for requests about the directory that are being served, the latter for those
 * about the file: not for a worker to do, and with nothing held.
 */
void session_forget_name(struct session *session, const char *name);
void session_forget_data(struct session *session, uint64_t nodeid);

/* Readable, for poll(2), when the file system has gone or a worker failed. */
int session_fd(const struct session *session);

/*
 * Wait until all workers have left.  They do so when the file system is gone;
 * those that are not told by the kernel within timeout_ms are made to leave
 * after the request at hand.
 *
 * Returns 0, or the negative errno with which reading requests failed.
 */
int session_stop(struct session *session, int timeout_ms);

/*
 * Also closes the descriptor: if it was the last one, the kernel then fails
 * all that is left.  The workers have left.  NULL is fine.
 */
void session_close(struct session *session);

#endif

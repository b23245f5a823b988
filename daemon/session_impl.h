/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_SESSION_IMPL_H
#define BTTFS_SESSION_IMPL_H

/*
 * session_impl -- what the files of the session share: session.c (life and
 * workers), session_init.c (libfuse, and what is agreed with the kernel),
 * session_request.c (requests and answers), session_dev.c and session_ring.c
 * (the ways they travel).
 */
#include <sys/uio.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "fs_io.h"
#include "io_stats.h"
#include "reserve.h"
#include "ring.h"
#include "session.h"
#include "session_kept.h"

/* What precedes the payload of a WRITE. */
#define HEAD_BYTES \
	(sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))
/* The kernel refuses to be read into less. */
#define REQUEST_BYTES (HEAD_BYTES + FS_IO_MAX)

/* What became of a request for data. */
struct outcome {
	enum io_kind kind;
	uint64_t bytes; /* read, written or zeroed */
	int error;      /* negative errno that was answered */
};

/* Keys: I immutable after session_open, W its own thread only. */
struct worker {
	struct session *session;        /* [I] */
	struct btt_worker *btt;         /* [I] */
	unsigned index;                 /* [I] */
	pthread_t thread;               /* [I] once started */
	uint8_t *buffer;                /* [I] of buffer_bytes */
	struct ring *ring;              /* [I] NULL: by /dev/fuse */
	struct ring_entry *entry;       /* [W] of the request, with a ring */
	struct fuse_in_header *request; /* [W] in the buffer, see below */
	uint8_t *payload;               /* [W] page-aligned; of a WRITE */
	struct iovec *iov;              /* [W] BTT_READ_IOV and a header */
	struct outcome outcome;         /* [W] of the request, for statistics */
	/* [a] relaxed; rises when a request is begun, and when it is done */
	_Atomic uint64_t turn;
	/* Those who look for stuck ones, see session_stuck_ms. */
	uint64_t seen_turn; /* [C] */
	uint64_t seen_ms;   /* [C] since when */
};

/*
 * Keys: I immutable after session_open, N used by session_open only,
 *       C the thread that calls the functions of session.h, a atomic.
 */
struct session {
	struct fs_context context; /* [I] what libfuse shows to fs.c; first */
	struct fuse_session *fuse; /* [I] owns fd once made */
	struct btt_worker_pool *pool; /* [I] */
	int fd;                       /* [I] */
	int ended_fd;                 /* [I] eventfd */
	struct session_kept *agreed;  /* [I] shared memory */
	int agreed_fd;                /* [I] */
	size_t page_bytes;            /* [I] */
	struct session_info info;     /* [I] */
	bool is_resumed;              /* [I] a mount that another one served */
	unsigned nring;               /* [I] see session_open */
	uint64_t init_flags;          /* [N] that the kernel offers */
	int init_error;               /* [N] of the answer to INIT */
	unsigned nworker;             /* [I] */
	unsigned nstarted;            /* [C] */
	_Atomic unsigned nrunning;    /* [a] workers that have not left */
	_Atomic bool stopping;        /* [a] leave after this request */
	_Atomic int failure;          /* [a] first errno of read(2), negative */
	bool has_reserve;             /* [I] there are more than shall wait */
	struct reserve reserve;       /* for those without a ring */
	struct worker workers[];      /* each its thread's */
};

/* Whose turn count says whether it is at work; the worker's thread. */
void worker_take_turn(struct worker *worker);

/* Read one request into the worker's buffer.  Returns its length; 0 if there is
 * none but may be later; -ENODEV when the file system is gone; else as read(2). */
ssize_t worker_receive(struct worker *worker);

/* Answer the request of that length that is in the worker's buffer. */
void worker_serve(struct worker *worker, size_t bytes);

/* The same for one that libfuse knows best; and if it came by a ring. */
void worker_hand_to_libfuse(struct worker *worker, size_t bytes);
void worker_serve_ring_by_libfuse(struct worker *worker, size_t bytes);

/*
 * Send iov[1 .. niov) after a header, which iov[0] is used for.
 *
 * Returns: 0; -ENOENT where nobody waits for the answer any more: the request
 * was aborted, or has been answered with EIO because the kernel could not read
 * the vector; -ENODEV where the file system is gone; else as writev(2), and
 * then the request may still be waiting.
 */
int worker_reply_by_device(
    struct worker *worker, int error, size_t bytes, int niov);
/* The same with a ring, and without the place for a header. */
void worker_reply_by_ring(
    struct worker *worker, int error, const struct iovec *iov, int niov);

/* Wait for requests in the worker's ring and answer them.  Returns as
 * worker_receive, but 0 when all is well. */
int worker_ring_turn(struct worker *worker) BTT_MUST_CHECK;

/*
 * Give the first workers a ring each; -EINVAL if there are too few workers,
 * else as ring_new.  Before the kernel's INIT is answered.
 */
int session_make_rings(struct session *session) BTT_MUST_CHECK;
void session_free_rings(struct session *session);

/* Was this answer of libfuse's to what a ring brought?  Then it is there. */
bool session_ring_take_answer(const struct iovec *iov, int niov);

/* Make session->fuse. */
int session_new_fuse(struct session *session, struct btt_error *error)
    BTT_MUST_CHECK;

/*
 * Receive and answer the kernel's first message, before there is any other
 * thread.  Until then the kernel holds every other request back.
 */
int session_negotiate(struct session *session, struct btt_error *error)
    BTT_MUST_CHECK;

/*
 * The same by the message that a predecessor was sent: libfuse is told, the
 * kernel is not.  Then, before there are workers, have the kernel give out
 * again what the predecessor has left unanswered.
 */
int session_renegotiate(struct session *session, struct btt_error *error)
    BTT_MUST_CHECK;
int session_ask_again(struct session *session, struct btt_error *error)
    BTT_MUST_CHECK;

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_SESSION_IMPL_H
#define BTTFS_SESSION_IMPL_H

/*
 * session_impl -- what the files of the session share: session.c (life and
 * workers), session_init.c (libfuse, and what is agreed with the kernel) and
 * session_request.c (requests and answers).
 */
#include <sys/uio.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "fs_io.h"
#include "io_stats.h"
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
	uint64_t init_flags;          /* [N] that the kernel offers */
	int init_error;               /* [N] of the answer to INIT */
	unsigned nworker;             /* [I] */
	unsigned nstarted;            /* [C] */
	_Atomic unsigned nrunning;    /* [a] workers that have not left */
	_Atomic bool stopping;        /* [a] leave after this request */
	_Atomic int failure;          /* [a] first errno of read(2), negative */
	struct worker workers[];      /* each its thread's */
};

/* Read one request into the worker's buffer.  Returns its length; 0 if there is
 * none but may be later; -ENODEV when the file system is gone; else as read(2). */
ssize_t worker_receive(struct worker *worker);

/* Answer the request of that length that is in the worker's buffer. */
void worker_serve(struct worker *worker, size_t bytes);

/* The same for one that libfuse knows best. */
void worker_serve_by_libfuse(struct worker *worker, size_t bytes);

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
 * kernel is not.  Then have the kernel give out again what the predecessor has
 * left unanswered.
 */
int session_renegotiate(struct session *session, struct btt_error *error)
    BTT_MUST_CHECK;
int session_ask_again(struct session *session, struct btt_error *error)
    BTT_MUST_CHECK;

#endif

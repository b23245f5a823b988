/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session_init -- libfuse's part of a session, and what server and kernel agree
 * on before the first request.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <fuse_lowlevel.h>

#include "session_impl.h"
#include "system_error.h"

/* Requests that the kernel keeps in flight for asynchronous I/O. */
#define MAX_BACKGROUND 256
#define CONGESTION_THRESHOLD (MAX_BACKGROUND / 4 * 3)

static struct session *
from_userdata(void *userdata)
{
	struct fs_context *context;

	context = userdata;
	return (struct session *)(void *)((uint8_t *)context -
	    offsetof(struct session, context));
}

static void
on_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->max_write = FS_IO_MAX;
	conn->max_background = MAX_BACKGROUND;
	conn->congestion_threshold = CONGESTION_THRESHOLD;
	/* There is no page cache to be stale, and splicing gains nothing. */
	conn->want &= ~(unsigned)(FUSE_CAP_AUTO_INVAL_DATA |
	    FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
	    FUSE_CAP_SPLICE_MOVE | FUSE_CAP_WRITEBACK_CACHE);
	conn->want |= conn->capable & FUSE_CAP_ASYNC_DIO;
}

/*
 * Add to libfuse's answer what its 32 bits cannot ask for, as far as the kernel
 * has offered it.
 */
static void
amend_init(struct session *session, struct fuse_init_out *out)
{
	const uint64_t wanted = FUSE_DIRECT_IO_ALLOW_MMAP | FUSE_HAS_RESEND;
	uint64_t flags;

	flags = session->init_flags & wanted;
	if (session->workers[0].ring != NULL)
		flags |= FUSE_OVER_IO_URING;
	if (flags != 0) {
		out->flags |= FUSE_INIT_EXT;
		out->flags2 |= (uint32_t)(flags >> 32);
	}
	session->info.max_write = out->max_write;
	session->info.mmap = (flags & FUSE_DIRECT_IO_ALLOW_MMAP) != 0;
	session->info.ring = (flags & FUSE_OVER_IO_URING) != 0;
	/* Not what is in a ring's entries. */
	session->info.resend =
	    (flags & FUSE_HAS_RESEND) != 0 && !session->info.ring;
}

/* The way of libfuse's answers.  The first one is to INIT. */
static ssize_t
on_libfuse_writev(int fd, struct iovec *iov, int niov, void *userdata)
{
	const struct fuse_out_header *header;
	struct session *session;

	session = from_userdata(userdata);
	if (session->init_error == -EINPROGRESS) {
		header = iov[0].iov_base;
		session->init_error = header->error;
		if (niov > 1 && iov[1].iov_len >= sizeof(struct fuse_init_out))
			amend_init(session, iov[1].iov_base);
		/* It has heard this from a predecessor. */
		if (session->is_resumed)
			return header->len;
	} else if (session_ring_take_answer(iov, niov)) {
		header = iov[0].iov_base;
		return header->len;
	}
	return writev(fd, iov, niov);
}

/* libfuse wants one, but never reads: workers do. */
static ssize_t
on_libfuse_read(int fd, void *buf, size_t bytes, void *userdata)
{
	(void)userdata;
	return read(fd, buf, bytes);
}

int
session_new_fuse(struct session *session, struct btt_error *error)
{
	const struct fuse_custom_io io = {
		.writev = on_libfuse_writev,
		.read = on_libfuse_read,
	};
	char program[] = "bttfs";
	char *argv[] = { program, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_lowlevel_ops operations;

	operations = *fs_operations();
	operations.init = on_init;
	session->fuse = fuse_session_new(
	    &args, &operations, sizeof(operations), &session->context);
	fuse_opt_free_args(&args); /* it has made a copy */
	if (session->fuse == NULL)
		return btt_error_set(
		    error, -ENOMEM, "libfuse could not make a session");
	if (fuse_session_custom_io(session->fuse, &io, session->fd) != 0) {
		fuse_session_destroy(session->fuse);
		session->fuse = NULL;
		return btt_error_set(
		    error, -ENOMEM, "libfuse could not take the descriptor");
	}
	return 0;
}

/* The kernel's first message is in the first worker's buffer. */
static int
process_init(struct session *session, size_t n, struct btt_error *error)
{
	const struct fuse_init_in *in;
	struct worker *worker;

	worker = &session->workers[0];
	in = (const struct fuse_init_in *)(const void *)(worker->request + 1);
	if (worker->request->opcode != FUSE_INIT ||
	    n < sizeof(*worker->request) +
		    offsetof(struct fuse_init_in, flags2))
		return btt_error_set(error, -EPROTO,
		    "the kernel began with request %u, not with INIT",
		    worker->request->opcode);

	session->info.kernel_minor = in->minor;
	session->init_flags = in->flags;
	if ((in->flags & FUSE_INIT_EXT) != 0)
		session->init_flags |= (uint64_t)in->flags2 << 32;
	session->init_error = -EINPROGRESS;
	/*
	 * A mount that was served over /dev/fuse goes on so.  Where there can
	 * be no rings, there is that.
	 */
	if (session->nring > 0 && !session->is_resumed &&
	    (session->init_flags & FUSE_OVER_IO_URING) != 0)
		session->info.ring_error = session_make_rings(session);
	if (!session->is_resumed &&
	    session_kept_set(session->agreed, worker->request, n) < 0)
		return btt_error_set(
		    error, -EPROTO, "the kernel's first request is too long");
	worker_hand_to_libfuse(worker, n);
	if (session->init_error != 0)
		return btt_error_set(error, -EPROTO,
		    "the kernel's FUSE protocol %u.%u does not suit libfuse",
		    in->major, in->minor);
	return 0;
}

int
session_negotiate(struct session *session, struct btt_error *error)
{
	struct worker *worker;
	ssize_t n;

	worker = &session->workers[0];
	do {
		n = worker_receive(worker);
	} while (n == 0);
	if (n < 0)
		return system_error(
		    error, (int)n, "reading the kernel's first request");
	return process_init(session, (size_t)n, error);
}

int
session_renegotiate(struct session *session, struct btt_error *error)
{
	size_t bytes = session->agreed->init_bytes;

	if (bytes < sizeof(struct fuse_in_header))
		return btt_error_set(
		    error, -EUCLEAN, "what was agreed on makes no sense");
	memcpy(session->workers[0].request, session->agreed->init, bytes);
	session->is_resumed = true;
	return process_init(session, bytes, error);
}

int
session_ask_again(struct session *session, struct btt_error *error)
{
	const struct fuse_out_header resend = {
		.len = sizeof(resend),
		.error = FUSE_NOTIFY_RESEND,
	};

	assert(session->nstarted == 0); /* see session_start */
	/* ENODEV: the mount has gone, as the workers will see. */
	if (write(session->fd, &resend, sizeof(resend)) < 0 && errno != ENODEV)
		return system_error(
		    error, -errno, "asking for the requests again");
	return 0;
}

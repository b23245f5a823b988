/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session_ring -- requests over io_uring: what comes in pieces is put where the
 * other transport has it.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "session_impl.h"

/* Whose request libfuse is at work on; its answers do not say. */
static _Thread_local struct worker *at_libfuse;

int
session_make_rings(struct session *session)
{
	unsigned n = ring_nqueue();
	int r = 0;

	/* What does not come by a ring, as FORGET, needs one more. */
	if (session->nring < n || session->nring >= session->nworker)
		return -EINVAL;
	for (unsigned i = 0; i < session->nring && r == 0; i++) {
		struct worker *worker = &session->workers[i];

		r = ring_new(session->fd, i % n, session->nring / n, FS_IO_MAX,
		    &worker->ring);
		if (r == 0 && !ring_is_locked(worker->ring))
			session->info.buffers_locked = false;
	}
	if (r < 0)
		session_free_rings(session);
	return r;
}

void
session_free_rings(struct session *session)
{
	for (unsigned i = 0; i < session->nworker; i++) {
		ring_free(session->workers[i].ring);
		session->workers[i].ring = NULL;
	}
}

/*
 * The header and the first argument follow each other before the worker's
 * payload; the entry's payload stays where it is, but for libfuse, which wants
 * all in one piece.  Returns the length of it all.
 */
static size_t
take_request(struct worker *worker, struct ring_entry *entry)
{
	const struct fuse_uring_req_header *head = entry->head;
	struct fuse_in_header *request = worker->request;
	size_t payload_bytes = head->ring_ent_in_out.payload_sz;
	size_t arg_bytes;

	memcpy(request, head->in_out, sizeof(*request));
	/* The kernel's word, as for what read(2) gives. */
	assert(request->len >= sizeof(*request) + payload_bytes);
	arg_bytes = request->len - sizeof(*request) - payload_bytes;
	assert(arg_bytes <= sizeof(head->op_in));
	assert(request->len <= REQUEST_BYTES);
	memcpy(request + 1, head->op_in, arg_bytes);
	worker->payload = entry->payload;
	if (request->opcode != FUSE_WRITE)
		memcpy((uint8_t *)(request + 1) + arg_bytes, entry->payload,
		    payload_bytes);
	return request->len;
}

/* What may wait for a disk keeps no answer waiting that is there already. */
static bool
may_take_long(const struct worker *worker)
{
	return worker->request->opcode != FUSE_READ &&
	    worker->request->opcode != FUSE_WRITE;
}

static void
serve_entry(struct worker *worker, struct ring_entry *entry)
{
	size_t bytes = take_request(worker, entry);

	worker->entry = entry;
	if (may_take_long(worker))
		ring_submit(worker->ring);
	worker_serve(worker, bytes);
	/* libfuse has nothing to say to some; the kernel wants a word. */
	if (!entry->answered)
		worker_reply_by_ring(worker, -EIO, NULL, 0);
	worker->entry = NULL;
}

int
worker_ring_turn(struct worker *worker)
{
	struct ring_entry *entry;
	int r;

	if ((r = ring_wait(worker->ring)) <= 0)
		return r;
	while ((r = ring_next(worker->ring, &entry)) == 0 && entry != NULL) {
		worker_take_turn(worker);
		serve_entry(worker, entry);
		worker_take_turn(worker);
	}
	return r;
}

void
worker_reply_by_ring(
    struct worker *worker, int error, const struct iovec *iov, int niov)
{
	ring_answer(worker->ring, worker->entry, worker->request->unique, error,
	    iov, niov);
}

void
worker_serve_ring_by_libfuse(struct worker *worker, size_t bytes)
{
	at_libfuse = worker;
	worker_hand_to_libfuse(worker, bytes);
	at_libfuse = NULL;
}

bool
session_ring_take_answer(const struct iovec *iov, int niov)
{
	struct worker *worker = at_libfuse;
	const struct fuse_out_header *header = iov[0].iov_base;

	/* Else a notification, or the answer to what came by /dev/fuse. */
	if (worker == NULL || header->unique != worker->request->unique)
		return false;
	worker_reply_by_ring(worker, header->error, iov + 1, niov - 1);
	return true;
}

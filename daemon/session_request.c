/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session_request -- requests and their answers, whichever way they travel.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>

#include <fuse_lowlevel.h>
#include <lanes/clock.h>

#include "session_impl.h"

/* The kernel would leave a request unanswered rather than believe this. */
static int
sane_error(int r)
{
	return r <= 0 && r > -512 ? r : -EIO;
}

/*
 * Send iov[1 .. niov) after a header, which iov[0] is used for.  Returns as
 * worker_reply_by_device; 0 with a ring.
 */
static int
worker_reply(struct worker *worker, int error, size_t bytes, int niov)
{
	sync_assert_none_held(SYNC_HERE);
	worker->outcome.error = error;
	if (worker->ring == NULL)
		return worker_reply_by_device(
		    worker, sane_error(error), bytes, niov);
	worker_reply_by_ring(
	    worker, sane_error(error), worker->iov + 1, niov - 1);
	return 0;
}

/* Errors of these concern the asker alone, who has gone. */
static void
reply_error(struct worker *worker, int error)
{
	(void)worker_reply(worker, error, 0, 1);
}

static void
reply_data(struct worker *worker, void *data, size_t bytes)
{
	worker->iov[1].iov_base = data;
	worker->iov[1].iov_len = bytes;
	(void)worker_reply(worker, 0, bytes, 2);
}

/*
 * What is this short is copied: it stays in the processor's cache, from which
 * the kernel takes it at once, while each page of the mapping costs it a walk
 * through the page table, and lines that it has to wait for.  Measured from 4
 * KiB to 256 KiB, with 2 MiB of such cache, the copy takes less of the server's
 * time, by 2 % to 8 % where all is in one piece and by 10 % to 20 % where it is
 * in many; and the reader's slot is empty before the answer is sent.  At 512
 * KiB it is the other way round, unless all pieces are short.
 */
#define COPY_BYTES_MOST (256u << 10)

/*
 * Below this average size of pieces a copy is cheaper than what the kernel
 * does for each piece, however long the whole is.
 */
#define PIECE_BYTES_LEAST 3072u

static bool
is_worth_a_vector(uint32_t bytes, int niov)
{
	return niov < IOV_MAX && bytes / (uint32_t)niov >= PIECE_BYTES_LEAST;
}

/* No page is smaller. */
#define PAGE_BYTES_LEAST 4096u

struct touch_job {
	const struct iovec *iov;
	int niov;
};

static int
touch_pages(void *arg)
{
	const struct touch_job *job = arg;

	for (int i = 0; i < job->niov; i++) {
		const volatile uint8_t *bytes = job->iov[i].iov_base;
		size_t len = job->iov[i].iov_len;

		for (size_t at = 0; at < len; at += PAGE_BYTES_LEAST)
			(void)bytes[at];
		(void)bytes[len - 1];
	}
	return 0;
}

/*
 * Have the pages in place before the kernel copies from them.  Where it has to
 * fetch one itself and cannot, it fails the request: so if we are killed just
 * then, and no successor is asked again.  Only the first touch of a page in a
 * server's life matters, but to remember which were touched would cost memory
 * by the size of the device and more time than to touch them again: the engine
 * has asked for the beginning of each sector's block already, the loads wait
 * for nothing and not for each other.  Of the time that 1 MiB takes it is
 * 0.3 %, and 1.5 % where no two sectors lie side by side.
 */
static int
fetch_pages(const struct iovec *iov, int niov)
{
	struct touch_job job = { iov, niov };

	return media_try(touch_pages, &job);
}

/*
 * Answer straight from the mapping.  False if that is not possible or not worth
 * it, or if the kernel could not take the answer: then it is to be copied.
 */
static bool
read_in_place(struct worker *worker, struct device *device,
    const struct fs_io_range *range)
{
	int niov, r;

	r = btt_read_begin(device->btt, worker->btt, range->off, range->len,
	    worker->iov + 1, &niov);
	if (r < 0)
		return false;
	r = -E2BIG;
	if (is_worth_a_vector(range->len, niov) &&
	    (r = fetch_pages(worker->iov + 1, niov)) == 0)
		r = worker_reply(worker, 0, range->len, niov + 1);
	btt_read_end(device->btt, worker->btt);
	return r == 0 || r == -ENOENT || r == -ENODEV;
}

static void
serve_read(struct worker *worker, struct device *device, const void *arg)
{
	struct fs_io_range range;
	int r;

	if ((r = fs_io_read(device, arg, &range)) < 0) {
		reply_error(worker, r);
		return;
	}
	worker->outcome.bytes = range.len;
	if (range.len == 0) {
		reply_data(worker, worker->payload, 0);
		return;
	}
	/* With a ring there is one copy either way, and one fewer step so. */
	if (worker->ring == NULL && range.len > COPY_BYTES_MOST &&
	    read_in_place(worker, device, &range))
		return;
	/*
	 * A ring, little, many small pieces, or an error.  If the medium has
	 * gone while the kernel copied (EFAULT) it has told the asker already:
	 * the second answer then finds nobody.
	 */
	r = btt_read(
	    device->btt, worker->btt, range.off, range.len, worker->payload);
	if (r < 0)
		reply_error(worker, r);
	else
		reply_data(worker, worker->payload, range.len);
}

static void
serve_write(struct worker *worker, struct device *device, const void *arg,
    size_t arg_bytes)
{
	const struct fuse_write_in *in;
	struct fuse_write_out out = { 0 };
	int r;

	in = arg;
	if (arg_bytes - sizeof(*in) != in->size) {
		reply_error(worker, -EINVAL);
		return;
	}
	r = fs_io_write(device, worker->btt, in, worker->payload, &out.size);
	worker->outcome.bytes = out.size;
	if (r < 0)
		reply_error(worker, r);
	else
		reply_data(worker, &out, sizeof(out));
}

static void
serve_fsync(struct worker *worker, struct device *device)
{
	reply_error(worker,
	    fs_io_fsync(device, worker->btt, worker->session->context.tree));
}

static void
serve_fallocate(struct worker *worker, struct device *device, const void *arg)
{
	const struct fuse_fallocate_in *in;

	in = arg;
	if ((in->mode & ~(uint32_t)FALLOC_FL_KEEP_SIZE) != 0)
		worker->outcome.bytes = in->length;
	else
		worker->outcome.kind = IO_OTHER; /* nothing to do, see there */
	reply_error(worker, fs_io_fallocate(device, worker->btt, in));
}

static void
serve_lseek(struct worker *worker, struct device *device, const void *arg)
{
	struct fuse_lseek_out out = { 0 };
	int r;

	r = fs_io_lseek(device, worker->btt, arg, &out.offset);
	if (r < 0)
		reply_error(worker, r);
	else
		reply_data(worker, &out, sizeof(out));
}

void
worker_hand_to_libfuse(struct worker *worker, size_t bytes)
{
	struct fuse_buf buf = {
		.size = bytes,
		.mem = worker->request,
	};

	fuse_session_process_buf(worker->session->fuse, &buf);
}

/* What we parse ourselves. */
struct request_kind {
	const char *name; /* NULL: none of ours */
	/* Of arguments, without which it makes no sense. */
	size_t least_arg_bytes;
	enum io_kind io;
};

static struct request_kind
kind_of(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_READ:
		return (struct request_kind){ "READ",
			sizeof(struct fuse_read_in), IO_READ };
	case FUSE_WRITE:
		return (struct request_kind){ "WRITE",
			sizeof(struct fuse_write_in), IO_WRITE };
	case FUSE_FSYNC:
		return (struct request_kind){ "FSYNC", 0, IO_FLUSH };
	case FUSE_FALLOCATE:
		return (struct request_kind){ "FALLOCATE",
			sizeof(struct fuse_fallocate_in), IO_ZERO };
	case FUSE_LSEEK:
		return (struct request_kind){ "LSEEK",
			sizeof(struct fuse_lseek_in), IO_OTHER };
	default:
		return (struct request_kind){ NULL, 0, IO_OTHER };
	}
}

static void
serve_in_device(struct worker *worker, struct device *device, const void *arg,
    size_t arg_bytes)
{
	switch (worker->request->opcode) {
	case FUSE_READ:
		serve_read(worker, device, arg);
		break;
	case FUSE_WRITE:
		serve_write(worker, device, arg, arg_bytes);
		break;
	case FUSE_FSYNC:
		serve_fsync(worker, device);
		break;
	case FUSE_FALLOCATE:
		serve_fallocate(worker, device, arg);
		break;
	case FUSE_LSEEK:
		serve_lseek(worker, device, arg);
		break;
	}
}

static void
count(struct worker *worker, struct device *device, uint64_t begun_ns)
{
	const struct outcome *outcome = &worker->outcome;
	/* ENOSYS tells the kernel not to ask again, and why it need not. */
	bool failed = outcome->error < 0 && outcome->error != -ENOSYS;

	io_stats_count(device->io_stats, worker->index, outcome->kind,
	    outcome->bytes, failed, begun_ns);
}

void
worker_serve(struct worker *worker, size_t bytes)
{
	const struct fuse_in_header *request;
	struct request_kind kind;
	struct device *device;
	struct tree *tree;
	uint64_t begun_ns;
	size_t arg_bytes;

	/* The kernel's word: it hands out whole messages only. */
	request = worker->request;
	assert(bytes >= sizeof(*request) && request->len == bytes);
	arg_bytes = bytes - sizeof(*request);
	kind = kind_of(request->opcode);
	if (kind.name == NULL) {
		/* INTERRUPT: the kernel stops sending them: no write ends
		 * halfway. */
		if (request->opcode == FUSE_INTERRUPT)
			reply_error(worker, -ENOSYS);
		else if (worker->ring != NULL)
			worker_serve_ring_by_libfuse(worker, bytes);
		else
			worker_hand_to_libfuse(worker, bytes);
		return;
	}
	if (arg_bytes < kind.least_arg_bytes) {
		reply_error(worker, -EINVAL);
		return;
	}
	begun_ns = clock_ns();
	tree = worker->session->context.tree;
	device = tree_enter(tree, worker->index, request->nodeid, kind.name);
	if (device == NULL) {
		reply_error(worker, -ENODEV);
		return;
	}
	worker->outcome = (struct outcome){ .kind = kind.io };
	serve_in_device(worker, device, request + 1, arg_bytes);
	count(worker, device, begun_ns);
	tree_leave(tree, worker->index);
}

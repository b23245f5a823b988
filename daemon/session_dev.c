/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session_dev -- requests over /dev/fuse: one read(2) and one writev(2) each.
 */
#include <errno.h>
#include <unistd.h>

#include "session_impl.h"

ssize_t
worker_receive(struct worker *worker)
{
	ssize_t n;

	n = read(worker->session->fd, worker->request, REQUEST_BYTES);
	if (n >= 0)
		return n;
	/* ENOENT: the asker was killed before the request was read. */
	if (errno == ENOENT || errno == EINTR || errno == EAGAIN)
		return 0;
	return -errno;
}

int
worker_reply_by_device(struct worker *worker, int error, size_t bytes, int niov)
{
	struct fuse_out_header header = {
		.len = (uint32_t)(sizeof(header) + bytes),
		.error = error,
		.unique = worker->request->unique,
	};
	ssize_t n;

	worker->iov[0].iov_base = &header;
	worker->iov[0].iov_len = sizeof(header);
	do {
		n = writev(worker->session->fd, worker->iov, niov);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory_server_ring -- the same over io_uring: for each CPU a thread on it, a
 * ring, and entries that the kernel hands requests in.
 */
#include <sys/mman.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <liburing.h>

#include "memory_server.h"

#define NENTRY 16u

struct entry {
	struct fuse_uring_req_header *head;
	uint8_t *payload;
	struct iovec iov[2];
};

struct ring {
	const struct memory_server *server;
	struct io_uring uring;
	unsigned queue;
	struct entry entries[NENTRY];
};

static void
command(struct ring *ring, struct entry *entry, unsigned what, uint64_t unique)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
	const struct fuse_uring_cmd_req request = {
		.commit_id = unique,
		.qid = (uint16_t)ring->queue,
	};

	/* Twice the usual size, which the type does not tell. */
	void *const all = sqe;

	if (sqe == NULL)
		abort(); /* an entry has one command at most */
	memset(all, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = ring->server->fd;
	sqe->addr = (uintptr_t)entry->iov;
	sqe->len = 2;
	sqe->user_data = (uintptr_t)entry;
	/* Its name is newer than the headers; it lies over the offset. */
	sqe->off = what;
	memcpy((uint8_t *)all + offsetof(struct io_uring_sqe, cmd), &request,
	    sizeof(request));
}

static int
ring_init(struct ring *ring)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQE128 };
	const size_t stride = 4096 + MEMORY_MAX_IO;
	uint8_t *bytes;
	int r;

	r = io_uring_queue_init_params(2 * NENTRY, &ring->uring, &params);
	if (r < 0)
		return r;
	bytes = mmap(NULL, NENTRY * stride, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	for (unsigned i = 0; i < NENTRY; i++) {
		struct entry *entry = &ring->entries[i];

		entry->head = (void *)(bytes + i * stride);
		entry->payload = bytes + i * stride + 4096;
		entry->iov[0].iov_base = entry->head;
		entry->iov[0].iov_len = sizeof(*entry->head);
		entry->iov[1].iov_base = entry->payload;
		entry->iov[1].iov_len = MEMORY_MAX_IO;
		command(ring, entry, FUSE_IO_URING_CMD_REGISTER, 0);
	}
	return 0;
}

static void
serve(struct ring *ring, struct entry *entry)
{
	const struct memory_server *server = ring->server;
	struct fuse_in_header in;
	struct fuse_out_header *out = (void *)entry->head->in_out;
	const struct fuse_read_in *read_in = (const void *)entry->head->op_in;
	const struct fuse_write_in *write_in = (const void *)entry->head->op_in;
	struct memory_answer answer;
	uint32_t bytes;

	memcpy(&in, entry->head->in_out, sizeof(in));
	*out = (struct fuse_out_header){ .unique = in.unique };
	switch (in.opcode) {
	case FUSE_READ:
		bytes = memory_clamp(server, read_in->offset, read_in->size);
		memcpy(entry->payload, server->bytes + read_in->offset, bytes);
		break;
	case FUSE_WRITE:
		bytes = memory_clamp(server, write_in->offset, write_in->size);
		memcpy(server->bytes + write_in->offset, entry->payload, bytes);
		memcpy(entry->payload,
		    &(struct fuse_write_out){ .size = bytes },
		    sizeof(struct fuse_write_out));
		bytes = sizeof(struct fuse_write_out);
		break;
	default:
		(void)memory_answer(
		    server, &in, (const char *)entry->payload, &answer);
		out->error = answer.error;
		bytes = (uint32_t)answer.bytes;
		memcpy(entry->payload, answer.out.of, bytes);
	}
	out->len = (uint32_t)sizeof(*out) + bytes;
	entry->head->ring_ent_in_out.payload_sz = bytes;
	command(ring, entry, FUSE_IO_URING_CMD_COMMIT_AND_FETCH, in.unique);
}

static void *
serve_ring(void *arg)
{
	struct ring *ring = arg;
	struct io_uring_cqe *cqe;
	unsigned at, n;
	cpu_set_t cpu;
	int r;

	CPU_ZERO(&cpu);
	CPU_SET(ring->queue, &cpu);
	(void)pthread_setaffinity_np(pthread_self(), sizeof(cpu), &cpu);
	if (ring_init(ring) < 0)
		_exit(1);
	for (;;) {
		/* A tracer that comes or goes interrupts it. */
		r = io_uring_submit_and_wait(&ring->uring, 1);
		if (r < 0 && r != -EINTR)
			return NULL;
		n = 0;
		io_uring_for_each_cqe(&ring->uring, at, cqe)
		{
			if (cqe->res != 0) /* the mount has gone */
				return NULL;
			serve(ring, (void *)(uintptr_t)cqe->user_data);
			n++;
		}
		io_uring_cq_advance(&ring->uring, n);
	}
}

int
memory_ring_start(struct memory_server *server)
{
	long ncpu = sysconf(_SC_NPROCESSORS_CONF);
	pthread_t thread;

	for (unsigned i = 0; i < (unsigned)ncpu; i++) {
		struct ring *ring = calloc(1, sizeof(*ring));

		if (ring == NULL)
			return -ENOMEM;
		ring->server = server;
		ring->queue = i;
		if (pthread_create(&thread, NULL, serve_ring, ring) != 0)
			return -EAGAIN;
	}
	return 0;
}

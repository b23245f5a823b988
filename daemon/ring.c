/* SPDX-License-Identifier: BSD-3-Clause */
#include "ring.h"

#include <sys/mman.h>

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <liburing.h>

/*
 * Requests of one CPU that are under way at the same time; more wait in the
 * kernel.  More than 16 gain nothing; each costs the memory of the largest
 * request, so with many CPUs there are fewer.
 */
#define NENTRY_MAX 16u
#define NENTRY_SHARED 4u /* where a queue has several rings (fuse.md 3.5) */
#define NENTRY_MIN 2u
#define NENTRY_ALL 64u

struct ring {
	struct io_uring uring;
	int fd;         /* /dev/fuse; not ours */
	unsigned queue; /* CPU */
	bool offered;   /* the entries are, to the kernel */
	bool locked;
	uint8_t *memory;
	size_t memory_bytes, payload_bytes;
	unsigned nentry;
	struct ring_entry entries[NENTRY_MAX];
};

unsigned
ring_nqueue(void)
{
	long n = sysconf(_SC_NPROCESSORS_CONF);

	return n < 1 ? 1 : (unsigned)n;
}

static unsigned
choose_nentry(unsigned nring)
{
	unsigned most = nring > 1 ? NENTRY_SHARED : NENTRY_MAX;
	unsigned n = NENTRY_ALL / ring_nqueue();

	if (n < NENTRY_MIN)
		return NENTRY_MIN;
	return n > most ? most : n;
}

/* A page for the header, then the payload. */
static int
make_entries(struct ring *ring, size_t payload_bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t stride = page + payload_bytes;

	ring->payload_bytes = payload_bytes;
	ring->memory_bytes = ring->nentry * stride;
	ring->memory = mmap(NULL, ring->memory_bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (ring->memory == MAP_FAILED) {
		ring->memory = NULL;
		return -ENOMEM;
	}
	ring->locked = mlock(ring->memory, ring->memory_bytes) == 0;
	for (unsigned i = 0; i < ring->nentry; i++) {
		struct ring_entry *entry = &ring->entries[i];
		uint8_t *at = ring->memory + i * stride;

		entry->head = (struct fuse_uring_req_header *)(void *)at;
		entry->payload = at + page;
		entry->iov[0].iov_base = entry->head;
		entry->iov[0].iov_len = sizeof(*entry->head);
		entry->iov[1].iov_base = entry->payload;
		entry->iov[1].iov_len = payload_bytes;
		entry->answered = true;
	}
	return 0;
}

int
ring_new(int fd, unsigned queue, unsigned nring, size_t payload_bytes,
    struct ring **ret_ring)
{
	/* Commands of FUSE are longer than others. */
	struct io_uring_params params = { .flags = IORING_SETUP_SQE128 };
	struct ring *ring;
	int r;

	if ((ring = calloc(1, sizeof(*ring))) == NULL)
		return -ENOMEM;
	ring->fd = fd;
	ring->queue = queue;
	ring->nentry = choose_nentry(nring);
	r = io_uring_queue_init_params(ring->nentry, &ring->uring, &params);
	if (r < 0) {
		free(ring);
		return r;
	}
	if ((r = make_entries(ring, payload_bytes)) < 0) {
		ring_free(ring);
		return r;
	}
	*ret_ring = ring;
	return 0;
}

void
ring_free(struct ring *ring)
{
	if (ring == NULL)
		return;
	io_uring_queue_exit(&ring->uring);
	if (ring->memory != NULL)
		(void)munmap(ring->memory, ring->memory_bytes);
	free(ring);
}

bool
ring_is_locked(const struct ring *ring)
{
	return ring->locked;
}

void
ring_stay(const struct ring *ring)
{
	cpu_set_t cpu;

	if (ring->queue >= CPU_SETSIZE)
		return;
	CPU_ZERO(&cpu);
	CPU_SET(ring->queue, &cpu);
	(void)sched_setaffinity(0, sizeof(cpu), &cpu); /* a matter of speed */
}

/* An entry has one command under way, so there is a place for each. */
static void
command(struct ring *ring, struct ring_entry *entry, enum fuse_uring_cmd what,
    uint64_t unique)
{
	const struct fuse_uring_cmd_req request = {
		.commit_id = unique,
		.qid = (uint16_t)ring->queue,
	};
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
	uint8_t *bytes = (uint8_t *)sqe;

	assert(sqe != NULL);
	/* Twice the size that its type has. */
	memset(bytes, 0, sizeof(*sqe));
	memset(bytes + sizeof(*sqe), 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = ring->fd;
	sqe->addr = (uintptr_t)entry->iov;
	sqe->len = sizeof(entry->iov) / sizeof(entry->iov[0]);
	sqe->user_data = (uintptr_t)entry;
	sqe->off = what; /* cmd_op, in headers that know it */
	memcpy(bytes + offsetof(struct io_uring_sqe, cmd), &request,
	    sizeof(request));
}

int
ring_wait(struct ring *ring)
{
	int r;

	if (!ring->offered) {
		for (unsigned i = 0; i < ring->nentry; i++)
			command(ring, &ring->entries[i],
			    FUSE_IO_URING_CMD_REGISTER, 0);
		ring->offered = true;
	}
	r = io_uring_submit_and_wait(&ring->uring, 1);
	if (r >= 0)
		return 1;
	return r == -EINTR || r == -EAGAIN || r == -EBUSY ? 0 : r;
}

int
ring_next(struct ring *ring, struct ring_entry **ret_entry)
{
	struct io_uring_cqe *cqe;
	int r;

	*ret_entry = NULL;
	if (io_uring_peek_cqe(&ring->uring, &cqe) != 0)
		return 0;
	r = cqe->res;
	*ret_entry = (struct ring_entry *)(uintptr_t)cqe->user_data;
	io_uring_cqe_seen(&ring->uring, cqe);
	if (r < 0) {
		*ret_entry = NULL;
		/* What a mount that has gone says to those that wait. */
		return r == -ENOTCONN || r == -ECONNABORTED ? -ENODEV : r;
	}
	(*ret_entry)->answered = false;
	return 0;
}

void
ring_submit(struct ring *ring)
{
	if (io_uring_sq_ready(&ring->uring) > 0)
		(void)io_uring_submit(&ring->uring); /* else with the next */
}

/* The pieces one behind the other in the entry, where they are not yet. */
static size_t
gather(const struct ring *ring, struct ring_entry *entry,
    const struct iovec *iov, int niov)
{
	size_t bytes = 0;

	for (int i = 0; i < niov; i++) {
		assert(iov[i].iov_len <= ring->payload_bytes - bytes);
		if (iov[i].iov_base != entry->payload + bytes)
			memcpy(entry->payload + bytes, iov[i].iov_base,
			    iov[i].iov_len);
		bytes += iov[i].iov_len;
	}
	return bytes;
}

void
ring_answer(struct ring *ring, struct ring_entry *entry, uint64_t unique,
    int error, const struct iovec *iov, int niov)
{
	size_t bytes = gather(ring, entry, iov, niov);
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + bytes),
		.error = error,
		.unique = unique,
	};

	assert(!entry->answered);
	memcpy(entry->head->in_out, &out, sizeof(out));
	entry->head->ring_ent_in_out.payload_sz = (uint32_t)bytes;
	command(ring, entry, FUSE_IO_URING_CMD_COMMIT_AND_FETCH,
	    entry->head->ring_ent_in_out.commit_id);
	entry->answered = true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_RING_H
#define BTTFS_RING_H

/*
 * ring -- one queue of the kernel's FUSE transport over io_uring (Linux 6.14):
 * the kernel puts requests of one CPU into the queue's entries, and is given
 * the answers and the entries back, many in one system call.  It knows how
 * requests travel and not what they mean.
 *
 * A ring belongs to the thread that calls ring_wait.
 */
#include <sys/uio.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <btt/error.h>

#include "fs_uapi.h"

struct ring;

/* What a request or an answer lies in.  Keys as in session_impl.h. */
struct ring_entry {
	struct fuse_uring_req_header *head; /* [I] */
	uint8_t *payload;                   /* [I] of payload_bytes; aligned */
	struct iovec iov[2];                /* [I] both, for the kernel */
	bool answered; /* [W] since it was handed out last */
};

/* A queue for each CPU that there can be; the kernel wants all of them. */
unsigned ring_nqueue(void);

/*
 * A ring on the queue of that CPU on /dev/fuse, with entries for requests of up
 * to payload_bytes, in memory that is locked if that is allowed.  Until
 * ring_wait nothing is told to the kernel's FUSE.  Of the nring rings that a
 * queue gets the kernel takes whichever entry was given back last.
 *
 * Returns 0; -ENOSYS, -EPERM or what else io_uring_setup(2) says where there is
 * no io_uring for us; -ENOMEM.
 */
int ring_new(int fd, unsigned queue, unsigned nring, size_t payload_bytes,
    struct ring **ret_ring) BTT_MUST_CHECK;
/* NULL is fine. */
void ring_free(struct ring *ring);
bool ring_is_locked(const struct ring *ring);

/*
 * Stay on the queue's CPU from now on, if we may: requests come from there
 * (fuse.md 8.1).
 */
void ring_stay(const struct ring *ring);

/*
 * Offer all entries, the first time; hand over the answers that were put; and
 * wait for requests.  Returns 1 if something has come; 0 after a signal; else
 * a negative errno.
 */
int ring_wait(struct ring *ring) BTT_MUST_CHECK;

/*
 * The next of the requests that have come, or NULL.  Returns 0; -ENODEV if the
 * mount has gone; else what the kernel says of an entry it does not want.
 */
int ring_next(struct ring *ring, struct ring_entry **ret_entry) BTT_MUST_CHECK;

/* Hand over the answers that were put, before something takes long. */
void ring_submit(struct ring *ring);

/*
 * Put the answer to an entry's request: iov's bytes in all, of which those in
 * the entry's payload already are at its beginning.  error is negative or 0.
 */
void ring_answer(struct ring *ring, struct ring_entry *entry, uint64_t unique,
    int error, const struct iovec *iov, int niov);

#endif

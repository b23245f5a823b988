/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_SESSION_KEPT_H
#define BTTFS_SESSION_KEPT_H

/*
 * session_kept -- what the kernel and this mount's first server agreed on, for
 * every later one: the kernel says it once only.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <btt/error.h>

/* The kernel's first request, as it came; 104 bytes for now. */
#define SESSION_KEPT_INIT_BYTES 1024u

/* In shared memory.  Keys: I immutable once magic is set, a atomic. */
struct session_kept {
	_Atomic uint64_t magic;        /* [a] 0: nothing has been agreed on */
	uint32_t init_bytes;           /* [I] */
	_Atomic uint32_t fsync_elided; /* [a] the kernel sends no FSYNC */
	uint8_t init[SESSION_KEPT_INIT_BYTES]; /* [I] */
};

/* New memory; *ret_fd is the caller's. */
int
session_kept_new(struct session_kept **ret_kept, int *ret_fd) BTT_MUST_CHECK;
/* That of a predecessor, which fd stays.  -EUCLEAN if it makes no sense. */
int session_kept_map(int fd, struct session_kept **ret_kept) BTT_MUST_CHECK;
void session_kept_unmap(struct session_kept *kept);
/* The request is complete and was answered. */
int session_kept_set(struct session_kept *kept, const void *init, size_t bytes)
    BTT_MUST_CHECK;

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_MEMORY_SERVER_H
#define BTTFS_MEMORY_SERVER_H

/*
 * memory_server -- the floor of the benchmark's FUSE half: shows memory as one
 * file, and does nothing that a server could leave out.  No map, no log, no
 * checks, no libfuse.  What a file in a FUSE mount costs above this is its own
 * server's.  With a file instead of memory it is the floor of what is on a disk:
 * pread, pwrite and fdatasync, and sectors that a power cut may tear.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs_uapi.h"

#define MEMORY_MAX_IO (1u << 20)
#define MEMORY_NODE 2 /* the file's; the root is FUSE_ROOT_ID */

struct memory_server {
	int fd;
	int file;       /* what is shown, -1: memory */
	uint8_t *bytes; /* NULL with a file */
	uint64_t size;
};

/* The answer to all but READ and WRITE. */
struct memory_answer {
	int error;
	size_t bytes;
	union {
		struct fuse_entry_out entry;
		struct fuse_attr_out attr;
		struct fuse_open_out open;
		struct fuse_statfs_out statfs;
		uint8_t of[256];
	} out;
};

/* name is that of a LOOKUP.  Returns false for what wants no answer. */
bool memory_answer(const struct memory_server *server,
    const struct fuse_in_header *in, const char *name,
    struct memory_answer *answer);

/* The part of the range that lies in the file. */
uint32_t
memory_clamp(const struct memory_server *server, uint64_t off, uint32_t bytes);

/*
 * Serve with one thread and ring a CPU, until the mount has gone; requests that
 * do not come that way are the caller's.  Returns 0 or a negative errno.
 */
int memory_ring_start(struct memory_server *server);

#endif

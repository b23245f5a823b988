/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_FS_UAPI_H
#define BTTFS_FS_UAPI_H

/*
 * fs_uapi -- the kernel's FUSE protocol, with the numbers that are newer than
 * the headers of the oldest system we build on.  Part of the kernel's stable
 * interface: they never change.
 */
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <stdint.h>

/* INIT flags, 64 bits wide: the upper half travels in flags2 (5.17). */
#ifndef FUSE_DIRECT_IO_ALLOW_MMAP
#define FUSE_DIRECT_IO_ALLOW_MMAP (1ULL << 36) /* 6.6 */
#endif
#ifndef FUSE_HAS_RESEND
#define FUSE_HAS_RESEND (1ULL << 39) /* 6.9 */
/* A code of enum fuse_notify_code: no way to see whether it is there. */
#define FUSE_NOTIFY_RESEND 7
#endif

/* Requests by io_uring instead of read(2) and write(2), where allowed. */
#ifndef FUSE_OVER_IO_URING
#define FUSE_OVER_IO_URING (1ULL << 41) /* 6.14 */

struct fuse_uring_ent_in_out {
	uint64_t flags;
	uint64_t commit_id;  /* what the answer is to name */
	uint32_t payload_sz; /* there and back */
	uint32_t padding;
	uint64_t reserved;
};

struct fuse_uring_req_header {
	char in_out[128]; /* struct fuse_in_header, then fuse_out_header */
	char op_in[128];  /* the first argument */
	struct fuse_uring_ent_in_out ring_ent_in_out;
};

enum fuse_uring_cmd {
	FUSE_IO_URING_CMD_INVALID = 0,
	FUSE_IO_URING_CMD_REGISTER = 1,
	FUSE_IO_URING_CMD_COMMIT_AND_FETCH = 2,
};

/* In the submission. */
struct fuse_uring_cmd_req {
	uint64_t flags;
	uint64_t commit_id;
	uint16_t qid;
	uint8_t padding[6];
};
#endif

#ifndef FOPEN_NOFLUSH
#define FOPEN_NOFLUSH (1u << 5) /* 5.16 */
#endif
#ifndef FOPEN_PARALLEL_DIRECT_WRITES
#define FOPEN_PARALLEL_DIRECT_WRITES (1u << 6) /* 6.2 */
#endif

#endif

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

/* INIT flags, 64 bits wide: the upper half travels in flags2 (5.17). */
#ifndef FUSE_DIRECT_IO_ALLOW_MMAP
#define FUSE_DIRECT_IO_ALLOW_MMAP (1ULL << 36) /* 6.6 */
#endif
#ifndef FUSE_HAS_RESEND
#define FUSE_HAS_RESEND (1ULL << 39) /* 6.9 */
/* A code of enum fuse_notify_code: no way to see whether it is there. */
#define FUSE_NOTIFY_RESEND 7
#endif

#ifndef FOPEN_NOFLUSH
#define FOPEN_NOFLUSH (1u << 5) /* 5.16 */
#endif
#ifndef FOPEN_PARALLEL_DIRECT_WRITES
#define FOPEN_PARALLEL_DIRECT_WRITES (1u << 6) /* 6.2 */
#endif

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_EXIT_STATUS_H
#define BTTFS_EXIT_STATUS_H

/* Exit status of bttfs, as mount(8) has it for its helpers. */
enum {
	EXIT_OK = 0,
	EXIT_USAGE = 1,
	EXIT_SYSTEM = 2,
	EXIT_MOUNT = 32,
};

#endif

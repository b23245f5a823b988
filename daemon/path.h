/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_PATH_H
#define BTTFS_PATH_H

/*
 * path -- names that others have given.
 */
#include <stdbool.h>

#include <btt/error.h>

/*
 * A descriptor of open(2)'s O_PATH.  With no_links, a symbolic link anywhere in
 * the path, which is absolute then, is -ELOOP.  Errors: as open(2).
 */
int path_open(const char *path, bool no_links) BTT_MUST_CHECK;

#endif

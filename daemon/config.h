/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_CONFIG_H
#define BTTFS_CONFIG_H

/*
 * config -- the file that says what a daemon serves (bttfs.conf(5)):
 *
 *	[bttfs]
 *	mountpoint = /srv/disks
 *	allow_other = yes
 *
 *	[vol0]
 *	backing = /dev/pmem0
 *	durability = write
 *
 * The section [bttfs] is the daemon's, each other one is a device's and has its
 * name.  Keys are the words of the command line (words.h); one that takes no
 * value there is yes or no here.  See ini_file.h.
 *
 * A file is read once, by the keeper, and handed to each of its servers as it
 * was then: one that is being edited cannot stop a server from following
 * another.
 */
#include <stddef.h>

#include <btt/error.h>

#include "device.h"
#include "words.h"

/* The daemon's section. */
#define CONFIG_DAEMON "bttfs"

struct config {
	size_t ndevice;
	struct device_options *devices; /* with names and absolute paths */
	unsigned *lines;                /* where their sections begin */
	char *text;                     /* the file */
	size_t size;                    /* bytes of it */
	struct config_string *strings;  /* what options point to */
};

/*
 * Read the file at path or, if fd is not -1, what that refers to; path is then
 * for messages.  What the daemon's section says goes to the tables.
 *
 * Returns: 0; -EINVAL with file, line and reason; what open(2) and read(2) say;
 * -EFBIG; -ENOMEM.  ret_config is to be given to config_fini in any case, and
 * outlives what was set.
 */
int config_read(const char *path, int fd, const struct word_table *tables,
    size_t ntable, struct config *ret_config, struct btt_error *error)
    BTT_MUST_CHECK;
/* The same of text, which is copied. */
int config_parse(const char *text, size_t size, const char *path,
    const struct word_table *tables, size_t ntable, struct config *ret_config,
    struct btt_error *error) BTT_MUST_CHECK;
void config_fini(struct config *config);

/*
 * A descriptor of a file in memory that has the same text, or a negative errno.
 */
int config_share(const struct config *config) BTT_MUST_CHECK;

/*
 * The name of a configuration, as its socket is called: the last component of
 * the path, without ".conf".  Points into path; *ret_len is its length.
 */
const char *config_name(const char *path, size_t *ret_len);

#endif

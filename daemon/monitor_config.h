/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_MONITOR_CONFIG_H
#define BTTFS_MONITOR_CONFIG_H

/*
 * monitor_config -- what bttctl monitor follows unless the command line says it,
 * in files with the sections and keys of ndctl's:
 *
 *	[core]
 *	namespace = vol0 vol1
 *	[monitor]
 *	event = namespace-failed
 *	log = /var/log/bttctl-monitor.log
 *
 * What [monitor] says replaces what [core] does, and a later file what an
 * earlier one does.
 */
#include <btt/error.h>

/* Files that are read by themselves, in the order of their names. */
#define MONITOR_CONFIG_DIRECTORY "/etc/bttctl.conf.d"

struct monitor_config {
	char *names;  /* parted by blanks or commas; NULL: all */
	char *events; /* the same */
	char *log;    /* NULL: standard output */
};

/*
 * Read the file at path, or if that is NULL those of the directory, of which
 * there need be none.  ret_config is to be given to monitor_config_fini in any
 * case.  Errors: as ini_file.h has them, with file and line.
 */
int monitor_config_read(const char *path, struct monitor_config *ret_config,
    struct btt_error *error) BTT_MUST_CHECK;
void monitor_config_fini(struct monitor_config *config);

#endif

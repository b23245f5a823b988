/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_OPTIONS_H
#define BTTFS_OPTIONS_H

/*
 * options -- the command line of bttfs, also as mount(8) calls it:
 *
 *	bttfs [-f] [-o OPTIONS] BACKING MOUNTPOINT
 *	bttfs BACKING MOUNTPOINT -o rw,dev,suid,OPTIONS
 *	bttfs [-f] [-o OPTIONS] --config FILE [MOUNTPOINT]
 *
 * In the last form the devices, if there are any in the beginning, are FILE's
 * (config.h); what the command line says of the mount replaces what FILE does.
 *
 * Words that every file system is given are accepted, whether they mean
 * something here or not; others that are not known are refused.  Of words that
 * contradict each other the last one counts, as for mount(8).
 */
#include <stdbool.h>
#include <stdio.h>

#include <btt/error.h>

#include "config.h"
#include "confine.h"
#include "control.h"
#include "device.h"

enum options_action {
	OPTIONS_SERVE,
	OPTIONS_HELP,
	OPTIONS_VERSION,
};

/* Longer than a disk takes for anything, and as the kernel has it for tasks. */
#define OPTIONS_HANG_SECONDS 120u
#define OPTIONS_HANG_SECONDS_MAX 86400u
#define OPTIONS_NCRASH 10u
#define OPTIONS_NCRASH_MAX 100000u

/* How requests come from the kernel. */
enum options_transport {
	OPTIONS_TRANSPORT_AUTO, /* by io_uring where nothing is lost by it */
	OPTIONS_TRANSPORT_DEV,
	OPTIONS_TRANSPORT_RING,
};

struct options {
	enum options_action action;
	bool foreground;
	bool debug;
	bool allow_other;
	bool sync;
	unsigned nworker; /* 0: chosen by workers_choose */
	enum options_transport transport;
	bool streaming;        /* few large requests rather than many small */
	unsigned hang_seconds; /* of a server, before it is killed; 0: no */
	enum confine confine;  /* of a server, once it serves */
	unsigned ncrash;       /* of servers in a minute, to live with */
	int ask_socket, notice_socket; /* of a server, to its keeper; else -1 */
	int config_fd; /* of a server: the configuration, to be closed; or -1 */
	const char *backing;            /* as given; FILE with --config */
	const char *mountpoint;         /* as given */
	const char *fsname;             /* NULL: backing's path */
	struct control_options control; /* path NULL: no socket */
	struct device_options device;   /* path is backing; not with --config */
	bool has_config; /* the devices are the configuration's */
	struct config config;
	/* Owned; what the strings above that -o gave point to. */
	char *words, *socket_path;
};

/*
 * Parse a command line, argv[0] being the program's name.  argv is reordered
 * and must outlive ret_options.
 *
 * Returns: 0; -EINVAL with the reason; -ENOMEM; what opening and reading a
 * configuration says.  ret_options is to be given to
 * options_fini in any case.
 */
int options_parse(int argc, char *argv[], struct options *ret_options,
    struct btt_error *error) BTT_MUST_CHECK;
void options_fini(struct options *options);

/* Usage and a line for each option. */
void options_print_help(FILE *file);

#endif

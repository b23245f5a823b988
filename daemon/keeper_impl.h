/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_KEEPER_IMPL_H
#define BTTFS_KEEPER_IMPL_H

/*
 * keeper_impl -- what the files of the keeper share: keeper.c (its life and
 * its talk with the server), keeper_start.c (starting one), keeper_stop.c
 * (ending the mount), keeper_held.c (a mount that outlives the keeper).
 */
#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

#include "kept_fds.h"
#include "log.h"
#include "mount.h"
#include "options.h"
#include "process.h"

/* How far stopping has come. */
struct keeper_stop {
	unsigned nsignal;
	bool unmounted; /* from our path; maybe not from everywhere */
	bool forced;
	bool said;          /* why it takes long */
	uint64_t forced_ms; /* when */
};

struct keeper_state; /* see keeper_held.c */

/* One process, one thread. */
struct keeper {
	const struct options *options;
	struct log log;
	struct process_start start;
	char **argv; /* for servers, ended by NULL; [1] is theirs to fill */
	int nargv;
	char *program;       /* what to execute */
	int config_fd;       /* the configuration as it was read; or -1 */
	struct mount *mount; /* NULL before it is asked for */
	struct kept_fds kept;
	struct keeper_state *state; /* NULL: the mount ends with us */
	int signal_fd;
	struct keeper_stop stop;

	/* The server of the moment. */
	pid_t pid;         /* 0: none */
	int ask_socket;    /* -1: none */
	int notice_socket; /* -1: none */
	uint64_t number;   /* of servers before it */
	uint64_t started_ms;
	bool serving; /* it has said so */
	bool ended;   /* it has seen the end of the mount */
	bool yields;  /* it makes room for a successor */
	bool leaving; /* and so do we: state is not NULL */
	uint64_t pinged_ms, ponged_ms;
	uint64_t watchdog_ms; /* of systemd's; 0: none */
	uint64_t killed_ms;   /* for hanging; 0: not */
	unsigned nhang;       /* in a row: of it and its predecessors */

	/* Of all servers. */
	bool served;       /* one has */
	bool can_resend;   /* the kernel gives requests out again */
	uint64_t *crashes; /* ms of the last ones, options->ncrash of them */
	unsigned ncrash;   /* ever */
	int status;        /* to exit with */
};

/* What ends here. */
int keeper_fail(const struct keeper *keeper, const char *what, int r,
    const struct btt_error *error);

/*
 * argv for servers: as ours, but with absolute paths, since we leave the
 * directory where they meant something.  Returns 0 or a negative errno.
 */
int
keeper_prepare(struct keeper *keeper, int argc, char *argv[]) BTT_MUST_CHECK;
/* Give back what that took, whether or not it succeeded. */
void keeper_unprepare(struct keeper *keeper);
/* Start a server and tell it what is kept. */
int keeper_start_server(struct keeper *keeper) BTT_MUST_CHECK;

/*
 * Take over a mount that outlives its keepers, if we were given one.  Returns 0
 * or a negative errno.
 */
int keeper_adopt(struct keeper *keeper) BTT_MUST_CHECK;
/* For keepers to come: another server begins; the first one serves. */
void keeper_note_start(struct keeper *keeper);
void keeper_note_serving(struct keeper *keeper);
/* kept_fds_put and kept_fds_drop, also for keepers to come. */
int keeper_keep(struct keeper *keeper, const char *name, int fd) BTT_MUST_CHECK;
void keeper_drop(struct keeper *keeper, const char *name);
void keeper_drop_all(struct keeper *keeper);

/* A signal to stop has come. */
void keeper_on_stop(struct keeper *keeper);
/* Go on with stopping, if that is under way.  Called at least every RETRY_MS. */
void keeper_go_on_stopping(struct keeper *keeper);
#define KEEPER_RETRY_MS 500
/* Have the server make room, because of who. */
void keeper_ask_to_yield(struct keeper *keeper, const char *who);
/* Have the kernel fail all requests, now. */
void keeper_abort(struct keeper *keeper, const char *why);

#endif

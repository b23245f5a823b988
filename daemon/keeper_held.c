/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keeper_held -- a mount that outlives its keeper: it was made before the first
 * one, by who may mount (unit.c), and is known to this process by descriptors
 * that systemd keeps (fd_store.h):
 *
 *	fuse		/dev/fuse of the mount
 *	abort		by which requests can be failed
 *	keeper		what a keeper has to know of those before it
 *	session, device/NAME, backing/NAME: see kept_fds.h
 *
 * If there is a "session", there was a server before us, and the next one goes
 * on as after any other.  We cannot unmount: at SIGTERM the server yields, and
 * all is left as it is.  Who has the mount taken away does so first (the server
 * sees that, and ends), or drops the descriptors.
 */
#include <sys/mman.h>

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "fd_store.h"
#include "keeper_impl.h"

#define STATE_MAGIC UINT64_C(0x3172657065656b)

/* In shared memory; only the keeper of the moment writes to it. */
struct keeper_state {
	_Atomic uint64_t magic;      /* set last */
	_Atomic uint64_t nserver;    /* that were started so far */
	_Atomic uint64_t can_resend; /* as the first one said */
};

static int
map_state(struct keeper *keeper, int fd)
{
	void *at;

	/* What systemd has is not a stranger's, and still is looked at. */
	if (lseek(fd, 0, SEEK_END) < (off_t)sizeof(*keeper->state))
		return -EUCLEAN;
	at = mmap(NULL, sizeof(*keeper->state), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	keeper->state = at;
	return 0;
}

static int
new_state(struct keeper *keeper)
{
	int fd, r;

	if ((fd = memfd_create("bttfs-keeper", MFD_CLOEXEC)) < 0)
		return -errno;
	r = ftruncate(fd, sizeof(*keeper->state)) != 0 ? -errno
						       : map_state(keeper, fd);
	if (r < 0) {
		(void)close(fd); /* memory */
		return r;
	}
	atomic_store(&keeper->state->magic, STATE_MAGIC);
	return keeper_keep(keeper, "keeper", fd);
}

static int
old_state(struct keeper *keeper, int fd)
{
	int r;

	if ((r = map_state(keeper, fd)) < 0)
		return r;
	if (atomic_load(&keeper->state->magic) != STATE_MAGIC)
		return -EUCLEAN;
	keeper->number = atomic_load(&keeper->state->nserver);
	if (kept_fds_find(&keeper->kept, "session") < 0)
		return 0; /* none of them has got that far */
	keeper->served = true;
	keeper->can_resend = atomic_load(&keeper->state->can_resend) != 0;
	return 0;
}

int
keeper_adopt(struct keeper *keeper)
{
	int fd, r;

	if ((r = fd_store_adopt(&keeper->kept)) < 0)
		return r;
	if (kept_fds_find(&keeper->kept, "fuse") < 0) {
		kept_fds_fini(&keeper->kept); /* none that concerns us */
		return 0;
	}
	r = mount_adopt(keeper->options->mountpoint,
	    kept_fds_find(&keeper->kept, "abort"), &keeper->mount);
	if (r < 0)
		return r;
	fd = kept_fds_find(&keeper->kept, "keeper");
	r = fd < 0 ? new_state(keeper) : old_state(keeper, fd);
	if (r == 0 && keeper->served)
		log_say(&keeper->log, LOG_NOTICE,
		    "%s: going on after another keeper",
		    mount_path(keeper->mount));
	return r;
}

void
keeper_note_start(struct keeper *keeper)
{
	/* Before it runs: numbers of files depend on it (tree_set_number). */
	if (keeper->state != NULL)
		atomic_store(&keeper->state->nserver, keeper->number + 1);
}

void
keeper_note_serving(struct keeper *keeper)
{
	if (keeper->state != NULL)
		atomic_store(&keeper->state->can_resend, keeper->can_resend);
}

int
keeper_keep(struct keeper *keeper, const char *name, int fd)
{
	int r = 0;

	/* systemd first: what the server hears is true for both. */
	if (keeper->state != NULL)
		r = fd_store_put(name, fd);
	if (r < 0) {
		(void)close(fd); /* the server has its own */
		return r;
	}
	return kept_fds_put(&keeper->kept, name, fd);
}

void
keeper_drop(struct keeper *keeper, const char *name)
{
	if (keeper->state != NULL)
		fd_store_drop(name);
	kept_fds_drop(&keeper->kept, name);
}

void
keeper_drop_all(struct keeper *keeper)
{
	while (keeper->kept.n > 0)
		keeper_drop(keeper, keeper->kept.fd[keeper->kept.n - 1].name);
}

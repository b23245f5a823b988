/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interrupt.h"

/*
 * A handler can reach nothing but what is static.  The path is published last
 * and withdrawn first: while it is not NULL, device and inode are those of the
 * file.
 */
static struct {
	const char *_Atomic path;
	dev_t device;
	ino_t inode;
	atomic_bool line;
} state;

static const int caught[] = { SIGINT, SIGTERM, SIGHUP };

static void
caught_set(sigset_t *ret_set)
{
	size_t i;

	sigemptyset(ret_set);
	for (i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		sigaddset(ret_set, caught[i]);
}

/* Remove the file that we made, but nothing that has taken its place. */
static void
remove_file(void)
{
	struct stat st;
	const char *path;

	path = atomic_exchange(&state.path, NULL);
	if (path != NULL && lstat(path, &st) == 0 &&
	    st.st_dev == state.device && st.st_ino == state.inode)
		(void)unlink(path); /* there is nobody left to tell */
}

/* Async-signal-safe throughout. */
static void
handle(int number)
{
	int saved;

	saved = errno;
	remove_file();
	/* After the file: writing to a stopped terminal can take for ever. */
	if (atomic_load(&state.line) &&
	    write(STDERR_FILENO, INTERRUPT_ERASE, sizeof(INTERRUPT_ERASE) - 1) <
		0)
		errno = saved;
	signal(number, SIG_DFL);
	raise(number); /* is delivered when this handler returns */
	errno = saved;
}

void
interrupt_install(void)
{
	struct sigaction action, old;
	size_t i;

	action.sa_handler = handle;
	action.sa_flags = 0;
	caught_set(&action.sa_mask);
	for (i = 0; i < sizeof(caught) / sizeof(caught[0]); i++) {
		/* What the parent ignores (nohup) stays ignored. */
		if (sigaction(caught[i], NULL, &old) == 0 &&
		    old.sa_handler != SIG_IGN)
			sigaction(caught[i], &action, NULL);
	}
}

int
interrupt_create(const char *path)
{
	struct stat st;
	sigset_t set, old;
	int fd, r;

	/* No signal between the file's birth and our knowing of it. */
	caught_set(&set);
	sigprocmask(SIG_BLOCK, &set, &old);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : 0;
	if (r == 0 && fstat(fd, &st) < 0) {
		r = -errno;
		(void)unlink(path); /* r says more than this could */
		close(fd);
	}
	if (r == 0) {
		state.device = st.st_dev;
		state.inode = st.st_ino;
		atomic_store(&state.path, path);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r < 0 ? r : fd;
}

void
interrupt_keep(void)
{
	atomic_store(&state.path, NULL);
}

void
interrupt_remove(void)
{
	remove_file();
}

void
interrupt_line(bool drawn)
{
	atomic_store(&state.line, drawn);
}

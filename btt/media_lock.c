/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media_lock -- one user of a backing store at a time.
 *
 * Two kinds of locks are taken on a file, so that a user of either kind is
 * seen and sees us: flock(2), and an open file description lock over the whole
 * file, which conflicts with the POSIX locks of other programs.  Both belong
 * to our descriptor: a second open in the same process is refused, another
 * name of the file does not help, and the system releases them when the last
 * copy of the descriptor is closed.  There is no lock file to go stale.
 *
 * A block device is locked by O_EXCL, which sees mounted file systems and all
 * names of the device.  Its flock is only tried: udev takes one for a moment
 * each time it looks, and leaves a device alone that has one; and it lets us
 * name the holder.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <sys/types.h>

#include "media_impl.h"

/* As long as the kernel lets a process's name be, with its end. */
#define COMM_BYTES 16

/* The name of a process; false if it has gone, or is none of ours to see. */
static bool
process_name(pid_t pid, char ret_comm[COMM_BYTES])
{
	char path[64];
	FILE *file;
	bool ok;

	(void)snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
	if ((file = fopen(path, "re")) == NULL)
		return false;
	ok = fgets(ret_comm, COMM_BYTES, file) != NULL;
	(void)fclose(file); /* read only */
	if (!ok)
		return false;
	ret_comm[strcspn(ret_comm, "\n")] = '\0';
	/* Whoever holds the lock chose the name: nothing for a terminal. */
	for (char *c = ret_comm; *c != '\0'; c++) {
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
	return true;
}

/*
 * Who holds a flock on the file; 0 if that cannot be found out, as with a
 * holder in another pid namespace.
 */
static pid_t
flock_holder(uint64_t st_dev, uint64_t inode)
{
	char line[256], kind[16];
	unsigned major_number, minor_number;
	unsigned long long number;
	pid_t holder = 0;
	FILE *locks;
	long pid;

	if ((locks = fopen("/proc/locks", "re")) == NULL)
		return 0;
	while (holder == 0 && fgets(line, sizeof(line), locks) != NULL) {
		/* A waiter's line has "->" for a kind, and is none for us. */
		if (sscanf(line, "%*s %15s %*s %*s %ld %x:%x:%llu", kind, &pid,
			&major_number, &minor_number, &number) != 5)
			continue;
		if (strcmp(kind, "FLOCK") == 0 && pid > 0 && pid <= INT_MAX &&
		    major_number == major((dev_t)st_dev) &&
		    minor_number == minor((dev_t)st_dev) && number == inode)
			holder = (pid_t)pid;
	}
	(void)fclose(locks); /* read only */
	return holder;
}

static int
held_by(pid_t pid, const char *otherwise, struct btt_error *error)
{
	char comm[COMM_BYTES];

	if (pid <= 0)
		return btt_error_set(error, -EBUSY, "%s", otherwise);
	if (!process_name(pid, comm))
		return btt_error_set(
		    error, -EBUSY, "in use by process %ld", (long)pid);
	return btt_error_set(
	    error, -EBUSY, "in use by %s (process %ld)", comm, (long)pid);
}

int
media_busy(uint64_t st_dev, uint64_t inode, bool is_block_device,
    struct btt_error *error)
{
	return held_by(flock_holder(st_dev, inode),
	    is_block_device ? "in use: mounted, or held by another program"
			    : "in use by another program",
	    error);
}

static int
lock_description(const struct media_backing *backing, struct btt_error *error)
{
	struct flock lock = {
		.l_type = backing->read_only ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};
	int r;

	if (fcntl(backing->fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	r = -errno;
	if (r != -EAGAIN && r != -EACCES)
		return media_system_error(error, r, "cannot be locked");
	/* Locks of open file descriptions have no process: -1. */
	if (fcntl(backing->fd, F_OFD_GETLK, &lock) < 0 ||
	    lock.l_type == F_UNLCK)
		lock.l_pid = 0;
	return held_by(lock.l_pid, "in use by another program", error);
}

int
media_backing_lock(const struct media_backing *backing, struct btt_error *error)
{
	int operation = (backing->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB;
	bool is_block_device = backing->identity.is_block_device;
	int r;

	r = flock(backing->fd, operation) < 0 ? -errno : 0;
	if (is_block_device)
		return 0; /* see above */
	if (r == -EWOULDBLOCK)
		return media_busy(backing->identity.device,
		    backing->identity.inode, false, error);
	if (r < 0)
		return media_system_error(error, r, "cannot be locked");
	return lock_description(backing, error);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/capability.h>

#include "process.h"
#include "system_error.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57 /* Linux 5.6 */
#endif

/* After everything that can be started again, before the system's own. */
#define OOM_SCORE "-900"

int
process_open_streams(void)
{
	int fd;

	do {
		if ((fd = open("/dev/null", O_RDWR)) < 0)
			return -errno;
	} while (fd <= STDERR_FILENO);
	(void)close(fd);
	return 0;
}

/* The child's word, or its end. */
static void
await_child(pid_t pid, int ready_fd)
{
	char byte;
	int status;
	ssize_t n;

	do {
		n = read(ready_fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(EXIT_SUCCESS);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			_exit(EXIT_FAILURE);
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int
process_fork(struct process_start *ret_start)
{
	int fds[2], r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return -errno;
	if ((pid = fork()) < 0) {
		r = -errno;
		(void)close(fds[0]);
		(void)close(fds[1]);
		return r;
	}
	if (pid > 0) {
		(void)close(fds[1]);
		await_child(pid, fds[0]);
	}
	(void)close(fds[0]);
	ret_start->ready_fd = fds[1];
	return 0;
}

int
process_ready(struct process_start *start)
{
	int fd, r;

	if (start->ready_fd < 0)
		return 0;
	(void)setsid(); /* fails only for who leads a session already */
	r = chdir("/") != 0 ? -errno : 0;
	if ((fd = open("/dev/null", O_RDWR)) >= 0) {
		(void)dup2(fd, STDIN_FILENO);
		(void)dup2(fd, STDOUT_FILENO);
		(void)dup2(fd, STDERR_FILENO);
		(void)close(fd);
	} else if (r == 0)
		r = -errno;
	/* A parent that was killed meanwhile needs no word. */
	if (write(start->ready_fd, "", 1) < 0 && errno != EPIPE && r == 0)
		r = -errno;
	(void)close(start->ready_fd);
	start->ready_fd = -1;
	return r;
}

static bool
has_capability(int capability)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) != 0)
		return false;
	return (data[CAP_TO_INDEX(capability)].effective &
		   CAP_TO_MASK(capability)) != 0;
}

/*
 * All memory, as it is touched.  Only where no limit applies: with one, every
 * later mapping beyond it would fail, that of the next device for example.
 */
static int
lock_memory(void)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	if (!has_capability(CAP_IPC_LOCK) &&
	    setrlimit(RLIMIT_MEMLOCK, &unlimited) != 0)
		return -errno;
	return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0 ? -errno
								     : 0;
}

static int
lower_oom_score(void)
{
	int fd, r;

	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write(fd, OOM_SCORE, strlen(OOM_SCORE)) < 0 ? -errno : 0;
	(void)close(fd);
	return r;
}

static int
set_flag(int option, unsigned long value)
{
	return prctl(option, value, 0ul, 0ul, 0ul) != 0 ? -errno : 0;
}

void
process_log_guard(const struct log *log, const char *what, int r)
{
	if (log == NULL)
		return;
	log_say(log, LOG_DEBUG, "%s: %s", what,
	    r == 0 ? "yes" : system_error_text(r));
}

void
process_guard(bool allow_core, const struct log *log)
{
	process_log_guard(log, "memory locked", lock_memory());
	process_log_guard(log, "I/O flusher", set_flag(PR_SET_IO_FLUSHER, 1));
	process_log_guard(
	    log, "out-of-memory score lowered", lower_oom_score());
	/* Last: it makes our own files below /proc root's. */
	process_log_guard(log, "no core file",
	    allow_core ? -ECANCELED : set_flag(PR_SET_DUMPABLE, 0));
}

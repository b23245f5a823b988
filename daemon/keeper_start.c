/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/prctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lanes/clock.h>

#include "keeper_impl.h"
#include "link.h"

/*
 * The option by which a server knows what it is, with its two sockets and the
 * configuration.
 */
#define SERVER_OPTION "--server="

/* Links are left as they are: the last component may be a device's name. */
static char *
absolute(const char *path)
{
	char directory[PATH_MAX];
	char *joined;

	if (path[0] == '/')
		return strdup(path);
	if (getcwd(directory, sizeof(directory)) == NULL ||
	    asprintf(&joined, "%s/%s", directory, path) < 0)
		return NULL;
	return joined;
}

/*
 * Of the program that runs now, by its name and not by what it is: an upgrade
 * puts another one there.
 */
static char *
program_path(void)
{
	char path[PATH_MAX];
	ssize_t n;

	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (n < 0)
		return NULL;
	path[n] = '\0';
	return strdup(path);
}

int
keeper_prepare(struct keeper *keeper, int argc, char *argv[])
{
	const struct options *options = keeper->options;
	int i;

	/* argv[0], the option, all of ours, NULL. */
	keeper->argv = calloc((size_t)argc + 2, sizeof(*keeper->argv));
	keeper->program = program_path();
	if (keeper->argv == NULL || keeper->program == NULL)
		return -ENOMEM;
	if (options->has_config) {
		keeper->config_fd = config_share(&options->config);
		if (keeper->config_fd < 0)
			return keeper->config_fd;
	}
	keeper->nargv = argc + 1;
	for (i = 0; i < argc; i++) {
		bool is_path = argv[i] == options->backing ||
		    argv[i] == options->mountpoint;
		/* The second place is the option's. */
		char **place = &keeper->argv[i == 0 ? 0 : i + 1];

		*place = is_path ? absolute(argv[i]) : strdup(argv[i]);
		if (*place == NULL)
			return -errno;
	}
	return 0;
}

void
keeper_unprepare(struct keeper *keeper)
{
	int i;

	for (i = 0; keeper->argv != NULL && i < keeper->nargv; i++)
		free(keeper->argv[i]);
	free(keeper->argv);
	free(keeper->program);
}

static int
pass(int fd)
{
	int passed;

	/* A copy that is not closed on exec. */
	return (passed = dup(fd)) < 0 ? -errno : passed;
}

/* In the child: nothing here comes back but by failing. */
_Noreturn static void
become_server(struct keeper *keeper, pid_t parent, int ask_fd, int notice_fd)
{
	char option[64];
	sigset_t none;
	int ask, notice, config;

	/* With us it ends; we may have ended already. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	ask = pass(ask_fd);
	notice = pass(notice_fd);
	config = keeper->config_fd < 0 ? -1 : pass(keeper->config_fd);
	(void)snprintf(option, sizeof(option), SERVER_OPTION "%d,%d,%d", ask,
	    notice, config);
	keeper->argv[1] = option;
	if (ask >= 0 && notice >= 0 && (config >= 0 || keeper->config_fd < 0))
		(void)execv(keeper->program, keeper->argv);
	log_say(&keeper->log, LOG_ERR, "%s: %s", keeper->program,
	    strerrordesc_np(errno));
	_exit(127);
}

static int
tell_kept(struct keeper *keeper)
{
	char number[24];
	size_t i;
	int r;

	for (i = 0; i < keeper->kept.n; i++) {
		r = link_send(keeper->ask_socket, LINK_KEPT, 0,
		    keeper->kept.fd[i].name, keeper->kept.fd[i].fd);
		if (r < 0)
			return r;
	}
	(void)snprintf(number, sizeof(number), "%" PRIu64, keeper->number);
	return link_send(
	    keeper->ask_socket, LINK_BEGIN, LINK_VERSION, number, -1);
}

int
keeper_start_server(struct keeper *keeper)
{
	const int type = SOCK_SEQPACKET | SOCK_CLOEXEC;
	int ask[2], notice[2], r;
	pid_t pid, parent;

	if (socketpair(AF_UNIX, type, 0, ask) != 0)
		return -errno;
	if (socketpair(AF_UNIX, type, 0, notice) != 0) {
		r = -errno;
		(void)close(ask[0]);
		(void)close(ask[1]);
		return r;
	}
	parent = getpid();
	if ((pid = fork()) == 0)
		become_server(keeper, parent, ask[1], notice[1]);
	r = pid < 0 ? -errno : 0;
	(void)close(ask[1]);
	(void)close(notice[1]);
	if (r < 0) {
		(void)close(ask[0]);
		(void)close(notice[0]);
		return r;
	}
	keeper->pid = pid;
	keeper->ask_socket = ask[0];
	keeper->notice_socket = notice[0];
	keeper->serving = false;
	keeper->ended = false;
	keeper->yields = false;
	keeper->killed_ms = 0;
	keeper->started_ms = clock_ms();
	keeper->pinged_ms = keeper->ponged_ms = keeper->started_ms;
	/* If it ends before it has heard all, its end is what counts. */
	keeper_note_start(keeper);
	r = tell_kept(keeper);
	keeper->number++;
	return r == -EPIPE ? 0 : r;
}

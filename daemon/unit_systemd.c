/* SPDX-License-Identifier: BSD-3-Clause */
#include "unit_systemd.h"

#include <sys/wait.h>

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_BYTES 512u

/* Run a program; what it prints, or "" if there is no such thing. */
static void
read_output(char *const argv[], char ret_text[ANSWER_BYTES])
{
	posix_spawn_file_actions_t actions;
	size_t used = 0;
	int fds[2];
	pid_t pid;
	ssize_t n;

	ret_text[0] = '\0';
	if (pipe2(fds, O_CLOEXEC) != 0)
		return;
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) != 0)
		pid = -1;
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(fds[1]);
	while (used < ANSWER_BYTES - 1 &&
	    (n = read(fds[0], ret_text + used, ANSWER_BYTES - 1 - used)) > 0)
		used += (size_t)n;
	ret_text[used] = '\0';
	(void)close(fds[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
}

static void
ask_systemctl(
    char *command, char *option, char *unit, char ret_text[ANSWER_BYTES])
{
	char systemctl[] = "systemctl", end[] = "--";
	char *argv[] = { systemctl, command, option, end, unit, NULL };

	read_output(argv, ret_text);
}

unsigned long
unit_count_stored(char *unit)
{
	char show[] = "show", option[] = "--property=NFileDescriptorStore";
	char text[ANSWER_BYTES];
	unsigned long n;

	ask_systemctl(show, option, unit, text);
	return sscanf(text, "NFileDescriptorStore=%lu", &n) == 1 ? n : 0;
}

void
unit_stop_loops(const char *unit)
{
	static const char prefix[] = "bttfs@";
	char stop[] = "stop", option[] = "--quiet", text[ANSWER_BYTES];
	char *loops;

	if (strncmp(unit, prefix, strlen(prefix)) != 0 ||
	    asprintf(&loops, "bttfs-loop@%s", unit + strlen(prefix)) < 0)
		return;
	ask_systemctl(stop, option, loops, text);
	free(loops);
}

bool
unit_stays_down(char *unit)
{
	char show[] = "show", option[] = "--property=Restart";
	char text[ANSWER_BYTES];

	ask_systemctl(show, option, unit, text);
	return strcmp(text, "Restart=no\n") == 0;
}

enum unit_job
unit_get_job(char *unit)
{
	char list[] = "list-jobs", option[] = "--plain";
	char text[ANSWER_BYTES], *line, *rest, *word, *words;
	int n;

	ask_systemctl(list, option, unit, text);
	/* Number, unit, type, state; then, below, how many. */
	for (rest = text; (line = strsep(&rest, "\n")) != NULL;) {
		for (n = 0, words = line; (word = strsep(&words, " ")) != NULL;)
			if (*word != '\0' && ++n == 3)
				break;
		if (word == NULL)
			continue;
		if (strcmp(word, "stop") == 0)
			return UNIT_STOP;
		if (strcmp(word, "start") == 0 || strcmp(word, "restart") == 0)
			return UNIT_START;
	}
	return UNIT_NO_JOB;
}

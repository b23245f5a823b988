/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bttctl -- make, look at and check BTTs from the command line.
 *
 * Exit status (UI-1): 0; else the low byte of the negative errno of what
 * failed, so that 240 is EBUSY and 254 ENOENT as users of ndctl know them; 129
 * for a wrong command line.  check answers as fsck(8) does instead.
 */
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include <btt/media.h>

#include "ctl.h"
#include "interrupt.h"
#include "suggest.h"

static const struct ctl_command *const commands[] = {
	&ctl_create,
	&ctl_info,
	&ctl_check,
	&ctl_undo,
	&ctl_map,
	&ctl_dump,
	&ctl_read_infoblock,
	&ctl_write_infoblock,
	&ctl_attach,
	&ctl_detach,
	&ctl_enable,
	&ctl_disable,
	&ctl_destroy,
	&ctl_list,
	&ctl_stats,
	&ctl_jobs,
	&ctl_cancel,
	&ctl_settle,
	&ctl_monitor,
	&ctl_top,
	&ctl_upgrade,
	&ctl_start_scrub,
	&ctl_wait_scrub,
	&ctl_inject_error,
	&ctl_clear_errors,
};
#define NCOMMAND (sizeof(commands) / sizeof(commands[0]))

/* NULL if there is none; name may be NULL as well. */
static const struct ctl_command *
find_command(const char *name)
{
	size_t i;

	for (i = 0; name != NULL && i < NCOMMAND; i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	return NULL;
}

static void
print_help(FILE *file)
{
	size_t i;

	fprintf(file,
	    "usage: bttctl COMMAND [OPTION ...] [OPERAND ...]\n"
	    "       bttctl help [COMMAND]\n"
	    "       bttctl version\n"
	    "\n"
	    "Make, look at and check sector devices in the format of the "
	    "Linux kernel's BTT.\n\n");
	for (i = 0; i < NCOMMAND; i++)
		fprintf(file, "  %-16s %s\n", commands[i]->name,
		    commands[i]->summary);
	fprintf(file, "\nbttctl COMMAND --help tells about one of them.\n");
}

static int
unknown_command(const char *name)
{
	const char *nearest;
	unsigned distance, least;
	size_t i;

	if (name == NULL) {
		warnx("the name of a command is missing");
		return CTL_EXIT_USAGE;
	}
	nearest = NULL;
	least = suggest_limit(name) + 1;
	for (i = 0; i < NCOMMAND; i++) {
		distance = suggest_distance(name, commands[i]->name);
		if (distance < least) {
			least = distance;
			nearest = commands[i]->name;
		}
	}
	if (nearest != NULL)
		warnx("there is no command '%s'; did you mean '%s'?", name,
		    nearest);
	else
		warnx(
		    "there is no command '%s'; 'bttctl help' lists them", name);
	return CTL_EXIT_USAGE;
}

static int
help(char *const arguments[])
{
	const struct ctl_command *command;

	if (arguments[0] == NULL) {
		print_help(stdout);
		return 0;
	}
	if ((command = find_command(arguments[0])) == NULL)
		return unknown_command(arguments[0]);
	ctl_print_help(command, stdout);
	return 0;
}

/* For shell completion, which is generated from the tables. */
static int
list_commands(char *const arguments[])
{
	size_t i;

	(void)arguments;
	for (i = 0; i < NCOMMAND; i++)
		puts(commands[i]->name);
	puts("help");
	puts("version");
	return 0;
}

static int
list_options(char *const arguments[])
{
	const struct ctl_command *command;

	if ((command = find_command(arguments[0])) == NULL)
		return unknown_command(arguments[0]);
	ctl_list_options(command);
	return 0;
}

static int
list_values(char *const arguments[])
{
	const struct ctl_command *command;

	if ((command = find_command(arguments[0])) == NULL)
		return unknown_command(arguments[0]);
	return ctl_list_values(command, arguments[1]) ? 0 : CTL_EXIT_USAGE;
}

static int
version(char *const arguments[])
{
	(void)arguments;
	puts("bttctl " BTTFS_VERSION);
	return 0;
}

/* What may stand in a command's place; the arguments are what follows. */
static const struct {
	const char *name;
	int (*run)(char *const arguments[]);
} words[] = {
	{ "help", help },
	{ "--help", help },
	{ "-h", help },
	{ "version", version },
	{ "--version", version },
	{ "-V", version },
	{ "--list-cmds", list_commands },
	{ "--list-opts", list_options },
	{ "--list-values", list_values },
};

/* An answer that did not get out is no answer. */
static int
finish_output(int status, bool fsck_status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	warn("standard output");
	if (status != 0)
		return status;
	return fsck_status ? CTL_FSCK_CANNOT : ctl_exit_status(-EIO);
}

static int
run_command(const struct ctl_command *command, int argc, char *argv[])
{
	alignas(max_align_t) unsigned char options[CTL_OPTIONS_MAX];
	struct btt_error error = { "" };
	int first, r;

	r = ctl_parse(command, argc, argv, options, &first, &error);
	if (r == -ECANCELED) {
		ctl_print_help(command, stdout);
		return finish_output(0, command->fsck_status);
	}
	if (r < 0) {
		warnx("%s: %s", command->name, error.text);
		ctl_print_usage(command, stderr);
		return command->fsck_status ? CTL_FSCK_USAGE : CTL_EXIT_USAGE;
	}
	r = command->run(options, argv + first);
	return finish_output(r, command->fsck_status);
}

static int
dispatch(int argc, char *argv[])
{
	const struct ctl_command *command;
	size_t i;

	if (argc < 2) {
		print_help(stderr);
		return CTL_EXIT_USAGE;
	}
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].name, argv[1]) == 0)
			return finish_output(words[i].run(argv + 2), false);
	}
	if ((command = find_command(argv[1])) == NULL)
		return unknown_command(argv[1]);
	return run_command(command, argc - 1, argv + 1);
}

int
main(int argc, char *argv[])
{
	int r;

	interrupt_install();
	/* A file above a limit is an error to report, not a reason to die. */
	signal(SIGXFSZ, SIG_IGN);
	if ((r = media_install_sigbus()) < 0)
		return ctl_fail("SIGBUS handler", r, NULL);
	return dispatch(argc, argv);
}

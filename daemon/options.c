/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/types.h>

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device_words.h"
#include "options.h"
#include "protocol.h"

/* Some of the pool's are for who else does I/O. */
#define WORKERS_MAX (BTT_WORKER_MAX - MANAGER_BACKGROUND)

/* Which of them is the value?  -1: none. */
static int
find_choice(const char *value, const char *const names[], int n)
{
	for (int i = 0; i < n; i++) {
		if (strcmp(value, names[i]) == 0)
			return i;
	}
	return -1;
}

static int
set_transport(void *target, const char *value, struct btt_error *error)
{
	static const char *const names[] = {
		[OPTIONS_TRANSPORT_AUTO] = "auto",
		[OPTIONS_TRANSPORT_DEV] = "dev",
		[OPTIONS_TRANSPORT_RING] = "io_uring",
	};
	struct options *options = target;
	int i;

	if ((i = find_choice(value, names, 3)) < 0)
		return btt_error_set(error, -EINVAL,
		    "transport=%s: must be auto, dev or io_uring", value);
	options->transport = (enum options_transport)i;
	return 0;
}

static int
set_confine(void *target, const char *value, struct btt_error *error)
{
	static const char *const names[] = {
		[CONFINE_DENY] = "deny",
		[CONFINE_KILL] = "kill",
		[CONFINE_NO] = "no",
	};
	struct options *options = target;
	int i;

	if ((i = find_choice(value, names, 3)) < 0)
		return btt_error_set(error, -EINVAL,
		    "confine=%s: must be deny, kill or no", value);
	options->confine = (enum confine)i;
	return 0;
}

#define NO_SOCKET "none"

static int
set_socket(void *target, const char *value, struct btt_error *error)
{
	struct options *options = target;

	if (strcmp(value, NO_SOCKET) != 0 && value[0] != '/')
		return btt_error_set(error, -EINVAL,
		    "socket=%s: must be absolute, or 'none'", value);
	options->control.path = value;
	return 0;
}

static int
set_socket_group(void *target, const char *value, struct btt_error *error)
{
	struct options *options = target;

	options->control.has_group = true;
	return words_parse_group(
	    "socket_group", value, &options->control.group, error);
}

static int
set_socket_mode(void *target, const char *value, struct btt_error *error)
{
	struct options *options = target;
	unsigned long mode;

	if (words_parse_number(value, 8, 0777, &mode) < 0 || mode == 0)
		return btt_error_set(error, -EINVAL,
		    "socket_mode=%s: must be octal, from 1 to 777", value);
	options->control.mode = (mode_t)mode;
	return 0;
}

static const struct word words[] = {
	WORD_ROW_SWITCH("allow_other", struct options, allow_other, true,
	    "let other users in, as far as permissions go"),
	WORD_ROW_COUNT("workers", "N", struct options, nworker, 1, WORKERS_MAX,
	    "",
	    "threads that serve requests (default: 2 to 8 by the\n"
	    "number of CPUs; 32 where durability costs a sync)"),
	WORD_ROW_COUNT("crashes", "N", struct options, ncrash, 0,
	    OPTIONS_NCRASH_MAX, "",
	    "how often in a minute the server may crash and another\n"
	    "go on with the mount (default: 10)"),
	WORD_ROW_COUNT("hang", "SECONDS", struct options, hang_seconds, 0,
	    OPTIONS_HANG_SECONDS_MAX, " seconds",
	    "replace a server that has left a request unanswered for\n"
	    "so long, and if that does not help fail what is in use;\n"
	    "0: never (default: 120)"),
	WORD_ROW_CALL("transport", "auto|dev|io_uring", set_transport,
	    "how requests come from the kernel: by /dev/fuse, or\n"
	    "faster by io_uring, but then a crash of the server\n"
	    "ends the mount (default: auto, io_uring if crashes=0)"),
	WORD_ROW_SWITCH("streaming", struct options, streaming, true,
	    "with io_uring, suit few large requests under way\n"
	    "together rather than many small ones"),
	WORD_ROW_CALL("confine", "deny|kill|no", set_confine,
	    "what happens to a server that makes a system call it\n"
	    "has no need of (default: deny, it is not done)"),
	WORD_ROW_TEXT("fsname", "NAME", struct options, fsname,
	    "the source that mount(8) shows (default: BACKING)"),
	WORD_ROW_CALL("socket", "PATH", set_socket,
	    "listen there for bttctl, which then can attach and\n"
	    "detach devices (default: not at all, or with --config\n"
	    "FILE.conf in " PROTOCOL_DIRECTORY "/FILE" PROTOCOL_SUFFIX
	    "; 'none': not at all)"),
	WORD_ROW_CALL("socket_group", "GROUP", set_socket_group,
	    "whose members may do so too (default: root and you)"),
	WORD_ROW_CALL("socket_mode", "MODE", set_socket_mode,
	    "who can connect, and at least look, octal\n"
	    "(default: 600, or 660 with socket_group)"),
	WORD_ROW_SWITCH("inject", struct options, control.inject, true,
	    "for tests only: let bttctl plant errors"),
	WORD_ROW_SWITCH("sync", struct options, sync, true,
	    "every write is durable when it returns"),
	WORD_ROW_SWITCH("async", struct options, sync, false,
	    "as durability says (the default)"),
	WORD_ROW_SWITCH("debug", struct options, debug, true,
	    "say more, and allow core files"),
	{ .name = "default_permissions",
	    .kind = WORD_NOTHING,
	    .help = "the kernel checks permissions (always)" },
};

static struct word_table
mount_words(struct options *options)
{
	return (struct word_table){
		.words = words,
		.nword = sizeof(words) / sizeof(words[0]),
		.target = options,
	};
}

/*
 * What mount(8), mount.fuse3(8), fstab(5) and systemd.mount(5) pass on.  The
 * mount is nosuid, nodev and noexec whatever these say, and times of access are
 * not kept.
 */
static const char *const ignored[] = { "defaults", "auto", "noauto", "user",
	"nouser", "users", "owner", "group", "nofail", "_netdev", "suid",
	"nosuid", "dev", "nodev", "exec", "noexec", "atime", "noatime",
	"diratime", "nodiratime", "relatime", "norelatime", "strictatime",
	"nostrictatime", "lazytime", "nolazytime", "dirsync", "iversion",
	"noiversion", "mand", "nomand", "loud", "silent", "nonempty" };
#define NIGNORED (sizeof(ignored) / sizeof(ignored[0]))

/* Words with such a beginning are for others: x-systemd.automount. */
static const char *const ignored_prefixes[] = { "x-", "X-", "comment=" };
#define NIGNORED_PREFIX (sizeof(ignored_prefixes) / sizeof(ignored_prefixes[0]))

enum {
	LONG_HELP = 'h',
	LONG_VERSION = 'V',
	LONG_FOREGROUND = 'f',
	LONG_CONFIG = 'c',
	LONG_SERVER = 256, /* of the keeper's, for nobody else */
};

static const struct option long_options[] = {
	{ "help", no_argument, NULL, LONG_HELP },
	{ "version", no_argument, NULL, LONG_VERSION },
	{ "foreground", no_argument, NULL, LONG_FOREGROUND },
	{ "config", required_argument, NULL, LONG_CONFIG },
	{ "server", required_argument, NULL, LONG_SERVER },
	{ NULL, 0, NULL, 0 },
};

static bool
is_ignored(const char *text)
{
	size_t i;

	for (i = 0; i < NIGNORED; i++) {
		if (strcmp(ignored[i], text) == 0)
			return true;
	}
	for (i = 0; i < NIGNORED_PREFIX; i++) {
		if (strncmp(ignored_prefixes[i], text,
			strlen(ignored_prefixes[i])) == 0)
			return true;
	}
	return false;
}

/* Collect the arguments of -o, which may come several times. */
static int
append_words(struct options *options, const char *list, struct btt_error *error)
{
	char *all;
	size_t used;

	used = options->words != NULL ? strlen(options->words) : 0;
	all = realloc(options->words, used + strlen(list) + 2);
	if (all == NULL)
		return btt_error_set(error, -ENOMEM, "out of memory");
	if (used > 0)
		all[used++] = ',';
	strcpy(all + used, list);
	options->words = all;
	return 0;
}

/* With a configuration those of a device are not for all devices. */
static int
set_word(struct options *options, char *word, struct btt_error *error)
{
	const struct word_table tables[] = {
		mount_words(options),
		device_words(&options->device),
	};
	char name[32];

	if (!options->has_config)
		return words_set_text(tables, 2, word, error);
	(void)snprintf(
	    name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
	if (words_find(&tables[1], 1, name) != NULL)
		return btt_error_set(error, -EINVAL,
		    "'%s' is said of a device: put it into a section of %s",
		    name, options->backing);
	return words_set_text(tables, 1, word, error);
}

static int
parse_words(struct options *options, struct btt_error *error)
{
	char *list, *word;
	int r;

	list = options->words;
	while ((word = words_next(&list)) != NULL) {
		if (word[0] == '\0' || is_ignored(word))
			continue;
		if ((r = set_word(options, word, error)) < 0)
			return r;
	}
	return 0;
}

static int
set_mountpoint(void *target, const char *value, struct btt_error *error)
{
	struct options *options = target;

	if (value[0] != '/')
		return btt_error_set(
		    error, -EINVAL, "mountpoint=%s: must be absolute", value);
	options->mountpoint = value;
	return 0;
}

static const struct word config_words[] = {
	WORD_ROW_CALL(
	    "mountpoint", "DIRECTORY", set_mountpoint, "where to mount"),
};

static int
read_config(struct options *options, struct btt_error *error)
{
	const struct word_table tables[] = {
		{ config_words, 1, options },
		mount_words(options),
	};

	return config_read(options->backing, options->config_fd, tables, 2,
	    &options->config, error);
}

/* Where people and programs look for it (protocol.h). */
static int
choose_socket(struct options *options, struct btt_error *error)
{
	const char *name;
	size_t len;

	if (options->control.path == NULL && options->has_config) {
		name = config_name(options->backing, &len);
		if (asprintf(&options->socket_path, "%s/%.*s%s",
			PROTOCOL_DIRECTORY, (int)len, name,
			PROTOCOL_SUFFIX) < 0) {
			options->socket_path = NULL;
			return btt_error_set(error, -ENOMEM, "out of memory");
		}
		options->control.path = options->socket_path;
	} else if (options->control.path != NULL &&
	    strcmp(options->control.path, NO_SOCKET) == 0)
		options->control.path = NULL;
	return 0;
}

static int
parse_switches(
    struct options *options, int argc, char *argv[], struct btt_error *error)
{
	int c, r;

	opterr = 0;
	optind = 0; /* from the start, also the second time */
	while ((c = getopt_long(argc, argv, ":c:fho:V", long_options, NULL)) !=
	    -1) {
		switch (c) {
		case LONG_FOREGROUND:
			options->foreground = true;
			break;
		case LONG_CONFIG:
			options->has_config = true;
			options->backing = optarg;
			break;
		case LONG_SERVER:
			if (sscanf(optarg, "%d,%d,%d", &options->ask_socket,
				&options->notice_socket,
				&options->config_fd) < 2)
				return btt_error_set(error, -EINVAL,
				    "--server is for the keeper only");
			break;
		case LONG_HELP:
			options->action = OPTIONS_HELP;
			return 0;
		case LONG_VERSION:
			options->action = OPTIONS_VERSION;
			return 0;
		case 'o':
			if ((r = append_words(options, optarg, error)) < 0)
				return r;
			break;
		case ':':
			return btt_error_set(error, -EINVAL, "%s needs %s",
			    argv[optind - 1],
			    optopt == 'o' ? "a list of options" : "a value");
		default:
			return btt_error_set(error, -EINVAL,
			    "unknown option '%s'; 'bttfs --help' lists them",
			    argv[optind - 1]);
		}
	}
	return 0;
}

/* BACKING MOUNTPOINT, or [MOUNTPOINT]. */
static int
parse_operands(
    struct options *options, int n, char *argv[], struct btt_error *error)
{
	const int most = options->has_config ? 1 : 2;

	if (n > most)
		return btt_error_set(
		    error, -EINVAL, "unexpected argument '%s'", argv[most]);
	if (options->has_config) {
		if (n == 1)
			options->mountpoint = argv[0];
		if (options->mountpoint != NULL)
			return 0;
		return btt_error_set(error, -EINVAL,
		    "%s: section [" CONFIG_DAEMON "] has no 'mountpoint'",
		    options->backing);
	}
	if (n < 2)
		return btt_error_set(error, -EINVAL,
		    "%s is missing; usage: bttfs [-f] [-o OPTIONS] BACKING "
		    "MOUNTPOINT",
		    n == 0 ? "BACKING" : "MOUNTPOINT");
	options->backing = argv[0];
	options->mountpoint = argv[1];
	options->device.path = options->backing;
	return 0;
}

int
options_parse(int argc, char *argv[], struct options *ret_options,
    struct btt_error *error)
{
	struct options *options;
	int r;

	options = ret_options;
	*options = (struct options){
		.action = OPTIONS_SERVE,
		.hang_seconds = OPTIONS_HANG_SECONDS,
		.ncrash = OPTIONS_NCRASH,
		.ask_socket = -1,
		.notice_socket = -1,
		.config_fd = -1,
	};
	device_options_init(&options->device);
	if ((r = parse_switches(options, argc, argv, error)) < 0)
		return r;
	if (options->action != OPTIONS_SERVE)
		return 0;
	if (options->has_config && (r = read_config(options, error)) < 0)
		return r;
	if ((r = parse_words(options, error)) < 0)
		return r;
	r = parse_operands(options, argc - optind, argv + optind, error);
	if (r < 0)
		return r;
	return choose_socket(options, error);
}

void
options_fini(struct options *options)
{
	config_fini(&options->config);
	free(options->socket_path);
	options->socket_path = NULL;
	free(options->words);
	options->words = NULL;
}

static const char usage[] =
    "usage: bttfs [-f] [-o OPTION[,OPTION ...]] BACKING MOUNTPOINT\n"
    "       mount -t fuse.bttfs [-o OPTION[,OPTION ...]] BACKING MOUNTPOINT\n"
    "       bttfs [-f] [-o OPTION[,OPTION ...]] --config FILE [MOUNTPOINT]\n"
    "\n"
    "Show the BTT on BACKING as a file in the directory MOUNTPOINT.  Its "
    "sectors are\n"
    "written wholly or not at all, whatever happens.\n"
    "\n"
    "  -c, --config FILE     serve the devices that FILE lists "
    "(bttfs.conf(5)), and\n"
    "                        those that bttctl attaches\n"
    "  -f, --foreground      do not go to the background\n"
    "  -o OPTIONS            see below\n"
    "  -h, --help            show this\n"
    "  -V, --version         show the version\n"
    "\n"
    "Options for -o, of the device:\n";

void
options_print_help(FILE *file)
{
	const struct word_table device = device_words(NULL);
	const struct word_table mount = mount_words(NULL);

	fputs(usage, file);
	words_print_help(&device, file);
	fputs("\nOf the mount:\n", file);
	words_print_help(&mount, file);
	fputs("\nThe words that mount(8) gives every file system are accepted "
	      "too.  bttctl create\nmakes a BTT.  See bttfs(8).\n",
	    file);
}

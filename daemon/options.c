/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/types.h>

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "suggest.h"

/* One word of -o: WORD, or WORD=VALUE where value is not NULL. */
struct word {
	const char *name;
	const char *value; /* how help calls it */
	int (*set)(struct options *options, const char *value,
	    struct btt_error *error);
	const char *help; /* may have several lines */
};

static int
set_ro(struct options *options, const char *value, struct btt_error *error)
{
	(void)value, (void)error;
	options->device.read_only = true;
	return 0;
}

static int
set_rw(struct options *options, const char *value, struct btt_error *error)
{
	(void)value, (void)error;
	options->device.read_only = false;
	return 0;
}

static int
set_sync(struct options *options, const char *value, struct btt_error *error)
{
	(void)value, (void)error;
	options->sync = true;
	return 0;
}

static int
set_async(struct options *options, const char *value, struct btt_error *error)
{
	(void)value, (void)error;
	options->sync = false;
	return 0;
}

static int
set_allow_other(
    struct options *options, const char *value, struct btt_error *error)
{
	(void)value, (void)error;
	options->allow_other = true;
	return 0;
}

static int
set_sparse(struct options *options, const char *value, struct btt_error *error)
{
	(void)value, (void)error;
	options->device.allow_sparse = true;
	return 0;
}

static int
set_debug(struct options *options, const char *value, struct btt_error *error)
{
	(void)value, (void)error;
	options->debug = true;
	return 0;
}

static int
set_nothing(struct options *options, const char *value, struct btt_error *error)
{
	(void)options, (void)value, (void)error;
	return 0;
}

static int
set_name(struct options *options, const char *value, struct btt_error *error)
{
	if (!device_name_valid(value))
		return btt_error_set(error, -EINVAL,
		    "name=%s: this cannot be the name of a file", value);
	options->device.name = value;
	return 0;
}

static int
set_namespace(
    struct options *options, const char *value, struct btt_error *error)
{
	(void)error;
	options->device.namespace = value;
	return 0;
}

static int
set_fsname(struct options *options, const char *value, struct btt_error *error)
{
	(void)error;
	options->fsname = value;
	return 0;
}

/* A number of at most max, all of text. */
static int
parse_number(
    const char *text, int base, unsigned long max, unsigned long *ret_number)
{
	unsigned long number;
	char *end;

	/* strtoul(3) would take a sign and blanks. */
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	number = strtoul(text, &end, base);
	if (*end != '\0' || errno != 0 || number > max)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

static int
set_mode(struct options *options, const char *value, struct btt_error *error)
{
	unsigned long mode;

	if (parse_number(value, 8, 0777, &mode) < 0)
		return btt_error_set(error, -EINVAL,
		    "mode=%s: must be octal and at most 777", value);
	options->device.mode = (mode_t)mode;
	return 0;
}

/* (uid_t)-1 means "leave it" to chown(2), so nobody has it. */
#define ID_MAX (UINT32_MAX - 1ul)
/* For the strings of an entry of passwd(5) or group(5). */
#define ENTRY_BYTES 16384

static int
set_uid(struct options *options, const char *value, struct btt_error *error)
{
	char strings[ENTRY_BYTES];
	struct passwd entry, *found;
	unsigned long uid;

	if (parse_number(value, 10, ID_MAX, &uid) == 0)
		options->device.uid = (uid_t)uid;
	else if (getpwnam_r(value, &entry, strings, sizeof(strings), &found) ==
		0 &&
	    found != NULL)
		options->device.uid = entry.pw_uid;
	else
		return btt_error_set(
		    error, -EINVAL, "uid=%s: there is no such user", value);
	return 0;
}

static int
set_gid(struct options *options, const char *value, struct btt_error *error)
{
	char strings[ENTRY_BYTES];
	struct group entry, *found;
	unsigned long gid;

	if (parse_number(value, 10, ID_MAX, &gid) == 0)
		options->device.gid = (gid_t)gid;
	else if (getgrnam_r(value, &entry, strings, sizeof(strings), &found) ==
		0 &&
	    found != NULL)
		options->device.gid = entry.gr_gid;
	else
		return btt_error_set(
		    error, -EINVAL, "gid=%s: there is no such group", value);
	return 0;
}

/* One of the pool's is for who else does I/O. */
#define WORKERS_MAX (BTT_WORKER_MAX - 1)

static int
set_workers(struct options *options, const char *value, struct btt_error *error)
{
	unsigned long n;

	if (parse_number(value, 10, WORKERS_MAX, &n) < 0 || n < 1)
		return btt_error_set(error, -EINVAL,
		    "workers=%s: must be from 1 to %u", value, WORKERS_MAX);
	options->nworker = (unsigned)n;
	return 0;
}

static int
set_commit(struct options *options, const char *value, struct btt_error *error)
{
	unsigned long n;

	if (parse_number(value, 10, DEVICE_COMMIT_SECONDS_MAX, &n) < 0 || n < 1)
		return btt_error_set(error, -EINVAL,
		    "commit=%s: must be from 1 to %u seconds", value,
		    DEVICE_COMMIT_SECONDS_MAX);
	options->device.commit_seconds = (unsigned)n;
	return 0;
}

static int
set_hang(struct options *options, const char *value, struct btt_error *error)
{
	unsigned long n;

	if (parse_number(value, 10, OPTIONS_HANG_SECONDS_MAX, &n) < 0)
		return btt_error_set(error, -EINVAL,
		    "hang=%s: must be from 0 to %u seconds", value,
		    OPTIONS_HANG_SECONDS_MAX);
	options->hang_seconds = (unsigned)n;
	return 0;
}

static int
set_crashes(struct options *options, const char *value, struct btt_error *error)
{
	unsigned long n;

	if (parse_number(value, 10, OPTIONS_NCRASH_MAX, &n) < 0)
		return btt_error_set(error, -EINVAL,
		    "crashes=%s: must be from 0 to %u", value,
		    OPTIONS_NCRASH_MAX);
	options->ncrash = (unsigned)n;
	return 0;
}

static int
set_durability(
    struct options *options, const char *value, struct btt_error *error)
{
	if (strcmp(value, "write") == 0)
		options->device.durability = BTT_DURABLE_WRITE;
	else if (strcmp(value, "flush") == 0)
		options->device.durability = BTT_DURABLE_FLUSH;
	else
		return btt_error_set(error, -EINVAL,
		    "durability=%s: must be 'write' or 'flush'", value);
	return 0;
}

static int
set_granularity(
    struct options *options, const char *value, struct btt_error *error)
{
	if (strcmp(value, "byte") == 0)
		options->device.force = MEDIA_FORCE_BYTE;
	else if (strcmp(value, "cacheline") == 0)
		options->device.force = MEDIA_FORCE_CACHE_LINE;
	else if (strcmp(value, "page") == 0)
		options->device.force = MEDIA_FORCE_PAGE;
	else
		return btt_error_set(error, -EINVAL,
		    "granularity=%s: must be 'byte', 'cacheline' or 'page'",
		    value);
	return 0;
}

/* Help, the parser and its suggestions read this one table. */
static const struct word words[] = {
	{ "ro", NULL, set_ro, "read only; nothing is ever written to BACKING" },
	{ "rw", NULL, set_rw, "read and write (the default)" },
	{ "name", "NAME", set_name,
	    "the file's name (default: BACKING's last component)" },
	{ "namespace", "NAME|UUID|N", set_namespace,
	    "the namespace to serve, of several that have a BTT\n"
	    "(bttctl info lists them)" },
	{ "mode", "MODE", set_mode,
	    "the file's permissions, octal (default: 600)" },
	{ "uid", "USER", set_uid, "the file's owner (default: you)" },
	{ "gid", "GROUP", set_gid, "the file's group (default: yours)" },
	{ "allow_other", NULL, set_allow_other,
	    "let other users in, as far as permissions go" },
	{ "durability", "write|flush", set_durability,
	    "when a write is safe from power loss: when it returns,\n"
	    "or when a later fsync does (default: write where that\n"
	    "costs a CPU flush, flush where it costs a disk's)" },
	{ "commit", "SECONDS", set_commit,
	    "with durability=flush, flush at least this often\n"
	    "(default: 5)" },
	{ "sparse", NULL, set_sparse,
	    "accept a BACKING with holes or copy-on-write, where a\n"
	    "full disk fails writes" },
	{ "workers", "N", set_workers,
	    "threads that serve requests (default: 2 to 8 by the\n"
	    "number of CPUs; 32 where durability costs a sync)" },
	{ "crashes", "N", set_crashes,
	    "how often in a minute the server may crash and another\n"
	    "go on with the mount (default: 10)" },
	{ "hang", "SECONDS", set_hang,
	    "replace a server that has left a request unanswered for\n"
	    "so long, and if that does not help fail what is in use;\n"
	    "0: never (default: 120)" },
	{ "fsname", "NAME", set_fsname,
	    "the source that mount(8) shows (default: BACKING)" },
	{ "sync", NULL, set_sync, "every write is durable when it returns" },
	{ "async", NULL, set_async, "as durability says (the default)" },
	{ "debug", NULL, set_debug, "say more, and allow core files" },
	{ "granularity", "byte|cacheline|page", set_granularity,
	    "for tests only: pretend that this is how the medium\n"
	    "becomes durable; wrong values lose data" },
	{ "default_permissions", NULL, set_nothing,
	    "the kernel checks permissions (always)" },
};
#define NWORD (sizeof(words) / sizeof(words[0]))

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
	LONG_SERVER = 256, /* of the keeper's, for nobody else */
};

static const struct option long_options[] = {
	{ "help", no_argument, NULL, LONG_HELP },
	{ "version", no_argument, NULL, LONG_VERSION },
	{ "foreground", no_argument, NULL, LONG_FOREGROUND },
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

static const struct word *
find_word(const char *name)
{
	size_t i;

	for (i = 0; i < NWORD; i++) {
		if (strcmp(words[i].name, name) == 0)
			return &words[i];
	}
	return NULL;
}

static const char *
nearest_word(const char *name)
{
	const char *nearest;
	unsigned distance, least;
	size_t i;

	nearest = NULL;
	least = suggest_limit(name) + 1;
	for (i = 0; i < NWORD; i++) {
		distance = suggest_distance(name, words[i].name);
		if (distance < least) {
			least = distance;
			nearest = words[i].name;
		}
	}
	return nearest;
}

static int
unknown_word(const char *name, struct btt_error *error)
{
	const char *nearest;

	if ((nearest = nearest_word(name)) != NULL)
		return btt_error_set(error, -EINVAL,
		    "unknown option '%s', did you mean '%s'?", name, nearest);
	return btt_error_set(error, -EINVAL,
	    "unknown option '%s'; 'bttfs --help' lists them", name);
}

/* text is WORD or WORD=VALUE, and is cut in two. */
static int
parse_word(struct options *options, char *text, struct btt_error *error)
{
	const struct word *word;
	char *value;

	if (text[0] == '\0' || is_ignored(text))
		return 0;
	if ((value = strchr(text, '=')) != NULL)
		*value++ = '\0';
	if ((word = find_word(text)) == NULL)
		return unknown_word(text, error);
	if (word->value == NULL && value != NULL)
		return btt_error_set(error, -EINVAL, "%s takes no value", text);
	if (word->value != NULL && (value == NULL || value[0] == '\0'))
		return btt_error_set(error, -EINVAL, "%s needs a value: %s=%s",
		    text, text, word->value);
	return word->set(options, value, error);
}

/*
 * Take the next word out of a list, in place: commas part words, a backslash
 * takes what follows as it is.  NULL at the end.
 */
static char *
next_word(char **list)
{
	char *from, *to, *word;

	if (*list == NULL)
		return NULL;
	word = *list;
	for (from = to = word; *from != '\0' && *from != ','; from++) {
		if (*from == '\\' && from[1] != '\0')
			from++;
		*to++ = *from;
	}
	*list = *from == ',' ? from + 1 : NULL;
	*to = '\0';
	return word;
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

static int
parse_words(struct options *options, struct btt_error *error)
{
	char *list, *word;
	int r;

	list = options->words;
	while ((word = next_word(&list)) != NULL) {
		if ((r = parse_word(options, word, error)) < 0)
			return r;
	}
	return 0;
}

static int
parse_switches(
    struct options *options, int argc, char *argv[], struct btt_error *error)
{
	int c, r;

	opterr = 0;
	optind = 0; /* from the start, also the second time */
	while (
	    (c = getopt_long(argc, argv, ":fho:V", long_options, NULL)) != -1) {
		switch (c) {
		case LONG_FOREGROUND:
			options->foreground = true;
			break;
		case LONG_SERVER:
			if (sscanf(optarg, "%d,%d", &options->ask_socket,
				&options->notice_socket) != 2)
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
			return btt_error_set(
			    error, -EINVAL, "-o needs a list of options");
		default:
			return btt_error_set(error, -EINVAL,
			    "unknown option '%s'; 'bttfs --help' lists them",
			    argv[optind - 1]);
		}
	}
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
	};
	device_options_init(&options->device);
	if ((r = parse_switches(options, argc, argv, error)) < 0)
		return r;
	if (options->action != OPTIONS_SERVE)
		return 0;
	if ((r = parse_words(options, error)) < 0)
		return r;

	if (argc - optind < 2)
		return btt_error_set(error, -EINVAL,
		    "%s is missing; usage: bttfs [-f] [-o OPTIONS] BACKING "
		    "MOUNTPOINT",
		    argc == optind ? "BACKING" : "MOUNTPOINT");
	if (argc - optind > 2)
		return btt_error_set(error, -EINVAL, "unexpected argument '%s'",
		    argv[optind + 2]);
	options->backing = argv[optind];
	options->mountpoint = argv[optind + 1];
	options->device.path = options->backing;
	return 0;
}

void
options_fini(struct options *options)
{
	free(options->words);
	options->words = NULL;
}

/* A table's row, further lines of help being indented like the first. */
static void
print_word(FILE *file, const struct word *word)
{
	const char *line, *end;
	int used;

	used = fprintf(file, "  %s%s%s", word->name,
	    word->value != NULL ? "=" : "",
	    word->value != NULL ? word->value : "");
	for (line = word->help; line != NULL; line = end) {
		if ((end = strchr(line, '\n')) != NULL)
			end++;
		if (used > 22) {
			fputc('\n', file);
			used = 0;
		}
		fprintf(file, "%*s%.*s", 24 - used, "",
		    (int)strcspn(line, "\n"), line);
		fputc('\n', file);
		used = 0;
	}
}

void
options_print_help(FILE *file)
{
	size_t i;

	fputs("usage: bttfs [-f] [-o OPTION[,OPTION ...]] BACKING MOUNTPOINT\n"
	      "       mount -t fuse.bttfs [-o OPTION[,OPTION ...]] BACKING "
	      "MOUNTPOINT\n"
	      "\n"
	      "Show the BTT on BACKING as a file in the directory MOUNTPOINT.  "
	      "Its sectors are\n"
	      "written wholly or not at all, whatever happens.\n"
	      "\n"
	      "  -f, --foreground      do not go to the background\n"
	      "  -o OPTIONS            see below\n"
	      "  -h, --help            show this\n"
	      "  -V, --version         show the version\n"
	      "\n"
	      "Options for -o:\n",
	    file);
	for (i = 0; i < NWORD; i++)
		print_word(file, &words[i]);
	fputs("\nThe words that mount(8) gives every file system are accepted "
	      "too.  bttctl create\nmakes a BTT.  See bttfs(8).\n",
	    file);
}

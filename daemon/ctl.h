/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_CTL_H
#define BTTFS_CTL_H

/*
 * ctl -- what the commands of bttctl share.
 *
 * A command is a row of the table in bttctl.c and a table of options.  Usage
 * lines, --help, the parser, --list-cmds and --list-opts (on which shell
 * completion rests) all read these two; there is no second list.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <btt/error.h>
#include <btt/format.h>

/* How an option's value is read, and into which type it goes. */
enum ctl_kind {
	CTL_SWITCH, /* no value; bool */
	CTL_COUNT,  /* no value; unsigned, how often it was given */
	CTL_SIZE,   /* struct ctl_size */
	CTL_NUMBER, /* struct ctl_number */
	CTL_UUID,   /* struct ctl_uuid */
	CTL_CHOICE, /* struct ctl_choice, an index into choices */
	CTL_TEXT,   /* const char *, not empty, or NULL; of the command line */
	CTL_PATH,   /* name of a file: const char *, NULL if not given */
};

struct ctl_size {
	bool given;
	uint64_t bytes;
};

struct ctl_number {
	bool given;
	uint32_t value;
};

struct ctl_uuid {
	bool given;
	uint8_t uuid[BTT_UUID_BYTES];
};

struct ctl_choice {
	bool given;
	unsigned index;
};

struct ctl_option {
	char letter; /* or 0 */
	const char *name;
	enum ctl_kind kind;
	size_t at;         /* offset in the command's structure of options */
	const char *value; /* what usage calls the value; NULL for a switch */
	const char *const *choices; /* CTL_CHOICE: ended by NULL */
	const char *help;
};

/* The first member of each command's structure of options. */
struct ctl_common {
	bool json;
	bool quiet;
	bool verbose;
};

/* Rows that several tables have, to be followed by a comma. */
#define CTL_OPTION_COMMON(letter, member, help)                           \
	{                                                                 \
		letter, #member, CTL_SWITCH,                              \
		    offsetof(struct ctl_common, member), NULL, NULL, help \
	}
#define CTL_OPTION_JSON \
	CTL_OPTION_COMMON('j', json, "print JSON on standard output")
#define CTL_OPTION_QUIET CTL_OPTION_COMMON('q', quiet, "print errors only")
#define CTL_OPTION_VERBOSE CTL_OPTION_COMMON('v', verbose, "say more")
/* Of commands that work on one BTT; goes into a const char *. */
#define CTL_OPTION_NAMESPACE(at)                                        \
	{                                                               \
		'n', "namespace", CTL_TEXT, at, "NAMESPACE", NULL,      \
		    "the namespace to take, of several that have a BTT" \
	}
/* Ends each table. */
#define CTL_OPTION_END                                   \
	{                                                \
		0, NULL, CTL_SWITCH, 0, NULL, NULL, NULL \
	}

/* Exit status of a wrong command line, as ndctl and git have it (UI-1). */
#define CTL_EXIT_USAGE 129

/* Exit statuses of commands with fsck_status. */
#define CTL_FSCK_DAMAGE 4
#define CTL_FSCK_CANNOT 8
#define CTL_FSCK_USAGE 16

struct ctl_command {
	const char *name;
	const char *operands; /* as usage shows them: "PATH" */
	const char *summary;  /* one line, no full stop */
	const struct ctl_option *options;
	size_t options_bytes; /* of the structure, at most CTL_OPTIONS_MAX */
	int min_operands,
	    max_operands; /* the latter may be CTL_OPERANDS_MANY */
	bool fsck_status; /* exits as fsck(8) does, not as UI-1 says */
	/*
	 * Returns the exit status.  options starts with struct ctl_common;
	 * operands is ended by NULL.
	 */
	int (*run)(const void *options, char *const operands[]);
};

#define CTL_OPTIONS_MAX 256u
/* More than a command line holds. */
#define CTL_OPERANDS_MANY (1 << 24)

extern const struct ctl_command ctl_create, ctl_info, ctl_check, ctl_undo,
    ctl_map, ctl_dump, ctl_read_infoblock, ctl_write_infoblock;
/* Of a running daemon. */
extern const struct ctl_command ctl_attach, ctl_detach, ctl_enable, ctl_disable,
    ctl_list, ctl_stats, ctl_jobs, ctl_cancel, ctl_settle, ctl_monitor, ctl_top,
    ctl_upgrade, ctl_inject_error, ctl_clear_errors, ctl_start_scrub,
    ctl_wait_scrub;
/* Of both. */
extern const struct ctl_command ctl_destroy;

/*
 * Parse argv, argv[0] being the command's name.  Returns 0 and where the
 * operands begin in argv, which is reordered; or -EINVAL, with the reason;
 * or -ECANCELED if --help was asked for.
 */
int ctl_parse(const struct ctl_command *command, int argc, char *argv[],
    void *ret_options, int *ret_first_operand, struct btt_error *error)
    BTT_MUST_CHECK;

/* "usage: bttctl NAME [-s SIZE] ... PATH", wrapped. */
void ctl_print_usage(const struct ctl_command *command, FILE *file);
/* Usage, summary, and a line for each option. */
void ctl_print_help(const struct ctl_command *command, FILE *file);
/* A line for each option, as typed: "--size" or "--json". */
void ctl_list_options(const struct ctl_command *command);
/*
 * A line for each word that may be the value of an option ("--layout"), or an
 * operand where option is NULL.  <file> stands for a file's name, <device>
 * for one that the daemon serves, <value> for what cannot be listed; a switch
 * has no line.  Returns false if there is no such option.
 */
bool ctl_list_values(const struct ctl_command *command, const char *option);

/* Is text in a list that commas or blanks part?  NULL and "all" have all. */
bool ctl_is_listed(const char *list, const char *text);

/* UI-1: the low byte of the negative errno, never 0 for a failure. */
int ctl_exit_status(int r);

/*
 * Say on standard error why something about path failed, and return the exit
 * status for r.  Without a text in error, r speaks for itself.
 */
int ctl_fail(const char *path, int r, const struct btt_error *error);

/* Print value as JSON in an array of one, the shape of all output (C.3). */
void ctl_print_json(struct json_object *value);
/* The same of an array, which it owns from now on. */
void ctl_print_json_array(struct json_object *array);

/* There is nothing that a command could do about it. */
_Noreturn void ctl_die_of_memory(void);

/* json_object_object_add(3) for the types that we print; never fails. */
void
ctl_add(struct json_object *object, const char *key, struct json_object *value);
void
ctl_add_text(struct json_object *object, const char *key, const char *text);
void
ctl_add_number(struct json_object *object, const char *key, uint64_t number);
void ctl_add_bool(struct json_object *object, const char *key, bool is);
void ctl_add_uuid(struct json_object *object, const char *key,
    const uint8_t uuid[BTT_UUID_BYTES]);
struct json_object *ctl_new_object(void);
struct json_object *ctl_new_array(void);
void ctl_append(struct json_object *array, struct json_object *value);

/* "1.1", "2.0"; the choices of --layout are the first ones of it. */
const char *ctl_layout_name(enum btt_layout layout);
bool ctl_uuid_is_null(const uint8_t uuid[BTT_UUID_BYTES]);
/* Version 4.  Returns 0 or -EIO. */
int ctl_random_uuid(uint8_t ret_uuid[BTT_UUID_BYTES]) BTT_MUST_CHECK;

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_CTL_ONLINE_H
#define BTTFS_CTL_ONLINE_H

/*
 * ctl_online -- what the commands of bttctl share that talk to a daemon.
 *
 * Of several operands all are asked for at once and answered one by one: after
 * a failure the others go on, each failure is said, and the exit status is the
 * first one's (UI-1, UI-4).
 */
#include "ctl.h"
#include "json_get.h"
#include "remote.h"

/* The first members of each such command's structure of options. */
struct ctl_online {
	struct ctl_common common;
	const char *socket;
};

#define CTL_OPTION_SOCKET                                                   \
	{                                                                   \
		0, "socket", CTL_PATH, offsetof(struct ctl_online, socket), \
		    "PATH", NULL, "the socket on which the daemon listens"  \
	}

/* What "all" are. */
enum ctl_names_kind {
	CTL_NAMES_LISTED,
	CTL_NAMES_OPEN,
	CTL_NAMES_DISABLED, /* of the configuration, and not attached */
};

/* What a command is about. */
struct ctl_names {
	size_t n;
	const char **name;
	struct json_object *list; /* that has them; NULL: they are operands */
};

/* One question and its answer. */
struct ctl_call {
	const char *operand;       /* what it is about, for people */
	char *path;                /* of attach, resolved; to be freed */
	struct json_object *args;  /* released when it is sent */
	struct json_object *reply; /* the whole message; to be released */
};

struct ctl_calls {
	const char *command; /* its name, for messages */
	const char *verb;
	struct ctl_call *calls;
	size_t ncall;
	/*
	 * For ctl_online_run_names: complete the question about call->operand.
	 * A negative errno is said, and nothing asked.
	 */
	int (*fill)(struct ctl_call *call, const void *arg);
	/* Is this failure as good as success?  NULL: none is. */
	bool (*accepts)(const struct ctl_call *call, struct json_object *error,
	    const void *arg);
	/* Tell people of a success; result is NULL if it was only accepted. */
	void (*tell)(const struct ctl_call *call, struct json_object *result,
	    const void *arg);
	const void *arg;
};

/* Connect, or say why not: then NULL, and *ret_status is the exit status. */
struct remote *
ctl_online_open(const struct ctl_online *options, int *ret_status);

/* Ask one thing and wait.  The result, to be released, or NULL as above. */
struct json_object *ctl_online_ask(struct remote *remote, const char *what,
    const char *verb, struct json_object *args, int *ret_status);

/* Ask, and tell people or print an array of JSON.  Returns the exit status. */
int
ctl_online_run(const struct ctl_online *options, const struct ctl_calls *calls);

/*
 * The names that the operands mean: themselves; or, of none or of "all", those
 * of that kind which the daemon has.  Returns 0, or the exit status if they
 * cannot be had.
 */
int ctl_online_names(const struct ctl_online *options, char *const operands[],
    enum ctl_names_kind kind, struct ctl_names *ret_names) BTT_MUST_CHECK;
void ctl_names_fini(struct ctl_names *names);

/*
 * ctl_online_run with a call for each name, made by calls->fill; calls and ncall
 * are filled in for that time.
 */
int ctl_online_run_names(const struct ctl_online *options,
    struct ctl_calls *calls, const struct ctl_names *names);
/* The same of what the operands mean. */
int ctl_online_run_operands(const struct ctl_online *options,
    struct ctl_calls *calls, char *const operands[], enum ctl_names_kind kind);

/* Of a message: its result, or NULL; its error, or NULL. */
struct json_object *ctl_reply_result(struct json_object *reply);
struct json_object *ctl_reply_error(struct json_object *reply);

/* Milliseconds for an option in seconds that may not have been given. */
uint64_t ctl_timeout_ms(const struct ctl_number *seconds);
/* Add it to arguments, if it was given. */
void
ctl_add_timeout(struct json_object *args, const struct ctl_number *seconds);
void ctl_add_size(
    struct json_object *args, const char *key, const struct ctl_size *size);

#endif

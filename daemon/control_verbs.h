/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTTFS_CONTROL_VERBS_H
#define BTTFS_CONTROL_VERBS_H

/*
 * control_verbs -- a request, and what it was given.
 */
#include "control_impl.h"

/* Lives while it is being run; what is needed longer is copied. */
struct request {
	struct control *control;
	struct client *client;
	struct json_object *id;   /* NULL where it could not be read */
	struct json_object *args; /* NULL: none */
};

/*
 * An argument, if it was given; else *ret stays as it is.  Returns 0, or
 * -EINVAL, which is in failure too.  Texts live as long as the request.
 */
int request_text(const struct request *request, const char *key,
    const char **ret_text, struct failure *failure) BTT_MUST_CHECK;
int request_bool(const struct request *request, const char *key, bool *ret_is,
    struct failure *failure) BTT_MUST_CHECK;
int request_number(const struct request *request, const char *key,
    uint64_t *ret_number, struct failure *failure) BTT_MUST_CHECK;

/* -EINVAL, in failure too: the argument is not what is wanted, or is missing. */
int request_bad_arg(struct failure *failure, const char *key, const char *want);
int request_missing(struct failure *failure, const char *key);

/* Of control_upgrade.c: as struct verb's run. */
int control_upgrade(const struct request *request, struct failure *failure);
/* Verbs of control_bad.c: as struct verb's run. */
int
control_inject_error(const struct request *request, struct failure *failure);
int control_injected(const struct request *request, struct failure *failure);
int
control_clear_errors(const struct request *request, struct failure *failure);
int control_start_scrub(const struct request *request, struct failure *failure);
int control_wait_scrub(const struct request *request, struct failure *failure);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl_destroy -- make a BTT one no more: that of a device, which its daemon
 * detaches first, or that on a backing store.
 *
 * Who destroys the wrong one has lost it, so it is shown first what is about to
 * go, and asked for.
 */
#include <assert.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <btt/format.h>
#include <btt/media.h>

#include "ctl_online.h"
#include "size.h"

struct destroy_options {
	struct ctl_online online;
	bool force;
	bool yes;
	const char *namespace;
};

static const struct ctl_option table[] = {
	{ 'f', "force", CTL_SWITCH, offsetof(struct destroy_options, force),
	    NULL, NULL, "also if it is open: who uses it gets ENODEV" },
	{ 'y', "yes", CTL_SWITCH, offsetof(struct destroy_options, yes), NULL,
	    NULL, "do not ask" },
	CTL_OPTION_NAMESPACE(offsetof(struct destroy_options, namespace)),
	CTL_OPTION_SOCKET,
	CTL_OPTION_JSON,
	CTL_OPTION_QUIET,
	CTL_OPTION_END,
};

/* One operand, and what came of it. */
struct victim {
	const struct destroy_options *options;
	const char *operand;
	const char *backing;
	char uuid[BTT_UUID_TEXT_BYTES]; /* "" if it is not known */
	uint64_t size;                  /* bytes, 0 if that is not known */
	struct json_object *done;       /* array of those that are gone */
};

/* Does the one who is asked want it? */
static bool
is_confirmed(const struct victim *victim)
{
	char size[SIZE_TEXT_BYTES], answer[16];

	if (victim->options->yes)
		return true;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
		warnx("%s: destroys what is stored there; say --yes",
		    victim->operand);
		return false;
	}
	fprintf(stderr, "%s", victim->operand);
	if (strcmp(victim->operand, victim->backing) != 0)
		fprintf(stderr, ", which is %s", victim->backing);
	if (victim->size > 0) {
		size_format(victim->size, size);
		fprintf(stderr, ", %s", size);
	}
	if (victim->uuid[0] != '\0')
		fprintf(stderr, ", uuid %s", victim->uuid);
	fputs(
	    ": what is stored there will be lost.  Destroy it? [y/N] ", stderr);
	if (fgets(answer, sizeof(answer), stdin) == NULL)
		return false;
	answer[strcspn(answer, "\n")] = '\0';
	return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}

static void
note_done(const struct victim *victim, struct json_object *job)
{
	struct json_object *object;

	object = ctl_new_object();
	ctl_add_text(object, "operand", victim->operand);
	ctl_add_text(object, "backing", victim->backing);
	if (victim->uuid[0] != '\0')
		ctl_add_text(object, "uuid", victim->uuid);
	if (victim->size > 0)
		ctl_add_number(object, "size", victim->size);
	if (job != NULL)
		ctl_add(object, "job", json_object_get(job));
	ctl_append(victim->done, object);
	if (!victim->options->online.common.json &&
	    !victim->options->online.common.quiet)
		printf("%s: destroyed\n", victim->operand);
}

static int
cancelled(void)
{
	return ctl_exit_status(-ECANCELED);
}

/* What the daemon knows of a device, to be released; or NULL. */
static struct json_object *
find_device(struct remote *remote, const char *name, int *ret_status)
{
	struct json_object *args, *list, *device;

	args = ctl_new_object();
	ctl_add_text(args, "name", name);
	list = ctl_online_ask(remote, name, "list", args, ret_status);
	if (list == NULL)
		return NULL;
	device = json_object_get(json_object_array_get_idx(list, 0));
	json_object_put(list);
	return device;
}

static int
destroy_listed(
    struct victim *victim, struct remote *remote, struct json_object *device)
{
	struct json_object *args, *result;
	int status = 0;

	victim->backing = json_get_text(device, "backing");
	victim->size = json_get_number(device, "size");
	snprintf(victim->uuid, sizeof(victim->uuid), "%s",
	    json_get_text(device, "uuid"));
	if (!is_confirmed(victim))
		return cancelled();
	args = ctl_new_object();
	ctl_add_text(args, "name", victim->operand);
	ctl_add_bool(args, "force", victim->options->force);
	result =
	    ctl_online_ask(remote, victim->operand, "destroy", args, &status);
	if (result == NULL)
		return status;
	note_done(victim, json_get(result, "job"));
	json_object_put(result);
	return 0;
}

static int
destroy_device(struct victim *victim)
{
	struct json_object *device;
	struct remote *remote;
	int status = 0;

	remote = ctl_online_open(&victim->options->online, &status);
	if (remote == NULL)
		return status;
	device = find_device(remote, victim->operand, &status);
	if (device != NULL)
		status = destroy_listed(victim, remote, device);
	json_object_put(device);
	remote_close(remote);
	return status;
}

/* Which one it is, if that can be told: it may be damaged. */
static bool
identify(struct victim *victim, const struct media *media,
    uint8_t ret_uuid[BTT_UUID_BYTES])
{
	const char *namespace = victim->options->namespace;
	const struct btt_arena_place *place;
	struct btt_probe probe;
	uint32_t i;

	if (btt_probe_namespace(media, namespace, &probe, NULL) < 0)
		return false;
	for (i = 0; i < probe.narena; i++) {
		place = &probe.arena[i];
		victim->size += (uint64_t)place->info.external_nlba *
		    btt_sector_data_bytes(place->info.external_lbasize);
	}
	memcpy(ret_uuid, probe.arena[0].info.uuid, BTT_UUID_BYTES);
	btt_uuid_format(ret_uuid, victim->uuid);
	btt_probe_fini(&probe);
	return true;
}

static int
destroy_path(struct victim *victim)
{
	const struct media_options options = { .allow_sparse = true };
	struct btt_error error = { "" };
	uint8_t uuid[BTT_UUID_BYTES];
	struct media *media;
	bool is_known;
	int r;

	victim->backing = victim->operand;
	if ((r = media_open(victim->operand, &options, &media, &error)) < 0)
		return ctl_fail(victim->operand, r, &error);
	is_known = identify(victim, media, uuid);
	if (!is_confirmed(victim)) {
		media_close(media);
		return cancelled();
	}
	r = btt_destroy(
	    media, victim->options->namespace, is_known ? uuid : NULL, &error);
	media_close(media);
	if (r < 0)
		return ctl_fail(victim->operand, r, &error);
	note_done(victim, NULL);
	return 0;
}

static int
run(const void *arg, char *const operands[])
{
	const struct destroy_options *options = arg;
	struct json_object *done;
	int status = 0, r;
	size_t i;

	done = ctl_new_array();
	for (i = 0; operands[i] != NULL; i++) {
		struct victim victim = {
			.options = options,
			.operand = operands[i],
			.done = done,
		};

		/* Names of devices have no slash. */
		r = strchr(operands[i], '/') == NULL ? destroy_device(&victim)
						     : destroy_path(&victim);
		if (status == 0)
			status = r;
	}
	if (options->online.common.json)
		ctl_print_json_array(done);
	else
		json_object_put(done);
	return status;
}

static_assert(sizeof(struct destroy_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_destroy = {
	.name = "destroy",
	.operands = "NAME|PATH ...",
	.summary = "Make a BTT one no more, detaching its device first",
	.options = table,
	.options_bytes = sizeof(struct destroy_options),
	.min_operands = 1,
	.max_operands = CTL_OPERANDS_MANY,
	.run = run,
};

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_MANAGER_FIXTURE_H
#define TESTS_SUPPORT_MANAGER_FIXTURE_H

/*
 * manager_fixture -- a manager without a mount, and BTTs in small files for it.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include <manager.h>

#define RIG_BYTES (17l << 20)
#define RIG_SECTOR 4096u
#define RIG_PATH_BYTES 64u
/* Longer than anything here takes, also under a sanitizer. */
#define RIG_WAIT_MS 60000u

struct rig {
	struct log log;
	struct manager *manager;
	char dir[32];
	uint8_t last_uuid; /* of images made so far */
};

static inline void
rig_setup(struct rig *rig, unsigned nworker)
{
	memset(rig, 0, sizeof(*rig));
	log_open(&rig->log, false);
	rig->log.level = -1; /* says nothing */
	ck_assert_int_eq(media_install_sigbus(), 0);
	ck_assert_int_eq(media_scrub_environment(), 0);
	strcpy(rig->dir, "/tmp/bttfs-check.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(rig->dir));
	ck_assert_int_eq(manager_new(nworker, &rig->log, &rig->manager), 0);
}

static inline void
rig_teardown(struct rig *rig)
{
	char command[64];

	ck_assert_int_eq(manager_stop(rig->manager, NULL, NULL), 0);
	manager_free(rig->manager);
	snprintf(command, sizeof(command), "rm -rf %s", rig->dir);
	ck_assert_int_eq(system(command), 0);
}

static inline void
rig_path(const struct rig *rig, const char *name, char path[RIG_PATH_BYTES])
{
	ck_assert_int_lt(
	    snprintf(path, RIG_PATH_BYTES, "%s/%s", rig->dir, name),
	    (int)RIG_PATH_BYTES);
}

/* Make a file of that name with an empty BTT, whose UUID no other one has. */
static inline void
rig_image(struct rig *rig, const char *name)
{
	struct btt_create_options create = {
		.layout = BTT_LAYOUT_V11,
		.sector_bytes = RIG_SECTOR,
		.nfree = BTT_NFREE_DEFAULT,
		.uuid = { ++rig->last_uuid },
		.medium_is_zero = true,
	};
	const struct media_options options = { .allow_sparse = true };
	char path[RIG_PATH_BYTES];
	struct btt_error error = { "" };
	struct media *media;
	FILE *file;
	int r;

	rig_path(rig, name, path);
	ck_assert_ptr_nonnull(file = fopen(path, "we"));
	ck_assert_int_eq(ftruncate(fileno(file), RIG_BYTES), 0);
	ck_assert_int_eq(fclose(file), 0);
	r = media_open(path, &options, &media, &error);
	ck_assert_msg(r == 0, "media_open: %s", error.text);
	r = btt_create(media, &create, &error);
	ck_assert_msg(r == 0, "btt_create: %s", error.text);
	media_close(media);
}

/* Options for the image of that name; path has to live as long. */
static inline void
rig_options(const struct rig *rig, const char *name, char path[RIG_PATH_BYTES],
    struct device_options *ret_options)
{
	rig_path(rig, name, path);
	device_options_init(ret_options);
	ret_options->path = path;
	ret_options->allow_sparse = true;
	ret_options->durability = BTT_DURABLE_WRITE;
}

/* Wait for a job's end, and give it back. */
static inline struct job_info
rig_end(struct job *job)
{
	struct job_info info;

	ck_assert_msg(job_wait(job, RIG_WAIT_MS), "a job does not end");
	job_get_info(job, &info);
	job_unref(job);
	return info;
}

static inline struct job_info
rig_attach_with(struct rig *rig, const struct device_options *options)
{
	struct btt_error error = { "" };
	struct manager_owner owner;
	struct job *job;
	int r;

	r = manager_attach(rig->manager, options, &job, &owner, &error);
	ck_assert_msg(r == 0, "manager_attach: %s", error.text);
	return rig_end(job);
}

/* Attach the image of that name, which must succeed. */
static inline void
rig_attach(struct rig *rig, const char *name)
{
	struct device_options options;
	char path[RIG_PATH_BYTES];
	struct job_info info;

	rig_options(rig, name, path, &options);
	info = rig_attach_with(rig, &options);
	ck_assert_msg(info.error == 0, "attach: %s", info.message);
	ck_assert_int_eq(info.state, JOB_DONE);
}

static inline struct job_info
rig_detach(struct rig *rig, const char *name, bool force)
{
	const struct manager_detach_options options = { .force = force };
	struct btt_error error = { "" };
	struct job *job;
	bool won;
	int r;

	r = manager_detach(rig->manager, name, &options, &job, &won, &error);
	ck_assert_msg(r == 0, "manager_detach: %s", error.text);
	return rig_end(job);
}

/* The status of a device, which must exist. */
static inline struct device_status
rig_status(struct rig *rig, const char *name)
{
	struct device_status status;
	struct device *device;

	device = registry_find(rig->manager->registry, name);
	ck_assert_msg(device != NULL, "there is no device '%s'", name);
	device_get_status(device, &status);
	device_unref(device);
	return status;
}

static inline unsigned
rig_nfd_now(void)
{
	unsigned n = 0;
	DIR *dir;

	ck_assert_ptr_nonnull(dir = opendir("/proc/self/fd"));
	while (readdir(dir) != NULL)
		n++;
	ck_assert_int_eq(closedir(dir), 0);
	return n;
}

/*
 * Descriptors of this process.  The least of some counts, since the C library
 * opens a file for a moment when a thread first allocates or frees memory.
 */
static inline unsigned
rig_nfd(void)
{
	unsigned n, least = UINT_MAX;

	for (unsigned i = 0; i < 4; i++) {
		if ((n = rig_nfd_now()) < least)
			least = n;
		(void)usleep(500);
	}
	return least;
}

/* Events of a kind since the beginning. */
static inline unsigned
rig_nevent(struct rig *rig, enum event_kind kind)
{
	struct event event;
	uint64_t seq = 1, lost;
	unsigned n = 0;

	while (event_read(rig->manager->events, &seq, &event, &lost)) {
		ck_assert_uint_eq(lost, 0);
		n += event.kind == kind;
	}
	return n;
}

/* A probe that takes its time at a step. */
static inline struct job *
rig_begin_slow(
    struct rig *rig, const char *name, const char *stage, unsigned delay_ms)
{
	struct btt_error error = { "" };
	struct device_options options;
	struct manager_owner owner;
	char path[RIG_PATH_BYTES];
	struct job *job;

	rig_image(rig, name);
	rig_options(rig, name, path, &options);
	options.trial.stage = stage;
	options.trial.delay_ms = delay_ms;
	ck_assert_int_eq(
	    manager_attach(rig->manager, &options, &job, &owner, &error), 0);
	return job;
}

static inline bool
rig_knows(struct rig *rig, const char *name)
{
	struct device *device;

	device = registry_find(rig->manager->registry, name);
	device_unref(device);
	return device != NULL;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SUPPORT_MEDIA_FIXTURE_H
#define TESTS_SUPPORT_MEDIA_FIXTURE_H

/*
 * media_fixture -- backing stores for tests of media.
 *
 * Two directories last for a test case: one on TMPDIR, where page granularity
 * is at home, and one on /dev/shm, where a forced granularity costs no disk.
 * They are made and removed by the process that runs the tests, which outlives
 * a test that fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <btt/media.h>
#include <check.h>

#include "media_open.h"

static char disk_dir[256], memory_dir[256];

static inline void
directory_make(char *ret_dir, size_t size, const char *parent)
{
	snprintf(ret_dir, size, "%s/check_media.XXXXXX", parent);
	ck_assert_ptr_nonnull(mkdtemp(ret_dir));
}

static inline int
directory_entry_remove(
    const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void
directories_make(void)
{
	const char *tmpdir = getenv("TMPDIR");

	directory_make(
	    disk_dir, sizeof(disk_dir), tmpdir == NULL ? "/tmp" : tmpdir);
	directory_make(memory_dir, sizeof(memory_dir), "/dev/shm");
}

static inline void
directories_remove(void)
{
	const int flags = FTW_DEPTH | FTW_PHYS | FTW_MOUNT;

	(void)nftw(disk_dir, directory_entry_remove, 8, flags);
	(void)nftw(memory_dir, directory_entry_remove, 8, flags);
}

/* A path in a directory, in a buffer that the next eight calls keep. */
static inline const char *
path_in(const char *dir, const char *name)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

/* A file of this size without a hole (or of nothing else). */
static inline const char *
file_make(const char *path, uint64_t size, bool sparse)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	if (sparse)
		ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	else
		ck_assert_int_eq(posix_fallocate(fd, 0, (off_t)size), 0);
	close(fd);
	return path;
}

/* Be refused with this error and a text that has this in it. */
static inline void
media_must_refuse(const char *path, const struct media_options *options,
    int expected, const char *text)
{
	struct btt_error error = { "" };
	struct media *media = NULL;
	int r = media_open(path, options, &media, &error);

	ck_assert_msg(r == expected, "%s: got %d (%s)", path, r, error.text);
	ck_assert_ptr_null(media);
	ck_assert_msg(strstr(error.text, text) != NULL, "no '%s' in: %s", text,
	    error.text);
}

/* What a child does with its end of two pipes; see holder_start. */
typedef int holder_fn(const char *path);

struct holder {
	pid_t pid;
	int release; /* closing it lets the child go */
};

/*
 * A child that holds path by what hold() does (0: done), until it is released.
 * Returns when it holds it.
 */
static inline struct holder
holder_start(holder_fn *hold, const char *path)
{
	int ready[2], release[2];
	struct holder holder;
	char byte = 0;

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(release, O_CLOEXEC), 0);
	holder.pid = fork();
	ck_assert_int_ge(holder.pid, 0);
	if (holder.pid == 0) {
		close(release[1]);
		if (hold(path) != 0 || write(ready[1], &byte, 1) != 1)
			_exit(1);
		_exit(read(release[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(ready[1]);
	close(release[0]);
	ck_assert_msg(read(ready[0], &byte, 1) == 1, "child cannot hold it");
	close(ready[0]);
	holder.release = release[1];
	return holder;
}

static inline void
holder_stop(struct holder *holder)
{
	int status;

	close(holder->release);
	ck_assert_int_eq(waitpid(holder->pid, &status, 0), holder->pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#define MEDIUM_BYTES (UINT64_C(1) << 20)
#define PAGE_BYTES 4096u

enum kind {
	KIND_RAM,
	KIND_BYTE,
	KIND_CACHE_LINE,
	KIND_PAGE,
	NKIND
};

static const struct {
	enum media_force force;
	enum media_granularity granularity;
} kinds[NKIND] = {
	[KIND_RAM] = { MEDIA_FORCE_NONE, MEDIA_CACHE_LINE },
	[KIND_BYTE] = { MEDIA_FORCE_BYTE, MEDIA_BYTE },
	[KIND_CACHE_LINE] = { MEDIA_FORCE_CACHE_LINE, MEDIA_CACHE_LINE },
	[KIND_PAGE] = { MEDIA_FORCE_NONE, MEDIA_PAGE },
};

static inline const char *
kind_path(int kind)
{
	return path_in(kind == KIND_PAGE ? disk_dir : memory_dir, "medium");
}

static inline struct media *
kind_open(int kind, bool read_only)
{
	const struct media_options options = {
		.read_only = read_only,
		.force = kinds[kind].force,
	};
	struct media *media;

	if (kind == KIND_RAM)
		ck_assert_int_eq(
		    media_ram_new(MEDIUM_BYTES, MEDIA_CACHE_LINE, &media), 0);
	else
		media = media_must_open(kind_path(kind), &options);
	ck_assert_int_eq(media->granularity, kinds[kind].granularity);
	return media;
}

/* A new medium of this kind and size, all zero. */
static inline struct media *
kind_new_sized(int kind, uint64_t size)
{
	struct media *media;

	if (kind != KIND_RAM)
		file_make(kind_path(kind), size, false);
	media = kind_open(kind, false);
	if (kind != KIND_RAM)
		ck_assert_uint_eq(media->size, size);
	return media;
}

static inline struct media *
kind_new(int kind)
{
	return kind_new_sized(kind, MEDIUM_BYTES);
}

/* Byte i of a pattern that repeats at no power of two. */
static inline uint8_t
pattern_at(uint64_t i, unsigned seed)
{
	return (uint8_t)(i % 251 + seed);
}

static inline uint8_t *
pattern_new(size_t len, unsigned seed)
{
	uint8_t *bytes = malloc(len);

	ck_assert_ptr_nonnull(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = pattern_at(i, seed);
	return bytes;
}

static inline void
fill(struct media *media)
{
	uint8_t *bytes = pattern_new(media->size, 1);

	ck_assert_int_eq(media_copy(media, 0, bytes, media->size), 0);
	free(bytes);
}

static inline TCase *
case_new(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);

	tcase_add_unchecked_fixture(
	    tcase, directories_make, directories_remove);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return tcase;
}

#endif

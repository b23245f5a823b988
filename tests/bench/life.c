/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * life -- what it takes to create, open and check devices of growing size, and
 * the memory that an open one has.  Each size in a process of its own, so that
 * none finds memory that another has left.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <btt/btt.h>
#include <btt/check.h>
#include <btt/format.h>

#include "bench.h"

#define NOPEN 5u
/* As many as a daemon has. */
#define NWORKER 8u

/* Bytes that are allocated. */
static uint64_t
own_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static double
ms_since(uint64_t start_ns)
{
	return (double)(bench_now_ns() - start_ns) / 1e6;
}

static struct media *
open_media(const char *path)
{
	struct media_options options = { .allow_sparse = true };
	struct btt_error error = { "" };
	struct media *media;

	if (media_open(path, &options, &media, &error) == 0)
		return media;
	fprintf(stderr, "bench: %s: %s\n", path, error.text);
	return NULL;
}

static bool
time_create(const char *path, struct report_life *life)
{
	struct btt_create_options create = { .layout = BTT_LAYOUT_V11,
		.sector_bytes = 4096,
		.nfree = BTT_NFREE_DEFAULT,
		.medium_is_zero = true };
	struct btt_error error = { "" };
	struct media *media;
	uint64_t start;
	int r;

	if ((media = open_media(path)) == NULL)
		return false;
	start = bench_now_ns();
	r = btt_create(media, &create, &error);
	life->create_ms = ms_since(start);
	media_close(media);
	if (r < 0)
		fprintf(stderr, "bench: %s: %s\n", path, error.text);
	return r == 0;
}

/* The medium's opening is part of it. */
static bool
time_open(const char *path, struct report_life *life)
{
	struct btt_open_options options = { .durability = BTT_DURABLE_WRITE };
	struct btt_worker_pool *pool;
	struct btt_error error = { "" };
	uint64_t before = own_bytes();
	double ms[NOPEN];
	bool good = true;

	if (btt_worker_pool_new(NWORKER, &pool) < 0)
		return false;
	for (unsigned i = 0; i < NOPEN && good; i++) {
		uint64_t start = bench_now_ns();
		struct media *media = open_media(path);
		struct btt *btt;

		if (media == NULL)
			return false;
		if (btt_open(media, pool, &options, &btt, &error) < 0) {
			fprintf(stderr, "bench: %s: %s\n", path, error.text);
			media_close(media);
			good = false;
			continue;
		}
		ms[i] = ms_since(start);
		if (i == 0)
			life->open_bytes = own_bytes() - before;
		good = btt_close(btt) == 0;
	}
	btt_worker_pool_free(pool);
	if (good)
		life->open_ms = bench_median(ms, NOPEN);
	return good;
}

static bool
time_check(const char *path, struct report_life *life)
{
	struct btt_check_options options = { 0 };
	struct btt_check_result result;
	struct btt_error error = { "" };
	struct media *media;
	uint64_t start;
	int r;

	if ((media = open_media(path)) == NULL)
		return false;
	start = bench_now_ns();
	r = btt_check(media, &options, &result, &error);
	life->check_ms = ms_since(start);
	media_close(media);
	return r == 0 && result.ndamage == 0;
}

/* In a child; the file is removed by the parent. */
static void
run_child(const char *path, int pipe_fd, struct report_life *life, bool check)
{
	bool good = time_create(path, life) && time_open(path, life) &&
	    (!check || time_check(path, life));

	if (good && write(pipe_fd, life, sizeof(*life)) != sizeof(*life))
		good = false;
	_exit(good ? 0 : 1);
}

static bool
run_size(const char *dir, struct report_life *life, bool check)
{
	int pipe_fd[2], fd, status;
	char path[256];
	bool good;
	pid_t pid;

	(void)snprintf(path, sizeof(path), "%s/bttfs-bench.XXXXXX", dir);
	if (pipe(pipe_fd) < 0 || (fd = mkstemp(path)) < 0)
		return false;
	good = ftruncate(fd, (off_t)life->bytes) == 0;
	(void)close(fd);
	(void)fflush(NULL);
	if (good && (pid = fork()) == 0)
		run_child(path, pipe_fd[1], life, check);
	good = good && pid > 0 && waitpid(pid, &status, 0) == pid &&
	    status == 0 &&
	    read(pipe_fd[0], life, sizeof(*life)) == (ssize_t)sizeof(*life);
	(void)unlink(path);
	(void)close(pipe_fd[0]);
	(void)close(pipe_fd[1]);
	return good;
}

bool
life_run(struct report *report, const char *dir, bool quick)
{
	/* 15: about the most of which the map is looked through at open. */
	static const uint64_t gib[] = { 1, 15, 64, 1024 };
	bool good = true;

	for (size_t i = 0; i < sizeof(gib) / sizeof(gib[0]); i++) {
		struct report_life life = { .bytes = gib[i] << 30 };

		if (!run_size(dir, &life, !quick || gib[i] == 1)) {
			fprintf(stderr, "bench: life at %llu GiB failed\n",
			    (unsigned long long)gib[i]);
			good = false;
			continue;
		}
		report_life(report, &life);
	}
	return good;
}

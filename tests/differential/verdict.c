/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verdict -- what libbtt makes of an image, in one line, for as many images as
 * are named on standard input, a path a line.
 *
 *	open=R reason="..."
 *	open=0 layout=L narena=N sector=BYTES nsector=N recovered=N
 *	    arena=OFF,EXTERNAL,INTERNAL,NFREE free=SUM contents=SUM
 *	check=R damage=N states=NORMAL,INITIAL,ZERO,ERROR pending=N
 *	    found=NAME,NAME...
 *
 * all in one line.  The image is opened for reading, and counts as refused if
 * the log is such that it would be for writing; contents is a sum over what
 * every sector reads, each by a request of its own, and so is free over the
 * free blocks.  differential.py computes the same sums.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <btt/check.h>

#include "engine.h"

#define FOUND_BYTES 65536u
#define PRIME UINT64_C(0x100000001b3)
#define START UINT64_C(0xcbf29ce484222325)
/* A sector that cannot be read. */
#define UNREADABLE UINT64_C(1)

struct findings {
	char names[FOUND_BYTES];
	size_t len;
};

static struct btt_worker_pool *pool;
static struct findings findings;

static uint64_t
sum_of(const uint8_t *bytes, size_t n)
{
	uint64_t sum = START;

	for (size_t i = 0; i < n; i += 8) {
		uint64_t word;

		memcpy(&word, bytes + i, sizeof(word));
		sum = (sum ^ word) * PRIME;
	}
	return sum;
}

static uint64_t
sum_contents(struct btt *btt)
{
	static uint8_t sector[BTT_SECTOR_MAX];
	uint32_t bytes = btt->geometry.sector_bytes;
	uint64_t sum = START;

	for (uint64_t i = 0; i < btt->geometry.nsector; i++) {
		int r = btt_read(btt, btt_worker_pool_get(pool, 0), i * bytes,
		    bytes, sector);

		if (r < 0 && r != -EIO)
			printf(" read=%d", r);
		sum = (sum ^ (r < 0 ? UNREADABLE : sum_of(sector, bytes))) *
		    PRIME;
	}
	return sum;
}

static void
print_arena(const struct arena *arena)
{
	uint64_t sum = START;

	for (uint32_t i = 0; i < arena->nfree; i++)
		sum = (sum ^ arena->pair[i].free_block) * PRIME;
	printf(" arena=%llu,%u,%u,%u free=%016llx",
	    (unsigned long long)arena->info_off, arena->external_nlba,
	    arena->internal_nlba, arena->nfree, (unsigned long long)sum);
}

/* A log that cannot be true; who reads is only told. */
static void
hear(void *arg, const struct btt_finding *finding)
{
	struct btt_error *error = arg;

	if (strncmp(finding->name, "log", 3) == 0 ||
	    strcmp(finding->name, "bitmap") == 0)
		(void)btt_error_set(error, -EUCLEAN, "%s", finding->text);
}

/* The engine closes the medium if it took it. */
static void
print_open(struct media *media)
{
	struct btt_error error = { "" };
	struct btt_error told = { "" };
	const struct btt_open_options options = {
		.read_only = true,
		.report = hear,
		.report_arg = &told,
	};
	struct btt *btt;
	int r;

	r = btt_open(media, pool, &options, &btt, &error);
	if (r == 0 && told.text[0] != '\0') {
		error = told;
		if (btt_close(btt) < 0)
			printf(" close=failed");
		printf(" open=%d reason=\"%s\"", -EUCLEAN, error.text);
		return;
	}
	printf(" open=%d", r);
	if (r < 0) {
		printf(" reason=\"%s\"", error.text);
		media_close(media);
		return;
	}
	printf(" layout=%d narena=%u sector=%u nsector=%llu recovered=%llu",
	    (int)btt->geometry.layout, btt->narena, btt->geometry.sector_bytes,
	    (unsigned long long)btt->geometry.nsector,
	    (unsigned long long)btt->geometry.nrecovered);
	for (uint32_t i = 0; i < btt->narena; i++)
		print_arena(&btt->arena[i]);
	printf(" contents=%016llx", (unsigned long long)sum_contents(btt));
	if ((r = btt_close(btt)) < 0)
		printf(" close=%d", r);
}

static void
add_finding(void *arg, const struct btt_finding *finding)
{
	size_t room = sizeof(findings.names) - findings.len;
	int n;

	(void)arg;
	if (finding->severity != BTT_DAMAGE)
		return;
	n = snprintf(findings.names + findings.len, room, "%s%s",
	    findings.len > 0 ? "," : "", finding->name);
	if (n > 0 && (size_t)n < room)
		findings.len += (size_t)n;
}

static void
print_check(const struct media *media)
{
	const struct btt_check_options options = { .report = add_finding };
	struct btt_check_result result = { 0 };
	struct btt_error error = { "" };
	int r;

	findings.len = 0;
	findings.names[0] = '\0';
	r = btt_check(media, &options, &result, &error);
	printf(" check=%d damage=%llu states=%llu,%llu,%llu,%llu pending=%llu "
	       "found=%s",
	    r, (unsigned long long)result.ndamage,
	    (unsigned long long)result.nnormal,
	    (unsigned long long)result.ninitial,
	    (unsigned long long)result.nzero, (unsigned long long)result.nerror,
	    (unsigned long long)result.npending, findings.names);
}

static void
print_verdict(const char *path)
{
	const struct media_options options = { .read_only = true };
	struct btt_error error = { "" };
	struct media *media;

	if (media_open(path, &options, &media, &error) < 0) {
		printf("media=\"%s\"\n", error.text);
		return;
	}
	printf("size=%llu", (unsigned long long)media->size);
	print_check(media);
	print_open(media);
	putchar('\n');
}

int
main(void)
{
	char path[4096];

	if (media_install_sigbus() < 0 || btt_worker_pool_new(1, &pool) < 0)
		return EXIT_FAILURE;
	while (fgets(path, sizeof(path), stdin) != NULL) {
		path[strcspn(path, "\n")] = '\0';
		print_verdict(path);
		if (fflush(stdout) != 0)
			return EXIT_FAILURE;
	}
	btt_worker_pool_free(pool);
	return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_check -- how fast a check reads a map, and in how much memory.
 *
 *	bench_check FILE [GIB [SECTOR]]
 *
 * Makes a BTT of one arena in a sparse FILE, of 512 GiB and sectors of 4096
 * bytes unless told otherwise, and checks it with one, two and all threads:
 * never written to, written in order, written all over the place.  A line tells
 * the best of NREPEAT runs as bytes of map a second, the least processor time
 * of one (which is what counts on a busy machine), and the most memory that was
 * the process's own.  FILE is removed.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <btt/check.h>
#include <btt/format.h>

#include "layout.h"

#define NREPEAT 3
#define BUFFER_ENTRIES 65536u

enum order {
	ORDER_NEVER,
	ORDER_SECTORS,
	ORDER_RANDOM,
	NORDER
};

static const char *const order_names[NORDER] = { "never written", "in order",
	"at random" };

static unsigned long peak_kib;

static double
now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* Memory that is not the file's. */
static void
note_memory(void *arg, uint64_t done, uint64_t total)
{
	unsigned long kib;
	char line[128];
	FILE *file;

	(void)arg;
	(void)done;
	(void)total;
	if ((file = fopen("/proc/self/status", "r")) == NULL)
		return;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "RssAnon: %lu", &kib) == 1 && kib > peak_kib)
			peak_kib = kib;
	}
	(void)fclose(file);
}

static struct media *
open_medium(const char *path, bool read_only)
{
	const struct media_options options = {
		.read_only = read_only,
		.allow_sparse = true,
	};
	struct btt_error error = { "" };
	struct media *media;

	if (media_open(path, &options, &media, &error) < 0)
		errx(1, "%s: %s", path, error.text);
	return media;
}

static struct btt_info
create(const char *path, uint64_t bytes, uint32_t sector)
{
	const struct btt_create_options options = {
		.layout = BTT_LAYOUT_V20,
		.sector_bytes = sector,
		.nfree = BTT_NFREE_DEFAULT,
		.uuid = { 1 },
		.medium_is_zero = true,
	};
	struct btt_error error = { "" };
	struct btt_probe probe;
	struct btt_info info;
	struct media *media;
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		err(1, "%s", path);
	close(fd);
	media = open_medium(path, false);
	if (btt_create(media, &options, &error) < 0 ||
	    btt_probe(media, &probe, &error) < 0)
		errx(1, "%s: %s", path, error.text);
	info = probe.arena[0].info;
	btt_probe_fini(&probe);
	media_close(media);
	return info;
}

/*
 * Each owner's block: as many steps of a length that has no divisor in common
 * with the number of blocks, so that all blocks come up once.
 */
static uint32_t
owned_block(const struct btt_info *info, uint64_t step, uint32_t owner)
{
	return (uint32_t)(owner * step % info->internal_nlba);
}

static uint64_t
divisor(uint64_t a, uint64_t b)
{
	while (b != 0) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static void
put(int fd, const void *bytes, size_t len, uint64_t off)
{
	if (pwrite(fd, bytes, len, (off_t)off) != (ssize_t)len)
		err(1, "writing the map");
}

static void
fill(const char *path, const struct btt_info *info, enum order order)
{
	static struct le32 entry[BUFFER_ENTRIES];
	uint64_t step = order == ORDER_SECTORS ? 1 : 0x9e3779b1;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint32_t n;

	while (divisor(step, info->internal_nlba) != 1)
		step++;
	for (uint32_t at = 0; at < info->external_nlba; at += n) {
		n = info->external_nlba - at;
		if (n > BUFFER_ENTRIES)
			n = BUFFER_ENTRIES;
		for (uint32_t i = 0; i < n; i++)
			entry[i] = le32_encode(
			    MAP_NORMAL | owned_block(info, step, at + i));
		put(fd, entry, n * sizeof(*entry),
		    info->mapoff + (uint64_t)at * sizeof(*entry));
	}
	for (uint32_t i = 0; i < info->nfree; i++) {
		struct le32 block = le32_encode(
		    owned_block(info, step, info->external_nlba + i));
		struct flog_media log = { le32_encode(i), block, block,
			le32_encode(1) };

		put(fd, &log, sizeof(log),
		    info->logoff + (uint64_t)i * FLOG_GROUP_BYTES);
	}
	close(fd);
}

static void
measure(const char *path, const struct btt_info *info, enum order order,
    unsigned nthread)
{
	const struct btt_check_options options = {
		.nthread = nthread,
		.progress = note_memory,
	};
	struct media *media = open_medium(path, true);
	struct btt_check_result result;
	struct btt_error error = { "" };
	double mib = (double)info->external_nlba * MAP_ENTRY_BYTES / 0x1p20;
	double best = 0;
	double least = 0;

	for (int i = 0; i < NREPEAT; i++) {
		double start = now(CLOCK_MONOTONIC);
		double start_cpu = now(CLOCK_PROCESS_CPUTIME_ID);
		double took, cpu;

		peak_kib = 0;
		if (btt_check(media, &options, &result, &error) < 0)
			errx(1, "%s: %s", path, error.text);
		if (result.ndamage > 0)
			errx(1, "%s: damaged", path);
		took = now(CLOCK_MONOTONIC) - start;
		cpu = now(CLOCK_PROCESS_CPUTIME_ID) - start_cpu;
		best = i == 0 || took < best ? took : best;
		least = i == 0 || cpu < least ? cpu : least;
	}
	printf("%-14s %2u threads %8.0f MiB/s  %6.2f s  cpu %6.2f s  %5lu "
	       "KiB\n",
	    order_names[order], nthread, mib / best, best, least, peak_kib);
	fflush(stdout);
	media_close(media);
}

int
main(int argc, char *argv[])
{
	long ncpu = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t gib;
	struct btt_info info;

	if (argc < 2 || argc > 4) {
		fprintf(stderr, "usage: bench_check FILE [GIB [SECTOR]]\n");
		return 2;
	}
	gib = argc > 2 ? strtoull(argv[2], NULL, 10) : 512;
	info = create(argv[1], gib << 30,
	    argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 4096);
	for (enum order order = ORDER_NEVER; order < NORDER; order++) {
		if (order != ORDER_NEVER)
			fill(argv[1], &info, order);
		measure(argv[1], &info, order, 1);
		measure(argv[1], &info, order, 2);
		if (ncpu > 2)
			measure(argv[1], &info, order, (unsigned)ncpu);
	}
	if (unlink(argv[1]) < 0)
		err(1, "%s", argv[1]);
	return 0;
}

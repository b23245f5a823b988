/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/mman.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lanes/clock.h>

#include "io_stats.h"

/* Keys: a atomic, relaxed, written by its worker only. */
struct counts {
	_Atomic uint64_t nerror; /* [a] */
	_Atomic uint64_t nbyte;  /* [a] */
	struct btt_histogram_counter ns;
};

struct worker_counts {
	struct counts kind[IO_KINDS];
};

/* Keys: I immutable. */
struct io_stats {
	unsigned nworker;    /* [I] */
	size_t worker_bytes; /* [I] whole pages: no line is shared */
	size_t bytes;        /* [I] */
	uint8_t *counts;     /* [I] a struct worker_counts for each worker */
};

const char *
io_kind_name(enum io_kind kind)
{
	static const char *const names[IO_KINDS] = { "read", "write", "flush",
		"zero", "other" };

	return names[kind];
}

int
io_stats_new(unsigned nworker, struct io_stats **ret_stats)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct io_stats *stats;

	if ((stats = calloc(1, sizeof(*stats))) == NULL)
		return -ENOMEM;
	stats->nworker = nworker;
	stats->worker_bytes =
	    (sizeof(struct worker_counts) + page - 1) / page * page;
	stats->bytes = nworker * stats->worker_bytes;
	stats->counts = mmap(NULL, stats->bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (stats->counts == MAP_FAILED) {
		free(stats);
		return -ENOMEM;
	}
	*ret_stats = stats;
	return 0;
}

void
io_stats_free(struct io_stats *stats)
{
	if (stats == NULL)
		return;
	(void)munmap(stats->counts, stats->bytes); /* ours: cannot fail */
	free(stats);
}

static struct worker_counts *
counts_of(const struct io_stats *stats, unsigned worker)
{
	return (struct worker_counts *)(void *)(stats->counts +
	    worker * stats->worker_bytes);
}

void
io_stats_count(struct io_stats *stats, unsigned worker, enum io_kind kind,
    uint64_t bytes, bool failed, uint64_t begun_ns)
{
	struct counts *counts = &counts_of(stats, worker)->kind[kind];

	btt_histogram_add(&counts->ns, clock_ns() - begun_ns);
	if (failed)
		btt_histogram_raise(&counts->nerror, 1);
	else if (bytes > 0)
		btt_histogram_raise(&counts->nbyte, bytes);
}

static uint64_t
load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

void
io_stats_sum(const struct io_stats *stats, struct io_sum *ret_sum)
{
	memset(ret_sum, 0, sizeof(*ret_sum));
	for (unsigned i = 0; i < stats->nworker; i++) {
		for (unsigned k = 0; k < IO_KINDS; k++) {
			const struct counts *counts =
			    &counts_of(stats, i)->kind[k];
			struct io_kind_sum *sum = &ret_sum->kind[k];

			sum->nerror += load(&counts->nerror);
			sum->nbyte += load(&counts->nbyte);
			btt_histogram_gather(&counts->ns, &sum->ns);
		}
	}
}

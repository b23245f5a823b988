/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_scan -- every entry of a map once, by as many threads as there are
 * processors: counted, and its block marked as owned.
 *
 * Threads take chunks of the map from a counter and mark what they meet in one
 * bitmap.  Nothing depends on who comes first: a block with n owners is counted
 * n - 1 times whatever the order.  Who they are is asked afterwards, and only
 * where there is a reason (check_map.c).
 *
 * A map that was written all over the place hits the bitmap at random.  A bit
 * that is set atomically there costs 20 cycles and often a cache miss; so
 * blocks are collected by parts of the bitmap that fit into a cache, and a full
 * bin goes there at once, under that part's lock (6.5 ns an entry instead of
 * 9.7, measured with two threads).  Neighbours that own neighbouring blocks, or
 * that were never written, are taken 64 at a time.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <lanes/sync.h>

#include "check_impl.h"
#include "layout.h"

/* Entries that a thread takes at once; smaller maps are one thread's. */
#define CHUNK_ENTRIES 65536u
#define CHUNK_BYTES (CHUNK_ENTRIES * MAP_ENTRY_BYTES)
/* What the medium is asked for in advance. */
#define AHEAD_BYTES (UINT64_C(8) << 20)
/* Entries that are looked at together; they own two words of bits at most. */
#define GROUP_ENTRIES 64u
/* Blocks of a part of the bitmap, 256 KiB of it, and how many wait for it. */
#define BIN_SHIFT 21u
#define BIN_BLOCKS 256u
#define THREADS_MAX 64u

static_assert(CHUNK_ENTRIES % GROUP_ENTRIES == 0, "whole groups");
static_assert(GROUP_ENTRIES <= UINT16_MAX, "counted in 16 bits");

static const struct lock_class part_class = { "check-bitmap", 79, LOCK_LEAF };

/* A scan under way.  Keys: I immutable while threads run, a atomic. */
struct scan {
	struct check *check;         /* [I] */
	const struct check_log *log; /* [I] NULL: unknown */
	const struct map_bits *bits; /* [I] words: the lock of their part */
	struct mutex *part_lock;     /* [I] taken last; npart of them */
	uint32_t npart;              /* [I] of the bitmap */
	uint64_t map_off;            /* [I] on the medium */
	uint32_t nentry;             /* [I] */
	uint32_t nblock;             /* [I] */
	uint32_t nchunk;             /* [I] */
	_Atomic uint32_t next_chunk; /* [a] the first that nobody has taken */
	_Atomic uint64_t done;       /* [a] bytes */
	uint64_t reported;           /* of them; the caller's own */
	_Atomic int r;               /* [a] the first error */
	_Atomic uint64_t failed_off; /* [a] where that was */
};

/* Blocks on their way to a part of the bitmap. */
struct bin {
	uint32_t n;
	uint32_t block[BIN_BLOCKS];
};

/* One thread's part.  The thread's own but for scan. */
struct scanner {
	struct scan *scan;
	pthread_t thread;
	struct map_tally tally;
	uint32_t *entry; /* of a chunk, host order */
	struct bin *bin; /* one a part of the bitmap */
};

/* Called with ascending premaps: the first one met is the first there is. */
static void
tally_state(struct map_tally *tally, uint32_t premap, uint32_t entry)
{
	enum map_state state = map_entry_state(entry);

	if (tally->nstate[state]++ == 0)
		tally->first[state] = premap;
	if (state == MAP_STATE_INITIAL && entry != 0 && tally->nbits++ == 0)
		tally->first_bits = premap;
}

static void
tally_add(struct map_tally *sum, const struct map_tally *part)
{
	for (unsigned i = 0; i < CHECK_NSTATE; i++) {
		if (part->nstate[i] > 0 &&
		    (sum->nstate[i] == 0 || part->first[i] < sum->first[i]))
			sum->first[i] = part->first[i];
		sum->nstate[i] += part->nstate[i];
	}
	if (part->nbits > 0 &&
	    (sum->nbits == 0 || part->first_bits < sum->first_bits))
		sum->first_bits = part->first_bits;
	sum->nbits += part->nbits;
	sum->nrange += part->nrange;
	sum->ntwice += part->ntwice;
}

/* Caller holds the lock of the part in which the word is. */
static void
set_bits_locked(struct scanner *scanner, uint32_t word, uint64_t mask)
{
	const struct map_bits *bits = scanner->scan->bits;
	uint64_t again = bits->claimed[word] & mask;

	bits->claimed[word] |= mask;
	if (again == 0)
		return;
	scanner->tally.ntwice += (unsigned)__builtin_popcountll(again);
	if (bits->twice != NULL)
		bits->twice[word] |= again;
}

static void
empty_bin(struct scanner *scanner, uint32_t part)
{
	struct mutex *lock = &scanner->scan->part_lock[part];
	struct bin *bin = &scanner->bin[part];

	mutex_lock(lock);
	for (uint32_t i = 0; i < bin->n; i++)
		set_bits_locked(scanner, bin->block[i] / 64,
		    UINT64_C(1) << bin->block[i] % 64);
	mutex_unlock(lock);
	bin->n = 0;
}

static void
empty_bins(struct scanner *scanner)
{
	for (uint32_t i = 0; i < scanner->scan->npart; i++) {
		if (scanner->bin[i].n > 0)
			empty_bin(scanner, i);
	}
}

static inline void
claim(struct scanner *scanner, uint32_t block)
{
	struct bin *bin = &scanner->bin[block >> BIN_SHIFT];

	bin->block[bin->n++] = block;
	if (bin->n == BIN_BLOCKS)
		empty_bin(scanner, block >> BIN_SHIFT);
}

static void
claim_word(struct scanner *scanner, uint32_t word, uint64_t mask)
{
	struct mutex *lock =
	    &scanner->scan->part_lock[word / ((1u << BIN_SHIFT) / 64)];

	mutex_lock(lock);
	set_bits_locked(scanner, word, mask);
	mutex_unlock(lock);
}

/* GROUP_ENTRIES blocks, the first one given. */
static void
claim_run(struct scanner *scanner, uint32_t block)
{
	unsigned shift = block % 64;

	claim_word(scanner, block / 64, UINT64_MAX << shift);
	if (shift != 0)
		claim_word(scanner, block / 64 + 1, UINT64_MAX >> (64 - shift));
}

/* Do all of them own one block after another?  Mostly, or not at all. */
static bool
is_run(const struct scan *scan, const uint32_t *entry, uint32_t premap)
{
	const uint32_t step = entry[0] == 0 ? 0 : 1;
	uint32_t block = map_entry_block(entry[0], premap);
	uint32_t differ = 0;

	/* Blocks do not count up into the state. */
	if (block >= scan->nblock || scan->nblock - block < GROUP_ENTRIES ||
	    (map_entry_state(entry[0]) == MAP_STATE_INITIAL && step == 1))
		return false;
	for (uint32_t i = 0; i < GROUP_ENTRIES; i++)
		differ |= entry[i] ^ (entry[0] + step * i);
	return differ == 0;
}

static void
scan_run(struct scanner *scanner, const uint32_t *entry, uint32_t premap)
{
	struct map_tally *tally = &scanner->tally;

	tally_state(tally, premap, entry[0]);
	tally->nstate[map_entry_state(entry[0])] += GROUP_ENTRIES - 1;
	claim_run(scanner, map_entry_block(entry[0], premap));
}

/* Where the first entry of a state is; there is one. */
static uint32_t
first_of(const uint32_t *entry, uint32_t premap, unsigned state)
{
	uint32_t i = 0;

	while (map_entry_state(entry[i]) != state)
		i++;
	return premap + i;
}

static void
scan_entry(
    struct scanner *scanner, uint32_t premap, uint32_t raw, uint32_t recovered)
{
	uint32_t block = map_entry_block(recovered, premap);

	tally_state(&scanner->tally, premap, raw);
	if (block < scanner->scan->nblock)
		claim(scanner, block);
	else
		scanner->tally.nrange++;
}

/*
 * Up to GROUP_ENTRIES entries, whatever they are.  States are counted in four
 * fields of a word, since counters in memory would wait for each other.
 */
static void
scan_group(
    struct scanner *scanner, const uint32_t *entry, uint32_t premap, uint32_t n)
{
	const uint32_t nblock = scanner->scan->nblock;
	struct map_tally *tally = &scanner->tally;
	uint64_t nstate = 0;
	uint32_t bits = 0;
	uint32_t nrange = 0;

	for (uint32_t i = 0; i < n; i++) {
		enum map_state state = map_entry_state(entry[i]);
		uint32_t block = map_entry_block(entry[i], premap + i);

		nstate += UINT64_C(1) << 16 * state;
		bits |= state == MAP_STATE_INITIAL ? entry[i] : 0;
		if (block < nblock)
			claim(scanner, block);
		else
			nrange++;
	}
	tally->nrange += nrange;
	for (unsigned i = 0; i < CHECK_NSTATE; i++) {
		uint16_t count = (uint16_t)(nstate >> 16 * i);

		if (count > 0 && tally->nstate[i] == 0)
			tally->first[i] = first_of(entry, premap, i);
		tally->nstate[i] += count;
	}
	for (uint32_t i = 0; bits != 0 && i < n; i++) {
		if (map_entry_state(entry[i]) == MAP_STATE_INITIAL &&
		    entry[i] != 0 && tally->nbits++ == 0)
			tally->first_bits = premap + i;
	}
}

/* Entries at numbers from to to - 1 of those that are loaded. */
static void
scan_entries(
    struct scanner *scanner, uint32_t first, uint32_t from, uint32_t to)
{
	uint32_t n;

	for (; from < to; from += n) {
		const uint32_t *entry = &scanner->entry[from];

		n = to - from < GROUP_ENTRIES ? to - from : GROUP_ENTRIES;
		if (n == GROUP_ENTRIES &&
		    is_run(scanner->scan, entry, first + from))
			scan_run(scanner, entry, first + from);
		else
			scan_group(scanner, entry, first + from, n);
	}
}

/* The first entry that recovery will store at or beyond premap. */
static uint32_t
find_pending(const struct check_log *log, uint32_t premap)
{
	uint32_t low = 0;
	uint32_t high = log->npending;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (log->pending[middle].premap < premap)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * One chunk: entries count by the state they have, and own the block that
 * recovery will give them.
 */
static void
scan_chunk(struct scanner *scanner, uint32_t first, uint32_t n)
{
	const struct check_log *log = scanner->scan->log;
	uint32_t *entry = scanner->entry;
	uint32_t at = 0;

	for (uint32_t i = 0; i < n; i++)
		entry[i] = le32_decode((struct le32){ entry[i] });
	for (uint32_t k = log == NULL ? 0 : find_pending(log, first);
	     log != NULL && k < log->npending; k++) {
		uint32_t pending = log->pending[k].premap - first;

		if (pending >= n)
			break;
		scan_entries(scanner, first, at, pending);
		scan_entry(scanner, first + pending, entry[pending],
		    log->pending[k].entry);
		at = pending + 1;
	}
	scan_entries(scanner, first, at, n);
}

/* Advice only: where it means nothing, as in memory, it is refused. */
static void
read_ahead(const struct scan *scan, uint64_t off)
{
	const struct media *media = scan->check->media;
	uint64_t end = scan->map_off + (uint64_t)scan->nentry * MAP_ENTRY_BYTES;
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t at;

	if (off >= end)
		return;
	if (end - off > AHEAD_BYTES)
		end = off + AHEAD_BYTES;
	at = (uintptr_t)(media->base + off);
	at -= at % page;
	(void)madvise(
	    (void *)at, (uintptr_t)(media->base + end) - at, MADV_WILLNEED);
}

struct copy_job {
	const struct media *media;
	uint64_t off;
	void *bytes;
	size_t len;
};

static int
copy_entries(void *arg)
{
	struct copy_job *job = arg;

	memcpy(job->bytes, media_at(job->media, job->off), job->len);
	return 0;
}

static int
load_chunk(struct scanner *scanner, uint64_t at, size_t len)
{
	struct scan *scan = scanner->scan;
	struct copy_job job = {
		.media = scan->check->media,
		.off = scan->map_off + at,
		.bytes = scanner->entry,
		.len = len,
	};
	int none = 0;
	int r;

	/* Each byte is asked for once, by whoever gets to its window first. */
	if (at % AHEAD_BYTES == 0)
		read_ahead(scan, job.off + AHEAD_BYTES);
	if ((r = media_try(copy_entries, &job)) < 0 &&
	    atomic_compare_exchange_strong(&scan->r, &none, r))
		atomic_store(&scan->failed_off, job.off);
	return r;
}

/* By the caller's thread only. */
static void
report_progress(struct scan *scan)
{
	uint64_t done = atomic_load(&scan->done);

	check_progress(scan->check, done - scan->reported);
	scan->reported = done;
}

/* Chunks until there are none left. */
static void
scan_chunks(struct scanner *scanner, bool is_caller)
{
	struct scan *scan = scanner->scan;

	while (atomic_load(&scan->r) == 0) {
		uint32_t chunk = atomic_fetch_add(&scan->next_chunk, 1);
		uint32_t first = chunk * CHUNK_ENTRIES;
		uint32_t n;

		if (chunk >= scan->nchunk)
			break;
		n = scan->nentry - first;
		if (n > CHUNK_ENTRIES)
			n = CHUNK_ENTRIES;
		if (load_chunk(scanner, (uint64_t)chunk * CHUNK_BYTES,
			(size_t)n * MAP_ENTRY_BYTES) < 0)
			break;
		scan_chunk(scanner, first, n);
		atomic_fetch_add(&scan->done, (uint64_t)n * MAP_ENTRY_BYTES);
		if (is_caller)
			report_progress(scan);
	}
	empty_bins(scanner);
}

static void *
run_scanner(void *arg)
{
	scan_chunks(arg, false);
	return NULL;
}

static unsigned
count_threads(const struct scan *scan)
{
	unsigned n = scan->check->options->nthread;
	cpu_set_t set;

	if (n == 0)
		n = sched_getaffinity(0, sizeof(set), &set) == 0
		    ? (unsigned)CPU_COUNT(&set)
		    : 1;
	if (n > THREADS_MAX)
		n = THREADS_MAX;
	return n < scan->nchunk ? n : scan->nchunk;
}

/*
 * Start all but the first, which is the caller.  Signals are the caller's
 * business but for those that a thread causes itself.  Returns how many scan.
 */
static unsigned
start_scanners(struct scanner *scanner, unsigned n)
{
	sigset_t set;
	sigset_t before;
	unsigned i;

	(void)sigfillset(&set); /* neither of these can fail */
	(void)sigdelset(&set, SIGBUS);
	(void)sigdelset(&set, SIGSEGV);
	(void)pthread_sigmask(SIG_BLOCK, &set, &before);
	for (i = 1; i < n; i++) {
		/* One thread is enough, more are only faster. */
		if (pthread_create(&scanner[i].thread, NULL, run_scanner,
			&scanner[i]) != 0)
			break;
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return i;
}

static int
run_scanners(struct scan *scan, struct scanner *scanner, unsigned n)
{
	uint64_t off;

	read_ahead(scan, scan->map_off);
	n = start_scanners(scanner, n);
	scan_chunks(&scanner[0], true);
	for (unsigned i = 1; i < n; i++)
		(void)pthread_join(scanner[i].thread, NULL);
	if (atomic_load(&scan->r) == 0)
		return 0;
	off = atomic_load(&scan->failed_off);
	return btt_error_set(scan->check->error, atomic_load(&scan->r),
	    "arena %u: the map at %llu cannot be read", scan->check->arena,
	    (unsigned long long)off);
}

static void
claim_free_blocks(struct scanner *scanner)
{
	const struct check_log *log = scanner->scan->log;
	uint32_t nfree = scanner->scan->check->place->info.nfree;

	for (uint32_t i = 0; log != NULL && i < nfree; i++) {
		if (log->pair[i].free_block != CHECK_NO_BLOCK)
			claim(scanner, log->pair[i].free_block);
	}
}

static void
free_scanners(struct scanner *scanner, unsigned n)
{
	for (unsigned i = 0; scanner != NULL && i < n; i++) {
		free(scanner[i].bin);
		free(scanner[i].entry);
	}
	free(scanner);
}

/* NULL without memory. */
static struct scanner *
new_scanners(struct scan *scan, unsigned n)
{
	const uint32_t nentry =
	    scan->nentry < CHUNK_ENTRIES ? scan->nentry : CHUNK_ENTRIES;
	struct scanner *scanner;

	if ((scanner = calloc(n, sizeof(*scanner))) == NULL)
		return NULL;
	for (unsigned i = 0; i < n; i++) {
		scanner[i].scan = scan;
		scanner[i].entry = calloc(nentry, MAP_ENTRY_BYTES);
		scanner[i].bin = calloc(scan->npart, sizeof(struct bin));
		if (scanner[i].entry == NULL || scanner[i].bin == NULL) {
			free_scanners(scanner, n);
			return NULL;
		}
	}
	return scanner;
}

int
check_scan(struct check *check, const struct check_log *log,
    const struct map_bits *bits, struct map_tally *ret_tally)
{
	const struct btt_info *info = &check->place->info;
	struct scan scan = {
		.check = check,
		.log = log,
		.bits = bits,
		.npart = ((info->internal_nlba - 1) >> BIN_SHIFT) + 1,
		.map_off = check->place->off + info->mapoff,
		.nentry = info->external_nlba,
		.nblock = info->internal_nlba,
		.nchunk = (info->external_nlba - 1) / CHUNK_ENTRIES + 1,
	};
	const unsigned n = count_threads(&scan);
	struct scanner *scanner = new_scanners(&scan, n);
	int r = -ENOMEM;

	scan.part_lock = calloc(scan.npart, sizeof(*scan.part_lock));
	if (scanner == NULL || scan.part_lock == NULL)
		goto out;
	for (uint32_t i = 0; i < scan.npart; i++)
		mutex_init(&scan.part_lock[i], &part_class);
	claim_free_blocks(&scanner[0]);
	r = run_scanners(&scan, scanner, n);
	report_progress(&scan);
	memset(ret_tally, 0, sizeof(*ret_tally));
	for (unsigned i = 0; i < n; i++)
		tally_add(ret_tally, &scanner[i].tally);
	for (uint32_t i = 0; i < scan.npart; i++)
		mutex_fini(&scan.part_lock[i]);
out:
	free(scan.part_lock);
	free_scanners(scanner, n);
	return r;
}

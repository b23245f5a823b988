/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * storm -- a load whose result can be judged after a crash.
 *
 *	storm run [-k] [-b BYTES] [-t WRITERS] [-r READERS] [-n REQUESTS]
 *	    [-a REQUESTS] [-s SEED] FILE TABLE
 *	storm check [-u] [-m MODE] FILE TABLE
 *
 * run: writers fill sectors of BYTES with self-identifying data, one and
 * several at a time, zero some, sync now and then, and keep in TABLE what they
 * sent, what was answered and what was synced.  Readers look over their
 * shoulders meanwhile: what they find must be whole and not older than what
 * was answered before they asked.  It ends after -n requests of each writer,
 * or with -k when the server dies, which is no error then.  After -a requests
 * in all it says "under way".
 *
 * check: each sector of FILE must be whole, sent, and not older than what was
 * answered (MODE write) or synced (MODE flush).  With -u the crash is over:
 * what was found is now the state, and lost writes must stay lost.
 *
 * Exit status: 0, 1 for a wrong sector, 2 if it could not be found out.
 */
#include <sys/stat.h>
#include <sys/uio.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sector.h"
#include "storm_table.h"

#define THREAD_MAX 64u
/*
 * Sectors in a row that have the same writer; requests do not leave them.  No
 * multiple of the 16 map entries of a cache line, so that writers meet there.
 */
#define CHUNK 37u
#define HOT_CHUNKS 4u /* of each writer, where every other request goes */
/*
 * Sectors of a read: so many that blocks of the first ones are overwritten
 * and would be used again before the last ones are copied.
 */
#define READ_SECTORS 256u
#define READ_BYTES (1u << 20) /* of a check */
#define BAD_SHOWN 20u
#define BUF_ALIGN 4096u

enum mode {
	MODE_WRITE,
	MODE_FLUSH
};

struct storm {
	const char *path;
	int fd;
	enum mode mode;
	bool may_die;
	bool settle;
	uint32_t sector_bytes; /* 0: as the table has them */
	uint32_t nwriter, nreader;
	uint64_t nrequest; /* of each writer, 0 for no end */
	uint64_t announce;
	uint64_t seed;
	struct table table;
	_Atomic bool stop;
	_Atomic bool died;
	_Atomic unsigned nbad;
	_Atomic uint64_t nwrite, nsync, nread;
};

struct worker {
	struct storm *storm;
	pthread_t thread;
	uint32_t index;
	uint64_t counter; /* of random numbers */
	uint8_t *buf;     /* READ_SECTORS sectors */
	uint32_t *acked;  /* of all sectors, before a sync */
};

static uint64_t
next_random(struct worker *worker)
{
	return sector_mix(
	    worker->storm->seed + worker->index * 1000003u, worker->counter++);
}

static void
complain(struct storm *storm, uint64_t lba, const char *what)
{
	if (atomic_fetch_add(&storm->nbad, 1) >= BAD_SHOWN)
		return;
	printf("%s: sector %" PRIu64 ": %s\n", storm->path, lba, what);
}

static bool
is_death(int error)
{
	return error == ENOTCONN || error == ECONNABORTED;
}

/*
 * A server that is killed while it copies an answer out of a page that has to
 * be read first fails that copy, and the kernel answers EIO in its place.  Was
 * it that?  Then no later request is answered.
 */
static bool
dies_now(const struct storm *storm)
{
	char byte;

	for (unsigned i = 0; i < 100; i++) {
		if (pread(storm->fd, &byte, 1, 0) < 0 && is_death(errno))
			return true;
		(void)usleep(10000);
	}
	return false;
}

/* A request was refused: is that the crash that we wait for? */
static void
refused(struct storm *storm, uint64_t lba, const char *request, int error)
{
	char text[128];

	atomic_store(&storm->stop, true);
	if (storm->may_die &&
	    (is_death(error) || (error == EIO && dies_now(storm)))) {
		atomic_store(&storm->died, true);
		return;
	}
	snprintf(text, sizeof(text), "%s: %s", request, strerror(error));
	complain(storm, lba, text);
}

/* 0, or the errno; a short answer is none. */
static int
transfer(ssize_t n, size_t want)
{
	if (n < 0)
		return errno;
	return (size_t)n == want ? 0 : EPROTO;
}

static void
raise_to(_Atomic uint32_t *word, uint32_t value)
{
	uint32_t now = atomic_load(word);

	while (now < value && !atomic_compare_exchange_weak(word, &now, value))
		;
}

/* All that was answered before is safe when the sync is answered. */
static void
sync_all(struct worker *worker)
{
	struct storm *storm = worker->storm;
	struct table *table = &storm->table;
	uint64_t lba;

	for (lba = 0; lba < table->nsector; lba++)
		worker->acked[lba] = atomic_load(&table->entries[lba].acked);
	if (fdatasync(storm->fd) < 0) {
		refused(storm, 0, "fdatasync", errno);
		return;
	}
	for (lba = 0; lba < table->nsector; lba++)
		raise_to(&table->entries[lba].synced, worker->acked[lba]);
	atomic_fetch_add(&storm->nsync, 1);
}

/* Somewhere in the chunks of this writer. */
static uint32_t
choose_place(struct worker *worker, uint64_t *ret_lba)
{
	struct storm *storm = worker->storm;
	uint64_t nchunk, own, chunk, end;
	uint32_t most;

	nchunk = (storm->table.nsector + CHUNK - 1) / CHUNK;
	own = (nchunk - worker->index + storm->nwriter - 1) / storm->nwriter;
	if (own > HOT_CHUNKS && next_random(worker) % 2 == 0)
		own = HOT_CHUNKS;
	chunk = next_random(worker) % own * storm->nwriter + worker->index;
	end = (chunk + 1) * CHUNK;
	if (end > storm->table.nsector)
		end = storm->table.nsector;
	*ret_lba = chunk * CHUNK + next_random(worker) % (end - chunk * CHUNK);
	most = (uint32_t)(end - *ret_lba);
	return next_random(worker) % 4 == 0
	    ? 1 + (uint32_t)(next_random(worker) % most)
	    : 1;
}

static int
send_zero(struct worker *worker, uint64_t lba, uint32_t n)
{
	struct storm *storm = worker->storm;
	uint32_t bytes = storm->table.sector_bytes;
	int mode;

	for (uint32_t i = 0; i < n; i++)
		(void)table_intend(&storm->table, lba + i, true);
	mode = next_random(worker) % 2 == 0 ? FALLOC_FL_PUNCH_HOLE
					    : FALLOC_FL_ZERO_RANGE;
	return fallocate(storm->fd, mode | FALLOC_FL_KEEP_SIZE,
		   (off_t)(lba * bytes), (off_t)n * bytes) < 0
	    ? errno
	    : 0;
}

static int
send_data(struct worker *worker, uint64_t lba, uint32_t n, bool dsync)
{
	struct storm *storm = worker->storm;
	uint32_t bytes = storm->table.sector_bytes;
	struct sector_id id = { .writer = worker->index };
	struct iovec iov = { worker->buf, (size_t)n * bytes };

	for (uint32_t i = 0; i < n; i++) {
		id.lba = lba + i;
		id.generation = table_intend(&storm->table, id.lba, false);
		sector_make(worker->buf + (size_t)i * bytes, bytes, &id);
	}
	return transfer(pwritev2(storm->fd, &iov, 1, (off_t)(lba * bytes),
			    dsync ? RWF_DSYNC : 0),
	    iov.iov_len);
}

static void
write_once(struct worker *worker)
{
	struct storm *storm = worker->storm;
	struct table_entry *entry;
	uint64_t lba, total;
	uint32_t n;
	bool dsync, zero;
	int r;

	n = choose_place(worker, &lba);
	zero = next_random(worker) % 16 == 0;
	dsync = !zero && next_random(worker) % 32 == 0;
	r = zero ? send_zero(worker, lba, n) : send_data(worker, lba, n, dsync);
	if (r != 0) {
		refused(storm, lba, zero ? "fallocate" : "write", r);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		entry = &storm->table.entries[lba + i];
		atomic_store(&entry->acked, atomic_load(&entry->intent));
		if (dsync)
			raise_to(&entry->synced, atomic_load(&entry->acked));
	}
	total = atomic_fetch_add(&storm->nwrite, 1) + 1;
	if (total == storm->announce) {
		puts("under way");
		fflush(stdout);
	}
}

static void *
writer_main(void *arg)
{
	struct worker *worker = arg;
	struct storm *storm = worker->storm;
	uint64_t i;

	for (i = 0; !atomic_load(&storm->stop); i++) {
		if (storm->nrequest != 0 && i == storm->nrequest)
			break;
		write_once(worker);
		if (next_random(worker) % 64 == 0)
			sync_all(worker);
	}
	return NULL;
}

static void
read_once(struct worker *worker)
{
	struct storm *storm = worker->storm;
	struct table *table = &storm->table;
	uint32_t bytes = table->sector_bytes, low[READ_SECTORS], n, found;
	uint64_t lba, range;
	const char *what;
	int r;

	range = next_random(worker) % 2 == 0
	    ? table->nsector
	    : (uint64_t)HOT_CHUNKS * storm->nwriter * CHUNK;
	if (range > table->nsector)
		range = table->nsector;
	lba = next_random(worker) % range;
	n = 1 + (uint32_t)(next_random(worker) % READ_SECTORS);
	if (n > range - lba)
		n = (uint32_t)(range - lba);
	for (uint32_t i = 0; i < n; i++)
		low[i] = atomic_load(&table->entries[lba + i].acked);
	r = transfer(pread(storm->fd, worker->buf, (size_t)n * bytes,
			 (off_t)(lba * bytes)),
	    (size_t)n * bytes);
	if (r != 0) {
		refused(storm, lba, "read", r);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		what = table_judge(table, lba + i,
		    worker->buf + (size_t)i * bytes, low[i],
		    atomic_load(&table->entries[lba + i].intent), &found);
		if (what != NULL)
			complain(storm, lba + i, what);
	}
	atomic_fetch_add(&storm->nread, 1);
}

static void *
reader_main(void *arg)
{
	struct worker *worker = arg;

	while (!atomic_load(&worker->storm->stop))
		read_once(worker);
	return NULL;
}

static void *
allocate(size_t bytes)
{
	void *memory;

	bytes = (bytes + BUF_ALIGN - 1) / BUF_ALIGN * BUF_ALIGN;
	if ((memory = aligned_alloc(BUF_ALIGN, bytes)) == NULL)
		errx(2, "out of memory");
	memset(memory, 0, bytes);
	return memory;
}

static void
start(struct worker *worker, struct storm *storm, uint32_t index)
{
	int r;

	worker->storm = storm;
	worker->index = index;
	worker->buf =
	    allocate((size_t)READ_SECTORS * storm->table.sector_bytes);
	worker->acked = allocate(storm->table.nsector * sizeof(uint32_t));
	r = pthread_create(&worker->thread, NULL,
	    index < storm->nwriter ? writer_main : reader_main, worker);
	if (r != 0)
		errx(2, "pthread_create: %s", strerror(r));
}

static void
join(struct worker *worker)
{
	(void)pthread_join(worker->thread, NULL); /* it is joinable, once */
	free(worker->buf);
	free(worker->acked);
}

static int
run(struct storm *storm)
{
	struct worker workers[2 * THREAD_MAX] = { 0 };
	uint32_t i;

	for (i = 0; i < storm->nwriter + storm->nreader; i++)
		start(&workers[i], storm, i);
	for (i = 0; i < storm->nwriter; i++)
		join(&workers[i]);
	atomic_store(&storm->stop, true);
	for (; i < storm->nwriter + storm->nreader; i++)
		join(&workers[i]);
	printf("storm: %" PRIu64 " writes, %" PRIu64 " syncs, %" PRIu64
	       " reads, %u errors, seed %" PRIu64 "%s\n",
	    storm->nwrite, storm->nsync, storm->nread, storm->nbad, storm->seed,
	    storm->died ? ", until the server died" : "");
	return storm->nbad > 0;
}

struct tally {
	uint64_t nwritten; /* sectors that ever were */
	uint64_t nflying;  /* sent and not answered */
	uint64_t nlost;    /* answered and not there: MODE flush only */
};

static void
check_sector(
    struct storm *storm, uint64_t lba, const uint8_t *buf, struct tally *tally)
{
	struct table_entry *entry;
	const char *what;
	uint32_t acked, synced, intent, generation;
	char text[160];

	entry = &storm->table.entries[lba];
	acked = atomic_load(&entry->acked);
	synced = atomic_load(&entry->synced);
	intent = atomic_load(&entry->intent);
	what = table_judge(&storm->table, lba, buf,
	    storm->mode == MODE_WRITE ? acked : synced, intent, &generation);
	if (what != NULL) {
		snprintf(text, sizeof(text),
		    "%s (sent %u, answered %u, synced %u)", what, intent, acked,
		    synced);
		complain(storm, lba, text);
		return;
	}
	tally->nwritten += intent > 0;
	tally->nflying += intent > acked && intent > entry->base;
	tally->nlost += generation < acked;
	if (storm->settle)
		table_settle(&storm->table, lba, generation);
}

static int
check(struct storm *storm)
{
	struct tally tally = { 0 };
	uint64_t nsector, lba;
	uint32_t bytes, n;
	uint8_t *buf;
	int r;

	nsector = storm->table.nsector;
	bytes = storm->table.sector_bytes;
	buf = allocate(READ_BYTES);
	for (lba = 0; lba < nsector; lba += n) {
		n = READ_BYTES / bytes;
		if (n > nsector - lba)
			n = (uint32_t)(nsector - lba);
		r = transfer(pread(storm->fd, buf, (size_t)n * bytes,
				 (off_t)(lba * bytes)),
		    (size_t)n * bytes);
		if (r != 0) {
			complain(storm, lba, strerror(r));
			continue;
		}
		for (uint32_t i = 0; i < n; i++)
			check_sector(
			    storm, lba + i, buf + (size_t)i * bytes, &tally);
	}
	free(buf);
	printf("check: %" PRIu64 " sectors, %" PRIu64 " were written, %" PRIu64
	       " were being written, %" PRIu64 " lost before a sync, %u bad\n",
	    nsector, tally.nwritten, tally.nflying, tally.nlost, storm->nbad);
	return storm->nbad > 0;
}

static void
open_both(struct storm *storm, const char *table_path, bool writable)
{
	uint32_t bytes;
	off_t end;
	int r;

	storm->fd =
	    open(storm->path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (storm->fd < 0 || (end = lseek(storm->fd, 0, SEEK_END)) < 0)
		err(2, "%s", storm->path);
	bytes = storm->sector_bytes;
	if (bytes == 0)
		bytes = table_sector_bytes(table_path);
	if (bytes < 512 || bytes > SECTOR_BYTES_MAX || bytes % 8 != 0)
		errx(2, "%s: no table, or no sector size", table_path);
	if (end / bytes == 0)
		errx(2, "%s: no whole sector", storm->path);
	r = table_open(table_path, (uint64_t)end / bytes, bytes, &storm->table);
	if (r < 0)
		errx(2, "%s: %s", table_path, strerror(-r));
}

static _Noreturn void
usage(void)
{
	errx(2,
	    "usage: storm run [-k] [-b BYTES] [-t WRITERS] [-r READERS] "
	    "[-n REQUESTS] [-a REQUESTS] [-s SEED] FILE TABLE\n"
	    "       storm check [-u] [-m write|flush] FILE TABLE");
}

static uint64_t
number(const char *text, uint64_t most)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
	    value > most)
		errx(2, "not a number up to %" PRIu64 ": %s", most, text);
	return value;
}

static enum mode
mode_of(const char *text)
{
	if (strcmp(text, "write") == 0)
		return MODE_WRITE;
	if (strcmp(text, "flush") == 0)
		return MODE_FLUSH;
	usage();
}

static void
parse_option(struct storm *storm, int option)
{
	switch (option) {
	case 'a':
		storm->announce = number(optarg, UINT64_MAX);
		break;
	case 'b':
		storm->sector_bytes =
		    (uint32_t)number(optarg, SECTOR_BYTES_MAX);
		break;
	case 'k':
		storm->may_die = true;
		break;
	case 'm':
		storm->mode = mode_of(optarg);
		break;
	case 'n':
		storm->nrequest = number(optarg, UINT64_MAX);
		break;
	case 'r':
		storm->nreader = (uint32_t)number(optarg, THREAD_MAX);
		break;
	case 's':
		storm->seed = number(optarg, UINT64_MAX);
		break;
	case 't':
		storm->nwriter = (uint32_t)number(optarg, THREAD_MAX);
		break;
	case 'u':
		storm->settle = true;
		break;
	default:
		usage();
	}
}

int
main(int argc, char *argv[])
{
	struct storm storm = {
		.nwriter = 4,
		.nreader = 1,
	};
	bool checking;
	int option, status;

	if (argc < 2)
		usage();
	checking = strcmp(argv[1], "check") == 0;
	if (!checking && strcmp(argv[1], "run") != 0)
		usage();
	optind = 2;
	while ((option = getopt(
		    argc, argv, checking ? "m:u" : "a:b:kn:r:s:t:")) != -1)
		parse_option(&storm, option);
	if (argc - optind != 2 || storm.nwriter == 0)
		usage();
	storm.path = argv[optind];
	open_both(&storm, argv[optind + 1], !checking);
	status = checking ? check(&storm) : run(&storm);
	table_close(&storm.table);
	/* A server that died cannot answer a close either. */
	if (close(storm.fd) < 0 && !storm.may_die)
		err(2, "%s", storm.path);
	return status;
}

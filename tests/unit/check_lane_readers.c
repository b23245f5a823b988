/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * T-B7 of control-plane.md B.6: one sector is read over and over while writers
 * use its blocks again as fast as they can.  Each read sleeps between looking
 * up where the sector is and looking at what is there, and must still find one
 * version, whole, not older than what was acknowledged before it began (I3).
 */
#include <stdlib.h>
#include <string.h>

#include "support/check_locks.h"
#include "support/check_main.h"
#include "support/engine_fixture.h"

#define NWRITER 4u
#define NREADER 3u
#define READ_LBA 5u
#define NSECTOR 8u /* that are written, the one that is read among them */

static const struct {
	enum media_granularity granularity;
	enum btt_durability durability;
	uint32_t sector;
} variants[] = {
	{ MEDIA_CACHE_LINE, BTT_DURABLE_WRITE, 4096 },
	{ MEDIA_CACHE_LINE, BTT_DURABLE_WRITE, 512 },
	{ MEDIA_PAGE, BTT_DURABLE_FLUSH, 4096 },
};
#define NVARIANT ((int)(sizeof(variants) / sizeof(variants[0])))

struct field {
	struct fixture fixture;
	_Atomic uint64_t issued;       /* versions of the sector that is read */
	_Atomic uint64_t acknowledged; /* the newest of them */
	_Atomic bool stop;
	_Atomic uint64_t nread;
};

struct thread {
	struct field *field;
	pthread_t id;
	unsigned index;
	const char *failure;
};

static struct field field;

/* Versions of the sector that is read come from one writer, in order. */
static const char *
write_sector(struct thread *thread, unsigned lba, uint8_t *buf)
{
	struct fixture *fixture = &thread->field->fixture;
	uint32_t bytes = fixture->geometry.sector_bytes;
	uint64_t version = 1;

	if (lba == READ_LBA)
		version = atomic_fetch_add(&field.issued, 1) + 1;
	sector_fill(buf, bytes, lba, version);
	if (btt_write(fixture->btt, fixture_worker(fixture, thread->index),
		(uint64_t)lba * bytes, bytes, buf) < 0)
		return "write failed";
	if (lba == READ_LBA)
		atomic_store(&field.acknowledged, version);
	return NULL;
}

static void *
run_writer(void *arg)
{
	struct thread *thread = arg;
	uint32_t state = thread->index + 1;
	uint8_t buf[4096];
	unsigned lba;

	while (!atomic_load(&field.stop) && thread->failure == NULL) {
		/* The first has the sector to itself; all use its blocks. */
		lba = thread->index == 0 ? READ_LBA
					 : thread_random(&state) % NSECTOR;
		if (thread->index != 0 && lba == READ_LBA)
			lba = 0;
		thread->failure = write_sector(thread, lba, buf);
	}
	return NULL;
}

struct look {
	const struct iovec *iov;
	int64_t version;
};

static int
look(void *arg)
{
	struct look *it = arg;

	it->version =
	    sector_version(it->iov->iov_base, it->iov->iov_len, READ_LBA);
	return 0;
}

static const char *
read_slowly(struct thread *thread, uint32_t *state, struct iovec *iov)
{
	struct fixture *fixture = &thread->field->fixture;
	struct btt_worker *worker = fixture_worker(fixture, thread->index);
	uint32_t bytes = fixture->geometry.sector_bytes;
	uint64_t before = atomic_load(&field.acknowledged);
	struct timespec some = { 0,
		(long)(thread_random(state) % 2000) * 1000 };
	struct look first = { iov, 0 };
	struct look again = { iov, 0 };
	int niov;
	int r;

	if (btt_read_begin(fixture->btt, worker, (uint64_t)READ_LBA * bytes,
		bytes, iov, &niov) < 0 ||
	    niov != 1)
		return "read failed";
	(void)nanosleep(&some, NULL); /* shorter is fine */
	r = media_try(look, &first);
	/* And what was whole stays as it is. */
	if (r == 0)
		r = media_try(look, &again);
	btt_read_end(fixture->btt, worker);
	if (r < 0)
		return "read failed";
	if (first.version < 0)
		return "a sector is torn, or another one";
	if (first.version != again.version)
		return "a sector changed while it was read";
	if ((uint64_t)first.version < before)
		return "an acknowledged write is not seen";
	if ((uint64_t)first.version > atomic_load(&field.issued))
		return "a version that nobody wrote";
	atomic_fetch_add(&field.nread, 1);
	return NULL;
}

static void *
run_reader(void *arg)
{
	struct thread *thread = arg;
	struct iovec *iov = calloc(BTT_READ_IOV, sizeof(*iov));
	uint32_t state = thread->index + 1;

	while (!atomic_load(&field.stop) && thread->failure == NULL)
		thread->failure = read_slowly(thread, &state, iov);
	free(iov);
	return NULL;
}

START_TEST(tb7__a_slow_reader_finds_one_version_whole)
{
	struct thread threads[NWRITER + NREADER] = { 0 };
	struct fixture_options options = {
		.bytes = FIXTURE_BYTES,
		.sector = variants[_i].sector,
		.nfree = 256,
		.granularity = variants[_i].granularity,
		.durability = variants[_i].durability,
		.nlane = 1, /* so that its blocks come round soon */
		.nworker = NWRITER + NREADER,
	};
	const char *ms = getenv("BTTFS_STRESS_MS");
	unsigned wait_ms = ms != NULL ? (unsigned)atoi(ms) : 1000;
	struct timespec some = { wait_ms / 1000, wait_ms % 1000 * 1000000L };
	struct btt_stats stats;

	fixture_new(&field.fixture, &options);
	for (unsigned i = 0; i < NWRITER + NREADER; i++) {
		threads[i].field = &field;
		threads[i].index = i;
		threads[i].id = thread_start(
		    i < NWRITER ? run_writer : run_reader, &threads[i]);
	}
	(void)nanosleep(&some, NULL);
	atomic_store(&field.stop, true);
	for (unsigned i = 0; i < NWRITER + NREADER; i++)
		thread_end(threads[i].id);
	for (unsigned i = 0; i < NWRITER + NREADER; i++)
		ck_assert_msg(threads[i].failure == NULL, "thread %u: %s", i,
		    threads[i].failure);
	ck_assert_uint_gt(atomic_load(&field.nread), 10);
	/* The blocks did come round: writers had to wait for the readers. */
	btt_get_stats(field.fixture.btt, &stats);
	ck_assert_uint_gt(stats.nreader_wait, 0);
	ck_assert_uint_gt(stats.reader_wait_ns, 0);
	ck_assert_int_eq(
	    btt_flush(field.fixture.btt, fixture_worker(&field.fixture, 0)), 0);
	fixture_check(field.fixture.media);
	fixture_free(&field.fixture);
}
END_TEST

static Suite *
lane_readers_suite(void)
{
	Suite *suite = suite_create("lane_readers");
	TCase *tcase = tcase_create("readers");

	tcase_set_timeout(tcase, 240);
	tcase_add_loop_test(
	    tcase, tb7__a_slow_reader_finds_one_version_whole, 0, NVARIANT);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return check_main(lane_readers_suite());
}

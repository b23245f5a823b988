/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stress -- many threads on few sectors and few lanes.  Each sector names
 * itself and its version in every word; every reader must find one whole
 * version, never an older one than it has seen; afterwards map and free blocks
 * are a permutation of the blocks (I1, I3, LN-1; T-B2, T-B7).  The workhorse
 * of the ThreadSanitizer build.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "../support/check_main.h"
#include "../support/engine_fixture.h"

#define NTHREAD 8u
#define NSECTOR 64u /* that everybody fights for */

static const struct {
	enum media_granularity granularity;
	enum btt_durability durability;
	uint32_t sector;
	unsigned nlane;
} variants[] = {
	{ MEDIA_CACHE_LINE, BTT_DURABLE_WRITE, 512, 1 },
	{ MEDIA_CACHE_LINE, BTT_DURABLE_WRITE, 512, 2 },
	{ MEDIA_CACHE_LINE, BTT_DURABLE_WRITE, 4096, 256 },
	{ MEDIA_PAGE, BTT_DURABLE_WRITE, 512, 2 },
	{ MEDIA_PAGE, BTT_DURABLE_FLUSH, 512, 1 },
	{ MEDIA_PAGE, BTT_DURABLE_FLUSH, 4096, 256 },
};
#define NVARIANT ((int)(sizeof(variants) / sizeof(variants[0])))

struct stress {
	struct fixture fixture;
	/* Versions given out and finished, by sector. */
	_Atomic uint64_t issued[NSECTOR];
	_Atomic uint64_t finished[NSECTOR];
	_Atomic bool stop;
	_Atomic uint64_t nwrite, nread;
};

struct thread {
	struct stress *stress;
	pthread_t id;
	unsigned index;
	const char *failure;
};

static uint32_t
next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}

static void
raise_to(_Atomic uint64_t *word, uint64_t value)
{
	uint64_t now = atomic_load(word);

	while (now < value && !atomic_compare_exchange_weak(word, &now, value))
		;
}

/* Write a run of sectors, each with a version of its own. */
static const char *
write_run(struct stress *stress, struct btt_worker *worker, uint64_t *state,
    uint8_t *buf)
{
	uint32_t bytes = stress->fixture.geometry.sector_bytes;
	unsigned n = next_random(state) % 4 == 0 ? 8 : 1;
	unsigned lba = next_random(state) % (NSECTOR - n + 1);
	uint64_t version[8];

	for (unsigned i = 0; i < n; i++) {
		version[i] = atomic_fetch_add(&stress->issued[lba + i], 1) + 1;
		sector_fill(
		    buf + (size_t)i * bytes, bytes, lba + i, version[i]);
	}
	if (btt_write(stress->fixture.btt, worker, (uint64_t)lba * bytes,
		(size_t)n * bytes, buf) < 0)
		return "write failed";
	for (unsigned i = 0; i < n; i++)
		raise_to(&stress->finished[lba + i], 1);
	atomic_fetch_add(&stress->nwrite, n);
	return NULL;
}

/* Versions race each other, but a sector is whole, and it is itself. */
static const char *
read_run(struct stress *stress, struct btt_worker *worker, uint64_t *state,
    uint8_t *buf)
{
	uint32_t bytes = stress->fixture.geometry.sector_bytes;
	unsigned n = next_random(state) % 4 == 0 ? 8 : 1;
	unsigned lba = next_random(state) % (NSECTOR - n + 1);
	bool written[8];

	for (unsigned i = 0; i < n; i++)
		written[i] = atomic_load(&stress->finished[lba + i]) > 0;
	if (btt_read(stress->fixture.btt, worker, (uint64_t)lba * bytes,
		(size_t)n * bytes, buf) < 0)
		return "read failed";
	for (unsigned i = 0; i < n; i++) {
		int64_t version =
		    sector_version(buf + (size_t)i * bytes, bytes, lba + i);

		if (version < 0)
			return "a sector is torn or another one";
		if (version == 0 && written[i])
			return "a finished write is not seen";
		if ((uint64_t)version > atomic_load(&stress->issued[lba + i]))
			return "a version that nobody wrote";
	}
	atomic_fetch_add(&stress->nread, n);
	return NULL;
}

static void *
fight(void *arg)
{
	struct thread *thread = arg;
	struct stress *stress = thread->stress;
	struct btt_worker *worker =
	    fixture_worker(&stress->fixture, thread->index);
	uint64_t state = thread->index + 1;
	uint8_t *buf = malloc(8 * 4096);

	while (!atomic_load(&stress->stop) && thread->failure == NULL) {
		unsigned what = next_random(&state) % 64;

		if (what == 0 && btt_flush(stress->fixture.btt, worker) < 0)
			thread->failure = "flush failed";
		else if (what % 2 == 0)
			thread->failure =
			    write_run(stress, worker, &state, buf);
		else
			thread->failure = read_run(stress, worker, &state, buf);
	}
	free(buf);
	return NULL;
}

static void
run_for_ms(struct stress *stress, struct thread *threads, unsigned ms)
{
	struct timespec delay = { ms / 1000, (long)(ms % 1000) * 1000000 };

	for (unsigned i = 0; i < NTHREAD; i++) {
		threads[i].stress = stress;
		threads[i].index = i;
		ck_assert_int_eq(
		    pthread_create(&threads[i].id, NULL, fight, &threads[i]),
		    0);
	}
	(void)nanosleep(&delay, NULL);
	atomic_store(&stress->stop, true);
	for (unsigned i = 0; i < NTHREAD; i++)
		ck_assert_int_eq(pthread_join(threads[i].id, NULL), 0);
}

START_TEST(threads__never_tear_lose_or_cross_sectors)
{
	static struct stress stress;
	struct thread threads[NTHREAD] = { 0 };
	struct fixture_options options = {
		.bytes = FIXTURE_BYTES,
		.sector = variants[_i].sector,
		.nfree = 256,
		.granularity = variants[_i].granularity,
		.durability = variants[_i].durability,
		.nlane = variants[_i].nlane,
		.nworker = NTHREAD,
	};
	const char *ms = getenv("BTTFS_STRESS_MS");

	memset(&stress, 0, sizeof(stress));
	fixture_new(&stress.fixture, &options);
	run_for_ms(&stress, threads, ms ? (unsigned)atoi(ms) : 1500);
	for (unsigned i = 0; i < NTHREAD; i++)
		ck_assert_msg(threads[i].failure == NULL, "thread %u: %s", i,
		    threads[i].failure);
	ck_assert_uint_gt(atomic_load(&stress.nwrite), 100);
	ck_assert_uint_gt(atomic_load(&stress.nread), 100);
	ck_assert_int_eq(
	    btt_flush(stress.fixture.btt, fixture_worker(&stress.fixture, 0)),
	    0);
	fixture_check(stress.fixture.media);
	fixture_free(&stress.fixture);
}
END_TEST

static Suite *
stress_suite(void)
{
	Suite *suite = suite_create("stress");
	TCase *tc = tcase_create("threads");

	tcase_set_timeout(tc, 240);
	tcase_add_loop_test(
	    tc, threads__never_tear_lose_or_cross_sectors, 0, NVARIANT);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(stress_suite());
}

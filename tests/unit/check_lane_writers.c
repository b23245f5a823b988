/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writers on sectors of their own, more of them than lanes and processors, who
 * read back what they wrote, beside threads that do nothing but take the
 * processors away (control-plane.md B.6).
 *
 *	T-B2	as they come
 *	T-B3	with sleeps in the middle of everything that a lane guards
 *	T-B4	with the lane's lock left out: then T-B2 must fail (a program of
 *		its own, with lane_unlocked.c and LANES_UNLOCKED)
 *
 * Two owners of a lane fill one block, so one of them reads what the other
 * wrote; afterwards the map names a block twice, and another one is lost (I1).
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "support/check_locks.h"
#include "support/check_main.h"
#include "support/engine_fixture.h"
#include "support/media_slow.h"

#define NWRITER 12u
#define NHOG 2u
#define NSECTOR 16u /* of each writer */
#define WHY_BYTES 200u

static const struct {
	enum media_granularity granularity;
	enum btt_durability durability;
	uint32_t sector;
	unsigned nlane;
} variants[] = {
	{ MEDIA_CACHE_LINE, BTT_DURABLE_WRITE, 4096, 1 },
	{ MEDIA_CACHE_LINE, BTT_DURABLE_WRITE, 512, 2 },
	{ MEDIA_CACHE_LINE, BTT_DURABLE_WRITE, 4096, 8 },
	{ MEDIA_PAGE, BTT_DURABLE_WRITE, 4096, 2 },
	{ MEDIA_PAGE, BTT_DURABLE_FLUSH, 512, 3 },
};
#define NVARIANT ((int)(sizeof(variants) / sizeof(variants[0])))

struct field {
	struct fixture fixture;
	_Atomic bool stop;
	_Atomic uint64_t nwrite;
};

struct writer {
	struct field *field;
	pthread_t id;
	unsigned index;
	uint64_t version[NSECTOR];
	char failure[120]; /* "" if there was none */
};

static bool
has_version(struct writer *writer, unsigned k, const uint8_t *buf)
{
	uint32_t bytes = writer->field->fixture.geometry.sector_bytes;
	uint64_t lba = writer->index * NSECTOR + k;
	int64_t found = sector_version(buf, bytes, lba);

	if (found == (int64_t)writer->version[k])
		return true;
	snprintf(writer->failure, sizeof(writer->failure),
	    "sector %u of writer %u: version %lld where %llu was written", k,
	    writer->index, (long long)found,
	    (unsigned long long)writer->version[k]);
	return false;
}

static void
write_and_read_back(struct writer *writer, unsigned k, uint8_t *buf)
{
	struct fixture *fixture = &writer->field->fixture;
	struct btt_worker *worker = fixture_worker(fixture, writer->index);
	uint32_t bytes = fixture->geometry.sector_bytes;
	uint64_t lba = writer->index * NSECTOR + k;

	sector_fill(buf, bytes, lba, ++writer->version[k]);
	if (btt_write(fixture->btt, worker, lba * bytes, bytes, buf) < 0) {
		strcpy(writer->failure, "write failed");
		return;
	}
	if (btt_read(fixture->btt, worker, lba * bytes, bytes, buf) < 0)
		strcpy(writer->failure, "read failed");
	else if (has_version(writer, k, buf))
		atomic_fetch_add(&writer->field->nwrite, 1);
}

static void *
run_writer(void *arg)
{
	struct writer *writer = arg;
	struct field *field = writer->field;
	uint32_t state = 0x9e3779b9u * (writer->index + 1);
	uint8_t *buf = malloc(4096);

	while (!atomic_load(&field->stop) && writer->failure[0] == '\0')
		write_and_read_back(
		    writer, thread_random(&state) % NSECTOR, buf);
	free(buf);
	/* One that fails is enough, the others need not go on. */
	if (writer->failure[0] != '\0')
		atomic_store(&field->stop, true);
	return NULL;
}

static void *
run_hog(void *arg)
{
	const struct field *field = arg;
	volatile unsigned work = 0;

	while (!atomic_load(&field->stop))
		work++;
	return NULL;
}

static void
run_for_ms(struct field *field, struct writer *writers, unsigned ms)
{
	struct timespec tick = { 0, 10000000 };
	pthread_t hogs[NHOG];

	for (unsigned i = 0; i < NHOG; i++)
		hogs[i] = thread_start(run_hog, field);
	for (unsigned i = 0; i < NWRITER; i++) {
		writers[i].field = field;
		writers[i].index = i;
		writers[i].id = thread_start(run_writer, &writers[i]);
	}
	for (unsigned i = 0; i < ms / 10 && !atomic_load(&field->stop); i++)
		(void)nanosleep(&tick, NULL);
	atomic_store(&field->stop, true);
	for (unsigned i = 0; i < NWRITER; i++)
		thread_end(writers[i].id);
	for (unsigned i = 0; i < NHOG; i++)
		thread_end(hogs[i]);
}

/* Every sector still has what its writer wrote last. */
static bool
look_at_all(struct field *field, struct writer *writers, char *why)
{
	uint32_t bytes = field->fixture.geometry.sector_bytes;
	uint8_t buf[4096];

	for (unsigned i = 0; i < NWRITER; i++) {
		for (unsigned k = 0; k < NSECTOR; k++) {
			uint64_t lba = i * NSECTOR + k;
			int r = btt_read(field->fixture.btt,
			    fixture_worker(&field->fixture, 0), lba * bytes,
			    bytes, buf);

			if (r == 0 && has_version(&writers[i], k, buf))
				continue;
			snprintf(why, WHY_BYTES, "at the end: %s",
			    r < 0 ? "read failed" : writers[i].failure);
			return false;
		}
	}
	return true;
}

/* I1: map and free blocks are a permutation of the blocks. */
static bool
is_permutation(struct field *field, char *why)
{
	struct btt_check_options options = { 0 };
	struct btt_check_result result;
	struct btt_error error = { "" };
	int r;

	r = btt_flush(field->fixture.btt, fixture_worker(&field->fixture, 0));
	if (r == 0)
		r = btt_check(field->fixture.media, &options, &result, &error);
	if (r == 0 && result.ndamage == 0)
		return true;
	snprintf(why, WHY_BYTES, "check: error %d, %llu findings", r,
	    r < 0 ? 0ull : (unsigned long long)result.ndamage);
	return false;
}

/*
 * False, and why, if something was lost or mixed.  slow_one: an operation of
 * the medium in so many sleeps; 0: none.
 */
static bool
run(int variant, unsigned slow_one, unsigned ms, char *why)
{
	static struct field field;
	static struct writer writers[NWRITER];
	struct fixture_options options = {
		.bytes = FIXTURE_BYTES,
		.sector = variants[variant].sector,
		.nfree = 256,
		.granularity = variants[variant].granularity,
		.durability = variants[variant].durability,
		.nlane = variants[variant].nlane,
		.nworker = NWRITER,
	};

	fixture_new(&field.fixture, &options);
	if (slow_one > 0)
		media_slow_down(field.fixture.media, slow_one, 2000);
	run_for_ms(&field, writers, ms);
	for (unsigned i = 0; i < NWRITER; i++) {
		if (writers[i].failure[0] == '\0')
			continue;
		snprintf(why, WHY_BYTES, "%s", writers[i].failure);
		return false;
	}
	if (!look_at_all(&field, writers, why) || !is_permutation(&field, why))
		return false;
	/* It was a fight, and those who should have slept. */
	ck_assert_uint_gt(atomic_load(&field.nwrite), NWRITER);
	if (slow_one > 0)
		ck_assert_uint_gt(atomic_load(&slow_nsleep), 10);
	fixture_free(&field.fixture);
	return true;
}

#ifndef LANES_UNLOCKED

static unsigned
test_ms(unsigned by_default)
{
	const char *ms = getenv("BTTFS_STRESS_MS");

	return ms != NULL ? (unsigned)atoi(ms) : by_default;
}

START_TEST(tb2__writers_beside_hogs_read_what_they_wrote)
{
	char why[WHY_BYTES];

	ck_assert_msg(run(_i, 0, test_ms(600), why), "%s", why);
}
END_TEST

START_TEST(tb3__the_same_with_sleeps_inside_the_lane)
{
	char why[WHY_BYTES];

	ck_assert_msg(run(_i, 20, test_ms(600), why), "%s", why);
}
END_TEST

#else

/* In a child, since damage may end in an assertion: what it noticed. */
static void
fail_in_child(int variant, char *why)
{
	struct rlimit none = { 0, 0 };
	int ends[2];
	int status;
	pid_t pid;
	ssize_t n;

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_ge(pid = fork(), 0);
	if (pid == 0) {
		close(ends[0]);
		(void)setrlimit(RLIMIT_CORE, &none);
		dup2(ends[1], STDERR_FILENO); /* what assert() has to say */
		alarm(20);
		if (!run(variant, 0, 10000, why))
			dprintf(STDERR_FILENO, "%s", why);
		_exit(0);
	}
	close(ends[1]);
	n = read(ends[0], why, WHY_BYTES - 1);
	why[n > 0 ? n : 0] = '\0';
	close(ends[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(
	    !(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM), "it hangs");
}

/* The test is worth something: it sees what it is for, and soon. */
START_TEST(tb4__without_the_lock_it_fails_within_ten_seconds)
{
	char why[WHY_BYTES];

	fail_in_child(_i, why);
	/* Another's data, a lost block, or what the engine itself asserts. */
	ck_assert_msg(strstr(why, "version") != NULL ||
		strstr(why, "findings") != NULL ||
		strstr(why, "failed") != NULL, /* assert() says so too */
	    "ten seconds without a lock, and all that was noticed is '%s'",
	    why);
	printf("tb4: %s\n", why);
}
END_TEST

#endif

static Suite *
lane_writers_suite(void)
{
	Suite *suite = suite_create("lane_writers");
	TCase *tcase = tcase_create("writers");

	tcase_set_timeout(tcase, 240);
#ifndef LANES_UNLOCKED
	tcase_add_loop_test(
	    tcase, tb2__writers_beside_hogs_read_what_they_wrote, 0, NVARIANT);
	tcase_add_loop_test(
	    tcase, tb3__the_same_with_sleeps_inside_the_lane, 0, NVARIANT);
#else
	tcase_add_loop_test(
	    tcase, tb4__without_the_lock_it_fails_within_ten_seconds, 0, 3);
#endif
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return check_main(lane_writers_suite());
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine -- reads, writes and zeroes of one thread: what was written is what
 * is read, at any offset and length, over arenas' ends, and the medium checks
 * clean.  Each test runs for every way of committing (loop index).
 */
#include <errno.h>
#include <stdint.h>

#include "../support/check_main.h"
#include "../support/engine_fixture.h"

static const struct {
	enum media_granularity granularity;
	enum btt_durability durability;
	uint32_t sector;
	uint32_t nfree;
	unsigned nlane;
} variants[] = {
	{ MEDIA_CACHE_LINE, BTT_DURABLE_WRITE, 512, 256, 0 },
	{ MEDIA_CACHE_LINE, BTT_DURABLE_WRITE, 4096, 256, 1 },
	{ MEDIA_BYTE, BTT_DURABLE_WRITE, 4096, 256, 256 },
	{ MEDIA_CACHE_LINE, BTT_DURABLE_FLUSH, 512, 256, 0 },
	{ MEDIA_PAGE, BTT_DURABLE_WRITE, 4096, 256, 0 },
	{ MEDIA_PAGE, BTT_DURABLE_FLUSH, 512, 256, 2 },
	{ MEDIA_PAGE, BTT_DURABLE_FLUSH, 4096, 300, 7 },
	{ MEDIA_CACHE_LINE, BTT_DURABLE_WRITE, 520, 256, 0 },
	{ MEDIA_PAGE, BTT_DURABLE_FLUSH, 4160, 256, 0 },
};
#define NVARIANT ((int)(sizeof(variants) / sizeof(variants[0])))

static struct fixture fixture;

static struct fixture_options
options_of(int variant)
{
	return (struct fixture_options){
		.bytes = FIXTURE_BYTES,
		.sector = variants[variant].sector,
		.nfree = variants[variant].nfree,
		.granularity = variants[variant].granularity,
		.durability = variants[variant].durability,
		.nlane = variants[variant].nlane,
		.nworker = 2,
	};
}

static void
set_up(int variant)
{
	struct fixture_options options = options_of(variant);

	fixture_new(&fixture, &options);
}

static uint32_t
next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}

START_TEST(read__of_a_fresh_device_is_zero)
{
	uint8_t buf[8192];

	set_up(_i);
	memset(buf, 0xff, sizeof(buf));
	ck_assert_int_eq(btt_read(fixture.btt, fixture_worker(&fixture, 0), 77,
			     sizeof(buf), buf),
	    0);
	for (size_t i = 0; i < sizeof(buf); i++)
		ck_assert_uint_eq(buf[i], 0);
	fixture_free(&fixture);
}
END_TEST

START_TEST(range__past_the_end_is_erange)
{
	struct btt_worker *worker;
	uint64_t size;
	uint8_t buf[2] = { 0 };

	set_up(_i);
	worker = fixture_worker(&fixture, 0);
	size = fixture.geometry.size_bytes;
	ck_assert_int_eq(btt_read(fixture.btt, worker, size - 1, 1, buf), 0);
	ck_assert_int_eq(
	    btt_read(fixture.btt, worker, size - 1, 2, buf), -ERANGE);
	ck_assert_int_eq(
	    btt_write(fixture.btt, worker, size - 1, 2, buf), -ERANGE);
	ck_assert_int_eq(
	    btt_write(fixture.btt, worker, UINT64_MAX, 2, buf), -ERANGE);
	ck_assert_int_eq(btt_zero(fixture.btt, worker, size, 1), -ERANGE);
	ck_assert_int_eq(btt_read(fixture.btt, worker, size, 0, buf), 0);
	fixture_free(&fixture);
}
END_TEST

/* A shadow copy of the device says what each byte must be. */
#define SHADOW_OPS 600
#define SHADOW_MAX ((size_t)1 << 20)

static void
compare_all(const uint8_t *shadow, uint8_t *buf)
{
	struct btt_worker *worker = fixture_worker(&fixture, 1);
	uint64_t size = fixture.geometry.size_bytes;

	for (uint64_t off = 0; off < size; off += SHADOW_MAX) {
		size_t len =
		    size - off < SHADOW_MAX ? (size_t)(size - off) : SHADOW_MAX;

		ck_assert_int_eq(
		    btt_read(fixture.btt, worker, off, len, buf), 0);
		ck_assert_msg(memcmp(buf, shadow + off, len) == 0,
		    "differs in the MiB at %llu", (unsigned long long)off);
	}
}

static void
random_operation(uint64_t *state, uint8_t *shadow, uint8_t *buf)
{
	struct btt_worker *worker = fixture_worker(&fixture, 0);
	uint64_t size = fixture.geometry.size_bytes;
	size_t len = next_random(state) %
		(next_random(state) % 8 == 0 ? SHADOW_MAX : 12000) +
	    1;
	uint64_t off =
	    ((uint64_t)next_random(state) << 20 | next_random(state)) %
	    (size - len + 1);
	unsigned what = next_random(state) % 10;

	if (next_random(state) % 2 == 0)
		off -= off % fixture.geometry.sector_bytes;
	if (what < 5) {
		for (size_t i = 0; i < len; i++)
			buf[i] = (uint8_t)next_random(state);
		memcpy(shadow + off, buf, len);
		ck_assert_int_eq(
		    btt_write(fixture.btt, worker, off, len, buf), 0);
	} else if (what < 7) {
		memset(shadow + off, 0, len);
		ck_assert_int_eq(btt_zero(fixture.btt, worker, off, len), 0);
	} else if (what < 8) {
		ck_assert_int_eq(btt_flush(fixture.btt, worker), 0);
	} else {
		ck_assert_int_eq(
		    btt_read(fixture.btt, worker, off, len, buf), 0);
		ck_assert_int_eq(memcmp(buf, shadow + off, len), 0);
	}
}

/* As a power cut would leave it: nothing is closed first. */
static void
copy_medium(struct fixture *ret_copy, const struct fixture *original)
{
	const struct media *media = original->media;

	memset(ret_copy, 0, sizeof(*ret_copy));
	ck_assert_int_eq(
	    media_ram_new(media->size, media->granularity, &ret_copy->media),
	    0);
	ck_assert_int_eq(
	    media_copy(ret_copy->media, 0, media_at(media, 0), media->size), 0);
	ck_assert_int_eq(btt_worker_pool_new(2, &ret_copy->pool), 0);
}

START_TEST(operations__at_any_offset_equal_a_shadow_copy)
{
	struct fixture_options options;
	struct fixture copy;
	uint64_t state = (uint64_t)_i + 1;
	uint8_t *shadow, *buf;

	set_up(_i);
	shadow = calloc(1, fixture.geometry.size_bytes);
	buf = malloc(SHADOW_MAX);
	ck_assert_ptr_nonnull(shadow);
	ck_assert_ptr_nonnull(buf);
	for (unsigned i = 0; i < SHADOW_OPS; i++)
		random_operation(&state, shadow, buf);
	compare_all(shadow, buf);
	ck_assert_int_eq(
	    btt_flush(fixture.btt, fixture_worker(&fixture, 0)), 0);

	/* What was flushed is on the medium: an engine on a copy sees it. */
	copy_medium(&copy, &fixture);
	fixture_free(&fixture);
	fixture = copy;
	fixture_check(fixture.media);
	options = options_of(_i);
	fixture_open(&fixture, &options);
	compare_all(shadow, buf);
	fixture_free(&fixture);
	free(shadow);
	free(buf);
}
END_TEST

/* P1's budget: three fences a batch, whatever its length. */
START_TEST(write__of_many_sectors_takes_three_fences)
{
	struct fixture_options options = options_of(1);
	struct btt_stats before, after;
	uint8_t *buf;

	options.nlane = 32;
	fixture_new(&fixture, &options);
	buf = calloc(1, 128 << 10);
	btt_get_stats(fixture.btt, &before);
	ck_assert_int_eq(btt_write(fixture.btt, fixture_worker(&fixture, 0), 0,
			     128 << 10, buf),
	    0);
	btt_get_stats(fixture.btt, &after);
	ck_assert_uint_eq(after.nfence - before.nfence, 3);
	ck_assert_uint_eq(after.nbatch - before.nbatch, 1);
	ck_assert_uint_eq(after.nsector_written - before.nsector_written, 32);
	free(buf);
	fixture_free(&fixture);
}
END_TEST

/* Thirty writes and one flush are one commit: three syncs. */
START_TEST(flush__commits_a_group_with_three_syncs)
{
	struct fixture_options options = options_of(5);
	struct btt_worker *worker;
	struct btt_stats before, after;
	uint8_t buf[512] = { 1 };

	fixture_new(&fixture, &options);
	worker = fixture_worker(&fixture, 0);
	btt_get_stats(fixture.btt, &before);
	for (unsigned i = 0; i < 30; i++)
		ck_assert_int_eq(btt_write(fixture.btt, worker,
				     (uint64_t)(i % 20) * 5120, 512, buf),
		    0);
	ck_assert_int_eq(btt_flush(fixture.btt, worker), 0);
	btt_get_stats(fixture.btt, &after);
	ck_assert_uint_eq(after.nfence - before.nfence, 3);
	ck_assert_uint_eq(after.nbatch - before.nbatch, 1);
	/* Nothing new: nothing to sync. */
	ck_assert_int_eq(btt_flush(fixture.btt, worker), 0);
	btt_get_stats(fixture.btt, &before);
	ck_assert_uint_eq(after.nfence, before.nfence);
	fixture_free(&fixture);
}
END_TEST

/* What a commit is told to be: its sectors, each once, and its time. */
START_TEST(commit_stats__count_the_sectors_of_each_commit)
{
	struct fixture_options options = options_of(5);
	struct btt_commit_stats stats;
	struct btt_worker *worker;
	uint8_t buf[512] = { 1 };

	fixture_new(&fixture, &options);
	worker = fixture_worker(&fixture, 0);
	for (unsigned round = 1; round <= 3; round++) {
		for (unsigned i = 0; i < 10 * round; i++)
			ck_assert_int_eq(
			    btt_write(fixture.btt, worker,
				(uint64_t)(i % 20) * 512, 512, buf),
			    0);
		ck_assert_int_eq(btt_flush(fixture.btt, worker), 0);
	}
	btt_get_commit_stats(fixture.btt, &stats);
	ck_assert_uint_eq(stats.ns.n, 3);
	ck_assert_uint_gt(stats.ns.sum, 0);
	ck_assert_uint_eq(stats.sectors.n, 3);
	ck_assert_uint_eq(stats.sectors.sum, 10 + 20 + 20);
	ck_assert_uint_eq(stats.sectors.max, 20);
	fixture_free(&fixture);
}
END_TEST

START_TEST(commit_stats__are_empty_where_batches_commit_alone)
{
	struct fixture_options options = options_of(1);
	struct btt_commit_stats stats;
	uint8_t buf[4096] = { 1 };

	fixture_new(&fixture, &options);
	ck_assert_int_eq(btt_write(fixture.btt, fixture_worker(&fixture, 0), 0,
			     sizeof(buf), buf),
	    0);
	btt_get_commit_stats(fixture.btt, &stats);
	ck_assert_uint_eq(stats.ns.n, 0);
	ck_assert_uint_eq(stats.sectors.n, 0);
	fixture_free(&fixture);
}
END_TEST

/* More sectors than free blocks: commits happen on the way. */
START_TEST(write__of_more_than_a_group_holds_goes_on)
{
	struct fixture_options options = options_of(5);
	struct btt_worker *worker;
	uint8_t *buf;

	fixture_new(&fixture, &options);
	worker = fixture_worker(&fixture, 0);
	buf = malloc(1 << 20);
	memset(buf, 0x5a, 1 << 20);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(
		    btt_write(fixture.btt, worker, 4096, 1 << 20, buf), 0);
	free(buf);
	fixture_free(&fixture);
}
END_TEST

START_TEST(read_begin__names_zeroes_and_blocks_without_a_copy)
{
	static struct iovec iov[BTT_READ_IOV];
	struct btt_worker *worker;
	uint8_t buf[4096];
	int niov = 0;

	set_up(1);
	worker = fixture_worker(&fixture, 0);
	memset(buf, 7, sizeof(buf));
	ck_assert_int_eq(btt_zero(fixture.btt, worker, 0, 12288), 0);
	ck_assert_int_eq(btt_write(fixture.btt, worker, 4096, 4096, buf), 0);
	ck_assert_int_eq(
	    btt_read_begin(fixture.btt, worker, 100, 12000, iov, &niov), 0);
	ck_assert_int_eq(niov, 3);
	ck_assert_uint_eq(iov[0].iov_len, 3996);
	ck_assert_uint_eq(iov[1].iov_len, 4096);
	ck_assert_uint_eq(iov[2].iov_len, 3908);
	ck_assert_int_eq(memcmp(iov[1].iov_base, buf, 4096), 0);
	ck_assert_uint_eq(*(const uint8_t *)iov[2].iov_base, 0);
	btt_read_end(fixture.btt, worker);
	fixture_free(&fixture);
}
END_TEST

/* Where the sector is on the medium now. */
static uint64_t
place_of(struct btt_worker *worker, uint64_t off)
{
	static struct iovec iov[BTT_READ_IOV];
	int niov = 0;

	ck_assert_int_eq(
	    btt_read_begin(fixture.btt, worker, off, 1, iov, &niov), 0);
	btt_read_end(fixture.btt, worker);
	return (uint64_t)((const uint8_t *)iov[0].iov_base -
	    (const uint8_t *)fixture.media->base);
}

/* They are another's: whatever is written beside them, they go along. */
START_TEST(write__takes_metadata_along)
{
	static const uint8_t meta[64] = "protection information, say";
	const uint32_t data = variants[_i].sector < 1024 ? 512 : 4096;
	const uint32_t nmeta = variants[_i].sector - data;
	static const struct {
		uint32_t off, len;
	} writes[] = { { 0, UINT32_MAX }, { 100, 50 }, { 0, UINT32_MAX } };
	struct btt_worker *worker;
	uint8_t buf[4096];
	uint64_t before;

	set_up(_i);
	worker = fixture_worker(&fixture, 0);
	memset(buf, 3, sizeof(buf));
	ck_assert_int_eq(btt_write(fixture.btt, worker, data, data, buf), 0);
	before = place_of(worker, data);
	ck_assert_int_eq(
	    media_copy(fixture.media, before + data, meta, nmeta), 0);
	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		uint32_t len = writes[i].len < data ? writes[i].len : data;
		uint64_t after;

		memset(buf, (int)i, sizeof(buf));
		ck_assert_int_eq(btt_write(fixture.btt, worker,
				     data + writes[i].off, len, buf),
		    0);
		ck_assert_int_eq(btt_flush(fixture.btt, worker), 0);
		after = place_of(worker, data);
		ck_assert_uint_ne(after, before);
		ck_assert_mem_eq(
		    (const uint8_t *)fixture.media->base + after + data, meta,
		    nmeta);
		before = after;
	}
	fixture_free(&fixture);
}
END_TEST

START_TEST(seek__finds_holes_where_entries_say_zero)
{
	struct btt_worker *worker;
	uint64_t off = 0;

	set_up(1);
	worker = fixture_worker(&fixture, 0);
	ck_assert_int_eq(btt_zero(fixture.btt, worker, 8192, 4096), 0);
	ck_assert_int_eq(btt_seek_hole(fixture.btt, worker, 10, &off), 0);
	ck_assert_uint_eq(off, 8192);
	ck_assert_int_eq(btt_seek_hole(fixture.btt, worker, 9000, &off), 0);
	ck_assert_uint_eq(off, 9000);
	ck_assert_int_eq(btt_seek_data(fixture.btt, worker, 9000, &off), 0);
	ck_assert_uint_eq(off, 12288);
	ck_assert_int_eq(btt_seek_hole(fixture.btt, worker, 12288, &off), 0);
	ck_assert_uint_eq(off, fixture.geometry.size_bytes);
	ck_assert_int_eq(btt_seek_data(fixture.btt, worker,
			     fixture.geometry.size_bytes, &off),
	    -ENXIO);
	fixture_free(&fixture);
}
END_TEST

/*
 * Z entries in a BTT with 512-byte sectors make Linux lose the neighbours
 * (btt-format.md 2.4): none is made, and the range reads as zeroes.
 */
START_TEST(zero__of_512_byte_sectors_makes_no_zero_entry)
{
	struct btt_check_options options = { 0 };
	struct btt_check_result result;
	struct btt_error error;
	struct btt_worker *worker;
	uint8_t buf[4096];

	set_up(0);
	worker = fixture_worker(&fixture, 0);
	memset(buf, 9, sizeof(buf));
	ck_assert_int_eq(btt_write(fixture.btt, worker, 0, 4096, buf), 0);
	ck_assert_int_eq(btt_zero(fixture.btt, worker, 0, 4096), 0);
	ck_assert_int_eq(btt_read(fixture.btt, worker, 0, 4096, buf), 0);
	for (size_t i = 0; i < sizeof(buf); i++)
		ck_assert_uint_eq(buf[i], 0);
	ck_assert_int_eq(
	    btt_check(fixture.media, &options, &result, &error), 0);
	ck_assert_uint_eq(result.nzero, 0);
	ck_assert_uint_eq(result.ndamage, 0);
	fixture_free(&fixture);
}
END_TEST

static Suite *
engine_suite(void)
{
	Suite *suite = suite_create("engine");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, read__of_a_fresh_device_is_zero, 0, NVARIANT);
	tcase_add_loop_test(tc, range__past_the_end_is_erange, 0, NVARIANT);
	tcase_add_loop_test(
	    tc, operations__at_any_offset_equal_a_shadow_copy, 0, NVARIANT);
	tcase_add_test(tc, write__of_many_sectors_takes_three_fences);
	tcase_add_test(tc, flush__commits_a_group_with_three_syncs);
	tcase_add_test(tc, commit_stats__count_the_sectors_of_each_commit);
	tcase_add_test(tc, commit_stats__are_empty_where_batches_commit_alone);
	tcase_add_test(tc, write__of_more_than_a_group_holds_goes_on);
	tcase_add_test(tc, read_begin__names_zeroes_and_blocks_without_a_copy);
	/* the two with metadata */
	tcase_add_loop_test(
	    tc, write__takes_metadata_along, NVARIANT - 2, NVARIANT);
	tcase_add_test(tc, seek__finds_holes_where_entries_say_zero);
	tcase_add_test(tc, zero__of_512_byte_sectors_makes_no_zero_entry);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(engine_suite());
}

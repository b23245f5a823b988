/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * open -- what must be right before the first byte is written, and that not
 * one is written before, nor ever for who wants to read (P7, I9).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <btt/btt.h>

#include "support/check_main.h"
#include "support/image_fixture.h"

/* Of the small image: sectors, which are blocks 0 and up, then free blocks. */
#define NSECTOR 3829u
#define NBLOCK 4085u
#define FREE(pair) (NSECTOR + (pair))
#define SECTOR 4096u

static struct media_fake *fake;
static struct btt_info info;
static struct btt_worker_pool *pool;
static struct btt_error error;

/* Names of what was reported, in order. */
static char reported[512];

static void
set_up(void)
{
	fake = image_small(&info);
	/* Each sector says which block it is in. */
	for (uint32_t i = 0; i < NBLOCK; i++)
		memcpy(fake->bytes + BTT_V11_OFFSET + info.dataoff +
			(uint64_t)i * SECTOR,
		    &i, sizeof(i));
	ck_assert_int_eq(btt_worker_pool_new(1, &pool), 0);
	error.text[0] = '\0';
}

static void
tear_down(void)
{
	if (fake != NULL)
		media_close(&fake->media);
	btt_worker_pool_free(pool);
}

static void
note(void *arg, const struct btt_finding *finding)
{
	(void)arg;
	ck_assert_ptr_nonnull(finding->endangers);
	ck_assert_uint_lt(
	    strlen(reported) + strlen(finding->name) + 2, sizeof(reported));
	if (reported[0] != '\0')
		strcat(reported, " ");
	strcat(reported, finding->name);
}

static struct btt *
try_open(bool read_only, int *ret_r)
{
	const struct btt_open_options options = {
		.read_only = read_only,
		.nlane = 1,
		.report = note,
	};
	struct btt *btt = NULL;

	fake_forget(fake);
	reported[0] = '\0';
	*ret_r = btt_open(&fake->media, pool, &options, &btt, &error);
	return btt;
}

static struct btt *
open_well(bool read_only)
{
	int r;
	struct btt *btt = try_open(read_only, &r);

	ck_assert_msg(r == 0, "%d: %s", r, error.text);
	return btt;
}

/* The block that the sector is read from, or the negative errno. */
static int64_t
block_of(struct btt *btt, uint32_t sector)
{
	uint8_t bytes[SECTOR];
	uint32_t block;
	int r;

	r = btt_read(btt, btt_worker_pool_get(pool, 0),
	    (uint64_t)sector * SECTOR, sizeof(bytes), bytes);
	if (r < 0)
		return r;
	memcpy(&block, bytes, sizeof(block));
	return block;
}

static int
write_sector(struct btt *btt, uint32_t sector)
{
	uint8_t bytes[SECTOR] = { 0xff };

	return btt_write(btt, btt_worker_pool_get(pool, 0),
	    (uint64_t)sector * SECTOR, sizeof(bytes), bytes);
}

/* The medium goes with it; an image of the same bytes is there afterwards. */
static void
close_btt(struct btt *btt)
{
	struct media_fake *next = fake_new(fake->media.size);

	memcpy(next->bytes, fake->bytes, fake->media.size);
	ck_assert_int_eq(btt_close(btt), 0);
	fake = next;
}

/* Pair moved its sector from its identity block to the pair's free block. */
static void
put_write(uint32_t pair, uint32_t sector, bool mapped)
{
	image_put_log(
	    fake, &info, pair, 1, LOG_ENTRY(sector, sector, FREE(pair), 2));
	if (mapped)
		image_put_map(fake, &info, sector, MAP_NORMAL | FREE(pair));
}

static void
map_twice(void)
{
	image_put_map(fake, &info, 5, MAP_NORMAL | 6);
}

static void
map_takes_a_free_block(void)
{
	image_put_map(fake, &info, 5, MAP_NORMAL | FREE(9));
}

static void
map_out_of_range(void)
{
	image_put_map(fake, &info, NSECTOR - 1, MAP_NORMAL | NBLOCK);
}

static void
map_error_out_of_range(void)
{
	image_put_map(fake, &info, 7, MAP_ERROR | MAP_BLOCK_MASK);
}

static void
log_seq_equal(void)
{
	put_write(3, 100, true);
	image_put_log(fake, &info, 3, 1, LOG_ENTRY(100, 100, FREE(3), 1));
}

static void
log_seq_of_2_and_0(void)
{
	image_put_log(fake, &info, 3, 0, LOG_ENTRY(3, FREE(3), FREE(3), 2));
}

static void
log_lba_out_of_range(void)
{
	put_write(3, 100, true);
	image_put_log(fake, &info, 3, 1, LOG_ENTRY(NSECTOR, 100, FREE(3), 2));
}

static void
log_old_out_of_range(void)
{
	put_write(3, 100, true);
	image_put_log(fake, &info, 3, 1, LOG_ENTRY(100, NBLOCK, FREE(3), 2));
}

static void
log_new_out_of_range(void)
{
	put_write(3, 100, true);
	image_put_log(
	    fake, &info, 3, 1, LOG_ENTRY(100, 100, MAP_BLOCK_MASK, 2));
}

static void
log_pair_empty(void)
{
	image_put_log(fake, &info, 3, 0, LOG_ENTRY(0, 0, 0, 0));
}

static void
log_mixed(void)
{
	put_write(3, 100, true);
	image_put_log(fake, &info, 4, 2, LOG_ENTRY(101, 101, FREE(4), 2));
}

static void
log_free_twice(void)
{
	image_put_log(fake, &info, 3, 0, LOG_ENTRY(3, FREE(4), FREE(4), 1));
}

/* Recovery would give sector 100 a block that is another pair's. */
static void
log_pending_takes_a_free_block(void)
{
	image_put_log(fake, &info, 3, 1, LOG_ENTRY(100, 100, FREE(4), 2));
}

/* Recovery would give two sectors one block. */
static void
log_pending_twice(void)
{
	image_put_log(fake, &info, 3, 1, LOG_ENTRY(100, 100, FREE(3), 2));
	image_put_log(fake, &info, 4, 1, LOG_ENTRY(101, 101, FREE(3), 2));
}

/* ... or one that another sector has. */
static void
log_pending_takes_a_mapped_block(void)
{
	image_put_log(fake, &info, 3, 1, LOG_ENTRY(100, 100, 200, 2));
}

static void
copies_differ(void)
{
	struct btt_info other = info;

	other.uuid[0] ^= 1;
	image_put_info(fake, BTT_V11_OFFSET + info.info2off, &other);
}

/* Numbers that are as good by themselves. */
static void
copies_differ_in_geometry(void)
{
	struct btt_info other = info;

	other.nfree--;
	other.external_nlba++;
	image_put_info(fake, BTT_V11_OFFSET + info.info2off, &other);
}

static const struct damage {
	const char *what;
	void (*make)(void);
	const char *text;     /* of the refusal */
	const char *reported; /* to who reads */
	int64_t sector5;      /* block it is read from; 0: its own */
	int64_t sector100;
} damages[] = {
	{ "map-twice", map_twice, "block 6 of sector 6", "", 6, 0 },
	{ "map-free", map_takes_a_free_block, "has another owner", "", FREE(9),
	    0 },
	{ "map-range", map_out_of_range, "sector 3828 is out of range", "", 0,
	    0 },
	{ "map-range-E", map_error_out_of_range, "sector 7 is out of range", "",
	    0, 0 },
	{ "log-seq", log_seq_equal, "sequence numbers 1 and 1", "log-seq", 0,
	    FREE(3) },
	{ "log-seq-20", log_seq_of_2_and_0, "sequence numbers 2 and 0",
	    "log-seq", 0, 0 },
	{ "log-lba", log_lba_out_of_range, "lba is out of range", "log-range",
	    0, FREE(3) },
	{ "log-old", log_old_out_of_range, "old_map is out of range",
	    "log-range", 0, FREE(3) },
	{ "log-new", log_new_out_of_range, "new_map is out of range",
	    "log-range", 0, FREE(3) },
	{ "log-empty", log_pair_empty, "contradicts itself at pair 3",
	    "log-layout", 0, 0 },
	{ "log-mixed", log_mixed, "contradicts itself at pair 4", "log-layout",
	    0, FREE(3) },
	{ "log-free-twice", log_free_twice,
	    "log pairs 3 and 4 both have block 3833", "bitmap", 0, 0 },
	{ "pending-free", log_pending_takes_a_free_block,
	    "log pairs 3 and 4 both have block 3833", "bitmap", 0, 0 },
	{ "pending-twice", log_pending_twice,
	    "log pairs 3 and 4 both have block 3832", "bitmap", 0, 0 },
	{ "pending-mapped", log_pending_takes_a_mapped_block,
	    "block 200 of sector 200 has another owner", "", 0, 200 },
	{ "copies", copies_differ, "both info blocks are valid", "info2", 0,
	    0 },
	{ "copies-geometry", copies_differ_in_geometry,
	    "both info blocks are valid", "info2", 0, 0 },
};
#define NDAMAGE ((int)(sizeof(damages) / sizeof(damages[0])))

START_TEST(open__of_damage_for_writing_is_refused_and_writes_nothing)
{
	const struct damage *damage = &damages[_i];
	uint8_t *before = malloc(fake->media.size);
	int r;

	ck_assert_ptr_nonnull(before);
	/* something to recover, which must wait */
	put_write(20, 300, false);
	damage->make();
	memcpy(before, fake->bytes, fake->media.size);
	(void)try_open(false, &r);
	ck_assert_msg(r == -EUCLEAN, "%s: %d", damage->what, r);
	ck_assert_msg(strstr(error.text, damage->text) != NULL, "%s: %s",
	    damage->what, error.text);
	ck_assert_msg(strstr(error.text, "read-only") != NULL, "%s: %s",
	    damage->what, error.text);
	ck_assert_uint_eq(fake->nop, 0);
	ck_assert_mem_eq(fake->bytes, before, fake->media.size);
	free(before);
}
END_TEST

START_TEST(open__of_damage_for_reading_reads_what_is_sound)
{
	const struct damage *damage = &damages[_i];
	uint8_t *before = malloc(fake->media.size);
	struct btt *btt;

	ck_assert_ptr_nonnull(before);
	put_write(20, 300, false);
	damage->make();
	memcpy(before, fake->bytes, fake->media.size);
	btt = open_well(true);
	ck_assert_str_eq(reported, damage->reported);
	ck_assert_int_eq(
	    block_of(btt, 5), damage->sector5 == 0 ? 5 : damage->sector5);
	ck_assert_int_eq(block_of(btt, 100),
	    damage->sector100 == 0 ? 100 : damage->sector100);
	/* recovered, where the log's layout is known */
	ck_assert_int_eq(block_of(btt, 300),
	    strcmp(damage->reported, "log-layout") == 0 ? 300 : FREE(20));
	for (uint32_t i = 0; i < NSECTOR; i++) {
		int64_t block = block_of(btt, i);

		ck_assert_msg(block >= 0 ||
			(block == -EIO && strstr(damage->what, "map-range")),
		    "%s: sector %u: %lld", damage->what, i, (long long)block);
	}
	ck_assert_int_eq(write_sector(btt, 0), -EROFS);
	ck_assert_uint_eq(fake->nop, 0);
	ck_assert_mem_eq(fake->bytes, before, fake->media.size);
	close_btt(btt);
	free(before);
}
END_TEST

/* A log of which not one pair is sound is no flood of words. */
START_TEST(open__tells_of_much_damage_in_few_words)
{
	struct btt *btt;

	for (uint32_t i = 0; i < 256; i++)
		image_put_log(fake, &info, i, 0, LOG_ENTRY(i, 0, 0, 4));
	btt = open_well(true);
	ck_assert_str_eq(reported,
	    "log-seq log-seq log-seq log-seq log-seq log-seq log-seq log-seq "
	    "log");
	ck_assert_int_eq(block_of(btt, 5), 5);
	close_btt(btt);
}
END_TEST

/* What recovery may do: one aligned store for each, and make them durable. */
START_TEST(open__writes_what_is_missing_in_the_map_and_no_more)
{
	struct btt_geometry_info geometry;
	uint8_t *before = malloc(fake->media.size);
	unsigned nstore = 0;
	struct btt *btt;

	ck_assert_ptr_nonnull(before);
	put_write(3, 200, false);
	put_write(4, 100, false);
	put_write(5, 150, true);
	memcpy(before, fake->bytes, fake->media.size);
	fake->remember = true;
	btt = open_well(false);
	btt_get_geometry(btt, &geometry);
	ck_assert_uint_eq(geometry.nrecovered, 2);
	for (unsigned i = 0; i < fake->nop; i++) {
		const struct fake_op *op = &fake->op[i];

		ck_assert(op->kind == FAKE_STORE || op->kind == FAKE_FLUSH ||
		    op->kind == FAKE_FENCE);
		if (op->kind != FAKE_STORE)
			continue;
		ck_assert_uint_eq(op->len, 4);
		fake_apply(op, before);
		nstore++;
	}
	ck_assert_int_eq(fake->op[fake->nop - 1].kind, FAKE_FENCE);
	ck_assert_uint_eq(nstore, 2);
	ck_assert_mem_eq(fake->bytes, before, fake->media.size);
	ck_assert_int_eq(block_of(btt, 200), FREE(3));
	ck_assert_int_eq(block_of(btt, 100), FREE(4));
	ck_assert_int_eq(block_of(btt, 150), FREE(5));
	fake->remember = false;
	close_btt(btt);
	/* the next one finds nothing to do */
	btt = open_well(false);
	ck_assert_uint_eq(fake->nop, 0);
	close_btt(btt);
	free(before);
}
END_TEST

START_TEST(open__for_reading_recovers_in_memory)
{
	struct btt *btt;

	put_write(3, 200, false);
	put_write(5, 150, true);
	for (int i = 0; i < 2; i++) {
		btt = open_well(true);
		ck_assert_str_eq(reported, "");
		ck_assert_int_eq(block_of(btt, 200), FREE(3));
		ck_assert_int_eq(block_of(btt, 150), FREE(5));
		ck_assert_uint_eq(fake->nop, 0);
		close_btt(btt);
		/* a medium that cannot be written to is good enough */
		fake->media.read_only = true;
	}
}
END_TEST

/*
 * Whoever sets the error flag asks for no more writes (btt-format.md 4.5); one
 * that has come into one copy only, by a crash, counts.
 */
START_TEST(open__with_an_error_flag_writes_nothing)
{
	struct btt_info flagged = info;
	struct btt_geometry_info geometry;
	struct btt *btt;

	put_write(3, 200, false);
	flagged.flags = BTT_FLAG_ERROR;
	image_put_info(fake, BTT_V11_OFFSET, _i == 1 ? &info : &flagged);
	image_put_info(
	    fake, BTT_V11_OFFSET + info.info2off, _i == 0 ? &info : &flagged);
	btt = open_well(false);
	ck_assert_str_eq(reported, _i == 2 ? "error-flag" : "error-flag info2");
	btt_get_geometry(btt, &geometry);
	ck_assert(geometry.read_only);
	ck_assert_int_eq(btt_failed(btt), -EIO);
	ck_assert_int_eq(block_of(btt, 200), FREE(3));
	ck_assert_int_eq(write_sector(btt, 0), -EROFS);
	ck_assert_int_eq(btt_flush(btt, btt_worker_pool_get(pool, 0)), 0);
	ck_assert_uint_eq(fake->nop, 0);
	close_btt(btt);
}
END_TEST

/* The backup is used aloud, and nothing is mended (P7). */
START_TEST(open__from_the_backup_says_so_and_mends_nothing)
{
	struct btt *btt;

	memset(fake->bytes + BTT_V11_OFFSET, 0x5a, BTT_INFO_BYTES);
	btt = open_well(false);
	ck_assert_str_eq(reported, "info");
	ck_assert_int_eq(write_sector(btt, 7), 0);
	ck_assert_uint_eq(fake->bytes[BTT_V11_OFFSET], 0x5a);
	close_btt(btt);
	/* and the other way */
	image_put_info(fake, BTT_V11_OFFSET, &info);
	memset(fake->bytes + BTT_V11_OFFSET + info.info2off, 0x5a, 4096);
	btt = open_well(false);
	ck_assert_str_eq(reported, "info2");
	ck_assert_int_eq(write_sector(btt, 7), 0);
	close_btt(btt);
	ck_assert_uint_eq(fake->bytes[BTT_V11_OFFSET + info.info2off], 0x5a);
}
END_TEST

/* Bits without a meaning may differ: somebody may have given them one. */
START_TEST(open__of_copies_with_other_reserved_bytes_is_refused)
{
	uint8_t *block = fake->bytes + BTT_V11_OFFSET;
	struct le64 sum;
	int r;

	block[2000] = 1;
	sum = le64_encode(btt_info_checksum(block));
	memcpy(block + 4088, &sum, sizeof(sum));
	(void)try_open(false, &r);
	ck_assert_int_eq(r, -EUCLEAN);
	ck_assert_uint_eq(fake->nop, 0);
}
END_TEST

/*
 * A map of 16 MiB is looked through, a larger one is not: opening has to end
 * in time.  Both have a block twice.
 */
START_TEST(open__looks_through_maps_of_some_size)
{
	const uint32_t most = 4194304;

	for (uint32_t over = 0; over < 2; over++) {
		struct btt_info big = { .major = 1, .minor = 1 };
		uint64_t bytes = 0;
		struct btt *btt;
		int r;

		/* of arenas with so many sectors, the smallest */
		for (uint64_t step = UINT64_C(1) << 33; step >= BTT_ALIGN;
		     step /= 2) {
			if (btt_geometry(bytes + step, 512, 256, 64, &big) <
				0 ||
			    big.external_nlba < most + over)
				bytes += step;
		}
		bytes += BTT_ALIGN;
		ck_assert_int_eq(btt_geometry(bytes, 512, 256, 64, &big), 0);
		big.internal_nlba -= big.external_nlba - most - over;
		big.external_nlba = most + over;

		media_close(&fake->media);
		fake = image_new(bytes + BTT_V11_OFFSET, BTT_LAYOUT_V11, 512);
		image_put_both(fake, BTT_V11_OFFSET + big.info2off, &big);
		for (uint32_t i = 0; i < big.nfree; i++)
			image_put_log(fake, &big, i, 0,
			    LOG_ENTRY(i, big.external_nlba + i,
				big.external_nlba + i, 1));
		image_put_map(
		    fake, &big, big.external_nlba - 1, MAP_NORMAL | 5);
		btt = try_open(false, &r);
		ck_assert_int_eq(r, over == 0 ? -EUCLEAN : 0);
		if (over == 0)
			continue;
		ck_assert_int_eq(btt_close(btt), 0);
		fake = NULL;
	}
}
END_TEST

static Suite *
open_suite(void)
{
	Suite *suite = suite_create("open");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc,
	    open__of_damage_for_writing_is_refused_and_writes_nothing, 0,
	    NDAMAGE);
	tcase_add_loop_test(
	    tc, open__of_damage_for_reading_reads_what_is_sound, 0, NDAMAGE);
	tcase_add_test(tc, open__tells_of_much_damage_in_few_words);
	tcase_add_test(tc, open__writes_what_is_missing_in_the_map_and_no_more);
	tcase_add_test(tc, open__for_reading_recovers_in_memory);
	tcase_add_loop_test(tc, open__with_an_error_flag_writes_nothing, 0, 3);
	tcase_add_test(tc, open__from_the_backup_says_so_and_mends_nothing);
	tcase_add_test(
	    tc, open__of_copies_with_other_reserved_bytes_is_refused);
	tcase_add_test(tc, open__looks_through_maps_of_some_size);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(open_suite());
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_map -- the same for the log, the map, and who owns which block.
 */
#include <string.h>

#include "flog.h"
#include "support/check_main.h"
#include "support/damage_fixture.h"

START_TEST(log__old_layout_is_a_note_and_read_right)
{
	image_put_log(fake, &info, 7, 2, LOG_ENTRY(50, 50, NSECTOR + 7, 2));
	image_put_map(fake, &info, 50, NORMAL(NSECTOR + 7));
	ck_assert_check("log-pad", 0);
	assert_at("log-pad", BTT_NO_ENTRY, log_off(0), "0 and 2");
}
END_TEST

/* One pair in another layout is one finding, and its block is still known. */
START_TEST(log_layout__names_the_pair)
{
	write_sector(1, 40);
	write_sector(2, 41);
	image_put_log(fake, &info, 7, 2, LOG_ENTRY(50, 50, NSECTOR + 7, 2));
	image_put_map(fake, &info, 50, NORMAL(NSECTOR + 7));
	ck_assert_check("log-layout", 1);
	assert_at("log-layout", 7, log_off(7), "slots 0 2");
	/* something in the padding */
	image_put_log(fake, &info, 7, 2, LOG_ENTRY(0, 0, 0, 0));
	image_put_map(fake, &info, 50, 0);
	image_put_log(fake, &info, 8, 3, LOG_ENTRY(1, 2, 3, 1));
	ck_assert_check("log-layout", 1);
	assert_at("log-layout", 8, log_off(8), "slots 0 3");
}
END_TEST

/* What most pairs do is the log's layout. */
START_TEST(log_layout__is_that_of_the_majority)
{
	for (uint32_t i = 7; i < 10; i++) {
		image_put_log(fake, &info, i, 2,
		    LOG_ENTRY(50 + i, 50 + i, NSECTOR + i, 2));
		image_put_map(fake, &info, 50 + i, NORMAL(NSECTOR + i));
	}
	write_sector(1, 40);
	ck_assert_check("log-pad log-layout", 1);
	assert_at("log-layout", 1, log_off(1), "slots 0 1");
}
END_TEST

/* Only the second entry is left: nothing says that it is the newer one. */
START_TEST(log_layout__without_a_first_entry_has_no_block)
{
	write_sector(1, 40);
	image_put_log(fake, &info, 1, 0, LOG_ENTRY(0, 0, 0, 0));
	ck_assert_check("log-layout bitmap", 2);
	assert_at("log-layout", 1, log_off(1), "slots 1");
	assert_at("bitmap", BTT_NO_ENTRY, block_off(40), "block 40");
}
END_TEST

/* The kernel opens this one, and takes block 0 from under sector 0. */
START_TEST(log_layout__refuses_an_empty_pair)
{
	image_put_log(fake, &info, 0, 0, LOG_ENTRY(0, 0, 0, 0));
	ck_assert_check("log-layout bitmap", 2);
	assert_at("log-layout", 0, log_off(0), "empty");
	assert_at("bitmap", BTT_NO_ENTRY, block_off(NSECTOR),
	    "block 3829 is owned by no");
	memset(fake->bytes + log_off(0), 0, 256 * 64);
	ck_assert_check("log-layout bitmap log-layout bitmap", 512);
}
END_TEST

START_TEST(log_seq__is_found_in_every_form)
{
	static const uint32_t seqs[][2] = { { 1, 1 }, { 3, 3 }, { 4, 0 },
		{ 1, 4 }, { 2, 0 }, { 3, 0 }, { UINT32_MAX, 1 },
		{ 2, UINT32_MAX } };

	for (unsigned i = 0; i < sizeof(seqs) / sizeof(seqs[0]); i++) {
		image_put_log(fake, &info, 250, 0,
		    LOG_ENTRY(250, NSECTOR + 250, NSECTOR + 250, seqs[i][0]));
		if (seqs[i][1] != 0)
			image_put_log(fake, &info, 250, 1,
			    LOG_ENTRY(9, 9, NSECTOR + 250, seqs[i][1]));
		else
			image_put_log(
			    fake, &info, 250, 1, LOG_ENTRY(0, 0, 0, 0));
		/* whose block that was nobody says now */
		ck_assert_check("log-seq bitmap", 2);
		assert_at("log-seq", 250, log_off(250), "sequence");
	}
}
END_TEST

START_TEST(log_range__names_the_field)
{
	image_put_log(
	    fake, &info, 8, 0, LOG_ENTRY(NSECTOR, NSECTOR + 8, NSECTOR + 8, 1));
	ck_assert_check("log-range", 1);
	assert_at("log-range", 8, log_off(8), "lba");
	image_put_log(fake, &info, 8, 0, LOG_ENTRY(8, NBLOCK, NSECTOR + 8, 1));
	ck_assert_check("log-range bitmap", 2);
	assert_at("log-range", 8, log_off(8), "old_map");
	image_put_log(
	    fake, &info, 8, 0, LOG_ENTRY(8, NSECTOR + 8, 0x3fffffff, 1));
	ck_assert_check("log-range", 1);
	assert_at("log-range", 8, log_off(8), "new_map");
}
END_TEST

/* Windows and libpmemblk write flags; ndctl calls that out of bounds. */
START_TEST(log_flags__are_a_note)
{
	for (uint32_t i = 3; i < 10; i++)
		image_put_log(fake, &info, i, 0,
		    LOG_ENTRY(i, MAP_ZERO | (NSECTOR + i),
			MAP_ZERO | (NSECTOR + i), 1));
	image_put_log(fake, &info, 20, 0,
	    LOG_ENTRY(20, MAP_ERROR | (NSECTOR + 20), NSECTOR + 20, 1));
	ck_assert_check("log-flags", 0);
	assert_at("log-flags", 3, log_off(3), "8 pairs");
}
END_TEST

/* Half of a first write: the entry is not in use yet. */
START_TEST(log__torn_entry_is_no_finding)
{
	image_put_log(fake, &info, 250, 1, LOG_ENTRY(9, 457, 0, 0));
	ck_assert_check("", 0);
	write_sector(3, 40);
	image_put_log(fake, &info, 3, 0, LOG_ENTRY(60, 60, NSECTOR + 3, 1));
	ck_assert_check("", 0);
}
END_TEST

START_TEST(log_same__is_a_note)
{
	image_put_log(
	    fake, &info, 4, 1, LOG_ENTRY(4, NSECTOR + 4, NSECTOR + 4, 2));
	ck_assert_check("log-same", 0);
	assert_at("log-same", 4, log_off(4), "not fresh");
}
END_TEST

/* A write between its commit and its map entry: legal, and said. */
START_TEST(log_map__is_a_note_and_no_false_alarm)
{
	image_put_log(fake, &info, 7, 1, LOG_ENTRY(100, 100, NSECTOR + 7, 2));
	ck_assert_check("log-map", 0);
	assert_at("log-map", 7, log_off(7), "sector 100");
	ck_assert_uint_eq(findings.result.npending, 1);
	ck_assert(findings.finding[0].repairable);
	ck_assert_uint_eq(findings.result.nrepairable, 0);
	/* flags are no part of the comparison */
	image_put_log(fake, &info, 7, 1,
	    LOG_ENTRY(100, NORMAL(100), NORMAL(NSECTOR + 7), 2));
	ck_assert_check("log-flags log-map", 0);
	/* two of them, one over a sector that was written before */
	write_sector(1, 300);
	image_put_log(
	    fake, &info, 2, 1, LOG_ENTRY(300, NSECTOR + 1, NSECTOR + 2, 2));
	ck_assert_check("log-flags log-map", 0);
	ck_assert_uint_eq(findings.result.npending, 2);
}
END_TEST

/*
 * Two records of one sector, the second upon the first: recovery goes from
 * pair to pair and sees what it stored itself.
 */
START_TEST(log_map__follows_recovery_from_pair_to_pair)
{
	image_put_log(fake, &info, 3, 1, LOG_ENTRY(100, 100, NSECTOR + 3, 2));
	image_put_log(
	    fake, &info, 5, 1, LOG_ENTRY(100, NSECTOR + 3, NSECTOR + 5, 2));
	ck_assert_check("log-map", 0);
	ck_assert_uint_eq(findings.result.npending, 2);
	/* in the other order only one applies, and a block is lost */
	image_put_log(
	    fake, &info, 3, 1, LOG_ENTRY(100, NSECTOR + 5, NSECTOR + 3, 2));
	image_put_log(fake, &info, 5, 1, LOG_ENTRY(100, 100, NSECTOR + 5, 2));
	ck_assert_check("log-map bitmap", 2);
	ck_assert_uint_eq(findings.result.npending, 1);
}
END_TEST

/* A completed record says nothing about the sector's later writes. */
START_TEST(log_map__ignores_old_records)
{
	write_sector(1, 300);
	image_put_log(
	    fake, &info, 2, 1, LOG_ENTRY(300, NSECTOR + 1, NSECTOR + 2, 2));
	image_put_map(fake, &info, 300, NORMAL(NSECTOR + 2));
	ck_assert_check("", 0);
}
END_TEST

/* The map. */

START_TEST(map_range__names_the_entry)
{
	image_put_map(fake, &info, 5, NORMAL(NBLOCK));
	image_put_map(fake, &info, NSECTOR - 1, MAP_ERROR | 0x3fffffff);
	ck_assert_check("map-range bitmap map-error", 4);
	assert_at("map-range", 5, map_off(5), "block 4085 of 4085");
	assert_at("bitmap", BTT_NO_ENTRY, block_off(5), "block 5 is owned");
	ck_assert_uint_eq(findings_count(&findings, "map-range"), 2);
	/* the last block there is */
	image_put_map(fake, &info, NSECTOR - 1, NORMAL(NBLOCK - 1));
	ck_assert_check("map-range bitmap", 4);
}
END_TEST

START_TEST(bitmap__names_both_owners)
{
	image_put_map(fake, &info, 9, NORMAL(12));
	ck_assert_check("bitmap", 2);
	assert_at("bitmap", 12, map_off(12),
	    "block 12 is owned by map entry 9 and by map entry 12");
	/* a sector on a free block */
	image_put_map(fake, &info, 9, NORMAL(NSECTOR + 200));
	ck_assert_check("bitmap", 2);
	assert_at("bitmap", 9, map_off(9),
	    "block 4029 is owned by log pair 200 and by map entry 9");
	/* two pairs with one block */
	image_put_map(fake, &info, 9, 0);
	image_put_log(
	    fake, &info, 11, 0, LOG_ENTRY(11, NSECTOR + 12, NSECTOR + 12, 1));
	ck_assert_check("bitmap", 2);
	assert_at("bitmap", 12, log_off(12),
	    "block 3841 is owned by log pair 11 and by log pair 12");
}
END_TEST

/* Owners are those after recovery, at the second look too. */
START_TEST(bitmap__counts_entries_as_recovery_leaves_them)
{
	image_put_log(fake, &info, 7, 1, LOG_ENTRY(100, 100, NSECTOR + 7, 2));
	image_put_map(fake, &info, 200, NORMAL(NSECTOR + 7));
	ck_assert_check("log-map bitmap", 2);
	assert_at("bitmap", 200, map_off(200),
	    "block 3836 is owned by map entry 100 and by map entry 200");
}
END_TEST

START_TEST(bitmap__counts_every_owner_beyond_the_first)
{
	for (uint32_t i = 100; i < 110; i++)
		image_put_map(fake, &info, i, NORMAL(100));
	ck_assert_check("bitmap", 18);
	for (size_t i = 0; i < 9; i++)
		ck_assert_ptr_nonnull(
		    strstr(findings.finding[i].text, "map entry 100 and"));
}
END_TEST

/* E and Z entries keep their blocks. */
START_TEST(map__states_are_counted_and_own_blocks)
{
	image_put_map(fake, &info, 3, MAP_ERROR | 3);
	image_put_map(fake, &info, 4, MAP_ERROR | 4);
	image_put_map(fake, &info, 5, MAP_ZERO | 5);
	image_put_map(fake, &info, 6, NORMAL(6));
	ck_assert_check("map-error", 0);
	assert_at("map-error", 3, map_off(3), "2 sectors");
	ck_assert_uint_eq(findings.n, 1);
	ck_assert_uint_eq(findings.result.nerror, 2);
	ck_assert_uint_eq(findings.result.nzero, 1);
	ck_assert_uint_eq(findings.result.nnormal, 1);
	ck_assert_uint_eq(findings.result.ninitial, NSECTOR - 4);
}
END_TEST

START_TEST(map_bits__of_an_initial_entry_are_a_note)
{
	image_put_map(fake, &info, 106, 5);
	image_put_map(fake, &info, 107, 0x3fffffff);
	ck_assert_check("map-bits", 0);
	assert_at("map-bits", 106, map_off(106), "2 initial");
}
END_TEST

/* Linux loses the neighbours of such a sector (btt-format.md 2.4). */
START_TEST(map_zero__of_512_byte_sectors_is_a_note)
{
	media_close(&fake->media);
	fake = image_new(IMAGE_BYTES, BTT_LAYOUT_V11, 520);
	ck_assert_int_eq(btt_info_decode(fake->bytes + BTT_V11_OFFSET, &info),
	    BTT_INFO_VALID);
	image_put_map(fake, &info, 77, MAP_ZERO | 77);
	ck_assert_check("map-zero", 0);
	assert_at("map-zero", 77, map_off(77), "1 sectors");
}
END_TEST

/*
 * A hostile image cannot make us talk for ever: so many of a kind, and then
 * how many more.  All are counted.
 */
START_TEST(check__bounds_what_it_reports)
{
	for (uint32_t i = 0; i < NSECTOR; i++)
		image_put_map(
		    fake, &info, i, i % 2 ? NORMAL(0) : NORMAL(NBLOCK + i));
	for (uint32_t i = 0; i < 256; i++)
		image_put_log(fake, &info, i, 0, LOG_ENTRY(i, 0, 0, 4));
	ck_assert_int_eq(findings_of(fake, &findings), 0);
	ck_assert_uint_eq(findings_count(&findings, "log-seq"), 101);
	ck_assert_uint_eq(findings_count(&findings, "map-range"), 101);
	/* lost ones and doubly owned ones */
	ck_assert_uint_eq(findings_count(&findings, "bitmap"), 202);
	ck_assert_uint_eq(findings.result.ndamage,
	    256 + (NSECTOR + 1) / 2 + (NSECTOR / 2 - 1) + (NBLOCK - 1));
	for (size_t i = 0; i < findings.n; i++) {
		const struct btt_finding *finding = &findings.finding[i];

		if (strncmp(finding->text, "and ", 4) == 0)
			ck_assert_int_eq(finding->severity, BTT_NOTE);
	}
	ck_assert_uint_eq(findings.result.nnote, 0);
	assert_at("log-seq", 0, log_off(0), "sequence");
	ck_assert_ptr_nonnull(
	    strstr(findings.finding[findings.n - 4].text, "and 156 more"));
	ck_assert_uint_eq(findings.done, findings.total);
}
END_TEST

/*
 * Random owners, some of blocks that there are not: what is found is what
 * counting says.
 */
START_TEST(bitmap__is_what_counting_says)
{
	static uint32_t nowner[NBLOCK];
	uint64_t random = (uint64_t)_i + 1;
	uint64_t expected = 0;

	memset(nowner, 0, sizeof(nowner));
	for (uint32_t i = 0; i < NSECTOR + 256; i++) {
		uint32_t block = i;

		random = random * UINT64_C(6364136223846793005) +
		    UINT64_C(1442695040888963407);
		/* from a few to most of them */
		if ((random >> 32) % 1024 < UINT64_C(1) << _i % 11)
			block = (uint32_t)(random >> 16) % (NBLOCK + 20);
		if (i < NSECTOR)
			image_put_map(fake, &info, i, NORMAL(block));
		else
			image_put_log(fake, &info, i - NSECTOR, 0,
			    LOG_ENTRY(i - NSECTOR, block, block, 1));
		if (block < NBLOCK)
			nowner[block]++;
		else
			expected++;
	}
	for (uint32_t block = 0; block < NBLOCK; block++)
		expected += nowner[block] == 0 ? 1 : nowner[block] - 1;
	ck_assert_int_eq(findings_of(fake, &findings), 0);
	ck_assert_uint_gt(expected, 0);
	ck_assert_uint_eq(findings.result.ndamage, expected);
	ck_assert_uint_eq(findings.result.nnormal, NSECTOR);
}
END_TEST

/* Nor does any other damage to log and map lead it astray (with ASan). */
START_TEST(check__survives_random_bytes)
{
	uint64_t random = (uint64_t)_i + 1;

	for (uint64_t at = info.mapoff; at < info.info2off; at++) {
		random = random * UINT64_C(6364136223846793005) +
		    UINT64_C(1442695040888963407);
		if ((random >> 32) % 4096 < UINT64_C(1) << _i % 13)
			fake->bytes[BTT_V11_OFFSET + at] =
			    (uint8_t)(random >> 56);
	}
	ck_assert_int_eq(findings_of(fake, &findings), 0);
	ck_assert_uint_gt(findings.result.ndamage, 0);
	ck_assert_uint_eq(findings.result.nnormal + findings.result.ninitial +
		findings.result.nzero + findings.result.nerror,
	    NSECTOR);
}
END_TEST

/* Pools: what libpmemblk would make of the log. */

static void
make_pool(void)
{
	struct btt_info pool = info;
	uint8_t *header;
	struct le64 sum;

	media_close(&fake->media);
	fake = fake_new(BTT_POOL_OFFSET + BTT_ARENA_MIN_BYTES);
	header = fake->bytes;
	strcpy((char *)header, "PMEMBLK");
	header[8] = 1;
	header[24] = 7; /* the set's uuid */
	sum = le64_encode(btt_info_checksum(header));
	memcpy(header + 4088, &sum, sizeof(sum));
	header[4097] = 16; /* blocks of 4096 bytes */
	pool.parent_uuid[0] = 7;
	image_put_info(fake, BTT_POOL_OFFSET, &pool);
	image_put_info(fake, BTT_POOL_OFFSET + pool.info2off, &pool);
	for (uint32_t i = 0; i < 256; i++) {
		struct flog_entry entry =
		    flog_initial(i, pool.external_nlba, BTT_LAYOUT_POOL);

		flog_encode(&entry,
		    (struct flog_media *)(void *)(fake->bytes +
			BTT_POOL_OFFSET + pool.logoff + 64ull * i));
	}
}

/* A map entry or log entry of the pool, which begins a page later. */
static void
put_pool_log(uint32_t pair, unsigned slot, const uint32_t entry[4])
{
	fake->bytes += BTT_POOL_OFFSET - BTT_V11_OFFSET;
	image_put_log(fake, &info, pair, slot, entry);
	fake->bytes -= BTT_POOL_OFFSET - BTT_V11_OFFSET;
}

START_TEST(pool__is_checked_against_what_libpmemblk_does)
{
	make_pool();
	ck_assert_check("", 0);
	/* compares whole words, and so finishes this write */
	put_pool_log(7, 1, LOG_ENTRY(100, NORMAL(100), NORMAL(NSECTOR + 7), 2));
	ck_assert_check("log-map", 0);
	ck_assert_ptr_nonnull(strstr(findings.finding[0].endangers, "nothing"));
	/* and not this one, which Linux has left */
	put_pool_log(7, 1, LOG_ENTRY(100, 100, NSECTOR + 7, 2));
	ck_assert_check("log-map", 0);
	ck_assert_ptr_nonnull(
	    strstr(findings.finding[0].endangers, "libpmemblk"));
	put_pool_log(7, 1, LOG_ENTRY(0, 0, 0, 0));
	/* reads the older entry too */
	put_pool_log(
	    8, 1, LOG_ENTRY(8, NORMAL(NSECTOR + 8), NORMAL(NSECTOR + 8), 2));
	put_pool_log(8, 0, LOG_ENTRY(NSECTOR, 1, 2, 1));
	ck_assert_check("log-same log-older", 0);
}
END_TEST

/* The header and the BTT must fit together. */
START_TEST(pool__that_is_not_this_one_is_damage)
{
	struct le64 sum;

	make_pool();
	fake->bytes[4097] = 2;
	ck_assert_check("pool", 1);
	assert_at("pool", BTT_NO_ENTRY, 4096, "blocks of 512 bytes");
	make_pool();
	fake->bytes[24] = 8;
	ck_assert_check("pool", 1);
	assert_at("pool", BTT_NO_ENTRY, 0, "checksum");
	sum = le64_encode(btt_info_checksum(fake->bytes));
	memcpy(fake->bytes + 4088, &sum, sizeof(sum));
	ck_assert_check("pool", 1);
	assert_at("pool", BTT_NO_ENTRY, 24, "another pool");
}
END_TEST

/* Threads find what one finds, in the same order. */
START_TEST(check__is_the_same_with_any_number_of_threads)
{
	static const unsigned nthreads[] = { 2, 3, 7, 64, 0 };
	static struct findings other;
	const uint64_t bytes = UINT64_C(256) << 20;
	uint64_t random = (uint64_t)_i + 1;
	uint32_t nsector;

	media_close(&fake->media);
	fake = image_new(bytes, BTT_LAYOUT_V11, 512);
	ck_assert_int_eq(btt_info_decode(fake->bytes + BTT_V11_OFFSET, &info),
	    BTT_INFO_VALID);
	nsector = info.external_nlba;
	ck_assert_uint_gt(nsector, 7 * 65536);
	/* nothing wrong, some, and more than can be listed */
	for (uint32_t i = 0; i < (10u << 3 * _i) - 10; i++) {
		random = random * UINT64_C(6364136223846793005) +
		    UINT64_C(1442695040888963407);
		image_put_map(fake, &info, (uint32_t)(random >> 32) % nsector,
		    NORMAL(
			(uint32_t)(random >> 8) % (info.internal_nlba + 99)));
	}
	/* bits that do not count, of which the first is told */
	for (uint32_t i = 0; i < 7; i++)
		image_put_map(fake, &info, (i + 1) * 65536 - 9 - i, 1 + i);
	/* and writes that recovery would complete */
	image_put_log(
	    fake, &info, 3, 1, LOG_ENTRY(65536, 65536, nsector + 3, 2));
	image_put_log(
	    fake, &info, 4, 1, LOG_ENTRY(65535, 65535, nsector + 4, 2));
	ck_assert_int_eq(findings_of_medium(&fake->media, 1, &findings), 0);
	ck_assert_uint_ge(findings.result.npending, 1);
	ck_assert(_i == 0 || findings.result.ndamage > 10);
	for (size_t i = 0; i < sizeof(nthreads) / sizeof(nthreads[0]); i++) {
		ck_assert_int_eq(
		    findings_of_medium(&fake->media, nthreads[i], &other), 0);
		ck_assert_mem_eq(
		    &other.result, &findings.result, sizeof(other.result));
		ck_assert_uint_eq(other.n, findings.n);
		for (size_t k = 0; k < findings.n; k++)
			ck_assert_str_eq(
			    other.finding[k].text, findings.finding[k].text);
		ck_assert_uint_eq(other.done, other.total);
	}
}
END_TEST

static Suite *
check_map_suite(void)
{
	Suite *suite = suite_create("check_map");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, log__old_layout_is_a_note_and_read_right);
	tcase_add_test(tc, log_layout__names_the_pair);
	tcase_add_test(tc, log_layout__is_that_of_the_majority);
	tcase_add_test(tc, log_layout__without_a_first_entry_has_no_block);
	tcase_add_test(tc, log_layout__refuses_an_empty_pair);
	tcase_add_test(tc, log_seq__is_found_in_every_form);
	tcase_add_test(tc, log_range__names_the_field);
	tcase_add_test(tc, log_flags__are_a_note);
	tcase_add_test(tc, log__torn_entry_is_no_finding);
	tcase_add_test(tc, log_same__is_a_note);
	tcase_add_test(tc, log_map__is_a_note_and_no_false_alarm);
	tcase_add_test(tc, log_map__follows_recovery_from_pair_to_pair);
	tcase_add_test(tc, log_map__ignores_old_records);
	tcase_add_test(tc, map_range__names_the_entry);
	tcase_add_test(tc, bitmap__names_both_owners);
	tcase_add_test(tc, bitmap__counts_entries_as_recovery_leaves_them);
	tcase_add_test(tc, bitmap__counts_every_owner_beyond_the_first);
	tcase_add_test(tc, map__states_are_counted_and_own_blocks);
	tcase_add_test(tc, map_bits__of_an_initial_entry_are_a_note);
	tcase_add_test(tc, map_zero__of_512_byte_sectors_is_a_note);
	tcase_add_test(tc, check__bounds_what_it_reports);
	tcase_add_test(tc, pool__is_checked_against_what_libpmemblk_does);
	tcase_add_test(tc, pool__that_is_not_this_one_is_damage);
	tcase_add_loop_test(
	    tc, check__is_the_same_with_any_number_of_threads, 0, 4);
	tcase_add_loop_test(tc, bitmap__is_what_counting_says, 0, 33);
	tcase_add_loop_test(tc, check__survives_random_bytes, 0, 26);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(check_map_suite());
}

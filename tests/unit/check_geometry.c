/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * geometry -- numbers of real devices and pools, and what must hold for all
 * others.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <btt/format.h>

#include "layout.h"
#include "support/check_main.h"

#define NELEM(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const uint8_t uuid[BTT_UUID_BYTES] = { 0x01, 0x23, 0x45, 0x67, 0x89,
	0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };

struct row {
	uint64_t bytes;
	uint32_t sector;
	uint32_t lbasize;
	uint32_t internal;
	uint32_t external;
	uint64_t mapoff;
	uint64_t logoff;
	uint64_t info2off;
	uint64_t checksum; /* 0: not known */
};

/* btt-format.md 13.2, then the formula's 13.3. */
static const struct row kernel_rows[] = {
	{ 16777216, 4096, 4096, 4085, 3829, 16740352, 16756736, 16773120,
	    0xa65bab48ad096209 },
	{ 33550336, 520, 576, 57795, 57539, 33296384, 33529856, 33546240,
	    0x50b70118b00769ed },
	{ 33550336, 528, 576, 57795, 57539, 33296384, 33529856, 33546240,
	    0x50b720a8b00769f5 },
	{ 33550336, 4096, 4096, 8176, 7920, 33497088, 33529856, 33546240,
	    0x572463e8b00911ff },
	{ 33550336, 4104, 4160, 8050, 7794, 33497088, 33529856, 33546240,
	    0x57219f38b009114b },
	{ 33550336, 4160, 4160, 8050, 7794, 33497088, 33529856, 33546240,
	    0x57227c28b0091183 },
	{ 33550336, 4224, 4224, 7928, 7672, 33497088, 33529856, 33546240,
	    0x5720b3e8b009110f },
	{ 67104768, 512, 512, 129992, 129736, 66564096, 67084288, 67100672,
	    0xac4bcce8b6053daf },
	{ 50331648, 4096, 4096, 12269, 12013, 50262016, 50311168, 50327552, 0 },
	{ 50327552, 4096, 4096, 12268, 12012, 50257920, 50307072, 50323456, 0 },
	{ 67108864, 4096, 4096, 16361, 16105, 67022848, 67088384, 67104768, 0 },
	{ 16777216, 512, 512, 32458, 32202, 16625664, 16756736, 16773120, 0 },
	{ 16777216, 520, 576, 28876, 28620, 16642048, 16756736, 16773120, 0 },
	{ 1073741824, 512, 512, 2080839, 2080583, 1065398272, 1073721344,
	    1073737728, 0 },
	{ 1073741824, 4096, 4096, 261881, 261625, 1072672768, 1073721344,
	    1073737728, 0 },
	{ 1073737728, 4096, 4096, 261880, 261624, 1072668672, 1073717248,
	    1073733632, 0 },
	{ 549755813888, 512, 512, 1065418188, 1065417932, 545494118400,
	    549755793408, 549755809792, 0 },
	{ 549755813888, 520, 576, 947854802, 947854546, 545964371968,
	    549755793408, 549755809792, 0 },
	{ 549755813888, 4096, 4096, 134086776, 134086520, 549219446784,
	    549755793408, 549755809792, 0 },
	{ 549755813888, 4160, 4160, 132025885, 132025629, 549227687936,
	    549755793408, 549755809792, 0 },
	{ 549755809792, 4096, 4096, 134086775, 134086519, 549219442688,
	    549755789312, 549755805696, 0 },
};

/* btt-format.md 13.4 and media.md 5.2: size of the pool file. */
static const struct row pool_rows[] = {
	{ 16785408, 512, 512, 32458, 32202, 16625664, 16756736, 16773120, 0 },
	{ 16785408, 520, 768, 21695, 21439, 16670720, 16756736, 16773120, 0 },
	{ 16785408, 4096, 4096, 4085, 3829, 16740352, 16756736, 16773120, 0 },
	{ 33554432, 4096, 4096, 8175, 7919, 33492992, 33525760, 33542144, 0 },
	{ 67108864, 512, 512, 129984, 129728, 66560000, 67080192, 67096576, 0 },
	{ 67108864, 4096, 4096, 16359, 16103, 67014656, 67080192, 67096576, 0 },
	{ 1073741824, 512, 512, 2080823, 2080567, 1065390080, 1073713152,
	    1073729536, 0 },
	{ 1073741824, 4096, 4096, 261879, 261623, 1072664576, 1073713152,
	    1073729536, 0 },
};

static void
assert_row(const struct row *row, uint64_t arena_bytes, uint32_t align)
{
	uint8_t block[BTT_INFO_BYTES];
	struct btt_info info = { .major = 1, .minor = 1 };

	memcpy(info.uuid, uuid, sizeof(info.uuid));
	ck_assert_int_eq(
	    btt_geometry(arena_bytes, row->sector, 256, align, &info), 0);
	ck_assert_uint_eq(info.external_lbasize, row->sector);
	ck_assert_uint_eq(info.internal_lbasize, row->lbasize);
	ck_assert_uint_eq(info.internal_nlba, row->internal);
	ck_assert_uint_eq(info.external_nlba, row->external);
	ck_assert_uint_eq(info.nfree, 256);
	ck_assert_uint_eq(info.infosize, 4096);
	ck_assert_uint_eq(info.nextoff, 0);
	ck_assert_uint_eq(info.dataoff, 4096);
	ck_assert_uint_eq(info.mapoff, row->mapoff);
	ck_assert_uint_eq(info.logoff, row->logoff);
	ck_assert_uint_eq(info.info2off, row->info2off);
	btt_info_encode(&info, block);
	if (row->checksum != 0)
		ck_assert_uint_eq(btt_info_checksum(block), row->checksum);
}

START_TEST(geometry__is_the_kernels)
{
	assert_row(&kernel_rows[_i], kernel_rows[_i].bytes, 64);
}
END_TEST

START_TEST(geometry__of_a_pool_is_libpmemblks)
{
	assert_row(&pool_rows[_i], pool_rows[_i].bytes - BTT_POOL_OFFSET, 256);
}
END_TEST

static uint64_t
pool_nsector(uint64_t pool_bytes, uint32_t sector)
{
	uint64_t raw_bytes = pool_bytes - BTT_POOL_OFFSET;
	uint64_t nsector = 0;
	uint64_t bytes;

	for (uint32_t i = 0; (bytes = btt_arena_bytes(raw_bytes, i)) != 0;
	     i++) {
		struct btt_info info;

		ck_assert_int_eq(
		    btt_geometry(bytes, sector, 256, 256, &info), 0);
		nsector += info.external_nlba;
	}
	return nsector;
}

/* media.md 5.3: what libpmemblk's tests expect, over all arenas. */
START_TEST(geometry__adds_up_to_libpmemblks_block_counts)
{
	const uint64_t gib = UINT64_C(1) << 30;
	const struct {
		uint64_t bytes;
		uint64_t n512, n520, n4096, n4160;
	} rows[] = {
		{ 16785408, 32202, 21439, 3829, 3588 },
		{ 2 * gib, 4161462, 2781410, 523511, 492729 },
		{ 512 * gib, 1065417916, 712118626, 134086518, 126206304 },
		{ 512 * gib + 8192, 1065417932, 712118636, 134086520,
		    126206306 },
		{ 513 * gib, 1067498499, 713509189, 134348143, 126452538 },
		{ 514 * gib, 1069579394, 714900046, 134610031, 126699035 },
	};

	for (int i = 0; i < NELEM(rows); i++) {
		uint64_t bytes = rows[i].bytes;

		ck_assert_uint_eq(pool_nsector(bytes, 512), rows[i].n512);
		ck_assert_uint_eq(pool_nsector(bytes, 520), rows[i].n520);
		ck_assert_uint_eq(pool_nsector(bytes, 528), rows[i].n520);
		ck_assert_uint_eq(pool_nsector(bytes, 4096), rows[i].n4096);
		ck_assert_uint_eq(pool_nsector(bytes, 4160), rows[i].n4160);
		ck_assert_uint_eq(pool_nsector(bytes, 4224), rows[i].n4160);
	}
}
END_TEST

/* Nobody rounds up what is left over (1.6). */
START_TEST(arena_bytes__cuts_as_the_kernel_does)
{
	const uint64_t max = BTT_ARENA_MAX_BYTES;
	const uint64_t min = BTT_ARENA_MIN_BYTES;

	ck_assert_uint_eq(btt_arena_bytes(0, 0), 0);
	ck_assert_uint_eq(btt_arena_bytes(min - 1, 0), 0);
	ck_assert_uint_eq(btt_arena_bytes(min, 0), min);
	ck_assert_uint_eq(btt_arena_bytes(min + 5, 0), min + 5);
	ck_assert_uint_eq(btt_arena_bytes(min, 1), 0);
	ck_assert_uint_eq(btt_arena_bytes(max, 0), max);
	ck_assert_uint_eq(btt_arena_bytes(max, 1), 0);
	/* 13.3: v1.1 takes 4096 bytes of the namespace away */
	ck_assert_uint_eq(btt_arena_bytes(max + min - 4096, 0), max);
	ck_assert_uint_eq(btt_arena_bytes(max + min - 4096, 1), 0);
	ck_assert_uint_eq(btt_arena_bytes(max + min, 1), min);
	ck_assert_uint_eq(btt_arena_bytes(2 * max - 4096, 1), max - 4096);
	ck_assert_uint_eq(btt_arena_bytes(2 * max - 4096, 2), 0);
	ck_assert_uint_eq(btt_arena_bytes(UINT64_MAX, UINT32_MAX), 0);
	ck_assert_uint_eq(btt_arena_bytes(UINT64_MAX, 0), max);
}
END_TEST

START_TEST(geometry__refuses_what_is_not_possible)
{
	struct btt_info info;
	struct btt_info before;

	memset(&info, 0x5a, sizeof(info));
	before = info;
#define REFUSES(code, bytes, sector, nfree, align) \
	ck_assert_int_eq(btt_geometry(bytes, sector, nfree, align, &info), code)
	REFUSES(-EINVAL, UINT64_C(1) << 30, 0, 256, 64);
	REFUSES(-EINVAL, UINT64_C(1) << 30, 513, 256, 64);
	REFUSES(-EINVAL, UINT64_C(1) << 30, 131072, 256, 64);
	REFUSES(-EINVAL, UINT64_C(1) << 30, 512, 0, 64);
	REFUSES(-EINVAL, UINT64_C(1) << 30, 512, BTT_NFREE_MAX + 1, 64);
	REFUSES(-EINVAL, UINT64_C(1) << 30, 512, 256, 0);
	REFUSES(-EINVAL, UINT64_C(1) << 30, 512, 256, 2 * BTT_ALIGN);
	REFUSES(-EINVAL, BTT_ARENA_MAX_BYTES + 1, 512, 256, 64);
	REFUSES(-ENOSPC, BTT_ARENA_MIN_BYTES - 1, 512, 256, 64);
	REFUSES(-ENOSPC, 0, 512, 256, 64);
	/* as many free blocks as there are blocks */
	REFUSES(-ENOSPC, BTT_ARENA_MIN_BYTES, 4096, 4085, 64);
	REFUSES(-ENOSPC, BTT_ARENA_MIN_BYTES, 65536, 256, 64);
	REFUSES(-ENOSPC, BTT_ARENA_MIN_BYTES, 4096, BTT_NFREE_MAX, 64);
#undef REFUSES
	ck_assert_mem_eq(&info, &before, sizeof(info));
}
END_TEST

/* The identity is the caller's. */
START_TEST(geometry__leaves_the_identity_alone)
{
	struct btt_info info;

	memset(&info, 0x5a, sizeof(info));
	ck_assert_int_eq(
	    btt_geometry(BTT_ARENA_MIN_BYTES, 4096, 256, 64, &info), 0);
	for (unsigned i = 0; i < BTT_UUID_BYTES; i++) {
		ck_assert_uint_eq(info.uuid[i], 0x5a);
		ck_assert_uint_eq(info.parent_uuid[i], 0x5a);
	}
	ck_assert_uint_eq(info.flags, 0x5a5a5a5a);
	ck_assert_uint_eq(info.major, 0x5a5a);
	ck_assert_uint_eq(info.minor, 0x5a5a);
}
END_TEST

static uint64_t
next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return *state >> 16;
}

/* Whatever the size, what we make is what we open, and wastes little. */
START_TEST(geometry__is_valid_for_any_size)
{
	static const uint32_t sectors[] = { 512, 520, 528, 1024, 2048, 4096,
		4104, 4160, 4224, 8192, 16384, 32768, 65536 };
	uint64_t state = 1;

	for (int i = 0; i < 200000; i++) {
		uint64_t bytes = BTT_ARENA_MIN_BYTES +
		    next_random(&state) %
			(BTT_ARENA_MAX_BYTES - BTT_ARENA_MIN_BYTES + 1);
		uint32_t sector =
		    sectors[next_random(&state) % (uint64_t)NELEM(sectors)];
		uint32_t nfree =
		    1 + (uint32_t)(next_random(&state) % BTT_NFREE_MAX);
		uint32_t align = next_random(&state) & 1 ? 64 : 256;
		struct btt_info info = { .major = 1, .minor = 1 };
		struct btt_error error = { "" };
		uint64_t used;

		bytes >>= next_random(&state) % 12;
		if (btt_geometry(bytes, sector, nfree, align, &info) < 0)
			continue;
		ck_assert_msg(btt_info_validate(&info, bytes, &error) == 0,
		    "%" PRIu64 " bytes, sectors of %u, nfree %u: %s", bytes,
		    sector, nfree, error.text);
		ck_assert_int_eq(btt_info_validate(&info,
				     bytes - bytes % BTT_ALIGN - 1, &error),
		    -EUCLEAN);
		ck_assert_uint_eq(
		    info.info2off + BTT_INFO_BYTES, bytes - bytes % 4096);
		used =
		    (uint64_t)info.internal_nlba * (info.internal_lbasize + 4);
		/* less than two blocks and the rounding is left over */
		ck_assert_uint_lt(info.logoff - info.dataoff - used,
		    2 * (uint64_t)info.internal_lbasize + 2 * 4096 +
			4 * (uint64_t)nfree);
	}
}
END_TEST

static Suite *
geometry_suite(void)
{
	Suite *suite = suite_create("geometry");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(
	    tc, geometry__is_the_kernels, 0, NELEM(kernel_rows));
	tcase_add_loop_test(
	    tc, geometry__of_a_pool_is_libpmemblks, 0, NELEM(pool_rows));
	tcase_add_test(tc, geometry__adds_up_to_libpmemblks_block_counts);
	tcase_add_test(tc, arena_bytes__cuts_as_the_kernel_does);
	tcase_add_test(tc, geometry__refuses_what_is_not_possible);
	tcase_add_test(tc, geometry__leaves_the_identity_alone);
	tcase_add_test(tc, geometry__is_valid_for_any_size);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(geometry_suite());
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arenas -- BTTs of more than 512 GiB, in sparse files: three arenas and what
 * is left behind them.  SCRATCH is a directory for files.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <btt/btt.h>
#include <btt/check.h>

#include "engine.h"
#include "layout.h"
#include "support/check_main.h"
#include "support/engine_fixture.h"
#include "support/media_open.h"

/* Few blocks, so that maps are small. */
#define SECTOR 65536u
#define MIB (UINT64_C(1) << 20)
/* A last arena with some sectors, and a rest that is none. */
#define REST_ARENA (40 * MIB)
#define NARENA 4u
#define NPAIR BTT_NFREE_DEFAULT

static const struct {
	enum btt_layout layout;
	uint64_t start;
	enum media_force force;
	enum btt_durability durability;
} variants[] = {
	{ BTT_LAYOUT_V11, BTT_V11_OFFSET, MEDIA_FORCE_CACHE_LINE,
	    BTT_DURABLE_WRITE },
	{ BTT_LAYOUT_V20, 0, MEDIA_FORCE_CACHE_LINE, BTT_DURABLE_FLUSH },
	{ BTT_LAYOUT_POOL, BTT_POOL_OFFSET, MEDIA_FORCE_PAGE,
	    BTT_DURABLE_FLUSH },
};
#define NVARIANT ((int)(sizeof(variants) / sizeof(variants[0])))

static char path[256]; /* one for all tests, each makes it anew */
static unsigned variant;
static struct fixture fixture;
static struct btt_error error;
static char reported[256]; /* "name:arena" of each finding */

static uint64_t
arena_off(uint32_t index)
{
	return variants[variant].start + index * BTT_ARENA_MAX_BYTES;
}

static struct media *
open_media(bool read_only)
{
	return media_must_open_sparse(path, variants[variant].force, read_only);
}

static void
make(uint64_t rest)
{
	const struct btt_create_options options = {
		.layout = variants[variant].layout,
		.sector_bytes = SECTOR,
		.nfree = NPAIR,
		.uuid = { 1 },
		.parent_uuid = { 2 },
		.pool_part_uuid = { 3 },
		.medium_is_zero = true,
	};
	struct media *media;
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_msg(ftruncate(fd, (off_t)(arena_off(3) + rest)) == 0,
	    "%s: %s", path, strerror(errno));
	ck_assert_int_eq(close(fd), 0);
	media = open_media(false);
	ck_assert_msg(
	    btt_create(media, &options, &error) == 0, "%s", error.text);
	media_close(media);
}

static void
set_up(void)
{
	ck_assert_int_eq(media_install_sigbus(), 0);
	ck_assert_int_eq(btt_worker_pool_new(1, &fixture.pool), 0);
	variant = 0;
}

static void
tear_down(void)
{
	btt_worker_pool_free(fixture.pool);
}

static void
note(void *arg, const struct btt_finding *finding)
{
	size_t used = strlen(reported);

	(void)arg;
	snprintf(reported + used, sizeof(reported) - used, "%s%s:%u",
	    used > 0 ? " " : "", finding->name, finding->arena);
}

static int
try_open(bool read_only)
{
	const struct btt_open_options options = {
		.read_only = read_only,
		.durability = variants[variant].durability,
		.nlane = 4,
		.report = note,
	};
	int r;

	reported[0] = '\0';
	fixture.media = open_media(read_only);
	r = btt_open(
	    fixture.media, fixture.pool, &options, &fixture.btt, &error);
	if (r < 0)
		media_close(fixture.media);
	else
		btt_get_geometry(fixture.btt, &fixture.geometry);
	return r;
}

static void
open_well(bool read_only)
{
	int r = try_open(read_only);

	ck_assert_msg(r == 0, "%d: %s", r, error.text);
}

static void
close_well(void)
{
	ck_assert_int_eq(btt_close(fixture.btt), 0);
}

static void
assert_clean(void)
{
	struct media *media = open_media(true);

	fixture_check(media);
	media_close(media);
}

/* The numbers of each arena, and the first sector of it. */
static struct btt_info infos[NARENA];
static uint64_t first_sector[NARENA + 1];

static void
learn(uint32_t narena)
{
	struct media *media = open_media(true);
	struct btt_probe probe;

	ck_assert_msg(btt_probe(media, &probe, &error) == 0, "%s", error.text);
	ck_assert_uint_eq(probe.narena, narena);
	for (uint32_t i = 0; i < narena; i++) {
		ck_assert_uint_eq(probe.arena[i].off, arena_off(i));
		infos[i] = probe.arena[i].info;
		ck_assert_uint_eq(
		    infos[i].nextoff, i + 1 < narena ? BTT_ARENA_MAX_BYTES : 0);
		first_sector[i + 1] = first_sector[i] + infos[i].external_nlba;
	}
	btt_probe_fini(&probe);
	media_close(media);
}

START_TEST(create__divides_a_medium_among_arenas)
{
	variant = (unsigned)_i;
	/* a fourth one, if it has room for its free blocks and one sector */
	make(REST_ARENA);
	learn(4);
	ck_assert_uint_eq(infos[0].external_nlba, infos[2].external_nlba);
	ck_assert_uint_lt(infos[3].external_nlba, 640);
	open_well(false);
	ck_assert_uint_eq(fixture.geometry.nsector, first_sector[4]);
	close_well();
	assert_clean();
	make(16 * MIB - 1);
	learn(3);
	assert_clean();
	make(0);
	learn(3);
}
END_TEST

/* Everything within so many bytes of a border is written and compared. */
#define AROUND (24 * (uint64_t)SECTOR)
#define NOPERATION 150u

static uint64_t
random_below(uint64_t *state, uint64_t n)
{
	*state = *state * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (*state >> 33) % n;
}

/* The same without a copy: each sector that has a block names it meanwhile. */
static void
look_around(struct btt_worker *worker, uint64_t off, size_t len,
    const uint8_t *expected)
{
	static struct iovec iov[BTT_READ_IOV];
	uint64_t sector = off / SECTOR;
	uint64_t nsector = (off + len - 1) / SECTOR - sector + 1;
	uint64_t name;
	int niov = 0;

	ck_assert_int_eq(
	    btt_read_begin(fixture.btt, worker, off, len, iov, &niov), 0);
	ck_assert_uint_eq(atomic_load(&worker->slot->nname), nsector);
	for (uint64_t i = 0; i < nsector; i++) {
		name = atomic_load(&worker->slot->name[i]);
		if (name != RTT_NOTHING)
			ck_assert_uint_eq(name >> 32,
			    btt_arena_of(fixture.btt, sector + i)->number);
	}
	for (int i = 0; i < niov; i++) {
		ck_assert_mem_eq(iov[i].iov_base, expected, iov[i].iov_len);
		expected += iov[i].iov_len;
		len -= iov[i].iov_len;
	}
	ck_assert_uint_eq(len, 0);
	btt_read_end(fixture.btt, worker);
	ck_assert_uint_eq(atomic_load(&worker->slot->nname), 0);
}

static void
operate_around(uint64_t border, uint8_t *shadow, uint8_t *bytes)
{
	struct btt_worker *worker = fixture_worker(&fixture, 0);
	uint64_t start = border - AROUND;
	uint64_t state = border;

	for (unsigned i = 0; i < NOPERATION; i++) {
		uint64_t off = random_below(&state, 2 * AROUND);
		uint64_t len = random_below(&state, 2 * AROUND - off) + 1;

		if (i % 3 == 0) { /* over the border */
			off = AROUND - 1 - random_below(&state, SECTOR);
			len = AROUND - off + 1 + random_below(&state, SECTOR);
		}
		switch (random_below(&state, 4)) {
		case 0:
			ck_assert_int_eq(
			    btt_zero(fixture.btt, worker, start + off, len), 0);
			memset(shadow + off, 0, len);
			break;
		case 1:
			ck_assert_int_eq(btt_read(fixture.btt, worker,
					     start + off, len, bytes),
			    0);
			ck_assert_mem_eq(bytes, shadow + off, len);
			look_around(worker, start + off, len, shadow + off);
			break;
		default:
			memset(bytes, (int)(i + 1), len);
			ck_assert_int_eq(btt_write(fixture.btt, worker,
					     start + off, len, bytes),
			    0);
			memcpy(shadow + off, bytes, len);
			break;
		}
	}
}

START_TEST(operations__over_the_borders_of_arenas_equal_a_shadow_copy)
{
	uint8_t *shadow[NARENA - 1];
	uint8_t *bytes = malloc(2 * AROUND);
	struct btt_worker *worker;

	variant = (unsigned)_i;
	make(REST_ARENA);
	learn(NARENA);
	open_well(false);
	worker = fixture_worker(&fixture, 0);
	ck_assert_ptr_nonnull(bytes);
	for (uint32_t i = 0; i < NARENA - 1; i++) {
		shadow[i] = calloc(1, 2 * AROUND);
		ck_assert_ptr_nonnull(shadow[i]);
		operate_around(first_sector[i + 1] * SECTOR, shadow[i], bytes);
	}
	ck_assert_int_eq(btt_flush(fixture.btt, worker), 0);
	close_well();
	assert_clean();
	open_well(true);
	for (uint32_t i = 0; i < NARENA - 1; i++) {
		ck_assert_int_eq(btt_read(fixture.btt, worker,
				     first_sector[i + 1] * SECTOR - AROUND,
				     2 * AROUND, bytes),
		    0);
		ck_assert_mem_eq(bytes, shadow[i], 2 * AROUND);
		free(shadow[i]);
	}
	/* nothing beyond the last one */
	ck_assert_int_eq(btt_read(fixture.btt, worker,
			     first_sector[NARENA] * SECTOR - 1, 2, bytes),
	    -ERANGE);
	close_well();
	free(bytes);
}
END_TEST

static void
put(uint64_t off, const void *src, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, src, len, (off_t)off), (ssize_t)len);
	ck_assert_int_eq(close(fd), 0);
}

static void
put_zeroes(uint64_t off, size_t len)
{
	void *zeroes = calloc(1, len);

	ck_assert_ptr_nonnull(zeroes);
	put(off, zeroes, len);
	free(zeroes);
}

static uint32_t
map_word(uint32_t arena, uint32_t premap)
{
	struct media *media = open_media(true);
	uint32_t word;

	word = media_load32(
	    media, arena_off(arena) + infos[arena].mapoff + premap * 4);
	media_close(media);
	return word;
}

/* Pair 9 of an arena has moved sector premap, but for the map. */
static void
interrupt(uint32_t arena, uint32_t premap)
{
	const struct btt_info *info = &infos[arena];
	uint32_t free_block = info->external_nlba + 9;
	uint32_t flags =
	    variants[variant].layout == BTT_LAYOUT_POOL ? MAP_NORMAL : 0;
	uint32_t version[2] = { arena + 1, premap };
	const struct flog_media half = {
		.lba = le32_encode(premap),
		.old_map = le32_encode(flags | premap),
		.new_map = le32_encode(flags | free_block),
		.seq = le32_encode(2),
	};

	put(arena_off(arena) + info->logoff + 9 * FLOG_GROUP_BYTES +
		sizeof(half),
	    &half, sizeof(half));
	put(arena_off(arena) + info->dataoff +
		(uint64_t)free_block * info->internal_lbasize,
	    version, sizeof(version));
}

/* Arena of the interrupted write that the sector shows, or 0. */
static uint32_t
shows(uint32_t arena, uint32_t premap)
{
	uint32_t version[2];

	ck_assert_int_eq(btt_read(fixture.btt, fixture_worker(&fixture, 0),
			     (first_sector[arena] + premap) * SECTOR,
			     sizeof(version), version),
	    0);
	ck_assert(version[0] == 0 || version[1] == premap);
	return version[0];
}

START_TEST(open__recovers_each_arena_by_itself)
{
	variant = (unsigned)_i;
	make(REST_ARENA);
	learn(NARENA);
	for (uint32_t i = 0; i < NARENA; i++)
		interrupt(i, 30 + i);
	open_well(true);
	ck_assert_uint_eq(fixture.geometry.nrecovered, NARENA);
	for (uint32_t i = 0; i < NARENA; i++)
		ck_assert_uint_eq(shows(i, 30 + i), i + 1);
	close_well();
	for (uint32_t i = 0; i < NARENA; i++)
		ck_assert_uint_eq(map_word(i, 30 + i), 0);
	open_well(false);
	for (uint32_t i = 0; i < NARENA; i++)
		ck_assert_uint_eq(shows(i, 30 + i), i + 1);
	close_well();
	for (uint32_t i = 0; i < NARENA; i++)
		ck_assert_uint_eq(map_word(i, 30 + i),
		    MAP_NORMAL | (infos[i].external_nlba + 9));
	assert_clean();
}
END_TEST

/* All arenas are looked at before the first one is written to (I9). */
START_TEST(open__of_a_damaged_later_arena_writes_nothing)
{
	const uint32_t bad = (uint32_t)_i;
	char text[32];

	make(REST_ARENA);
	learn(NARENA);
	interrupt(0, 30);
	interrupt(3, 31);
	/* one pair has no entry at all */
	put_zeroes(arena_off(bad) + infos[bad].logoff + 5 * FLOG_GROUP_BYTES,
	    FLOG_GROUP_BYTES);
	ck_assert_int_eq(try_open(false), -EUCLEAN);
	snprintf(text, sizeof(text), "arena %u: ", bad);
	ck_assert_msg(strstr(error.text, text) != NULL, "%s", error.text);
	ck_assert_uint_eq(map_word(0, 30), 0);
	ck_assert_uint_eq(map_word(3, 31), 0);
	/* to read, only that arena's recovery is missing */
	open_well(true);
	snprintf(text, sizeof(text), "log-layout:%u", bad);
	ck_assert_str_eq(reported, text);
	ck_assert_uint_eq(shows(0, 30), bad == 0 ? 0 : 1);
	ck_assert_uint_eq(shows(3, 31), bad == 3 ? 0 : 4);
	close_well();
	ck_assert_uint_eq(map_word(0, 30), 0);
}
END_TEST

/*
 * A block twice, in the map of a later arena: the last, since the maps of whole
 * ones are too large to be looked through.
 */
START_TEST(open__looks_for_owners_in_every_arena)
{
	const struct le32 word = le32_encode(MAP_NORMAL | 8);
	const unsigned last = NARENA - 1;
	char text[64];

	make(REST_ARENA);
	learn(NARENA);
	interrupt(0, 30);
	put(arena_off(last) + infos[last].mapoff + 7 * 4, &word, sizeof(word));
	ck_assert_int_eq(try_open(false), -EUCLEAN);
	snprintf(text, sizeof(text), "arena %u: block 8 of sector 8", last);
	ck_assert_msg(strstr(error.text, text) != NULL, "%s", error.text);
	ck_assert_uint_eq(map_word(0, 30), 0);
	open_well(true);
	ck_assert_uint_eq(shows(0, 30), 1);
	close_well();
}
END_TEST

START_TEST(open__of_a_lost_later_arena)
{
	struct btt_info other;
	uint8_t block[BTT_INFO_BYTES];

	variant = (unsigned)_i;
	make(REST_ARENA);
	learn(NARENA);
	/* by its backup */
	put_zeroes(arena_off(2), BTT_INFO_BYTES);
	open_well(false);
	ck_assert_str_eq(reported, "info:2");
	close_well();
	/* not at all */
	put_zeroes(arena_off(2) + infos[2].info2off, BTT_INFO_BYTES);
	ck_assert_int_eq(try_open(false), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(error.text, "arena 2: "));
	ck_assert_int_eq(try_open(true), -EUCLEAN);
	/* that of another BTT */
	other = infos[2];
	other.uuid[15] = 0x77;
	btt_info_encode(&other, block);
	put(arena_off(2), block, sizeof(block));
	ck_assert_int_eq(try_open(true), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(error.text, "uuid"));
	/* its own, with an error flag: then all of it is read-only */
	other = infos[2];
	other.flags = BTT_FLAG_ERROR;
	btt_info_encode(&other, block);
	put(arena_off(2), block, sizeof(block));
	put(arena_off(2) + other.info2off, block, sizeof(block));
	interrupt(1, 40);
	open_well(false);
	ck_assert_str_eq(reported, "error-flag:2");
	ck_assert(fixture.geometry.read_only);
	ck_assert_uint_eq(shows(1, 40), 2);
	close_well();
	ck_assert_uint_eq(map_word(1, 40), 0);
}
END_TEST

/* Never written sectors of a pool are holes, over all arenas. */
START_TEST(seek__goes_over_the_borders)
{
	struct btt_worker *worker;
	uint64_t off = 0;
	uint64_t last;

	variant = 2;
	make(REST_ARENA);
	learn(NARENA);
	open_well(false);
	worker = fixture_worker(&fixture, 0);
	last = first_sector[3] * SECTOR + SECTOR;
	ck_assert_int_eq(btt_write(fixture.btt, worker, last, 1, "x"), 0);
	ck_assert_int_eq(btt_seek_data(fixture.btt, worker,
			     first_sector[1] * SECTOR - 1, &off),
	    0);
	ck_assert_uint_eq(off, last);
	ck_assert_int_eq(btt_seek_hole(fixture.btt, worker, last, &off), 0);
	ck_assert_uint_eq(off, last + SECTOR);
	close_well();
}
END_TEST

static Suite *
arenas_suite(void)
{
	Suite *suite = suite_create("arenas");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(
	    tc, create__divides_a_medium_among_arenas, 0, NVARIANT);
	tcase_add_loop_test(tc,
	    operations__over_the_borders_of_arenas_equal_a_shadow_copy, 0,
	    NVARIANT);
	tcase_add_loop_test(
	    tc, open__recovers_each_arena_by_itself, 0, NVARIANT);
	tcase_add_loop_test(
	    tc, open__of_a_damaged_later_arena_writes_nothing, 0, (int)NARENA);
	tcase_add_test(tc, open__looks_for_owners_in_every_arena);
	tcase_add_loop_test(tc, open__of_a_lost_later_arena, 0, NVARIANT);
	tcase_add_test(tc, seek__goes_over_the_borders);
	suite_add_tcase(suite, tc);
	return suite;
}

/* A file of so many arenas, where the file system knows such. */
static bool
can_be_huge(void)
{
	bool can;
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	can = fd >= 0 &&
	    ftruncate(fd, (off_t)(NARENA * BTT_ARENA_MAX_BYTES)) == 0;
	if (fd >= 0)
		(void)close(fd);
	return can;
}

int
main(void)
{
	bool can;
	int status;

	snprintf(
	    path, sizeof(path), SCRATCH "/check_arenas.%ld", (long)getpid());
	can = can_be_huge();
	status = can ? check_main(arenas_suite()) : 0;
	/* Of a test that failed, too. */
	(void)unlink(path);
	if (!can)
		check_skip("no files of 2 TiB in " SCRATCH);
	return status;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pmempool -- PMDK's checker agrees with ours: what is clean to us is
 * consistent to libpmempool, which knows raw v1.1 BTTs besides its pools, and
 * what is damaged to us is not.
 *
 * The library is found at run time, so that the build needs nothing of it; the
 * prototypes are its public ones.  It is asked to repair, since version 1.12.1
 * crashes when it is only to check a raw BTT: that it has changed nothing is
 * seen afterwards.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <btt/btt.h>

#include "layout.h"
#include "support/check_main.h"
#include "support/media_open.h"

enum {
	POOL_TYPE_BTT = 4,
	CHECK_REPAIR = 1u << 0,
	CHECK_ALWAYS_YES = 1u << 3,
	CHECK_FORMAT_STR = 1u << 5,
	RESULT_CONSISTENT = 0,
};

struct check_args {
	const char *path;
	const char *backup_path;
	int pool_type;
	unsigned flags;
};

struct check_status {
	int type;
	struct {
		const char *msg;
		const char *answer;
	} str;
};

static void *(*check_init)(struct check_args *args, size_t args_size);
static struct check_status *(*check_step)(void *check);
static int (*check_end)(void *check);

static bool
find(void *library, const char *name, void *ret_fn)
{
	void *symbol = dlsym(library, name);

	/* dlsym's way of returning functions, without a cast C forbids. */
	*(void **)ret_fn = symbol;
	return symbol != NULL;
}

static bool
find_library(void)
{
	void *library = dlopen("libpmempool.so.1", RTLD_NOW | RTLD_LOCAL);

	return library != NULL &&
	    find(library, "pmempool_check_init", (void *)&check_init) &&
	    find(library, "pmempool_check", (void *)&check_step) &&
	    find(library, "pmempool_check_end", (void *)&check_end);
}

static char path[4096];

static void
set_up(void)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	snprintf(path, sizeof(path), "%s/bttfs-pmempool.XXXXXX",
	    dir != NULL ? dir : "/tmp");
	ck_assert_int_ge(fd = mkstemp(path), 0);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(media_install_sigbus(), 0);
}

static void
tear_down(void)
{
	ck_assert_int_eq(unlink(path), 0);
}

/* What is made. */
static const struct {
	uint64_t bytes;
	uint32_t nfree;
} sizes[] = {
	{ (UINT64_C(16) << 20) + 4096, 256 }, /* the least */
	{ (UINT64_C(16) << 20) + 8192 + 4096 + 17, 256 },
	{ UINT64_C(33) << 20, 300 },
	{ (UINT64_C(50) << 20) + 12288, 4096 },
};
static const uint32_t sectors[] = { 512, 520, 528, 1024, 2048, 4096, 4104, 4160,
	4224, 8192, 16384, 32768 };
#define NSIZE ((int)(sizeof(sizes) / sizeof(sizes[0])))
#define NSECTOR ((int)(sizeof(sectors) / sizeof(sectors[0])))

static struct media *
open_media(bool read_only)
{
	return media_must_open_sparse(path, MEDIA_FORCE_BYTE, read_only);
}

/* Make a BTT; false if it does not fit. */
static bool
make(uint64_t size, uint32_t sector, uint32_t nfree)
{
	const struct btt_create_options options = {
		.layout = BTT_LAYOUT_V11,
		.sector_bytes = sector,
		.nfree = nfree,
		.uuid = { 1, 2, 3 },
		.medium_is_zero = true,
	};
	struct btt_error error = { "" };
	struct media *media;

	if (btt_create_nsector(size, &options, NULL) == 0)
		return false;
	ck_assert_int_eq(truncate(path, 0), 0);
	ck_assert_int_eq(truncate(path, (off_t)size), 0);
	media = open_media(false);
	ck_assert_msg(
	    btt_create(media, &options, &error) == 0, "%s", error.text);
	media_close(media);
	return true;
}

static uint32_t
next_random(uint32_t *state)
{
	*state = *state * 1103515245u + 12345u;
	return *state >> 16;
}

/* Write here and there in all of it, zero some of it, write again. */
static void
write_some(unsigned nwrite)
{
	static const uint8_t bytes[65536] = { 0xb7, 0x77 };
	struct btt_open_options options = { .nlane = 0 };
	struct btt_error error = { "" };
	struct btt_geometry_info geometry;
	struct btt_worker_pool *pool;
	struct btt_worker *worker;
	uint32_t state = 1;
	struct btt *btt;

	ck_assert_int_eq(btt_worker_pool_new(1, &pool), 0);
	worker = btt_worker_pool_get(pool, 0);
	ck_assert_msg(
	    btt_open(open_media(false), pool, &options, &btt, &error) == 0,
	    "%s", error.text);
	btt_get_geometry(btt, &geometry);
	for (unsigned i = 0; i < nwrite; i++) {
		uint64_t lba =
		    ((uint64_t)next_random(&state) << 32 |
			next_random(&state) << 16 | next_random(&state)) %
		    geometry.nsector;
		uint64_t off = lba * geometry.sector_bytes;

		/* Some of them again and again. */
		if (i % 3 == 0)
			off = i % 5 * geometry.sector_bytes;
		if (i % 7 == 6)
			ck_assert_int_eq(
			    btt_zero(btt, worker, off, geometry.sector_bytes),
			    0);
		else
			ck_assert_int_eq(btt_write(btt, worker, off,
					     geometry.sector_bytes, bytes),
			    0);
	}
	ck_assert_int_eq(btt_close(btt), 0);
	btt_worker_pool_free(pool);
}

static bool
is_clean_to_us(void)
{
	const struct btt_check_options options = { .report = NULL };
	struct btt_check_result result = { 0 };
	struct btt_error error = { "" };
	struct media *media = open_media(true);
	int r;

	r = btt_check(media, &options, &result, &error);
	media_close(media);
	ck_assert_msg(r == 0 || r == -EUCLEAN, "%s", error.text);
	return r == 0 && result.ndamage == 0;
}

/* Keeps the last thing that the library has said. */
static char said[512];

static bool
is_consistent_to_pmempool(void)
{
	struct check_args args = {
		.path = path,
		.pool_type = POOL_TYPE_BTT,
		.flags = CHECK_REPAIR | CHECK_ALWAYS_YES | CHECK_FORMAT_STR,
	};
	const struct check_status *status;
	void *check;

	said[0] = '\0';
	ck_assert_ptr_nonnull(check = check_init(&args, sizeof(args)));
	while ((status = check_step(check)) != NULL)
		snprintf(said, sizeof(said), "%s", status->str.msg);
	return check_end(check) == RESULT_CONSISTENT;
}

/* A sum over all of the file, holes apart. */
static uint64_t
sum_of_file(void)
{
	static uint8_t block[1 << 20];
	uint64_t sum = 14695981039346656037u;
	off_t off = 0;
	ssize_t n;
	int fd;

	ck_assert_int_ge(fd = open(path, O_RDONLY | O_CLOEXEC), 0);
	while ((off = lseek(fd, off, SEEK_DATA)) >= 0 &&
	    (n = pread(fd, block, sizeof(block), off)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			sum = block[i] == 0
			    ? sum
			    : (sum ^ block[i] ^ (uint64_t)(off + i)) *
				1099511628211u;
		off += n;
	}
	ck_assert_int_eq(close(fd), 0);
	return sum;
}

static void
must_agree(uint64_t size, uint32_t sector, uint32_t nfree, const char *what)
{
	uint64_t sum = sum_of_file();

	ck_assert_msg(is_clean_to_us(), "%s: %llu bytes, sectors of %u: we",
	    what, (unsigned long long)size, sector);
	ck_assert_msg(is_consistent_to_pmempool(),
	    "%s: %llu bytes, sectors of %u, nfree %u: %s", what,
	    (unsigned long long)size, sector, nfree, said);
	ck_assert_msg(sum_of_file() == sum,
	    "%s: %llu bytes, sectors of %u: it was changed", what,
	    (unsigned long long)size, sector);
}

START_TEST(pmempool__agrees_on_fresh_and_written_images)
{
	uint64_t size = sizes[_i].bytes;
	uint32_t nfree = sizes[_i].nfree;
	int nmade = 0;

	for (int i = 0; i < NSECTOR; i++) {
		if (!make(size, sectors[i], nfree))
			continue;
		nmade++;
		must_agree(size, sectors[i], nfree, "fresh");
		write_some(1000);
		must_agree(size, sectors[i], nfree, "written");
	}
	ck_assert_int_gt(nmade, 8);
}
END_TEST

#ifndef BTTFS_TSAN /* which cannot map that much */
/* Two arenas and three, in a file of holes. */
START_TEST(pmempool__agrees_on_several_arenas)
{
	uint64_t size =
	    ((uint64_t)(_i + 1) * BTT_ARENA_MAX_BYTES) + (UINT64_C(20) << 20);

	ck_assert(make(size, 16384, 256));
	must_agree(size, 16384, 256, "fresh");
	write_some(2000);
	must_agree(size, 16384, 256, "written");
}
END_TEST
#endif

/* Where an entry of the only arena lies. */
static off_t
place(uint64_t part, uint64_t off)
{
	return (off_t)(BTT_V11_OFFSET + part + off);
}

static void
store(off_t off, uint32_t value)
{
	struct le32 word = le32_encode(value);
	int fd;

	ck_assert_int_ge(fd = open(path, O_WRONLY | O_CLOEXEC), 0);
	ck_assert_int_eq(pwrite(fd, &word, sizeof(word), off), sizeof(word));
	ck_assert_int_eq(close(fd), 0);
}

/* The test of the test: neither of them passes everything. */
START_TEST(pmempool__agrees_on_damage)
{
	struct btt_info info = { 0 };
	uint8_t block[BTT_INFO_BYTES];
	int fd;

	ck_assert(make(UINT64_C(33) << 20, 4096, 256));
	write_some(1000);
	ck_assert_int_ge(fd = open(path, O_RDONLY | O_CLOEXEC), 0);
	ck_assert_int_eq(
	    pread(fd, block, sizeof(block), BTT_V11_OFFSET), sizeof(block));
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(btt_info_decode(block, &info), BTT_INFO_VALID);
	switch (_i) {
	case 0: /* two sectors with one block */
		store(place(info.mapoff, 4 * 4), MAP_NORMAL | 1);
		store(place(info.mapoff, 4 * 5), MAP_NORMAL | 1);
		break;
	case 1: /* a block out of range */
		store(
		    place(info.mapoff, 4 * 6), MAP_NORMAL | info.internal_nlba);
		break;
	case 2: /* sequence numbers */
		store(place(info.logoff, 64 * 3 + 12), 7);
		break;
	case 3: /* the info block */
		store(place(0, 60), info.external_nlba + 1);
		break;
	case 4: /* its copy */
		store(place(info.info2off, 60), info.external_nlba + 1);
		break;
	}
	ck_assert(!is_clean_to_us());
	ck_assert(!is_consistent_to_pmempool());
}
END_TEST

int
main(void)
{
	Suite *suite;
	TCase *tcase;

	if (!find_library())
		check_skip("libpmempool.so.1 is missing");
	/* Not on a disk that is only a file: read when it is loaded. */
	(void)setenv("PMEM_IS_PMEM_FORCE", "1", 1);
	suite = suite_create("pmempool");
	tcase = tcase_create("clean");
	tcase_set_timeout(tcase, 100);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(
	    tcase, pmempool__agrees_on_fresh_and_written_images, 0, NSIZE);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("arenas");
	tcase_set_timeout(tcase, 100);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
#ifndef BTTFS_TSAN
	tcase_add_test(tcase, pmempool__agrees_on_several_arenas);
#endif
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("damaged");
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(tcase, pmempool__agrees_on_damage, 0, 5);
	suite_add_tcase(suite, tcase);
	return check_main(suite);
}

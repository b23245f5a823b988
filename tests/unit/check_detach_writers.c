/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * detach_writers -- T-B6: a device is detached under the hands of writers, by
 * force.  Every write is wholly there or was refused: what each writer was told
 * is what it finds when the device is back, and the BTT is clean.
 */
#include <pthread.h>

#include <btt/check.h>

#include "support/check_locks.h"
#include "support/check_main.h"
#include "support/engine_fixture.h"
#include "support/manager_fixture.h"

#define NWRITER 8u
#define NHOG 2u
#define NSECTOR 16u /* of each writer */
#define NROUND 25u

static struct rig rig;

struct writer {
	unsigned index;
	uint64_t nodeid;
	uint64_t version[NSECTOR]; /* that was acknowledged last */
	unsigned nwrite;           /* in this round */
	char failure[120];         /* "" if there was none */
};
static struct writer writers[NWRITER];

static uint64_t
lba_of(const struct writer *writer, unsigned k)
{
	return writer->index * NSECTOR + k;
}

/* False when the device lets nobody in any more. */
static bool
write_one(struct writer *writer, unsigned k, uint8_t *buf)
{
	struct tree *tree = rig.manager->tree;
	struct btt_worker *worker =
	    btt_worker_pool_get(rig.manager->pool, writer->index);
	struct device *device;
	int r;

	sector_fill(buf, RIG_SECTOR, lba_of(writer, k), writer->version[k] + 1);
	device = tree_enter(tree, writer->index, writer->nodeid, "WRITE");
	if (device == NULL)
		return false;
	r = btt_write(device->btt, worker, lba_of(writer, k) * RIG_SECTOR,
	    RIG_SECTOR, buf);
	tree_leave(tree, writer->index);
	if (r < 0) {
		snprintf(writer->failure, sizeof(writer->failure),
		    "sector %u of writer %u: %d from a device that is open", k,
		    writer->index, r);
		return false;
	}
	writer->version[k]++;
	writer->nwrite++;
	return true;
}

static void *
run_writer(void *arg)
{
	struct writer *writer = arg;
	uint32_t state = 0x9e3779b9u * (writer->index + 1) + writer->nwrite;
	_Alignas(uint64_t) uint8_t buf[RIG_SECTOR];

	writer->nwrite = 0;
	while (write_one(writer, thread_random(&state) % NSECTOR, buf))
		;
	return NULL;
}

static void *
run_hog(void *arg)
{
	_Atomic bool *stop = arg;

	while (!atomic_load(stop))
		;
	return NULL;
}

static void
find_all(struct device *device)
{
	struct btt_worker *worker = btt_worker_pool_get(rig.manager->pool, 0);
	_Alignas(uint64_t) uint8_t buf[RIG_SECTOR];

	for (unsigned i = 0; i < NWRITER; i++) {
		for (unsigned k = 0; k < NSECTOR; k++) {
			uint64_t lba = lba_of(&writers[i], k);
			int64_t found;

			ck_assert_int_eq(btt_read(device->btt, worker,
					     lba * RIG_SECTOR, RIG_SECTOR, buf),
			    0);
			found = sector_version(buf, RIG_SECTOR, lba);
			ck_assert_msg(found == (int64_t)writers[i].version[k],
			    "sector %u of writer %u: version %lld where %llu "
			    "was acknowledged last",
			    k, i, (long long)found,
			    (unsigned long long)writers[i].version[k]);
		}
	}
}

static void
check_clean(void)
{
	const struct media_options options = {
		.read_only = true,
		.allow_sparse = true,
	};
	const struct btt_check_options check = { .nthread = 1 };
	struct btt_check_result result;
	struct btt_error error = { "" };
	char path[RIG_PATH_BYTES];
	struct media *media;

	rig_path(&rig, "vol", path);
	ck_assert_int_eq(media_open(path, &options, &media, &error), 0);
	ck_assert_int_eq(btt_check(media, &check, &result, &error), 0);
	ck_assert_uint_eq(result.ndamage, 0);
	media_close(media);
}

/* Attach, let them write for a moment, and take it away. */
static void
run_round(unsigned round, enum btt_durability durability)
{
	struct device_options options;
	char path[RIG_PATH_BYTES];
	pthread_t threads[NWRITER];
	struct device *device;

	rig_options(&rig, "vol", path, &options);
	options.durability = durability;
	ck_assert_int_eq(rig_attach_with(&rig, &options).error, 0);
	device = registry_find(rig.manager->registry, "vol");
	ck_assert(device_pin(device));
	find_all(device);
	device_unpin(device);
	device_unref(device);
	for (unsigned i = 0; i < NWRITER; i++) {
		writers[i].nodeid = rig_status(&rig, "vol").nodeid;
		threads[i] = thread_start(run_writer, &writers[i]);
	}
	(void)usleep(1000 * (round % 10));
	ck_assert_int_eq(rig_detach(&rig, "vol", true).error, 0);
	for (unsigned i = 0; i < NWRITER; i++)
		thread_end(threads[i]);
	for (unsigned i = 0; i < NWRITER; i++)
		ck_assert_str_eq(writers[i].failure, "");
	check_clean();
}

START_TEST(tb6__a_write_is_there_or_was_refused)
{
	_Atomic bool stop = false;
	pthread_t hogs[NHOG];
	unsigned nwrite = 0;

	rig_image(&rig, "vol");
	for (unsigned i = 0; i < NWRITER; i++)
		writers[i] = (struct writer){ .index = i };
	for (unsigned i = 0; i < NHOG; i++)
		hogs[i] = thread_start(run_hog, &stop);
	for (unsigned round = 0; round < NROUND; round++) {
		run_round(
		    round, _i == 0 ? BTT_DURABLE_WRITE : BTT_DURABLE_FLUSH);
		for (unsigned i = 0; i < NWRITER; i++)
			nwrite += writers[i].nwrite;
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < NHOG; i++)
		thread_end(hogs[i]);
	ck_assert_uint_gt(nwrite, NROUND);
}
END_TEST

static void
setup(void)
{
	rig_setup(&rig, NWRITER);
}

static void
teardown(void)
{
	rig_teardown(&rig);
}

int
main(void)
{
	Suite *suite;
	TCase *tcase;

	suite = suite_create("detach_writers");
	tcase = tcase_create("tb6");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 110);
	tcase_add_loop_test(tcase, tb6__a_write_is_there_or_was_refused, 0, 2);
	suite_add_tcase(suite, tcase);
	return check_main(suite);
}

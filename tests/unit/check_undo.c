/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * undo -- what a repair has overwritten comes back byte for byte, wherever the
 * repair was cut short and the undoing, too; and nothing is put back into what
 * is not that image any more.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/check_main.h"
#include "support/repair_fixture.h"
#include "undo_impl.h"

#include "layout.h"

static int fd = -1;
static uint8_t *damaged; /* the image before the repair */

/* A bit of everything that a repair mends. */
static void
undo_set_up(void)
{
	struct btt_info flagged;

	set_up();
	write_sector(1, 40);
	image_put_map(fake, &info, 5, NORMAL(NBLOCK));
	image_put_map(fake, &info, 9, NORMAL(12));
	image_put_log(fake, &info, 6, 0, LOG_ENTRY(6, 100, 100, 9));
	image_put_log(fake, &info, 7, 1, LOG_ENTRY(100, 100, NSECTOR + 7, 2));
	flagged = info;
	flagged.flags = BTT_FLAG_ERROR;
	image_put_info(fake, BTT_V11_OFFSET, &flagged);
	damaged = malloc(IMAGE_BYTES);
	ck_assert_ptr_nonnull(damaged);
	memcpy(damaged, fake->bytes, IMAGE_BYTES);
	fd = memfd_create("undo", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
}

static void
undo_tear_down(void)
{
	(void)close(fd);
	free(damaged);
	tear_down();
}

static const struct btt_repair_options everything = {
	.allow_data_loss = true,
	.clear_error_flag = true,
	.rewrite_log = true,
};

/* The undo file, and the plan that it is of. */
static struct btt_repair *
save(void)
{
	struct btt_repair *plan = plan_of(&fake->media, &everything);
	struct btt_error error = { "" };

	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert_int_eq(btt_undo_write(plan, &fake->media, fd, &error), 0);
	return plan;
}

static int
undo(bool force, uint32_t *ret_nwrite, struct btt_error *error)
{
	struct btt_undo *read;
	int r;

	ck_assert_int_eq(btt_undo_read(fd, &read, error), 0);
	r = btt_undo_apply(read, &fake->media, force, ret_nwrite, error);
	btt_undo_free(read);
	return r;
}

static void
assert_undone(uint32_t nwrite)
{
	struct btt_error error = { "" };
	uint32_t found = 0;
	int r = undo(false, &found, &error);

	ck_assert_msg(r == 0, "undo: %d %s", r, error.text);
	if (nwrite != UINT32_MAX)
		ck_assert_uint_eq(found, nwrite);
	ck_assert_int_eq(memcmp(fake->bytes, damaged, IMAGE_BYTES), 0);
}

START_TEST(undo__restores_every_byte)
{
	struct btt_repair *plan = save();
	struct btt_repair_summary summary;

	btt_repair_get_summary(plan, &summary);
	ck_assert_int_eq(btt_repair_apply(plan, &fake->media, NULL), 0);
	btt_repair_free(plan);
	ck_assert_int_eq(findings_of(fake, &findings), 0);
	ck_assert_uint_eq(findings.result.ndamage, 0);
	assert_undone(UINT32_MAX);
	/* again: there is nothing left to do */
	fake_forget(fake);
	assert_undone(0);
	ck_assert_uint_eq(fake->nop, 0);
}
END_TEST

START_TEST(undo__knows_what_it_is_of)
{
	struct btt_repair *plan = save();
	struct btt_repair_summary planned;
	struct btt_undo_summary summary;
	struct btt_undo *read;

	ck_assert_int_eq(btt_undo_read(fd, &read, NULL), 0);
	btt_undo_get_summary(read, &summary);
	btt_repair_get_summary(plan, &planned);
	ck_assert_uint_eq(summary.media_bytes, IMAGE_BYTES);
	ck_assert_mem_eq(summary.uuid, info.uuid, sizeof(summary.uuid));
	ck_assert_uint_eq(summary.nwrite, planned.nwrite);
	ck_assert_uint_gt(summary.created, UINT64_C(1600000000));
	btt_undo_free(read);
	btt_undo_free(NULL);
	btt_repair_free(plan);
}
END_TEST

/* The repair, then the undoing, cut short anywhere. */
START_TEST(undo__works_from_every_point_of_a_repair)
{
	struct btt_repair *plan = save();
	struct btt_error error;
	uint32_t nwrite;
	unsigned at = 1;

	fake_forget(fake);
	for (fake->fail_op = at; btt_repair_apply(plan, &fake->media, NULL) < 0;
	     fake->fail_op = at += 3) {
		fake_forget(fake);
		fake->fail_op = at / 2 + 1;
		if (undo(false, &nwrite, &error) < 0)
			fake_forget(fake);
		assert_undone(UINT32_MAX);
		fake_forget(fake);
	}
	ck_assert_uint_gt(at, 60);
	btt_repair_free(plan);
}
END_TEST

/* A copy of an info block may be on the medium in part. */
START_TEST(undo__accepts_torn_info_blocks)
{
	struct btt_repair *plan = save();
	uint8_t torn[BTT_INFO_BYTES];

	ck_assert_int_eq(btt_repair_apply(plan, &fake->media, NULL), 0);
	btt_repair_free(plan);
	memcpy(torn, fake->bytes + backup_off(), sizeof(torn));
	memcpy(torn, damaged + backup_off(), 512);
	memcpy(fake->bytes + backup_off(), torn, sizeof(torn));
	assert_undone(UINT32_MAX);
}
END_TEST

static void
assert_stale(const char *text)
{
	uint8_t *before = malloc(IMAGE_BYTES);
	struct btt_error error = { "" };
	uint32_t nwrite = 0;

	memcpy(before, fake->bytes, IMAGE_BYTES);
	ck_assert_int_eq(undo(false, &nwrite, &error), -ESTALE);
	ck_assert_msg(strstr(error.text, text) != NULL, "no '%s' in '%s'", text,
	    error.text);
	ck_assert_int_eq(memcmp(fake->bytes, before, IMAGE_BYTES), 0);
	free(before);
}

START_TEST(undo__refuses_what_was_used_since)
{
	struct btt_repair *plan = save();
	struct btt_error error;
	uint32_t nwrite;
	uint8_t *repaired = malloc(IMAGE_BYTES);

	ck_assert_int_eq(btt_repair_apply(plan, &fake->media, NULL), 0);
	btt_repair_free(plan);
	memcpy(repaired, fake->bytes, IMAGE_BYTES);
	/* a sector was written, by a pair that the repair did not touch */
	image_put_log(fake, &info, 200, 1, LOG_ENTRY(7, 7, NSECTOR + 200, 2));
	assert_stale("written since");
	memcpy(fake->bytes, repaired, IMAGE_BYTES);
	/* and by one that it did */
	image_put_log(fake, &info, 6, 1, LOG_ENTRY(7, 7, NSECTOR + 6, 2));
	assert_stale("since the repair");
	memcpy(fake->bytes, repaired, IMAGE_BYTES);
	image_put_map(fake, &info, 5, NORMAL(5));
	assert_stale("changed since");
	/* a BTT that was made since */
	fake->bytes[BTT_V11_OFFSET + 16] ^= 1;
	fake->bytes[backup_off() + 16] ^= 1;
	assert_stale("uuid");
	fake->media.size -= 4096;
	assert_stale("bytes");
	ck_assert_int_eq(undo(true, &nwrite, &error), -ESTALE);
	fake->media.size += 4096;
	/* whoever knows better */
	memcpy(fake->bytes, repaired, IMAGE_BYTES);
	image_put_map(fake, &info, 5, NORMAL(5));
	ck_assert_int_eq(undo(true, &nwrite, &error), 0);
	ck_assert_int_eq(memcmp(fake->bytes, damaged, IMAGE_BYTES), 0);
	fake->media.read_only = true;
	ck_assert_int_eq(undo(true, &nwrite, &error), -EROFS);
	free(repaired);
}
END_TEST

/* The file itself. */

static int
read_only_fails(void)
{
	struct btt_error error = { "" };
	struct btt_undo *read = NULL;
	int r = btt_undo_read(fd, &read, &error);

	if (r == 0)
		btt_undo_free(read);
	else if (error.text[0] == '\0')
		ck_abort_msg("%d without a reason", r);
	return r;
}

START_TEST(read__refuses_every_flipped_byte_and_every_length)
{
	off_t size;
	uint8_t byte;

	btt_repair_free(save());
	size = lseek(fd, 0, SEEK_END);
	ck_assert_int_gt(size, 10000);
	for (off_t at = 0; at < size; at += at < 1000 ? 1 : 37) {
		ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
		byte ^= 0x10;
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
		ck_assert_int_lt(read_only_fails(), 0);
		byte ^= 0x10;
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	}
	ck_assert_int_eq(read_only_fails(), 0);
	ck_assert_int_eq(ftruncate(fd, size + 1), 0);
	ck_assert_int_eq(read_only_fails(), -EUCLEAN);
	for (off_t length = size - 1; length >= 0;
	     length -= length > 500 ? 97 : 1) {
		ck_assert_int_eq(ftruncate(fd, length), 0);
		ck_assert_int_eq(
		    read_only_fails(), length < 128 ? -EMEDIUMTYPE : -EUCLEAN);
	}
}
END_TEST

/* As somebody would make one who knows how the sums are computed. */
static void
seal(uint8_t *file, size_t bytes)
{
	struct undo_header_media header;

	memcpy(&header, file, sizeof(header));
	header.body_bytes = le64_encode(bytes - UNDO_HEADER_BYTES);
	header.body_sum = le64_encode(layout_checksum(
	    file + UNDO_HEADER_BYTES, bytes - UNDO_HEADER_BYTES, bytes));
	header.sum = le64_encode(layout_checksum((const uint8_t *)&header,
	    sizeof(header), offsetof(struct undo_header_media, sum)));
	memcpy(file, &header, sizeof(header));
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert_int_eq(pwrite(fd, file, bytes, 0), (ssize_t)bytes);
}

START_TEST(read__refuses_another_version)
{
	uint8_t file[UNDO_HEADER_BYTES];

	btt_repair_free(save());
	ck_assert_int_eq(
	    pread(fd, file, sizeof(file), 0), (ssize_t)sizeof(file));
	file[16] = 2;
	seal(file, sizeof(file));
	ck_assert_int_eq(read_only_fails(), -ENOTSUP);
}
END_TEST

/* Whatever the numbers are, nothing beyond the medium is touched (with ASan). */
START_TEST(apply__of_a_hostile_file_stays_on_the_medium)
{
	static const uint64_t numbers[] = { 0, 1, 4, 8, 4096, IMAGE_BYTES - 4,
		IMAGE_BYTES, UINT32_MAX, UINT64_MAX, UINT64_MAX - 4095,
		UINT64_C(1) << 63, 0x40000 };
	uint64_t random = (uint64_t)_i + 1;
	size_t size;
	uint8_t *file;
	unsigned ntaken = 0;

	btt_repair_free(save());
	size = (size_t)lseek(fd, 0, SEEK_END);
	file = malloc(size);
	for (unsigned n = 0; n < 300; n++) {
		struct btt_error error = { "" };
		struct btt_undo *read;
		uint32_t nwrite;
		size_t at = 0;

		ck_assert_int_eq(ftruncate(fd, 0), 0);
		memcpy(fake->bytes, damaged, IMAGE_BYTES);
		btt_repair_free(save());
		ck_assert_int_eq(pread(fd, file, size, 0), (ssize_t)size);
		for (unsigned i = 0; i < 1 + n % 3; i++) {
			random = random * UINT64_C(6364136223846793005) +
			    UINT64_C(1442695040888963407);
			/* the head, or a record near the beginning or end */
			at = random >> 60 < 4 ? 24 + (random >> 40) % 88
			    : random >> 60 < 10
			    ? 128 + (random >> 40) % 256
			    : size - 24 - (random >> 40) % 64;
			memcpy(file + at / 4 * 4, &numbers[(random >> 20) % 12],
			    4 + n % 2 * 4);
		}
		seal(file, size);
		if (btt_undo_read(fd, &read, &error) < 0)
			continue;
		ntaken++;
		(void)!btt_undo_apply(
		    read, &fake->media, n % 2 == 0, &nwrite, &error);
		btt_undo_free(read);
		fake_forget(fake);
	}
	ck_assert_uint_gt(ntaken, 10);
	free(file);
}
END_TEST

static Suite *
undo_suite(void)
{
	Suite *suite = suite_create("undo");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, undo_set_up, undo_tear_down);
	tcase_add_test(tc, undo__restores_every_byte);
	tcase_add_test(tc, undo__knows_what_it_is_of);
	tcase_add_test(tc, undo__works_from_every_point_of_a_repair);
	tcase_add_test(tc, undo__accepts_torn_info_blocks);
	tcase_add_test(tc, undo__refuses_what_was_used_since);
	tcase_add_test(tc, read__refuses_every_flipped_byte_and_every_length);
	tcase_add_test(tc, read__refuses_another_version);
	tcase_add_loop_test(
	    tc, apply__of_a_hostile_file_stays_on_the_medium, 0, 3);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(undo_suite());
}

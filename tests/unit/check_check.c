/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check -- every damage is found, by its name and in its place, and nothing
 * that is legal is called damage: info blocks, arenas, the medium.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "flog.h"
#include "support/check_main.h"
#include "support/damage_fixture.h"

START_TEST(check__of_a_fresh_image_has_no_findings)
{
	ck_assert_check("", 0);
	ck_assert_uint_eq(findings.result.nsector, NSECTOR);
	ck_assert_uint_eq(findings.result.ninitial, NSECTOR);
	ck_assert_uint_eq(findings.result.nnormal, 0);
	ck_assert_uint_eq(findings.result.nnote, 0);
	ck_assert_uint_eq(findings.done, NSECTOR * 4 + 256 * 64);
	ck_assert_uint_eq(findings.done, findings.total);
}
END_TEST

START_TEST(check__of_a_written_image_has_no_findings)
{
	for (uint32_t i = 0; i < 256; i++)
		write_sector(i, 10 * i);
	ck_assert_check("", 0);
	ck_assert_uint_eq(findings.result.nnormal, 256);
	ck_assert_uint_eq(findings.result.ninitial, NSECTOR - 256);
}
END_TEST

/* Nobody has to listen. */
START_TEST(check__counts_without_a_listener)
{
	const struct btt_check_options options = { 0 };
	struct btt_check_result result;

	image_put_map(fake, &info, 1, NORMAL(NBLOCK));
	ck_assert_int_eq(btt_check(&fake->media, &options, &result, NULL), 0);
	ck_assert_uint_eq(result.ndamage, 2);
}
END_TEST

/* Info blocks. */

START_TEST(info__bad_primary_is_damage_that_can_be_repaired)
{
	fake->bytes[BTT_V11_OFFSET + 2000] = 1;
	ck_assert_check("info", 1);
	assert_at("info", BTT_NO_ENTRY, BTT_V11_OFFSET, "wrong checksum");
	ck_assert_uint_eq(findings.result.nrepairable, 1);
	ck_assert_uint_eq(findings.result.nsector, NSECTOR);
	memset(fake->bytes + BTT_V11_OFFSET, 0, BTT_INFO_BYTES);
	ck_assert_check("info", 1);
	assert_at("info", BTT_NO_ENTRY, BTT_V11_OFFSET, "no info block");
}
END_TEST

START_TEST(info2__bad_backup_is_damage_that_can_be_repaired)
{
	fake->bytes[backup_off() + 2000] = 1;
	ck_assert_check("info2", 1);
	assert_at("info2", BTT_NO_ENTRY, backup_off(), "wrong checksum");
	memset(fake->bytes + backup_off(), 0, BTT_INFO_BYTES);
	ck_assert_check("info2", 1);
	assert_at("info2", BTT_NO_ENTRY, backup_off(), "no info block");
	ck_assert_uint_eq(findings.result.nrepairable, 1);
}
END_TEST

/* The usual info block with something in its padding. */
static void
put_junk(uint64_t off, size_t at)
{
	uint8_t *block = fake->bytes + off;
	struct le64 sum;

	btt_info_encode(&info, block);
	memcpy(block + at, "junk", 4);
	sum = le64_encode(btt_info_checksum(block));
	memcpy(
	    block + offsetof(struct info_media, checksum), &sum, sizeof(sum));
}

START_TEST(info2__names_what_differs)
{
	struct btt_info other = info;

	other.uuid[0] ^= 1;
	other.nfree = 7;
	image_put_info(fake, backup_off(), &other);
	ck_assert_check("info2", 1);
	assert_at("info2", BTT_NO_ENTRY, backup_off(), "uuid, nfree");
	ck_assert_uint_eq(findings.result.nrepairable, 1);
	/* what has no name */
	put_junk(backup_off(), 1000);
	ck_assert_check("info2", 1);
	assert_at("info2", BTT_NO_ENTRY, backup_off(), "unused bytes");
}
END_TEST

/* A crash between the two copies of the flag: not to be missed. */
START_TEST(error_flag__is_found_in_either_copy)
{
	struct btt_info flagged = info;

	flagged.flags = BTT_FLAG_ERROR;
	image_put_info(fake, backup_off(), &flagged);
	ck_assert_check("info2 error-flag", 2);
	image_put_info(fake, BTT_V11_OFFSET, &flagged);
	ck_assert_check("error-flag", 1);
	assert_at("error-flag", BTT_NO_ENTRY, BTT_V11_OFFSET, "flag");
	image_put_info(fake, backup_off(), &info);
	ck_assert_check("error-flag info2", 2);
}
END_TEST

/* Numbers without sense: all of them, and nothing behind them is touched. */
START_TEST(info_geometry__lists_every_contradiction)
{
	struct btt_info bad = info;

	bad.infosize = 1;
	bad.internal_nlba++;
	bad.internal_lbasize = 1;
	bad.mapoff++;
	bad.logoff = UINT64_MAX;
	image_put_both(fake, backup_off(), &bad);
	/* mapoff, logoff, and info2off below logoff */
	ck_assert_check("info-geometry", 6);
	ck_assert_uint_eq(findings.result.nsector, 0);
	ck_assert_uint_eq(findings.result.nrepairable, 0);
}
END_TEST

START_TEST(info_geometry__of_another_formula_is_a_note)
{
	struct btt_info odd = info;

	odd.external_lbasize = 512;
	image_put_both(fake, backup_off(), &odd);
	ck_assert_check("info-geometry", 0);
	assert_at(
	    "info-geometry", BTT_NO_ENTRY, BTT_V11_OFFSET, "internal_lbasize");
	ck_assert_uint_eq(findings.result.nnote, 1);
	ck_assert_uint_eq(findings.result.nsector, NSECTOR);
}
END_TEST

/* More free blocks than the formula has blocks, and room for one sector. */
START_TEST(info_geometry__beyond_the_formula_is_a_note)
{
	struct btt_info tight = { .major = 1, .minor = 1 };

	tight.external_lbasize = 4096;
	tight.internal_lbasize = 4096;
	tight.infosize = 4096;
	tight.nfree = 4026;
	tight.external_nlba = 1;
	tight.internal_nlba = 4027;
	tight.dataoff = 4096;
	tight.info2off = BTT_ARENA_MIN_BYTES - 4096;
	tight.logoff = tight.info2off - 63 * 4096;
	tight.mapoff = tight.logoff - 4096;
	ck_assert_int_eq(btt_geometry(BTT_ARENA_MIN_BYTES, 4096, 4026, 64,
			     &(struct btt_info){ 0 }),
	    -ENOSPC);
	memset(fake->bytes, 0, IMAGE_BYTES);
	image_put_info(fake, BTT_V11_OFFSET, &tight);
	image_put_info(fake, BTT_V11_OFFSET + tight.info2off, &tight);
	for (uint32_t i = 0; i < tight.nfree; i++)
		image_put_log(
		    fake, &tight, i, 0, LOG_ENTRY(0, 1 + i, 1 + i, 1));
	ck_assert_check("info-geometry", 0);
	assert_at("info-geometry", BTT_NO_ENTRY, BTT_V11_OFFSET,
	    "formula has it: internal_nlba");
}
END_TEST

/* libpmemblk's alignment is as good as the kernel's. */
START_TEST(info_geometry__of_a_pool_is_as_it_should_be)
{
	struct btt_info pool = info;

	ck_assert_int_eq(
	    btt_geometry(BTT_ARENA_MIN_BYTES, 520, 256, 256, &pool), 0);
	ck_assert_uint_eq(pool.internal_lbasize, 768);
	memset(fake->bytes, 0, IMAGE_BYTES);
	image_put_info(fake, BTT_V11_OFFSET, &pool);
	image_put_info(fake, BTT_V11_OFFSET + pool.info2off, &pool);
	for (uint32_t i = 0; i < 256; i++)
		image_put_log(fake, &pool, i, 0,
		    LOG_ENTRY(
			i, pool.external_nlba + i, pool.external_nlba + i, 1));
	ck_assert_check("", 0);
}
END_TEST

START_TEST(info_reserved__is_a_note)
{
	struct btt_info odd = info;

	put_junk(BTT_V11_OFFSET, 1000);
	put_junk(backup_off(), 1000);
	ck_assert_check("info-reserved", 0);
	assert_at(
	    "info-reserved", BTT_NO_ENTRY, BTT_V11_OFFSET + 1000, "byte 1000");
	odd.flags = 0x80;
	image_put_both(fake, backup_off(), &odd);
	ck_assert_check("info-reserved", 0);
	assert_at("info-reserved", BTT_NO_ENTRY, BTT_V11_OFFSET, "0x80");
}
END_TEST

START_TEST(nfree__below_the_kernels_is_a_note)
{
	struct btt_info few = info;

	few.nfree = 255;
	few.external_nlba++;
	image_put_both(fake, backup_off(), &few);
	/* the first pair was that of block 3829, which is a sector now */
	for (uint32_t i = 0; i < 255; i++)
		image_put_log(fake, &info, i, 0,
		    LOG_ENTRY(i, NSECTOR + 1 + i, NSECTOR + 1 + i, 1));
	ck_assert_check("nfree", 0);
	assert_at("nfree", BTT_NO_ENTRY, BTT_V11_OFFSET, "255");
}
END_TEST

/* What is left is checked as far as it goes. */
START_TEST(short__is_found_and_the_rest_is_checked)
{
	image_put_map(fake, &info, 5, NORMAL(NBLOCK));
	fake->media.size = IMAGE_BYTES - 4096;
	ck_assert_check("short map-range bitmap", 3);
	assert_at("short", BTT_NO_ENTRY, IMAGE_BYTES - 4096, "16777216");
	fake->media.size = IMAGE_BYTES - 8192;
	ck_assert_check("short map-range", 2);
	fake->media.size = BTT_V11_OFFSET + info.mapoff + 4 * NSECTOR;
	ck_assert_check("short map-range", 2);
	fake->media.size--;
	ck_assert_check("short", 1);
	fake->media.size = BTT_V11_OFFSET + BTT_INFO_BYTES;
	ck_assert_check("short", 1);
	ck_assert_uint_eq(findings.result.nsector, NSECTOR);
	fake->media.size = IMAGE_BYTES;
}
END_TEST

START_TEST(tail__is_a_note)
{
	struct media_fake *longer = fake_new(IMAGE_BYTES + 131072);

	memcpy(longer->bytes, fake->bytes, IMAGE_BYTES);
	media_close(&fake->media);
	fake = longer;
	ck_assert_check("tail", 0);
	assert_at("tail", BTT_NO_ENTRY, IMAGE_BYTES, "131072 bytes");
	strcpy((char *)fake->bytes + IMAGE_BYTES, "NAMESPACE_INDEX");
	ck_assert_check("tail", 0);
	assert_at("tail", BTT_NO_ENTRY, IMAGE_BYTES, "label area");
	/* less than a page is lost to rounding */
	fake->media.size = IMAGE_BYTES + 4095;
	ck_assert_check("", 0);
	fake->media.size = IMAGE_BYTES + 131072;
}
END_TEST

/* The page in front of a v1.1 BTT may hold what another program looks for. */
START_TEST(info_stale__is_a_note)
{
	struct btt_info older = info;

	older.major = 2;
	older.minor = 0;
	image_put_info(fake, 0, &older);
	ck_assert_check("info-stale", 0);
	assert_at("info-stale", BTT_NO_ENTRY, 0, "version 2.0");
	/* a damaged one is nothing that anybody takes for a BTT */
	fake->bytes[4000] ^= 1;
	ck_assert_check("", 0);
}
END_TEST

/* Known bad bytes: damage in metadata, a note on a block. */
START_TEST(bad_range__is_placed)
{
	struct media *ram;
	int r;

	ck_assert_int_eq(media_ram_new(IMAGE_BYTES, MEDIA_CACHE_LINE, &ram), 0);
	for (uint64_t at = 0; at < IMAGE_BYTES; at += 1 << 20) {
		uint64_t len =
		    IMAGE_BYTES - at < 1 << 20 ? IMAGE_BYTES - at : 1 << 20;

		ck_assert_int_eq(media_copy(ram, at, fake->bytes + at, len), 0);
	}
	ck_assert_int_eq(media_add_bad(ram, block_off(7) + 512, 512), 0);
	/* two blocks, and what is between data and map */
	ck_assert_int_eq(media_add_bad(ram, block_off(9) - 512, 1024), 0);
	ck_assert_int_eq(
	    media_add_bad(ram, BTT_V11_OFFSET + info.mapoff - 512, 1024), 0);
	ck_assert_int_eq(media_add_bad(ram, backup_off(), 512), 0);
	ck_assert_int_eq(media_add_bad(ram, 0, 512), 0);
	r = findings_of_medium(ram, 1, &findings);
	ck_assert_int_eq(r, 0);
	ck_assert_findings(&findings, "bad-range", 2);
	ck_assert_uint_eq(findings.n, 5);
	assert_at("bad-range", BTT_NO_ENTRY, block_off(7) + 512, "block 7");
	ck_assert_ptr_nonnull(strstr(findings.finding[1].text, "block 8"));
	ck_assert_ptr_nonnull(strstr(findings.finding[2].text, "block 9"));
	ck_assert_uint_eq(findings.finding[2].off, block_off(9));
	ck_assert_uint_eq(
	    findings.finding[3].off, BTT_V11_OFFSET + info.mapoff);
	ck_assert_uint_eq(findings.finding[4].off, backup_off());
	ck_assert_int_eq(findings.finding[4].severity, BTT_DAMAGE);
	media_close(ram);
}
END_TEST

/* The primary cannot be read: the backup tells what lies there. */
START_TEST(bad_range__over_an_info_block_and_the_first_block)
{
	struct media *ram;

	ck_assert_int_eq(media_ram_new(IMAGE_BYTES, MEDIA_CACHE_LINE, &ram), 0);
	for (uint64_t at = 0; at < IMAGE_BYTES; at += 4096)
		ck_assert_int_eq(
		    media_copy(ram, at, fake->bytes + at, 4096), 0);
	ck_assert_int_eq(media_add_bad(ram, block_off(0) - 512, 1024), 0);
	ck_assert_int_eq(findings_of_medium(ram, 1, &findings), 0);
	ck_assert_uint_eq(findings.n, 3);
	ck_assert_str_eq(findings.finding[0].name, "bad-range");
	ck_assert_uint_eq(findings.finding[0].off, block_off(0) - 512);
	ck_assert_int_eq(findings.finding[0].severity, BTT_DAMAGE);
	ck_assert_ptr_nonnull(strstr(findings.finding[0].text, "512 bytes of"));
	ck_assert_uint_eq(findings.finding[1].off, block_off(0));
	ck_assert_ptr_nonnull(strstr(findings.finding[1].text, "of block 0"));
	ck_assert_str_eq(findings.finding[2].name, "info");
	ck_assert_ptr_nonnull(strstr(findings.finding[2].text, "unreadable"));
	media_close(ram);
}
END_TEST

/* There was a BTT, and nothing of it can be found any more. */
START_TEST(info__both_copies_lost_is_a_finding)
{
	fake->bytes[BTT_V11_OFFSET + 4095] ^= 1;
	fake->bytes[backup_off() + 4095] ^= 1;
	ck_assert_check("info", 1);
	assert_at("info", BTT_NO_ENTRY, BTT_V11_OFFSET, "checksum");
	ck_assert_uint_eq(findings.result.nrepairable, 0);
	ck_assert_uint_eq(findings.result.nsector, 0);
}
END_TEST

/* What is no BTT, or not ours to judge, is an error and no finding. */
START_TEST(check__without_a_btt_fails_as_probe_does)
{
	struct btt_info other = info;

	other.minor = 9;
	image_put_both(fake, backup_off(), &other);
	ck_assert_int_eq(findings_of(fake, &findings), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(findings.error.text, "version"));
	memset(fake->bytes, 0, IMAGE_BYTES);
	ck_assert_int_eq(findings_of(fake, &findings), -EMEDIUMTYPE);
	ck_assert_uint_eq(findings.n, 0);
}
END_TEST

/* Several arenas. */

static struct media_fake *
two_arenas(void)
{
	struct media_fake *two = image_new(
	    BTT_ARENA_MAX_BYTES + (UINT64_C(64) << 20), BTT_LAYOUT_V20, 65536);

	return two;
}

START_TEST(check__goes_through_all_arenas)
{
	const uint64_t second = BTT_ARENA_MAX_BYTES;
	struct le32 entry = le32_encode(NORMAL(MAP_BLOCK_MASK));
	struct btt_info other;

	media_close(&fake->media);
	fake = two_arenas();
	ck_assert_check("", 0);
	ck_assert_int_eq(btt_info_decode(fake->bytes, &info), BTT_INFO_VALID);
	ck_assert_int_eq(
	    btt_info_decode(fake->bytes + second, &other), BTT_INFO_VALID);
	ck_assert_uint_eq(findings.result.nsector,
	    (uint64_t)info.external_nlba + other.external_nlba);
	memcpy(fake->bytes + info.mapoff + 8, &entry, sizeof(entry));
	memcpy(fake->bytes + second + other.mapoff + 12, &entry, sizeof(entry));
	ck_assert_check("map-range bitmap map-range bitmap", 4);
	ck_assert_uint_eq(findings.finding[0].arena, 0);
	ck_assert_uint_eq(findings.finding[0].entry, 2);
	ck_assert_uint_eq(findings.finding[2].arena, 1);
	ck_assert_uint_eq(findings.finding[2].entry, 3);
	ck_assert_uint_eq(findings.finding[2].off, second + other.mapoff + 12);
}
END_TEST

/* A whole arena behind the last one is more than rounding. */
START_TEST(tail__of_a_lost_arena_is_a_note)
{
	media_close(&fake->media);
	fake = two_arenas();
	ck_assert_int_eq(btt_info_decode(fake->bytes, &info), BTT_INFO_VALID);
	info.nextoff = 0;
	image_put_info(fake, 0, &info);
	image_put_info(fake, info.info2off, &info);
	ck_assert_check("tail", 0);
	assert_at("tail", BTT_NO_ENTRY, BTT_ARENA_MAX_BYTES, "67108864 bytes");
}
END_TEST

/* The arenas in front of the damage are checked all the same. */
START_TEST(info__lost_later_arena_is_a_finding)
{
	const uint64_t second = BTT_ARENA_MAX_BYTES;
	struct btt_info other;

	media_close(&fake->media);
	fake = two_arenas();
	ck_assert_int_eq(btt_info_decode(fake->bytes, &info), BTT_INFO_VALID);
	ck_assert_int_eq(
	    btt_info_decode(fake->bytes + second, &other), BTT_INFO_VALID);
	memset(fake->bytes + second, 0, BTT_INFO_BYTES);
	ck_assert_check("info", 1);
	ck_assert_uint_eq(findings.finding[0].arena, 1);
	ck_assert_uint_eq(findings.result.nrepairable, 1);
	memset(fake->bytes + second + other.info2off, 0, BTT_INFO_BYTES);
	ck_assert_check("info", 1);
	ck_assert_uint_eq(findings.finding[0].arena, 1);
	ck_assert_uint_eq(findings.finding[0].off, second);
	ck_assert_uint_eq(findings.result.nrepairable, 0);
	ck_assert_uint_eq(findings.result.nsector, info.external_nlba);
	/* Linux asks every arena for its parent */
	info.parent_uuid[0] = 1;
	image_put_info(fake, 0, &info);
	image_put_info(fake, info.info2off, &info);
	other.parent_uuid[0] = 2;
	image_put_info(fake, second, &other);
	image_put_info(fake, second + other.info2off, &other);
	ck_assert_check("info-parent", 0);
	ck_assert_uint_eq(findings.finding[0].off, second + 32);
	memset(other.parent_uuid, 0, sizeof(other.parent_uuid));
	/* an arena of another BTT */
	other.uuid[3] ^= 1;
	image_put_info(fake, second, &other);
	image_put_info(fake, second + other.info2off, &other);
	ck_assert_check("info-mismatch", 1);
	ck_assert_ptr_nonnull(strstr(findings.finding[0].text, "uuid"));
}
END_TEST

/* Legal, but others look for the second arena where it is not. */
START_TEST(info_geometry__of_a_short_first_arena_is_a_note)
{
	const uint64_t length = BTT_ARENA_MIN_BYTES;
	struct btt_info next;

	media_close(&fake->media);
	fake = fake_new(2 * length);
	for (unsigned i = 0; i < 2; i++) {
		memset(&next, 0, sizeof(next));
		ck_assert_int_eq(btt_geometry(length, 4096, 256, 64, &next), 0);
		next.major = 2;
		next.nextoff = i == 0 ? length : 0;
		image_put_info(fake, i * length, &next);
		image_put_info(fake, i * length + next.info2off, &next);
		for (uint32_t pair = 0; pair < 256; pair++) {
			struct flog_entry entry = flog_initial(
			    pair, next.external_nlba, BTT_LAYOUT_V20);

			flog_encode(&entry,
			    (struct flog_media *)(void *)(fake->bytes +
				i * length + next.logoff + 64ull * pair));
		}
	}
	ck_assert_check("info-geometry", 0);
	assert_at("info-geometry", BTT_NO_ENTRY, 0, "nextoff");
	ck_assert_uint_eq(findings.n, 1);
	ck_assert_uint_eq(findings.result.nsector, 2 * NSECTOR);
}
END_TEST

/* Faults. */

START_TEST(check__of_a_medium_that_fails_is_eio)
{
	const uint8_t *bytes = fake->bytes;
	int fd = memfd_create("check", MFD_CLOEXEC);
	/* info blocks, then also the log, then also the map but its last page */
	const uint64_t present[] = { 3 * 4096, BTT_V11_OFFSET + info.mapoff };

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(media_install_sigbus(), 0);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(ftruncate(fd, (off_t)IMAGE_BYTES), 0);
		ck_assert_int_eq(
		    pwrite(fd, bytes, IMAGE_BYTES, 0), (ssize_t)IMAGE_BYTES);
		ck_assert_int_eq(ftruncate(fd, (off_t)present[i]), 0);
		fake->media.base =
		    mmap(NULL, IMAGE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
		ck_assert_ptr_ne(fake->media.base, MAP_FAILED);
		ck_assert_int_eq(findings_of(fake, &findings), -EIO);
		ck_assert_uint_gt(strlen(findings.error.text), 0);
	}
	(void)close(fd);
	fake->media.base = bytes;
}
END_TEST

static Suite *
check_suite(void)
{
	Suite *suite = suite_create("check");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, check__of_a_fresh_image_has_no_findings);
	tcase_add_test(tc, check__of_a_written_image_has_no_findings);
	tcase_add_test(tc, check__counts_without_a_listener);
	tcase_add_test(tc, info__bad_primary_is_damage_that_can_be_repaired);
	tcase_add_test(tc, info2__bad_backup_is_damage_that_can_be_repaired);
	tcase_add_test(tc, info2__names_what_differs);
	tcase_add_test(tc, error_flag__is_found_in_either_copy);
	tcase_add_test(tc, info_geometry__lists_every_contradiction);
	tcase_add_test(tc, info_geometry__of_another_formula_is_a_note);
	tcase_add_test(tc, info_geometry__beyond_the_formula_is_a_note);
	tcase_add_test(tc, info_geometry__of_a_pool_is_as_it_should_be);
	tcase_add_test(tc, info_reserved__is_a_note);
	tcase_add_test(tc, nfree__below_the_kernels_is_a_note);
	tcase_add_test(tc, short__is_found_and_the_rest_is_checked);
	tcase_add_test(tc, tail__is_a_note);
	tcase_add_test(tc, info__both_copies_lost_is_a_finding);
	tcase_add_test(tc, info_stale__is_a_note);
	tcase_add_test(tc, bad_range__is_placed);
	tcase_add_test(tc, bad_range__over_an_info_block_and_the_first_block);
	tcase_add_test(tc, check__without_a_btt_fails_as_probe_does);
	tcase_add_test(tc, check__goes_through_all_arenas);
	tcase_add_test(tc, tail__of_a_lost_arena_is_a_note);
	tcase_add_test(tc, info__lost_later_arena_is_a_finding);
	tcase_add_test(tc, info_geometry__of_a_short_first_arena_is_a_note);
	tcase_add_test(tc, check__of_a_medium_that_fails_is_eio);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return check_main(check_suite());
}

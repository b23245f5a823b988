/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media -- the operations of media.h on every implementation that does not
 * need special hardware.  Each test runs for every kind (loop index).
 */
#include <pthread.h>

#include "support/check_main.h"
#include "support/media_fixture.h"

/* Ranges that begin and end in all sorts of places. */
static const struct {
	uint64_t off;
	size_t len;
} ranges[] = {
	{ 0, 1 },
	{ 3, 4 },
	{ 63, 2 },
	{ 100, 512 },
	{ 4095, 2 },
	{ 5000, 4096 },
	{ 8191, 8193 },
	{ 20000, 0 },
	{ 32768, 65536 },
	{ 100001, 300007 }, /* more than one call of pwritev takes */
	{ MEDIUM_BYTES - 1, 1 },
	{ MEDIUM_BYTES, 0 },
};
#define NRANGE (sizeof(ranges) / sizeof(ranges[0]))

START_TEST(media_copy__changes_just_its_range_and_survives_reopening)
{
	struct media *media = kind_new(_i);
	uint8_t *expected = calloc(1, MEDIUM_BYTES);
	uint8_t *src = pattern_new(MEDIUM_BYTES, 7);

	ck_assert_ptr_nonnull(expected);
	for (size_t i = 0; i < NRANGE; i++) {
		ck_assert_int_eq(
		    media_copy(media, ranges[i].off, src + i, ranges[i].len),
		    0);
		memcpy(expected + ranges[i].off, src + i, ranges[i].len);
		ck_assert_int_eq(
		    memcmp(media_at(media, 0), expected, MEDIUM_BYTES), 0);
	}
	ck_assert_int_eq(media_fence(media), 0);
	if (_i != KIND_RAM) {
		media_close(media);
		media = kind_open(_i, true);
		ck_assert_int_eq(
		    memcmp(media_at(media, 0), expected, MEDIUM_BYTES), 0);
	}
	media_close(media);
	free(src);
	free(expected);
}
END_TEST

START_TEST(media_zero__zeroes_just_its_range)
{
	struct media *media = kind_new(_i);
	uint8_t *expected = pattern_new(MEDIUM_BYTES, 1);

	fill(media);
	for (size_t i = 0; i < NRANGE; i++) {
		ck_assert_int_eq(
		    media_zero(media, ranges[i].off, ranges[i].len), 0);
		memset(expected + ranges[i].off, 0, ranges[i].len);
		ck_assert_int_eq(
		    memcmp(media_at(media, 0), expected, MEDIUM_BYTES), 0);
	}
	ck_assert_int_eq(media_fence(media), 0);
	media_close(media);
	free(expected);
}
END_TEST

START_TEST(media_store__changes_just_its_word)
{
	struct media *media = kind_new(_i);
	uint8_t *expected = pattern_new(MEDIUM_BYTES, 1);
	const struct le32 word = le32_encode(0x89abcdef);
	const struct le64 pair = le64_encode(UINT64_C(0x0123456789abcdef));

	fill(media);
	for (uint64_t off = 0; off <= 4096; off += 4) {
		ck_assert_int_eq(media_store32(media, off * 3, word), 0);
		memcpy(expected + off * 3, &word, sizeof(word));
		ck_assert_uint_eq(media_load32(media, off * 3), 0x89abcdef);
	}
	for (uint64_t off = 65536; off <= 65536 + 256; off += 8) {
		ck_assert_int_eq(media_store64(media, off, pair), 0);
		memcpy(expected + off, &pair, sizeof(pair));
	}
	ck_assert_int_eq(media_flush(media, 0, 65536 + 256), 0);
	ck_assert_int_eq(media_fence(media), 0);
	ck_assert_int_eq(memcmp(media_at(media, 0), expected, MEDIUM_BYTES), 0);
	media_close(media);
	free(expected);
}
END_TEST

/* The last word of a file that is no multiple of 8 bytes has no neighbour. */
START_TEST(media_store32__reaches_the_end_of_an_odd_size)
{
	const uint64_t size = MEDIUM_BYTES - 4092;
	struct media *media = kind_new_sized(_i, size);

	ck_assert_int_eq(
	    media_store32(media, size - 4, le32_encode(0x89abcdef)), 0);
	ck_assert_int_eq(media_flush(media, size - 4, 4), 0);
	ck_assert_int_eq(media_fence(media), 0);
	media_close(media);
	media = kind_open(_i, true);
	ck_assert_uint_eq(media->size, size);
	ck_assert_uint_eq(media_load32(media, size - 4), 0x89abcdef);
	media_close(media);
}
END_TEST

/* Few: where threads share a processor each takes a turn of both. */
#define NCHANGE 20u
#define WORD_OFF (3 * PAGE_BYTES + 4)

struct exchange {
	struct media *media;
	_Atomic bool enough; /* the reader has seen what it wants */
};

/* Store all-ones and all-zeroes in turn. */
static void *
store_words(void *arg)
{
	struct exchange *exchange = arg;

	for (uint32_t word = UINT32_MAX; !exchange->enough; word = ~word) {
		if (media_store32(
			exchange->media, WORD_OFF, le32_encode(word)) < 0)
			return NULL;
	}
	return arg;
}

START_TEST(media_store32__is_seen_whole_by_another_thread)
{
	struct exchange exchange = { .media = kind_new(_i) };
	uint32_t word, last = 0;
	unsigned nchange = 0;
	pthread_t writer;
	void *done;

	ck_assert_int_eq(
	    pthread_create(&writer, NULL, store_words, &exchange), 0);
	while (nchange < NCHANGE) {
		word = media_load32(exchange.media, WORD_OFF);
		ck_assert_msg(
		    word == 0 || word == UINT32_MAX, "torn: %08x", word);
		nchange += word != last;
		last = word;
	}
	exchange.enough = true;
	ck_assert_int_eq(pthread_join(writer, &done), 0);
	ck_assert_ptr_eq(done, &exchange);
	media_close(exchange.media);
}
END_TEST

START_TEST(media_options__read_only_refuses_every_change)
{
	struct media *media = kind_new(_i);
	const uint8_t byte = 0xff;

	fill(media);
	ck_assert_int_eq(media_fence(media), 0);
	media_close(media);
	media = kind_open(_i, true);
	ck_assert(media->read_only);
	ck_assert_int_eq(media_copy(media, 0, &byte, 1), -EROFS);
	ck_assert_int_eq(media_zero(media, 1, 1), -EROFS);
	ck_assert_int_eq(media_store32(media, 4, le32_encode(9)), -EROFS);
	ck_assert_int_eq(media_store64(media, 8, le64_encode(9)), -EROFS);
	for (uint64_t i = 0; i < 16; i++)
		ck_assert_uint_eq(media->base[i], pattern_at(i, 1));
	media_close(media);
}
END_TEST

START_TEST(media_identity__is_that_of_the_file)
{
	struct media *media = kind_new(_i);
	struct media_identity id;
	struct stat st;

	if (_i == KIND_RAM) {
		ck_assert(!media_identity(media, &id));
	} else {
		ck_assert_int_eq(stat(kind_path(_i), &st), 0);
		ck_assert(media_identity(media, &id));
		ck_assert_uint_eq(id.device, st.st_dev);
		ck_assert_uint_eq(id.inode, st.st_ino);
		ck_assert(!id.is_block_device);
	}
	media_close(media);
}
END_TEST

START_TEST(media_close__takes_null)
{
	media_close(NULL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("media");
	TCase *tcase;

	tcase = case_new(suite, "operations");
	tcase_add_loop_test(tcase,
	    media_copy__changes_just_its_range_and_survives_reopening, 0,
	    NKIND);
	tcase_add_loop_test(tcase, media_zero__zeroes_just_its_range, 0, NKIND);
	tcase_add_loop_test(
	    tcase, media_store__changes_just_its_word, 0, NKIND);
	tcase_add_loop_test(tcase,
	    media_store32__reaches_the_end_of_an_odd_size, KIND_BYTE, NKIND);
	tcase_add_loop_test(
	    tcase, media_store32__is_seen_whole_by_another_thread, 0, NKIND);
	tcase_add_loop_test(tcase,
	    media_options__read_only_refuses_every_change, KIND_BYTE, NKIND);
	tcase_add_loop_test(
	    tcase, media_identity__is_that_of_the_file, 0, NKIND);
	tcase_add_test(tcase, media_close__takes_null);
	return check_main(suite);
}

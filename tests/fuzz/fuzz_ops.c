/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_ops -- a device in use, on a medium that fails when the input says so.
 *
 *	1 byte   the kind of device
 *	then, repeated, 6 bytes: what, where (2), how much (2), which value
 *
 * Claims: while nothing has failed every sector reads as it was last written;
 * after a failure, and after the device was opened again, each sector is one of
 * what it has been since the last flush that succeeded; opening always succeeds
 * and finds one owner for every block; check finds no damage but the flag.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <btt/btt.h>

#include "medium.h"
#include "oracle.h"
#include "support/hostile.h"
#include "target.h"

#define NFREE 4u
#define SECTOR_MAX 4096u
#define COUNT_MAX 64u /* sectors */
#define BYTES_MAX (COUNT_MAX * 512u + 3 * SECTOR_MAX)
#define VALUE_MAX 8u /* that are remembered of a sector */

struct op {
	uint8_t what;
	uint8_t where[2];
	uint8_t much[2];
	uint8_t value;
};

/* What a sector has been since the last flush, the last one last. */
struct history {
	unsigned n;
	bool forgotten; /* more than there was room for */
	uint8_t value[VALUE_MAX][SECTOR_MAX];
};

static struct {
	struct medium *medium;
	uint8_t *bytes; /* of the medium, which is made anew at each open */
	size_t size;
	struct btt_worker_pool *pool;
	struct btt_worker *worker;
	struct btt *btt;
	struct btt_open_options options;
	enum media_granularity granularity;
	struct btt_geometry_info geometry;
	bool failed; /* something has, since the open */
	struct history sector[COUNT_MAX];
	uint8_t buffer[BYTES_MAX];
} run;

static uint8_t *
last_of(struct history *history)
{
	return history->value[history->n - 1];
}

/* A new value, like that one so far. */
static uint8_t *
remember(struct history *history, unsigned like)
{
	uint8_t *last = last_of(history);

	if (history->n == VALUE_MAX) {
		history->forgotten = true;
		return last;
	}
	memcpy(history->value[history->n++], history->value[like],
	    run.geometry.sector_bytes);
	return last_of(history);
}

/* Only the last value of each sector can come back. */
static void
settle(void)
{
	for (uint64_t i = 0; i < run.geometry.nsector; i++) {
		struct history *history = &run.sector[i];

		memmove(history->value[0], last_of(history),
		    run.geometry.sector_bytes);
		history->n = 1;
		history->forgotten = false;
	}
}

static bool
was(const struct history *history, const uint8_t *found)
{
	for (unsigned i = 0; i < history->n; i++) {
		if (memcmp(history->value[i], found,
			run.geometry.sector_bytes) == 0)
			return true;
	}
	return history->forgotten;
}

static void
read_all(void)
{
	uint32_t bytes = run.geometry.sector_bytes;

	FUZZ_CHECK(btt_read(run.btt, run.worker, 0, run.geometry.size_bytes,
		       run.buffer) == 0);
	for (uint64_t i = 0; i < run.geometry.nsector; i++) {
		struct history *history = &run.sector[i];
		const uint8_t *found = run.buffer + i * bytes;

		if (run.failed)
			FUZZ_CHECK(was(history, found));
		else
			FUZZ_CHECK(memcmp(last_of(history), found, bytes) == 0);
	}
}

static void
open_device(void)
{
	struct btt_error error = { "" };
	int r;

	run.medium = medium_new(run.bytes, run.size, run.granularity);
	r = btt_open(
	    &run.medium->media, run.pool, &run.options, &run.btt, &error);
	FUZZ_CHECK_MSG(r == 0, "open: %d %s", r, error.text);
	btt_get_geometry(run.btt, &run.geometry);
	FUZZ_CHECK(run.geometry.nsector <= COUNT_MAX);
	FUZZ_CHECK(run.geometry.sector_bytes <= SECTOR_MAX);
}

/* Whatever happened, the medium is whole. */
static void
expect_sound(void)
{
	static struct oracle oracle;
	const struct btt_check_options options = { 0 };
	struct btt_check_result result;
	struct btt_probe probe;
	struct medium *medium;
	bool flagged = false;

	medium = medium_new(run.bytes, run.size, MEDIA_CACHE_LINE);
	medium->forbidden = true;
	FUZZ_CHECK(btt_probe(&medium->media, &probe, NULL) == 0);
	for (uint32_t i = 0; i < probe.narena; i++) {
		const struct btt_arena_place *place = &probe.arena[i];

		oracle_look(run.bytes, place, &oracle);
		FUZZ_CHECK(oracle_is_sound(&oracle));
		flagged = flagged || place->info.flags != 0 ||
		    place->copies_differ || place->from_backup;
	}
	FUZZ_CHECK(btt_check(&medium->media, &options, &result, NULL) == 0);
	FUZZ_CHECK(flagged || result.ndamage == 0);
	btt_probe_fini(&probe);
	(void)medium_keep(medium);
	media_close(&medium->media);
}

/* As after a crash, if something has failed. */
static void
close_device(void)
{
	run.medium->fail_op = 0;
	if (btt_flush(run.btt, run.worker) == 0 && !run.failed)
		settle();
	else
		run.failed = true;
	(void)medium_keep(run.medium);
	run.medium->forbidden = true;
	FUZZ_CHECK(btt_close(run.btt) == 0 || run.failed);
	expect_sound();
}

static void
reopen(void)
{
	uint32_t bytes = run.geometry.sector_bytes;

	close_device();
	open_device();
	read_all();
	/* What is there now is what stays. */
	for (uint64_t i = 0; i < run.geometry.nsector; i++)
		memcpy(
		    remember(&run.sector[i], 0), run.buffer + i * bytes, bytes);
	settle();
	run.failed = false;
}

/* A range that may reach beyond the end by a little. */
static void
range_of(const struct op *op, uint64_t *ret_off, size_t *ret_len)
{
	uint64_t where = op->where[0] | (uint64_t)op->where[1] << 8;
	uint64_t much = op->much[0] | (uint64_t)op->much[1] << 8;
	uint64_t bytes = run.geometry.sector_bytes;

	if (op->what & 0x80) {
		*ret_off = where % (run.geometry.size_bytes + 2);
		*ret_len = (size_t)(much % (2 * bytes));
	} else {
		*ret_off = where % run.geometry.nsector * bytes;
		*ret_len = (size_t)(1 + much % 4) * bytes;
	}
}

/*
 * After a failure nobody knows which value a sector has, and so which one it is
 * a part of that is changed.
 */
static void
change_sector(struct history *history, size_t skip, size_t n, uint8_t value)
{
	unsigned last = history->n - 1;

	for (unsigned i = run.failed ? 0 : last; i <= last; i++)
		memset(remember(history, i) + skip, value, n);
}

static void
apply(uint64_t off, size_t len, uint8_t value)
{
	uint64_t bytes = run.geometry.sector_bytes;

	while (len > 0) {
		size_t skip = (size_t)(off % bytes);
		size_t n = bytes - skip < len ? (size_t)bytes - skip : len;

		change_sector(&run.sector[off / bytes], skip, n, value);
		off += n;
		len -= n;
	}
}

static void
change(const struct op *op, bool zero)
{
	uint8_t value = zero ? 0 : op->value;
	uint64_t off;
	size_t len;
	int r;

	range_of(op, &off, &len);
	memset(run.buffer, value, len);
	if (zero)
		r = btt_zero(run.btt, run.worker, off, len);
	else
		r = btt_write(run.btt, run.worker, off, len, run.buffer);
	if (off > run.geometry.size_bytes ||
	    len > run.geometry.size_bytes - off) {
		FUZZ_CHECK(r == -ERANGE || (r < 0 && run.failed));
		return;
	}
	apply(off, len, value);
	if (r < 0) {
		/* A failure may have set the error flag. */
		FUZZ_CHECK(r == (run.geometry.read_only ? -EROFS : -EIO));
		FUZZ_CHECK(run.medium->fail_op > 0 || btt_failed(run.btt) < 0);
		run.failed = true;
	} else if (!run.failed &&
	    run.geometry.durability == BTT_DURABLE_WRITE) {
		settle();
	}
}

static void
flush(void)
{
	int r = btt_flush(run.btt, run.worker);

	if (r == 0 && !run.failed)
		settle();
	else if (r < 0)
		run.failed = true;
}

static void
seek(const struct op *op)
{
	uint64_t at, off;
	size_t len;
	int r;

	range_of(op, &off, &len);
	r = btt_seek_hole(run.btt, run.worker, off, &at);
	FUZZ_CHECK(off < run.geometry.size_bytes
		? r == 0 && at >= off && at <= run.geometry.size_bytes
		: r == -ENXIO);
	r = btt_seek_data(run.btt, run.worker, off, &at);
	FUZZ_CHECK(r == -ENXIO ||
	    (r == 0 && at >= off && at < run.geometry.size_bytes));
}

static void
do_op(const struct op *op)
{
	switch (op->what % 8) {
	case 0:
	case 1:
	case 2:
		change(op, false);
		break;
	case 3:
		change(op, true);
		break;
	case 4:
		flush();
		break;
	case 5:
		seek(op);
		break;
	case 6:
		/*
		 * The next operation but value - 1 on the medium fails, and so
		 * do all that follow if much is odd.
		 */
		run.medium->fail_on = (op->much[0] & 1) != 0;
		run.medium->fail_op =
		    op->value == 0 ? 0 : run.medium->nop + op->value;
		break;
	case 7:
		if (op->value % 4 == 0)
			reopen();
		else
			read_all();
		break;
	}
}

static void
set_up(uint8_t kind)
{
	static const struct hostile_case kinds[] = {
		{ .base = HOSTILE_ONE, .changes = "" },
		{ .base = HOSTILE_POOL, .changes = "" },
		{ .base = HOSTILE_TWO, .changes = "" },
	};
	static const uint32_t sectors[] = { 512, 520, 4096 };
	struct hostile_image image = {
		.sector_bytes = sectors[kind / 4 % 3],
		.nfree = NFREE,
		.arena_bytes = (kind / 4 % 3 == 2 ? 12 : 7) * BTT_ALIGN,
	};
	void *bytes = NULL;

	if (run.pool == NULL) {
		FUZZ_CHECK(btt_worker_pool_new(1, &run.pool) == 0);
		run.worker = btt_worker_pool_get(run.pool, 0);
	}
	FUZZ_CHECK(posix_memalign(&bytes, BTT_ALIGN,
		       HOSTILE_ROOM(image.arena_bytes)) == 0);
	memset(bytes, 0, HOSTILE_ROOM(image.arena_bytes));
	image.bytes = bytes;
	hostile_make(&kinds[kind / 16 % 3], &image);
	run.bytes = bytes;
	run.size = image.size;
	run.granularity = kind & 1 ? MEDIA_PAGE : MEDIA_CACHE_LINE;
	run.options = (struct btt_open_options){ .nlane = 1 + kind / 64,
		.durability =
		    kind & 2 ? BTT_DURABLE_FLUSH : BTT_DURABLE_WRITE };
	run.failed = false;
	open_device();
	for (uint64_t i = 0; i < run.geometry.nsector; i++) {
		run.sector[i].n = 1;
		run.sector[i].forgotten = false;
		memset(run.sector[i].value[0], 0, SECTOR_MAX);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct op op;

	if (size == 0)
		return 0;
	set_up(data[0]);
	for (size_t at = 1; size - at >= sizeof(op); at += sizeof(op)) {
		memcpy(&op, data + at, sizeof(op));
		do_op(&op);
	}
	read_all();
	reopen();
	close_device();
	free(run.bytes);
	return 0;
}

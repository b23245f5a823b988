/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * undo_write -- saving what a plan is going to overwrite.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <lanes/sync.h>

#include "layout.h"
#include "probe.h"
#include "repair_impl.h"
#include "undo_impl.h"

const uint8_t undo_signature[16] = "BTT UNDO FILE\r\n";

int
undo_compare_ranges(const void *a, const void *b)
{
	const struct undo_range *x = a;
	const struct undo_range *y = b;

	return (x->off > y->off) - (x->off < y->off);
}

/* The first range that begins at off or beyond. */
static uint32_t
first_range(const struct undo_range *range, uint32_t nrange, uint64_t off)
{
	uint32_t low = 0;
	uint32_t high = nrange;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (range[middle].off < off)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int
undo_sum_log(const struct media *media, uint64_t off, uint32_t bytes,
    const struct undo_range *range, uint32_t nrange, uint64_t *ret_sum)
{
	uint8_t *log;
	int r;

	if ((log = malloc(bytes)) == NULL)
		return -ENOMEM;
	if ((r = probe_read(media, off, log, bytes)) < 0)
		goto out;
	for (uint32_t i = first_range(range, nrange, off);
	     i < nrange && range[i].off - off < bytes; i++) {
		uint64_t at = range[i].off - off;

		memset(log + at, 0,
		    range[i].bytes < bytes - at ? range[i].bytes : bytes - at);
	}
	*ret_sum = layout_checksum(log, bytes, bytes);
out:
	free(log);
	return r;
}

/* The body of the file, made in memory. */
struct body {
	uint8_t *bytes;
	size_t len;
};

static size_t
body_bytes(const struct btt_repair *plan)
{
	size_t bytes = plan->nlog *
	    (sizeof(struct undo_record_media) + sizeof(struct le64));

	for (uint32_t i = 0; i < plan->nwrite; i++)
		bytes += sizeof(struct undo_record_media) +
		    2 * undo_padded(plan->write[i].bytes);
	return bytes;
}

static void
put(struct body *body, const void *bytes, size_t len)
{
	memcpy(body->bytes + body->len, bytes, len);
	body->len += len;
}

static void
put_record(struct body *body, uint64_t off, uint32_t bytes, uint32_t round)
{
	const struct undo_record_media record = {
		.off = le64_encode(off),
		.bytes = le32_encode(bytes),
		.round = le32_encode(round),
	};

	put(body, &record, sizeof(record));
}

static void
put_writes(struct body *body, const struct btt_repair *plan)
{
	for (uint32_t i = 0; i < plan->nwrite; i++) {
		const struct repair_write *write = &plan->write[i];
		struct le64 word[2];

		put_record(body, write->off, write->bytes, write->round);
		if (write->bytes == BTT_INFO_BYTES) {
			put(body, write->block->before, BTT_INFO_BYTES);
			put(body, write->block->after, BTT_INFO_BYTES);
			continue;
		}
		word[0] = le64_encode(write->before);
		word[1] = le64_encode(write->after);
		put(body, word, sizeof(word));
	}
}

static int
put_logs(
    struct body *body, const struct btt_repair *plan, const struct media *media)
{
	struct undo_range *range;
	int r = 0;

	range = calloc((size_t)plan->nwrite + 1, sizeof(*range));
	if (range == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < plan->nwrite; i++)
		range[i] = (struct undo_range){ plan->write[i].off,
			plan->write[i].bytes };
	qsort(range, plan->nwrite, sizeof(*range), undo_compare_ranges);
	for (uint32_t i = 0; i < plan->nlog && r == 0; i++) {
		const struct repair_log_place *log = &plan->log[i];
		uint64_t sum = 0;
		struct le64 media_sum;

		r = undo_sum_log(media, log->off, (uint32_t)log->bytes, range,
		    plan->nwrite, &sum);
		put_record(
		    body, log->off, (uint32_t)log->bytes, UNDO_ROUND_LOG);
		media_sum = le64_encode(sum);
		put(body, &media_sum, sizeof(media_sum));
	}
	free(range);
	return r;
}

static struct undo_header_media
make_header(const struct btt_repair *plan, const struct media *media,
    const struct body *body)
{
	struct media_identity identity = { 0 };
	struct undo_header_media header = {
		.version = le32_encode(UNDO_VERSION),
		.header_bytes = le32_encode(UNDO_HEADER_BYTES),
		.media_bytes = le64_encode(plan->media_bytes),
		.nrecord = le32_encode(plan->nwrite + plan->nlog),
		.uuid_off = le64_encode(plan->uuid_off),
		.created = le64_encode((uint64_t)time(NULL)),
		.body_bytes = le64_encode(body->len),
		.body_sum = le64_encode(
		    layout_checksum(body->bytes, body->len, body->len)),
	};

	memcpy(header.signature, undo_signature, sizeof(header.signature));
	memcpy(header.uuid, plan->uuid, sizeof(header.uuid));
	if (media_identity(media, &identity)) {
		header.device = le64_encode(identity.device);
		header.inode = le64_encode(identity.inode);
		header.is_block_device = le32_encode(identity.is_block_device);
	}
	header.sum = le64_encode(layout_checksum((const uint8_t *)&header,
	    sizeof(header), offsetof(struct undo_header_media, sum)));
	return header;
}

static int
write_fully(int fd, const void *bytes, size_t len, off_t off)
{
	const uint8_t *from = bytes;

	while (len > 0) {
		ssize_t n = SYNC_SLEEPS(pwrite(fd, from, len, off));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		from += n;
		off += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The body, and only once it is durable what says that there is one. */
static int
write_file(int fd, const struct body *body,
    const struct undo_header_media *header, struct btt_error *error)
{
	int r;

	r = write_fully(fd, body->bytes, body->len, UNDO_HEADER_BYTES);
	if (r == 0 && SYNC_SLEEPS(fsync(fd)) < 0)
		r = -errno;
	if (r == 0)
		r = write_fully(fd, header, sizeof(*header), 0);
	if (r == 0 && SYNC_SLEEPS(fsync(fd)) < 0)
		r = -errno;
	if (r < 0)
		return btt_error_set(
		    error, r, "the undo file could not be written");
	return 0;
}

int
btt_undo_write(const struct btt_repair *plan, const struct media *media, int fd,
    struct btt_error *error)
{
	const size_t bytes = body_bytes(plan);
	struct undo_header_media header;
	struct body body = { 0 };
	int r;

	if (media->size != plan->media_bytes)
		return btt_error_set(error, -EUCLEAN,
		    "the medium has another size than was planned for");
	if ((body.bytes = malloc(bytes + 1)) == NULL)
		return btt_error_set(error, -ENOMEM, "out of memory");
	put_writes(&body, plan);
	if ((r = put_logs(&body, plan, media)) < 0) {
		r = btt_error_set(error, r, "the log could not be read");
		goto out;
	}
	assert(body.len == bytes);
	header = make_header(plan, media, &body);
	r = write_file(fd, &body, &header, error);
out:
	free(body.bytes);
	return r;
}

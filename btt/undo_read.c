/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * undo_read -- an undo file in memory, every number of it checked: it may be
 * damaged, or made by somebody who wants us to write where we should not.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lanes/sync.h>

#include "layout.h"
#include "undo_file.h"

static int
read_fully(int fd, void *bytes, size_t len, off_t off)
{
	uint8_t *to = bytes;

	while (len > 0) {
		ssize_t n = SYNC_SLEEPS(pread(fd, to, len, off));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ERANGE; /* shorter than it was */
		to += n;
		off += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
read_header(
    int fd, struct undo_header_media *ret_header, struct btt_error *error)
{
	struct undo_header_media *header = ret_header;
	int r;

	r = read_fully(fd, header, sizeof(*header), 0);
	if (r < 0 && r != -ERANGE)
		return btt_error_set(error, r, "the file cannot be read");
	if (r == -ERANGE ||
	    memcmp(header->signature, undo_signature, sizeof(undo_signature)) !=
		0)
		return btt_error_set(error, -EMEDIUMTYPE,
		    "not an undo file, or one that was not written to its end");
	if (le64_decode(header->sum) !=
	    layout_checksum((const uint8_t *)header, sizeof(*header),
		offsetof(struct undo_header_media, sum)))
		return btt_error_set(error, -EUCLEAN,
		    "the head of the undo file has a wrong checksum");
	if (le32_decode(header->version) != UNDO_VERSION ||
	    le32_decode(header->header_bytes) != UNDO_HEADER_BYTES)
		return btt_error_set(error, -ENOTSUP,
		    "undo files of version %u are not known, %u is",
		    le32_decode(header->version), UNDO_VERSION);
	return 0;
}

static int
read_body(int fd, const struct undo_header_media *header, struct btt_undo *undo,
    struct btt_error *error)
{
	const uint64_t bytes = le64_decode(header->body_bytes);
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return btt_error_set(error, -errno, "the file cannot be read");
	/* What is not there is not asked memory for. */
	if (bytes > UNDO_BYTES_MAX ||
	    (uint64_t)st.st_size != UNDO_HEADER_BYTES + bytes)
		return btt_error_set(error, -EUCLEAN,
		    "the undo file has %" PRIu64 " bytes, and should have "
		    "%" PRIu64,
		    (uint64_t)st.st_size, UNDO_HEADER_BYTES + bytes);
	if ((undo->body = malloc((size_t)bytes + 1)) == NULL)
		return btt_error_set(error, -ENOMEM, "out of memory");
	undo->body_bytes = (size_t)bytes;
	r = read_fully(fd, undo->body, undo->body_bytes, UNDO_HEADER_BYTES);
	if (r < 0)
		return btt_error_set(error, r, "the file cannot be read");
	if (layout_checksum(undo->body, undo->body_bytes, undo->body_bytes) !=
	    le64_decode(header->body_sum))
		return btt_error_set(
		    error, -EUCLEAN, "the undo file has a wrong checksum");
	return 0;
}

/* Bytes of the record's content, or 0 if it makes no sense. */
static size_t
content_bytes(const struct btt_undo *undo, const struct undo_record *record)
{
	const uint64_t media_bytes = undo->summary.media_bytes;

	if (record->off > media_bytes ||
	    record->bytes > media_bytes - record->off)
		return 0;
	if (record->round == UNDO_ROUND_LOG)
		return record->bytes > 0 && record->bytes % 8 == 0 &&
			record->bytes <=
			    (uint64_t)BTT_NFREE_MAX * FLOG_GROUP_BYTES
		    ? sizeof(struct le64)
		    : 0;
	if (record->bytes != 4 && record->bytes != 8 &&
	    record->bytes != BTT_INFO_BYTES)
		return 0;
	return record->off % (record->bytes == 4 ? 4 : 8) == 0
	    ? 2 * undo_padded(record->bytes)
	    : 0;
}

/* The record at *at, which goes on to the next one; false: there is none. */
static bool
next_record(
    const struct btt_undo *undo, size_t *at, struct undo_record *ret_record)
{
	struct undo_record_media media;
	size_t rest = undo->body_bytes - *at;
	size_t len;

	if (rest < sizeof(media))
		return false;
	memcpy(&media, undo->body + *at, sizeof(media));
	rest -= sizeof(media);
	*ret_record = (struct undo_record){
		.off = le64_decode(media.off),
		.bytes = le32_decode(media.bytes),
		.round = le32_decode(media.round),
		.content = undo->body + *at + sizeof(media),
	};
	len = content_bytes(undo, ret_record);
	if (len == 0 || len > rest)
		return false;
	*at += sizeof(media) + len;
	return true;
}

/* Records of writes, and those of logs behind them. */
static int
read_records(struct btt_undo *undo, uint32_t nrecord, struct btt_error *error)
{
	size_t at = 0;

	/* Each has a head at least. */
	if (nrecord > undo->body_bytes / sizeof(struct undo_record_media))
		goto nonsense;
	undo->record = calloc((size_t)nrecord + 1, sizeof(*undo->record));
	if (undo->record == NULL)
		return btt_error_set(error, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < nrecord; i++) {
		struct undo_record *record = &undo->record[i];

		if (!next_record(undo, &at, record))
			goto nonsense;
		if (record->round == UNDO_ROUND_LOG)
			undo->nlog++;
		else if (undo->nlog > 0 ||
		    (i > 0 && record->round < record[-1].round))
			goto nonsense;
		else
			undo->summary.nwrite++;
	}
	if (at == undo->body_bytes)
		return 0;
nonsense:
	return btt_error_set(
	    error, -EUCLEAN, "the undo file contradicts itself");
}

static void
decode_header(const struct undo_header_media *header, struct btt_undo *undo)
{
	struct btt_undo_summary *summary = &undo->summary;

	summary->media_bytes = le64_decode(header->media_bytes);
	summary->identity.device = le64_decode(header->device);
	summary->identity.inode = le64_decode(header->inode);
	summary->identity.is_block_device =
	    le32_decode(header->is_block_device) != 0;
	summary->created = le64_decode(header->created);
	memcpy(summary->uuid, header->uuid, sizeof(summary->uuid));
	undo->uuid_off = le64_decode(header->uuid_off);
}

int
btt_undo_read(int fd, struct btt_undo **ret_undo, struct btt_error *error)
{
	struct undo_header_media header;
	struct btt_undo *undo;
	int r;

	if ((r = read_header(fd, &header, error)) < 0)
		return r;
	if ((undo = calloc(1, sizeof(*undo))) == NULL)
		return btt_error_set(error, -ENOMEM, "out of memory");
	decode_header(&header, undo);
	if ((r = read_body(fd, &header, undo, error)) < 0 ||
	    (r = read_records(undo, le32_decode(header.nrecord), error)) < 0) {
		btt_undo_free(undo);
		return r;
	}
	*ret_undo = undo;
	return 0;
}

void
btt_undo_free(struct btt_undo *undo)
{
	if (undo == NULL)
		return;
	free(undo->record);
	free(undo->body);
	free(undo);
}

void
btt_undo_get_summary(
    const struct btt_undo *undo, struct btt_undo_summary *ret_summary)
{
	*ret_summary = undo->summary;
}

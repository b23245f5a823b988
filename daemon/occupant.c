/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <blkid/blkid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <btt/format.h>
#include <lanes/sync.h>

#include "occupant.h"
#include "size.h"
#include "system_error.h"

#define END_BYTES (UINT64_C(1) << 20)
/* Between the ends: enough that a file of data is not taken for empty. */
#define NSAMPLE 1024u
#define SAMPLE_BYTES 4096u
static_assert(SAMPLE_BYTES <= END_BYTES, "they share a buffer");

static int
find_btt(const struct media *media, bool *ret_found,
    char ret_text[OCCUPANT_TEXT_BYTES], struct btt_error *error)
{
	char uuid[BTT_UUID_TEXT_BYTES], size[SIZE_TEXT_BYTES];
	struct btt_error reason = { "" };
	struct btt_probe probe;
	uint64_t bytes;
	uint32_t i;
	int r;

	r = btt_probe(media, &probe, &reason);
	if (r == -EMEDIUMTYPE)
		return 0;
	if (r == -EUCLEAN || r == -ENOTSUP || r == -ENOTUNIQ) {
		snprintf(ret_text, OCCUPANT_TEXT_BYTES, "a BTT (%.150s)",
		    reason.text);
		*ret_found = true;
		return 0;
	}
	if (r < 0)
		return btt_error_set(error, r, "%s", reason.text);
	bytes = 0;
	for (i = 0; i < probe.narena; i++)
		bytes += (uint64_t)probe.arena[i].info.external_nlba *
		    btt_sector_data_bytes(probe.arena[i].info.external_lbasize);
	btt_uuid_format(probe.arena[0].info.uuid, uuid);
	size_format(bytes, size);
	snprintf(
	    ret_text, OCCUPANT_TEXT_BYTES, "a BTT of %s, uuid %s", size, uuid);
	*ret_found = true;
	btt_probe_fini(&probe);
	return 0;
}

/* The value of a libblkid tag, or NULL. */
static const char *
tag(blkid_probe probe, const char *name)
{
	const char *value;

	if (blkid_probe_lookup_value(probe, name, &value, NULL) < 0)
		return NULL;
	return value;
}

static void
describe(blkid_probe probe, char ret_text[OCCUPANT_TEXT_BYTES])
{
	const char *type, *label, *usage;

	if ((type = tag(probe, "TYPE")) == NULL) {
		type = tag(probe, "PTTYPE");
		snprintf(ret_text, OCCUPANT_TEXT_BYTES,
		    "a partition table (%s)", type == NULL ? "?" : type);
		return;
	}
	label = tag(probe, "LABEL");
	usage = tag(probe, "USAGE");
	snprintf(ret_text, OCCUPANT_TEXT_BYTES, "%s %s%s%s%s",
	    usage != NULL && strcmp(usage, "filesystem") == 0 ? "a file system,"
							      : "signatures of",
	    type, label == NULL ? "" : " '", label == NULL ? "" : label,
	    label == NULL ? "" : "'");
}

static int
find_known(int fd, bool *ret_found, char ret_text[OCCUPANT_TEXT_BYTES],
    struct btt_error *error)
{
	blkid_probe probe;
	int r;

	if ((probe = blkid_new_probe()) == NULL)
		return -ENOMEM;
	errno = 0;
	if (blkid_probe_set_device(probe, fd, 0, 0) < 0) {
		r = btt_error_set(error, errno == 0 ? -EIO : -errno,
		    "libblkid cannot read it");
		goto out;
	}
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(
	    probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_USAGE);
	blkid_probe_enable_partitions(probe, 1);
	/* 0 one thing, 1 nothing, -2 several at once, -1 an error */
	r = blkid_do_safeprobe(probe);
	if (r == 0) {
		describe(probe, ret_text);
		*ret_found = true;
	} else if (r == -2) {
		snprintf(ret_text, OCCUPANT_TEXT_BYTES,
		    "signatures of several file systems or partition tables");
		*ret_found = true;
	} else if (r < 0) {
		r = btt_error_set(error, -EIO, "libblkid cannot read it");
		goto out;
	}
	r = 0;
out:
	blkid_free_probe(probe);
	return r;
}

static bool
is_zero(const uint8_t *bytes, size_t len)
{
	/* Each byte equals its predecessor, and the first is zero. */
	return len == 0 ||
	    (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* Look at len bytes at off for anything but zeroes. */
static int
find_bytes(int fd, uint64_t off, size_t len, uint8_t *buffer, bool *ret_found,
    char ret_text[OCCUPANT_TEXT_BYTES], struct btt_error *error)
{
	size_t i, got;
	ssize_t n;
	off_t at;

	for (got = 0; got < len; got += (size_t)n) {
		at = (off_t)(off + got);
		n = SYNC_SLEEPS(pread(fd, buffer + got, len - got, at));
		if (n < 0)
			return btt_error_set(error, -errno,
			    "cannot read it at %ju: %s", (uintmax_t)(off + got),
			    system_error_text(-errno));
		if (n == 0)
			break;
	}
	if (is_zero(buffer, got))
		return 0;
	for (i = 0; buffer[i] == 0; i++)
		;
	snprintf(ret_text, OCCUPANT_TEXT_BYTES,
	    "data (the byte at %ju is 0x%02x)", (uintmax_t)(off + i),
	    buffer[i]);
	*ret_found = true;
	return 0;
}

/*
 * The first byte at or after off that the file system stores, so that samples
 * are not wasted on holes; UINT64_MAX if there is none.
 */
static uint64_t
next_stored(int fd, uint64_t off)
{
	off_t stored;

	stored = lseek(fd, (off_t)off, SEEK_DATA);
	if (stored >= 0)
		return (uint64_t)stored;
	return errno == ENXIO ? UINT64_MAX : off;
}

static int
find_data(int fd, uint64_t size, bool *ret_found,
    char ret_text[OCCUPANT_TEXT_BYTES], struct btt_error *error)
{
	uint64_t middle, off;
	uint8_t *buffer;
	unsigned i;
	int r;

	if ((buffer = malloc(END_BYTES)) == NULL)
		return -ENOMEM;
	r = find_bytes(fd, 0, size < END_BYTES ? (size_t)size : END_BYTES,
	    buffer, ret_found, ret_text, error);
	if (r == 0 && !*ret_found && size > END_BYTES)
		r = find_bytes(fd, size - END_BYTES, END_BYTES, buffer,
		    ret_found, ret_text, error);
	middle = size > 2 * END_BYTES ? size - 2 * END_BYTES : 0;
	for (i = 0; i < NSAMPLE && r == 0 && !*ret_found; i++) {
		off = END_BYTES + middle / NSAMPLE * i;
		off = next_stored(fd, off / SAMPLE_BYTES * SAMPLE_BYTES);
		if (off >= size)
			break;
		r = find_bytes(
		    fd, off, SAMPLE_BYTES, buffer, ret_found, ret_text, error);
	}
	free(buffer);
	return r;
}

int
occupant_find(int fd, const struct media *media, bool *ret_found,
    char ret_text[OCCUPANT_TEXT_BYTES], struct btt_error *error)
{
	bool found;
	int r;

	found = false;
	r = find_btt(media, &found, ret_text, error);
	if (r == 0 && !found)
		r = find_known(fd, &found, ret_text, error);
	if (r == 0 && !found)
		r = find_data(fd, media->size, &found, ret_text, error);
	if (r < 0)
		return r;
	*ret_found = found;
	return 0;
}

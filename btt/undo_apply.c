/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * undo_apply -- putting back what a repair has overwritten.
 *
 * First it is made certain that this is the image, and that it is in one of the
 * states that the repair can have left.  Then each place gets what the first
 * write there has found, in the opposite order of these writes and with a fence
 * wherever the repair had one: so at most one copy of an info block is on its
 * way at a time.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "undo_file.h"

/* A word that may be at a place. */
struct known_word {
	uint64_t off;
	uint64_t value;
};

struct undoing {
	const struct btt_undo *undo;
	struct media *media;
	struct known_word *word; /* ascending place, then value */
	size_t nword;
	const struct undo_record **first; /* of each place, in their order */
	uint32_t nfirst;
	uint32_t nwrite; /* done */
};

static int
compare_words(const void *a, const void *b)
{
	const struct known_word *x = a;
	const struct known_word *y = b;

	if (x->off != y->off)
		return x->off < y->off ? -1 : 1;
	return (x->value > y->value) - (x->value < y->value);
}

/* 4 bytes, or 8. */
static uint64_t
load_word(const uint8_t *bytes, uint32_t len)
{
	uint64_t value = 0;

	memcpy(&value, bytes, len < 8 ? len : 8);
	return value;
}

/* Everything that the repair has or may have made of each word. */
static int
collect_words(struct undoing *undoing)
{
	const struct btt_undo *undo = undoing->undo;
	size_t n = 1;

	for (uint32_t i = 0; i < undo->summary.nwrite; i++)
		n += 2 * ((undo->record[i].bytes + 7u) / 8);
	if ((undoing->word = calloc(n, sizeof(*undoing->word))) == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < undo->summary.nwrite; i++) {
		const struct undo_record *record = &undo->record[i];

		for (uint32_t at = 0; at < record->bytes; at += 8) {
			undoing->word[undoing->nword++] =
			    (struct known_word){ record->off + at,
				    load_word(undo_before(record) + at,
					record->bytes) };
			undoing->word[undoing->nword++] =
			    (struct known_word){ record->off + at,
				    load_word(undo_after(record) + at,
					record->bytes) };
		}
	}
	qsort(undoing->word, undoing->nword, sizeof(*undoing->word),
	    compare_words);
	return 0;
}

/* By place; of one place the first one comes first. */
static int
compare_places(const void *a, const void *b)
{
	const struct undo_record *x = *(const struct undo_record *const *)a;
	const struct undo_record *y = *(const struct undo_record *const *)b;

	if (x->off != y->off)
		return x->off < y->off ? -1 : 1;
	return (x > y) - (x < y);
}

static int
compare_order(const void *a, const void *b)
{
	const struct undo_record *x = *(const struct undo_record *const *)a;
	const struct undo_record *y = *(const struct undo_record *const *)b;

	return (x > y) - (x < y);
}

/* Which records say what was there before the repair. */
static int
collect_first(struct undoing *undoing)
{
	const struct btt_undo *undo = undoing->undo;
	const uint32_t n = undo->summary.nwrite;
	const struct undo_record **first;

	first = calloc((size_t)n + 1, sizeof(*first));
	if (first == NULL)
		return -ENOMEM;
	undoing->first = first;
	for (uint32_t i = 0; i < n; i++)
		first[i] = &undo->record[i];
	qsort(first, n, sizeof(*first), compare_places);
	for (uint32_t i = 0; i < n; i++) {
		if (i == 0 || first[i]->off != first[undoing->nfirst - 1]->off)
			first[undoing->nfirst++] = first[i];
	}
	qsort(first, undoing->nfirst, sizeof(*first), compare_order);
	return 0;
}

static int
stale(struct btt_error *error, const char *why)
{
	return btt_error_set(error, -ESTALE, "%s", why);
}

/* Inside media_try(): 0, or -ESTALE where a word is none of those known. */
static int
compare_record(struct undoing *undoing, const struct undo_record *record)
{
	for (uint32_t at = 0; at < record->bytes; at += 8) {
		struct known_word key = { .off = record->off + at };

		key.value = load_word(
		    media_at(undoing->media, record->off + at), record->bytes);
		if (bsearch(&key, undoing->word, undoing->nword, sizeof(key),
			compare_words) == NULL)
			return -ESTALE;
	}
	return 0;
}

struct record_job {
	struct undoing *undoing;
	const struct undo_record *record;
};

static int
do_compare(void *arg)
{
	const struct record_job *job = arg;

	return compare_record(job->undoing, job->record);
}

static int
check_words(struct undoing *undoing, struct btt_error *error)
{
	int r;

	if ((r = collect_words(undoing)) < 0)
		return btt_error_set(error, r, "out of memory");
	for (uint32_t i = 0; i < undoing->undo->summary.nwrite; i++) {
		struct record_job job = { undoing, &undoing->undo->record[i] };

		if ((r = media_try(do_compare, &job)) == -ESTALE)
			return btt_error_set(error, r,
			    "the image was changed since the repair: at "
			    "%" PRIu64,
			    job.record->off);
		if (r < 0)
			return btt_error_set(
			    error, r, "the medium cannot be read");
	}
	return 0;
}

/* No sector was written since, or a log would tell. */
static int
check_logs(struct undoing *undoing, struct btt_error *error)
{
	const struct btt_undo *undo = undoing->undo;
	const uint32_t nwrite = undo->summary.nwrite;
	struct undo_range *range;
	int r = 0;

	if ((range = calloc((size_t)nwrite + 1, sizeof(*range))) == NULL)
		return btt_error_set(error, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < nwrite; i++)
		range[i] = (struct undo_range){ undo->record[i].off,
			undo->record[i].bytes };
	qsort(range, nwrite, sizeof(*range), undo_compare_ranges);
	for (uint32_t i = 0; i < undo->nlog && r == 0; i++) {
		const struct undo_record *record = &undo->record[nwrite + i];
		struct le64 known;
		uint64_t sum = 0;

		memcpy(&known, record->content, sizeof(known));
		r = undo_sum_log(undoing->media, record->off, record->bytes,
		    range, nwrite, &sum);
		if (r < 0)
			(void)btt_error_set(
			    error, r, "the medium cannot be read");
		else if (sum != le64_decode(known))
			r = stale(
			    error, "sectors were written since the repair");
	}
	free(range);
	return r;
}

static int
check_uuid(void *arg)
{
	const struct undoing *undoing = arg;
	const struct btt_undo *undo = undoing->undo;

	return memcmp(media_at(undoing->media, undo->uuid_off),
		   undo->summary.uuid, BTT_UUID_BYTES) == 0
	    ? 0
	    : -ESTALE;
}

static int
check_identity(struct undoing *undoing, struct btt_error *error)
{
	const struct btt_undo *undo = undoing->undo;
	const struct media_identity *known = &undo->summary.identity;
	const uint64_t size = undoing->media->size;
	struct media_identity identity = { 0 };
	int r;

	if (undo->uuid_off > size || BTT_UUID_BYTES > size - undo->uuid_off)
		return stale(error, "the undo file is not of this image");
	if ((r = media_try(check_uuid, undoing)) == -ESTALE)
		return stale(error, "the image has another uuid");
	if (r < 0)
		return btt_error_set(error, r, "the medium cannot be read");
	/* What has no name has no identity either: media of tests. */
	if (media_identity(undoing->media, &identity) &&
	    (identity.device != known->device ||
		identity.inode != known->inode ||
		identity.is_block_device != known->is_block_device))
		return stale(error,
		    "the image is not the file or device that was repaired");
	return 0;
}

/* Inside media_try(). */
static int
put_back(void *arg)
{
	struct record_job *job = arg;
	struct media *media = job->undoing->media;
	const struct undo_record *record = job->record;
	const uint8_t *before = undo_before(record);
	int r;

	if (memcmp(media_at(media, record->off), before, record->bytes) == 0)
		return 0;
	job->undoing->nwrite++;
	if (record->bytes == 4) {
		struct le32 word;

		memcpy(&word, before, sizeof(word));
		r = media_store32(media, record->off, word);
	} else if (record->bytes == 8) {
		struct le64 word;

		memcpy(&word, before, sizeof(word));
		r = media_store64(media, record->off, word);
	} else {
		return media_copy(media, record->off, before, record->bytes);
	}
	return r < 0 ? r : media_flush(media, record->off, record->bytes);
}

static int
fence(struct media *media, struct btt_error *error)
{
	int r;

	if ((r = media_fence(media)) < 0)
		return btt_error_set(
		    error, r, "what was put back could not be made durable");
	return 0;
}

static int
put_all_back(struct undoing *undoing, struct btt_error *error)
{
	const struct undo_record *const *first = undoing->first;
	uint32_t nfenced = 0;
	int r;

	for (uint32_t i = undoing->nfirst; i-- > 0;) {
		struct record_job job = { undoing, first[i] };

		if (i + 1 < undoing->nfirst &&
		    first[i]->round != first[i + 1]->round &&
		    undoing->nwrite > nfenced) {
			if ((r = fence(undoing->media, error)) < 0)
				return r;
			nfenced = undoing->nwrite;
		}
		if ((r = media_try(put_back, &job)) < 0)
			return btt_error_set(error, r,
			    "writing at %" PRIu64 " failed", job.record->off);
	}
	return undoing->nwrite > nfenced ? fence(undoing->media, error) : 0;
}

int
btt_undo_apply(const struct btt_undo *undo, struct media *media, bool force,
    uint32_t *ret_nwrite, struct btt_error *error)
{
	struct undoing undoing = { .undo = undo, .media = media };
	int r = 0;

	if (media->size != undo->summary.media_bytes)
		return btt_error_set(error, -ESTALE,
		    "the image has %" PRIu64 " bytes, and had %" PRIu64
		    " when it was repaired",
		    media->size, undo->summary.media_bytes);
	if (media->read_only)
		return btt_error_set(error, -EROFS, "medium is read-only");
	if (!force &&
	    ((r = check_identity(&undoing, error)) < 0 ||
		(r = check_words(&undoing, error)) < 0 ||
		(r = check_logs(&undoing, error)) < 0))
		goto out;
	if ((r = collect_first(&undoing)) < 0)
		(void)btt_error_set(error, r, "out of memory");
	else if ((r = put_all_back(&undoing, error)) == 0)
		*ret_nwrite = undoing.nwrite;
out:
	free(undoing.first);
	free(undoing.word);
	return r;
}

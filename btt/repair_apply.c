/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * repair_apply -- carrying out a plan: round after round, with a fence behind
 * each.  Why that order is safe is in repair_impl.h.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "hook.h"
#include "repair_impl.h"

struct write_job {
	struct media *media;
	const struct repair_write *write;
};

/* Compare with what was planned, then write.  Inside media_try(). */
static int
write_word(struct media *media, const struct repair_write *write)
{
	int r;

	if (write->bytes == sizeof(struct le32)) {
		if (media_load32(media, write->off) != write->before)
			return -EUCLEAN;
		r = media_store32(
		    media, write->off, le32_encode((uint32_t)write->after));
	} else {
		struct le64 before;

		memcpy(&before, media_at(media, write->off), sizeof(before));
		if (le64_decode(before) != write->before)
			return -EUCLEAN;
		r = media_store64(media, write->off, le64_encode(write->after));
	}
	return r < 0 ? r : media_flush(media, write->off, write->bytes);
}

static int
do_write(void *arg)
{
	const struct write_job *job = arg;
	const struct repair_write *write = job->write;

	if (write->bytes != BTT_INFO_BYTES)
		return write_word(job->media, write);
	if (memcmp(media_at(job->media, write->off), write->block->before,
		BTT_INFO_BYTES) != 0)
		return -EUCLEAN;
	return media_copy(job->media, write->off, write->block->after,
	    sizeof(write->block->after));
}

static int
fence(struct media *media, struct btt_error *error)
{
	int r;

	if ((r = media_fence(media)) < 0)
		return btt_error_set(
		    error, r, "what was written could not be made durable");
	return 0;
}

int
btt_repair_apply(
    const struct btt_repair *plan, struct media *media, struct btt_error *error)
{
	int r;

	if (media->size != plan->media_bytes)
		return btt_error_set(error, -EUCLEAN,
		    "the medium has %" PRIu64 " bytes, and had %" PRIu64
		    " when the repair was planned",
		    media->size, plan->media_bytes);
	if (plan->nwrite == 0)
		return 0;
	if (media->read_only)
		return btt_error_set(error, -EROFS, "medium is read-only");
	for (uint32_t i = 0; i < plan->nwrite; i++) {
		struct write_job job = { media, &plan->write[i] };

		if (i > 0 && job.write->round != job.write[-1].round &&
		    !MUTANT(88) && (r = fence(media, error)) < 0)
			return r;
		if ((r = media_try(do_write, &job)) == -EUCLEAN)
			return btt_error_set(error, r,
			    "the medium has changed at %" PRIu64
			    " since the repair was planned",
			    job.write->off);
		if (r < 0)
			return btt_error_set(error, r,
			    "writing at %" PRIu64 " failed", job.write->off);
	}
	return fence(media, error);
}

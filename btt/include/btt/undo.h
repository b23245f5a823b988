/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_UNDO_H
#define BTT_UNDO_H

/*
 * undo -- what a repair overwrites, in a file, and putting it back.
 *
 * An undo file belongs to one image in one state.  It knows that image by its
 * size, its BTT's uuid, its device and inode, and by the bytes that the repair
 * changes: each must be one of those that they have on the way from the damaged
 * image to the repaired one.  It has a checksum of the rest of the logs as well,
 * since no sector is written without a log entry: an image that was used since
 * the repair is recognised, and is not put together from two times.
 *
 * The format is versioned and covered by checksums; what is read of it is
 * bounded and checked as media are.
 */
#include <stdbool.h>
#include <stdint.h>

#include <btt/error.h>
#include <btt/format.h>
#include <btt/media.h>
#include <btt/repair.h>

/*
 * Write to fd, an empty file, all that the plan will overwrite on media.  On
 * return the file's bytes are durable; its name is the caller's to make so
 * (fsync of the directory), before btt_repair_apply.
 *
 * Errors: -EUCLEAN if the medium is not what was planned for, -EIO, -ENOMEM,
 * what write(2) and fsync(2) say.
 */
int btt_undo_write(const struct btt_repair *plan, const struct media *media,
    int fd, struct btt_error *error) BTT_MUST_CHECK;

/* An undo file in memory. */
struct btt_undo;

/*
 * Read and verify all of it.  fd stays the caller's.
 * Errors: -EMEDIUMTYPE if it is no undo file, or one that was not written to its
 * end; -ENOTSUP for another version; -EUCLEAN if it is damaged or makes no
 * sense; -ENOMEM; what read(2) says.
 */
int btt_undo_read(int fd, struct btt_undo **ret_undo, struct btt_error *error)
    BTT_MUST_CHECK;
/* NULL is fine. */
void btt_undo_free(struct btt_undo *undo);

struct btt_undo_summary {
	uint64_t media_bytes;
	struct media_identity identity; /* all zero if there was none */
	uint8_t uuid[BTT_UUID_BYTES];
	uint64_t created; /* seconds since 1970 */
	uint32_t nwrite;  /* words and info blocks */
};
void btt_undo_get_summary(
    const struct btt_undo *undo, struct btt_undo_summary *ret_summary);

/*
 * Put back what was there before the repair, carried out wholly, in part or not
 * at all; durable on return.  Writes nothing that is there already: ret_nwrite
 * is how many of the words and blocks were put back.  A crash leaves what a
 * second call brings to the end.
 *
 * With force everything but the size of the medium is taken on trust.
 *
 * Errors: -ESTALE with the reason if the image is another one or was changed
 * since, and nothing was written; -EROFS, -EIO and the like.
 */
int btt_undo_apply(const struct btt_undo *undo, struct media *media, bool force,
    uint32_t *ret_nwrite, struct btt_error *error) BTT_MUST_CHECK;

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_MEDIA_IMPL_H
#define BTT_MEDIA_IMPL_H

/*
 * media_impl -- what the files media*.c share and nobody else sees.
 */
#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <btt/media.h>

/*
 * A backing store that is open, locked and checked.  One descriptor serves it
 * for life: the system reports a failed write-back once to each descriptor
 * that was open at the time, and never to one opened later.
 */
struct media_backing {
	int fd;
	uint64_t size; /* bytes, at open */
	bool read_only;
	struct media_identity identity;
};

/* The beginning of a medium that has a backing store. */
struct media_file {
	struct media media;           /* keys in media.h */
	struct media_backing backing; /* [I] closed by the medium */
};

extern const struct media_ops media_page_ops;
extern const struct media_ops media_pmem2_ops;

/*
 * Make a medium of a backing store.  On success the medium owns the
 * descriptor, else the caller still does.
 */
int media_page_new(const struct media_backing *backing,
    struct media **ret_media, struct btt_error *error) BTT_MUST_CHECK;
/*
 * The same by libpmem2: of a DAX file with MEDIA_FORCE_NONE, of anything that
 * can be mapped with a forced byte or cache line granularity.
 */
int media_pmem2_new(const struct media_backing *backing, enum media_force force,
    struct media **ret_media, struct btt_error *error) BTT_MUST_CHECK;

/* Can the file be mapped without a page cache between it and us? */
bool media_backing_is_dax(const struct media_backing *backing);

/* The size of the backing store right now. */
int media_backing_size(const struct media_backing *backing, uint64_t *ret_size)
    BTT_MUST_CHECK;

/*
 * Lock the backing store as media_open says.  Errors: -EBUSY with the holder,
 * or what flock(2) and fcntl(2) say.
 */
int media_backing_lock(const struct media_backing *backing,
    struct btt_error *error) BTT_MUST_CHECK;
/* -EBUSY with the holder, as well as it can be found out. */
int media_busy(uint64_t st_dev, uint64_t inode, bool is_block_device,
    struct btt_error *error) BTT_MUST_CHECK;

/*
 * Will every overwrite find its place on the medium?  Not with holes, with
 * blocks that another file shares, or with copy-on-write: then a write may
 * find no space, and a sync may lose what was there before.  path is for the
 * advice.  Errors: -EOPNOTSUPP with the reason, or what the system says.
 */
int media_backing_check_blocks(const struct media_backing *backing,
    const char *path, struct btt_error *error) BTT_MUST_CHECK;

/* The list of bad ranges, empty at first.  0 or -ENOMEM. */
int media_bad_init(struct media *media) BTT_MUST_CHECK;
void media_bad_fini(struct media *media);

/* Note "<what>: <the system's word for r>" and return r. */
static inline int
media_system_error(struct btt_error *error, int r, const char *what)
{
	const char *why = strerrordesc_np(-r);

	return btt_error_set(
	    error, r, "%s: %s", what, why == NULL ? "unknown error" : why);
}

/*
 * ThreadSanitizer sees neither what the system stores for pwrite() nor what
 * libpmem2 copies.  Tell it, and it watches readers of the mapping against
 * copies (a block that is reused too early), and knows that a stored word
 * hands on what was copied before it.
 */
#ifdef BTTFS_TSAN
void __tsan_write_range(void *addr, unsigned long size);
void __tsan_release(void *addr);

static inline void
media_note_copy(const struct media *media, uint64_t off, size_t len)
{
	__tsan_write_range((void *)((uintptr_t)media->base + off), len);
}

static inline void
media_note_store(const struct media *media, uint64_t off)
{
	__tsan_release((void *)((uintptr_t)media->base + off));
}
#else
static inline void
media_note_copy(const struct media *media, uint64_t off, size_t len)
{
	(void)media;
	(void)off;
	(void)len;
}

static inline void
media_note_store(const struct media *media, uint64_t off)
{
	(void)media;
	(void)off;
}
#endif

#endif

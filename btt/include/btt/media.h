/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_MEDIA_H
#define BTT_MEDIA_H

/*
 * media -- a range of bytes that is mapped for reading and keeps what was
 * stored and fenced over a power failure.  The seam of every proof: the engine
 * changes the medium through these operations and no other way, so a recorder
 * put here sees all there is to see.
 *
 * The persistence contract, which each implementation keeps and the engine
 * relies on (DESIGN.md 5.1; reliability.md 2.3):
 *
 *  - copy, zero, store32 and store64 are visible in the mapping to every
 *    thread when they return.
 *  - copy and zero start their own write-back.  store32 and store64 are
 *    single aligned stores, whole or not there; flush starts the write-back of
 *    what was stored in a range, so that stores to one cache line share it.
 *  - fence returns when all that the calling thread has copied, and stored and
 *    flushed, before is durable.  On page granularity it does so for every
 *    thread's operations that returned before the call.
 *  - Without a fence, any subset of cache lines may be durable (of a line that
 *    was only stored to: any prefix of its stores).
 *
 * Errors: an operation that returns an error may or may not have taken place.
 * A failed fence is final: the medium is frozen, every later operation but
 * reading returns the same error, nothing is retried (P4).
 *
 * Page granularity: a fence also fails, with -EIO, when the backing store has
 * become shorter than it was at open, since the system would say yes to a sync
 * of bytes that are gone.
 *
 * Threads: every operation may be called from any thread.  What two threads
 * change at once must not overlap, counted in aligned units of 8 bytes (map
 * entries come in lines under one lock); that is the engine's business.
 *
 * Faults: touching the mapping can raise SIGBUS (a truncated file, a poisoned
 * page).  Do so inside media_try().  Only some of the operations above touch
 * it, on some granularities, but callers need not know: wrap all.  A fence
 * touches nothing, and may be outside or inside.
 */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <btt/endian.h>
#include <btt/error.h>

/* The unit that reaches media by itself; how a fence is made follows. */
enum media_granularity {
	MEDIA_BYTE,       /* caches are persistent: ordering only */
	MEDIA_CACHE_LINE, /* caches are flushed by line */
	MEDIA_PAGE,       /* a page cache is synced by the system */
};

struct media;

/* store64, store32, flush and fence: NULL where media.words is not. */
struct media_ops {
	int (*copy)(
	    struct media *media, uint64_t off, const void *src, size_t len);
	int (*zero)(struct media *media, uint64_t off, size_t len);
	int (*store64)(struct media *media, uint64_t off, struct le64 value);
	int (*store32)(struct media *media, uint64_t off, struct le32 value);
	int (*flush)(struct media *media, uint64_t off, size_t len);
	int (*fence)(struct media *media);
	/* Make known bad units of a range writable; NULL: writing does it. */
	int (*clear_bad)(struct media *media, uint64_t off, size_t len);
	/* See media_has_lock; NULL: it has none. */
	bool (*has_lock)(const struct media *media, const void *lock);
	void (*close)(struct media *media);
};

struct media_bad;

/*
 * First member of each implementation.  Keys: I immutable after open,
 * a atomic.
 */
struct media {
	const struct media_ops *ops;        /* [I] */
	const uint8_t *base;                /* [I] mapping of all size bytes */
	uint64_t size;                      /* [I] bytes */
	enum media_granularity granularity; /* [I] */
	bool read_only;                     /* [I] changes return -EROFS */
	_Atomic int failed; /* [a] first failed fence, negative errno, sticky */
	/*
	 * [I] Not NULL: base for those who write, and words are stored there
	 * and written back by this header, without ops.  A request stores and
	 * flushes three words a sector, and a call for each is most of its
	 * price.
	 */
	uint8_t *words;
	void (*write_back)(const void *start, size_t len); /* [I] with words */
	void (*drain)(void);   /* [I] with words: waits for write-backs */
	struct media_bad *bad; /* [I] known bad ranges; NULL: cannot be known */
	_Atomic unsigned nbad; /* [a] how many; 0 lets everybody pass by */
};

/* Which granularity to use; tests force one (DESIGN.md 5.1). */
enum media_force {
	MEDIA_FORCE_NONE,
	MEDIA_FORCE_BYTE,
	MEDIA_FORCE_CACHE_LINE,
	MEDIA_FORCE_PAGE,
};

struct media_options {
	bool read_only;
	bool
	    allow_sparse; /* do not refuse a file with holes or copy-on-write */
	enum media_force force;
};

/* What the backing store is, for people and for identity checks. */
struct media_identity {
	uint64_t device; /* st_dev, or st_rdev of a block device */
	uint64_t inode;  /* 0 for a block device */
	bool is_block_device;
};

/*
 * Open and lock a file or block device.  The lock is exclusive unless
 * read_only is set (then shared), is held until close and is released by the
 * kernel when the process dies: flock and an open file description lock on
 * files, and O_EXCL on block devices, which is exclusive for readers too.
 * Bytes of the environment have no say (PMEM2_FORCE_GRANULARITY and kin are
 * removed from it before libpmem2 is used).
 *
 * The file's size must be stable and above zero.  Only a medium that will be
 * written to is refused for holes and the like.
 *
 * Errors: -EBUSY with the process that holds the lock; -EROFS for a write open
 * of a read-only medium; -EINVAL for what is neither file nor block device, or
 * empty; -EOPNOTSUPP for holes, shared extents or copy-on-write without
 * allow_sparse; what open(2), fsync(2) and mmap(2) say.
 *
 * Calls system functions that scan directories: control threads only.
 */
int media_open(const char *path, const struct media_options *options,
    struct media **ret_media, struct btt_error *error) BTT_MUST_CHECK;

/*
 * The same on an open descriptor, which the medium owns from now on, also when
 * an error is returned.  One of a block device was opened with O_EXCL.  path is
 * for messages.
 */
int media_open_fd(int fd, const char *path, const struct media_options *options,
    struct media **ret_media, struct btt_error *error) BTT_MUST_CHECK;

/*
 * The same for what a descriptor of open(2)'s O_PATH refers to, whatever has
 * become of its path meanwhile.  path_fd stays the caller's, path is for
 * messages.  Needs /proc.
 */
int media_open_at(int path_fd, const char *path,
    const struct media_options *options, struct media **ret_media,
    struct btt_error *error) BTT_MUST_CHECK;

/*
 * A descriptor as media_open_fd wants it, for one process to open and another
 * one to use.  A file is not locked yet.  It is returned, and the caller's; or
 * an error as of media_open.
 */
int media_open_backing(
    const char *path, bool read_only, struct btt_error *error) BTT_MUST_CHECK;

/*
 * What a descriptor refers to; one of O_PATH will do.
 * Errors: -EINVAL for what is neither file nor block device; as fstat(2).
 */
int media_identify(int fd, struct media_identity *ret_identity,
    struct btt_error *error) BTT_MUST_CHECK;

/*
 * Remove from the environment what libpmem2 would listen to.  Every open does
 * so, but the environment belongs to all threads: call it while there is one.
 */
int media_scrub_environment(void) BTT_MUST_CHECK;

/*
 * Would path be opened as persistent memory, without a page cache, unless that
 * is forced?  False also where that cannot be found out.  The same of what is
 * open for reading already.
 */
bool media_is_dax(const char *path);
bool media_is_dax_fd(int fd);

/* Anonymous memory, all zero; durable for as long as the process lives. */
int media_ram_new(uint64_t size, enum media_granularity granularity,
    struct media **ret_media) BTT_MUST_CHECK;

/* What media_open found out; false for RAM and simulated media. */
bool media_identity(const struct media *media, struct media_identity *ret_id);

/* Release the lock, the mapping and the descriptor.  NULL is fine. */
void media_close(struct media *media);

/*
 * Call fn(arg).  If it touches a page that the medium cannot supply (SIGBUS
 * anywhere in the thread while it runs), unwind it and return -EIO, else
 * return what it returned.  fn must not hold or take locks across the access
 * that faults unless its caller releases them after an error; it must leave
 * nothing allocated.  Does not nest.  Costs about 5 ns.
 *
 * The process must have called media_install_sigbus() once; a SIGBUS that is
 * raised outside of media_try() ends the process as it would without us.
 */
int media_try(int (*fn)(void *arg), void *arg) BTT_MUST_CHECK;
int media_install_sigbus(void) BTT_MUST_CHECK;
/*
 * One operation by itself in a media_try(): what it returns, or -EIO.  Visible
 * on return, not durable before a fence.
 */
int media_try_copy(struct media *media, uint64_t off, const void *src,
    size_t len) BTT_MUST_CHECK;
int
media_try_zero(struct media *media, uint64_t off, size_t len) BTT_MUST_CHECK;

/*
 * Bad ranges: what the medium itself reports when it is opened (libpmem2's
 * list, on media that have one), what turned out to be poisoned, and what
 * somebody has planted.  Counted in units of 512 bytes, of which a list has
 * room for MEDIA_BAD_MAX runs.
 *
 * media_is_bad costs a load or two while no range is known.
 * media_add_bad: -ENOTSUP for media that cannot know, -ENOSPC if the list is
 * full.
 * media_next_bad: the lowest known bad bytes between off and end, which are
 * cut off at end; false if there are none.  ret_off may be &off.
 * media_clear_bad: the range is overwritten with zeroes, durably, and good
 * again (btt-format.md 4.4); its content is lost, so the caller owns it.
 * -EIO where a bad unit reaches over an end of the range.
 */
#define MEDIA_BAD_MAX 256u
bool media_is_bad_listed(const struct media *media, uint64_t off, size_t len);
bool media_next_bad(const struct media *media, uint64_t off, uint64_t end,
    uint64_t *ret_off, uint64_t *ret_len);
int media_add_bad(struct media *media, uint64_t off, size_t len) BTT_MUST_CHECK;
int
media_clear_bad(struct media *media, uint64_t off, size_t len) BTT_MUST_CHECK;
/*
 * The halves of media_clear_bad, for who has something better than zeroes to
 * put there: have the medium take stores again; and, when they are durable,
 * take whole units off the list.
 */
int
media_mend_bad(struct media *media, uint64_t off, size_t len) BTT_MUST_CHECK;
int
media_forget_bad(struct media *media, uint64_t off, size_t len) BTT_MUST_CHECK;

/*
 * Planted damage: as bad as any, until it is cleared or taken back.  A latent
 * one is not known until somebody looks for it (media_notice_bad), as poison is
 * that nobody has touched; a write clears it all the same.  Errors as
 * media_add_bad.
 *
 * media_uninject_bad: what was planted is good again, and holds what it held.
 * media_notice_bad: what is latent in the range is known from now on; true if
 * there was any.
 * media_wants_clear: is the range bad, known or not?
 */
int media_inject_bad(struct media *media, uint64_t off, size_t len, bool latent)
    BTT_MUST_CHECK;
int media_uninject_bad(struct media *media, uint64_t off, size_t len)
    BTT_MUST_CHECK;
bool media_notice_bad(struct media *media, uint64_t off, size_t len);
bool media_wants_clear(const struct media *media, uint64_t off, size_t len);

/* Why a range is known to be bad from now on, or good. */
enum media_bad_change {
	MEDIA_BAD_FOUND,
	MEDIA_BAD_INJECTED,
	MEDIA_BAD_CLEARED, /* by what was written there */
	MEDIA_BAD_UNINJECTED,
};

/*
 * Who wants to know.  tell hears of each such change, in bytes, in the order in
 * which they happen.  keep is given the list as it is at first and after each
 * change, as bytes to be kept for media_restore_bad.  Each may be NULL.
 * Both are called with the list locked: they do not ask about it, do not wait,
 * and take leaves only.
 */
struct media_bad_watch {
	void (*tell)(void *arg, enum media_bad_change change, uint64_t off,
	    uint64_t len);
	void (*keep)(void *arg, const void *list, size_t bytes);
	void *arg;
};
/* From now on; NULL: nobody any more. */
void media_watch_bad(struct media *media, const struct media_bad_watch *watch);

/* Room for what keep is given. */
#define MEDIA_BAD_BYTES 8192u
/*
 * Add what was kept, by a program of the same version, planted ranges included.
 * It is kept again, but no watcher is told: nothing has become bad by it.  -EUCLEAN for what is no such list of this medium.
 */
int media_restore_bad(struct media *media, const void *list, size_t bytes)
    BTT_MUST_CHECK;

/*
 * Copy the list, as far as there is room for max ranges, in ascending order;
 * returns how many ranges it has.  They do not overlap.
 */
struct media_range {
	uint64_t off, len; /* bytes */
};
size_t media_list_bad(
    const struct media *media, struct media_range *ret_ranges, size_t max);
/* The same of what is planted: known, or latent. */
size_t media_list_injected(const struct media *media, bool latent,
    struct media_range *ret_ranges, size_t max);

static inline bool
media_knows_bad(const struct media *media)
{
	return atomic_load(&media->nbad) != 0;
}

static inline bool
media_is_bad(const struct media *media, uint64_t off, size_t len)
{
	return media_knows_bad(media) && media_is_bad_listed(media, off, len);
}

/*
 * Was the last -EIO of media_try in this thread a memory error (poison), and
 * not a page that is gone?  Then *ret_off is where, if it was on this medium.
 */
bool media_was_poison(const struct media *media, uint64_t *ret_off);

/* A caller that leaves the medium has not checked a number: our own bug. */
static inline void
media_assert_range(const struct media *media, uint64_t off, size_t len)
{
	assert(off <= media->size && len <= media->size - off);
}

/* 0, or the negative errno of the fence that failed, for ever. */
static inline int
media_failed(const struct media *media)
{
	return atomic_load_explicit(&media->failed, memory_order_relaxed);
}

/* 0 if the medium takes changes, else why not. */
static inline int
media_refusal(const struct media *media)
{
	return media->read_only ? -EROFS : media_failed(media);
}

/*
 * Stores through a mapping.  Release, so that who loads the word sees what was
 * copied before it.  What the read protocol needs beyond that is a fence where
 * a block becomes free (rtt.h); a sequentially consistent store is a locked
 * instruction here, which waits for every line that is being written back, as
 * a fence of the medium would.
 */
static inline void
media_put64(uint8_t *bytes, uint64_t off, struct le64 value)
{
	assert(off % sizeof(uint64_t) == 0);
	atomic_store_explicit((_Atomic uint64_t *)(void *)(bytes + off),
	    value.raw, memory_order_release);
}

static inline void
media_put32(uint8_t *bytes, uint64_t off, struct le32 value)
{
	assert(off % sizeof(uint32_t) == 0);
	atomic_store_explicit((_Atomic uint32_t *)(void *)(bytes + off),
	    value.raw, memory_order_release);
}

static inline int
media_copy(struct media *media, uint64_t off, const void *src, size_t len)
{
	return media->ops->copy(media, off, src, len);
}

static inline int
media_zero(struct media *media, uint64_t off, size_t len)
{
	return media->ops->zero(media, off, len);
}

/* off is a multiple of 8. */
static inline int
media_store64(struct media *media, uint64_t off, struct le64 value)
{
	int r;

	if (media->words == NULL)
		return media->ops->store64(media, off, value);
	media_assert_range(media, off, sizeof(value));
	if ((r = media_refusal(media)) == 0)
		media_put64(media->words, off, value);
	return r;
}

/* off is a multiple of 4. */
static inline int
media_store32(struct media *media, uint64_t off, struct le32 value)
{
	int r;

	if (media->words == NULL)
		return media->ops->store32(media, off, value);
	media_assert_range(media, off, sizeof(value));
	if ((r = media_refusal(media)) == 0)
		media_put32(media->words, off, value);
	return r;
}

static inline int
media_flush(struct media *media, uint64_t off, size_t len)
{
	int r;

	if (media->words == NULL)
		return media->ops->flush(media, off, len);
	media_assert_range(media, off, len);
	if ((r = media_refusal(media)) == 0)
		media->write_back(media->words + off, len);
	return r;
}

/* Is that a lock of this medium?  For telling whose lock is held for long. */
static inline bool
media_has_lock(const struct media *media, const void *lock)
{
	return media->ops->has_lock != NULL &&
	    media->ops->has_lock(media, lock);
}

static inline int
media_fence(struct media *media)
{
	if (media->words == NULL)
		return media->ops->fence(media);
	media->drain();
	return media_failed(media);
}

/*
 * Aligned load through the mapping.  Sequentially consistent, as the read
 * protocol wants it (rtt.h).  Inside media_try() only.
 */
static inline uint32_t
media_load32(const struct media *media, uint64_t off)
{
	const _Atomic uint32_t *word;

	word = (const _Atomic uint32_t *)(const void *)(media->base + off);
	return le32_decode((struct le32){ atomic_load(word) });
}

/* Bytes through the mapping.  Inside media_try() only. */
static inline const void *
media_at(const struct media *media, uint64_t off)
{
	return media->base + off;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media_page -- a medium behind the system's page cache: ordinary files and
 * block devices.
 *
 * Read through a mapping, changed by pwrite(), made durable by fdatasync().
 * A store through the mapping would make the system write the whole large
 * folio around it back (0.8 MB for 4 KiB, measured), and a lack of space would
 * be a SIGBUS; pwrite() dirties 4 KiB and returns an error.
 *
 * Measured and left out (ext4, virtio disk):
 *  - MADV_RANDOM: cold random reads 70 us instead of 235, but cold sequential
 *    ones 50 MB/s instead of 650 to 2000.
 *  - starting write-back in flush, by sync_file_range(): no gain that stands
 *    out of the noise with 1, 8 and 64 scattered pages a sync.  flush is empty.
 *  - FALLOC_FL_ZERO_RANGE: faster for large ranges, but each later overwrite
 *    has to convert an extent: 250 us with its sync instead of 145.
 *
 * One sync at a time.  The system reports a failed write-back to one fdatasync()
 * of a descriptor: of two that run at once, the other returns 0 for data that
 * is lost (measured; check_media_root tries it).  Concurrent fences
 * therefore cost each other time; the engine's groups have one leader.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <lanes/sync.h>

#include "media_impl.h"

#define ZERO_BYTES 4096u
#define ZERO_IOVECS 64u

static const uint8_t zero_page[ZERO_BYTES];

/* Below every lock that is held over a fence; see the ranks in arena.c. */
static const struct lock_class sync_class = { "media-sync", 78,
	LOCK_MAY_SLEEP | LOCK_LEAF | LOCK_WATCHED };

/* Keys: I immutable after open. */
struct media_page {
	struct media_file file;
	/* [I] no holes at open: one that is seen later is lost data */
	bool had_all_blocks;
	struct mutex sync_lock; /* taken last, held over fdatasync */
};

static struct media_page *
page_of(struct media *media)
{
	return (struct media_page *)media;
}

/* All of it, or an error. */
static int
write_fully(int fd, const void *src, size_t len, uint64_t off)
{
	const uint8_t *from = src;
	ssize_t n;

	while (len > 0) {
		n = SYNC_SLEEPS(pwrite(fd, from, len, (off_t)off));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		from += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int
page_copy(struct media *media, uint64_t off, const void *src, size_t len)
{
	int r;

	media_assert_range(media, off, len);
	if ((r = media_refusal(media)) < 0)
		return r;
	media_note_copy(media, off, len);
	return write_fully(page_of(media)->file.backing.fd, src, len, off);
}

/* One page of zeroes, as often as len asks for and one call takes. */
static ssize_t
write_zeroes(int fd, size_t len, uint64_t off)
{
	struct iovec iov[ZERO_IOVECS];
	size_t part;
	int n;

	for (n = 0; n < (int)ZERO_IOVECS && len > 0; n++, len -= part) {
		part = len < ZERO_BYTES ? len : ZERO_BYTES;
		iov[n].iov_base = (void *)(uintptr_t)zero_page;
		iov[n].iov_len = part;
	}
	return SYNC_SLEEPS(pwritev(fd, iov, n, (off_t)off));
}

static int
page_zero(struct media *media, uint64_t off, size_t len)
{
	int fd = page_of(media)->file.backing.fd;
	ssize_t n;
	int r;

	media_assert_range(media, off, len);
	if ((r = media_refusal(media)) < 0)
		return r;
	media_note_copy(media, off, len);
	while (len > 0) {
		n = write_zeroes(fd, len, off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/*
 * Whole or not there, to readers of the mapping as well: the system copies
 * eight aligned bytes with one store.  (Four it copies one by one on an x86
 * without fast short "rep movsb": readers saw one value in fourteen torn.)
 *
 * Sequentially consistent too: the system releases the inode's lock after the
 * store, and no later seq-cst load of the caller passes that.
 */
static int
page_store64(struct media *media, uint64_t off, struct le64 value)
{
	int r;

	media_assert_range(media, off, sizeof(value));
	assert(off % sizeof(value) == 0);
	if ((r = media_refusal(media)) < 0)
		return r;
	media_note_store(media, off);
	return write_fully(
	    page_of(media)->file.backing.fd, &value, sizeof(value), off);
}

/*
 * With its neighbour, see above.  media.h keeps others from changing that one
 * meanwhile.  A crash here is harmless: the neighbour is written as it is.
 */
static int
page_store32(struct media *media, uint64_t off, struct le32 value)
{
	uint64_t pair_off = off - off % sizeof(uint64_t);
	struct le32 pair[2];
	int r;

	media_assert_range(media, off, sizeof(value));
	assert(off % sizeof(value) == 0);
	if ((r = media_refusal(media)) < 0)
		return r;
	media_note_store(media, off);
	/* The last four bytes of an odd size have no neighbour, and no use. */
	if (sizeof(pair) > media->size - pair_off)
		return write_fully(page_of(media)->file.backing.fd, &value,
		    sizeof(value), off);
	pair[0] = le32_encode(media_load32(media, pair_off));
	pair[1] = le32_encode(media_load32(media, pair_off + sizeof(value)));
	pair[off == pair_off ? 0 : 1] = value;
	return write_fully(
	    page_of(media)->file.backing.fd, pair, sizeof(pair), pair_off);
}

static int
page_flush(struct media *media, uint64_t off, size_t len)
{
	media_assert_range(media, off, len);
	return media_refusal(media);
}

static bool
has_all_blocks(const struct stat *st, uint64_t size)
{
	return (uint64_t)st->st_blocks >= (size + 511) / 512;
}

/*
 * Is everything still there?  The system says yes to a sync of a file that was
 * truncated under us, and of one that our own later writes made long again:
 * that one has lost blocks.  (Where holes were there from the start, only a
 * file that is still shorter gives itself away.)
 */
static int
check_whole(const struct media_page *page)
{
	const struct media_backing *backing = &page->file.backing;
	struct stat st;
	uint64_t size;
	int r;

	if (backing->identity.is_block_device) {
		r = media_backing_size(backing, &size);
		return r == 0 && size < backing->size ? -EIO : r;
	}
	if (fstat(backing->fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < backing->size)
		return -EIO;
	if (page->had_all_blocks && !has_all_blocks(&st, backing->size))
		return -EIO;
	return 0;
}

/*
 * Nothing is retried: after a failure the system may have dropped the pages,
 * and would call the next sync a success.  (EINTR is no failure: the sync has
 * not come to an end.)  The size is looked at last, so that a truncation
 * during the sync is seen too.
 */
static int
sync_once(struct media_page *page)
{
	int r;

	do {
		r = SYNC_SLEEPS(fdatasync(page->file.backing.fd)) < 0 ? -errno
								      : 0;
	} while (r == -EINTR);
	return r < 0 ? r : check_whole(page);
}

static int
page_fence(struct media *media)
{
	struct media_page *page = page_of(media);
	int r;

	if (media->read_only)
		return 0;
	mutex_lock(&page->sync_lock);
	if ((r = media_failed(media)) == 0 && (r = sync_once(page)) < 0)
		atomic_store(&media->failed, r);
	mutex_unlock(&page->sync_lock);
	return r;
}

static void
page_close(struct media *media)
{
	struct media_page *page = page_of(media);

	/* A mapping of ours; and the fences have reported all there is. */
	(void)munmap((void *)(uintptr_t)media->base, media->size);
	(void)close(page->file.backing.fd);
	mutex_fini(&page->sync_lock);
	free(page);
}

static bool
page_has_lock(const struct media *media, const void *lock)
{
	return lock == &((const struct media_page *)media)->sync_lock;
}

const struct media_ops media_page_ops = {
	.copy = page_copy,
	.zero = page_zero,
	.store64 = page_store64,
	.store32 = page_store32,
	.flush = page_flush,
	.fence = page_fence,
	.has_lock = page_has_lock,
	.close = page_close,
};

int
media_page_new(const struct media_backing *backing, struct media **ret_media,
    struct btt_error *error)
{
	struct media_page *page;
	struct media *media;
	struct stat st;
	void *base;
	int r;

	if (fstat(backing->fd, &st) < 0)
		return -errno;
	if ((page = calloc(1, sizeof(*page))) == NULL)
		return btt_error_set(error, -ENOMEM, "out of memory");
	base = mmap(NULL, backing->size, PROT_READ, MAP_SHARED, backing->fd, 0);
	if (base == MAP_FAILED) {
		r = -errno;
		free(page);
		return media_system_error(error, r, "cannot be mapped");
	}
	page->file.backing = *backing;
	page->had_all_blocks = !backing->identity.is_block_device &&
	    has_all_blocks(&st, backing->size);
	mutex_init(&page->sync_lock, &sync_class);
	media = &page->file.media;
	media->ops = &media_page_ops;
	media->base = base;
	media->size = backing->size;
	media->granularity = MEDIA_PAGE;
	media->read_only = backing->read_only;
	if ((r = media_bad_init(media)) < 0) {
		(void)munmap(base, backing->size);
		mutex_fini(&page->sync_lock);
		free(page);
		return btt_error_set(error, r, "out of memory");
	}
	*ret_media = media;
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media_pmem2 -- a medium that the processor writes to by itself: persistent
 * memory, through libpmem2.
 *
 * libpmem2 chooses the instructions (clwb, clflushopt, non-temporal copies)
 * for the processor it finds.  It is not used where a page cache lies between:
 * there it would sync for us, and abort the process when that fails.
 *
 * A drain is an sfence on both granularities.  Non-temporal copies stay in the
 * write-combining buffers without one, also where caches are persistent.
 *
 * Nothing here fails once it is open, but touching a page can raise SIGBUS.
 */
#include <errno.h>
#include <libpmem2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "media_impl.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_LEAK_CHECK
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_LEAK_CHECK
#endif
#endif
#ifdef HAS_LEAK_CHECK
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_disable() ((void)0)
#define __lsan_enable() ((void)0)
#endif

/* Past the caches: a copied block is not read again soon. */
#define COPY_FLAGS (PMEM2_F_MEM_NODRAIN | PMEM2_F_MEM_NONTEMPORAL)

/* Keys: I immutable after open. */
struct media_pmem2 {
	struct media_file file;
	struct pmem2_map *map; /* [I] */
	uint8_t *bytes;        /* [I] media.base for those who write */
	bool maps_itself;      /* [I] munmap is our business */
	pmem2_memcpy_fn copy;  /* [I] */
	pmem2_memset_fn set;   /* [I] */
};

static struct media_pmem2 *
pmem2_of(struct media *media)
{
	return (struct media_pmem2 *)media;
}

static int
pmem2_copy(struct media *media, uint64_t off, const void *src, size_t len)
{
	struct media_pmem2 *pmem2 = pmem2_of(media);
	int r;

	media_assert_range(media, off, len);
	if ((r = media_refusal(media)) < 0)
		return r;
	media_note_copy(media, off, len);
	pmem2->copy(pmem2->bytes + off, src, len, COPY_FLAGS);
	return 0;
}

static int
pmem2_zero(struct media *media, uint64_t off, size_t len)
{
	struct media_pmem2 *pmem2 = pmem2_of(media);
	int r;

	media_assert_range(media, off, len);
	if ((r = media_refusal(media)) < 0)
		return r;
	media_note_copy(media, off, len);
	pmem2->set(pmem2->bytes + off, 0, len, COPY_FLAGS);
	return 0;
}

static void
pmem2_close(struct media *media)
{
	struct media_pmem2 *pmem2 = pmem2_of(media);

	if (pmem2->map != NULL)
		(void)pmem2_map_delete(&pmem2->map); /* ours: cannot fail */
	if (pmem2->maps_itself)
		(void)munmap(pmem2->bytes, media->size); /* likewise */
	if (pmem2->file.backing.fd >= 0)
		(void)close(pmem2->file.backing.fd); /* fences have reported */
	free(pmem2);
}

/* What libpmem2 returned as an errno of ours. */
static int
system_error_of(int code)
{
	return code > PMEM2_E_UNKNOWN ? code : -EIO;
}

/* libpmem2's iterator over the bad blocks of the backing store. */
static int
open_badblocks(struct media_pmem2 *pmem2, struct pmem2_badblock_context **ret)
{
	struct pmem2_source *source = NULL;
	int r;

	r = pmem2_source_from_fd(&source, pmem2->file.backing.fd);
	if (r < 0)
		return system_error_of(r);
	if ((r = pmem2_badblock_context_new(ret, source)) < 0)
		r = system_error_of(r);
	(void)pmem2_source_delete(&source); /* cannot fail */
	return r;
}

/* Before anybody reads (CP-7).  Media without such a list have none. */
static int
load_badblocks(struct media_pmem2 *pmem2)
{
	struct pmem2_badblock_context *context = NULL;
	struct media *media = &pmem2->file.media;
	struct pmem2_badblock block;
	int r = 0;

	if (open_badblocks(pmem2, &context) < 0)
		return 0;
	while (r == 0 && pmem2_badblock_next(context, &block) == 0) {
		if (block.offset >= media->size)
			continue;
		if (block.length > media->size - block.offset)
			block.length = media->size - block.offset;
		r = media_add_bad(media, block.offset, block.length);
	}
	pmem2_badblock_context_delete(&context);
	return r;
}

/*
 * Ask the driver to clear poison; the zeroes that follow are ours.  This
 * allocates and asks the system, on the path of a write: of one to a block
 * that is bad, which there is once for each.
 */
static int
pmem2_clear_bad(struct media *media, uint64_t off, size_t len)
{
	struct pmem2_badblock block = { .offset = off, .length = len };
	struct pmem2_badblock_context *context = NULL;
	int r;

	/* No such list: the medium is cleared by being written. */
	if (open_badblocks(pmem2_of(media), &context) < 0)
		return 0;
	r = pmem2_badblock_clear(context, &block);
	pmem2_badblock_context_delete(&context);
	return r < 0 ? system_error_of(r) : 0;
}

const struct media_ops media_pmem2_ops = {
	.copy = pmem2_copy,
	.zero = pmem2_zero,
	.clear_bad = pmem2_clear_bad,
	.close = pmem2_close,
};

/* The same, with libpmem2's own words. */
static int
pmem2_error(struct btt_error *error, int code)
{
	/* Its own codes are far below all of the system's. */
	int r = system_error_of(code);

	if (code == PMEM2_E_NOSUPP || code == PMEM2_E_GRANULARITY_NOT_SUPPORTED)
		r = -EOPNOTSUPP;
	return btt_error_set(
	    error, r, "cannot be mapped by libpmem2: %s", pmem2_errormsg());
}

bool
media_backing_is_dax(const struct media_backing *backing)
{
	long page_bytes = sysconf(_SC_PAGESIZE);
	void *trial;

	/* The system grants MAP_SYNC where a flushed store is durable. */
	trial = mmap(NULL, (size_t)page_bytes, PROT_READ,
	    MAP_SHARED_VALIDATE | MAP_SYNC, backing->fd, 0);
	if (trial == MAP_FAILED)
		return false;
	(void)munmap(trial, (size_t)page_bytes); /* ours: cannot fail */
	return true;
}

/*
 * Let libpmem2 map a DAX file and find out whether the caches are persistent.
 * A page granularity, which would be the wrong implementation, is refused.
 */
static int
map_dax(struct media_pmem2 *pmem2, struct btt_error *error)
{
	const struct media_backing *backing = &pmem2->file.backing;
	struct pmem2_config *config = NULL;
	struct pmem2_source *source = NULL;
	unsigned protection = PMEM2_PROT_READ;
	int r;

	if (!backing->read_only)
		protection |= PMEM2_PROT_WRITE;
	if ((r = pmem2_config_new(&config)) < 0 ||
	    (r = pmem2_config_set_required_store_granularity(
		 config, PMEM2_GRANULARITY_CACHE_LINE)) < 0 ||
	    (r = pmem2_config_set_protection(config, protection)) < 0 ||
	    (r = pmem2_source_from_fd(&source, backing->fd)) < 0 ||
	    (r = pmem2_map_new(&pmem2->map, config, source)) < 0)
		r = pmem2_error(error, r);
	else if (pmem2_map_get_size(pmem2->map) < backing->size)
		r = btt_error_set(
		    error, -EBUSY, "became shorter while it was opened");
	(void)pmem2_source_delete(&source); /* these two cannot fail */
	(void)pmem2_config_delete(&config);
	if (r == 0)
		pmem2->bytes = pmem2_map_get_address(pmem2->map);
	return r;
}

/*
 * Map the backing store ourselves and have libpmem2 take it for persistent
 * memory, whatever it is: it refuses a file without DAX and any block device.
 * To it the mapping is anonymous, of which it asks nothing.
 */
static int
map_forced(struct media_pmem2 *pmem2, enum pmem2_granularity granularity,
    struct btt_error *error)
{
	const struct media_backing *backing = &pmem2->file.backing;
	int protection =
	    backing->read_only ? PROT_READ : PROT_READ | PROT_WRITE;
	struct pmem2_source *source = NULL;
	void *bytes;
	int r;

	bytes =
	    mmap(NULL, backing->size, protection, MAP_SHARED, backing->fd, 0);
	if (bytes == MAP_FAILED) {
		r = -errno;
		return media_system_error(error, r, "cannot be mapped");
	}
	pmem2->bytes = bytes;
	pmem2->maps_itself = true;
	/* libpmem2 1.12 forgets 144 bytes of its own for each such mapping. */
	__lsan_disable();
	if ((r = pmem2_source_from_anon(&source, backing->size)) < 0 ||
	    (r = pmem2_map_from_existing(
		 &pmem2->map, source, bytes, backing->size, granularity)) < 0)
		r = pmem2_error(error, r);
	__lsan_enable();
	(void)pmem2_source_delete(&source); /* cannot fail */
	return r;
}

int
media_pmem2_new(const struct media_backing *backing, enum media_force force,
    struct media **ret_media, struct btt_error *error)
{
	struct media_pmem2 *pmem2;
	struct media *media;
	int r;

	assert(force != MEDIA_FORCE_PAGE);
	if ((pmem2 = calloc(1, sizeof(*pmem2))) == NULL)
		return btt_error_set(error, -ENOMEM, "out of memory");
	media = &pmem2->file.media;
	media->ops = &media_pmem2_ops;
	media->size = backing->size;
	media->read_only = backing->read_only;
	pmem2->file.backing = *backing;
	if (force == MEDIA_FORCE_NONE)
		r = map_dax(pmem2, error);
	else
		r = map_forced(pmem2,
		    force == MEDIA_FORCE_BYTE ? PMEM2_GRANULARITY_BYTE
					      : PMEM2_GRANULARITY_CACHE_LINE,
		    error);
	if (r < 0)
		goto fail;
	media->base = pmem2->bytes;
	media->granularity = MEDIA_CACHE_LINE;
	if (pmem2_map_get_store_granularity(pmem2->map) ==
	    PMEM2_GRANULARITY_BYTE)
		media->granularity = MEDIA_BYTE;
	pmem2->copy = pmem2_get_memcpy_fn(pmem2->map);
	pmem2->set = pmem2_get_memset_fn(pmem2->map);
	media->words = pmem2->bytes;
	media->write_back = pmem2_get_flush_fn(pmem2->map);
	media->drain = pmem2_get_drain_fn(pmem2->map);
	if ((r = media_bad_init(media)) < 0)
		goto fail;
	if (force == MEDIA_FORCE_NONE && (r = load_badblocks(pmem2)) < 0) {
		(void)btt_error_set(error, r, "more bad blocks than we keep");
		goto fail;
	}
	*ret_media = media;
	return 0;

fail:
	media_bad_fini(media);
	pmem2->file.backing.fd = -1; /* the caller's */
	pmem2_close(media);
	return r;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * subject_pmemblk -- libpmemblk where it is installed, found at run time so
 * that the build needs nothing of it.  The prototypes are its public ones.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "bench.h"

struct pmemblk {
	const struct bed *bed;
	void *library;
	void *pool;
	size_t (*nblock)(void *pool);
	int (*read)(void *pool, void *buf, long long block);
	int (*write)(void *pool, const void *buf, long long block);
	void (*close)(void *pool);
};

static bool
find(void *library, const char *name, void *ret_fn)
{
	void *symbol = dlsym(library, name);

	/* dlsym's way of returning functions, without a cast C forbids. */
	*(void **)ret_fn = symbol;
	return symbol != NULL;
}

static void *
pmemblk_open_pool(const struct bed *bed)
{
	void *(*create)(const char *, size_t, size_t, mode_t);
	struct pmemblk *blk;
	char path[256];
	int fd;

	/* Read once, when the library is loaded. */
	(void)setenv("PMEM_IS_PMEM_FORCE",
	    bed->force == MEDIA_FORCE_PAGE ? "0" : "1", 1);
	(void)setenv(
	    "PMEM_NO_FLUSH", bed->force == MEDIA_FORCE_BYTE ? "1" : "0", 1);
	blk = calloc(1, sizeof(*blk));
	blk->bed = bed;
	blk->library = dlopen("libpmemblk.so.1", RTLD_NOW | RTLD_LOCAL);
	if (blk->library == NULL)
		goto fail;
	if (!find(blk->library, "pmemblk_create", (void *)&create) ||
	    !find(blk->library, "pmemblk_nblock", (void *)&blk->nblock) ||
	    !find(blk->library, "pmemblk_read", (void *)&blk->read) ||
	    !find(blk->library, "pmemblk_write", (void *)&blk->write) ||
	    !find(blk->library, "pmemblk_close", (void *)&blk->close))
		goto fail;
	if ((fd = bench_file(bed, path, sizeof(path))) < 0)
		goto fail;
	(void)close(fd);
	/* Size 0: that of the file, which is all zero. */
	blk->pool = create(path, bed->sector, 0, 0600);
	(void)unlink(path);
	if (blk->pool != NULL)
		return blk;
fail:
	if (blk->library != NULL)
		(void)dlclose(blk->library);
	free(blk);
	return NULL;
}

static int
pmemblk_read_blocks(
    void *state, unsigned thread, uint64_t off, size_t len, void *buf)
{
	struct pmemblk *blk = state;
	uint32_t sector = blk->bed->sector;
	int r = 0;

	(void)thread;
	for (uint32_t i = 0; i < len / sector; i++)
		r |= blk->read(blk->pool, (char *)buf + (size_t)i * sector,
		    (long long)(off / sector + i));
	return r;
}

static int
pmemblk_write_blocks(
    void *state, unsigned thread, uint64_t off, size_t len, const void *buf)
{
	struct pmemblk *blk = state;
	uint32_t sector = blk->bed->sector;
	int r = 0;

	(void)thread;
	for (uint32_t i = 0; i < len / sector; i++)
		r |= blk->write(blk->pool,
		    (const char *)buf + (size_t)i * sector,
		    (long long)(off / sector + i));
	return r;
}

static uint64_t
pmemblk_size(void *state)
{
	struct pmemblk *blk = state;

	return (uint64_t)blk->nblock(blk->pool) * blk->bed->sector;
}

static void
pmemblk_close_pool(void *state)
{
	struct pmemblk *blk = state;

	blk->close(blk->pool);
	(void)dlclose(blk->library);
	free(blk);
}

const struct subject subject_pmemblk = { .name = "libpmemblk",
	.open = pmemblk_open_pool,
	.read = pmemblk_read_blocks,
	.write = pmemblk_write_blocks,
	.size = pmemblk_size,
	.close = pmemblk_close_pool };

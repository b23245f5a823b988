/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sector.h"
#include "storm_table.h"

#define HEADER_BYTES 4096u

static const char magic[16] = "bttfs storm 1\n";

struct table_header {
	char magic[16];
	uint64_t nsector;
	uint32_t sector_bytes;
};

static size_t
table_bytes(uint64_t nsector)
{
	return HEADER_BYTES + nsector * sizeof(struct table_entry);
}

static bool
header_fits(
    const struct table_header *header, uint64_t nsector, uint32_t sector_bytes)
{
	return memcmp(header->magic, magic, sizeof(magic)) == 0 &&
	    header->nsector == nsector && header->sector_bytes == sector_bytes;
}

static int
map(int fd, struct table *table)
{
	struct stat st;
	uint8_t *base;
	bool is_new;

	if (fstat(fd, &st) < 0)
		return -errno;
	is_new = st.st_size == 0;
	if (is_new && ftruncate(fd, (off_t)table_bytes(table->nsector)) < 0)
		return -errno;
	if (!is_new && (uint64_t)st.st_size != table_bytes(table->nsector))
		return -EINVAL;
	base = mmap(NULL, table_bytes(table->nsector), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	table->header = (struct table_header *)(void *)base;
	table->entries = (struct table_entry *)(void *)(base + HEADER_BYTES);
	if (is_new) {
		memcpy(table->header->magic, magic, sizeof(magic));
		table->header->nsector = table->nsector;
		table->header->sector_bytes = table->sector_bytes;
	}
	if (header_fits(table->header, table->nsector, table->sector_bytes))
		return 0;
	table_close(table);
	return -EINVAL;
}

int
table_open(const char *path, uint64_t nsector, uint32_t sector_bytes,
    struct table *ret_table)
{
	struct table table = {
		.nsector = nsector,
		.sector_bytes = sector_bytes,
	};
	int fd, r;

	if ((fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0)
		return -errno;
	r = map(fd, &table);
	(void)close(fd); /* the mapping stays */
	if (r == 0)
		*ret_table = table;
	return r;
}

void
table_close(struct table *table)
{
	(void)munmap(table->header, table_bytes(table->nsector));
}

uint32_t
table_sector_bytes(const char *path)
{
	struct table_header header;
	ssize_t n;
	int fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return 0;
	n = read(fd, &header, sizeof(header));
	(void)close(fd); /* it was only read */
	if (n != (ssize_t)sizeof(header) ||
	    memcmp(header.magic, magic, sizeof(magic)) != 0)
		return 0;
	return header.sector_bytes;
}

bool
table_generation_is_zero(uint64_t lba, uint32_t generation)
{
	return generation == 0 || sector_mix(generation, lba) % 4 == 0;
}

uint32_t
table_intend(struct table *table, uint64_t lba, bool zero)
{
	struct table_entry *entry;
	uint32_t generation;

	entry = &table->entries[lba];
	generation = atomic_load(&entry->intent);
	do {
		generation++;
	} while (table_generation_is_zero(lba, generation) != zero);
	atomic_store(&entry->intent, generation);
	return generation;
}

/* The newest generation of zeroes that may be there, if one may. */
static const char *
judge_zero(const struct table *table, uint64_t lba, uint32_t low, uint32_t high,
    uint32_t *ret_generation)
{
	const struct table_entry *entry;
	uint32_t generation;

	entry = &table->entries[lba];
	for (generation = high; generation > entry->base; generation--) {
		if (generation < low)
			return "zero, which is older than it may be";
		if (table_generation_is_zero(lba, generation)) {
			*ret_generation = generation;
			return NULL;
		}
	}
	if (entry->settled < low ||
	    !table_generation_is_zero(lba, entry->settled))
		return "zero, which it never was";
	*ret_generation = entry->settled;
	return NULL;
}

const char *
table_judge(const struct table *table, uint64_t lba, const uint8_t *buf,
    uint32_t low, uint32_t high, uint32_t *ret_generation)
{
	const struct table_entry *entry;
	struct sector_id id;

	entry = &table->entries[lba];
	switch (sector_judge(buf, table->sector_bytes, &id)) {
	case SECTOR_ZERO:
		return judge_zero(table, lba, low, high, ret_generation);
	case SECTOR_TORN:
		return "torn";
	case SECTOR_ALIEN:
		return "nothing that was written";
	case SECTOR_WHOLE:
		break;
	}
	if (id.lba != lba)
		return "what was written to another sector";
	if (id.generation < low)
		return "older than it may be";
	if (id.generation > high)
		return "newer than what was written";
	if (id.generation <= entry->base && id.generation != entry->settled)
		return "a write that an earlier crash had lost";
	*ret_generation = (uint32_t)id.generation;
	return NULL;
}

void
table_settle(struct table *table, uint64_t lba, uint32_t generation)
{
	struct table_entry *entry;

	entry = &table->entries[lba];
	entry->base = atomic_load(&entry->intent);
	entry->settled = generation;
	atomic_store(&entry->acked, generation);
	atomic_store(&entry->synced, generation);
}

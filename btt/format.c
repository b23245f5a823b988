/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * format -- creating a BTT.
 *
 * Four steps with fences between them; what a crash in each leaves:
 *
 *	old info blocks := 0	the old BTT, or none
 *	maps, logs		none: nothing is where one starts
 *	info blocks, from the	none, until the first arena's backup is there:
 *	last arena's to the	from then on what we open, by that backup, is
 *	first, backups first	whole, and others see it with the last block
 *	of a pool: descriptor,	none, until the header is there
 *	then header
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <btt/label.h>

#include "flog.h"
#include "hook.h"
#include "layout.h"
#include "probe.h"

/* Internal blocks start at multiples of it: the kernel's, and PMDK's. */
#define BLOCK_ALIGN 64u
#define BLOCK_ALIGN_POOL 256u
/* Bytes changed by one operation, and between two reports of progress. */
#define ZERO_BYTES (UINT64_C(2) << 20)
#define LOG_BYTES (UINT64_C(64) << 10)

/* What will be written where. */
struct plan {
	const struct btt_create_options *options;
	uint64_t start; /* of the first arena */
	uint64_t raw_bytes;
	uint32_t narena;
	uint64_t nsector;
};

static uint64_t
plan_start(enum btt_layout layout)
{
	switch (layout) {
	case BTT_LAYOUT_V11:
		return BTT_V11_OFFSET;
	case BTT_LAYOUT_V20:
		return 0;
	case BTT_LAYOUT_POOL:
		return BTT_POOL_OFFSET;
	}
	return 0;
}

/* Of an arena of that size, numbers and offsets only. */
static int
plan_geometry(const struct btt_create_options *options, uint64_t arena_bytes,
    struct btt_info *ret_info)
{
	bool is_pool = options->layout == BTT_LAYOUT_POOL;
	int r;

	r = btt_geometry(arena_bytes, options->sector_bytes, options->nfree,
	    is_pool ? BLOCK_ALIGN_POOL : BLOCK_ALIGN, ret_info);
	/* libpmemblk wants no more free blocks than others (8.1). */
	if (r == 0 && is_pool && ret_info->external_nlba < options->nfree)
		return -ENOSPC;
	return r;
}

/* All arenas but the last are as long as can be (1.6). */
static uint64_t
plan_arena_off(const struct plan *plan, uint32_t index)
{
	return plan->start + index * BTT_ARENA_MAX_BYTES;
}

static int
plan_arena(const struct plan *plan, uint32_t index, struct btt_info *ret_info)
{
	const struct btt_create_options *options = plan->options;
	struct btt_info info = { 0 };
	int r;

	r = plan_geometry(
	    options, btt_arena_bytes(plan->raw_bytes, index), &info);
	if (r < 0)
		return r;
	memcpy(info.uuid, options->uuid, sizeof(info.uuid));
	memcpy(
	    info.parent_uuid, options->parent_uuid, sizeof(info.parent_uuid));
	info.major = options->layout == BTT_LAYOUT_V20 ? 2 : 1;
	info.minor = options->layout == BTT_LAYOUT_V20 ? 0 : 1;
	if (index + 1 < plan->narena)
		info.nextoff = info.info2off + BTT_INFO_BYTES;
	*ret_info = info;
	return 0;
}

static int
check_options(const struct btt_create_options *options, struct btt_error *error)
{
	if (options->layout != BTT_LAYOUT_V11 &&
	    options->layout != BTT_LAYOUT_V20 &&
	    options->layout != BTT_LAYOUT_POOL)
		return btt_error_set(
		    error, -EINVAL, "this layout cannot be created");
	if (options->layout == BTT_LAYOUT_POOL &&
	    options->nfree != BTT_NFREE_DEFAULT)
		return btt_error_set(error, -EINVAL,
		    "a pool has %u free blocks", BTT_NFREE_DEFAULT);
	if (!btt_sector_size_known(options->sector_bytes))
		return btt_error_set(error, -EINVAL,
		    "sectors of %u bytes are not supported",
		    options->sector_bytes);
	if (options->nfree < BTT_NFREE_DEFAULT ||
	    options->nfree > BTT_NFREE_MAX)
		return btt_error_set(error, -EINVAL,
		    "%u free blocks: not between %u and %u", options->nfree,
		    BTT_NFREE_DEFAULT, BTT_NFREE_MAX);
	return 0;
}

/* The smallest medium on which there is one sector. */
static uint64_t
least_bytes(const struct plan *plan)
{
	uint64_t low = BTT_ARENA_MIN_BYTES;
	uint64_t high = BTT_ARENA_MAX_BYTES;

	while (low < high) {
		uint64_t middle =
		    (low + high) / 2 - (low + high) / 2 % BTT_ALIGN;
		struct btt_info info;

		if (plan_geometry(plan->options, middle, &info) == 0)
			high = middle;
		else
			low = middle + BTT_ALIGN;
	}
	return plan->start + low;
}

static int
make_plan(uint64_t media_bytes, const struct btt_create_options *options,
    struct plan *ret_plan, struct btt_error *error)
{
	struct plan plan = { .options = options };
	int r;

	if ((r = check_options(options, error)) < 0)
		return r;
	plan.start = plan_start(options->layout);
	if (media_bytes > plan.start)
		plan.raw_bytes = media_bytes - plan.start;
	for (;;) {
		struct btt_info info;

		/*
		 * A last arena that has no room for its free blocks is left
		 * out, like one that is too short.
		 */
		if (plan_arena(&plan, plan.narena, &info) < 0)
			break;
		if (plan.narena == BTT_ARENA_MAX)
			return btt_error_set(error, -EINVAL,
			    "more than %u arenas", BTT_ARENA_MAX);
		plan.nsector += info.external_nlba;
		plan.narena++;
	}
	if (plan.narena == 0)
		return btt_error_set(error, -ENOSPC,
		    "sectors of %u bytes and %u free blocks need %" PRIu64
		    " bytes at least",
		    options->sector_bytes, options->nfree, least_bytes(&plan));
	*ret_plan = plan;
	return 0;
}

uint64_t
btt_create_nsector(uint64_t media_bytes,
    const struct btt_create_options *options, struct btt_error *error)
{
	struct plan plan;

	return make_plan(media_bytes, options, &plan, error) < 0 ? 0
								 : plan.nsector;
}

int
btt_create_info(uint64_t media_bytes, const struct btt_create_options *options,
    uint32_t index, uint64_t *ret_off, struct btt_info *ret_info,
    struct btt_error *error)
{
	struct plan plan;
	int r;

	if ((r = make_plan(media_bytes, options, &plan, error)) < 0)
		return r;
	if (index >= plan.narena)
		return btt_error_set(error, -ERANGE,
		    "%" PRIu64 " bytes hold %u arena%s, none of number %u",
		    media_bytes, plan.narena, plan.narena == 1 ? "" : "s",
		    index);
	*ret_off = plan_arena_off(&plan, index);
	return plan_arena(&plan, index, ret_info);
}

/* A creation under way. */
struct creation {
	struct media *media;
	const struct plan *plan;
	struct btt_error *error;
	uint64_t done; /* bytes, of maps and logs */
	uint64_t total;
};

static void
report_progress(struct creation *creation, uint64_t bytes)
{
	const struct btt_create_options *options = creation->plan->options;

	creation->done += bytes;
	if (options->progress != NULL)
		options->progress(
		    options->progress_arg, creation->done, creation->total);
}

/*
 * One change of the medium; src is NULL for zeroes.  Nothing else is guarded:
 * reports of progress may hold locks.
 */
static int
put(struct creation *creation, uint64_t off, const void *src, size_t len)
{
	struct media *media = creation->media;
	int r;

	r = src == NULL ? media_try_zero(media, off, len)
			: media_try_copy(media, off, src, len);
	if (r < 0)
		return btt_error_set(
		    creation->error, r, "writing at %" PRIu64 " failed", off);
	return 0;
}

static int
fence(struct creation *creation)
{
	int r;

	if ((r = media_fence(creation->media)) < 0)
		return btt_error_set(creation->error, r,
		    "what was written could not be made durable");
	return 0;
}

static int
erase_block(struct creation *creation, uint64_t off)
{
	uint64_t size = creation->media->size;

	if (off > size || BTT_INFO_BYTES > size - off)
		return 0;
	return put(creation, off, NULL, BTT_INFO_BYTES);
}

/*
 * Erase both copies of the info block that a BTT on the medium starts with,
 * and nothing else: what has an info block there in one layout has sectors, a
 * map or a log there in another, which must not go while it is still found.
 *
 * Returns 1 if there was one, 0 if there is none, or an error.
 */
static int
erase_found(struct creation *creation)
{
	struct btt_arena_place first;
	struct btt_probe probe;
	int r;

	if (btt_probe(creation->media, &probe, NULL) < 0)
		return 0;
	first = probe.arena[0];
	btt_probe_fini(&probe);
	if ((r = erase_block(creation, first.off)) < 0 ||
	    (r = erase_block(creation, first.off + first.info.info2off)) < 0)
		return r;
	if (!MUTANT(70) && (r = fence(creation)) < 0)
		return r;
	return 1;
}

/* Every place where probe may look for the info block of an arena at off. */
static int
erase_places(struct creation *creation, uint64_t off)
{
	uint64_t place[PROBE_NBACKUP];
	int r;

	probe_backup_places(creation->media->size, off, place);
	for (unsigned i = 0; i < PROBE_NBACKUP; i++) {
		if ((r = erase_block(creation, place[i])) < 0)
			return r;
	}
	return erase_block(creation, off);
}

/*
 * Labels would go on telling of namespaces that are gone.  Without them what
 * is found of the old ones is whole, or nothing.
 */
static int
erase_labels(struct creation *creation)
{
	struct btt_labels labels;
	int r;

	r = btt_labels_read(creation->media, &labels);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return btt_error_set(creation->error, r, "out of memory");
	for (unsigned i = 0; i < 2 && r == 0; i++) {
		/* An index that cannot be found need not be erased. */
		if (labels.index[i].off != 0)
			r = put(creation, labels.index[i].off, NULL,
			    sizeof(label_signature));
	}
	btt_labels_fini(&labels);
	return r;
}

/*
 * An old BTT must not be found while its map and log are half new, nor come
 * back some day when ours is damaged.
 */
static int
erase_old(struct creation *creation)
{
	static const uint64_t starts[] = { 0, BTT_V11_OFFSET, BTT_POOL_OFFSET };
	const size_t nstart = sizeof(starts) / sizeof(starts[0]);
	int r;

	if ((r = erase_labels(creation)) < 0)
		return r;
	/* Under what is found lies what was left over: one each at most. */
	for (size_t i = 0; i < nstart; i++) {
		if ((r = erase_found(creation)) < 0)
			return r;
		if (r == 0)
			break;
	}
	for (size_t i = 0; i < nstart; i++) {
		if ((r = erase_places(creation, starts[i])) < 0)
			return r;
	}
	for (uint32_t i = 1; i < creation->plan->narena; i++) {
		r = erase_places(creation, plan_arena_off(creation->plan, i));
		if (r < 0)
			return r;
	}
	return fence(creation);
}

static int
write_map(struct creation *creation, uint64_t off, uint64_t bytes)
{
	int r;

	while (bytes > 0) {
		uint64_t len = bytes < ZERO_BYTES ? bytes : ZERO_BYTES;

		if ((r = put(creation, off, NULL, (size_t)len)) < 0)
			return r;
		off += len;
		bytes -= len;
		report_progress(creation, len);
	}
	return 0;
}

/* Groups from number first on that fit into bytes; those past the last: 0. */
static void
fill_log(const struct plan *plan, const struct btt_info *info, uint32_t first,
    struct flog_media *buffer, uint64_t bytes)
{
	uint32_t n = (uint32_t)(bytes / FLOG_GROUP_BYTES);

	memset(buffer, 0, (size_t)bytes);
	for (uint32_t i = 0; i < n && first + i < info->nfree; i++) {
		struct flog_entry entry = flog_initial(
		    first + i, info->external_nlba, plan->options->layout);

		flog_encode(&entry, &buffer[i * FLOG_GROUP_SLOTS]);
	}
}

static int
write_log(
    struct creation *creation, uint64_t arena_off, const struct btt_info *info)
{
	const uint64_t bytes = info->info2off - info->logoff;
	struct flog_media *buffer;
	int r = 0;

	if ((buffer = malloc(LOG_BYTES)) == NULL)
		return btt_error_set(creation->error, -ENOMEM, "out of memory");
	for (uint64_t at = 0; at < bytes && r == 0; at += LOG_BYTES) {
		uint64_t len = bytes - at < LOG_BYTES ? bytes - at : LOG_BYTES;

		fill_log(creation->plan, info,
		    (uint32_t)(at / FLOG_GROUP_BYTES), buffer, len);
		r = put(creation, arena_off + info->logoff + at, buffer,
		    (size_t)len);
		report_progress(creation, len);
	}
	free(buffer);
	return r;
}

static int
write_arenas(struct creation *creation)
{
	const struct plan *plan = creation->plan;
	int r;

	for (uint32_t i = 0; i < plan->narena; i++) {
		uint64_t off = plan_arena_off(plan, i);
		struct btt_info info;

		if ((r = plan_arena(plan, i, &info)) < 0)
			return r;
		if (!plan->options->medium_is_zero &&
		    (r = write_map(creation, off + info.mapoff,
			 info.logoff - info.mapoff)) < 0)
			return r;
		if ((r = write_log(creation, off, &info)) < 0)
			return r;
	}
	return MUTANT(71) ? 0 : fence(creation);
}

static int
write_infos(struct creation *creation)
{
	const struct plan *plan = creation->plan;
	int r;

	for (uint32_t n = plan->narena; n-- > 0;) {
		uint32_t i = MUTATE(87, n, plan->narena - 1 - n);
		uint64_t off = plan_arena_off(plan, i);
		uint8_t block[BTT_INFO_BYTES];
		struct btt_info info;

		if ((r = plan_arena(plan, i, &info)) < 0)
			return r;
		btt_info_encode(&info, block);
		if ((r = put(creation, off + MUTATE(33, info.info2off, 0),
			 block, sizeof(block))) < 0 ||
		    (r = fence(creation)) < 0)
			return r;
		if ((r = put(creation, off + MUTATE(33, 0, info.info2off),
			 block, sizeof(block))) < 0 ||
		    (r = fence(creation)) < 0)
			return r;
	}
	return 0;
}

/* With the header there is a pool, and a BTT in it. */
static int
write_pool_head(struct creation *creation)
{
	uint8_t header[BTT_INFO_BYTES];
	uint8_t descriptor[BTT_INFO_BYTES];
	int r;

	r = pool_encode(
	    creation->plan->options, creation->media->size, header, descriptor);
	if (r < 0)
		return btt_error_set(
		    creation->error, r, "pools of this machine are not known");
	if ((r = put(creation, POOL_DESCRIPTOR_OFFSET, descriptor,
		 sizeof(descriptor))) < 0 ||
	    (r = fence(creation)) < 0)
		return r;
	if ((r = put(creation, 0, header, sizeof(header))) < 0)
		return r;
	return fence(creation);
}

/* Bytes of maps and logs, for the reports. */
static int
count_work(struct creation *creation)
{
	const struct plan *plan = creation->plan;
	int r;

	for (uint32_t i = 0; i < plan->narena; i++) {
		struct btt_info info;

		if ((r = plan_arena(plan, i, &info)) < 0)
			return r;
		creation->total += info.info2off -
		    (plan->options->medium_is_zero ? info.logoff : info.mapoff);
	}
	return 0;
}

static bool
is_null(const uint8_t uuid[BTT_UUID_BYTES])
{
	static const uint8_t null[BTT_UUID_BYTES];

	return memcmp(uuid, null, sizeof(null)) == 0;
}

int
btt_create(struct media *media, const struct btt_create_options *options,
    struct btt_error *error)
{
	struct creation creation = { .media = media, .error = error };
	struct plan plan;
	int r;

	if ((r = make_plan(media->size, options, &plan, error)) < 0)
		return r;
	if (options->layout == BTT_LAYOUT_POOL &&
	    (is_null(options->parent_uuid) || is_null(options->pool_part_uuid)))
		return btt_error_set(error, -EINVAL, "the pool has no uuid");
	if (media->read_only)
		return btt_error_set(error, -EROFS, "medium is read-only");
	creation.plan = &plan;
	if ((r = count_work(&creation)) < 0)
		return r;
	report_progress(&creation, 0);
	if (!options->medium_is_zero && !MUTANT(72) &&
	    (r = erase_old(&creation)) < 0)
		return r;
	if ((r = write_arenas(&creation)) < 0 ||
	    (r = write_infos(&creation)) < 0)
		return r;
	return options->layout == BTT_LAYOUT_POOL ? write_pool_head(&creation)
						  : 0;
}

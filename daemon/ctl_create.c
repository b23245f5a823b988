/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <btt/format.h>
#include <btt/media.h>

#include "backing.h"
#include "ctl.h"
#include "occupant.h"
#include "progress.h"
#include "size.h"

#define SECTOR_DEFAULT 4096u

/*
 * Free blocks for media that are synced by page.  Each write that waits for a
 * commit holds one, so more of them make commits longer and syncs fewer; the
 * kernel opens such images (DESIGN.md 5.3).  They must stay a small part of
 * the device.
 */
#define NFREE_PAGE 4096u
#define NFREE_PAGE_MIN_BYTES (UINT64_C(256) << 20)
#define NFREE_PAGE_PART 16u

struct create_options {
	struct ctl_common common;
	struct ctl_size size;
	struct ctl_number sector;
	struct ctl_number nfree;
	struct ctl_choice layout;
	struct ctl_uuid uuid;
	struct ctl_uuid parent_uuid;
	bool sparse;
	bool force;
};

/* In the order of enum btt_layout. */
static const char *const layouts[] = { "1.1", "2.0", "pool", NULL };

#define AT(member) offsetof(struct create_options, member)
static const struct ctl_option options_table[] = {
	{ 's', "size", CTL_SIZE, AT(size), "SIZE", NULL,
	    "size of the file, as 512M or 1.5G" },
	{ 0, "sector", CTL_NUMBER, AT(sector), "N", NULL,
	    "bytes of a sector (4096)" },
	{ 0, "nfree", CTL_NUMBER, AT(nfree), "N", NULL,
	    "free blocks of each arena (256, or 4096)" },
	{ 0, "layout", CTL_CHOICE, AT(layout), "1.1|2.0|pool", layouts,
	    "version of the format, or a libpmemblk pool (1.1)" },
	{ 'u', "uuid", CTL_UUID, AT(uuid), "U", NULL,
	    "identity of the BTT (random)" },
	{ 0, "parent-uuid", CTL_UUID, AT(parent_uuid), "U", NULL,
	    "identity of the namespace around it (null), or pool" },
	{ 0, "sparse", CTL_SWITCH, AT(sparse), NULL, NULL,
	    "leave holes and allow copy-on-write" },
	{ 'f', "force", CTL_SWITCH, AT(force), NULL, NULL,
	    "overwrite what is there, or cut it shorter" },
	CTL_OPTION_JSON,
	CTL_OPTION_QUIET,
	CTL_OPTION_VERBOSE,
	CTL_OPTION_END,
};

/* What one run of the command knows. */
struct creation {
	const struct create_options *options;
	const char *path;
	struct backing backing;
	uint64_t size; /* that the backing is to have */
	struct media *media;
	struct btt_probe probe; /* read back from the medium: it is true */
	struct btt_create_options create;
	const char *method;       /* how the zeroes were made */
	const char *nfree_reason; /* for people */
};

/* libpmemblk wants uuids of the pool and of each file, and no other nfree. */
static int
prepare_pool(struct creation *creation, struct btt_error *error)
{
	const struct create_options *options;
	struct btt_create_options *create;
	int r;

	options = creation->options;
	create = &creation->create;
	if ((!options->parent_uuid.given &&
		(r = ctl_random_uuid(create->parent_uuid)) < 0) ||
	    (r = ctl_random_uuid(create->pool_part_uuid)) < 0)
		return btt_error_set(error, r, "no random numbers");
	if (ctl_uuid_is_null(create->parent_uuid))
		return btt_error_set(
		    error, -EINVAL, "the parent uuid, the pool's, is null");
	if (create->nfree != BTT_NFREE_DEFAULT)
		return btt_error_set(error, -EINVAL,
		    "a pool has %u free blocks", BTT_NFREE_DEFAULT);
	create->pool_created = (uint64_t)time(NULL);
	return 0;
}

/* Turn the command line into what the library is asked for. */
static int
prepare(struct creation *creation, struct btt_error *error)
{
	const struct create_options *options;
	struct btt_create_options *create;
	int r;

	options = creation->options;
	create = &creation->create;
	create->sector_bytes =
	    options->sector.given ? options->sector.value : SECTOR_DEFAULT;
	if (!btt_sector_size_known(create->sector_bytes))
		return btt_error_set(error, -EINVAL,
		    "sectors of %u bytes are not supported; powers of two from "
		    "512 to 65536 are, and 520, 528, 4104, 4160, 4224",
		    create->sector_bytes);
	create->nfree =
	    options->nfree.given ? options->nfree.value : BTT_NFREE_DEFAULT;
	if (create->nfree < BTT_NFREE_DEFAULT || create->nfree > BTT_NFREE_MAX)
		return btt_error_set(error, -EINVAL,
		    "%u free blocks: not between %u and %u", create->nfree,
		    BTT_NFREE_DEFAULT, BTT_NFREE_MAX);
	creation->nfree_reason = options->nfree.given ? "as asked" : "default";
	create->layout = (enum btt_layout)options->layout.index;
	memcpy(create->parent_uuid, options->parent_uuid.uuid, BTT_UUID_BYTES);
	memcpy(create->uuid, options->uuid.uuid, BTT_UUID_BYTES);
	if (!options->uuid.given && (r = ctl_random_uuid(create->uuid)) < 0)
		return btt_error_set(error, r, "no random numbers");
	if (options->uuid.given && ctl_uuid_is_null(create->uuid))
		return btt_error_set(error, -EINVAL, "the uuid is null");
	return create->layout == BTT_LAYOUT_POOL ? prepare_pool(creation, error)
						 : 0;
}

/* Would a BTT of these properties fit?  Before anything is touched. */
static int
check_fit(
    const struct creation *creation, uint64_t size, struct btt_error *error)
{
	char text[SIZE_TEXT_BYTES];
	struct btt_error reason = { "" };

	if (btt_create_nsector(size, &creation->create, &reason) > 0)
		return 0;
	size_format(size, text);
	return btt_error_set(
	    error, -ENOSPC, "%s are too small: %s", text, reason.text);
}

/* Whole pages, since no byte of a last, partial one could be used. */
static int
open_new(struct creation *creation, struct btt_error *error)
{
	uint64_t size;
	int r;

	if (!creation->options->size.given)
		return btt_error_set(error, -ENOENT,
		    "does not exist; give a size (-s) to make a file");
	size = creation->options->size.bytes;
	size -= size % BTT_ALIGN;
	if ((r = check_fit(creation, size, error)) < 0)
		return r;
	creation->size = size;
	return backing_create(creation->path, &creation->backing, error);
}

/* Is there something in the way?  Without --force only. */
static int
check_empty(const struct creation *creation, struct btt_error *error)
{
	const struct media_options media_options = { .allow_sparse = true };
	char text[OCCUPANT_TEXT_BYTES];
	struct media *media;
	bool found;
	int r;

	if (creation->backing.size == 0)
		return 0;
	r = backing_media(&creation->backing, &media_options, &media, error);
	if (r < 0)
		return r;
	r = occupant_find(creation->backing.fd, media, &found, text, error);
	media_close(media);
	if (r == 0 && found)
		r = btt_error_set(
		    error, -EEXIST, "holds %s; --force overwrites it", text);
	return r;
}

/* An existing backing may be used as it is, or grown. */
static int
check_existing(struct creation *creation, struct btt_error *error)
{
	const struct create_options *options;
	const struct backing *backing;
	char text[SIZE_TEXT_BYTES];
	uint64_t size;
	int r;

	options = creation->options;
	backing = &creation->backing;
	size = options->size.given ? options->size.bytes : backing->size;
	if (size == 0)
		return btt_error_set(
		    error, -EINVAL, "is empty; give a size (-s)");
	if (backing->is_block_device && size != backing->size)
		return btt_error_set(error, -EINVAL,
		    "the block device has %" PRIu64 " bytes, not %" PRIu64,
		    backing->size, size);
	if ((r = check_fit(creation, size, error)) < 0)
		return r;
	if (!options->force && (r = check_empty(creation, error)) < 0)
		return r;
	size_format_full(backing->size, text);
	if (!options->force && size < backing->size)
		return btt_error_set(
		    error, -EEXIST, "is longer, %s; --force cuts it", text);
	creation->size = size;
	return 0;
}

/* More free blocks where they pay, unless a number was asked for. */
static void
choose_nfree(struct creation *creation)
{
	struct btt_create_options *create;
	const struct media *media;

	create = &creation->create;
	media = creation->media;
	if (creation->options->nfree.given ||
	    create->layout == BTT_LAYOUT_POOL ||
	    media->granularity != MEDIA_PAGE ||
	    media->size < NFREE_PAGE_MIN_BYTES ||
	    media->size / NFREE_PAGE_PART / NFREE_PAGE < create->sector_bytes)
		return;
	create->nfree = NFREE_PAGE;
	creation->nfree_reason = "for longer commits on a disk";
}

static int
write_btt(struct creation *creation, struct btt_error *error)
{
	const struct media_options media_options = {
		.allow_sparse = creation->options->sparse
	};
	struct progress progress;
	int r;

	r = backing_media(
	    &creation->backing, &media_options, &creation->media, error);
	if (r < 0)
		return r;
	choose_nfree(creation);
	creation->create.medium_is_zero = true;
	progress_begin(&progress, "Writing the BTT", PROGRESS_BYTES,
	    !creation->options->common.quiet);
	creation->create.progress = progress_callback;
	creation->create.progress_arg = &progress;
	r = btt_create(creation->media, &creation->create, error);
	progress_end(&progress);
	return r;
}

static uint64_t
usable_bytes(const struct btt_probe *probe, uint64_t *ret_nsector)
{
	uint64_t nsector;
	uint32_t i;

	nsector = 0;
	for (i = 0; i < probe->narena; i++)
		nsector += probe->arena[i].info.external_nlba;
	*ret_nsector = nsector;
	return nsector *
	    btt_sector_data_bytes(probe->arena[0].info.external_lbasize);
}

static void
print_human(const struct creation *creation, const struct btt_probe *probe)
{
	const struct btt_info *info;
	char uuid[BTT_UUID_TEXT_BYTES], text[SIZE_TEXT_BYTES];
	uint64_t bytes, nsector;

	info = &probe->arena[0].info;
	bytes = usable_bytes(probe, &nsector);
	btt_uuid_format(info->uuid, uuid);
	printf("%s: created\n", creation->path);
	printf("  uuid         %s\n", uuid);
	printf("  layout       %s\n", ctl_layout_name(probe->layout));
	printf("  sectors      %" PRIu64 " of %u bytes\n", nsector,
	    info->external_lbasize);
	size_format_full(bytes, text);
	printf("  usable       %s\n", text);
	size_format_full(creation->media->size - bytes, text);
	printf("  overhead     %s\n", text);
	printf("  free blocks  %u (%s)\n", info->nfree, creation->nfree_reason);
	if (probe->narena > 1)
		printf("  arenas       %u\n", probe->narena);
	if (creation->options->common.verbose)
		printf("  backing      %s\n", creation->method);
}

static void
print_json(const struct creation *creation, const struct btt_probe *probe)
{
	const struct btt_info *info;
	struct json_object *object;
	uint64_t bytes, nsector;

	info = &probe->arena[0].info;
	bytes = usable_bytes(probe, &nsector);
	object = ctl_new_object();
	ctl_add_text(object, "file", creation->path);
	ctl_add_text(object, "mode", "sector");
	ctl_add_number(object, "size", bytes);
	ctl_add_uuid(object, "uuid", info->uuid);
	ctl_add_uuid(object, "raw_uuid", info->parent_uuid);
	ctl_add_number(object, "sector_size", info->external_lbasize);
	ctl_add_number(object, "sectors", nsector);
	ctl_add_text(object, "layout", ctl_layout_name(probe->layout));
	ctl_add_number(object, "nfree", info->nfree);
	ctl_add_number(object, "narenas", probe->narena);
	ctl_add_number(object, "backing_size", creation->media->size);
	ctl_add_number(object, "overhead_size", creation->media->size - bytes);
	ctl_print_json(object);
}

static void
print_summary(const struct creation *creation)
{
	if (creation->options->common.json)
		print_json(creation, &creation->probe);
	else if (!creation->options->common.quiet)
		print_human(creation, &creation->probe);
}

/* All zeroes, then a BTT; backing and media stay open. */
static int
create(struct creation *creation, struct btt_error *error)
{
	const struct backing_options backing_options = {
		.sparse = creation->options->sparse,
		.progress = !creation->options->common.quiet,
	};
	int r;

	if ((r = backing_make_zero(&creation->backing, creation->size,
		 &backing_options, &creation->method, error)) < 0)
		return r;
	if ((r = write_btt(creation, error)) < 0)
		return r;
	return btt_probe(creation->media, &creation->probe, error);
}

/* What is there, or else a new file. */
static int
open_any(struct creation *creation, struct btt_error *error)
{
	int r;

	r = backing_open(creation->path, &creation->backing, error);
	if (r == -ENOENT)
		return open_new(creation, error);
	if (r < 0)
		return r;
	if ((r = check_existing(creation, error)) < 0)
		backing_close(&creation->backing);
	return r;
}

static int
open_and_create(struct creation *creation, struct btt_error *error)
{
	int r;

	if ((r = prepare(creation, error)) < 0)
		return r;
	if ((r = open_any(creation, error)) < 0)
		return r;
	if ((r = create(creation, error)) == 0)
		r = backing_keep(&creation->backing, error);
	if (r == 0)
		print_summary(creation);
	btt_probe_fini(&creation->probe);
	media_close(creation->media);
	backing_close(&creation->backing);
	return r;
}

static int
run(const void *options, char *const operands[])
{
	struct creation creation = {
		.options = options,
		.path = operands[0],
	};
	struct btt_error error = { "" };
	int r;

	r = open_and_create(&creation, &error);
	return r < 0 ? ctl_fail(creation.path, r, &error) : 0;
}

static_assert(sizeof(struct create_options) <= CTL_OPTIONS_MAX, "room");

const struct ctl_command ctl_create = {
	.name = "create",
	.operands = "PATH",
	.summary = "Make a BTT in a new file, an empty file or a block device",
	.options = options_table,
	.options_bytes = sizeof(struct create_options),
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};

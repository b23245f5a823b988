/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * btt -- the life of an open device: probe, validate everything, then recover,
 * then serve.
 */
#include <btt/btt.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <btt/label.h>

#include "engine.h"
#include "group.h"
#include "hook.h"
#include "kept.h"

/* More lanes than this help nobody; a span can hold so many. */
#define LANES_DEFAULT 32u

int
btt_may_write(const struct btt *btt)
{
	return btt->geometry.read_only ? -EROFS : media_failed(btt->media);
}

int
btt_failed(const struct btt *btt)
{
	int r = media_failed(btt->media);

	for (uint32_t i = 0; i < btt->narena && r == 0; i++)
		r = atomic_load(&btt->arena[i].failed);
	return r;
}

static void
report(const struct btt_open_options *options, struct btt_finding *finding,
    const char *name, const char *endangers, const char *text)
{
	finding->name = name;
	finding->endangers = endangers;
	strcpy(finding->text, text);
	options->report(options->report_arg, finding);
}

static void
report_place(const struct btt_arena_place *place,
    const struct btt_open_options *options, struct btt_finding *finding)
{
	finding->off = place->off;
	if (place->has_error_flag)
		report(options, finding, "error-flag", "all writes are refused",
		    "the error flag is set, the device is read-only");
	if (place->from_backup) {
		report(options, finding, "info", "the kernel finds no BTT here",
		    "info block is damaged, using its backup");
		return;
	}
	finding->off = place->off + place->info.info2off;
	if (place->copies_differ)
		report(options, finding, "info2", "which of the two is true",
		    "both info blocks are valid and differ, using the first");
	else if (place->backup != BTT_INFO_VALID)
		report(options, finding, "info2", "the info block has no spare",
		    "backup info block is damaged");
}

/* What an operator should hear about an open that succeeds (P7). */
static void
report_probe(
    const struct btt_probe *probe, const struct btt_open_options *options)
{
	struct btt_finding finding = { .severity = BTT_DAMAGE,
		.entry = BTT_NO_ENTRY,
		.repairable = true };

	if (options->report == NULL)
		return;
	for (uint32_t i = 0; i < probe->narena; i++) {
		finding.arena = i;
		report_place(&probe->arena[i], options, &finding);
	}
}

/*
 * Of two valid info blocks that differ one belongs to another BTT, or to one
 * that was to be made here: nobody can say which map and log are meant.  But
 * flags are changed in one copy after the other.
 */
static int
check_copies(const struct btt_probe *probe, struct btt_error *error)
{
	for (uint32_t i = 0; i < probe->narena; i++) {
		if (probe->arena[i].copies_differ && !probe->arena[i].are_kin)
			return btt_error_set(error, -EUCLEAN,
			    "arena %u: both info blocks are valid, and they "
			    "differ; it can still be opened read-only",
			    i);
	}
	return 0;
}

/* Whoever sets it wants no more writes (4.5), also none of recovery's. */
static bool
has_error_flag(const struct btt_probe *probe)
{
	bool is_set = false;

	for (uint32_t i = 0; i < probe->narena; i++)
		is_set |= probe->arena[i].has_error_flag;
	return is_set;
}

/* The same of the labels, if it is they that led here. */
static void
report_labels(const struct media *media, const struct btt_probe *probe,
    const struct btt_open_options *options)
{
	struct btt_finding finding = { .name = "label",
		.severity = BTT_DAMAGE,
		.entry = BTT_NO_ENTRY,
		.endangers = "the namespaces may be lost" };
	struct btt_labels labels;

	if (options->report == NULL || probe->label == NULL ||
	    btt_labels_read(media, &labels) < 0)
		return;
	for (unsigned i = 0; i < 2; i++) {
		if (labels.index[i].problem == NULL)
			continue;
		finding.off = labels.index[i].off;
		(void)snprintf(finding.text, sizeof(finding.text),
		    "label index block %u is damaged (%s), using the other", i,
		    labels.index[i].problem);
		options->report(options->report_arg, &finding);
	}
	if (labels.nbad > 0) {
		finding.off = labels.off;
		(void)snprintf(finding.text, sizeof(finding.text),
		    "%u labels are damaged", labels.nbad);
		options->report(options->report_arg, &finding);
	}
	btt_labels_fini(&labels);
}

static int
open_arenas(struct btt *btt, const struct btt_probe *probe,
    const struct btt_open_options *options, struct btt_error *error)
{
	struct btt_geometry_info *geometry = &btt->geometry;
	const struct arena_damage damage = {
		.is_tolerated = geometry->read_only,
		.report = options->report,
		.report_arg = options->report_arg,
	};
	int r;

	btt->arena = calloc(probe->narena, sizeof(*btt->arena));
	if (btt->arena == NULL)
		return -ENOMEM;
	btt->narena = probe->narena;
	for (uint32_t i = 0; i < probe->narena; i++) {
		struct arena *arena = &btt->arena[i];

		r = arena_open(btt->media, &probe->arena[i], probe->layout, i,
		    &damage, arena, error);
		if (r == 0 && !geometry->read_only)
			r = arena_verify_owners(arena, error);
		if (r < 0)
			return r;
		arena->number = rtt_new_arena(&btt->pool->rtt);
		arena->first_sector = geometry->nsector;
		geometry->nsector += arena->external_nlba;
		geometry->nrecovered += arena->npending;
		if (i == 0 || arena->nfree < geometry->nfree)
			geometry->nfree = arena->nfree;
	}
	return 0;
}

static int
open_lanes(struct btt *btt, unsigned nlane)
{
	struct btt_geometry_info *geometry = &btt->geometry;
	size_t bytes;
	int r;

	if (nlane == 0)
		nlane = LANES_DEFAULT;
	/* A lane has a pair in every arena (LN-4). */
	if (nlane > geometry->nfree)
		nlane = geometry->nfree;
	r = lane_set_new(nlane, &btt_lane_class, &btt->lanes);
	if (r < 0)
		return r;
	geometry->nlane = nlane;
	bytes = nlane * sizeof(*btt->lane_stats);
	btt->lane_stats = aligned_alloc(LANES_CACHE_LINE, bytes);
	if (btt->lane_stats == NULL)
		return -ENOMEM;
	memset(btt->lane_stats, 0, bytes);
	return 0;
}

static void
fill_geometry(struct btt *btt, const struct btt_probe *probe,
    const struct btt_open_options *options)
{
	const struct btt_info *info = &probe->arena[0].info;
	struct btt_geometry_info *geometry = &btt->geometry;

	geometry->layout = probe->layout;
	geometry->narena = probe->narena;
	geometry->external_lbasize = info->external_lbasize;
	geometry->sector_bytes = btt_sector_data_bytes(info->external_lbasize);
	geometry->granularity = btt->media->granularity;
	geometry->read_only = options->read_only || has_error_flag(probe);
	memcpy(geometry->uuid, info->uuid, sizeof(geometry->uuid));
	memcpy(geometry->parent_uuid, info->parent_uuid,
	    sizeof(geometry->parent_uuid));
	geometry->durability = options->durability;
	if (geometry->durability == BTT_DURABLE_DEFAULT)
		geometry->durability = btt->media->granularity == MEDIA_PAGE
		    ? BTT_DURABLE_FLUSH
		    : BTT_DURABLE_WRITE;
	if ((geometry->sector_bytes & (geometry->sector_bytes - 1)) == 0)
		btt->sector_shift =
		    (unsigned)__builtin_ctz(geometry->sector_bytes);
	btt->initial_is_zero = probe->layout == BTT_LAYOUT_POOL;
	btt->may_set_zero =
	    geometry->sector_bytes >= 4096 || probe->layout == BTT_LAYOUT_POOL;
}

static void
destroy(struct btt *btt)
{
	group_close(btt);
	for (uint32_t i = 0; i < btt->narena; i++)
		arena_close(&btt->arena[i]);
	sync_assert_no_lock_in(btt->arena, btt->narena * sizeof(*btt->arena));
	free(btt->arena);
	lane_set_free(btt->lanes);
	free(btt->lane_stats);
	free(btt);
}

/* A sync of a disk is worth sharing, and so is waiting for a flush. */
static bool
wants_groups(const struct btt *btt)
{
	return !btt->geometry.read_only &&
	    (btt->geometry.durability == BTT_DURABLE_FLUSH ||
		btt->media->granularity == MEDIA_PAGE);
}

static int
recover(struct btt *btt, struct btt_error *error)
{
	int r;

	for (uint32_t i = 0; i < MUTATE(84, btt->narena, 1); i++) {
		r = arena_recover(
		    &btt->arena[i], btt->geometry.read_only, error);
		if (r < 0)
			return r;
	}
	return 0;
}

int
btt_open(struct media *media, struct btt_worker_pool *pool,
    const struct btt_open_options *options, struct btt **ret_btt,
    struct btt_error *error)
{
	struct btt_probe probe;
	struct btt *btt;
	int r;

	if (media->read_only && !options->read_only)
		return btt_error_set(error, -EROFS, "medium is read-only");
	r = btt_probe_namespace(media, options->namespace, &probe, error);
	if (r < 0)
		return r;
	if ((btt = calloc(1, sizeof(*btt))) == NULL) {
		r = -ENOMEM;
		goto out;
	}
	btt->media = media;
	btt->pool = pool;
	fill_geometry(btt, &probe, options);
	if (!btt->geometry.read_only && (r = check_copies(&probe, error)) < 0)
		goto fail;
	if ((r = open_arenas(btt, &probe, options, error)) < 0)
		goto fail;
	btt->geometry.size_bytes =
	    btt->geometry.nsector * btt->geometry.sector_bytes;
	if ((r = open_lanes(btt, options->nlane)) < 0)
		goto fail;
	report_probe(&probe, options);
	report_labels(media, &probe, options);
	if ((r = recover(btt, error)) < 0)
		goto fail;
	if (wants_groups(btt)) {
		if ((r = group_open(btt)) < 0)
			goto fail;
		if ((r = kept_open(btt, options, error)) < 0)
			goto fail;
	}
	*ret_btt = btt;
	goto out;

fail:
	destroy(btt);
out:
	btt_probe_fini(&probe);
	return r;
}

int
btt_flush(struct btt *btt, struct btt_worker *worker)
{
	(void)worker; /* a commit has scratch memory of its own */
	if (btt->group != NULL)
		return group_flush(btt);
	/* Every write was durable before it returned. */
	return media_failed(btt->media);
}

int
btt_close(struct btt *btt)
{
	struct media *media;
	int r;

	if (btt == NULL)
		return 0;
	media = btt->media;
	r = btt->group == NULL ? media_failed(media) : group_flush(btt);
	destroy(btt);
	media_close(media);
	return r;
}

void
btt_get_geometry(const struct btt *btt, struct btt_geometry_info *ret_geometry)
{
	*ret_geometry = btt->geometry;
}

void
btt_get_arena(
    const struct btt *btt, uint32_t index, struct btt_arena_info *ret_info)
{
	const struct arena *arena = &btt->arena[index];

	assert(index < btt->narena);
	*ret_info = (struct btt_arena_info){
		.off = arena->info_off,
		.external_nlba = arena->external_nlba,
		.internal_nlba = arena->internal_nlba,
		.internal_lbasize = arena->internal_lbasize,
		.nfree = arena->nfree,
		.log_index = { arena->slots.slot[0], arena->slots.slot[1] },
		.failed = atomic_load(&arena->failed),
	};
}

void
btt_get_stats(const struct btt *btt, struct btt_stats *ret_stats)
{
	struct btt_stats sum = { 0 };

	for (unsigned i = 0; i < btt->geometry.nlane; i++) {
		struct lane_stats *stats = &btt->lane_stats[i];

		sum.nfence +=
		    atomic_load_explicit(&stats->nfence, memory_order_relaxed);
		sum.nbatch +=
		    atomic_load_explicit(&stats->nbatch, memory_order_relaxed);
		sum.nsector_written += atomic_load_explicit(
		    &stats->nsector_written, memory_order_relaxed);
		sum.nreader_wait += atomic_load_explicit(
		    &stats->nreader_wait, memory_order_relaxed);
		sum.reader_wait_ns += atomic_load_explicit(
		    &stats->reader_wait_ns, memory_order_relaxed);
	}
	group_add_stats(btt, &sum);
	sum.nlane_wait = lane_set_waits(btt->lanes);
	sum.lane_wait_ns = lane_set_wait_ns(btt->lanes);
	*ret_stats = sum;
}

bool
btt_has_lock(const struct btt *btt, const void *lock)
{
	for (uint32_t i = 0; i < btt->narena; i++)
		if (lock == &btt->arena[i].error_lock)
			return true;
	return lock == lane_set_object(btt->lanes) ||
	    media_has_lock(btt->media, lock);
}

void
btt_get_commit_stats(const struct btt *btt, struct btt_commit_stats *ret_stats)
{
	memset(ret_stats, 0, sizeof(*ret_stats));
	group_add_commit_stats(btt, ret_stats);
}

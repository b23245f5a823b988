/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inspect -- what is on a medium, damaged or not: arenas and map entries.
 *
 * Where btt_probe's walk ends at the first contradiction, this goes on: every
 * place where an info block of some layout belongs is looked at, so that what
 * is left of a BTT can be seen.  Numbers may be hostile here even after they
 * were found: range_on_medium is the only way from one to the medium.
 */
#include <btt/inspect.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "info.h"
#include "inspect_impl.h"
#include "layout.h"
#include "probe.h"

static_assert((int)BTT_MAP_INITIAL == MAP_STATE_INITIAL &&
	(int)BTT_MAP_ERROR == MAP_STATE_ERROR &&
	(int)BTT_MAP_ZERO == MAP_STATE_ZERO &&
	(int)BTT_MAP_NORMAL == MAP_STATE_NORMAL,
    "the states that others see are those of the format");

uint64_t
inspect_range(
    const struct media *media, uint64_t off, uint64_t rel, uint64_t len)
{
	if (off > media->size || rel > media->size - off ||
	    len > media->size - off - rel)
		return BTT_NOWHERE;
	return off + rel;
}

void
btt_inspect_info(
    const struct media *media, uint64_t off, struct btt_info_copy *ret_copy)
{
	memset(ret_copy, 0, sizeof(*ret_copy));
	ret_copy->off = off;
	ret_copy->state = probe_read_block(media, off, ret_copy->block) < 0
	    ? BTT_INFO_UNREADABLE
	    : btt_info_decode(ret_copy->block, &ret_copy->info);
}

struct problem_job {
	btt_inspect_problem_fn *fn;
	void *arg;
	unsigned nproblem;
};

static void
pass_problem(void *arg, int code, const char *text)
{
	struct problem_job *job = arg;

	(void)code;
	job->nproblem++;
	if (job->fn != NULL)
		job->fn(job->arg, text);
}

unsigned
btt_inspect_info_problems(
    const struct btt_info *info, btt_inspect_problem_fn *fn, void *arg)
{
	struct problem_job job = { .fn = fn, .arg = arg };

	info_find_problems(info, pass_problem, &job);
	return job.nproblem;
}

/*
 * One more arena, unless one at that place is there already, or the backup of
 * one: a v1.1 arena of full size ends where a v2.0 one would begin.
 */
static int
add_arena(struct btt_inspect *inspect, const struct btt_inspect_arena *arena)
{
	struct btt_inspect_arena *grown;

	for (uint32_t i = 0; i < inspect->narena; i++) {
		if (inspect->arena[i].off == arena->off ||
		    inspect->arena[i].backup_off == arena->off)
			return 0;
	}
	grown = reallocarray(
	    inspect->arena, inspect->narena + UINT32_C(1), sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	grown[inspect->narena++] = *arena;
	inspect->arena = grown;
	return 0;
}

/* Where an info block says that its backup is, on the medium or beyond. */
static uint64_t
backup_off(uint64_t off, const struct btt_info *info)
{
	return info->info2off <= UINT64_MAX - off ? off + info->info2off
						  : BTT_NOWHERE;
}

/* The arenas that the walk has found. */
static int
add_walk(struct btt_inspect *inspect, const struct probe_walk *walk)
{
	const struct btt_probe *probe = &walk->probe;
	int r;

	for (uint32_t i = 0; i < probe->narena; i++) {
		const struct btt_arena_place *place = &probe->arena[i];
		struct btt_inspect_arena arena = {
			.layout = probe->layout,
			.index = i,
			.off = place->off,
			.backup_off = backup_off(place->off, &place->info),
			.info = place->info,
			.from_backup = place->from_backup,
			.is_valid = true,
		};

		if ((r = add_arena(inspect, &arena)) < 0)
			return r;
	}
	/* Numbers that make no sense do not say how many sectors follow. */
	inspect->nsequence = probe->narena;
	if (walk->end == PROBE_END_CONTRADICT)
		inspect->nsequence--;
	return 0;
}

/*
 * Where the backup of an arena is whose primary does not tell, if its end is
 * one of those that arenas have.
 */
static bool
find_backup(const struct media *media, uint64_t end, uint64_t off,
    struct btt_info_copy *ret_backup)
{
	uint64_t place[PROBE_NBACKUP];

	probe_backup_places(end, off, place);
	if (end < media->size || !probe_has_label_area(media))
		place[PROBE_BACKUP_LABEL] = BTT_NOWHERE;
	for (unsigned i = 0; i < PROBE_NBACKUP; i++) {
		btt_inspect_info(media, place[i], ret_backup);
		/*
		 * Backups of all layouts end with the medium: one that stands
		 * alone belongs to the layout to which its own offset leads.
		 */
		if (btt_info_copy_has_fields(ret_backup) &&
		    ret_backup->info.info2off == place[i] - off)
			return true;
	}
	ret_backup->off = place[PROBE_BACKUP_END];
	return false;
}

/*
 * An arena where one might have been: the primary at its place, the backup
 * where the primary says, or else where an arena ends.  Returns false if
 * neither is there.
 */
static bool
find_presumed(const struct media *media, uint64_t end, uint64_t off,
    enum btt_layout layout, struct btt_inspect_arena *ret_arena)
{
	struct btt_info_copy primary, backup = { 0 };
	bool has_backup = false;

	btt_inspect_info(media, off, &primary);
	if (btt_info_copy_has_fields(&primary)) {
		btt_inspect_info(
		    media, backup_off(off, &primary.info), &backup);
		has_backup = btt_info_copy_has_fields(&backup);
	}
	if (!has_backup)
		has_backup = find_backup(media, end, off, &backup);
	if (!has_backup && !btt_info_copy_has_fields(&primary))
		return false;
	*ret_arena = (struct btt_inspect_arena){
		.layout = layout,
		.off = off,
		.backup_off = backup.off,
		.info = primary.info,
		.is_valid = primary.state == BTT_INFO_VALID ||
		    (has_backup && backup.state == BTT_INFO_VALID),
	};
	if (primary.state != BTT_INFO_VALID && has_backup &&
	    (backup.state == BTT_INFO_VALID ||
		!btt_info_copy_has_fields(&primary))) {
		ret_arena->info = backup.info;
		ret_arena->from_backup = true;
	}
	return true;
}

/* Every arena that has an info block where one of this layout belongs. */
static int
add_presumed_of(struct btt_inspect *inspect, const struct media *media,
    uint64_t off, uint64_t end, enum btt_layout layout)
{
	const uint64_t room = end - off;
	struct btt_inspect_arena arena;
	uint64_t bytes;
	int r;

	for (uint32_t i = 0; i < BTT_ARENA_MAX; i++) {
		if ((bytes = btt_arena_bytes(room, i)) == 0)
			break;
		if (find_presumed(media, end, off, layout, &arena)) {
			arena.index = i;
			if ((r = add_arena(inspect, &arena)) < 0)
				return r;
		}
		off += bytes;
	}
	return 0;
}

/* The same of every layout, in one namespace. */
static int
add_presumed(struct btt_inspect *inspect, const struct media *media,
    uint64_t off, uint64_t bytes)
{
	static const struct {
		enum btt_layout layout;
		uint64_t off;
	} starts[] = {
		{ BTT_LAYOUT_V11, BTT_V11_OFFSET },
		{ BTT_LAYOUT_V20, 0 },
		{ BTT_LAYOUT_POOL, BTT_POOL_OFFSET },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(starts) / sizeof(starts[0]);
	     i++) {
		if (bytes >= starts[i].off)
			r = add_presumed_of(inspect, media, off + starts[i].off,
			    off + bytes, starts[i].layout);
	}
	return r;
}

/* Wherever there may be some: in namespaces if there are labels. */
static int
add_all_presumed(struct btt_inspect *inspect, const struct media *media,
    const struct btt_namespace *label)
{
	struct btt_labels labels;
	int r;

	if (label != NULL)
		return add_presumed(inspect, media, label->off, label->bytes);
	r = btt_labels_read(media, &labels);
	if (r == -ENOENT)
		return add_presumed(inspect, media, 0, media->size);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < labels.n && r == 0; i++) {
		if (labels.ns[i].r == 0)
			r = add_presumed(inspect, media, labels.ns[i].off,
			    labels.ns[i].bytes);
	}
	btt_labels_fini(&labels);
	return r;
}

int
btt_inspect_find(const struct media *media, const char *namespace,
    struct btt_inspect *ret_inspect)
{
	struct btt_inspect inspect = { 0 };
	struct probe_walk walk;
	int r;

	if ((r = probe_walk_find(media, namespace, &walk)) < 0)
		return r;
	inspect.verdict = walk.r;
	inspect.reason = walk.error;
	r = add_walk(&inspect, &walk);
	if (r == 0 && walk.r < 0)
		r = add_all_presumed(&inspect, media, walk.probe.label);
	inspect.label = walk.probe.label;
	walk.probe.label = NULL;
	probe_walk_fini(&walk);
	if (r < 0) {
		btt_inspect_fini(&inspect);
		return r;
	}
	*ret_inspect = inspect;
	return 0;
}

void
btt_inspect_fini(struct btt_inspect *inspect)
{
	free(inspect->label);
	free(inspect->arena);
	memset(inspect, 0, sizeof(*inspect));
}

uint64_t
btt_inspect_nsector(const struct btt_inspect *inspect)
{
	uint64_t nsector = 0;

	for (uint32_t i = 0; i < inspect->nsequence; i++)
		nsector += inspect->arena[i].info.external_nlba;
	return nsector;
}

bool
btt_inspect_locate(const struct btt_inspect *inspect, uint64_t lba,
    uint32_t *ret_arena, uint32_t *ret_premap)
{
	for (uint32_t i = 0; i < inspect->nsequence; i++) {
		uint32_t nsector = inspect->arena[i].info.external_nlba;

		if (lba < nsector) {
			*ret_arena = i;
			*ret_premap = (uint32_t)lba;
			return true;
		}
		lba -= nsector;
	}
	return false;
}

/* Where a block lies, if it is one of the arena and on the medium. */
static uint64_t
block_off(const struct media *media, const struct btt_inspect_arena *arena,
    uint32_t block)
{
	const struct btt_info *info = &arena->info;

	if (block >= info->internal_nlba || info->dataoff > media->size)
		return BTT_NOWHERE;
	/* At most 2^63 and 2^30 times 2^32: no overflow. */
	return inspect_range(media, arena->off,
	    info->dataoff + (uint64_t)block * info->internal_lbasize,
	    info->internal_lbasize);
}

static int
compare_premap(const void *key, const void *member)
{
	const struct btt_log_pending *pending = member;
	uint32_t premap = *(const uint32_t *)key;

	return (premap > pending->premap) - (premap < pending->premap);
}

static void
translate(const struct media *media, const struct btt_inspect_arena *arena,
    const struct btt_inspect_log *log, struct btt_translation *translation)
{
	const struct btt_log_pending *pending = NULL;

	translation->state =
	    (enum btt_map_state)map_entry_state(translation->entry);
	translation->block =
	    map_entry_block(translation->entry, translation->premap);
	translation->off = block_off(media, arena, translation->block);
	translation->is_pending = false;
	if (log != NULL && log->npending > 0)
		pending = bsearch(&translation->premap, log->pending,
		    log->npending, sizeof(*log->pending), compare_premap);
	if (pending == NULL)
		return;
	translation->is_pending = true;
	translation->pending_block = pending->block;
	translation->pending_off = block_off(media, arena, pending->block);
}

int
btt_inspect_map(const struct media *media,
    const struct btt_inspect_arena *arena, const struct btt_inspect_log *log,
    uint32_t premap, uint32_t n, struct btt_translation *ret_translation,
    struct btt_error *error)
{
	const struct btt_info *info = &arena->info;
	struct le32 words[256];
	uint64_t map_off, off;
	int r;

	if (premap > info->external_nlba || n > info->external_nlba - premap)
		return btt_error_set(error, -EINVAL, "the arena has %u sectors",
		    info->external_nlba);
	map_off = inspect_range(media, arena->off, info->mapoff,
	    ((uint64_t)premap + n) * MAP_ENTRY_BYTES);
	if (map_off == BTT_NOWHERE)
		return btt_error_set(error, -ERANGE,
		    "the map entries of sectors %u to %u of the arena at "
		    "%" PRIu64 " are beyond the medium",
		    premap, premap + (n > 0 ? n - 1 : 0), arena->off);
	for (uint32_t done = 0, now; done < n; done += now) {
		now = n - done;
		if (now > sizeof(words) / sizeof(words[0]))
			now = sizeof(words) / sizeof(words[0]);
		off = map_off + ((uint64_t)premap + done) * MAP_ENTRY_BYTES;
		r = probe_read(
		    media, off, words, (size_t)now * MAP_ENTRY_BYTES);
		if (r < 0)
			return btt_error_set(error, r,
			    "map entries at %" PRIu64 " cannot be read", off);
		for (uint32_t i = 0; i < now; i++) {
			struct btt_translation *translation =
			    &ret_translation[done + i];

			translation->premap = premap + done + i;
			translation->entry = le32_decode(words[i]);
			translate(media, arena, log, translation);
		}
	}
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check -- findings, counted and reported; the order in which things are
 * looked at.  Info blocks come first, since everything else is where they say;
 * then each arena's log, which says what recovery will do to the map; then its
 * map, as it will be.
 */
#include "check_impl.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "info.h"

static const struct {
	const char *name;
	enum btt_severity severity;
	bool repairable;
	const char *endangers;
} kinds[CHECK_NKIND] = {
	[CHECK_INFO] = { "info", BTT_DAMAGE, true,
	    "the kernel and libpmemblk find no BTT here" },
	[CHECK_INFO_LOST] = { "info", BTT_DAMAGE, false,
	    "all sectors from this arena on" },
	[CHECK_INFO2] = { "info2", BTT_DAMAGE, true,
	    "nothing replaces the info block if it is lost" },
	[CHECK_INFO_NUMBERS] = { "info-geometry", BTT_DAMAGE, false,
	    "all sectors from this arena on" },
	[CHECK_INFO_UNUSUAL] = { "info-geometry", BTT_NOTE, false,
	    "other implementations may compute another place" },
	[CHECK_INFO_MISMATCH] = { "info-mismatch", BTT_DAMAGE, false,
	    "this arena may be a part of another BTT" },
	[CHECK_INFO_PARENT] = { "info-parent", BTT_NOTE, false,
	    "Linux opens only arenas of one parent" },
	[CHECK_INFO_FOREIGN] = { "info-parent", BTT_DAMAGE, false,
	    "Linux finds no BTT in the namespace" },
	[CHECK_INFO_RESERVED] = { "info-reserved", BTT_NOTE, false,
	    "somebody may know more about it than this program" },
	[CHECK_INFO_STALE] = { "info-stale", BTT_NOTE, false,
	    "another program may take it for what is to be opened" },
	[CHECK_POOL] = { "pool", BTT_DAMAGE, false,
	    "libpmemblk does not open the pool" },
	[CHECK_BAD_METADATA] = { "bad-range", BTT_DAMAGE, false,
	    "what cannot be read of the metadata" },
	[CHECK_BAD_BLOCK] = { "bad-range", BTT_NOTE, false,
	    "the sector that has the block, if any" },
	[CHECK_ERROR_FLAG] = { "error-flag", BTT_DAMAGE, true,
	    "all writes are refused" },
	[CHECK_SHORT] = { "short", BTT_DAMAGE, false,
	    "what was stored beyond the end" },
	[CHECK_TAIL] = { "tail", BTT_NOTE, false,
	    "a lost info block is looked for at the end of the medium" },
	[CHECK_NFREE] = { "nfree", BTT_NOTE, false,
	    "Linux 7.1 and later refuse to open it" },
	[CHECK_NFREE_POOL] = { "nfree", BTT_NOTE, false,
	    "pmempool takes the pool for damaged" },
	[CHECK_LOG_PAD] = { "log-pad", BTT_NOTE, true,
	    "libpmemblk would mistake old log entries for new ones" },
	[CHECK_LOG_LAYOUT] = { "log-layout", BTT_DAMAGE, true,
	    "the BTT cannot be opened" },
	[CHECK_LOG_SEQ] = { "log-seq", BTT_DAMAGE, true,
	    "the BTT cannot be opened" },
	[CHECK_LOG_RANGE] = { "log-range", BTT_DAMAGE, true,
	    "the BTT cannot be opened" },
	[CHECK_LOG_SAME] = { "log-same", BTT_NOTE, true,
	    "pmempool takes the pair for damaged" },
	[CHECK_LOG_FLAGS] = { "log-flags", BTT_NOTE, true,
	    "ndctl takes the log for damaged" },
	[CHECK_LOG_OLDER] = { "log-older", BTT_NOTE, false,
	    "libpmemblk does not open the pool" },
	[CHECK_LOG_MAP] = { "log-map", BTT_NOTE, true,
	    "nothing: opening it completes the write" },
	[CHECK_LOG_MAP_POOL] = { "log-map", BTT_NOTE, true,
	    "libpmemblk would write over a block in use" },
	[CHECK_MAP_RANGE] = { "map-range", BTT_DAMAGE, true,
	    "the sector cannot be read" },
	[CHECK_MAP_BITS] = { "map-bits", BTT_NOTE, false,
	    "nothing: the bits of an initial entry do not count" },
	[CHECK_MAP_ERROR] = { "map-error", BTT_NOTE, false,
	    "these sectors read as errors until they are written" },
	[CHECK_MAP_ZERO] = { "map-zero", BTT_NOTE, false,
	    "Linux misreads the sectors behind them in the same page" },
	[CHECK_BLOCK_TWICE] = { "bitmap", BTT_DAMAGE, false,
	    "a write to one owner changes the other" },
	[CHECK_BLOCK_LOST] = { "bitmap", BTT_DAMAGE, true,
	    "whoever should own the block has a wrong one" },
	[CHECK_UNREADABLE] = { "unreadable", BTT_DAMAGE, false,
	    "what is stored there" },
	[CHECK_LOG_CHANGED] = { "log-changed", BTT_DAMAGE, false,
	    "after a crash the BTT may not be opened, or wrongly" },
};

const char *
check_kind_name(enum check_kind kind)
{
	return kinds[kind].name;
}

static void
report(struct check *check, const struct btt_finding *finding)
{
	if (check->options->report != NULL)
		check->options->report(check->options->report_arg, finding);
}

static void
count(struct check *check, enum check_kind kind, uint64_t n)
{
	struct btt_check_result *result = check->result;

	check->nfound[kind] += n;
	if (kinds[kind].severity == BTT_NOTE) {
		result->nnote += n;
		return;
	}
	result->ndamage += n;
	if (kinds[kind].repairable)
		result->nrepairable += n;
}

void
check_found(struct check *check, enum check_kind kind, uint64_t entry,
    uint64_t off, const char *fmt, ...)
{
	struct btt_finding finding = {
		.name = kinds[kind].name,
		.severity = kinds[kind].severity,
		.arena = check->arena,
		.entry = entry,
		.off = off,
		.repairable = kinds[kind].repairable,
		.endangers = kinds[kind].endangers,
	};
	va_list args;

	count(check, kind, 1);
	if (check->nfound[kind] > CHECK_REPORT_MAX)
		return;
	va_start(args, fmt);
	(void)vsnprintf(finding.text, sizeof(finding.text), fmt, args);
	va_end(args);
	report(check, &finding);
}

void
check_more(struct check *check, enum check_kind kind, uint64_t n)
{
	assert(n == 0 || check->nfound[kind] >= CHECK_REPORT_MAX);
	count(check, kind, n);
}

/* Say how many findings of the arena have not been reported one by one. */
static void
report_rest(struct check *check)
{
	for (unsigned i = 0; i < CHECK_NKIND; i++) {
		struct btt_finding finding = {
			.name = kinds[i].name,
			.severity = BTT_NOTE,
			.arena = check->arena,
			.entry = BTT_NO_ENTRY,
			.off = check->place->off,
			.endangers = kinds[i].endangers,
		};

		if (check->nfound[i] <= CHECK_REPORT_MAX)
			continue;
		(void)snprintf(finding.text, sizeof(finding.text),
		    "and %" PRIu64 " more in this arena",
		    check->nfound[i] - CHECK_REPORT_MAX);
		report(check, &finding);
	}
}

void
check_progress(struct check *check, uint64_t bytes)
{
	const struct btt_check_options *options = check->options;

	check->done += bytes;
	if (options->progress != NULL)
		options->progress(
		    options->progress_arg, check->done, check->total);
}

int
check_read(struct check *check, uint64_t off, void *ret_bytes, size_t len)
{
	int r;

	if ((r = probe_read(check->media, off, ret_bytes, len)) < 0)
		return btt_error_set(check->error, r,
		    "arena %u: %zu bytes at %" PRIu64 " cannot be read",
		    check->arena, len, off);
	return 0;
}

void
check_enter(
    struct check *check, uint32_t index, const struct btt_arena_place *place)
{
	check->arena = index;
	check->place = place;
	memset(check->nfound, 0, sizeof(check->nfound));
}

/* The bytes that the arena would fill, up to a part of it. */
static bool
is_on_medium(const struct check *check, uint64_t end)
{
	return end <= check->end - check->place->off;
}

static uint64_t
work_bytes(const struct btt_info *info)
{
	return (uint64_t)info->external_nlba * MAP_ENTRY_BYTES +
	    (uint64_t)info->nfree * FLOG_GROUP_BYTES;
}

/* Log and map of the arena at hand, whose numbers are sound. */
static int
check_arena(struct check *check)
{
	const struct btt_info *info = &check->place->info;
	struct check_log log = { 0 };
	bool has_log;
	int r = 0;

	check->result->nsector += info->external_nlba;
	has_log = is_on_medium(
	    check, info->logoff + (uint64_t)info->nfree * FLOG_GROUP_BYTES);
	if (has_log)
		r = check_log(check, &log);
	if (r == 0 &&
	    is_on_medium(check,
		info->mapoff + (uint64_t)info->external_nlba * MAP_ENTRY_BYTES))
		r = check_map(check, has_log ? &log : NULL);
	check_log_fini(&log);
	return r;
}

static int
check_arenas(struct check *check, const struct probe_walk *walk)
{
	uint32_t narena = walk->probe.narena;
	int r;

	/* Nothing is where numbers say that make no sense. */
	if (walk->end == PROBE_END_CONTRADICT)
		narena--;
	for (uint32_t i = 0; i < narena; i++)
		check->total += work_bytes(&walk->probe.arena[i].info);
	for (uint32_t i = 0; i < narena; i++)
		check->nsector += walk->probe.arena[i].info.external_nlba;
	check_progress(check, 0);
	for (uint32_t i = 0; i < narena; i++) {
		check_enter(check, i, &walk->probe.arena[i]);
		if ((r = check_arena(check)) < 0)
			return r;
		report_rest(check);
	}
	return 0;
}

int
btt_check(const struct media *media, const struct btt_check_options *options,
    struct btt_check_result *ret_result, struct btt_error *error)
{
	struct btt_check_result result = { 0 };
	struct check check = {
		.media = media,
		.options = options,
		.result = &result,
		.error = error,
	};
	struct probe_walk walk;
	int r;

	if ((r = probe_walk_find(media, options->namespace, &walk)) < 0)
		return btt_error_set(error, r, "out of memory");
	check.layout = walk.probe.layout;
	check.end = probe_end_off(&walk.probe);
	if (walk.r < 0 && (walk.r != -EUCLEAN || walk.probe.narena == 0))
		r = check_nothing(&check, &walk, error);
	else if ((r = check_infos(&check, &walk)) == 0)
		r = check_arenas(&check, &walk);
	if (r == 0)
		*ret_result = result;
	probe_walk_fini(&walk);
	if (r == -ENOMEM)
		(void)btt_error_set(error, r, "out of memory");
	return r;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info -- does an info block make sense?  A checksum only says that its writer
 * meant what it says, and hostile writers can compute checksums.
 *
 * No sum or product of two numbers of the medium is made before both are known
 * to be small: offsets are compared and subtracted, counts multiplied in 64
 * bits.
 */
#include "info.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "layout.h"

/* Who wants to know, and whether there was anything to say. */
struct examination {
	const struct btt_info *info;
	info_problem_fn *fn;
	void *arg;
	unsigned nproblem;
};

BTT_PRINTF(3, 4)
static void
problem(struct examination *exam, int code, const char *fmt, ...)
{
	struct btt_error made;
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(made.text, sizeof(made.text), fmt, args);
	va_end(args);
	exam->nproblem++;
	exam->fn(exam->arg, code, made.text);
}

/* What we do not know we cannot judge. */
static void
examine_kind(struct examination *exam)
{
	const struct btt_info *info = exam->info;

	if (!(info->major == 1 && info->minor == 1) &&
	    !(info->major == 2 && info->minor == 0))
		problem(exam, -ENOTSUP,
		    "BTT version %u.%u is not known, 1.1 and 2.0 are",
		    info->major, info->minor);
	else if (!btt_sector_size_known(info->external_lbasize))
		problem(exam, -ENOTSUP,
		    "sectors of %u bytes (external_lbasize) are not supported",
		    info->external_lbasize);
}

static void
examine_counts(struct examination *exam)
{
	const struct btt_info *info = exam->info;

	if (info->infosize != BTT_INFO_BYTES)
		problem(exam, -EUCLEAN, "infosize is %u, not %u",
		    info->infosize, BTT_INFO_BYTES);
	if (info->external_nlba == 0)
		problem(exam, -EUCLEAN, "external_nlba is 0");
	if (info->nfree == 0)
		problem(exam, -EUCLEAN, "nfree is 0");
	if ((uint64_t)info->external_nlba + info->nfree != info->internal_nlba)
		problem(exam, -EUCLEAN,
		    "internal_nlba %u is not external_nlba %u and nfree %u",
		    info->internal_nlba, info->external_nlba, info->nfree);
	else if (info->internal_nlba > MAP_NBLOCK_MAX)
		problem(exam, -EUCLEAN,
		    "internal_nlba %u is more than map entries can name",
		    info->internal_nlba);
	else if (info->nfree > BTT_NFREE_MAX)
		problem(exam, -ENOTSUP,
		    "nfree %u is more than the %u that are supported",
		    info->nfree, BTT_NFREE_MAX);
	if (info->internal_lbasize < info->external_lbasize)
		problem(exam, -EUCLEAN,
		    "internal_lbasize %u is less than external_lbasize %u",
		    info->internal_lbasize, info->external_lbasize);
}

static void
examine_offsets(struct examination *exam)
{
	const struct btt_info *info = exam->info;
	const struct {
		const char *name;
		uint64_t off;
	} parts[] = {
		{ "infosize", BTT_INFO_BYTES },
		{ "dataoff", info->dataoff },
		{ "mapoff", info->mapoff },
		{ "logoff", info->logoff },
		{ "info2off", info->info2off },
		{ "the most", BTT_ARENA_MAX_BYTES - BTT_INFO_BYTES },
	};

	for (size_t i = 1; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].off % BTT_ALIGN != 0)
			problem(exam, -EUCLEAN,
			    "%s %" PRIu64 " is no multiple of %u",
			    parts[i].name, parts[i].off, BTT_ALIGN);
		if (parts[i].off < parts[i - 1].off)
			problem(exam, -EUCLEAN,
			    "%s %" PRIu64 " is beyond %s, %" PRIu64,
			    parts[i - 1].name, parts[i - 1].off, parts[i].name,
			    parts[i].off);
	}
}

/* Offsets are in order: do things fit between them? */
static void
examine_room(struct examination *exam)
{
	const struct btt_info *info = exam->info;
	const uint64_t data_bytes =
	    (uint64_t)info->internal_nlba * info->internal_lbasize;
	const uint64_t map_bytes =
	    (uint64_t)info->external_nlba * MAP_ENTRY_BYTES;
	const uint64_t log_bytes = (uint64_t)info->nfree * FLOG_GROUP_BYTES;

	if (data_bytes > info->mapoff - info->dataoff)
		problem(exam, -EUCLEAN,
		    "internal_nlba %u blocks of internal_lbasize %u do not fit "
		    "between dataoff %" PRIu64 " and mapoff %" PRIu64,
		    info->internal_nlba, info->internal_lbasize, info->dataoff,
		    info->mapoff);
	if (map_bytes > info->logoff - info->mapoff)
		problem(exam, -EUCLEAN,
		    "external_nlba %u map entries do not fit between mapoff "
		    "%" PRIu64 " and logoff %" PRIu64,
		    info->external_nlba, info->mapoff, info->logoff);
	if (log_bytes > info->info2off - info->logoff)
		problem(exam, -EUCLEAN,
		    "nfree %u log pairs do not fit between logoff %" PRIu64
		    " and info2off %" PRIu64,
		    info->nfree, info->logoff, info->info2off);
	if (info_arena_bytes(info) < BTT_ARENA_MIN_BYTES)
		problem(exam, -EUCLEAN,
		    "info2off %" PRIu64 ": an arena is not so small",
		    info->info2off);
	/*
	 * Every chain of arenas ends: each is one arena further on, and that
	 * is never nothing.
	 */
	if (info->nextoff != 0 && info->nextoff != info_arena_bytes(info))
		problem(exam, -EUCLEAN,
		    "nextoff %" PRIu64
		    " is not 0 nor the arena's size, %" PRIu64,
		    info->nextoff, info_arena_bytes(info));
}

void
info_find_problems(const struct btt_info *info, info_problem_fn *fn, void *arg)
{
	struct examination exam = { .info = info, .fn = fn, .arg = arg };
	unsigned before;

	examine_kind(&exam);
	if (exam.nproblem > 0)
		return;
	examine_counts(&exam);
	before = exam.nproblem;
	examine_offsets(&exam);
	if (exam.nproblem == before)
		examine_room(&exam);
}

/* The first problem, as the caller of btt_info_validate wants it. */
struct first_problem {
	int r;
	struct btt_error *error;
};

static void
keep_first(void *arg, int code, const char *text)
{
	struct first_problem *first = arg;

	if (first->r == 0)
		first->r = btt_error_set(first->error, code, "%s", text);
}

int
btt_info_validate(
    const struct btt_info *info, uint64_t space, struct btt_error *error)
{
	struct first_problem first = { .r = 0, .error = error };

	info_find_problems(info, keep_first, &first);
	if (first.r == 0 && info_arena_bytes(info) > space)
		first.r = btt_error_set(error, -EUCLEAN,
		    "the arena has %" PRIu64 " bytes, but room ends after "
		    "%" PRIu64,
		    info_arena_bytes(info), space);
	return first.r;
}

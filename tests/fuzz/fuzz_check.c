/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_check -- the check of whole images.
 *
 * Claims: check changes nothing and says the same when asked again; what
 * cannot be opened is damage, or no BTT; map entries out of range, blocks with
 * two owners and blocks with none are found as often as the oracle counts
 * them; what fails meanwhile is told; where the oracle finds nothing and both info blocks are as they should
 * be, there is no damage.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check_impl.h"
#include "faults.h"
#include "medium.h"
#include "oracle.h"
#include "target.h"

#define ARENA_COUNT_MAX (PACKED_IMAGE_MAX / BTT_ARENA_MIN_BYTES)

/* Damage of one arena that the oracle counts too. */
struct count {
	uint32_t nrange;
	uint32_t nowner; /* bitmap: twice or lost */
};

struct verdict {
	int r;
	struct btt_check_result result;
	struct count count[ARENA_COUNT_MAX];
	uint64_t nreport;
	size_t size;
	uint64_t done;
};

static struct oracle oracle;

static void
heard(void *arg, const struct btt_finding *finding)
{
	struct verdict *verdict = arg;
	struct count *count;

	FUZZ_CHECK(finding->arena <= ARENA_COUNT_MAX);
	FUZZ_CHECK(finding->off <= verdict->size);
	FUZZ_CHECK(finding->text[0] != '\0' && finding->endangers[0] != '\0');
	FUZZ_CHECK(memchr(finding->text, '\n', sizeof(finding->text)) == NULL);
	verdict->nreport++;
	if (finding->severity != BTT_DAMAGE ||
	    finding->arena == ARENA_COUNT_MAX)
		return;
	count = &verdict->count[finding->arena];
	count->nrange += strcmp(finding->name, "map-range") == 0;
	count->nowner += strcmp(finding->name, "bitmap") == 0;
}

static void
progressed(void *arg, uint64_t done, uint64_t total)
{
	struct verdict *verdict = arg;

	FUZZ_CHECK(done >= verdict->done && done <= total);
	verdict->done = done;
}

static void
check(const struct medium *medium, struct verdict *ret)
{
	const struct btt_check_options options = {
		.report = heard,
		.report_arg = ret,
		.progress = progressed,
		.progress_arg = ret,
	};
	struct btt_error error = { "" };

	memset(ret, 0, sizeof(*ret));
	ret->size = medium->media.size;
	ret->r = btt_check(&medium->media, &options, &ret->result, &error);
	FUZZ_CHECK(ret->r == 0 || error.text[0] != '\0');
	FUZZ_CHECK(ret->result.nrepairable <= ret->result.ndamage);
}

static uint32_t
reported(uint32_t n)
{
	return n < CHECK_REPORT_MAX ? n : CHECK_REPORT_MAX;
}

static void
compare_arena(const struct medium *medium, const struct btt_arena_place *place,
    const struct count *count, bool *clean)
{
	oracle_look(medium->bytes, place, &oracle);
	*clean = *clean && oracle_is_sound(&oracle) && !place->from_backup &&
	    place->backup == BTT_INFO_VALID && !place->copies_differ &&
	    !(place->info.flags & BTT_FLAG_ERROR);
	/* Who owns what is a guess where the log is damaged. */
	if (oracle.refused != NULL)
		return;
	FUZZ_CHECK(count->nrange == reported(oracle.nrange));
	FUZZ_CHECK(
	    count->nowner == reported(oracle.ntwice) + reported(oracle.nlost));
}

static void
compare(const struct medium *medium, const struct verdict *verdict)
{
	struct btt_error error = { "" };
	struct btt_probe probe;
	bool clean = true;
	int r;

	r = btt_probe(&medium->media, &probe, &error);
	if (r < 0) {
		FUZZ_CHECK(verdict->r == r || verdict->result.ndamage > 0);
		return;
	}
	FUZZ_CHECK_MSG(verdict->r == 0, "check is %d", verdict->r);
	for (uint32_t i = 0; i < probe.narena; i++)
		compare_arena(
		    medium, &probe.arena[i], &verdict->count[i], &clean);
	FUZZ_CHECK_MSG(clean == (verdict->result.ndamage == 0),
	    "%llu damages in what is %s",
	    (unsigned long long)verdict->result.ndamage,
	    clean ? "clean" : "not");
	btt_probe_fini(&probe);
}

/* Whatever fails, it is told, or it is a finding of its own. */
static void
check_with_fault(const struct medium *medium, size_t dice)
{
	static struct verdict verdict;
	const struct btt_check_options options = {
		.report = heard,
		.report_arg = &verdict,
	};
	struct btt_error error = { "" };
	int r;

	verdict.size = medium->media.size;
	fault_arm(dice % 2 ? FAULT_MEMORY : FAULT_MEDIA,
	    1 + (unsigned)(dice / 2 % 24));
	r = btt_check(&medium->media, &options, &verdict.result, &error);
	if (fault_disarm() && fault_explains(r))
		FUZZ_CHECK(error.text[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct verdict first, again;
	struct medium *medium;
	uint8_t *bytes;
	size_t n;

	if ((bytes = packed_open(data, size, &n)) == NULL)
		return 0;
	medium = medium_new(bytes, n, MEDIA_CACHE_LINE);
	medium->forbidden = true;
	check_with_fault(medium, size + data[size - 1]);
	check(medium, &first);
	compare(medium, &first);
	check(medium, &again);
	FUZZ_CHECK(memcmp(&first, &again, sizeof(first)) == 0);
	media_close(&medium->media);
	return 0;
}

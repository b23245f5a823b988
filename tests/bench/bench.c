/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench -- runs all loads on all beds and prints, for each subject, the median
 * time of a request and how ours compares to it.  See bench.h.
 *
 *	bench [--quick] [--json FILE] [--filter WORDS] [--subjects NAMES]
 *	    [--rounds N] [--slice MS] [--ram DIR] [--disk DIR]
 *	bench --count N --filter CELL --subjects NAME
 *
 * A filter keeps the cells whose name has all of its words, separated by
 * commas.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loads.h"

#define NSUBJECT 6u

static const struct subject *const all_subjects[NSUBJECT] = { &subject_engine,
	&subject_floor, &subject_order, &subject_copy, &subject_file,
	&subject_pmemblk };

struct bench {
	const char *ram, *disk, *filter, *subjects;
	struct report report;
	bool quick;
	unsigned nround;
	unsigned slice_ms;
	uint64_t count; /* requests to be counted, 0: measure */
	unsigned ncell, nfailed;
};

/* The subjects of a bed. */
struct party {
	const struct bed *bed;
	const struct subject *subject[NSUBJECT];
	void *state[NSUBJECT];
	unsigned n;
};

/*
 * On a disk the file is written once and forgotten by the page cache: no write
 * then allocates, nor finds the large folios that writing left behind, of which
 * a store through a mapping would have all written back; but where a bed is
 * about just these.
 */
static int
fill_file(int fd, const struct bed *bed)
{
	uint8_t *zero = calloc(1, BENCH_REQUEST_MAX);
	ssize_t n = 0;

	for (uint64_t off = 0; off < bed->bytes && n >= 0;
	     off += BENCH_REQUEST_MAX)
		n = pwrite(fd, zero, BENCH_REQUEST_MAX, (off_t)off);
	free(zero);
	if (n < 0 || fsync(fd) < 0)
		return -1;
	return bed->keeps_cache ? 0
				: posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

int
bench_file(const struct bed *bed, char *path, size_t path_bytes)
{
	int fd;

	(void)snprintf(path, path_bytes, "%s/bttfs-bench.XXXXXX", bed->dir);
	if ((fd = mkstemp(path)) < 0)
		return -1;
	if (fallocate(fd, 0, 0, (off_t)bed->bytes) < 0 ||
	    (bed->is_disk && fill_file(fd, bed) != 0)) {
		(void)unlink(path);
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* Is the word in a list that is separated by commas? */
static bool
in_list(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (list != NULL && *list != '\0') {
		size_t item = strcspn(list, ",");

		if (item == len && strncmp(list, word, len) == 0)
			return true;
		list += item + (list[item] == ',');
	}
	return false;
}

/* Has the name all words of a list? */
static bool
has_all_words(const char *name, const char *list)
{
	char word[80];

	while (list != NULL && *list != '\0') {
		size_t item = strcspn(list, ",");

		(void)snprintf(word, sizeof(word), "%.*s", (int)item, list);
		if (strstr(name, word) == NULL)
			return false;
		list += item + (list[item] == ',');
	}
	return true;
}

static bool
wants_cell(
    const struct bench *bench, const struct bed *bed, const struct load *load)
{
	char name[160];

	/* The quick run has the widest and the narrowest. */
	if (bench->quick && load->nthread != 1 && load->nthread != 8)
		return false;
	(void)snprintf(name, sizeof(name), "%s %s %uT", bed->name, load->what,
	    load->nthread);
	return has_all_words(name, bench->filter);
}

static void
open_party(
    const struct bench *bench, const struct bed *bed, struct party *party)
{
	party->bed = bed;
	party->n = 0;
	for (unsigned i = 0; i < NSUBJECT; i++) {
		const struct subject *subject = all_subjects[i];
		void *state;

		if (bench->subjects != NULL &&
		    !in_list(bench->subjects, subject->name))
			continue;
		if ((state = subject->open(bed)) == NULL)
			continue;
		party->subject[party->n] = subject;
		party->state[party->n++] = state;
	}
}

static void
close_party(struct party *party)
{
	for (unsigned i = 0; i < party->n; i++)
		party->subject[i]->close(party->state[i]);
}

/* Write every request-sized piece once, or as many at random (ageing). */
static void
write_all(const struct party *party, uint32_t request, bool random)
{
	uint8_t *buf = aligned_alloc(4096, BENCH_REQUEST_MAX);

	memset(buf, 0xa5, BENCH_REQUEST_MAX);
	for (unsigned i = 0; i < party->n; i++) {
		const struct subject *subject = party->subject[i];
		uint64_t n = subject->size(party->state[i]) / request;
		uint64_t state = 1;

		if (subject->write == NULL)
			continue;
		/* With a sync for each it would take minutes. */
		if (party->bed->is_disk && n > 512)
			n = 512;
		for (uint64_t k = 0; k < n; k++) {
			uint64_t place = k;

			state = state * UINT64_C(6364136223846793005) + 1;
			if (random)
				place = (state >> 32) * n >> 32;
			if (subject->write(party->state[i], 0, place * request,
				request, buf) != 0)
				break;
		}
	}
	free(buf);
}

static bool
serves(const struct subject *subject, const struct load *load)
{
	return load->write ? subject->write != NULL : subject->read != NULL;
}

/* Median over the rounds of one number of the results. */
static double
median_of(const struct slice_result *round, unsigned n, size_t offset)
{
	double value[BENCH_ROUNDS_MAX];

	for (unsigned k = 0; k < n; k++)
		memcpy(&value[k], (const char *)&round[k] + offset,
		    sizeof(value[k]));
	return bench_median(value, n);
}

/* Median of the rounds' ratios of ours to another's. */
static double
ratio_of(const struct slice_result *ours, const struct slice_result *other,
    unsigned n, size_t offset)
{
	double value[BENCH_ROUNDS_MAX];

	for (unsigned k = 0; k < n; k++) {
		double a, b;

		memcpy(&a, (const char *)&ours[k] + offset, sizeof(a));
		memcpy(&b, (const char *)&other[k] + offset, sizeof(b));
		value[k] = b > 0 ? a / b : 0;
	}
	return bench_median(value, n);
}

static void
fill_row(struct report_row *row, const struct slice_result *result, unsigned n)
{
#define MEDIAN(member) \
	median_of(result, n, offsetof(struct slice_result, member))
	row->median = (struct slice_result){
		.wall_ns = MEDIAN(wall_ns),
		.cpu_ns = MEDIAN(cpu_ns),
		.fences = MEDIAN(fences),
		.dirtied = MEDIAN(dirtied),
		.device = MEDIAN(device),
		.p50_ns = MEDIAN(p50_ns),
		.p999_ns = MEDIAN(p999_ns),
	};
#undef MEDIAN
}

static void
report_results(struct bench *bench, const struct party *party,
    const struct load *load,
    struct slice_result result[NSUBJECT][BENCH_ROUNDS_MAX],
    const bool failed[NSUBJECT])
{
	struct report_row row[NSUBJECT];
	unsigned n = 0;

	for (unsigned i = 0; i < party->n; i++) {
		if (!serves(party->subject[i], load))
			continue;
		if (failed[i]) {
			bench->nfailed++;
			continue;
		}
		row[n] = (struct report_row){ .bed = party->bed->name,
			.load = load->what,
			.subject = party->subject[i]->name,
			.nthread = load->nthread,
			.request = load->request,
			.nround = bench->nround };
		fill_row(&row[n], result[i], bench->nround);
		if (i > 0 && !failed[0]) {
			row[n].wall_ratio =
			    ratio_of(result[0], result[i], bench->nround,
				offsetof(struct slice_result, wall_ns));
			row[n].cpu_ratio =
			    ratio_of(result[0], result[i], bench->nround,
				offsetof(struct slice_result, cpu_ns));
		}
		n++;
	}
	report_cell(&bench->report, row, n);
}

static void
run_cell(
    struct bench *bench, const struct party *party, const struct load *load)
{
	static struct slice_result result[NSUBJECT][BENCH_ROUNDS_MAX];
	bool failed[NSUBJECT] = { false };

	for (unsigned k = 0; k < bench->nround; k++) {
		/* The order turns round, so that no subject is always first. */
		for (unsigned j = 0; j < party->n; j++) {
			unsigned i = k % 2 == 0 ? j : party->n - 1 - j;

			if (!serves(party->subject[i], load))
				continue;
			if (!measure_slice(party->subject[i], party->bed, load,
				party->state[i], bench->slice_ms,
				&result[i][k]))
				failed[i] = true;
		}
	}
	bench->ncell++;
	report_results(bench, party, load, result, failed);
}

static void
count_cell(
    struct bench *bench, const struct party *party, const struct load *load)
{
	for (unsigned i = 0; i < party->n; i++) {
		if (!serves(party->subject[i], load))
			continue;
		bench->ncell++;
		if (bench_counted(party->subject[i], party->state[i], load,
			bench->count) != 0)
			bench->nfailed++;
	}
}

static void
run_loads(struct bench *bench, const struct party *party,
    const struct load *load, unsigned nload, bool sequential)
{
	for (unsigned i = 0; i < nload; i++) {
		if (load[i].sequential != sequential ||
		    !wants_cell(bench, party->bed, &load[i]))
			continue;
		if (bench->count > 0)
			count_cell(bench, party, &load[i]);
		else
			run_cell(bench, party, &load[i]);
	}
}

static void
run_bed(struct bench *bench, const struct bed_loads *row)
{
	struct bed bed = row->bed;
	struct party party;
	bool any = false;

	for (unsigned i = 0; i < row->nload; i++)
		any = any || wants_cell(bench, &bed, &row->load[i]);
	if (!any)
		return;
	bed.dir = bed.is_disk ? bench->disk : bench->ram;
	if (bench->quick || bench->count > 0)
		bed.bytes /= 4; /* room for 4096 free blocks on a disk */
	open_party(bench, &bed, &party);
	/* Nothing is measured before it has been touched. */
	write_all(&party, bed.sector, false);
	run_loads(bench, &party, row->load, row->nload, true);
	write_all(&party, bed.sector, true);
	run_loads(bench, &party, row->load, row->nload, false);
	close_party(&party);
}

static unsigned
number_of(const char *text, unsigned max)
{
	unsigned long n = strtoul(text, NULL, 10);

	return n < 1 ? 1 : n > max ? max : (unsigned)n;
}

static bool
parse_option(struct bench *bench, int option, const char **ret_json)
{
	switch (option) {
	case 'q':
		bench->quick = true;
		bench->nround = 3;
		bench->slice_ms = 10;
		break;
	case 'j':
		*ret_json = optarg;
		break;
	case 'f':
		bench->filter = optarg;
		break;
	case 's':
		bench->subjects = optarg;
		break;
	case 'n':
		bench->nround = number_of(optarg, BENCH_ROUNDS_MAX);
		break;
	case 'm':
		bench->slice_ms = number_of(optarg, 100000);
		break;
	case 'r':
		bench->ram = optarg;
		break;
	case 'd':
		bench->disk = optarg;
		break;
	case 'c':
		bench->count = number_of(optarg, 1000000000);
		break;
	default:
		return false;
	}
	return true;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "quick", no_argument, NULL, 'q' },
		{ "json", required_argument, NULL, 'j' },
		{ "filter", required_argument, NULL, 'f' },
		{ "subjects", required_argument, NULL, 's' },
		{ "rounds", required_argument, NULL, 'n' },
		{ "slice", required_argument, NULL, 'm' },
		{ "ram", required_argument, NULL, 'r' },
		{ "disk", required_argument, NULL, 'd' },
		{ "count", required_argument, NULL, 'c' },
		{ 0 },
	};
	struct bench bench = { .ram = "/dev/shm",
		.disk = "/var/tmp",
		.nround = 7,
		.slice_ms = 100 };
	const char *json = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (!parse_option(&bench, option, &json)) {
			fprintf(stderr,
			    "usage: bench [--quick] [--json FILE] "
			    "[--filter WORDS] [--subjects NAMES] [--rounds N] "
			    "[--slice MS] [--ram DIR] [--disk DIR] "
			    "[--count N]\n");
			return 2;
		}
	}
	if (media_install_sigbus() < 0)
		return 1;
	report_open(&bench.report, json);
	for (unsigned i = 0; i < nbed_loads; i++)
		run_bed(&bench, &bed_loads[i]);
	if (bench.count == 0 && has_all_words("life", bench.filter)) {
		bench.ncell++;
		if (!life_run(&bench.report, bench.disk, bench.quick))
			bench.nfailed++;
	}
	report_close(&bench.report);
	if (bench.ncell == 0)
		fprintf(stderr, "bench: no cell has that name\n");
	return bench.nfailed == 0 && bench.ncell > 0 ? 0 : 1;
}

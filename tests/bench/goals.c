/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * goals -- what the engine is to reach, by ratios within one run.  The report
 * shows them; nothing fails on one.
 */
#include <string.h>

#include "bench.h"

#define LINE_4K "ram line, 4K sectors"
#define LINE_512 "ram line, 512 sectors"
#define DURABLE "disk, durable each"
#define FILLED "disk as filled, durable each"

enum measure {
	TIME_BY_PEER,   /* ours by that of the subject, which is another */
	TAIL_BY_MEDIAN, /* the 99.9th percentile, of ours */
	DISK_BY_PAYLOAD /* bytes that the disk wrote, of ours */
};

struct goal {
	const char *bed, *load;
	unsigned nthread; /* 0: any number */
	const char *subject;
	enum measure measure;
	double most;
};

static const struct goal goals[] = {
	{ LINE_4K, "4K random write", 0, "floor", TIME_BY_PEER, 1.10 },
	{ LINE_512, "512 random write", 0, "floor", TIME_BY_PEER, 1.15 },
	{ LINE_4K, "128K sequential write", 0, "floor", TIME_BY_PEER, 1.10 },
	{ LINE_4K, "128K sequential write", 0, "libpmemblk", TIME_BY_PEER,
	    1 / 4.0 },
	{ LINE_4K, "128K random write", 0, "floor", TIME_BY_PEER, 1.10 },
	{ LINE_4K, "128K random write", 0, "libpmemblk", TIME_BY_PEER,
	    1 / 4.0 },
	{ LINE_512, "16K sequential write", 0, "floor", TIME_BY_PEER, 1.10 },
	{ LINE_512, "16K sequential write", 0, "libpmemblk", TIME_BY_PEER,
	    1 / 8.0 },
	{ LINE_512, "16K random write", 0, "floor", TIME_BY_PEER, 1.10 },
	{ LINE_4K, "4K random read", 0, "copy", TIME_BY_PEER, 1.05 },
	{ LINE_4K, "4K random read", 0, "libpmemblk", TIME_BY_PEER, 1 / 1.25 },
	{ LINE_512, "512 random read", 0, "libpmemblk", TIME_BY_PEER, 1 / 2.5 },
	{ LINE_4K, "4K random read latency", 8, "bttfs", TAIL_BY_MEDIAN, 3 },
	{ LINE_4K, "4K random write latency", 8, "bttfs", TAIL_BY_MEDIAN, 3 },
	{ DURABLE, "4K random write", 4, "libpmemblk", TIME_BY_PEER, 1 / 8.0 },
	{ FILLED, "4K random write", 4, "libpmemblk", TIME_BY_PEER, 1 / 8.0 },
	/* As the disk counted: of a large folio only what is dirty goes there,
	 * while the process has the whole of it on its account. */
	{ DURABLE, "4K random write", 32, "bttfs", DISK_BY_PAYLOAD, 3 },
	{ FILLED, "4K random write", 32, "bttfs", DISK_BY_PAYLOAD, 3 },
};

static double
measured(const struct report_row *row, enum measure measure)
{
	switch (measure) {
	case TIME_BY_PEER:
		return row->wall_ratio;
	case TAIL_BY_MEDIAN:
		return row->median.p50_ns > 0
		    ? row->median.p999_ns / row->median.p50_ns
		    : 0;
	case DISK_BY_PAYLOAD:
		return row->median.device / row->request;
	}
	return 0;
}

bool
goal_of(const struct report_row *row, struct goal_result *ret_result)
{
	static const char *const what[] = { [TIME_BY_PEER] = "",
		[TAIL_BY_MEDIAN] = "p99.9 by median, ",
		[DISK_BY_PAYLOAD] = "disk by payload, " };

	for (size_t i = 0; i < sizeof(goals) / sizeof(goals[0]); i++) {
		const struct goal *goal = &goals[i];
		double value;

		if (strcmp(goal->bed, row->bed) != 0 ||
		    strcmp(goal->load, row->load) != 0 ||
		    strcmp(goal->subject, row->subject) != 0 ||
		    (goal->nthread != 0 && goal->nthread != row->nthread))
			continue;
		/* Nobody to compare with, or nobody who counted. */
		if ((value = measured(row, goal->measure)) <= 0)
			return false;
		*ret_result = (struct goal_result){ .what = what[goal->measure],
			.most = goal->most,
			.value = value,
			.met = value <= goal->most };
		return true;
	}
	return false;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "loads.h"

#define K UINT32_C(1024)
#define MB (UINT64_C(1) << 20)

/* The same with 1, 2, 4 and 8 threads. */
#define THREADS(...)                                                  \
	{ __VA_ARGS__, .nthread = 1 }, { __VA_ARGS__, .nthread = 2 }, \
	    { __VA_ARGS__, .nthread = 4 },                            \
	{                                                             \
		__VA_ARGS__, .nthread = 8                             \
	}
/* Latencies are looked at where threads get into each other's way. */
#define LATENCY(...)                                       \
	{                                                  \
		__VA_ARGS__, .nthread = 8, .latency = true \
	}

static const struct load loads_4k[] = {
	THREADS("4K sequential write", 4 * K, true, true),
	THREADS("128K sequential write", 128 * K, true, true),
	THREADS("128K sequential read", 128 * K, false, true),
	THREADS("4K random write", 4 * K, true, false),
	LATENCY("4K random write latency", 4 * K, true, false),
	THREADS("4K random read", 4 * K, false, false),
	LATENCY("4K random read latency", 4 * K, false, false),
	THREADS("128K random write", 128 * K, true, false),
	THREADS("128K random read", 128 * K, false, false),
	THREADS("1M random write", 1024 * K, true, false),
	THREADS("1M random read", 1024 * K, false, false),
};

static const struct load loads_512[] = {
	THREADS("512 sequential write", 512, true, true),
	THREADS("16K sequential write", 16 * K, true, true),
	THREADS("16K sequential read", 16 * K, false, true),
	THREADS("512 random write", 512, true, false),
	LATENCY("512 random write latency", 512, true, false),
	THREADS("512 random read", 512, false, false),
	LATENCY("512 random read latency", 512, false, false),
	THREADS("16K random write", 16 * K, true, false),
	THREADS("16K random read", 16 * K, false, false),
};

static const struct load loads_few[] = {
	THREADS("4K random write", 4 * K, true, false),
	THREADS("4K random read", 4 * K, false, false),
	THREADS("128K random write", 128 * K, true, false),
};

static const struct load loads_durable[] = {
	{ "4K random write", 4 * K, true, false, .nthread = 1 },
	{ "4K random write", 4 * K, true, false, .nthread = 4 },
	{ "4K random write", 4 * K, true, false, .nthread = 8 },
	{ "4K random write", 4 * K, true, false, .nthread = 32 },
	{ "128K random write", 128 * K, true, false, .nthread = 1 },
	{ "128K random write", 128 * K, true, false, .nthread = 4 },
};

static const struct load loads_filled[] = {
	{ "4K random write", 4 * K, true, false, .nthread = 1 },
	{ "4K random write", 4 * K, true, false, .nthread = 4 },
	{ "4K random write", 4 * K, true, false, .nthread = 32 },
};

#define FLUSHES(n)                                                      \
	{ "4K random write, flush every " #n, 4 * K, true, false,       \
		.nthread = 1, .sync_every = (n) },                      \
	{                                                               \
		"4K random write, flush every " #n, 4 * K, true, false, \
		    .nthread = 4, .sync_every = (n)                     \
	}

static const struct load loads_flush[] = {
	FLUSHES(1),
	FLUSHES(16),
	FLUSHES(256),
	{ "4K random read", 4 * K, false, false, .nthread = 1 },
	{ "4K random read", 4 * K, false, false, .nthread = 4 },
};

#define LOADS(array) (array), sizeof(array) / sizeof((array)[0])

const struct bed_loads bed_loads[] = {
	{ { "ram line, 4K sectors", .force = MEDIA_FORCE_CACHE_LINE,
	      .bytes = 256 * MB, .sector = 4096 },
	    LOADS(loads_4k) },
	{ { "ram line, 512 sectors", .force = MEDIA_FORCE_CACHE_LINE,
	      .bytes = 256 * MB, .sector = 512 },
	    LOADS(loads_512) },
	{ { "ram byte, 4K sectors", .force = MEDIA_FORCE_BYTE,
	      .bytes = 256 * MB, .sector = 4096 },
	    LOADS(loads_few) },
	{ { "ram page, 4K sectors", .force = MEDIA_FORCE_PAGE,
	      .bytes = 256 * MB, .sector = 4096 },
	    LOADS(loads_few) },
	{ { "disk, durable each", .force = MEDIA_FORCE_PAGE, .bytes = 128 * MB,
	      .sector = 4096, .is_disk = true },
	    LOADS(loads_durable) },
	{ { "disk as filled, durable each", .force = MEDIA_FORCE_PAGE,
	      .bytes = 128 * MB, .sector = 4096, .is_disk = true,
	      .keeps_cache = true },
	    LOADS(loads_filled) },
	{ { "disk, durable at flush", .force = MEDIA_FORCE_PAGE,
	      .bytes = 128 * MB, .sector = 4096, .durable_flush = true,
	      .is_disk = true },
	    LOADS(loads_flush) },
};
const unsigned nbed_loads = sizeof(bed_loads) / sizeof(bed_loads[0]);

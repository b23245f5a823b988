/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BTT_HISTOGRAM_H
#define BTT_HISTOGRAM_H

/*
 * histogram -- how often which values were seen, of any size, to one part in
 * eight: latencies in nanoseconds, sizes.
 *
 * Each power of two has eight buckets of the same width; values below eight
 * have one each.  What is read out is the middle of a bucket, so it is at most
 * 6.25 percent off (half of one in eight).  Values of 2^37 (two minutes, as
 * nanoseconds) and more share the last bucket; their maximum is kept apart.
 *
 * The counting side has one writer at a time and any number of readers, who
 * get a copy that may lack what is being counted at the moment.
 */
#include <stdatomic.h>
#include <stdint.h>

#define BTT_HISTOGRAM_SUB_BITS 3u
#define BTT_HISTOGRAM_SUB (1u << BTT_HISTOGRAM_SUB_BITS)
/* Values of that many bits have a bucket. */
#define BTT_HISTOGRAM_BITS 37u
#define BTT_HISTOGRAM_BUCKETS \
	((BTT_HISTOGRAM_BITS - BTT_HISTOGRAM_SUB_BITS + 1) * BTT_HISTOGRAM_SUB)

/* The counting side; all zero is empty.  Keys: a atomic, relaxed. */
struct btt_histogram_counter {
	_Atomic uint64_t sum;                          /* [a] */
	_Atomic uint64_t max;                          /* [a] */
	_Atomic uint64_t count[BTT_HISTOGRAM_BUCKETS]; /* [a] */
};

/* A copy, or the sum of several. */
struct btt_histogram {
	uint64_t n;
	uint64_t sum;
	uint64_t max;
	uint64_t count[BTT_HISTOGRAM_BUCKETS];
};

/* The bucket of a value. */
static inline unsigned
btt_histogram_bucket(uint64_t value)
{
	unsigned shift;

	if (value < BTT_HISTOGRAM_SUB)
		return (unsigned)value;
	if (value >> BTT_HISTOGRAM_BITS != 0)
		return BTT_HISTOGRAM_BUCKETS - 1;
	shift = 63u - (unsigned)__builtin_clzll(value) - BTT_HISTOGRAM_SUB_BITS;
	return shift * BTT_HISTOGRAM_SUB + (unsigned)(value >> shift);
}

/* For the one writer: loads and stores, no locked instruction. */
static inline void
btt_histogram_raise(_Atomic uint64_t *word, uint64_t by)
{
	atomic_store_explicit(word,
	    atomic_load_explicit(word, memory_order_relaxed) + by,
	    memory_order_relaxed);
}

static inline void
btt_histogram_add(struct btt_histogram_counter *counter, uint64_t value)
{
	btt_histogram_raise(&counter->count[btt_histogram_bucket(value)], 1);
	btt_histogram_raise(&counter->sum, value);
	if (value > atomic_load_explicit(&counter->max, memory_order_relaxed))
		atomic_store_explicit(
		    &counter->max, value, memory_order_relaxed);
}

/* The smallest value of a bucket, and of the one after it. */
uint64_t btt_histogram_lower(unsigned bucket);
uint64_t btt_histogram_upper(unsigned bucket);

/* Add what was counted to a sum. */
void btt_histogram_gather(
    const struct btt_histogram_counter *counter, struct btt_histogram *sum);

/*
 * The value that part of whole values do not exceed (99 of 100: the 99th
 * percentile), as exactly as above; 0 of an empty histogram.
 */
uint64_t btt_histogram_quantile(
    const struct btt_histogram *histogram, unsigned part, unsigned whole);

#endif

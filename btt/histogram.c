/* SPDX-License-Identifier: BSD-3-Clause */
#include <btt/histogram.h>

#include <assert.h>

/* How far the values of a bucket are shifted to become its number. */
static unsigned
shift_of(unsigned bucket)
{
	return bucket < 2 * BTT_HISTOGRAM_SUB ? 0
					      : bucket / BTT_HISTOGRAM_SUB - 1;
}

uint64_t
btt_histogram_lower(unsigned bucket)
{
	unsigned shift = shift_of(bucket);

	assert(bucket < BTT_HISTOGRAM_BUCKETS);
	return (uint64_t)(bucket - shift * BTT_HISTOGRAM_SUB) << shift;
}

uint64_t
btt_histogram_upper(unsigned bucket)
{
	return btt_histogram_lower(bucket) + (UINT64_C(1) << shift_of(bucket));
}

void
btt_histogram_gather(
    const struct btt_histogram_counter *counter, struct btt_histogram *sum)
{
	uint64_t count, max;

	for (unsigned i = 0; i < BTT_HISTOGRAM_BUCKETS; i++) {
		count = atomic_load_explicit(
		    &counter->count[i], memory_order_relaxed);
		sum->count[i] += count;
		/* Not a counter of its own, which might say something else. */
		sum->n += count;
	}
	sum->sum += atomic_load_explicit(&counter->sum, memory_order_relaxed);
	max = atomic_load_explicit(&counter->max, memory_order_relaxed);
	if (max > sum->max)
		sum->max = max;
}

static uint64_t
middle(const struct btt_histogram *histogram, unsigned bucket)
{
	uint64_t value =
	    (btt_histogram_lower(bucket) + btt_histogram_upper(bucket) - 1) / 2;

	/* The largest value is known exactly, and nothing is above it. */
	if (bucket == BTT_HISTOGRAM_BUCKETS - 1 || value > histogram->max)
		value = histogram->max;
	return value;
}

uint64_t
btt_histogram_quantile(
    const struct btt_histogram *histogram, unsigned part, unsigned whole)
{
	uint64_t rank, seen = 0;

	assert(part <= whole && whole > 0);
	if (histogram->n == 0)
		return 0;
	/* Rounded up: of one value every quantile is that one. */
	rank = histogram->n / whole * part +
	    (histogram->n % whole * part + whole - 1) / whole;
	for (unsigned i = 0; i < BTT_HISTOGRAM_BUCKETS; i++) {
		seen += histogram->count[i];
		if (seen >= rank && seen > 0)
			return middle(histogram, i);
	}
	return histogram->max;
}

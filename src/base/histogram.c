#include "base/histogram.h"

enum { STEPS = 1 << HISTOGRAM_STEP_BITS };

/* Values below 2 * STEPS have a bucket each; above, the highest HISTOGRAM_STEP_BITS + 1 bits choose it. */
static uint32_t bucket_of(int64_t value)
{
    if (value >= INT64_C(1) << HISTOGRAM_BITS)
        value = (INT64_C(1) << HISTOGRAM_BITS) - 1;
    uint32_t shift = 0;
    while (value >> shift >= 2 * STEPS)
        shift++;
    return shift * STEPS + (uint32_t)(value >> shift);
}

/* The middle of a bucket: no value in it is further away than half its width. */
static int64_t middle_of(uint32_t bucket)
{
    if (bucket < 2 * STEPS)
        return bucket;
    uint32_t shift = bucket / STEPS - 1;
    int64_t first = (int64_t)(bucket - shift * STEPS) << shift;
    return first + ((INT64_C(1) << shift) - 1) / 2;
}

void histogram_add(struct histogram *histogram, int64_t value)
{
    if (value < 0)
        value = 0;
    if (value > histogram->max)
        histogram->max = value;
    histogram->counts[bucket_of(value)]++;
    histogram->count++;
}

int64_t histogram_percentile(const struct histogram *histogram, double share)
{
    if (histogram->count == 0)
        return 0;
    double wanted = share * (double)histogram->count;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (histogram->counts[i] > 0 && (double)seen >= wanted) {
            int64_t value = middle_of(i);
            return value < histogram->max ? value : histogram->max;
        }
    }
    return histogram->max;
}

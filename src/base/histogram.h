/* Percentiles of many values in bounded memory: counts in buckets whose width grows with the value (16 for
 * each power of two), so that a percentile is within 1/32 of the true one, and exact below 32. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_BITS = 40, /* values from 2^40 on (of microseconds: 12 days) count as 2^40 - 1 */
    HISTOGRAM_STEP_BITS = 4,
    HISTOGRAM_BUCKETS = (HISTOGRAM_BITS - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS
};

struct histogram { /* zeroed: empty */
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t count;
    int64_t max; /* exact */
};

void histogram_add(struct histogram *histogram, int64_t value); /* a negative value counts as 0 */
/* The value that a share (0..1) of the values does not exceed; 0 when empty, never above max. */
int64_t histogram_percentile(const struct histogram *histogram, double share);

#endif

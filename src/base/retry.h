/* Whether and when something that failed is tried again: exponential back-off with jitter, at most so many
 * attempts. Pure: the caller brings the seed and keeps the count. */
#ifndef BASE_RETRY_H
#define BASE_RETRY_H

#include "base/error.h"

struct retry_policy {
    int64_t delay_first_ms; /* after the first failure; doubles with each further one */
    int64_t delay_max_ms;
    uint32_t attempts_max; /* 0: no limit; 1: never again */
};

enum retry_verdict {
    RETRY_UNKNOWN,
    RETRY_AGAIN,
    RETRY_EXHAUSTED, /* retryable, but the attempts are used up */
    RETRY_USELESS    /* the error table says that the same call fails again */
};
/* attempts: those made, the failed one included. */
enum retry_verdict retry_decide(const struct retry_policy *policy, dobby_code code, uint32_t attempts);

/* From half to all of min(delay_first_ms * 2^(attempts - 1), delay_max_ms), drawn from seed and attempts, so
 * that what failed together does not come back together. attempts 0 counts as 1. */
int64_t retry_delay_ms(const struct retry_policy *policy, uint32_t attempts, uint64_t seed);

#endif

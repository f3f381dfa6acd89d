#include "base/retry.h"

enum retry_verdict retry_decide(const struct retry_policy *policy, dobby_code code, uint32_t attempts)
{
    if (!dobby_code_retryable(code))
        return RETRY_USELESS;
    return policy->attempts_max > 0 && attempts >= policy->attempts_max ? RETRY_EXHAUSTED : RETRY_AGAIN;
}

/* SplitMix64 (Steele, Lea, Flood 2014): every bit of the input moves every bit of the output. */
static uint64_t mix(uint64_t z)
{
    z += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

int64_t retry_delay_ms(const struct retry_policy *policy, uint32_t attempts, uint64_t seed)
{
    int64_t delay_ms =
        policy->delay_first_ms < policy->delay_max_ms ? policy->delay_first_ms : policy->delay_max_ms;
    for (uint32_t i = 1; i < attempts && delay_ms > 0 && delay_ms < policy->delay_max_ms; i++)
        delay_ms = delay_ms > policy->delay_max_ms / 2 ? policy->delay_max_ms : delay_ms * 2;
    if (delay_ms <= 0)
        return 0;
    int64_t half_ms = delay_ms - delay_ms / 2;
    return half_ms + (int64_t)(mix(seed ^ mix(attempts)) % (uint64_t)(delay_ms - half_ms + 1));
}

#include "base/retry.h"

#include "base/mix.h"

enum retry_verdict retry_decide(const struct retry_policy *policy, dobby_code code, uint32_t attempts)
{
    if (!dobby_code_retryable(code))
        return RETRY_USELESS;
    return policy->attempts_max > 0 && attempts >= policy->attempts_max ? RETRY_EXHAUSTED : RETRY_AGAIN;
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
    return half_ms + (int64_t)(mix64(seed ^ mix64(attempts)) % (uint64_t)(delay_ms - half_ms + 1));
}

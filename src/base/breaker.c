#include "base/breaker.h"

const char *breaker_state_name(enum breaker_state state)
{
    switch (state) {
    case BREAKER_CLOSED:
        return "closed";
    case BREAKER_OPEN:
        return "open";
    case BREAKER_HALF_OPEN:
        return "half_open";
    }
    return "unknown";
}

bool breaker_would_allow(const struct breaker *breaker, int64_t now_ns)
{
    return breaker->state == BREAKER_CLOSED ||
           (breaker->state == BREAKER_OPEN && now_ns >= breaker->probe_ns);
}

bool breaker_allows(struct breaker *breaker, int64_t now_ns)
{
    if (!breaker_would_allow(breaker, now_ns))
        return false;
    if (breaker->state == BREAKER_OPEN)
        breaker->state = BREAKER_HALF_OPEN;
    return true;
}

void breaker_success(struct breaker *breaker)
{
    breaker->state = BREAKER_CLOSED;
    breaker->failures = 0;
    breaker->openings = 0;
}

void breaker_trip(struct breaker *breaker, int64_t now_ns)
{
    if (breaker->state == BREAKER_OPEN)
        return; /* a call that began before it opened: the cool-down knows already */
    if (breaker->state == BREAKER_CLOSED) {
        breaker->trouble_ns = now_ns;
        breaker->opened++;
    }
    breaker->state = BREAKER_OPEN;
    breaker->failures = 0;
    if (breaker->openings < UINT32_MAX)
        breaker->openings++;
    breaker->probe_ns =
        now_ns + retry_delay_ms(&breaker->policy.cool_down, breaker->openings, breaker->seed) * 1000000;
}

void breaker_failure(struct breaker *breaker, int64_t now_ns)
{
    if (breaker->state != BREAKER_CLOSED || ++breaker->failures >= breaker->policy.failures_max)
        breaker_trip(breaker, now_ns);
}

void breaker_abandon(struct breaker *breaker, int64_t now_ns)
{
    if (breaker->state != BREAKER_HALF_OPEN)
        return;
    breaker->state = BREAKER_OPEN;
    breaker->probe_ns = now_ns;
}

int64_t breaker_wait_ns(const struct breaker *breaker, int64_t now_ns)
{
    if (breaker_would_allow(breaker, now_ns))
        return 0;
    return breaker->state == BREAKER_HALF_OPEN ? INT64_MAX : breaker->probe_ns - now_ns;
}

int64_t breaker_trouble_ns(const struct breaker *breaker, int64_t now_ns)
{
    return breaker->state == BREAKER_CLOSED ? 0 : now_ns - breaker->trouble_ns;
}

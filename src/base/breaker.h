/* A circuit breaker: what keeps failing is left alone for a while, then tried with one call. Pure: the
 * caller passes the time (monotonic nanoseconds) and reports each call's end.
 *
 *   CLOSED    -> OPEN        [breaker_failure, policy.failures_max in a row; breaker_trip]
 *   OPEN      -> HALF_OPEN   [breaker_allows, once the cool-down has passed: that call is the probe]
 *   HALF_OPEN -> CLOSED      [breaker_success]
 *   HALF_OPEN -> OPEN        [breaker_failure, breaker_trip: the cool-down doubles, up to its limit]
 *   HALF_OPEN -> OPEN        [breaker_abandon: the probe was not made; the cool-down is over already]
 *   OPEN      -> CLOSED      [breaker_success: of a call that began before]
 *
 * A zeroed struct with a policy is closed. */
#ifndef BASE_BREAKER_H
#define BASE_BREAKER_H

#include "base/retry.h"

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };
const char *breaker_state_name(enum breaker_state state); /* "closed", "open", "half_open" */

struct breaker_policy {
    uint32_t failures_max;         /* in a row that open it, at least 1 */
    struct retry_policy cool_down; /* its attempts_max is not looked at */
};

struct breaker {
    struct breaker_policy policy;
    uint64_t seed; /* of the cool-downs' jitter */
    enum breaker_state state;
    uint32_t failures;  /* in a row, while CLOSED */
    uint32_t openings;  /* since it was last CLOSED */
    int64_t trouble_ns; /* when it left CLOSED; while it is not */
    int64_t probe_ns;   /* when the cool-down is over; while OPEN */
    uint64_t opened;    /* times that it left CLOSED, ever */
};

/* True when a call may be made now. When it is not CLOSED, that call is the one probe: its end must be
 * reported, or breaker_abandon called. */
bool breaker_allows(struct breaker *breaker, int64_t now_ns);
/* True when breaker_allows would be: changes nothing. */
bool breaker_would_allow(const struct breaker *breaker, int64_t now_ns);
void breaker_success(struct breaker *breaker);
void breaker_failure(struct breaker *breaker, int64_t now_ns);
/* A failure that leaves no doubt: opens at once. */
void breaker_trip(struct breaker *breaker, int64_t now_ns);
void breaker_abandon(struct breaker *breaker, int64_t now_ns);
/* How long until a probe is allowed: 0 when a call is allowed now, INT64_MAX while one is being made. */
int64_t breaker_wait_ns(const struct breaker *breaker, int64_t now_ns);
/* For how long it has not been CLOSED; 0 when it is. */
int64_t breaker_trouble_ns(const struct breaker *breaker, int64_t now_ns);

#endif

/* When to try a busy store again: exponential back-off with jitter, up to a limit.
 *
 *   OPEN    -> WAITING   [store_gate_busy]
 *   WAITING -> OPEN      [time: store_gate_is_open]; the tries go on counting
 *   any     -> OPEN      [store_gate_passed]; the count starts over */
#ifndef PIPELINE_STORE_GATE_H
#define PIPELINE_STORE_GATE_H

#include <stdbool.h>
#include <stdint.h>

struct store_gate {
    int64_t limit_ms;      /* how long a store may stay busy */
    int64_t busy_since_ns; /* monotonic; while tries > 0 */
    int64_t retry_ns;      /* monotonic; while tries > 0 */
    uint32_t tries;        /* in a row that found the store busy */
};

bool store_gate_is_open(const struct store_gate *gate, int64_t now_ns);
/* The store answered. */
void store_gate_passed(struct store_gate *gate);
/* The store was busy. False when it has been so for the limit: give up. */
bool store_gate_busy(struct store_gate *gate, int64_t now_ns);
/* store_gate_busy and then a sleep until the next try: for calls that nothing can go on without. */
bool store_gate_wait(struct store_gate *gate);

#endif

#include "pipeline/store_gate.h"

#include "os/clock.h"
#include "os/random.h"

static const int64_t delay_first_ms = 10;
static const int64_t delay_max_ms = 2000;

bool store_gate_is_open(const struct store_gate *gate, int64_t now_ns)
{
    return gate->tries == 0 || now_ns >= gate->retry_ns;
}

void store_gate_passed(struct store_gate *gate)
{
    gate->tries = 0;
}

bool store_gate_busy(struct store_gate *gate, int64_t now_ns)
{
    if (gate->tries == 0)
        gate->busy_since_ns = now_ns;
    if (now_ns - gate->busy_since_ns >= gate->limit_ms * 1000000)
        return false;
    int64_t delay_ms = gate->tries < 16 ? delay_first_ms << gate->tries : delay_max_ms;
    if (delay_ms > delay_max_ms)
        delay_ms = delay_max_ms;
    uint8_t draw = 0; /* half to all of the delay; without randomness half */
    if (random_bytes(&draw, sizeof(draw), NULL) != DOBBY_OK)
        draw = 0;
    gate->retry_ns = now_ns + delay_ms * 500000 + delay_ms * 500000 / 256 * draw;
    gate->tries++;
    return true;
}

bool store_gate_wait(struct store_gate *gate)
{
    int64_t now_ns = clock_monotonic_ns();
    if (!store_gate_busy(gate, now_ns))
        return false;
    clock_sleep_ms((gate->retry_ns - now_ns) / 1000000);
    return true;
}

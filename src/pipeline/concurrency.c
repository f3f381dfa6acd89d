#include "pipeline/concurrency.h"

#define EPOCH_NS INT64_C(1000000000)
enum { COMPLETIONS_MIN = 8, HOLD_EPOCHS_MAX = 32 };
/* What more records must gain to be worth their memory and latency, and what fewer may cost: below both is
 * what one second's measurement scatters by. */
static const double gain_min = 1.05;
static const double loss_max = 0.98;

static void begin_epoch(struct concurrency *c, uint32_t ignore)
{
    c->began_ns = 0;
    c->ignore = ignore;
    c->completions = 0;
}

void concurrency_init(struct concurrency *c, uint32_t min, uint32_t max)
{
    *c = (struct concurrency){
        .min = min, .max = max, .limit = max, .kept = max, .hold = 1, .hold_epochs = 1, .ignore = max};
}

void concurrency_completed(struct concurrency *c, int64_t now_ns)
{
    if (c->ignore > 0)
        c->ignore--;
    else if (c->began_ns == 0)
        c->began_ns = now_ns;
    else
        c->completions++;
}

void concurrency_starved(struct concurrency *c)
{
    begin_epoch(c, c->limit);
}

/* A quarter fewer or a third more, so that up undoes down; at least one; clamped. */
static uint32_t next_limit(const struct concurrency *c, bool up)
{
    uint32_t step = up ? c->kept / 3 : c->kept / 4;
    step = step > 0 ? step : 1;
    if (up)
        return c->max - c->kept > step ? c->kept + step : c->max;
    return c->kept - c->min > step ? c->kept - step : c->min;
}

static bool move_to(struct concurrency *c, uint32_t limit)
{
    bool moved = limit != c->limit;
    c->limit = limit;
    begin_epoch(c, limit);
    return moved;
}

/* Tries in the present direction, or in the other one where this one has come to its end. */
static bool begin_try(struct concurrency *c)
{
    if (next_limit(c, c->up) == c->kept)
        c->up = !c->up;
    uint32_t limit = next_limit(c, c->up);
    if (limit == c->kept)
        return false;
    c->trying = true;
    return move_to(c, limit);
}

static bool end_try(struct concurrency *c, double rate)
{
    c->trying = false;
    if (rate >= c->rate * (c->up ? gain_min : loss_max)) {
        /* The rate to beat is the best on the way, or small losses would add up step by step. */
        c->rate = c->up || rate > c->rate ? rate : c->rate;
        c->kept = c->limit;
        c->turned = 0;
        c->hold_epochs = 1;
        c->moves++;
        return begin_try(c);
    }
    c->up = !c->up;
    if (++c->turned >= 2) {
        c->turned = 0;
        c->hold_epochs = c->hold_epochs < HOLD_EPOCHS_MAX ? c->hold_epochs * 2 : HOLD_EPOCHS_MAX;
    }
    c->hold = c->hold_epochs;
    return move_to(c, c->kept);
}

bool concurrency_tick(struct concurrency *c, int64_t now_ns)
{
    uint64_t wanted = 2 * (uint64_t)c->limit > COMPLETIONS_MIN ? 2 * (uint64_t)c->limit : COMPLETIONS_MIN;
    if (c->min == c->max || c->began_ns == 0 || now_ns - c->began_ns < EPOCH_NS || c->completions < wanted)
        return false;
    double rate = (double)c->completions * 1e9 / (double)(now_ns - c->began_ns);
    if (c->trying)
        return end_try(c, rate);
    /* At rest the rate is measured anew, slowly: the records and the machine change under it. */
    c->rate = c->rate > 0 ? (c->rate + rate) / 2 : rate;
    if (--c->hold == 0)
        return begin_try(c);
    begin_epoch(c, 0);
    return false;
}

/* How many records run in the engine at once: moved between a minimum and a maximum by what is measured. More
 * are tried as long as they make the run faster; fewer when they do not make it slower, since then each
 * record only waits longer. Pure: the caller passes the time and what happened.
 *
 *   MEASURING -> TRYING      [concurrency_tick: an epoch has passed at the limit, and it is time for a try]
 *   TRYING    -> MEASURING   [concurrency_tick: an epoch has passed at the tried limit: kept or taken back]
 *
 * An epoch is a second or more in which the engine was full throughout and 2 * limit records were completed;
 * the first `limit` completions after a move began before it, and are not counted. After tries in both
 * directions that were taken back, the next waits twice as many epochs as the last. */
#ifndef PIPELINE_CONCURRENCY_H
#define PIPELINE_CONCURRENCY_H

#include <stdbool.h>
#include <stdint.h>

struct concurrency {
    uint32_t min, max;
    uint32_t limit;             /* at present */
    uint32_t kept;              /* what a try is taken back to */
    bool trying, up;            /* up: the direction of this or the next try */
    uint32_t turned;            /* tries in a row that were taken back */
    uint32_t hold, hold_epochs; /* epochs until the next try, and how many the last wait was */
    double rate;                /* completions a second at `kept` */
    /* The epoch that runs: */
    int64_t began_ns; /* 0: waits for completions that began before the last move */
    uint32_t ignore;  /* so many of them */
    uint64_t completions;
    uint64_t moves; /* of the limit that were kept, ever */
};

/* Starts at max; min = max moves nothing. 1 <= min <= max. */
void concurrency_init(struct concurrency *concurrency, uint32_t min, uint32_t max);
void concurrency_completed(struct concurrency *concurrency, int64_t now_ns);
/* There was nothing to fill the engine with: what is being measured says nothing. */
void concurrency_starved(struct concurrency *concurrency);
/* True when the limit has changed. */
bool concurrency_tick(struct concurrency *concurrency, int64_t now_ns);

#endif

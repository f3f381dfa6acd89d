/* Measuring ceilings beside kernels: a shared machine's speed drifts, so both are measured in turn, many
 * times and briefly, and the best of each counts. */
#ifndef INFER_BENCH_CEILINGS_H
#define INFER_BENCH_CEILINGS_H

#include "infer/bench/figures.h"
#include "infer/cpu/ceiling.h"
#include "os/thread_pool.h"

struct bench_ceilings {
    struct thread_pool *pool; /* borrowed */
    const struct ceiling_loop *loops[CEILING_LOOPS_MAX];
    double best[CEILING_LOOPS_MAX]; /* operations a second, of the loop beside */
    size_t loop_count;
    double read_best; /* bytes a second */
    /* Far more memory than the caches hold, where weights lie that a model would read from there too. */
    uint8_t *far;
    size_t far_bytes, far_at;
};

/* Fails: OUT_OF_MEMORY. */
DOBBY_NODISCARD dobby_code bench_ceilings_open(struct thread_pool *pool, struct bench_ceilings *out,
                                               struct dobby_error *err);
void bench_ceilings_release(struct bench_ceilings *ceilings);

/* One repetition on all threads: operations or bytes a second. */
double bench_measure_loop(struct bench_ceilings *ceilings, const struct ceiling_loop *loop);
double bench_measure_read(struct bench_ceilings *ceilings);
/* All of them, a few times each: some tens of milliseconds. */
void bench_measure_all(struct bench_ceilings *ceilings);
/* The best so far. */
void bench_ceilings_figures(const struct bench_ceilings *ceilings, struct machine_figures *out);

#endif

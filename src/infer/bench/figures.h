/* What is measured: plain values that own nothing, for printing, saving and comparing. */
#ifndef INFER_BENCH_FIGURES_H
#define INFER_BENCH_FIGURES_H

#include "infer/engine.h"

#include <stdbool.h>
#include <stdint.h>

enum { FIGURE_NAME_BYTES = 96, FIGURE_LABEL_BYTES = 24, FIGURE_PHASES = PHASE_COUNT };

/* What this machine can do, all threads together: the best of many short repetitions, made between the other
 * measurements. 10^12 operations a second, a product and its sum being two; READ_GB_PER_S: 10^9 bytes. */
enum machine_ceiling {
    CEILING_BF16_TILE,
    CEILING_INT8_TILE,
    CEILING_FP32_VECTOR, /* of the widest set */
    CEILING_AVX512_FP32,
    CEILING_AVX512_BF16,
    CEILING_AVX512_INT8,
    CEILING_AVX2_FP32,
    CEILING_AVX2_INT8,
    CEILING_READ_GB_PER_S, /* from beyond the caches */
    CEILING_COUNT
};
const char *machine_ceiling_name(enum machine_ceiling ceiling); /* "bf16_tile_tflops" */

struct machine_figures {
    char cpu[FIGURE_NAME_BYTES];
    uint32_t threads;
    double ceilings[CEILING_COUNT]; /* 0: the machine has no such unit */
};

/* One kernel at one shape: (m, k) activations by (k, n) weights; attention: m new tokens by n positions,
 * heads of k. */
struct kernel_figures {
    char name[FIGURE_NAME_BYTES];
    char isa[FIGURE_LABEL_BYTES];     /* the kernel set */
    char product[FIGURE_LABEL_BYTES]; /* "f32", "bf16", "int8" */
    char weights[FIGURE_LABEL_BYTES]; /* the type they were packed from; "kv" for attention */
    char
        bound[FIGURE_LABEL_BYTES]; /* which ceiling counts: "compute", "memory", "none" where there is none */
    uint32_t m, n, k;
    double achieved, ceiling; /* 10^12 operations a second */
    double percent;           /* achieved of ceiling */
    double best_us;
};

/* Many records through an engine. */
struct engine_figures {
    char model[FIGURE_NAME_BYTES];
    char precision[FIGURE_LABEL_BYTES];
    char kernels[FIGURE_LABEL_BYTES];
    uint32_t sessions; /* what the engine used */
    bool automatic;    /* it chose them itself */
    uint32_t threads;
    uint64_t records; /* finished */
    double seconds;   /* from the first one submitted to the last one finished */
    double records_per_min;
    double prefill_tokens_per_s; /* computed: the shared part of the prompts counts once, if it is shared */
    double decode_tokens_per_s;
    double first_token_ms; /* this and the next: from admission; the first is the median */
    double p50_ms, p95_ms, p99_ms;
    double
        first_1000_rss_mb; /* the same when 1,000 records had finished, or all: what grows later is a leak */
    double
        peak_rss_mb; /* of the process, since the engine was opened where the kernel allows it; 10^6 bytes */
    double rows_per_pass;
    double phase_percent[FIGURE_PHASES]; /* of the engine's time, by enum engine_phase */
};

#endif

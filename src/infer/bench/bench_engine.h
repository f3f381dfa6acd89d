/* Synthetic records through an engine: how many a minute, how fast each, in how much memory.
 *
 * A record is a prompt of random tokens whose first are the same for all, and a fixed number of generated
 * ones: an end token does not end it. The tokens depend on the seed alone. */
#ifndef INFER_BENCH_BENCH_ENGINE_H
#define INFER_BENCH_BENCH_ENGINE_H

#include "infer/bench/figures.h"
#include "infer/engine_native.h"

enum { BENCH_PROMPT_TOKENS = 300, BENCH_SHARED_TOKENS = 40, BENCH_GENERATED_TOKENS = 30 };

struct bench_engine_options {
    struct engine_native_options engine; /* sessions 0: the engine's own choice */
    /* Exactly so many; 0: those submitted within seconds, twice the sessions at least, or as many as the
     * sessions where twice would take BENCH_PATIENCE times the seconds even one by one. */
    uint64_t records;
    double seconds;
    uint64_t seed;
};
enum { BENCH_PATIENCE = 6 };

/* Opens an engine, lets one record through it to warm up, and measures. Fails: as engine_native_open and
 * engine_submit, and as a record failed. */
DOBBY_NODISCARD dobby_code bench_engine(const struct bench_engine_options *options,
                                        struct engine_figures *out, struct dobby_error *err);

/* Of a sorted array: the smallest value that so many percent do not exceed; 0 of none. */
double bench_percentile(const double *sorted, size_t count, double percent);

#endif

#include "infer/bench/bench_engine.h"

#include "base/error.h"
#include "os/clock.h"
#include "os/process.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESULTS_AT_ONCE = 64, WAIT_MS = 100, EARLY_RECORDS = 1000 };

struct samples {
    double *values; /* owned */
    size_t count, capacity;
};

struct bench {
    const struct bench_engine_options *options;
    struct engine *engine;
    uint64_t state; /* of the random tokens */
    int32_t prompt[BENCH_PROMPT_TOKENS];
    uint64_t ahead; /* records with the engine at once */
    uint64_t submitted, finished;
    int64_t start_ns, last_ns; /* last_ns: when the last result came */
    double early_rss_mb;       /* the peak when EARLY_RECORDS had finished */
    struct samples first_token_ms, total_ms;
};

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_bits(struct bench *bench)
{
    uint64_t z = bench->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static void fill_tokens(struct bench *bench, size_t first, size_t end)
{
    const uint32_t vocabulary = engine_info(bench->engine)->vocabulary;
    for (size_t i = first; i < end; i++)
        bench->prompt[i] = (int32_t)(next_bits(bench) % vocabulary);
}

static dobby_code add_sample(struct samples *samples, double value, struct dobby_error *err)
{
    if (samples->count == samples->capacity) {
        const size_t capacity = samples->capacity > 0 ? 2 * samples->capacity : 256;
        double *values = realloc(samples->values, capacity * sizeof *values);
        if (values == NULL)
            return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu samples", capacity);
        samples->values = values;
        samples->capacity = capacity;
    }
    samples->values[samples->count++] = value;
    return DOBBY_OK;
}

static int compare(const void *a, const void *b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

double bench_percentile(const double *sorted, size_t count, double percent)
{
    if (count == 0)
        return 0;
    const size_t rank = (size_t)ceil(percent / 100.0 * (double)count);
    return sorted[rank == 0 ? 0 : rank > count ? count - 1 : rank - 1];
}

static dobby_code submit_next(struct bench *bench, struct dobby_error *err)
{
    fill_tokens(bench, BENCH_SHARED_TOKENS, BENCH_PROMPT_TOKENS);
    const struct engine_request request = {.tag = bench->submitted,
                                           .tokens = bench->prompt,
                                           .token_count = BENCH_PROMPT_TOKENS,
                                           .tokens_max = BENCH_GENERATED_TOKENS,
                                           .ignore_end = true,
                                           .sampling = SAMPLING_GREEDY};
    const dobby_code code = engine_submit(bench->engine, &request, err);
    bench->submitted += code == DOBBY_OK;
    return code;
}

static dobby_code take_result(struct bench *bench, const struct engine_result *result,
                              struct dobby_error *err)
{
    if (result->finish == FINISH_ERROR) {
        if (err != NULL)
            *err = result->error;
        return result->error.code;
    }
    bench->finished++;
    bench->last_ns = clock_monotonic_ns();
    if (bench->finished <= EARLY_RECORDS)
        bench->early_rss_mb = (double)process_peak_rss_bytes() / 1e6;
    dobby_code code = add_sample(&bench->first_token_ms, (double)result->first_token_us / 1e3, err);
    if (code == DOBBY_OK)
        code = add_sample(&bench->total_ms, (double)result->total_us / 1e3, err);
    return code;
}

static dobby_code take_results(struct bench *bench, struct dobby_error *err)
{
    struct engine_result results[RESULTS_AT_ONCE];
    size_t count = 0;
    dobby_code code = engine_wait(bench->engine, results, RESULTS_AT_ONCE, WAIT_MS, &count, err);
    for (size_t i = 0; i < count; i++) {
        if (code == DOBBY_OK)
            code = take_result(bench, &results[i], err);
        engine_result_release(&results[i]);
    }
    return code;
}

static double seconds_since(int64_t start_ns)
{
    return (double)(clock_monotonic_ns() - start_ns) / 1e9;
}

static bool wants_more(const struct bench *bench)
{
    const struct bench_engine_options *options = bench->options;
    if (bench->submitted - bench->finished >= bench->ahead)
        return false;
    if (options->records > 0)
        return bench->submitted < options->records;
    return bench->submitted < bench->ahead || seconds_since(bench->start_ns) < options->seconds;
}

static dobby_code run_records(struct bench *bench, struct dobby_error *err)
{
    dobby_code code = DOBBY_OK;
    bench->start_ns = bench->last_ns = clock_monotonic_ns();
    while (code == DOBBY_OK && (wants_more(bench) || bench->finished < bench->submitted)) {
        while (code == DOBBY_OK && wants_more(bench))
            code = submit_next(bench, err);
        if (code == DOBBY_OK)
            code = take_results(bench, err);
    }
    return code;
}

/* The first pass touches weights and memory that later ones find in place. It also tells how long records
 * take here: as many run at once, and as many wait, so that the engine never lacks one; but where those would
 * take too long, one wave must do. */
static dobby_code warm_up(struct bench *bench, struct dobby_error *err)
{
    const uint32_t sessions = engine_info(bench->engine)->sessions;
    const int64_t start_ns = clock_monotonic_ns();
    fill_tokens(bench, 0, BENCH_SHARED_TOKENS);
    dobby_code code = submit_next(bench, err);
    while (code == DOBBY_OK && bench->finished < bench->submitted)
        code = take_results(bench, err);
    bench->ahead = 2 * (uint64_t)sessions;
    if (seconds_since(start_ns) * (double)bench->ahead > bench->options->seconds * BENCH_PATIENCE)
        bench->ahead = sessions;
    bench->submitted = bench->finished = 0;
    bench->first_token_ms.count = bench->total_ms.count = 0;
    return code;
}

static void fill_figures(struct bench *bench, const struct engine_stats *before,
                         const struct engine_stats *after, struct engine_figures *out)
{
    const struct engine_info *info = engine_info(bench->engine);
    struct samples *first = &bench->first_token_ms, *total = &bench->total_ms;
    if (first->count > 0)
        qsort(first->values, first->count, sizeof *first->values, compare);
    if (total->count > 0)
        qsort(total->values, total->count, sizeof *total->values, compare);
    *out = (struct engine_figures){
        .sessions = info->sessions,
        .automatic = bench->options->engine.sessions == 0,
        .threads = info->threads,
        .records = bench->finished,
        .seconds = (double)(bench->last_ns - bench->start_ns) / 1e9,
        .first_token_ms = bench_percentile(first->values, first->count, 50),
        .p50_ms = bench_percentile(total->values, total->count, 50),
        .p95_ms = bench_percentile(total->values, total->count, 95),
        .p99_ms = bench_percentile(total->values, total->count, 99),
        .first_1000_rss_mb = bench->early_rss_mb,
        .peak_rss_mb = (double)process_peak_rss_bytes() / 1e6,
    };
    if (out->seconds > 0) {
        out->records_per_min = (double)out->records * 60 / out->seconds;
        out->prefill_tokens_per_s = (double)(after->prefill_tokens - before->prefill_tokens) / out->seconds;
        out->decode_tokens_per_s = (double)(after->decode_tokens - before->decode_tokens) / out->seconds;
    }
    const uint64_t passes = after->passes - before->passes;
    if (passes > 0)
        out->rows_per_pass = (double)(after->prefill_tokens - before->prefill_tokens + after->decode_tokens -
                                      before->decode_tokens) /
                             (double)passes;
    double sum_ns = 0;
    for (int i = 0; i < PHASE_COUNT; i++)
        sum_ns += (double)(after->phase_ns[i] - before->phase_ns[i]);
    for (int i = 0; sum_ns > 0 && i < PHASE_COUNT; i++)
        out->phase_percent[i] = 100 * (double)(after->phase_ns[i] - before->phase_ns[i]) / sum_ns;
    (void)snprintf(out->model, sizeof out->model, "%s", info->model);
    (void)snprintf(out->precision, sizeof out->precision, "%s", info->precision);
    (void)snprintf(out->kernels, sizeof out->kernels, "%s", info->kernels);
}

dobby_code bench_engine(const struct bench_engine_options *options, struct engine_figures *out,
                        struct dobby_error *err)
{
    struct engine_stats before, after;
    struct bench bench = {.options = options, .state = options->seed};
    *out = (struct engine_figures){0};
    (void)process_reset_peak_rss(); /* else the figure is of the process' whole life, as its comment says */
    dobby_code code = engine_native_open(&options->engine, &bench.engine, err);
    if (code != DOBBY_OK)
        return code;
    code = warm_up(&bench, err);
    engine_stats(bench.engine, &before);
    if (code == DOBBY_OK)
        code = run_records(&bench, err);
    engine_stats(bench.engine, &after);
    if (code == DOBBY_OK)
        fill_figures(&bench, &before, &after, out);
    engine_close(bench.engine);
    free(bench.first_token_ms.values);
    free(bench.total_ms.values);
    return code;
}

#include "infer/bench/ceilings.h"

#include "base/error.h"
#include "os/clock.h"
#include "os/cpu.h"
#include "os/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 4096, REPETITIONS = 5, MEMORY_PARTS = 8 };
/* Beyond the largest last-level cache that two cores of today have to themselves. */
static const size_t FAR_BYTES_MAX = (size_t)512 << 20;
/* What one thread reads in a repetition: a millisecond or two. */
static const size_t READ_BYTES = (size_t)16 << 20;

dobby_code bench_ceilings_open(struct thread_pool *pool, struct bench_ceilings *out, struct dobby_error *err)
{
    *out = (struct bench_ceilings){.pool = pool};
    const size_t least = READ_BYTES * thread_pool_threads(pool);
    const uint64_t memory = memory_total_bytes();
    out->far_bytes = FAR_BYTES_MAX;
    if (memory > 0 && memory / MEMORY_PARTS < out->far_bytes)
        out->far_bytes = (size_t)(memory / MEMORY_PARTS) / ALIGNMENT * ALIGNMENT;
    if (out->far_bytes < least)
        out->far_bytes = least;
    out->far = memory_allocate(out->far_bytes);
    if (out->far == NULL) {
        const size_t bytes = out->far_bytes;
        *out = (struct bench_ceilings){0};
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "%zu MB to measure reading with", bytes >> 20);
    }
    memset(out->far, 1, out->far_bytes); /* pages that nobody wrote would all be the same one */
    out->loop_count = ceiling_loops(out->loops, CEILING_LOOPS_MAX);
    return DOBBY_OK;
}

void bench_ceilings_release(struct bench_ceilings *ceilings)
{
    free(ceilings->far);
    *ceilings = (struct bench_ceilings){0};
}

static void loop_task(void *context, size_t index, uint32_t thread)
{
    const struct ceiling_loop *loop = context;
    (void)index;
    (void)thread;
    loop->run();
}

double bench_measure_loop(struct bench_ceilings *ceilings, const struct ceiling_loop *loop)
{
    const uint32_t threads = thread_pool_threads(ceilings->pool);
    const int64_t start_ns = clock_monotonic_ns();
    thread_pool_run(ceilings->pool, threads, loop_task, (void *)(uintptr_t)loop);
    const double rate = loop->operations * threads * 1e9 / (double)(clock_monotonic_ns() - start_ns);
    for (size_t i = 0; i < ceilings->loop_count; i++) {
        if (ceilings->loops[i] == loop && rate > ceilings->best[i])
            ceilings->best[i] = rate;
    }
    return rate;
}

/* Several streams at once, as a kernel reads several panels: one alone is bound by latency. */
static void read_task(void *context, size_t index, uint32_t thread)
{
    enum { STREAMS = 4, LINE_WORDS = 8 };
    const struct bench_ceilings *ceilings = context;
    const size_t stream_words = READ_BYTES / sizeof(uint64_t) / STREAMS;
    const uint64_t *words =
        (const uint64_t *)(const void *)(ceilings->far + ceilings->far_at + index * READ_BYTES);
    uint64_t sums[LINE_WORDS] = {0};
    (void)thread;
    for (size_t i = 0; i < stream_words; i += LINE_WORDS)
        for (size_t s = 0; s < STREAMS; s++)
            for (size_t k = 0; k < LINE_WORDS; k++)
                sums[k] += words[s * stream_words + i + k];
    volatile uint64_t sink = 0; /* so that the sums are wanted */
    for (size_t k = 0; k < LINE_WORDS; k++)
        sink = sink + sums[k];
}

double bench_measure_read(struct bench_ceilings *ceilings)
{
    const uint32_t threads = thread_pool_threads(ceilings->pool);
    const size_t bytes = READ_BYTES * threads;
    if (ceilings->far_at + bytes > ceilings->far_bytes)
        ceilings->far_at = 0;
    const int64_t start_ns = clock_monotonic_ns();
    thread_pool_run(ceilings->pool, threads, read_task, ceilings);
    const double rate = (double)bytes * 1e9 / (double)(clock_monotonic_ns() - start_ns);
    ceilings->far_at += bytes;
    if (rate > ceilings->read_best)
        ceilings->read_best = rate;
    return rate;
}

void bench_measure_all(struct bench_ceilings *ceilings)
{
    for (int i = 0; i < REPETITIONS; i++) {
        for (size_t j = 0; j < ceilings->loop_count; j++)
            (void)bench_measure_loop(ceilings, ceilings->loops[j]);
        (void)bench_measure_read(ceilings);
    }
}

static double best_of(const struct bench_ceilings *ceilings, const char *set, enum product product)
{
    for (size_t i = 0; i < ceilings->loop_count; i++) {
        if (strcmp(ceilings->loops[i]->set, set) == 0 && ceilings->loops[i]->product == product)
            return ceilings->best[i] / 1e12;
    }
    return 0.0;
}

void bench_ceilings_figures(const struct bench_ceilings *ceilings, struct machine_figures *out)
{
    *out = (struct machine_figures){.threads = thread_pool_threads(ceilings->pool)};
    (void)snprintf(out->cpu, sizeof out->cpu, "%s", cpu_features()->model);
    double *to = out->ceilings;
    to[CEILING_BF16_TILE] = best_of(ceilings, "amx", PRODUCT_BF16);
    to[CEILING_INT8_TILE] = best_of(ceilings, "amx", PRODUCT_INT8);
    to[CEILING_AVX512_FP32] = best_of(ceilings, "avx512", PRODUCT_F32);
    to[CEILING_AVX512_BF16] = best_of(ceilings, "avx512", PRODUCT_BF16);
    to[CEILING_AVX512_INT8] = best_of(ceilings, "avx512", PRODUCT_INT8);
    to[CEILING_AVX2_FP32] = best_of(ceilings, "avx2", PRODUCT_F32);
    to[CEILING_AVX2_INT8] = best_of(ceilings, "avx2", PRODUCT_INT8);
    to[CEILING_FP32_VECTOR] =
        to[CEILING_AVX512_FP32] > to[CEILING_AVX2_FP32] ? to[CEILING_AVX512_FP32] : to[CEILING_AVX2_FP32];
    to[CEILING_READ_GB_PER_S] = ceilings->read_best / 1e9;
}

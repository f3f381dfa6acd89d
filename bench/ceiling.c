#include "ceiling.h"

#include "os/clock.h"
#include "os/cpu.h"

#include <stdlib.h>
#include <string.h>

enum { TRIES = 5, FMA_LOOPS = 2000000, SUMS = 12, READ_BYTES = 256 << 20 };

#if defined(__x86_64__)
/* Twelve independent sums hide the latency of four cycles on two units. Assembly, so that no compiler can
 * shorten the loop; the constants do not matter as long as no sum becomes subnormal. */
#define FMA_STEP(reg, n) "vfmadd231ps %%" reg "14, %%" reg "15, %%" reg #n "\n\t"
#define FMA_ALL(reg)                                                                                         \
    FMA_STEP(reg, 0)                                                                                         \
    FMA_STEP(reg, 1)                                                                                         \
    FMA_STEP(reg, 2)                                                                                         \
    FMA_STEP(reg, 3)                                                                                         \
    FMA_STEP(reg, 4)                                                                                         \
    FMA_STEP(reg, 5)                                                                                         \
    FMA_STEP(reg, 6)                                                                                         \
    FMA_STEP(reg, 7)                                                                                         \
    FMA_STEP(reg, 8)                                                                                         \
    FMA_STEP(reg, 9)                                                                                         \
    FMA_STEP(reg, 10)                                                                                        \
    FMA_STEP(reg, 11)
#define FMA_LOOP(reg, loops)                                                                                 \
    __asm__ volatile("vxorps %%xmm14, %%xmm14, %%xmm14\n\t"                                                  \
                     "vxorps %%xmm15, %%xmm15, %%xmm15\n\t"                                                  \
                     "vxorps %%xmm0, %%xmm0, %%xmm0\n\tvxorps %%xmm1, %%xmm1, %%xmm1\n\t"                    \
                     "vxorps %%xmm2, %%xmm2, %%xmm2\n\tvxorps %%xmm3, %%xmm3, %%xmm3\n\t"                    \
                     "vxorps %%xmm4, %%xmm4, %%xmm4\n\tvxorps %%xmm5, %%xmm5, %%xmm5\n\t"                    \
                     "vxorps %%xmm6, %%xmm6, %%xmm6\n\tvxorps %%xmm7, %%xmm7, %%xmm7\n\t"                    \
                     "vxorps %%xmm8, %%xmm8, %%xmm8\n\tvxorps %%xmm9, %%xmm9, %%xmm9\n\t"                    \
                     "vxorps %%xmm10, %%xmm10, %%xmm10\n\tvxorps %%xmm11, %%xmm11, %%xmm11\n\t"              \
                     "1:\n\t" FMA_ALL(reg) "dec %0\n\t"                                                      \
                                           "jnz 1b\n\t"                                                      \
                                           "vzeroupper"                                                      \
                     : "+r"(loops)                                                                           \
                     :                                                                                       \
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",       \
                       "xmm10", "xmm11", "xmm14", "xmm15", "cc")

static void fma_256(void *context, size_t index, uint32_t thread)
{
    (void)context, (void)index, (void)thread;
    uint64_t loops = FMA_LOOPS;
    FMA_LOOP("ymm", loops);
}

static void fma_512(void *context, size_t index, uint32_t thread)
{
    (void)context, (void)index, (void)thread;
    uint64_t loops = FMA_LOOPS;
    FMA_LOOP("zmm", loops);
}
#endif

/* The best of some tries of one task on every thread, nanoseconds: a shared machine disturbs, never helps. */
static int64_t best_ns(struct thread_pool *pool, thread_pool_task *task, void *context)
{
    int64_t best = INT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        int64_t start = clock_monotonic_ns();
        thread_pool_run(pool, thread_pool_threads(pool), task, context);
        int64_t taken = clock_monotonic_ns() - start;
        best = taken < best ? taken : best;
    }
    return best;
}

double ceiling_fma_gflops(struct thread_pool *pool, int vector_bits)
{
#if defined(__x86_64__)
    const struct cpu_features *cpu = cpu_features();
    if (vector_bits == 256 ? !cpu->avx2 : !cpu->avx512)
        return 0.0;
    int64_t taken_ns = best_ns(pool, vector_bits == 256 ? fma_256 : fma_512, NULL);
    double flops = 2.0 * SUMS * FMA_LOOPS * (vector_bits / 32) * thread_pool_threads(pool);
    return flops / (double)taken_ns;
#else
    (void)pool, (void)vector_bits;
    return 0.0;
#endif
}

struct reading {
    const uint64_t *words; /* READ_BYTES for each thread */
    uint64_t sums[256];
};

/* Several streams at once, as a kernel reads several panels: one alone is bound by latency. Staggered, lest
 * they meet in the same cache sets and memory banks. */
static void read_part(void *context, size_t index, uint32_t thread)
{
    enum { STREAMS = 8, LINE_WORDS = 8, STAGGER_WORDS = 520 };
    struct reading *reading = context;
    const size_t count = READ_BYTES / sizeof(uint64_t), stream_count = count / STREAMS;
    const size_t stagger = (size_t)STREAMS * STAGGER_WORDS;
    const uint64_t *words = reading->words + index * count;
    uint64_t sums[LINE_WORDS] = {0};
    (void)thread;
    for (size_t i = 0; i + stagger < stream_count; i += LINE_WORDS)
        for (size_t s = 0; s < STREAMS; s++)
            for (size_t k = 0; k < LINE_WORDS; k++)
                sums[k] += words[s * (stream_count - STAGGER_WORDS) + i + k];
    for (size_t k = 0; k < LINE_WORDS; k++)
        reading->sums[index] += sums[k];
}

double ceiling_read_gb_per_s(struct thread_pool *pool)
{
    size_t bytes = (size_t)READ_BYTES * thread_pool_threads(pool);
    struct reading reading = {0};
    uint64_t *words = aligned_alloc(64, bytes);
    if (words == NULL)
        return 0.0;
    memset(words, 1, bytes);
    reading.words = words;
    int64_t taken_ns = best_ns(pool, read_part, &reading);
    free(words);
    return (double)bytes / (double)taken_ns;
}

/* Each kernel of each set as a percentage of what the machine can do, measured in the same run:
 * multiply-adds in registers for many tokens, reading memory for few. Products with rounded operands are
 * compared with the same F32 ceiling, so that their percentage says what they gain. Usage: bench_kernels [SET
 * [PRODUCT]]
 */
#include "ceiling.h"

#include "infer/cpu/kernels.h"
#include "os/clock.h"
#include "os/cpu.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETS_MAX = 8, COPIES_MAX = 512, THREADS_MAX = 2, PANELS_PER_TASK = 4, LOOPS = 2000 };
static const size_t ROTATED_BYTES = (size_t)128
                                    << 20; /* so that weights come from beyond the caches, as in a model */
static const int64_t MEASURE_NS = 150000000;

struct shape {
    const char *name;
    uint32_t tokens, columns, rows;
    bool accumulate, gated;
};

static const struct shape shapes[] = {
    {"qkv", 256, 512, 768, false, false},       {"gate+up", 256, 512, 3072, false, true},
    {"up", 256, 512, 1536, false, false},       {"down", 256, 1536, 512, true, false},
    {"qwen up", 512, 896, 4864, false, false},  {"qwen down", 512, 4864, 896, true, false},
    {"head, 16", 16, 512, 16384, false, false}, {"up, 64", 64, 512, 1536, false, false},
    {"up, 16", 16, 512, 1536, false, false},    {"head, 1", 1, 512, 16384, false, false},
    {"up, 1", 1, 512, 1536, false, false},      {"down, 1", 1, 1536, 512, true, false},
    {"qwen up, 1", 1, 896, 4864, false, false}, {"up, 2", 2, 512, 1536, false, false},
    {"up, 4", 4, 512, 1536, false, false},
};

struct ceilings {
    double gflops, read_gb_per_s;
};

struct bench {
    const struct kernels *set;
    struct thread_pool *pool;
    struct ceilings ceilings;
    void *scratch[THREADS_MAX];
};

struct multiplication {
    struct bench *bench;
    struct matmul_job job; /* without its part and scratch */
};

static void fill(float *values, size_t count)
{
    uint32_t state = 12345;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(int32_t)state * 0x1p-31f;
    }
}

static void *memory_of(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (memory == NULL) {
        (void)fprintf(stderr, "bench_kernels: out of memory\n");
        exit(1);
    }
    return memory;
}

/* Scales are 2^-7 and quants or bits anything finite: only their time matters, but no value is subnormal. */
static struct tensor tensor_of(enum tensor_type type, uint32_t rows, uint32_t columns)
{
    size_t count = (size_t)rows * columns;
    size_t bytes = type == TENSOR_F32 ? count * 4 : type == TENSOR_Q8_0 ? count / 32 * 34 : count * 2;
    uint8_t *data = memory_of(bytes);
    if (type == TENSOR_F32) {
        fill((float *)(void *)data, count);
    } else if (type == TENSOR_Q8_0) {
        for (size_t i = 0; i < bytes; i++)
            data[i] = (uint8_t)(i % 34 == 0 ? 0 : i % 34 == 1 ? 0x20 : i * 37);
    } else {
        for (size_t i = 0; i < bytes; i++)
            data[i] = (uint8_t)(i % 2 == 0 ? i : type == TENSOR_BF16 ? 0x3e : 0x2e);
    }
    return (struct tensor){.type = type, .rows = rows, .columns = columns, .data = data, .bytes = bytes};
}

static void multiply_part(void *context, size_t index, uint32_t thread)
{
    const struct multiplication *product = context;
    struct matmul_job job = product->job;
    uint32_t count = job.weights->panel_count;
    job.panel_first = (uint32_t)index * PANELS_PER_TASK;
    job.panel_end = job.panel_first + PANELS_PER_TASK < count ? job.panel_first + PANELS_PER_TASK : count;
    job.scratch = product->bench->scratch[thread];
    product->bench->set->matmul(&job);
}

static int64_t run_once(struct multiplication *product)
{
    size_t tasks = (product->job.weights->panel_count + PANELS_PER_TASK - 1) / PANELS_PER_TASK;
    int64_t start = clock_monotonic_ns();
    thread_pool_run(product->bench->pool, tasks, multiply_part, product);
    return clock_monotonic_ns() - start;
}

static int compare_ns(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* A model's row is prepared once for all its panels; here once for the shape. */
static struct packed_rows prepared_rows(const struct bench *bench, const struct shape *shape,
                                        enum product kind, const float *input)
{
    struct packed_rows rows = {0};
    if (kind == PRODUCT_F32)
        return rows;
    if (packed_rows_new(kind, shape->tokens, shape->columns, &rows, NULL) != DOBBY_OK)
        exit(1);
    int64_t best_ns = INT64_MAX;
    for (int i = 0; i < 5; i++) {
        int64_t start = clock_monotonic_ns();
        bench->set->prepare(&(struct prepare_job){.input = input,
                                                  .input_type = VALUES_F32,
                                                  .input_stride = shape->columns,
                                                  .columns = shape->columns,
                                                  .token_end = shape->tokens,
                                                  .rows = &rows});
        int64_t taken = clock_monotonic_ns() - start;
        best_ns = taken < best_ns ? taken : best_ns;
    }
    printf("%-7s 1 prepare %s %ux%u %.1f us\n", bench->set->name, product_name(kind), shape->tokens,
           shape->columns, (double)best_ns / 1e3);
    return rows;
}

static void bench_shape(struct bench *bench, const struct shape *shape, enum tensor_type type,
                        enum product kind)
{
    struct packed_matrix copies[COPIES_MAX] = {0};
    const uint32_t parts = shape->gated ? 2 : 1;
    struct tensor tensor = tensor_of(type, shape->rows / parts, shape->columns);
    const struct tensor tensors[2] = {tensor, tensor};
    size_t copy_count = 1;
    for (size_t i = 0; i < copy_count; i++) {
        if (bench->set->pack(tensors, parts, kind, shape->gated, &copies[i], NULL) != DOBBY_OK)
            exit(1);
        copy_count = ROTATED_BYTES / (copies[0].panel_bytes * copies[0].panel_count) + 1;
        copy_count = copy_count < COPIES_MAX ? copy_count : COPIES_MAX;
    }
    float *input = memory_of(sizeof(float) * shape->tokens * shape->columns);
    float *output = memory_of(sizeof(float) * shape->tokens * shape->rows);
    fill(input, (size_t)shape->tokens * shape->columns);
    fill(output, (size_t)shape->tokens * shape->rows);
    struct packed_rows rows = prepared_rows(bench, shape, kind, input);
    uint32_t threads = thread_pool_threads(bench->pool);
    for (uint32_t i = 0; i < threads; i++)
        bench->scratch[i] = memory_of(bench->set->scratch_bytes(&copies[0]));
    struct multiplication product = {.bench = bench,
                                     .job = {.input = input,
                                             .input_stride = shape->columns,
                                             .rows = &rows,
                                             .tokens = shape->tokens,
                                             .accumulate = shape->accumulate,
                                             .output = output,
                                             .output_stride = shape->rows}};
    static int64_t taken_ns[LOOPS];
    size_t loops = 0;
    for (int64_t spent_ns = 0; loops < LOOPS && (spent_ns < MEASURE_NS || loops < 5); loops++) {
        product.job.weights = &copies[loops % copy_count];
        taken_ns[loops] = run_once(&product);
        spent_ns += taken_ns[loops];
    }
    qsort(taken_ns, loops, sizeof *taken_ns, compare_ns);
    double flops = 2.0 * shape->tokens * shape->columns * shape->rows;
    double median_ns = (double)taken_ns[loops / 2], low_ns = (double)taken_ns[loops / 10];
    double read = (double)(copies[0].panel_bytes * copies[0].panel_count) / low_ns;
    printf("%-7s %u %-10s %-4s %-5s %5ux%-5u->%-6u %9.1f us %9.1f us %8.1f GFLOP/s %5.1f %% %7.2f GB/s %5.1f "
           "%%\n",
           bench->set->name, threads, shape->name, product_name(kind), tensor_type_name(type), shape->tokens,
           shape->columns, shape->rows, median_ns / 1e3, low_ns / 1e3, flops / low_ns,
           100.0 * flops / low_ns / bench->ceilings.gflops, read,
           100.0 * read / bench->ceilings.read_gb_per_s);
    (void)fflush(stdout);
    for (uint32_t i = 0; i < threads; i++)
        free(bench->scratch[i]);
    for (size_t i = 0; i < copy_count; i++)
        packed_matrix_release(&copies[i]);
    packed_rows_release(&rows);
    free((void *)(uintptr_t)tensor.data);
    free(input);
    free(output);
}

/* One thread's attention of a 300-token prompt's last tokens: all of them, or one decode step. */
static void bench_attention(struct bench *bench, uint32_t tokens)
{
    enum { POSITIONS = 300, HEADS = 8, KV_HEADS = 2, DIM = 64, PAGES = 10 };
    const size_t width = (size_t)HEADS * DIM, kv_width = (size_t)KV_HEADS * DIM;
    const struct kv_layout layout = {KV_HEADS, DIM};
    const size_t area_bytes = bench->set->kv_bytes(&layout);
    float *query = memory_of(sizeof(float) * tokens * width),
          *output = memory_of(sizeof(float) * tokens * width);
    float *position = memory_of(sizeof(float) * kv_width);
    char *cache = memory_of(PAGES * area_bytes);
    const void *pages[PAGES];
    fill(query, tokens * width);
    fill(position, kv_width);
    memset(cache, 0, PAGES * area_bytes);
    for (size_t i = 0; i < PAGES; i++)
        pages[i] = cache + i * area_bytes;
    for (uint32_t i = 0; i < POSITIONS; i++)
        bench->set->kv_write(&layout, cache + i / KV_PAGE_TOKENS * area_bytes, i % KV_PAGE_TOKENS, position,
                             position);
    struct attention_job job = {.query = query,
                                .query_stride = width,
                                .tokens = tokens,
                                .position_first = POSITIONS - tokens,
                                .heads = HEADS,
                                .kv_heads = KV_HEADS,
                                .head_dim = DIM,
                                .pages = pages,
                                .output = output,
                                .output_stride = width,
                                .token_end = tokens,
                                .kv_head_end = KV_HEADS,
                                .scratch =
                                    memory_of(bench->set->attention_scratch_bytes(DIM, HEADS / KV_HEADS))};
    static int64_t taken_ns[LOOPS];
    size_t loops = 0;
    for (int64_t spent_ns = 0; loops < LOOPS && spent_ns < MEASURE_NS; loops++) {
        int64_t start = clock_monotonic_ns();
        bench->set->attention(&job);
        taken_ns[loops] = clock_monotonic_ns() - start;
        spent_ns += taken_ns[loops];
    }
    qsort(taken_ns, loops, sizeof *taken_ns, compare_ns);
    double pairs = 0.0;
    for (uint32_t t = 0; t < tokens; t++)
        pairs += POSITIONS - tokens + t + 1;
    double flops = 4.0 * pairs * HEADS * DIM, low_ns = (double)taken_ns[loops / 10];
    printf("%-7s 1 attention of %u tokens, %d positions, %d heads x %d %9.1f us %8.1f GFLOP/s %5.1f %%\n",
           bench->set->name, tokens, POSITIONS, HEADS, DIM, low_ns / 1e3, flops / low_ns,
           100.0 * flops / low_ns / bench->ceilings.gflops);
    free(job.scratch);
    free(query);
    free(output);
    free(position);
    free(cache);
}

static void do_nothing(void *context, size_t index, uint32_t thread)
{
    (void)context, (void)index, (void)thread;
}

static void bench_pool(struct thread_pool *pool)
{
    static int64_t taken_ns[LOOPS];
    for (size_t i = 0; i < LOOPS; i++) {
        int64_t start = clock_monotonic_ns();
        thread_pool_run(pool, 4, do_nothing, NULL);
        taken_ns[i] = clock_monotonic_ns() - start;
    }
    qsort(taken_ns, LOOPS, sizeof *taken_ns, compare_ns);
    printf("pool of %u: an empty loop of 4 takes %.2f us (median), %.2f us (99 %%)\n",
           thread_pool_threads(pool), (double)taken_ns[LOOPS / 2] / 1e3,
           (double)taken_ns[LOOPS * 99 / 100] / 1e3);
}

/* only PRODUCT_UNKNOWN: all of them. */
static void bench_set(const struct kernels *set, struct thread_pool *pool, enum product only)
{
    static const struct {
        enum product kind;
        enum tensor_type type;
    } matrices[] = {{PRODUCT_F32, TENSOR_Q8_0}, {PRODUCT_F32, TENSOR_F32},   {PRODUCT_F32, TENSOR_BF16},
                    {PRODUCT_F32, TENSOR_F16},  {PRODUCT_INT8, TENSOR_Q8_0}, {PRODUCT_BF16, TENSOR_BF16}};
    int vector_bits = strcmp(set->name, "avx512") == 0 ? 512 : 256;
    struct bench bench = {.set = set, .pool = pool};
    bench.ceilings = (struct ceilings){ceiling_fma_gflops(pool, vector_bits), ceiling_read_gb_per_s(pool)};
    printf("%s, %u threads: ceilings %.1f GFLOP/s, read %.1f GB/s\n", set->name, thread_pool_threads(pool),
           bench.ceilings.gflops, bench.ceilings.read_gb_per_s);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t m = 0; m < sizeof matrices / sizeof *matrices; m++)
            if (only == PRODUCT_UNKNOWN || matrices[m].kind == only)
                bench_shape(&bench, &shapes[i], matrices[m].type, matrices[m].kind);
    if (thread_pool_threads(pool) == 1) {
        bench_attention(&bench, 300);
        bench_attention(&bench, 1);
    }
    printf("%s, %u threads: ceiling now %.1f GFLOP/s\n", set->name, thread_pool_threads(pool),
           ceiling_fma_gflops(pool, vector_bits));
}

int main(int argc, char **argv)
{
    const struct kernels *sets[SETS_MAX];
    size_t count = kernels_available(sets, SETS_MAX);
    const struct cpu_features *cpu = cpu_features();
    enum product only = PRODUCT_UNKNOWN;
    for (enum product kind = PRODUCT_F32; argc > 2 && kind < PRODUCT_COUNT; kind++)
        only = strcmp(argv[2], product_name(kind)) == 0 ? kind : only;
    printf("%s: avx2 %d avx512 %d vnni %d bf16 %d amx %d; L1D %u KiB, L2 %u KiB\n", cpu->model, cpu->avx2,
           cpu->avx512, cpu->avx512_vnni, cpu->avx512_bf16, cpu->amx_tile, cpu->l1d_bytes >> 10,
           cpu->l2_bytes >> 10);
    for (uint32_t threads = 1; threads <= THREADS_MAX; threads++) {
        struct thread_pool *pool;
        if (thread_pool_open(threads, &pool, NULL) != DOBBY_OK)
            return 1;
        bench_pool(pool);
        /* The reference is there to be right; nobody waits for it. */
        for (size_t i = 1; i < count; i++)
            if (argc < 2 || strcmp(argv[1], sets[i]->name) == 0)
                bench_set(sets[i], pool, only);
        thread_pool_close(pool);
    }
    return 0;
}

#include "infer/bench/bench_kernels.h"

#include "infer/bench/trial.h"
#include "os/clock.h"
#include "os/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETS_MAX = 8, ROUNDS_MIN = 3 };
/* A kernel is run for so long before the ceilings have their turn again. */
static const int64_t SLICE_NS = 5000000;

/* Qwen2.5 0.5B: prompts in one pass, then steps of generation for one and for many sequences. */
static const struct matmul_shape matmul_shapes[] = {
    {.name = "up", .tokens = 512, .columns = 896, .rows = 4864, .every_type = true},
    {.name = "down",
     .tokens = 512,
     .columns = 4864,
     .rows = 896,
     .adds = true,
     .bf16_input = true,
     .every_type = true},
    {.name = "up_product", .tokens = 512, .columns = 896, .rows = 4864, .prepared = true},
    {.name = "down_product",
     .tokens = 512,
     .columns = 4864,
     .rows = 896,
     .adds = true,
     .bf16_input = true,
     .prepared = true},
    {.name = "gate_up", .tokens = 512, .columns = 896, .rows = 2 * 4864, .gated = true},
    {.name = "qkv", .tokens = 512, .columns = 896, .rows = 1152, .bias = true},
    {.name = "attention_output", .tokens = 512, .columns = 896, .rows = 896, .adds = true},
    {.name = "gate_up", .tokens = 1, .columns = 896, .rows = 2 * 4864, .gated = true, .every_type = true},
    {.name = "gate_up", .tokens = 16, .columns = 896, .rows = 2 * 4864, .gated = true},
    {.name = "gate_up", .tokens = 64, .columns = 896, .rows = 2 * 4864, .gated = true},
    {.name = "down", .tokens = 1, .columns = 4864, .rows = 896, .adds = true, .bf16_input = true},
    {.name = "down", .tokens = 16, .columns = 4864, .rows = 896, .adds = true, .bf16_input = true},
    {.name = "down", .tokens = 64, .columns = 4864, .rows = 896, .adds = true, .bf16_input = true},
    {.name = "qkv", .tokens = 1, .columns = 896, .rows = 1152, .bias = true},
    {.name = "qkv", .tokens = 16, .columns = 896, .rows = 1152, .bias = true},
    {.name = "qkv", .tokens = 64, .columns = 896, .rows = 1152, .bias = true},
    {.name = "head", .tokens = 1, .columns = 896, .rows = 151936},
    {.name = "head", .tokens = 64, .columns = 896, .rows = 151936},
    {.name = "head_best", .tokens = 1, .columns = 896, .rows = 151936, .best = true},
    {.name = "head_best", .tokens = 64, .columns = 896, .rows = 151936, .best = true},
};
static const struct attention_shape attention_shapes[] = {
    {"attention", 1, 256, 296, 14, 2, 64},
    {"attention", 64, 1, 316, 14, 2, 64},
};
enum {
    MATMUL_SHAPES = sizeof matmul_shapes / sizeof matmul_shapes[0],
    ATTENTION_SHAPES = sizeof attention_shapes / sizeof attention_shapes[0],
    TYPES = 5,
    ROWS_MAX = SETS_MAX * (MATMUL_SHAPES * (TYPES + PRODUCT_COUNT) + ATTENTION_SHAPES)
};

/* One row to come. */
struct plan_row {
    const struct kernels *kernels;
    const struct matmul_shape *matmul; /* NULL: attention */
    const struct attention_shape *attention;
    enum product product;
    enum tensor_type type;
};

struct bench {
    const struct bench_kernels_options *options;
    struct bench_ceilings ceilings;
    struct plan_row rows[ROWS_MAX];
    size_t row_count;
};

static void plan_row(struct bench *bench, const struct plan_row *row)
{
    const char *name = row->matmul != NULL ? row->matmul->name : row->attention->name;
    if (bench->options->only == NULL || strcmp(bench->options->only, name) == 0)
        bench->rows[bench->row_count++] = *row;
}

/* The exact product reads weights as their file has them, most often Q8_0; the others pack all types alike.
 */
static void plan_product(struct bench *bench, const struct kernels *kernels, enum product product)
{
    static const enum tensor_type types[TYPES] = {TENSOR_Q8_0, TENSOR_Q4_0, TENSOR_BF16, TENSOR_F16,
                                                  TENSOR_F32};
    for (size_t i = 0; i < MATMUL_SHAPES; i++) {
        struct plan_row row = {.kernels = kernels, .matmul = &matmul_shapes[i], .product = product};
        if (row.matmul->prepared && product == PRODUCT_F32)
            continue; /* its rows are plain: there is nothing to prepare */
        const size_t count = product == PRODUCT_F32 && row.matmul->every_type ? TYPES : 1;
        for (size_t j = 0; j < count; j++) {
            row.type = types[j];
            plan_row(bench, &row);
        }
    }
}

static void plan_set(struct bench *bench, const struct kernels *kernels)
{
    /* AMX has no exact product of its own: it is the row of AVX-512. */
    for (int product = strcmp(kernels->name, "amx") == 0 ? PRODUCT_BF16 : PRODUCT_F32;
         product < PRODUCT_COUNT; product++)
        plan_product(bench, kernels, (enum product)product);
    for (size_t i = 0; i < ATTENTION_SHAPES; i++)
        plan_row(bench, &(struct plan_row){.kernels = kernels, .attention = &attention_shapes[i]});
}

static dobby_code plan(struct bench *bench, struct dobby_error *err)
{
    const char *forced = getenv("DOBBY_CPU");
    const struct kernels *sets[SETS_MAX];
    size_t count = kernels_available(sets, SETS_MAX), first = 1; /* nobody waits for the reference */
    if ((forced != NULL && forced[0] != '\0') || count == 1) {
        const dobby_code code = kernels_choose(NULL, &sets[0], err);
        if (code != DOBBY_OK)
            return code;
        first = 0;
        count = 1;
    }
    for (size_t i = first; i < count; i++)
        plan_set(bench, sets[i]);
    if (bench->row_count == 0)
        return DOBBY_FAIL(err, DOBBY_INVALID_ARGUMENT,
                          "no kernel is called '%.40s': up, down, up_product, down_product, gate_up, qkv, "
                          "attention_output, head, head_best, attention",
                          bench->options->only);
    return DOBBY_OK;
}

/* The best run of the kernel, and the best of its ceilings meanwhile. */
static void measure(struct bench *bench, struct trial *trial, const struct ceiling_loop *loop,
                    int64_t budget_ns)
{
    int64_t best_ns = INT64_MAX;
    double compute = 0, read = 0;
    const int64_t start_ns = clock_monotonic_ns();
    for (int round = 0; round < ROUNDS_MIN || clock_monotonic_ns() - start_ns < budget_ns; round++) {
        if (loop != NULL) {
            const double now = bench_measure_loop(&bench->ceilings, loop);
            compute = now > compute ? now : compute;
        }
        const double now = bench_measure_read(&bench->ceilings);
        read = now > read ? now : read;
        const int64_t slice_ns = clock_monotonic_ns();
        int64_t end_ns = slice_ns;
        while (end_ns - slice_ns < SLICE_NS) {
            const int64_t begin_ns = end_ns;
            trial->run(trial);
            end_ns = clock_monotonic_ns();
            best_ns = end_ns - begin_ns < best_ns ? end_ns - begin_ns : best_ns;
        }
    }
    struct kernel_figures *figures = &trial->figures;
    const double memory = trial->operations / trial->bytes * read;
    const bool compute_bound = compute <= memory;
    figures->best_us = (double)best_ns / 1e3;
    figures->achieved = trial->operations / (double)best_ns / 1e3;
    if (loop != NULL) {
        figures->ceiling = (compute_bound ? compute : memory) / 1e12;
        figures->percent = 100.0 * figures->achieved / figures->ceiling;
    }
    (void)snprintf(figures->bound, sizeof figures->bound, "%s",
                   loop == NULL    ? "none"
                   : compute_bound ? "compute"
                                   : "memory");
}

static dobby_code measure_row(struct bench *bench, const struct plan_row *row, struct dobby_error *err)
{
    struct trial *trial = NULL;
    const bool tiles = strcmp(row->kernels->name, "amx") == 0;
    const enum product product = row->matmul != NULL ? row->product : tiles ? PRODUCT_BF16 : PRODUCT_F32;
    dobby_code code =
        row->matmul != NULL
            ? trial_open_matmul(&bench->ceilings, row->kernels, product, row->type, row->matmul, &trial, err)
            : trial_open_attention(&bench->ceilings, row->kernels, row->attention, &trial, err);
    if (code != DOBBY_OK)
        return code;
    const double budget_ns = bench->options->seconds * 1e9 / (double)bench->row_count;
    measure(bench, trial, ceiling_loop_find(row->kernels->name, product), (int64_t)budget_ns);
    code = bench->options->row(bench->options->context, &trial->figures, err);
    trial->close(trial);
    return code;
}

static dobby_code open_pool(uint32_t threads, struct thread_pool **out, struct dobby_error *err)
{
    return thread_pool_open(threads > 0 ? threads : thread_cpu_count(), out, err);
}

dobby_code bench_kernels(const struct bench_kernels_options *options, struct machine_figures *machine,
                         struct dobby_error *err)
{
    struct thread_pool *pool = NULL;
    *machine = (struct machine_figures){0};
    struct bench *bench = calloc(1, sizeof *bench);
    if (bench == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "the measurement");
    bench->options = options;
    dobby_code code = plan(bench, err);
    if (code == DOBBY_OK)
        code = open_pool(options->threads, &pool, err);
    if (code == DOBBY_OK)
        code = bench_ceilings_open(pool, &bench->ceilings, err);
    if (code != DOBBY_OK)
        goto done;
    bench_measure_all(&bench->ceilings);
    for (size_t i = 0; code == DOBBY_OK && i < bench->row_count; i++)
        code = measure_row(bench, &bench->rows[i], err);
    if (code == DOBBY_OK)
        bench_ceilings_figures(&bench->ceilings, machine);
done:
    bench_ceilings_release(&bench->ceilings);
    thread_pool_close(pool);
    free(bench);
    return code;
}

dobby_code bench_machine(uint32_t threads, struct machine_figures *machine, struct dobby_error *err)
{
    struct thread_pool *pool = NULL;
    struct bench_ceilings ceilings = {0};
    *machine = (struct machine_figures){0};
    dobby_code code = open_pool(threads, &pool, err);
    if (code == DOBBY_OK)
        code = bench_ceilings_open(pool, &ceilings, err);
    if (code == DOBBY_OK) {
        bench_measure_all(&ceilings);
        bench_ceilings_figures(&ceilings, machine);
    }
    bench_ceilings_release(&ceilings);
    thread_pool_close(pool);
    return code;
}

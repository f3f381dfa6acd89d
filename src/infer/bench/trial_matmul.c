/* Matrix products with what belongs to them: the rows are prepared, then multiplied, by each thread a part of
 * the tokens, then a part of the panels. Each run reads another copy of the weights, since a model's layer
 * finds its own beyond the caches. The BF16 input of `down` is prepared part by part from room for one part:
 * a thread's forward pass, too, rounds what the product before has left there while it is in L2. Greedy
 * choice takes the vocabulary part by part, as the forward pass does, and keeps of each only the best. */
#include "infer/bench/trial.h"

#include "base/error.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COPIES_MAX = 64,
    ALIGNMENT = 64,
    PART_STRIDE = BEST_PART_OUTPUTS + 16 /* an odd number of cache lines */
};

struct matmul_trial {
    struct trial trial; /* first: the caller's handle */
    struct thread_pool *pool;
    const struct kernels *kernels;
    struct packed_matrix packed;
    struct packed_matrix copies[COPIES_MAX]; /* their panels lie in the far memory */
    uint32_t copy_count, next;
    struct packed_rows rows;
    float *bias;
    void *input, *output;
    struct best_output *best; /* (parts, tokens); NULL: the outputs are wanted, not the best of them */
    uint8_t *scratch;         /* (threads, scratch_bytes) */
    size_t scratch_bytes;
    struct prepare_job prepare; /* without their parts */
    struct matmul_job matmul;
    uint32_t tokens_per_task, panels_per_task;
    uint32_t input_columns; /* that are there at once */
    bool prepared;          /* the rows need not be prepared again */
};

static void prepare_task(void *context, size_t index, uint32_t thread)
{
    const struct matmul_trial *trial = context;
    struct prepare_job job = trial->prepare;
    (void)thread;
    job.token_first = (uint32_t)index * trial->tokens_per_task;
    job.token_end = job.token_first + trial->tokens_per_task;
    if (job.token_end > trial->matmul.tokens)
        job.token_end = trial->matmul.tokens;
    const uint32_t columns = job.columns;
    for (uint32_t first = 0; first < columns; first = job.column_end) {
        job.column_first = first;
        job.column_end = columns - first < trial->input_columns ? columns : first + trial->input_columns;
        trial->kernels->prepare(&job);
    }
}

static void matmul_task(void *context, size_t index, uint32_t thread)
{
    const struct matmul_trial *trial = context;
    struct matmul_job job = trial->matmul;
    job.panel_first = (uint32_t)index * trial->panels_per_task;
    job.panel_end = job.panel_first + trial->panels_per_task;
    if (job.panel_end > job.weights->panel_count)
        job.panel_end = job.weights->panel_count;
    job.scratch = trial->scratch + thread * trial->scratch_bytes;
    trial->kernels->matmul(&job);
}

static void best_task(void *context, size_t index, uint32_t thread)
{
    const struct matmul_trial *trial = context;
    struct matmul_job job = trial->matmul;
    job.output = (float *)trial->output + (size_t)thread * job.tokens * PART_STRIDE;
    job.scratch = trial->scratch + thread * trial->scratch_bytes;
    kernels_matmul_best_part(trial->kernels, &job, (uint32_t)index, trial->best + index * job.tokens);
}

static void prepare_rows(struct matmul_trial *trial)
{
    thread_pool_run(trial->pool, (trial->matmul.tokens + trial->tokens_per_task - 1) / trial->tokens_per_task,
                    prepare_task, trial);
}

static void run(struct trial *handle)
{
    struct matmul_trial *trial = (struct matmul_trial *)handle;
    const uint32_t panels = trial->packed.panel_count;
    trial->matmul.weights =
        trial->copy_count > 0 ? &trial->copies[trial->next++ % trial->copy_count] : &trial->packed;
    if (trial->packed.product != PRODUCT_F32 && !trial->prepared)
        prepare_rows(trial);
    if (trial->best != NULL)
        thread_pool_run(trial->pool, kernels_best_parts(&trial->packed), best_task, trial);
    else
        thread_pool_run(trial->pool, (panels + trial->panels_per_task - 1) / trial->panels_per_task,
                        matmul_task, trial);
}

static void close_trial(struct trial *handle)
{
    struct matmul_trial *trial = (struct matmul_trial *)handle;
    packed_matrix_release(&trial->packed);
    packed_rows_release(&trial->rows);
    free(trial->bias);
    free(trial->input);
    free(trial->output);
    free(trial->best);
    free(trial->scratch);
    free(trial);
}

/* Weights of ordinary size: only their time matters, but no value may be subnormal. */
static dobby_code make_tensor(enum tensor_type type, uint32_t rows, uint32_t columns, struct tensor *out,
                              struct dobby_error *err)
{
    enum { BLOCK_COLUMNS = 32 };
    const size_t block_bytes = type == TENSOR_Q8_0 ? 34 : type == TENSOR_Q4_0 ? 18 : 0;
    const size_t count = (size_t)rows * columns;
    const size_t bytes = type == TENSOR_F32 ? count * sizeof(float)
                         : block_bytes > 0  ? count / BLOCK_COLUMNS * block_bytes
                                            : count * sizeof(uint16_t);
    uint8_t *data = malloc(bytes);
    if (data == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a (%u, %u) matrix to measure with", rows, columns);
    if (type == TENSOR_F32) {
        trial_fill((float *)(void *)data, count);
    } else if (block_bytes > 0) { /* scales of 2^-7 */
        for (size_t i = 0; i < bytes; i++)
            data[i] = (uint8_t)(i % block_bytes == 0 ? 0 : i % block_bytes == 1 ? 0x20 : i * 37);
    } else { /* from 1/8 to 1/4 */
        for (size_t i = 0; i < bytes; i++)
            data[i] = (uint8_t)(i % 2 == 0 ? i * 37 : type == TENSOR_BF16 ? 0x3e : 0x30);
    }
    *out = (struct tensor){.type = type, .rows = rows, .columns = columns, .data = data, .bytes = bytes};
    return DOBBY_OK;
}

static dobby_code pack(struct matmul_trial *trial, enum product product, enum tensor_type type,
                       const struct matmul_shape *shape, struct dobby_error *err)
{
    struct tensor tensors[2] = {0};
    const size_t count = shape->gated ? 2 : 1;
    dobby_code code = DOBBY_OK;
    for (size_t i = 0; code == DOBBY_OK && i < count; i++)
        code = make_tensor(type, shape->rows / (uint32_t)count, shape->columns, &tensors[i], err);
    if (code == DOBBY_OK)
        code = trial->kernels->pack(tensors, count, product, shape->gated, &trial->packed, err);
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)tensors[i].data);
    return code;
}

static void copy_weights(struct matmul_trial *trial, struct bench_ceilings *ceilings)
{
    const size_t bytes = (size_t)trial->packed.panel_count * trial->packed.panel_bytes;
    const size_t stride = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    for (size_t at = 0; at + stride <= ceilings->far_bytes && trial->copy_count < COPIES_MAX; at += stride) {
        memcpy(ceilings->far + at, trial->packed.panels, bytes);
        struct packed_matrix *copy = &trial->copies[trial->copy_count++];
        *copy = trial->packed;
        copy->panels = ceilings->far + at;
    }
}

static dobby_code allocate(struct matmul_trial *trial, enum product product, const struct matmul_shape *shape,
                           struct dobby_error *err)
{
    const bool in_parts = shape->bf16_input && product != PRODUCT_F32;
    trial->input_columns = in_parts ? packed_rows_part_columns(shape->columns) : shape->columns;
    const size_t inputs = (size_t)shape->tokens * trial->input_columns;
    const size_t threads = thread_pool_threads(trial->pool);
    const size_t outputs = shape->tokens * (shape->best ? threads * PART_STRIDE : shape->rows);
    trial->scratch_bytes =
        (trial->kernels->scratch_bytes(&trial->packed) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    trial->input = trial_allocate(inputs, sizeof(float));
    trial->output = trial_allocate(outputs, sizeof(float));
    trial->bias = trial_allocate(shape->rows, sizeof(float));
    trial->scratch = trial_allocate(threads, trial->scratch_bytes);
    if (shape->best)
        trial->best =
            trial_allocate((size_t)kernels_best_parts(&trial->packed) * shape->tokens, sizeof *trial->best);
    if (trial->input == NULL || trial->output == NULL || trial->bias == NULL || trial->scratch == NULL ||
        (shape->best && trial->best == NULL))
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "activations of %u tokens", shape->tokens);
    trial_fill(trial->input, inputs);
    if (in_parts) { /* the upper halves */
        uint16_t *halves = trial->input;
        const float *values = trial->input;
        for (size_t i = 0; i < inputs; i++) {
            uint32_t bits;
            memcpy(&bits, &values[i], sizeof bits);
            halves[i] = (uint16_t)(bits >> 16);
        }
    }
    return product == PRODUCT_F32
               ? DOBBY_OK
               : packed_rows_new(product, shape->tokens, shape->columns, &trial->rows, err);
}

static void describe(struct matmul_trial *trial, enum tensor_type type, const struct matmul_shape *shape)
{
    struct kernel_figures *figures = &trial->trial.figures;
    (void)snprintf(figures->name, sizeof figures->name, "%s", shape->name);
    (void)snprintf(figures->isa, sizeof figures->isa, "%s", trial->kernels->name);
    (void)snprintf(figures->product, sizeof figures->product, "%s", product_name(trial->packed.product));
    (void)snprintf(figures->weights, sizeof figures->weights, "%s", tensor_type_name(type));
    for (char *at = figures->weights; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
    figures->m = shape->tokens;
    figures->n = shape->rows;
    figures->k = shape->columns;
    trial->trial.operations = 2.0 * shape->tokens * shape->rows * shape->columns;
    trial->trial.bytes = (double)trial->packed.panel_count * (double)trial->packed.panel_bytes;
}

dobby_code trial_open_matmul(struct bench_ceilings *ceilings, const struct kernels *kernels,
                             enum product product, enum tensor_type type, const struct matmul_shape *shape,
                             struct trial **out, struct dobby_error *err)
{
    *out = NULL;
    struct matmul_trial *trial = calloc(1, sizeof *trial);
    if (trial == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a measurement");
    trial->trial = (struct trial){.run = run, .close = close_trial};
    trial->pool = ceilings->pool;
    trial->kernels = kernels;
    dobby_code code = pack(trial, product, type, shape, err);
    if (code == DOBBY_OK)
        code = allocate(trial, product, shape, err);
    if (code != DOBBY_OK)
        goto done;
    copy_weights(trial, ceilings);
    const uint32_t tasks = thread_pool_threads(trial->pool);
    trial->tokens_per_task = (shape->tokens + tasks - 1) / tasks;
    trial->panels_per_task = (trial->packed.panel_count + tasks - 1) / tasks;
    trial->prepare = (struct prepare_job){.input = trial->input,
                                          .input_type = shape->bf16_input ? VALUES_BF16 : VALUES_F32,
                                          .input_stride = trial->input_columns,
                                          .columns = shape->columns,
                                          .rows = &trial->rows};
    trial->matmul = (struct matmul_job){.input = trial->input,
                                        .input_stride = shape->columns,
                                        .rows = &trial->rows,
                                        .tokens = shape->tokens,
                                        .bias = shape->bias ? trial->bias : NULL,
                                        .accumulate = shape->adds,
                                        .output = trial->output,
                                        .output_stride = shape->best    ? PART_STRIDE
                                                         : shape->gated ? shape->rows / 2
                                                                        : shape->rows};
    trial->prepared = shape->prepared;
    if (trial->prepared)
        prepare_rows(trial);
    describe(trial, type, shape);
    *out = &trial->trial;
    trial = NULL;
done:
    if (trial != NULL)
        close_trial(&trial->trial);
    return code;
}

/* Attention as the forward pass makes it: a part for each KV head and each 32 new tokens of a sequence. The
 * sequences' caches have several copies beyond the caches, since each layer finds its own there. */
#include "infer/bench/trial.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COPIES_MAX = 64, BLOCK_TOKENS = 32, ALIGNMENT = 64 };

struct attention_trial {
    struct trial trial; /* first: the caller's handle */
    struct thread_pool *pool;
    const struct kernels *kernels;
    struct attention_shape shape;
    uint32_t page_count, block_count; /* of a sequence: pages, and blocks of new tokens */
    const void **pages;               /* (copies, sequences, page_count) */
    uint32_t copy_count, next, copy;  /* copy: of this run */
    float *query;                     /* (sequences * tokens, heads * head_dim) */
    uint16_t *output;                 /* likewise, in BF16 */
    uint8_t *scratch;                 /* (threads, scratch_bytes) */
    size_t scratch_bytes;
};

static void attention_task(void *context, size_t index, uint32_t thread)
{
    const struct attention_trial *trial = context;
    const struct attention_shape *shape = &trial->shape;
    const uint32_t kv_head = (uint32_t)(index % shape->kv_heads);
    const uint32_t block = (uint32_t)(index / shape->kv_heads % trial->block_count);
    const size_t sequence = index / shape->kv_heads / trial->block_count;
    const size_t width = (size_t)shape->heads * shape->head_dim;
    const size_t row = sequence * shape->tokens * width;
    const uint32_t end = (block + 1) * BLOCK_TOKENS;
    const struct attention_job job = {
        .query = trial->query + row,
        .query_stride = width,
        .tokens = shape->tokens,
        .position_first = shape->positions - shape->tokens,
        .heads = shape->heads,
        .kv_heads = shape->kv_heads,
        .head_dim = shape->head_dim,
        .pages = trial->pages + (trial->copy * (size_t)shape->sequences + sequence) * trial->page_count,
        .output = trial->output + row,
        .output_type = VALUES_BF16, /* as for rounded products */
        .output_stride = width,
        .token_first = block * BLOCK_TOKENS,
        .token_end = end < shape->tokens ? end : shape->tokens,
        .kv_head_first = kv_head,
        .kv_head_end = kv_head + 1,
        .scratch = trial->scratch + thread * trial->scratch_bytes,
    };
    trial->kernels->attention(&job);
}

static void run(struct trial *handle)
{
    struct attention_trial *trial = (struct attention_trial *)handle;
    trial->copy = trial->next++ % trial->copy_count;
    const size_t tasks = (size_t)trial->shape.sequences * trial->block_count * trial->shape.kv_heads;
    thread_pool_run(trial->pool, tasks, attention_task, trial);
}

static void close_trial(struct trial *handle)
{
    struct attention_trial *trial = (struct attention_trial *)handle;
    free((void *)trial->pages);
    free(trial->query);
    free(trial->output);
    free(trial->scratch);
    free(trial);
}

/* One sequence's cache is written once; all others are copies of it. */
static dobby_code make_cache(struct attention_trial *trial, struct bench_ceilings *ceilings,
                             struct dobby_error *err)
{
    const struct attention_shape *shape = &trial->shape;
    const struct kv_layout layout = {.kv_heads = shape->kv_heads, .head_dim = shape->head_dim};
    const size_t area_bytes = trial->kernels->kv_bytes(&layout);
    const size_t sequence_bytes = area_bytes * trial->page_count, width = shape->kv_heads * shape->head_dim;
    const size_t copies = ceilings->far_bytes / (sequence_bytes * shape->sequences);
    if (copies == 0)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a KV cache of %u sequences", shape->sequences);
    trial->copy_count = (uint32_t)(copies < COPIES_MAX ? copies : COPIES_MAX);
    const size_t sequences = (size_t)trial->copy_count * shape->sequences;
    float *rows = trial_allocate(2 * width, sizeof *rows); /* a key, a value */
    trial->pages = calloc(sequences * trial->page_count, sizeof *trial->pages);
    if (rows == NULL || trial->pages == NULL) {
        free(rows);
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a KV cache of %u sequences", shape->sequences);
    }
    memset(ceilings->far, 0, sequence_bytes);
    for (uint32_t position = 0; position < shape->positions; position++) {
        trial_fill(rows, 2 * width);
        rows[position % width] *= 0.5f; /* positions differ */
        trial->kernels->kv_write(&layout, ceilings->far + position / KV_PAGE_TOKENS * area_bytes,
                                 position % KV_PAGE_TOKENS, rows, rows + width);
    }
    for (size_t i = 0; i < sequences; i++) {
        if (i > 0)
            memcpy(ceilings->far + i * sequence_bytes, ceilings->far, sequence_bytes);
        for (uint32_t page = 0; page < trial->page_count; page++)
            trial->pages[i * trial->page_count + page] =
                ceilings->far + i * sequence_bytes + page * area_bytes;
    }
    trial->trial.bytes = (double)sequence_bytes * shape->sequences;
    free(rows);
    return DOBBY_OK;
}

static void describe(struct attention_trial *trial)
{
    const struct attention_shape *shape = &trial->shape;
    struct kernel_figures *figures = &trial->trial.figures;
    (void)snprintf(figures->name, sizeof figures->name, "%s", shape->name);
    (void)snprintf(figures->isa, sizeof figures->isa, "%s", trial->kernels->name);
    /* There is no choice of product for attention. */
    const enum product product = trial->kernels->rounds_keys ? PRODUCT_INT8 : PRODUCT_F32;
    (void)snprintf(figures->product, sizeof figures->product, "%s", product_name(product));
    (void)snprintf(figures->weights, sizeof figures->weights, "kv");
    figures->m = shape->sequences * shape->tokens;
    figures->n = shape->positions;
    figures->k = shape->head_dim;
    double pairs = 0; /* of a new token and a position that it sees */
    for (uint32_t token = 0; token < shape->tokens; token++)
        pairs += shape->positions - shape->tokens + token + 1;
    trial->trial.operations = 4.0 * pairs * shape->sequences * shape->heads * shape->head_dim;
}

dobby_code trial_open_attention(struct bench_ceilings *ceilings, const struct kernels *kernels,
                                const struct attention_shape *shape, struct trial **out,
                                struct dobby_error *err)
{
    *out = NULL;
    struct attention_trial *trial = calloc(1, sizeof *trial);
    if (trial == NULL)
        return DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "a measurement");
    trial->trial = (struct trial){.run = run, .close = close_trial};
    trial->pool = ceilings->pool;
    trial->kernels = kernels;
    trial->shape = *shape;
    trial->page_count = (shape->positions + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS;
    trial->block_count = (shape->tokens + BLOCK_TOKENS - 1) / BLOCK_TOKENS;
    const size_t values = (size_t)shape->sequences * shape->tokens * shape->heads * shape->head_dim;
    const size_t scratch = kernels->attention_scratch_bytes(shape->head_dim, shape->heads / shape->kv_heads);
    trial->scratch_bytes = (scratch + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    trial->query = trial_allocate(values, sizeof(float));
    trial->output = trial_allocate(values, sizeof *trial->output);
    trial->scratch = trial_allocate(thread_pool_threads(trial->pool), trial->scratch_bytes);
    dobby_code code;
    if (trial->query == NULL || trial->output == NULL || trial->scratch == NULL)
        code = DOBBY_FAIL(err, DOBBY_OUT_OF_MEMORY, "attention of %u sequences", shape->sequences);
    else
        code = make_cache(trial, ceilings, err);
    if (code != DOBBY_OK)
        goto done;
    trial_fill(trial->query, values);
    describe(trial);
    *out = &trial->trial;
    trial = NULL;
done:
    if (trial != NULL)
        close_trial(&trial->trial);
    return code;
}
